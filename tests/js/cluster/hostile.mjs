// Messages that no node should send: doubled, out of order, cut, changed, made up, and too many. A neighbour must neither end
// a node, nor fill its memory, nor keep it from the others.

import assert from "node:assert/strict";
import { CLIENTS, World } from "../sio/clients.mjs";
import { namespace } from "../sio/harness.mjs";
import { args } from "../servers.mjs";
import { eventually } from "../waiting.mjs";
import { range } from "./crew.mjs";
import { trial } from "./trial.mjs";

/** Growth of the memory of a node that is no fault of its neighbours, in KiB: allocators keep what they had. */
const GROWTH = 16 * 1024;

const differs = (profile) => (profile === "classic" ? undefined : "it ends, or hears nothing any more");

export default function () {
  trial("messages that come doubled and out of order do no harm", async (cluster) => {
    const messages = await record(cluster);
    const again = shuffled([...messages, ...messages]);
    const asked = cluster.players.map((player) => player.ask("ask-all", {}, 2000, "vote", []));
    await publish(cluster, again);
    await Promise.all(asked);
    await cluster.whole();
    for (const [i, player] of cluster.players.entries()) player.answers.vote = (ack) => ack(i);
    for (const player of cluster.players) {
      const [{ err, responses }] = await player.ask("ask-all", {}, 5000, "vote", []);
      assert.deepEqual([err, responses.sort()], [false, [0, 1, 2]]);
      const [{ err: failed, answers }] = await player.ask("server-ask", "word", [1]);
      assert.deepEqual([failed, answers], [false, [[1], [1]]]);
    }
  });

  trial("messages that are cut or changed do no harm", async (cluster) => {
    const messages = await record(cluster);
    const before = await memory(cluster);
    for (const message of messages) {
      const { bytes } = message;
      const cuts = range(Math.min(bytes.length, 300)).map((length) => bytes.subarray(0, length));
      const changes = range(200).map(() => changed(bytes));
      await publish(cluster, [...cuts, ...changes].map((bytes) => ({ ...message, bytes })));
    }
    await unharmed(cluster, before, 1000);
  }, { differs });

  trial("messages that are made up do no harm", async (cluster) => {
    const messages = await record(cluster);
    const before = await memory(cluster);
    const channels = [...new Map(messages.map((message) => [message.channel ?? message.stream, message])).values()];
    for (const message of channels) await publish(cluster, madeUp().map((bytes) => ({ ...message, bytes })));
    if (cluster.profile === "streams") await poison(cluster, messages);
    await unharmed(cluster, before, 300);
  }, { differs });

  trial("a flood of requests and of responses does no harm", async (cluster) => {
    const messages = await record(cluster);
    const before = await memory(cluster);
    const asked = cluster.players.map((player) => player.ask("fetch", {}));
    for (const message of messages) {
      const copies = range(300).map((n) => ({ ...message, bytes: renamed(message.bytes, n) }));
      await publish(cluster, copies);
    }
    await Promise.all(asked);
    await unharmed(cluster, before);
  });
}

/** Every message of the cluster but for the binary ones of streams, as `{ channel | stream, isSharded, bytes }`. */
async function record(cluster) {
  const { redis, profile, prefix, nsp, players } = cluster;
  const messages = [];
  const ear = redis.client.duplicate();
  ear.on("error", () => {});
  await ear.connect();
  const note = (isSharded) => (bytes, channel) => messages.push({ channel: `${channel}`, isSharded, bytes });
  if (profile.startsWith("sharded")) {
    // The channels of a cluster that stands, those of responses and of the room among them.
    const channels = await redis.ask("PUBSUB", "SHARDCHANNELS", `${prefix}*`);
    for (const channel of channels) await ear.sSubscribe(`${channel}`, note(true), true);
  } else {
    await ear.pSubscribe(`${prefix}*`, note(false), true);
  }
  const [player] = players;
  for (const other of players) other.answers.vote = (ack) => ack("yes", Buffer.from([1]));
  await player.ask("emit-to", {}, "plain", [1, "é"]);
  await player.ask("emit-to", { rooms: ["r"] }, "binary", [{ bytes: Buffer.from([1, 2, 3]) }]);
  await player.ask("emit-to", { rooms: ["a", "r"], except: ["c"], volatile: true }, "two", []);
  await player.ask("join-all", { rooms: ["nobody"] }, ["a"]);
  await player.ask("leave-all", { rooms: ["nobody"] }, ["a"]);
  await player.ask("kick-all", { rooms: ["nobody"] }, false);
  await player.ask("server-emit", {}, "silence", [1]);
  // The ear may be counted as a node, for which they wait.
  await Promise.all([
    player.ask("ask-all", {}, 500, "vote", [Buffer.from([4])]),
    player.ask("fetch", {}),
    player.ask("server-ask", "word", [{ a: 1 }]),
  ]);
  for (const other of players) delete other.answers.vote;
  ear.destroy();
  await cluster.whole();
  if (profile === "streams") {
    for (const [, fields] of await redis.ask("XRANGE", prefix, "-", "+")) {
      const value = (name) => `${fields[fields.findIndex((field) => `${field}` === name) + 1]}`;
      const [type, uid, of, data] = ["type", "uid", "nsp", "data"].map(value);
      messages.push({ stream: prefix, type, uid, nsp: of, bytes: Buffer.from(data) });
    }
  }
  assert.ok(messages.length >= 8, `${messages.length} messages`);
  return messages.filter(({ bytes }) => bytes.length < 4000).slice(0, 60);
}

async function publish({ redis }, messages) {
  await Promise.all(
    messages.map(({ channel, isSharded, stream, uid, nsp, type, bytes }) =>
      stream
        ? redis.ask("XADD", stream, "MAXLEN", "~", "10000", "*", "uid", uid, "nsp", nsp, "type", type, "data", bytes)
        : redis.ask(isSharded ? "SPUBLISH" : "PUBLISH", channel, bytes),
    ),
  );
}

/** Nodes live, have not grown, and serve new clients in this namespace and in another. */
async function unharmed(cluster, before, leastDropped = 0) {
  const other = namespace();
  const fresh = cluster.nodes.map((node) => new World(node, CLIENTS[0], "websocket").player({ nsp: other }));
  await Promise.all(fresh.map((player) => player.is("connect")));
  // When it comes, all that was published before has come.
  await eventually(async () => {
    const event = `there-${Math.random()}`;
    await fresh[0].ask("emit-to", {}, event, []);
    await Promise.all(fresh.map((player) => player.barrier()));
    return fresh.every((player) => player.of(event).length === 1) ? true : undefined;
  }, "a broadcast in another namespace", 30_000);
  for (const player of fresh) player.drop();
  // What was changed may have been a valid request to disconnect everybody.
  for (const [i, player] of cluster.players.entries()) {
    player.drop();
    await cluster.connect(i);
  }
  await cluster.whole();
  if (!args.reference) {
    // Most of it was read, and said to be wrong.
    for (const player of cluster.players) {
      const [dropped] = await player.ask("dropped");
      assert.ok(dropped >= leastDropped, `${dropped} messages were dropped`);
    }
  }
  const growth = (await memory(cluster)).map((now, i) => now - before[i]);
  console.log(`# ${cluster.profile}: memory has grown by ${growth.join(", ")} KiB`);
  assert.ok(Math.max(...growth) < GROWTH, `nodes have grown by ${growth} KiB`);
}

const memory = (cluster) => Promise.all(cluster.nodes.map((_, i) => cluster.memory(i)));

/** Messages that no encoder writes. */
function madeUp() {
  const bytes = (...list) => Buffer.from(list);
  const repeated = (byte, count) => Buffer.alloc(count, byte);
  const texts = [
    "", "{", "{}", "[]", "null", "0", '"', "{]", "\u0000", '{"type":3}', '{"type":"3"}', '{"type":-1}', '{"type":1e99}',
    '{"type":3,"data":null,"uid":"x","nsp":"/"}', '{"type":5,"data":{"opts":{},"rooms":"r"},"uid":"x","nsp":"/"}',
    '{"type":7,"data":{"opts":null,"requestId":null},"uid":"x","nsp":"/"}', '{"uid":"","type":2}', '{"uid":{"a":1},"type":5}',
    '{"type":6,"uid":"x","data":[]}', '{"type":6,"uid":"x","data":"word"}', '{"requestId":"x","sockets":[null,1,{}]}',
    '{"requestId":1,"type":8,"clientCount":1e308}', '{"requestId":"x","type":8,"clientCount":-5}', '{"type":9}',
    `${"[".repeat(50_000)}`, `{"type":3,"data":${"[".repeat(20_000)}${"]".repeat(20_000)},"uid":"x","nsp":"/"}`,
    `{"uid":"${"u".repeat(100_000)}","requestId":"${"r".repeat(100_000)}","type":5,"opts":{"rooms":[],"except":[]}}`,
  ];
  const packed = [
    // Lengths that are not there.
    bytes(0xdd, 0xff, 0xff, 0xff, 0xff), bytes(0xdf, 0xff, 0xff, 0xff, 0xff), bytes(0xc6, 0xff, 0xff, 0xff, 0xff),
    bytes(0xdb, 0x7f, 0xff, 0xff, 0xff), bytes(0xc9, 0xff, 0xff, 0xff, 0xff, 0), bytes(0x93, 0xdd, 0xff, 0xff, 0xff, 0xff),
    // Depth.
    repeated(0x91, 100_000), repeated(0x81, 100_000), Buffer.concat([repeated(0x91, 60_000), bytes(0xc0)]),
    // Never used, not text, not a message.
    bytes(0xc1), bytes(0x93, 0xc0, 0xc0, 0xc0), bytes(0x93, 0xa1, 0x78, 0x80, 0x80), bytes(0x92, 0xa1, 0x78, 0x80),
    bytes(0x80), bytes(0x90),
    Buffer.concat([bytes(0x93, 0xa1, 0xff), repeated(0x80, 2)]),
  ];
  let state = 1;
  const random = () => (state = (state * 48_271) % 0x7fffffff);
  const noise = range(300).map(() => Buffer.from(range(random() % 200).map(() => random() & 255)));
  return [...texts.map((text) => Buffer.from(text)), ...packed, ...noise];
}

/** Entries that break the loop of a reader. */
async function poison(cluster, messages) {
  const { uid, nsp } = messages.find(({ stream }) => stream);
  const entries = [
    ["uid", uid, "nsp", nsp, "type", "3"], ["type", "3"], ["nsp", nsp], ["uid", "x", "nsp", nsp, "type", "x", "data", "{}"],
    ["uid", "x", "nsp", nsp, "type", "3", "data", "!!! no base64"], ["uid", "x", "nsp", nsp, "type", "5", "data", '{"rooms":"r"}'],
    ["data", "{}", "data", "{}", "uid", "x", "uid", "y", "nsp", nsp, "type", "3"], ["", ""], ["nsp", nsp, "nsp"],
    ["uid", "x", "nsp", nsp, "type", "99999999999999999999", "data", "{}"],
  ];
  for (const entry of entries) {
    await cluster.redis.ask("XADD", cluster.prefix, "*", ...entry).catch((error) => assert.match(error.message, /wrong number/));
  }
}

let state = 7;
const random = (below) => (state = (state * 48_271) % 0x7fffffff) % below;

/** The message with some other bytes. */
function changed(bytes) {
  const copy = Buffer.from(bytes);
  for (const _ of range(1 + random(3))) copy[random(copy.length)] = random(256);
  return copy;
}

/** The message of another sender, or for another request: each long word of it that looks like an id is another. */
function renamed(bytes, n) {
  const text = bytes.toString("latin1").replace(/[0-9a-f]{16}/g, () => n.toString(16).padStart(16, "0"));
  return Buffer.from(text, "latin1");
}

function shuffled(list) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}

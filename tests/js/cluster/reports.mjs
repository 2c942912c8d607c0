// What users reported about clusters of other implementations, as cases of our own. `../../README.md` has the table.

import assert from "node:assert/strict";
import { CLIENTS, World } from "../sio/clients.mjs";
import { namespace } from "../sio/harness.mjs";
import { eventually } from "../waiting.mjs";
import { askLong, range } from "./crew.mjs";
import { channelOf } from "./harness.mjs";
import { trial } from "./trial.mjs";

const SHARDED = ["sharded-dynamic"];

export default function () {
  trial("namespaces that are empty leave no subscription", async (cluster) => {
    const { before, until } = await counting(cluster);
    const names = range(60).map(() => namespace());
    const world = new World(cluster.nodes[0], CLIENTS[0], "websocket");
    const players = names.map((nsp) => world.player({ nsp }));
    await Promise.all(players.map((player) => player.is("connect")));
    await until((count) => count >= before + 60, "their subscriptions");
    for (const player of players) player.drop();
    await until((count) => count === before, "the end of their subscriptions");
  }, { differs: () => "it keeps them" });

  trial("rooms that are empty leave no subscription", async (cluster) => {
    const [player] = cluster.players;
    const { before, until } = await counting(cluster);
    const rooms = range(300).map((n) => `room ${n}`);
    for (const _ of range(3)) {
      await player.ask("join", rooms);
      await until((count) => count === before + 300, "their subscriptions");
      await player.ask("leave-all", {}, rooms);
      await until((count) => count === before, "the end of their subscriptions");
    }
    await cluster.whole();
  }, { profiles: SHARDED });

  trial("a subscriber that is no node costs the deadline and no result", async (cluster) => {
    const { players, redis } = cluster;
    const spy = redis.client.duplicate();
    spy.on("error", () => {});
    await spy.connect();
    const [channel, isSharded] = channelOf(cluster, cluster.nsp);
    await (isSharded ? spy.sSubscribe(channel, () => {}) : spy.subscribe(channel, () => {}));
    for (const [i, player] of players.entries()) player.answers.vote = (ack) => ack(i);
    const [fetched, asked] = await Promise.all([
      askLong(players[0], "fetch", {}),
      askLong(players[1], "ask-all", {}, 3000, "vote", []),
    ]);
    assert.deepEqual([fetched[0].err, fetched[0].sockets.length], [true, 3]);
    assert.deepEqual([asked[0].err, asked[0].responses.sort()], [true, [0, 1, 2]]);
    spy.destroy();
    await cluster.whole();
  }, { differs: () => "what came before the timeout is lost" });

  trial("a message for which Redis disconnects the subscribers is lost alone", async (cluster) => {
    const { players, redis } = cluster;
    await redis.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 256kb 256kb 1 normal 0 0 0");
    const before = await connections(cluster);
    // Others that no longer read would be told in the same way.
    const [channel, isSharded] = channelOf(cluster, cluster.nsp);
    await redis.ask(isSharded ? "SPUBLISH" : "PUBLISH", channel, Buffer.alloc(3_000_000, 0x20));
    await cluster.whole();
    assert.deepEqual(players.map((player) => player.count("disconnect")), [0, 0, 0]);
    await eventually(async () => ((await connections(cluster)) === before ? true : undefined), "as many connections as before");
  });

  trial("the third outage takes no longer than the first, and no connection is left over", async (cluster) => {
    const before = await connections(cluster);
    const took = [];
    for (const _ of range(3)) {
      for (const link of cluster.links) link.cut();
      const alone = async () => ((await cluster.players[0].ask("emit-to", {}, "alone", []))[0] === null ? true : undefined);
      await eventually(alone, "a node that knows that it is alone");
      for (const link of cluster.links) link.heal();
      const from = Date.now();
      await cluster.whole();
      took.push(Date.now() - from);
    }
    console.log(`# ${cluster.profile}: whole after ${took.join(", ")} ms`);
    await eventually(async () => ((await connections(cluster)) === before ? true : undefined), "as many connections as before");
  }, { differs: () => "it does not say that it is alone" });

  trial("nodes that come and go keep nobody waiting", async (cluster) => {
    for (const _ of range(3)) {
      await cluster.end(2);
      const [{ err, sockets }] = await cluster.players[0].ask("fetch", {});
      assert.deepEqual([err, sockets.length], [false, 2]);
      await cluster.startNode(2);
      await cluster.connect(2);
      // Its first request, as soon as it serves clients.
      const [first] = await cluster.players[2].ask("fetch", { rooms: ["r"] });
      assert.ok(first.sockets.length >= 1);
      await cluster.whole();
    }
  });

  trial("a node that responds twice does not stand for another", async (cluster) => {
    const { nodes, players, prefix, nsp } = cluster;
    const peer = await Peer.join(cluster);
    nodes[2].child.kill("SIGSTOP");
    const asked = askLong(players[0], "fetch", {});
    await eventually(async () => (peer.responded > 0 ? true : undefined), "a request to the node that is made up");
    nodes[2].child.kill("SIGCONT");
    const [{ err, sockets }] = await asked;
    peer.leave();
    const ids = sockets.map(({ id }) => id);
    assert.equal(err, false);
    assert.deepEqual(players.filter(({ id }) => !ids.includes(id)), [], `${prefix}#${nsp}#`);
  }, { profiles: SHARDED, differs: () => "it counts responses" });

  trial("messages of other protocols on the same Redis are none of ours", async (cluster) => {
    const { players, redis, nsp, prefix } = cluster;
    const python = { method: "emit", event: "python", data: [1], binary: false, namespace: nsp, room: null, callback: null };
    for (const channel of ["socketio", "socket.io", `${prefix}`, `${prefix}2#${nsp}#`, `${prefix}#${nsp}`]) {
      await redis.ask("PUBLISH", channel, JSON.stringify({ ...python, host_id: "0123" }));
    }
    await cluster.whole();
    assert.deepEqual(players.map((player) => player.of("python").length), [0, 0, 0]);
  });

  trial("names that are patterns of Redis are names", async (cluster) => {
    const names = ["/a[b]c", "/f?o", "/st*r", "/back\\slash", "/[^x]", "/f*"];
    const crews = await Promise.all([...names, "/fzo", "/abc", "/stir"].map((nsp) => everywhere(cluster, nsp)));
    for (const [n, players] of crews.entries()) {
      const event = `only ${n}`;
      await eventually(async () => {
        await players[0].ask("emit-to", {}, event, []);
        await players[0].ask("emit-to", { rooms: ["r"] }, event, []);
        return players.every((player) => player.of(event).length > 1) ? true : undefined;
      }, `broadcasts in the namespace ${n}`);
      for (const others of crews.filter((crew) => crew !== players)) {
        await Promise.all(others.map((player) => player.barrier()));
        assert.deepEqual(others.map((player) => player.of(event).length), [0, 0, 0]);
      }
    }
    for (const player of crews.flat()) player.drop();
  }, { differs: (profile) => (profile === "classic" ? "they are patterns" : undefined) });

  trial("clients of 2.x, whose ids are of another form, are reached by id", async (cluster) => {
    const nsp = namespace();
    const [, , old] = CLIENTS;
    const players = cluster.nodes.map((node) => new World(node, old, "websocket").player({ nsp }));
    await Promise.all(players.map((player) => player.is("connect")));
    const ids = await Promise.all(players.map(async (player) => (await player.ask("whoami"))[0].id));
    for (const [i, id] of ids.entries()) {
      const event = `direct ${i}`;
      await eventually(async () => {
        await players[(i + 1) % 3].ask("emit-to", { rooms: [id] }, event, []);
        await players[i].barrier();
        return players[i].of(event).length > 0 ? true : undefined;
      }, `an event for ${i}`);
      assert.deepEqual(players.map((player, j) => i === j || player.of(event).length), players.map((_, j) => i === j || 0));
    }
    for (const player of players) player.drop();
  }, {
    profiles: ["sharded-dynamic", "sharded-dynamic-private"],
    differs: (profile) => (profile === "sharded-dynamic" ? "they hear nothing" : undefined),
  });
}

/** A node that is made up, and responds three times to whoever asks for sockets. */
class Peer {
  responded = 0;

  static async join({ redis, nsp, prefix }) {
    const peer = new Peer();
    const uid = "00000000deadbeef";
    peer.ear = redis.client.duplicate();
    peer.ear.on("error", () => {});
    await peer.ear.connect();
    await peer.ear.sSubscribe(`${prefix}#${nsp}#`, async (text) => {
      const message = text.startsWith("{") ? JSON.parse(text) : {};
      if (message.type !== FETCH_SOCKETS) return;
      const handshake = { headers: {}, query: {}, auth: {} };
      const sockets = [{ id: "made up", handshake, rooms: ["made up"], data: {} }];
      const response = { type: FETCH_SOCKETS_RESPONSE, data: { requestId: message.data.requestId, sockets }, uid, nsp };
      for (const _ of range(3)) await redis.ask("SPUBLISH", `${prefix}#${nsp}#${message.uid}#`, JSON.stringify(response));
      peer.responded += 1;
    });
    return peer;
  }

  leave() {
    this.ear.destroy();
  }
}

const FETCH_SOCKETS = 7;
const FETCH_SOCKETS_RESPONSE = 8;

/** A client of a namespace on each node, in the room `r`. */
async function everywhere(cluster, nsp) {
  const players = cluster.nodes.map((node) => new World(node, CLIENTS[0], "websocket").player({ nsp }));
  await Promise.all(players.map(async (player) => (await player.is("connect"), player.ask("join", "r"))));
  return players;
}

/** The subscriptions of this moment, and a wait for so many. */
async function counting(cluster) {
  const holds = async (condition) => (condition(await subscriptions(cluster)) ? true : undefined);
  return {
    before: await subscriptions(cluster),
    until: (condition, what) => eventually(() => holds(condition), what),
  };
}

/** Channels and patterns that anybody has subscribed to. */
async function subscriptions({ redis }) {
  const channels = await redis.ask("PUBSUB", "CHANNELS");
  const sharded = await redis.ask("PUBSUB", "SHARDCHANNELS");
  return channels.length + sharded.length + Number(await redis.ask("PUBSUB", "NUMPAT"));
}

/** Connections to Redis. */
async function connections({ redis }) {
  return `${await redis.ask("CLIENT", "LIST")}`.trim().split("\n").length;
}

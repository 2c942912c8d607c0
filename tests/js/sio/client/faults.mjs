// Servers that do what none should.

import assert from "node:assert/strict";
import { scenario } from "./harness.mjs";
import { connected, dismisses, joins, script, session } from "./scripted.mjs";

/** Messages that are no packets, or come when none of their kind may. */
const MALFORMED = {
  "a packet of no type": ["49"],
  "an empty message": ["4"],
  "JSON that ends early": ['42["a"'],
  "an event that is no list": ['42{"a":1}'],
  "an event without a name": ["42[]"],
  "an event named by an object": ['42[{"a":1}]'],
  "an acknowledgement that is no list": ['430{"a":1}'],
  "attachments without a number": ['45-["a"]'],
  "an attachment that is missing": ['451-["a",{"_placeholder":true,"num":0}]', '42["b"]'],
  "an attachment that nothing has announced": [Buffer.from([1, 2, 3])],
  "a placeholder of no attachment": ['451-["a",{"_placeholder":true,"num":1}]', Buffer.from([1])],
};

export default function () {
  for (const [title, messages] of Object.entries(MALFORMED)) {
    const full = `${title} is a parse error, and the client comes back`;
    scenario("sio-websocket-malformed", full, {}, async (run) => {
      const { box, client, peer } = await connected(run);
      peer.send('42["before"]', ...messages);
      await comesBack(box, client);
      await client.printed([["before"]]);
    });
  }

  scenario("sio-websocket-malformed", "packets of a namespace that it has none of are ignored", {}, async (run) => {
    const { client, peer } = await connected(run);
    peer.send('42/other,["a"]', '40/other,{"sid":"x"}', "41/other,", '44/other,{"message":"no"}', '42["after"]');
    await client.printed([["after"]]);
    await dismisses(peer, client);
    assert.deepEqual(client.kinds, ["connect", "event", "done"]);
  });

  scenario("sio-websocket-malformed", "acknowledgements of nothing, or twice, are ignored", {}, async (run) => {
    const { client, peer } = await connected(run);
    peer.send('437["x"]', '42["cmd","emit-ack","asks",[]]');
    await peer.expect('420["asks"]');
    peer.send('430["first"]', '430["second"]', '42["after"]');
    await client.printed([["after"]]);
    assert.deepEqual(client.of("ack").map(({ args }) => args), [["first"]]);
    await dismisses(peer, client);
  });

  const differs = "it takes the second CONNECT for another connection";
  scenario("sio-websocket-malformed", "a namespace that is connected twice is a fault", { differs }, async (run) => {
    const { box, client, peer } = await connected(run);
    peer.send('40{"sid":"another"}');
    await comesBack(box, client);
  });

  scenario("sio-websocket-unanswered", "a client that the server never connects keeps its session", {}, async (run) => {
    const box = await script(run);
    const client = run.client(box.url);
    const peer = await session(box, { pingInterval: 100, pingTimeout: 10_000 });
    await peer.expect("40");
    for (let i = 0; i < 3; i++) {
      peer.send("2");
      await peer.expect("3");
    }
    assert.deepEqual(client.kinds, []);
    // It is patient.
    peer.send('40{"sid":"late"}');
    assert.equal((await client.event("connect")).id, "late");
    await dismisses(peer, client);
  });

  scenario("sio-websocket-v2-server", "a server of Socket.IO 2 is told apart", {}, async (run) => {
    const box = await script(run);
    const client = run.client(box.url);
    const peer = await session(box);
    // Unasked, and without an id.
    peer.send("40");
    await client.ends();
    assert.deepEqual(client.kinds, ["connect_error", "done"]);
    const [{ nsp, message, data }] = client.of("connect_error");
    assert.deepEqual([nsp, data], ["/", null]);
    assert.match(message, /v2|Socket\.IO 2/);
  });
}

/** The client leaves because of what it was sent, and connects again. */
async function comesBack(box, client) {
  assert.deepEqual(await client.event("disconnect"), { event: "disconnect", nsp: "/", reason: "parse error" });
  const peer = await session(box);
  await joins(peer);
  await client.lines("connect", 2);
  const kinds = client.kinds.filter((kind) => kind !== "event");
  assert.deepEqual(kinds, ["connect", "disconnect", "reconnect_attempt", "connect"]);
  await dismisses(peer, client);
}

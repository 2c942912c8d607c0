// Events and acknowledgements with the reference server, on each of the transports.

import assert from "node:assert/strict";
import { connected } from "./official.mjs";
import { MODES, scenario, shown } from "./harness.mjs";

/** Values that come unchanged both ways. */
const VALUES = ["a", "", "é€漢😀", 'quoted "text"\\ \u2028', 0, -1.5, 1e21, true, null, [], {}, [1, [2, ["x"]]], { a: { "b c": [null] } }];

const BYTES = Buffer.from([0, 1, 2, 0x1e, 0xff]);
const NESTED = { a: { b: [Buffer.from([1]), "text", Buffer.from([2, 3])] }, c: BYTES };
const LARGE = Buffer.alloc(50_000).map((_, i) => i);

export default function () {
  for (const mode of MODES) exchanges(mode);

  scenario("sio-websocket-ack-timeout", "an acknowledgement that is late is told once, and others come", {}, async (run) => {
    const { client, peer } = await connected(run);
    peer.answers = false;
    peer.tell("emit-ack", "late", [1], 100);
    await peer.received([["late", 1]]);
    const { late } = peer;
    assert.deepEqual(await client.event("ack"), { event: "ack", nsp: "/", name: "late", timeout: true });
    late("too late");
    peer.answers = true;
    peer.tell("emit-ack", "timely", [2], 10_000);
    assert.deepEqual((await client.lines("ack", 2))[1], { event: "ack", nsp: "/", name: "timely", args: [2] });
    await peer.dismisses(client);
    assert.equal(client.of("ack").length, 2);
  });

  const differs = "it keeps a volatile event for the next connection if it could write to the last one";
  scenario("sio-websocket-volatile", "a volatile event without a connection is dropped", { differs }, async (run) => {
    const { server, client, peer } = await connected(run);
    peer.tell("volatile-offline", "volatile", [1]);
    peer.tell("emit-offline", "kept", [2]);
    await peer.ask("told");
    peer.cut();
    const next = await server.accept();
    await next.received([["kept", 2]]);
    next.tell("emit", "last", []);
    await next.received([["kept", 2], ["last"]]);
    await next.dismisses(client);
  });
}

function exchanges(mode) {
  const each = (name, title, body) => {
    scenario(`sio-${mode}-${name}`, title, {}, async (run) => {
      const all = await connected(run);
      await body(all);
      await all.peer.dismisses(all.client);
    });
  };
  const upgraded = (peer) => mode === "upgrade" && peer.upgraded();

  each("basic", "the client connects, events come unchanged both ways, it leaves", async ({ client, peer, server }) => {
    const [line] = client.of("connect");
    if (mode === "upgrade") assert.ok(["polling", "websocket"].includes(line.transport));
    else assert.equal(line.transport, mode);
    assert.deepEqual(line, { event: "connect", nsp: "/", id: peer.id, recovered: false, transport: line.transport });
    const events = [["none"], ["all", ...VALUES], ...VALUES.map((value) => ["one", value]), ["é€漢😀 ", 1]];
    const exchange = async (times) => {
      for (const event of events) peer.emit(...event);
      await client.printed(Array(times).fill(events).flat());
      for (const [name, ...args] of events) peer.tell("emit", name, args);
      await peer.received(Array(times).fill(events).flat());
    };
    await exchange(1);
    await upgraded(peer);
    await exchange(2);
    assert.equal(server.accepted.all.length, 1);
    assert.equal(peer.socket.conn.transport.name, mode === "polling" ? "polling" : "websocket");
  });

  each("binary", "bytes come unchanged both ways, at any depth", async ({ client, peer }) => {
    await upgraded(peer);
    const events = [["one", BYTES], ["empty", Buffer.alloc(0)], ["nested", NESTED, null, [BYTES]], ["large", LARGE, 1]];
    for (const event of events) peer.emit(...event);
    await client.printed(events);
    for (const [name, ...args] of events) peer.tell("emit", name, args);
    await peer.received(events);
    assert.deepEqual(await peer.ask("asked", NESTED, BYTES), ["ack", NESTED, BYTES]);
    peer.tell("emit-ack", "asks", [BYTES, NESTED]);
    assert.deepEqual(await client.event("ack"), { event: "ack", nsp: "/", name: "asks", args: shown([BYTES, NESTED]) });
  });

  each("ack", "both sides acknowledge, whatever the order", async ({ client, peer }) => {
    await upgraded(peer);
    assert.deepEqual(await peer.ask("none"), ["ack"]);
    assert.deepEqual(await peer.ask("values", ...VALUES), ["ack", ...VALUES]);
    const numbers = Array.from({ length: 20 }, (_, i) => i);
    const answers = await Promise.all(numbers.map((i) => peer.ask("many", i)));
    assert.deepEqual(answers, numbers.map((i) => ["ack", i]));

    peer.tell("emit-ack", "nothing", []);
    peer.tell("emit-ack", "all", VALUES);
    const acks = await client.lines("ack", 2);
    assert.deepEqual(acks.map(({ nsp, name, args }) => [nsp, name, args]), [["/", "nothing", []], ["/", "all", VALUES]]);
    // The first of two is acknowledged last.
    peer.answers = false;
    peer.tell("emit-ack", "first", [1]);
    await peer.until(() => peer.all.at(-1)[0] === "first", "the event");
    const { late } = peer;
    peer.answers = true;
    peer.tell("emit-ack", "second", [2]);
    await client.lines("ack", 3);
    late("late", 1);
    await client.lines("ack", 4);
    assert.deepEqual(client.of("ack").slice(2).map(({ name, args }) => [name, args]), [["second", [2]], ["first", ["late", 1]]]);
  });

  each("burst", "bursts both ways arrive whole and in order, also during the upgrade", async ({ client, peer }) => {
    const events = Array.from({ length: 200 }, (_, i) => ["burst", i, i % 5 === 4 ? Buffer.from([i, 0]) : `${i}`]);
    for (const event of events) {
      peer.emit(...event);
      peer.tell("emit", event[0], event.slice(1));
    }
    await Promise.all([client.printed(events), peer.received(events)]);
    await upgraded(peer);
  });
}

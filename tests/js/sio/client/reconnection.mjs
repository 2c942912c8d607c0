// What the client does when its connection is lost, or cannot be made.

import { once } from "node:events";
import net from "node:net";
import assert from "node:assert/strict";
import { connected, official } from "./official.mjs";
import { MODES, scenario } from "./harness.mjs";
import { connected as scripted, dismisses, joins, openPacket, script, session } from "./scripted.mjs";

/** Pings come so often that a session meets several of them, and a client that is late by seconds still lives. */
const HEARTBEAT = { pingInterval: 100, pingTimeout: 10_000 };

/** How much earlier than asked for a timer may end: clocks are read in whole milliseconds. */
const ROUNDING = 2;

const RECOVERY = { connectionStateRecovery: { maxDisconnectionDuration: 60_000 } };

export default function () {
  for (const mode of MODES) losses(mode);
  for (const mode of ["websocket", "polling"]) recovery(mode);
  for (const mode of ["websocket", "polling"]) {
    scenario(`sio-${mode}-attempts`, "after three attempts to reconnect the client ends", {}, async (run) => {
      const client = run.client(`http://127.0.0.1:${await closedPort()}`);
      await client.ends([{ event: "reconnect_failed" }]);
      const attempts = [1, 2, 3].flatMap((n) => [`reconnect_attempt ${n}`, "connect_error"]);
      const shown = client.all.map(({ event, n }) => (n === undefined ? event : `${event} ${n}`));
      assert.deepEqual(shown, ["connect_error", ...attempts, "reconnect_failed", "done"]);
      for (const { nsp, message, data } of client.of("connect_error")) {
        assert.deepEqual([nsp, typeof message, data], ["/", "string", null]);
      }
    });
  }

  scenario("sio-websocket-attempts", "attempts are counted anew after each connection", {}, async (run) => {
    const { box, client, peer } = await scripted(run);
    peer.close();
    (await box.upgrades.next("the first attempt")).hangUp();
    (await box.upgrades.next("the second attempt")).hangUp();
    const again = await session(box);
    await joins(again);
    await client.lines("connect", 2);
    again.close();
    const last = await session(box);
    await joins(last);
    await client.lines("connect", 3);
    assert.deepEqual(client.of("reconnect_attempt").map(({ n }) => n), [1, 2, 3, 1]);
    await dismisses(last, client);
  });

  scenario("sio-websocket-backoff", "the client waits 100, 200, 400 and again 400 ms", {}, async (run) => {
    const { box, client, peer } = await scripted(run);
    let last = performance.now();
    peer.socket.destroy();
    const gaps = [];
    for (let i = 0; i < 5; i++) {
      const upgrade = await box.upgrades.next("an attempt");
      gaps.push(performance.now() - last);
      last = performance.now();
      upgrade.hangUp();
    }
    for (const [i, least] of [100, 200, 400, 400, 400].entries()) {
      assert.ok(gaps[i] >= least - ROUNDING, `the times between the attempts are ${gaps}`);
    }
    // Doubled without end they would be 800 and 1600 ms.
    assert.ok(gaps[3] < 800 && gaps[4] < 1600, `the times between the attempts are ${gaps}`);
    assert.deepEqual((await client.lines("reconnect_attempt", 5)).map(({ n }) => n), [1, 2, 3, 4, 5]);
  });

  scenario("sio-websocket-noreconnect", "the client ends when its connection is lost", {}, async (run) => {
    const { server, client, peer } = await connected(run);
    peer.cut();
    await client.ends([{ event: "disconnect", nsp: "/", reason: "transport close" }]);
    assert.deepEqual(client.kinds, ["connect", "disconnect", "done"]);
    assert.equal(server.accepted.all.length, 1);
  });

  scenario("sio-polling-timeout", "an attempt that takes too long is given up, and made again", {}, async (run) => {
    // The reference leaves the request of the first attempt alone, so that there are two at a time.
    const box = await script({ ...run, check: () => {} });
    // Before the client counts: this process may be late to learn of its request.
    const since = performance.now();
    const client = run.client(box.url);
    await box.gets.next("the first attempt");
    const second = await box.gets.next("the second attempt");
    const waited = performance.now() - since;
    assert.ok(waited >= 500, `the second attempt came after ${waited} ms`);
    second.answer(openPacket());
    const post = await box.posts.next("CONNECT");
    assert.deepEqual(post.packets, ["40"]);
    post.answer("ok");
    (await box.gets.next("a poll")).answer('40{"sid":"s"}');
    await client.event("connect");
    assert.deepEqual(client.kinds, ["connect_error", "reconnect_attempt", "connect"]);
  });

  scenario("sio-websocket-noping", "a server without a heartbeat is left, and tried again", {}, async (run) => {
    const { box, client } = await scripted(run, { pingInterval: 1000, pingTimeout: 1000 });
    const reason = "ping timeout";
    assert.deepEqual(await client.event("disconnect"), { event: "disconnect", nsp: "/", reason });
    const peer = await session(box);
    await joins(peer);
    await client.lines("connect", 2);
    assert.deepEqual(client.kinds, ["connect", "disconnect", "reconnect_attempt", "connect"]);
    await dismisses(peer, client);
  });
}

function losses(mode) {
  scenario(`sio-${mode}-reconnect`, "the client comes back, and what it has emitted meanwhile in order", {}, async (run) => {
    const { server, client, peer } = await connected(run);
    if (mode === "upgrade") await peer.upgraded();
    const events = Array.from({ length: 20 }, (_, i) => ["offline", i, i % 5 === 4 ? Buffer.from([i]) : "x"]);
    for (const [name, ...args] of events) peer.tell("emit-offline", name, args);
    await peer.ask("told");
    peer.cut();
    const next = await server.accept();
    assert.notEqual(next.id, peer.id);
    await next.received(events);
    await client.lines("connect", 2);
    assert.deepEqual(await client.event("disconnect"), { event: "disconnect", nsp: "/", reason: "transport close" });
    const kinds = client.kinds.filter((kind) => kind !== "event");
    assert.deepEqual(kinds, ["connect", "disconnect", "reconnect_attempt", "connect"]);
    const [, line] = client.of("connect");
    assert.deepEqual([line.id, line.recovered], [next.id, false]);
    next.emit("alive", 1);
    await client.printed([["told"], ["alive", 1]]);
    next.tell("emit", "alive", [2]);
    await next.received([...events, ["alive", 2]]);
    assert.deepEqual(await next.ask("asked", 3), ["ack", 3]);
    await next.dismisses(client);
  });

  scenario(`sio-${mode}-restart`, "the client finds a server that comes back on its port", {}, async (run) => {
    const { server, client, peer } = await connected(run);
    if (mode === "upgrade") await peer.upgraded();
    await server.crash();
    const { reason } = await client.event("disconnect");
    // A connection of polling is one request among others: that it was cut is an error.
    assert.ok(["transport close", "transport error"].includes(reason), reason);
    await client.event("connect_error");
    const again = await official(run, { port: server.port });
    const next = await again.accept();
    await client.lines("connect", 2);
    const attempts = client.of("reconnect_attempt").map(({ n }) => n);
    assert.deepEqual(attempts, attempts.map((_, i) => i + 1));
    assert.deepEqual(await next.ask("asked", 1), ["ack", 1]);
    await next.dismisses(client);
  });

  scenario(`sio-${mode}-heartbeat`, "pings are answered, and the session goes on", {}, async (run) => {
    const { server, client, peer } = await connected(run, HEARTBEAT);
    await peer.pongs.until(() => peer.pongs.all.length >= 5, "five pongs");
    assert.deepEqual(await peer.ask("asked", 1), ["ack", 1]);
    await peer.dismisses(client);
    assert.equal(server.accepted.all.length, 1);
    assert.equal(client.saw("disconnect"), false);
  });
}

function recovery(mode) {
  scenario(`sio-${mode}-recovery`, "the client gets what it has missed, before it is connected again", {}, async (run) => {
    const { server, client, peer } = await connected(run, RECOVERY);
    peer.socket.join("room");
    peer.socket.data.user = "anna";
    await seesOne(client, peer);
    peer.cut();
    await peer.reason();
    server.io.to("room").emit("missed", 1, Buffer.from([1, 2]));
    server.io.emit("missed", 2);
    const next = await server.accept();
    const [, line] = await client.lines("connect", 2);
    assert.deepEqual([line.id, line.recovered], [peer.id, true]);
    const missed = [["missed", 1, { $bin: "AQI=" }], ["missed", 2]];
    assert.deepEqual(withoutOffsets(client), [["before", 1], ...missed]);
    assert.deepEqual(client.kinds, ["connect", "event", "disconnect", "reconnect_attempt", "event", "event", "connect"]);
    assert.ok(next.socket.recovered);
    assert.deepEqual([next.socket.data, next.socket.rooms.has("room")], [{ user: "anna" }, true]);
    next.emit("after", 3);
    await client.lines("event", 4);
    assert.deepEqual(withoutOffsets(client).at(-1), ["after", 3]);
    await next.dismisses(client);
  });

  scenario(`sio-${mode}-recovery`, "a server that has forgotten the client takes it as a new one", {}, async (run) => {
    const { server, client, peer } = await connected(run, RECOVERY);
    await seesOne(client, peer);
    await server.crash();
    const again = await official(run, { port: server.port, ...RECOVERY });
    const next = await again.accept();
    const [, line] = await client.lines("connect", 2);
    assert.deepEqual([line.id, line.recovered], [next.id, false]);
    await next.dismisses(client);
  });
}

/** The client gets an event, without whose offset nothing is recovered. */
async function seesOne(client, peer) {
  peer.emit("before", 1);
  await client.event("event");
}

/** The events of the client. With recovery the server adds an offset to their arguments. */
function withoutOffsets(client) {
  return client.of("event").map(({ name, args }) => [name, ...args.slice(0, -1)]);
}

/** A port on which nothing listens. */
async function closedPort() {
  const server = net.createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

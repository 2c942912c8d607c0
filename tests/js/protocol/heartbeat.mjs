// The heartbeat: who pings, when a session ends for want of an answer, and that it survives an upgrade.
// pingInterval is 300 ms and pingTimeout 200 ms. Lower bounds are exact; upper bounds leave a busy machine its time.

import { describe } from "node:test";
import assert from "node:assert/strict";
import { Frames, gone, isGone, Polling, scenario } from "../harness.mjs";
import { pause } from "../waiting.mjs";

const INTERVAL = 300;
const BOTH = 500;
const SLACK = 3000;
const since = (start) => performance.now() - start;

/** Clocks of two processes, rounded to milliseconds, may disagree by a few of them. */
function assertTook(start, least) {
  const took = since(start);
  assert.ok(took > least - 15 && took < least + SLACK, `took ${Math.round(took)} ms, not ${least} ms`);
}

describe("heartbeat: revision 4", () => {
  scenario("WebSocket: a ping comes every interval, and silence ends the session", {}, async (server) => {
    const start = performance.now();
    const socket = await Frames.open(server, {}, { alive: false });
    assert.equal(await socket.text(), "2");
    assertTook(start, INTERVAL);
    socket.send("3");
    assert.equal(await socket.text(), "2");
    assertTook(start, 2 * INTERVAL);
    assert.deepEqual(await socket.next(), { close: 1005 });
    assertTook(start, INTERVAL + BOTH);
    await gone(server, socket.sid);
  });

  scenario("polling: a ping comes in the waiting poll, and silence ends the session", {}, async (server) => {
    const start = performance.now();
    const session = await Polling.open(server);
    assert.equal((await session.get()).text, "2");
    assertTook(start, INTERVAL);
    assert.equal((await session.get()).text, "1");
    assertTook(start, BOTH);
    await gone(server, session.sid);
  });

  scenario("polling: a session that is never polled ends", {}, async (server) => {
    const start = performance.now();
    const session = await Polling.open(server);
    await gone(server, session.sid);
    assertTook(start, BOTH);
  });

  scenario("an answer that comes in time keeps the session", {}, async (server) => {
    const session = await Polling.open(server);
    for (let beat = 0; beat < 4; beat++) {
      assert.equal((await session.get()).text, "2");
      await session.say("3");
    }
    assert.equal(await isGone(server, session.sid), false);
  });

  scenario("a ping of the client ends the session", {}, async (server) => {
    const socket = await Frames.open(server);
    socket.send("2");
    assert.equal(await socket.closed(), 1005);
    await gone(server, socket.sid);
  });

  scenario("a session that fell silent after its upgrade ends", {}, async (server) => {
    const session = await Polling.open(server);
    const start = performance.now();
    const socket = new Frames(server, { sid: session.sid }, { alive: false });
    await socket.opened;
    for (const frame of ["2probe", "5"]) socket.send(frame);
    assert.equal(await socket.text(), "3probe");
    assert.equal(await socket.text(), "2");
    assert.deepEqual(await socket.next(), { close: 1005 });
    assert.ok(since(start) < BOTH + SLACK);
    await gone(server, session.sid);
  });

  scenario("so does one whose upgrade met a ping on its way", { differs: "it has no heartbeat for ever" }, async (server) => {
    const session = await Polling.open(server);
    const socket = new Frames(server, { sid: session.sid }, { alive: false });
    await socket.opened;
    socket.send("2probe");
    assert.equal(await socket.text(), "3probe");
    for (let text = ""; text !== "2"; text = (await session.get()).text) assert.match(text, /^6?$/);
    socket.send("5");
    await socket.closed();
    await gone(server, session.sid);
  });

  scenario("the ping that met the upgrade may be answered on either side of it", {}, async (server) => {
    const session = await Polling.open(server);
    const socket = new Frames(server, { sid: session.sid }, { alive: false });
    await socket.opened;
    socket.send("2probe");
    assert.equal(await socket.text(), "3probe");
    for (let text = ""; text !== "2"; text = (await session.get()).text) assert.match(text, /^6?$/);
    for (const frame of ["5", "3"]) socket.send(frame);
    for (let beat = 0; beat < 3; beat++) {
      assert.equal(await socket.text(), "2");
      socket.send("3");
    }
    socket.drop();
  });
});

describe("heartbeat: revision 3", () => {
  const profile = "eio3";

  scenario("a silent session ends on polling", { profile }, async (server) => {
    const start = performance.now();
    const session = await Polling.open(server, { EIO: 3 });
    assert.equal((await session.get()).text, "1:1");
    assertTook(start, BOTH);
    await gone(server, session.sid, 3);
  });

  scenario("a silent session ends on WebSocket", { profile }, async (server) => {
    const start = performance.now();
    const socket = await Frames.open(server, { EIO: 3 });
    assert.deepEqual(await socket.next(), { close: 1005 });
    assertTook(start, BOTH);
  });

  scenario("pings keep the session, and the server sends none", { profile }, async (server) => {
    const socket = await Frames.open(server, { EIO: 3 });
    await every(200, 6, async () => {
      socket.send("2");
      assert.equal(await socket.text(), "3");
    });
    socket.drop();
  });

  scenario("any packet keeps the session", { profile, differs: "only pings do" }, async (server) => {
    const socket = await Frames.open(server, { EIO: 3 });
    await every(200, 6, async () => {
      socket.send("4here");
      assert.equal(await socket.text(), "4here");
    });
    socket.drop();
  });

  scenario("a session that fell silent after its upgrade ends", { profile, differs: "it never does" }, async (server) => {
    const session = await Polling.open(server, { EIO: 3 });
    const socket = new Frames(server, { EIO: 3, sid: session.sid });
    await socket.opened;
    for (const frame of ["2probe", "5"]) socket.send(frame);
    assert.equal(await socket.text(), "3probe");
    assert.deepEqual(await socket.next(), { close: 1005 });
    await gone(server, session.sid, 3);
  });

  scenario("a pong of the client ends the session", { profile }, async (server) => {
    const socket = await Frames.open(server, { EIO: 3 });
    socket.send("3");
    assert.equal(await socket.closed(), 1005);
  });
});

/** The pace of a client: a step, `n` times, one every `ms` milliseconds. */
async function every(ms, n, step) {
  for (let i = 0; i < n; i++) {
    await step();
    await pause(ms);
  }
}

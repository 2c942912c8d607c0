// The upgrade from polling to WebSocket, one step after the other, and each way in which it can go wrong.

import { describe } from "node:test";
import assert from "node:assert/strict";
import { assertRefused, Frames, gone, Polling, request, scenario, settle, target } from "../harness.mjs";

/** A second transport for the session. */
async function second(server, session, query = {}) {
  const socket = new Frames(server, { ...session.query, ...query, sid: session.sid });
  assert.equal((await socket.opened).status, 101);
  return socket;
}

/** A second transport whose probe has been answered. */
async function probed(server, session) {
  const socket = await second(server, session);
  socket.send("2probe");
  assert.equal(await socket.text("the answer to the probe"), "3probe");
  return socket;
}

async function assertAlive(session, text = "still on polling") {
  await session.say(`4${text}`);
  const packets = [];
  while (!packets.includes(`4${text}`)) {
    const poll = await session.poll();
    assert.equal(poll.status, 200, poll.text);
    packets.push(...poll.packets);
  }
  assert.deepEqual(packets.filter((packet) => packet !== "6"), [`4${text}`]);
}

async function assertUpgraded(server, session, socket) {
  socket.send("4on WebSocket");
  assert.equal(await socket.text("the echo on WebSocket"), "4on WebSocket");
  assertRefused(await session.get(), 3);
  assertRefused(await session.post("4a"), 3);
}

/** The WebSocket is opened and then closed, with no other frame, whatever it sends. */
async function assertClosed(socket, frames = []) {
  assert.equal((await socket.opened).status, 101);
  for (const frame of frames) socket.send(frame);
  await socket.closed();
  assert.deepEqual(socket.all.filter((frame) => frame.close === undefined), []);
}

describe("upgrade", () => {
  scenario("probe, answer, upgrade: then WebSocket is the transport", {}, async (server) => {
    const session = await Polling.open(server);
    const socket = await probed(server, session);
    socket.send("5");
    await assertUpgraded(server, session, socket);
    socket.drop();
    await gone(server, session.sid);
  });

  scenario("the waiting poll is let go with `6`", {}, async (server) => {
    const session = await Polling.open(server);
    const { poll } = await session.pending();
    const socket = await probed(server, session);
    assert.deepEqual((await poll).packets, ["6"]);
    socket.drop();
  });

  scenario("the waiting poll is let go at once", { differs: "up to 100 ms after the probe" }, async (server) => {
    // The least of several times: what a busy machine adds is no fault of the server.
    let least = Infinity;
    for (let i = 0; i < 5; i++) {
      const session = await Polling.open(server);
      const { poll } = await session.pending();
      const socket = await probed(server, session);
      const start = performance.now();
      await poll;
      least = Math.min(least, performance.now() - start);
      socket.drop();
    }
    assert.ok(least < 50, `after ${Math.round(least)} ms`);
  });

  scenario("so is every poll until the upgrade", {}, async (server) => {
    const session = await Polling.open(server);
    const socket = await probed(server, session);
    for (let i = 0; i < 4; i++) assert.deepEqual((await session.poll()).packets, ["6"]);
    socket.send("5");
    await assertUpgraded(server, session, socket);
    socket.drop();
  });

  scenario("a poll that waits when the upgrade comes is answered", {}, async (server) => {
    const session = await Polling.open(server);
    const socket = await probed(server, session);
    const get = session.get();
    await settle(server);
    socket.send("5");
    const { status, text } = await get;
    assert.equal(status, 200);
    assert.match(text, /^[16]$/); // a client pays no attention to it any more
    await assertUpgraded(server, session, socket);
    socket.drop();
  });

  scenario("polling goes on delivering while the probe is under way", {}, async (server) => {
    const session = await Polling.open(server);
    const socket = await second(server, session);
    await assertAlive(session, "before the probe");
    socket.send("2probe");
    assert.equal(await socket.text(), "3probe");
    await assertAlive(session, "after the probe");
    socket.send("5");
    await assertUpgraded(server, session, socket);
    socket.drop();
  });

  scenario("what waits at the upgrade comes on WebSocket, in order", {}, async (server) => {
    const session = await Polling.open(server);
    const socket = await probed(server, session);
    await session.say("4!burst 50");
    await session.say("4after the burst\u001ebAQID");
    socket.send("5");
    for (let i = 0; i < 50; i++) assert.equal(await socket.text(), `4burst-${i}`);
    assert.equal(await socket.text(), "4after the burst");
    assert.deepEqual((await socket.next()).binary, Buffer.from([1, 2, 3]));
    socket.drop();
  });

  scenario("frames right behind the upgrade are messages", {}, async (server) => {
    const session = await Polling.open(server);
    const socket = await probed(server, session);
    for (const frame of ["5", "4one", "4two"]) socket.send(frame);
    assert.equal(await socket.text(), "4one");
    assert.equal(await socket.text(), "4two");
    socket.drop();
  });

  scenario("a probe may be repeated", {}, async (server) => {
    const session = await Polling.open(server);
    const socket = await probed(server, session);
    socket.send("2probe");
    assert.equal(await socket.text(), "3probe");
    socket.send("5");
    await assertUpgraded(server, session, socket);
    socket.drop();
  });

  scenario("revision 3 upgrades in the same way", { profile: "eio3" }, async (server) => {
    const session = await Polling.open(server, { EIO: 3 });
    const { poll } = await session.pending();
    const socket = await probed(server, session);
    assert.equal((await poll).text, "1:6");
    socket.send("5");
    socket.send(Buffer.from([4, 9]));
    assert.deepEqual((await socket.next()).binary, Buffer.from([4, 9]));
    socket.drop();
  });

  scenario("the b64 of the upgrade request counts", {}, async (server) => {
    const session = await Polling.open(server);
    const socket = await second(server, session, { b64: 1 });
    for (const frame of ["2probe", "5", "4!bin 3"]) socket.send(frame);
    assert.equal(await socket.text(), "3probe");
    assert.equal(await socket.text(), "bAAEC");
    socket.drop();
  });
});

describe("upgrade: what goes wrong costs only the WebSocket", () => {
  for (const frames of [["4hi"], ["2"], ["x"], [""], ["6"], ["3probe"], ["2probe", "4hi"], ["2probe", "2"]]) {
    scenario(`frames that are no probe: ${JSON.stringify(frames)}`, {}, async (server) => {
      const session = await Polling.open(server);
      const socket = await second(server, session);
      for (const frame of frames) socket.send(frame);
      await socket.closed();
      await assertAlive(session);
      const retry = await probed(server, session);
      retry.send("5");
      await assertUpgraded(server, session, retry);
      retry.drop();
    });
  }

  scenario("an upgrade without a probe", { differs: "it upgrades" }, async (server) => {
    const session = await Polling.open(server);
    const socket = await second(server, session);
    socket.send("5");
    await socket.closed();
    await assertAlive(session);
  });

  for (const step of ["before the probe", "after the probe"]) {
    scenario(`the WebSocket is lost ${step}`, {}, async (server) => {
      const session = await Polling.open(server);
      for (let i = 0; i < 3; i++) {
        const socket = step === "before the probe" ? await second(server, session) : await probed(server, session);
        socket.drop();
        await assertAlive(session);
      }
      const retry = await probed(server, session);
      retry.send("5");
      await assertUpgraded(server, session, retry);
      retry.drop();
    });
  }

  for (const probe of [false, true]) {
    scenario(`an upgrade that takes too long ${probe ? "after" : "without"} its probe`, { profile: "opts" }, async (server) => {
      const session = await Polling.open(server);
      const start = performance.now();
      const socket = await second(server, session);
      if (probe) socket.send("2probe");
      let over = false;
      const closed = socket.closed("the end of the upgradeTimeout of 400 ms").then(() => (over = true));
      while (!over) {
        // Polls as a client does, which also keeps the heartbeat going; each round is answered.
        await session.say("4tick");
        assert.ok((await session.poll()).packets.every((packet) => packet === "4tick" || packet === "6"));
      }
      await closed;
      const took = performance.now() - start;
      assert.ok(took > 390 && took < 3000, `after ${Math.round(took)} ms`);
      const packets = [];
      await session.say("4last");
      while (!packets.includes("4last")) packets.push(...(await session.poll()).packets);
      assert.deepEqual(packets.filter((packet) => !["6", "4tick"].includes(packet)), ["4last"]);
    });
  }

  scenario("the session ends while a probe is under way", {}, async (server) => {
    const session = await Polling.open(server);
    const socket = await probed(server, session);
    await session.say("1");
    await socket.closed();
    await gone(server, session.sid);
  });

  scenario("the server closes while a probe is under way", {}, async (server) => {
    const session = await Polling.open(server);
    const socket = await probed(server, session);
    await session.say("4!close");
    socket.send("5");
    await socket.closed();
    await gone(server, session.sid);
  });
});

describe("upgrade: one WebSocket per session", () => {
  scenario("a second one during the probe is closed and leaves the first unharmed", {}, async (server) => {
    const session = await Polling.open(server);
    const first = await probed(server, session);
    await assertClosed(new Frames(server, { sid: session.sid }));
    first.send("5");
    await assertUpgraded(server, session, first);
    first.drop();
  });

  scenario("a second one after the upgrade is closed and leaves the first unharmed", {}, async (server) => {
    const session = await Polling.open(server);
    const first = await probed(server, session);
    first.send("5");
    await assertUpgraded(server, session, first);
    for (let i = 0; i < 3; i++) await assertClosed(new Frames(server, { sid: session.sid }));
    await assertUpgraded(server, session, first);
    first.drop();
  });

  scenario("a second one on a session that began on WebSocket is closed", { differs: "it takes the session over" }, async (server) => {
    const first = await Frames.open(server);
    await assertClosed(new Frames(server, { sid: first.sid }), ["2probe", "5", "4stray"]);
    first.send("4still mine");
    assert.equal(await first.text(), "4still mine");
    first.drop();
  });

  scenario("where upgrades are off they are refused", { profile: "noupgrade", differs: "it only does not offer them" }, async (server) => {
    const session = await Polling.open(server);
    assertRefused(await new Frames(server, { sid: session.sid }).opened, 3);
    await assertAlive(session);
  });

  scenario("where upgrades are off WebSocket is still a transport", { profile: "noupgrade" }, async (server) => {
    const socket = await Frames.open(server);
    socket.send("4hello");
    assert.equal(await socket.text(), "4hello");
    socket.drop();
  });

  scenario("many sessions upgrade at the same time", {}, async (server) => {
    await Promise.all(Array.from({ length: 30 }, async (_, i) => {
      const session = await Polling.open(server);
      const socket = await probed(server, session);
      await session.say(`4${i}`);
      socket.send("5");
      assert.equal(await socket.text(), `4${i}`);
      socket.drop();
    }));
    assert.equal((await request(server, target(server))).status, 200);
  });
});

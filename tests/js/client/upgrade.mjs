// The upgrade from polling to WebSocket, one step after the other, and each way in which it can go wrong: whatever happens
// to the WebSocket before `5`, the session lives on polling.

import assert from "node:assert/strict";
import { within } from "../waiting.mjs";
import { numbered, scenario } from "./harness.mjs";
import {
  endsOnWebSocket, frame, head, livesAndEnds, livesOnPolling, livesOnWebSocket, onPolling, SEPARATOR,
} from "./script.mjs";

/** Answers to the upgrade request that refuse it. */
const REFUSALS = {
  "400": (upgrade) => upgrade.answer('{"code":3,"message":"Bad request"}', { status: 400, headers: { Connection: "close" } }),
  "403": (upgrade) => upgrade.answer("", { status: 403 }),
  "404": (upgrade) => upgrade.answer("not here", { status: 404 }),
  "503": (upgrade) => upgrade.answer("", { status: 503, headers: { Connection: "close" } }),
  "200": (upgrade) => upgrade.answer("ok"),
  "another Sec-WebSocket-Accept": (upgrade) => upgrade.raw(upgrade.accepting({ "Sec-WebSocket-Accept": "AAAA" })),
  "no Sec-WebSocket-Accept": (upgrade) => upgrade.raw(head("101 Switching Protocols", { Upgrade: "websocket", Connection: "Upgrade" })),
  "no HTTP": (upgrade) => upgrade.raw("garbage\r\n\r\n"),
};

const HANGUPS = {
  "before the answer": (upgrade) => upgrade.hangUp(),
  "by a reset": (upgrade) => upgrade.socket.resetAndDestroy(),
  "in the head": (upgrade) => upgrade.hangUp(upgrade.accepting().slice(0, 50)),
  "behind the 101": (upgrade) => upgrade.hangUp(upgrade.accepting()),
  "behind the probe": async (upgrade) => {
    const peer = upgrade.accept();
    await peer.expect("2probe");
    peer.socket.end();
  },
  "behind the probe, with a Close frame": async (upgrade) => {
    const peer = upgrade.accept();
    await peer.expect("2probe");
    peer.close(1001);
  },
  "in the answer to the probe": async (upgrade) => {
    const peer = upgrade.accept();
    await peer.expect("2probe");
    peer.socket.end(frame(1, "3probe").subarray(0, 4));
  },
};

/** What comes instead of `3probe`. */
const BAD_PROBES = {
  "another pong": frame(1, "3wrong"),
  "a bare pong": frame(1, "3"),
  "the probe itself": frame(1, "2probe"),
  "a message": frame(1, "4hi"),
  "an upgrade": frame(1, "5"),
  "a noop": frame(1, "6"),
  "an unknown packet type": frame(1, "9"),
  "an empty text": frame(1, ""),
  "a binary message": frame(2, "3probe"),
};

const GARBAGE = {
  "a masked frame": frame(1, "3probe", { mask: true }),
  "a reserved bit": frame(1, "3probe", { reserved: 4 }),
  "a reserved opcode": frame(5, "3probe"),
  "text that is not UTF-8": frame(1, Buffer.from([0x33, 0xff])),
  "no frame": Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
};

export default function () {
  steps();
  failures();
  stalls();
  closes();
}

/** A session on polling whose upgrade request waits for an answer. */
async function asking(run, changes = {}) {
  const { box, client } = await onPolling(run, { upgrades: ["websocket"], ...changes });
  return { box, client, upgrade: await box.upgrades.next("the upgrade request") };
}

/** A session on polling whose probe waits for an answer. */
async function probing(run, changes) {
  const { box, client, upgrade } = await asking(run, changes);
  const peer = upgrade.accept();
  await peer.expect("2probe");
  return { box, client, upgrade, peer };
}

/** The probe has been answered; the client waits for the answer of its poll before it sends `5`. */
async function pausing(run, changes) {
  const start = await probing(run, changes);
  const poll = await start.box.gets.next("the poll");
  start.peer.send("3probe");
  await start.peer.settle();
  return { ...start, poll };
}

/** The session lived on polling to its end, and there was one attempt. */
async function stayedOnPolling(box, client) {
  await livesAndEnds(box, client);
  assert.equal(client.saw("upgrade"), false);
  assert.equal(box.upgrades.all.length, 1);
}

/** The session is on WebSocket, works, and no request on polling comes any more. */
async function movedToWebSocket(box, peer, client) {
  assert.deepEqual(await client.event("upgrade"), { event: "upgrade", transport: "websocket" });
  const before = box.gets.all.length + box.posts.all.length;
  await livesOnWebSocket(peer, client);
  await endsOnWebSocket(peer, client);
  assert.equal(box.gets.all.length + box.posts.all.length + box.closes, before);
}

function steps() {
  scenario("eio-upgrade-basic", "request, probe, answer, pause, upgrade", {}, async (run) => {
    const { box, client, upgrade, peer, poll } = await pausing(run);
    assert.deepEqual(["EIO", "transport", "sid"].map((name) => upgrade.query.get(name)), ["4", "websocket", "abc"]);
    assert.equal(upgrade.path, "/engine.io/");
    poll.answer("6");
    await peer.expect("5");
    await movedToWebSocket(box, peer, client);
  });

  scenario("eio-upgrade-basic", "polling goes on until the probe is answered", {}, async (run) => {
    const { box, client, peer } = await probing(run);
    for (const text of ["a", "b", "c"]) await livesOnPolling(box, client, text);
    // A noop lets the poll go, and the next one comes.
    (await box.gets.next()).answer("6");
    const poll = await box.gets.next();
    peer.send("3probe");
    await peer.settle();
    poll.answer("6");
    await peer.expect("5");
    await movedToWebSocket(box, peer, client);
  });

  scenario("eio-upgrade-basic", "no poll starts between the answer to the probe and the upgrade", {}, async (run) => {
    const { box, client, peer, poll } = await pausing(run);
    const polls = box.gets.all.length;
    poll.answer("4last of polling");
    await peer.expect("5");
    await client.printed(["last of polling"]);
    await movedToWebSocket(box, peer, client);
    assert.equal(box.gets.all.length, polls);
  });

  scenario("eio-upgrade-order", "a post under way is waited for", {}, async (run) => {
    const { box, client, peer } = await probing(run);
    (await box.gets.next()).answer("4!send a");
    const post = await box.posts.next();
    const poll = await box.gets.next();
    peer.send("3probe");
    await peer.settle();
    poll.answer("4!send b");
    await peer.settle();
    assert.deepEqual(peer.all.filter((item) => item.text !== undefined), [{ text: "2probe" }]);
    post.answer("ok");
    await peer.expect("5");
    await peer.expect("4b");
    assert.equal(post.body, "4a");
    await movedToWebSocket(box, peer, client);
  });

  scenario("eio-upgrade-order", "what is sent in the pause goes out on WebSocket, behind `5`", {}, async (run) => {
    const { box, client, peer, poll } = await pausing(run);
    poll.answer(["4!burst 100", "4printed"].join(SEPARATOR));
    await peer.expect("5");
    for (const message of numbered(100, { binary: true })) {
      assert.deepEqual(await peer.next(), typeof message === "string" ? { text: `4${message}` } : { binary: message });
    }
    await movedToWebSocket(box, peer, client);
  });

  scenario("eio-upgrade-order", "a ping in the last poll is answered on WebSocket", {}, async (run) => {
    const { box, client, peer, poll } = await pausing(run);
    poll.answer(["4a", "2", "4b"].join(SEPARATOR));
    await peer.expect("5");
    await peer.expect("3");
    await client.printed(["a", "b"]);
    await movedToWebSocket(box, peer, client);
  });

  scenario("eio-upgrade-order", "what comes in the last poll is printed before what comes behind `5`", {}, async (run) => {
    const { box, client, peer, poll } = await pausing(run);
    const [first, second] = [numbered(300), numbered(300, { name: "w" })];
    poll.answer(first.map((text) => `4${text}`).join(SEPARATOR));
    await peer.expect("5");
    peer.raw(Buffer.concat(second.map((text) => frame(1, `4${text}`))));
    await client.printed([...first, ...second]);
    await movedToWebSocket(box, peer, client);
  });

  scenario("eio-upgrade-order", "a late answer to the probe, byte by byte", {}, async (run) => {
    const { box, client, peer } = await probing(run);
    for (const text of ["a", "b", "c", "d", "e", "f"]) await livesOnPolling(box, client, text);
    const poll = await box.gets.next();
    await peer.pieces(Array.from(frame(1, "3probe"), (byte) => Buffer.from([byte])));
    await peer.settle();
    poll.answer("6");
    await peer.expect("5");
    await movedToWebSocket(box, peer, client);
  });

  for (const [title, upgrades] of Object.entries({ nothing: [], "what the client does not know": ["webtransport", "h3", "polling"] })) {
    scenario("eio-upgrade-not-offered", `the server offers ${title}`, {
      differs: upgrades.includes("polling") && "it probes polling, which it is on",
    }, async (run) => {
      const { box, client } = await onPolling(run, { upgrades });
      for (const text of ["a", "b", "c"]) await livesOnPolling(box, client, text);
      await livesAndEnds(box, client);
      assert.equal(box.upgrades.all.length, 0);
    });
  }
  scenario("eio-upgrade-not-offered", "the server does not say", { differs: "an exception ends the process" }, async (run) => {
    const { box, client } = await onPolling(run, { upgrades: undefined });
    await livesAndEnds(box, client);
    assert.equal(box.upgrades.all.length, 0);
  });
  scenario("eio-polling-basic", "the server offers an upgrade to a client that is for polling only", {}, async (run) => {
    const { box, client } = await onPolling(run, { upgrades: ["websocket"] });
    for (const text of ["a", "b", "c"]) await livesOnPolling(box, client, text);
    await livesAndEnds(box, client);
    assert.equal(box.upgrades.all.length, 0);
  });
}

function failures() {
  for (const [name, cases] of Object.entries({ "eio-upgrade-refused": REFUSALS, "eio-upgrade-hangup": HANGUPS })) {
    for (const [title, fail] of Object.entries(cases)) {
      scenario(name, title, {}, async (run) => {
        const { box, client, upgrade } = await asking(run);
        await livesOnPolling(box, client, "before");
        await fail(upgrade);
        await livesOnPolling(box, client, "after");
        await stayedOnPolling(box, client);
      });
    }
  }

  for (const [title, close] of Object.entries({
    "behind the answer to the probe": (peer) => peer.socket.end(frame(1, "3probe")),
    "in the pause": async (peer) => (peer.send("3probe"), await peer.settle(), peer.socket.end()),
    "in the pause, with a Close frame": async (peer) => (peer.send("3probe"), await peer.settle(), peer.close(1001)),
  })) {
    scenario("eio-upgrade-hangup", title, { differs: "it stays paused for ever" }, async (run) => {
      const { box, client, peer } = await probing(run);
      await close(peer);
      await peer.lost();
      await stayedOnPolling(box, client);
    });
  }

  scenario("eio-upgrade-hangup", "behind `5`: now WebSocket is the session", {}, async (run) => {
    const { client, peer, poll } = await pausing(run);
    poll.answer("6");
    await peer.expect("5");
    peer.socket.end();
    await client.ends("transport close");
    assert.equal(client.saw("upgrade"), true);
  });

  for (const [name, cases] of Object.entries({ "eio-upgrade-bad-probe": BAD_PROBES, "eio-upgrade-garbage": GARBAGE })) {
    for (const [title, bytes] of Object.entries(cases)) {
      scenario(name, title, {}, async (run) => {
        const { box, client, peer } = await probing(run);
        peer.raw(bytes);
        for (const text of ["a", "b"]) await livesOnPolling(box, client, text);
        await stayedOnPolling(box, client);
        assert.deepEqual(client.of("message").map((line) => line.data), ["a", "b", "alive"].map((text) => `printed ${text}`));
      });
    }
  }

  scenario("eio-upgrade-bad-probe", "the WebSocket of a failed probe is closed", { differs: "it leaves it open" }, async (run) => {
    const { box, client, peer } = await probing(run);
    peer.raw(frame(1, "3wrong"));
    await peer.lost();
    await stayedOnPolling(box, client);
  });

  scenario("eio-upgrade-bad-probe", "`3probe` behind a wrong answer changes nothing", {}, async (run) => {
    const { box, client, peer } = await probing(run);
    peer.send("4hi", "3probe");
    await livesOnPolling(box, client, "a");
    await stayedOnPolling(box, client);
    assert.equal(peer.all.some((item) => item.text === "5"), false);
  });
}

function stalls() {
  for (const [title, start] of Object.entries({ "the upgrade request": asking, "the probe": probing })) {
    scenario("eio-upgrade-stall", `no answer to ${title}: polling goes on`, {}, async (run) => {
      const { box, client } = await start(run);
      for (const text of ["a", "b", "c"]) await livesOnPolling(box, client, text);
      await stayedOnPolling(box, client);
    });

    scenario("eio-upgrade-stall", `no answer to ${title}: it is given up after 10 s`, { differs: "it waits for ever" }, async (run) => {
      const since = Date.now();
      const { box, client, upgrade } = await start(run);
      await upgrade.lost(13_000);
      assert.ok(Date.now() - since > 5000, "too early for a slow network");
      await stayedOnPolling(box, client);
    });
  }

  scenario("eio-upgrade-stall", "no ping comes while the probe stalls: the session ends, and its WebSocket", {}, async (run) => {
    const { client, upgrade } = await probing(run, { pingInterval: 1000, pingTimeout: 1000 });
    const lost = upgrade.lost();
    await client.ends("ping timeout");
    await lost;
  });
}

function closes() {
  for (const [title, start] of Object.entries({ "the upgrade request": asking, "the probe": probing })) {
    scenario("eio-upgrade-close", `the client closes during ${title}`, {}, async (run) => {
      const { box, client, upgrade } = await start(run);
      const lost = upgrade.lost();
      (await box.gets.next()).answer("4!close");
      await client.ends("forced close");
      await lost;
      assert.equal(box.closes, 1);
    });

    scenario("eio-upgrade-close", `the client sends and closes during ${title}`, {}, async (run) => {
      const { box, client } = await start(run);
      (await box.gets.next()).answer("4!burst-close 3");
      const sent = [];
      while (sent.length < 3) {
        const post = await box.posts.next();
        sent.push(...post.packets.filter((packet) => packet !== "1"));
        post.answer("ok");
      }
      assert.deepEqual(sent, numbered(3).map((text) => `4${text}`));
      await client.ends("forced close");
      assert.equal(box.closes, 1);
    });

    scenario("eio-upgrade-close", `the server closes during ${title}`, {}, async (run) => {
      const { box, client, upgrade } = await start(run);
      const lost = upgrade.lost();
      (await box.gets.next()).answer(["4last", "1"].join(SEPARATOR));
      await client.ends("transport close");
      await client.printed(["last"]);
      await lost;
    });

    scenario("eio-upgrade-close", `a poll fails during ${title}`, {}, async (run) => {
      const { box, client, upgrade } = await start(run);
      const lost = upgrade.lost();
      (await box.gets.next()).answer("", { status: 500 });
      await client.ends("transport error");
      await lost;
    });
  }

  scenario("eio-upgrade-close", "the client closes in the pause", {}, async (run) => {
    const { client, peer, poll } = await pausing(run);
    poll.answer("4!close");
    await client.ends("forced close");
    await within(peer.lost(), "the end of the connection");
  });

  scenario("eio-upgrade-close", "the client sends and closes in the pause: all of it arrives", {}, async (run) => {
    const { client, peer, poll } = await pausing(run);
    poll.answer("4!burst-close 20");
    await peer.expect("5");
    for (const text of numbered(20)) await peer.expect(`4${text}`);
    assert.ok("close" in (await peer.next("the Close frame")));
    await client.ends("forced close");
  });

  scenario("eio-upgrade-close", "the server closes in the pause, on polling", {}, async (run) => {
    const { client, peer, poll } = await pausing(run);
    poll.answer(["4last", "1"].join(SEPARATOR));
    await client.ends("transport close");
    await client.printed(["last"]);
    await within(peer.lost(), "the end of the connection");
  });

  scenario("eio-upgrade-close", "the server closes right behind `5`", {}, async (run) => {
    const { client, peer, poll } = await pausing(run);
    poll.answer("6");
    await peer.expect("5");
    peer.send("4last");
    peer.close();
    await client.ends("transport close");
    await client.printed(["last"]);
  });
}

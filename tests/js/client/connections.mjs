// What servers and proxies do to connections: they close them when they like, send requests elsewhere, and answer early
// or not at all.

import assert from "node:assert/strict";
import { pause } from "../waiting.mjs";
import { scenario } from "./harness.mjs";
import {
  endsOnPolling, endsOnWebSocket, frame, livesAndEnds, livesOnPolling, livesOnWebSocket, onPolling, onWebSocket, openPacket,
  script,
} from "./script.mjs";

/** Times for which a server keeps a connection, the client's own pause among them. */
const KEPT_FOR = [0, 1, 24, 25, 26, 50];

const REDIRECTS = [301, 302, 303, 307, 308];

/** A close that nobody answers: 2 s, and as much for a slow machine. */
const SOON = 4000;

export default function () {
  for (const time of KEPT_FOR) {
    scenario("eio-polling-keepalive-close", `a connection is kept for ${time} ms, and nothing is lost`, {}, async (run) => {
      const { box, client } = await onPolling(run);
      box.keepAlive = time;
      for (let i = 0; i < 30; i++) {
        await pause([0, 1, 25, time][i % 4]);
        (await box.gets.next()).answer(`4!send ${i}`);
        const post = await box.posts.next();
        assert.equal(post.body, `4${i}`);
        await pause([0, 25, time][i % 3]);
        post.answer("ok");
      }
      await livesAndEnds(box, client);
    });
  }

  const anew = "each of its requests is redirected anew, and 301, 308 and relative addresses are none for it";

  for (const status of REDIRECTS) {
    scenario("eio-polling-redirect", `the handshake is answered with ${status}`, { differs: anew }, async (run) => {
      const box = await script(run);
      const client = run.client(`${box.url}/?a=b`);
      (await box.gets.next()).answer("moved", { status, headers: { Location: "/else/where?a=b" } });
      const first = await box.gets.next("the handshake, once more");
      first.answer(openPacket());
      await client.event("open");
      await livesAndEnds(box, client);
      for (const { path, query } of [first, ...box.gets.all.slice(2), ...box.posts.all]) {
        assert.equal(path, "/else/where");
        assert.deepEqual([query.get("a"), query.get("EIO"), query.get("transport")], ["b", "4", "polling"]);
      }
    });
  }

  scenario("eio-upgrade-redirect", "to another host, which gets the WebSocket", { differs: anew }, async (run) => {
    const [box, other] = [await script(run), await script(run)];
    const client = run.client(box.url);
    const headers = { Location: `${other.url}/there/`, "Set-Cookie": "a=1; Path=/" };
    (await box.gets.next()).answer("", { status: 307, headers });
    const first = await other.gets.next("the handshake");
    assert.equal(first.headers.host, `127.0.0.1:${other.port}`);
    first.answer(openPacket({ upgrades: ["websocket"] }));
    const upgrade = await other.upgrades.next();
    assert.equal(upgrade.path, "/there/");
    const peer = upgrade.accept();
    await peer.expect("2probe");
    peer.send("3probe");
    (await other.gets.next()).answer("6");
    await peer.expect("5");
    await livesOnWebSocket(peer, client);
    await endsOnWebSocket(peer, client);
    assert.equal(box.gets.all.length, 1);
  });

  scenario("eio-polling-redirect", "in circles", { differs: "it follows for ever" }, async (run) => {
    const box = await script(run);
    const client = run.client(box.url);
    const circle = (async () => {
      for (;;) (await box.gets.next()).answer("", { status: 302, headers: { Location: "/engine.io/" } });
    })();
    circle.catch(() => {});
    assert.match(await client.fails(), /redirect/);
    assert.equal(box.gets.all.length, 21);
  });

  scenario("eio-polling-redirect", "a poll of an open session", { differs: anew }, async (run) => {
    const { box, client } = await onPolling(run);
    await livesOnPolling(box, client);
    (await box.gets.next()).answer("", { status: 302, headers: { Location: "/else/" } });
    const poll = await box.gets.next();
    assert.deepEqual([poll.path, poll.query.get("sid")], ["/else/", "abc"]);
    poll.answer("4!send a");
    const post = await box.posts.next();
    assert.equal(post.path, "/else/");
    post.answer("ok");
    await endsOnPolling(box, client);
  });

  for (const status of [401, 413, 502]) {
    scenario("eio-polling-post-error", `${status} comes long before the end of a post, and the connection ends`, {}, async (run) => {
      const { box, client } = await onPolling(run);
      box.early = (post) => (post.answer("", { status, headers: { Connection: "close" } }), true);
      (await box.gets.next()).answer("4!text 20000000");
      const since = Date.now();
      await client.ends("transport error");
      assert.ok(Date.now() - since < SOON, `after ${Date.now() - since} ms`);
    });
  }

  scenario("eio-polling-server-close", "the close packet is never answered", {}, async (run) => {
    const { box, client } = await onPolling(run);
    box.early = () => true;
    (await box.gets.next()).answer("4!close");
    const since = Date.now();
    await client.ends("forced close");
    assert.ok(Date.now() - since < SOON, `after ${Date.now() - since} ms`);
  });

  scenario("eio-websocket-violation", "the end is told at once, though the server leaves the connection open", {}, async (run) => {
    const { client, peer, upgrade } = await onWebSocket(run);
    upgrade.keepsOpen = peer.silent = true;
    peer.raw(frame(1, "4masked", { mask: true }));
    const since = Date.now();
    await client.event("close");
    assert.ok(Date.now() - since < 1000, `after ${Date.now() - since} ms`);
    await client.ends("transport error");
  });

  scenario("eio-websocket-ping-timeout", "the end is told at once, though the server leaves the connection open", {}, async (run) => {
    const { client, peer, upgrade } = await onWebSocket(run, { pingInterval: 200, pingTimeout: 200 });
    upgrade.keepsOpen = peer.silent = true;
    const since = Date.now();
    await client.event("close");
    assert.ok(Date.now() - since < 1400, `after ${Date.now() - since} ms`);
    await client.ends("ping timeout");
  });

  scenario("eio-websocket-slow-frame", "a frame that takes longer than the heartbeat is no silence", {
    differs: "its heartbeat counts pings only",
  }, async (run) => {
    const { client, peer } = await onWebSocket(run, { pingInterval: 1000, pingTimeout: 1000 });
    const message = "x".repeat(200_000);
    const bytes = frame(1, `4${message}`);
    // 50 kB a second.
    for (let at = 0; at < bytes.length; at += 5000) {
      peer.raw(bytes.subarray(at, at + 5000));
      await pause(100);
    }
    await client.printed([message]);
    await endsOnWebSocket(peer, client);
  });

  scenario("eio-polling-slow-body", "a body that takes longer than the heartbeat is no silence", {
    differs: "its heartbeat counts pings only",
  }, async (run) => {
    const { box, client } = await onPolling(run, { pingInterval: 1000, pingTimeout: 1000 });
    const message = "x".repeat(200_000);
    const get = await box.gets.next();
    get.settled();
    get.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${message.length + 1}\r\n\r\n4`);
    for (let at = 0; at < message.length; at += 5000) {
      get.socket.write(message.slice(at, at + 5000));
      await pause(100);
    }
    await client.printed([message]);
    await endsOnPolling(box, client);
  });
}

// The handshake, on either transport.

import { describe } from "node:test";
import assert from "node:assert/strict";
import { Frames, Polling, raw, request, scenario, target } from "../harness.mjs";

const COMMON = { pingInterval: 300, pingTimeout: 200 };

describe("handshake", () => {
  scenario("polling: status, headers, and the open packet alone", {}, async (server) => {
    const { status, headers, text, bytes } = await request(server, target(server));
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "text/plain; charset=UTF-8");
    assert.equal(headers["cache-control"], "no-store");
    assert.equal(headers["content-length"], String(bytes.length));
    assert.equal(headers["set-cookie"], undefined);
    const { sid } = JSON.parse(text.slice(1));
    const open = { sid, upgrades: ["websocket"], ...COMMON, maxPayload: 1_000_000 };
    assert.equal(text, `0${JSON.stringify(open)}`); // the order of the keys as well
  });

  scenario("WebSocket: the open packet is the first frame", {}, async (server) => {
    const socket = new Frames(server, {});
    const { status, headers } = await socket.opened;
    assert.equal(status, 101);
    assert.equal(headers["sec-websocket-extensions"], undefined); // offered by the client, and off
    const text = await socket.text();
    const { sid } = JSON.parse(text.slice(1));
    const open = { sid, upgrades: [], ...COMMON, maxPayload: 1_000_000 };
    assert.equal(text, `0${JSON.stringify(open)}`);
    socket.drop();
  });

  scenario("session ids are unlike each other and safe in a URL", {}, async (server) => {
    const sids = await Promise.all(Array.from({ length: 50 }, async () => (await Polling.open(server)).sid));
    assert.equal(new Set(sids).size, 50);
    for (const sid of sids) assert.match(sid, /^[A-Za-z0-9_-]{20,}$/);
  });

  for (const [profile, upgrades] of Object.entries({ default: ["websocket"], noupgrade: [], opts: ["websocket"] })) {
    scenario(`the upgrades that profile "${profile}" offers`, { profile }, async (server) => {
      assert.deepEqual((await Polling.open(server)).handshake.upgrades, upgrades);
    });
  }

  scenario("WebSocket as the only transport offers no upgrade", { profile: "wsonly" }, async (server) => {
    const socket = await Frames.open(server);
    assert.deepEqual(socket.handshake.upgrades, []);
    socket.drop();
  });

  scenario("the handshake tells the options", { profile: "opts" }, async (server) => {
    const { handshake } = await Polling.open(server);
    assert.deepEqual(handshake, { sid: handshake.sid, upgrades: ["websocket"], ...COMMON, maxPayload: 1000 });
  });

  scenario("the initial message is in the payload of the handshake", { profile: "opts" }, async (server) => {
    assert.deepEqual((await Polling.open(server)).rest, ["4initial"]);
  });

  scenario("the initial message is the second frame", { profile: "opts" }, async (server) => {
    const socket = await Frames.open(server);
    assert.equal(await socket.text(), "4initial");
    socket.drop();
  });

  scenario("the cookie comes with the answer to a polling handshake and never again", { profile: "opts" }, async (server) => {
    const session = await Polling.open(server);
    assert.deepEqual(session.answer.headers["set-cookie"], [`io=${session.sid}; Path=/; HttpOnly; SameSite=Lax`]);
    const post = await session.post("4hello");
    assert.equal(post.headers["set-cookie"], undefined);
    assert.equal((await session.poll()).headers["set-cookie"], undefined);
  });

  scenario("no cookie with a WebSocket handshake", { profile: "opts" }, async (server) => {
    const socket = new Frames(server, {});
    assert.equal((await socket.opened).headers["set-cookie"], undefined);
    socket.drop();
  });

  scenario("Internet Explorer is told not to look for scripts in the text", {}, async (server) => {
    for (const agent of ["Mozilla/4.0 (compatible;MSIE 8.0)", "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko"]) {
      const { headers } = await request(server, target(server), { headers: { "user-agent": agent } });
      assert.equal(headers["x-xss-protection"], "0");
    }
    const { headers } = await request(server, target(server), { headers: { "user-agent": "Mozilla/5.0 Firefox/145.0" } });
    assert.equal(headers["x-xss-protection"], undefined);
  });

  scenario("a frame in the segment of the upgrade request is handled", {
    differs: "it loses the frame",
  }, async (server) => {
    const head =
      `GET ${target(server, { transport: "websocket" })} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n` +
      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    const frame = Buffer.from([0x81, 0x86, 0, 0, 0, 0, ...Buffer.from("4early")]); // masked with zeroes
    const answer = await raw(server, Buffer.concat([Buffer.from(head), frame]), (text) => text.includes("\x81\x064early"));
    assert.ok(answer.indexOf("0{") < answer.indexOf("4early") && answer.includes("0{"), "after the open packet");
  });
});

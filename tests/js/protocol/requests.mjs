// Which requests are served, and how the others are refused.

import { describe } from "node:test";
import assert from "node:assert/strict";
import { assertRefused, Frames, isGone, Polling, raw, request, scenario, target } from "../harness.mjs";

describe("requests: path and query", () => {
  scenario("the path is a prefix", {}, async (server) => {
    const { status } = await request(server, "/engine.io/foo/bar?EIO=4&transport=polling");
    assert.equal(status, 200);
  });

  for (const path of ["/", "/other/", "/engine.io", "/engine.iox/", "/socket.io/", "/custom/"]) {
    scenario(`another path is not served: ${path}`, {}, async (server) => {
      const { status } = await request(server, `${path}?EIO=4&transport=polling`);
      assert.equal(status, 404);
    });
  }

  scenario("the default path is not served where there is another", { profile: "opts" }, async (server) => {
    assert.equal((await request(server, "/engine.io/?EIO=4&transport=polling")).status, 404);
  });

  scenario("names and values of the query are url-decoded", {}, async (server) => {
    const { status } = await request(server, "/engine.io/?E%49O=%34&transp%6Frt=poll%69ng");
    assert.equal(status, 200);
  });

  scenario("of duplicate keys the last one wins", {}, async (server) => {
    const good = await request(server, "/engine.io/?EIO=3&transport=none&sid=x&EIO=4&transport=polling&sid=");
    assert.equal(good.status, 200);
    assertRefused(await request(server, "/engine.io/?EIO=4&transport=polling&transport=none"), 0);
  });

  scenario("an empty sid is no sid", {}, async (server) => {
    assert.equal((await request(server, target(server, { sid: "" }))).status, 200);
  });

  scenario("keys that nobody knows change nothing", {}, async (server) => {
    const { status } = await request(server, `${target(server, {})}&t=abc&__proto__=1&constructor&=&&%&x=%zz`);
    assert.equal(status, 200);
  });

  scenario("the request target may be an absolute URL", { differs: "it answers 404" }, async (server) => {
    const url = `http://127.0.0.1:${server.port}${target(server)}`;
    const head = `GET ${url} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: close\r\n\r\n`;
    const answer = await raw(server, head);
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.match(answer, /\r\n\r\n0\{"sid":/);
  });

  scenario("a connection serves one request after the other", {}, async (server) => {
    const head = (extra) => `GET ${target(server)} HTTP/1.1\r\nHost: localhost\r\n${extra}\r\n`;
    const answer = await raw(server, head("") + head("Connection: close\r\n"));
    assert.equal(answer.match(/HTTP\/1\.1 200 /g).length, 2);
    assert.equal(new Set(answer.match(/"sid":"[^"]+"/g)).size, 2);
  });
});

describe("requests: errors", () => {
  const refused = (title, { code, profile, method, headers }, ...queries) =>
    scenario(`code ${code}: ${title}`, { profile }, async (server) => {
      for (const query of queries) assertRefused(await request(server, target(server, query), { method, headers }), code);
    });

  refused("no transport, or an unknown one", { code: 0 }, "EIO=4", "EIO=4&transport=", "EIO=4&transport=Polling",
    { transport: "flashsocket" }, { transport: "__proto__" }, { transport: "constructor" }, { transport: "toString" });
  refused("WebTransport does not come over HTTP", { code: 0 }, { transport: "webtransport" });
  refused("a transport that is not enabled", { code: 0, profile: "wsonly" }, {});
  refused("an unknown session", { code: 1 }, { sid: "unknown" }, { sid: "__proto__" }, { sid: "constructor" },
    { sid: "é€😀" }, { sid: "x".repeat(2000) }, { sid: "unknown", transport: "websocket" });
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
    refused(`a handshake with ${method}`, { code: 2, method }, {}, { transport: "websocket" }, { EIO: 3 });
  }
  refused("a WebSocket handshake that does not ask for one", { code: 3 }, { transport: "websocket" });
  refused("an unsupported revision", { code: 5 }, { EIO: 3 }, { EIO: 5 }, { EIO: "" }, { EIO: "04" }, { EIO: "4.0" },
    "transport=polling");

  scenario("code 2: a handshake with HEAD, which has no body", {}, async (server) => {
    const { status, text } = await request(server, target(server), { method: "HEAD" });
    assert.deepEqual([status, text], [400, ""]);
  });

  scenario("the first of several faults is named", { profile: "opts" }, async (server) => {
    const code = async (query, method) => JSON.parse((await request(server, target(server, query), { method })).text).code;
    assert.equal(await code({ transport: "none", sid: "unknown", EIO: 3 }, "POST"), 0);
    assert.equal(await code({ sid: "unknown", EIO: 3, deny: 1 }, "POST"), 1);
    assert.equal(await code({ EIO: 3, deny: 1 }, "POST"), 2);
    assert.equal(await code({ transport: "websocket", EIO: 3, deny: 1 }, "POST"), 2);
    assert.equal(await code({ transport: "websocket", EIO: 3, deny: 1 }, "GET"), 3);
    assert.equal(await code({ EIO: 3, deny: 1 }, "GET"), 4);
    assert.equal(await code({ EIO: 3 }, "GET"), 5);
  });

  scenario("a missing EIO is revision 3, or refused", { profile: "eio3" }, async (server) => {
    const answer = await request(server, target(server, "transport=polling"));
    if (answer.status === 200) assert.match(answer.text, /^\d+:0\{/);
    else assertRefused(answer, 5);
  });

  scenario("code 3: a later request speaks another revision", { profile: "eio3" }, async (server) => {
    const [four, three] = [await Polling.open(server), await Polling.open(server, { EIO: 3 })];
    for (const method of ["GET", "POST"]) {
      assertRefused(await request(server, target(server, { sid: four.sid, EIO: 3 }), { method }), 3);
      assertRefused(await request(server, target(server, `transport=polling&sid=${four.sid}`), { method }), 3);
      assertRefused(await request(server, target(server, { sid: three.sid, EIO: 4 }), { method }), 3);
    }
    const socket = new Frames(server, { sid: four.sid, EIO: 3 });
    assert.equal((await socket.opened).status, 400);
    await four.say("4still here");
    assert.deepEqual((await four.poll()).packets, ["4still here"]);
  });

  scenario("code 3: a session is asked for on a transport that it is not on", {}, async (server) => {
    const polling = await Polling.open(server);
    assertRefused(await request(server, target(server, { sid: polling.sid, transport: "websocket" })), 3);
    const socket = await Frames.open(server);
    assertRefused(await request(server, target(server, { sid: socket.sid })), 3);
    assertRefused(await request(server, target(server, { sid: socket.sid }), { method: "POST", body: "4a" }), 3);
    socket.send("4alive");
    assert.equal(await socket.text(), "4alive");
    socket.drop();
  });

  scenario("code 3: plain requests for a session on WebSocket", { differs: "it never answers" }, async (server) => {
    const socket = await Frames.open(server);
    const url = target(server, { sid: socket.sid, transport: "websocket" });
    assertRefused(await request(server, url), 3);
    assertRefused(await request(server, url, { method: "POST", body: "4a" }), 3);
    socket.send("4alive");
    assert.equal(await socket.text(), "4alive");
    socket.drop();
  });

  scenario("an Origin with a control character is refused", {}, async (server) => {
    const head = `GET ${target(server)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: a\u0001b\r\n\r\n`;
    assert.match(await raw(server, head), /^HTTP\/1\.1 400 /);
  });

  for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]) {
    scenario(`${method} on a session is not allowed`, { differs: "it answers 500" }, async (server) => {
      const session = await Polling.open(server);
      const { status, headers } = await session.get({ method });
      assert.equal(status, 405);
      assert.deepEqual(headers.allow.split(/, */).filter((allowed) => allowed !== "OPTIONS").sort(), ["GET", "POST"]);
    });

    scenario(`${method} on a session leaves it as it is`, {}, async (server) => {
      const session = await Polling.open(server);
      const { poll } = await session.pending();
      await session.get({ method });
      await session.say("4still here");
      assert.deepEqual((await poll).packets, ["4still here"]);
    });
  }

  scenario("a closed session answers like one that never was", {}, async (server) => {
    const session = await Polling.open(server);
    await session.say("1");
    assertRefused(await session.get(), 1);
    assertRefused(await session.post("4a"), 1);
    assert.equal(await isGone(server, "never was"), true);
  });
});

describe("requests: the filter of handshakes", () => {
  scenario("code 4: refused with the default message", { profile: "opts" }, async (server) => {
    assertRefused(await request(server, target(server, { deny: 1 })), 4);
  });

  scenario("code 4: refused with a message of its own", { profile: "opts" }, async (server) => {
    const message = 'not "today" €';
    assertRefused(await request(server, target(server, { deny: message })), 4, { message });
  });

  scenario("code 4: refused after a while", { profile: "opts" }, async (server) => {
    const { status, text } = await request(server, target(server, { deny: "later" }));
    assert.deepEqual([status, JSON.parse(text).code], [403, 4]);
  });

  scenario("requests of a session that is open are not filtered", { profile: "opts" }, async (server) => {
    const session = await Polling.open(server);
    const url = `${session.url}&deny=1`;
    assert.equal((await request(server, url, { method: "POST", body: "4a" })).status, 200);
    assert.equal((await request(server, url)).status, 200);
    const socket = new Frames(server, { sid: session.sid, deny: 1 });
    assert.equal((await socket.opened).status, 101);
    socket.drop();
  });
});

describe("requests: WebSockets refused before the 101", () => {
  const cases = {
    "unknown transport": [{ transport: "none" }, 0],
    "unknown session": [{ sid: "unknown" }, 1],
    "no EIO": ["transport=websocket", 5],
    "another EIO": [{ EIO: 5 }, 5],
    "revision 3 where it is not allowed": [{ EIO: 3 }, 5],
    "refused by the filter": [{ deny: 1 }, 4, "opts"],
  };
  for (const [title, [query, code, profile]] of Object.entries(cases)) {
    scenario(`the answer is the same as over HTTP: ${title}`, { profile, differs: "text/html, 400, or even 101" }, async (server) => {
      assertRefused(await new Frames(server, query).opened, code);
    });
  }

  scenario("a refused WebSocket opens no session", {}, async (server) => {
    const socket = new Frames(server, { transport: "none" });
    assert.equal((await socket.opened).status, 400);
  });

  const handshake = (server, extra, { path = target(server, { transport: "websocket" }) } = {}) =>
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${extra}\r\n`;
  const KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const bad = {
    "no key": "Sec-WebSocket-Version: 13\r\n",
    "a key of the wrong length": "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: abc\r\n",
    "no version": KEY,
    "another version": `Sec-WebSocket-Version: 12\r\n${KEY}`,
  };
  for (const [title, extra] of Object.entries(bad)) {
    scenario(`a bad WebSocket handshake: ${title}`, {}, async (server) => {
      const answer = await raw(server, handshake(server, extra), (text) => text.includes("\r\n\r\n"));
      assert.match(answer, /^HTTP\/1\.1 4(00|26) /);
      if (title.includes("version")) assert.match(answer, /\r\nSec-WebSocket-Version: 13/i);
    });
  }

  scenario("the accept key is that of RFC 6455", {}, async (server) => {
    const answer = await raw(server, handshake(server, `Sec-WebSocket-Version: 13\r\n${KEY}`), (text) => text.includes("\r\n\r\n"));
    assert.match(answer, /^HTTP\/1\.1 101 /);
    assert.match(answer, /\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i);
  });

  scenario("an upgrade on another path", { differs: "it hangs up without an answer" }, async (server) => {
    const answer = await new Frames(server, {}, { path: "/other/" }).opened;
    assert.equal(answer.status, 404);
  });

  scenario("an upgrade that says transport=polling opens no session", {}, async (server) => {
    const socket = new Frames(server, { transport: "polling" });
    const { status } = await socket.opened;
    if (status === 101) assert.equal(await socket.closed(), 1005);
    else assert.equal(status, 400);
    assert.deepEqual(socket.all.filter((frame) => frame.text !== undefined), []);
  });

  scenario("clients that hang up during a refusal do no harm", {}, async (server) => {
    const hangUp = () => raw(server, handshake(server, `Sec-WebSocket-Version: 13\r\n${KEY}`, { path: "/engine.io/?transport=x" }), () => true);
    await Promise.all(Array.from({ length: 20 }, hangUp));
    assert.equal((await request(server, target(server))).status, 200);
  });
});

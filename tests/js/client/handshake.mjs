// Handshakes that come to nothing: whatever the server does instead of a right answer, the client says so once and ends.

import assert from "node:assert/strict";
import { head, openPacket, script } from "./script.mjs";
import { scenario } from "./harness.mjs";

/** Answers of a status other than 200, and bodies that are no open packet. */
const ANSWERS = {
  "400 with the protocol's error": [JSON.stringify({ code: 0, message: "Transport unknown" }), { status: 400 }],
  "403": ["no", { status: 403 }],
  "404": ["not here", { status: 404 }],
  "413": ["", { status: 413 }],
  "429": ["", { status: 429 }],
  "500": ["", { status: 500 }],
  "503": ["later", { status: 503, headers: { "Retry-After": "1" } }],
  "204": ["", { status: 204 }],
  "201 and an open packet": [openPacket(), { status: 201 }],
  "a page": ["<html>Welcome</html>"],
  "an empty body": [""],
  "an unknown packet type": ["9"],
};

/** Open packets that cannot be one, and what the reference makes of them. */
const OPENS = {
  "cut JSON": ['0{"sid":"a', "the parser's exception ends the process"],
  "no JSON": ["0", "the parser's exception ends the process"],
  "a list": ["0[]", "it opens a session without an id"],
  "null": ["0null", "an exception ends the process"],
  "no sid": [openPacket({ sid: undefined }), "it opens a session without an id"],
  "a sid that is a number": [openPacket({ sid: 7 }), "it takes it"],
  "no pingInterval": [openPacket({ pingInterval: undefined }), "it opens a session that ends at once"],
  "no pingTimeout": [openPacket({ pingTimeout: undefined }), "it opens a session that ends at once"],
  "a message first": ["4hello", "it prints the message, and never polls again"],
  "a noop first": ["6", "it never polls again"],
};

const START = head("200 OK", { "Content-Type": "text/plain; charset=UTF-8", "Content-Length": 1000 });
const CHUNKED = head("200 OK", { "Content-Type": "text/plain; charset=UTF-8", "Transfer-Encoding": "chunked" });

/** Where the server hangs up. */
const HANGUPS = {
  "before the answer": "",
  "in the status line": "HTTP/1.",
  "in the head": START.slice(0, 40),
  "behind the head": START,
  "in the body, by length": START + openPacket(),
  "in the body, between two chunks": `${CHUNKED}${openPacket().length.toString(16)}\r\n${openPacket()}\r\n`,
  "in the body, in a chunk": `${CHUNKED}ffff\r\n${openPacket()}`,
};

/** Bytes that are no HTTP. */
const NO_HTTP = {
  "text": "hello\r\n\r\n",
  "another version": "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n",
  "a status that is no number": "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
  "a length that is no number": "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
  "two different lengths": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n0{",
  "a length and chunks": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "a chunk of no size": `${CHUNKED}zz\r\n`,
  "a line without a colon": "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
};

/** More than any client wants to read before it knows what it is. */
const ENDLESS = 4 * 1024 * 1024;

export default function () {
  const handshake = (name, title, { differs } = {}, body) =>
    scenario(name, title, { differs }, async (run) => {
      const server = await script(run);
      const client = run.client(server.url);
      await body(await server.gets.next("the handshake"), server);
      await client.fails();
    });

  for (const [title, answer] of Object.entries(ANSWERS)) {
    handshake("eio-polling-bad-handshake", title, {}, (get) => get.answer(...answer));
  }
  for (const [title, [body, differs]] of Object.entries(OPENS)) {
    handshake("eio-polling-bad-handshake", `the open packet is ${title}`, { differs }, (get) => get.answer(body));
  }
  for (const [title, bytes] of Object.entries(NO_HTTP)) {
    handshake("eio-polling-bad-handshake", `no HTTP: ${title}`, {}, (get) => get.raw(bytes));
  }
  handshake("eio-polling-bad-handshake", "a head without end", {}, (get) => {
    get.raw(`HTTP/1.1 200 OK\r\n${`X-Filler: ${"x".repeat(1000)}\r\n`.repeat(ENDLESS / 1000)}`);
  });
  handshake("eio-polling-bad-handshake", "a field without end", {}, (get) => {
    get.raw(`HTTP/1.1 200 OK\r\nX: ${"x".repeat(ENDLESS)}`);
  });
  // A connection on which nothing has come back may be tried again, on a new one: then it goes like the first.
  for (const [title, bytes] of Object.entries(HANGUPS)) {
    handshake("eio-polling-hangup", `the handshake, ${title}`, {}, async (get, server) => {
      get.hangUp(bytes);
      hangUpAlways(server, bytes);
    });
  }

  scenario("eio-polling-cookie", "cookies of the handshake come back on each poll and post", {}, async (run) => {
    const server = await script(run);
    const client = run.client(server.url);
    const get = await server.gets.next();
    assert.equal(get.headers.cookie ?? "", "");
    get.answer(openPacket(), { headers: { "Set-Cookie": "io=abc; Path=/; HttpOnly; SameSite=Lax\r\nSet-Cookie: route=b=2" } });
    const poll = await server.gets.next();
    assertCookies(poll);
    poll.answer("4!send a");
    const post = await server.posts.next();
    assertCookies(post);
    post.answer("ok", { headers: { "Set-Cookie": "route=3" } });
    (await server.gets.next()).answer("4!send b");
    const second = await server.posts.next();
    assertCookies(second, "3");
    second.answer("ok");
    (await server.gets.next()).answer("1");
    await client.ends("transport close");
  });

  scenario("eio-polling-cookie", "a value in quotes comes back in quotes, as from a browser", { differs: "it takes the quotes off" }, async (run) => {
    const server = await script(run);
    const client = run.client(server.url);
    (await server.gets.next()).answer(openPacket(), { headers: { "Set-Cookie": 'io=abc\r\nSet-Cookie: route="b=2"' } });
    const poll = await server.gets.next();
    assertCookies(poll, '"b=2"');
    poll.answer("1");
    await client.ends("transport close");
  });

  scenario("eio-upgrade-cookie", "cookies of the handshake come back on the upgrade request", {}, async (run) => {
    const server = await script(run);
    const client = run.client(server.url);
    const headers = { "Set-Cookie": "io=abc; Path=/\r\nSet-Cookie: route=b=2" };
    (await server.gets.next()).answer(openPacket({ upgrades: ["websocket"] }), { headers });
    const upgrade = await server.upgrades.next("the upgrade request");
    assertCookies(upgrade);
    upgrade.answer("", { status: 400, headers: { Connection: "close" } });
    (await server.gets.next()).answer("1");
    await client.ends("transport close");
  });
}

function assertCookies(request, route = "b=2") {
  assert.deepEqual(request.headers.cookie?.split("; ").sort(), ["io=abc", `route=${route}`]);
}

async function hangUpAlways(server, bytes) {
  for (;;) {
    const get = await server.gets.next().catch(() => null);
    if (!get) return;
    get.hangUp(bytes);
  }
}

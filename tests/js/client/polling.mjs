// An open session on polling: how its requests look, and what the server may do to them.

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { pause } from "../waiting.mjs";
import { engine } from "./engine.mjs";
import { numbered, scenario } from "./harness.mjs";
import { endsOnPolling, head, livesAndEnds, livesOnPolling, onPolling, openPacket, script, SEPARATOR } from "./script.mjs";

/** How a poll goes wrong; each ends the session with an error. */
const BROKEN_POLLS = {
  "eio-polling-wrong-sid": {
    "a poll is answered with 400": (get) => get.answer('{"code":1,"message":"Session ID unknown"}', { status: 400 }),
  },
  "eio-polling-post-error": {
    "a poll is answered with 404": (get) => get.answer("", { status: 404 }),
    "a poll is answered with 500": (get) => get.answer("", { status: 500 }),
    "a poll is answered with 502 and a page": (get) => get.answer("<html>", { status: 502 }),
    "a poll is answered with 204": (get) => get.raw("HTTP/1.1 204 No Content\r\n\r\n"),
    "a poll is answered with a body for a status other than 200": (get) => get.answer("4no", { status: 206 }),
  },
  "eio-polling-garbage": {
    "an empty body": (get) => get.answer(""),
    "a page": (get) => get.answer("<html></html>"),
    "an unknown packet type": (get) => get.answer("7"),
    "a packet that is empty": (get) => get.answer(SEPARATOR),
    "an answer that is no HTTP": (get) => get.raw("garbage\r\n\r\n"),
  },
  "eio-polling-hangup": {
    "a poll, in the status line": (get) => get.hangUp("HTTP/1.1 20"),
    "a poll, in the head": (get) => get.hangUp("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-"),
    "a poll, behind the head": (get) => get.hangUp(head("200 OK", { "Content-Length": 5 })),
    "a poll, in the body by length": (get) => get.hangUp(`${head("200 OK", { "Content-Length": 50 })}4never printed`),
    "a poll, in a chunk": (get) => get.hangUp(`${head("200 OK", { "Transfer-Encoding": "chunked" })}50\r\n4never printed`),
    "a poll, between two chunks": (get) => get.hangUp(`${head("200 OK", { "Transfer-Encoding": "chunked" })}2\r\n4n\r\n`),
  },
};

/** How a post goes wrong. */
const BROKEN_POSTS = {
  "413": (post) => post.answer("", { status: 413 }),
  "400": (post) => post.answer('{"code":1,"message":"Session ID unknown"}', { status: 400 }),
  "404": (post) => post.answer("", { status: 404 }),
  "500": (post) => post.answer("", { status: 500 }),
  "204": (post) => post.raw("HTTP/1.1 204 No Content\r\n\r\n"),
  "413 before the connection is closed": (post) => post.answer("", { status: 413, headers: { Connection: "close" } }),
  "half a head": (post) => post.hangUp("HTTP/1.1 200 OK\r\n"),
  "half a body": (post) => post.hangUp(`${head("200 OK", { "Content-Length": 2 })}o`),
};

/** The same body in every form that HTTP has. */
const BODY = ["4é€😀", "bAQID", "6", "4last"].join(SEPARATOR);
const LENGTH = Buffer.byteLength(BODY);
const CHUNKED = head("200 OK", { "Transfer-Encoding": "chunked" });
const FILLER = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`X-Filler-${i}`, "x".repeat(100)]));
const INTERIM = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
const FORMS = {
  "by length, in one segment": (get) => get.answer(BODY),
  "by length, byte by byte": (get) => get.pieces(bytewise(join(head("200 OK", { "Content-Length": LENGTH }), BODY))),
  "by length, with fields in odd forms": (get) =>
    get.raw(`HTTP/1.1 200\r\ncontent-LENGTH:${LENGTH}  \r\nX-Empty:\r\n\r\n${BODY}`),
  "in chunks": (get) => get.raw(join(CHUNKED, chunks(3))),
  "in chunks, byte by byte": (get) => get.pieces(bytewise(join(CHUNKED, chunks(5)))),
  "in chunks with extensions and a trailer": (get) => get.raw(join(CHUNKED, chunks(4, ";a=b", "X-Trailer: yes\r\n"))),
  "until the connection is closed": (get) => get.hangUp(head("200 OK", { Connection: "close" }) + BODY),
  "as HTTP/1.0, until the connection is closed": (get) => get.hangUp(`HTTP/1.0 200 OK\r\n\r\n${BODY}`),
  "behind interim answers": (get) =>
    get.raw(`${INTERIM}${head("200 OK", { "Content-Length": LENGTH })}${BODY}`),
  "behind a large head": (get) => get.answer(BODY, { headers: FILLER }),
  "with another content type": (get) => get.answer(BODY, { headers: { "Content-Type": "text/html" } }),
  "in three segments, cut in the head and in a character": (get) => {
    const answer = join(head("200 OK", { "Content-Length": LENGTH }), BODY);
    const cut = answer.indexOf("€") + 1;
    return get.pieces([answer.subarray(0, 20), answer.subarray(20, cut), answer.subarray(cut)]);
  },
};

export default function () {
  scenario("eio-polling-basic", "the requests are as the protocol wants them", {}, async (run) => {
    const { box, client, first } = await onPolling(run);
    assert.equal(first.query.get("sid"), null);
    await livesOnPolling(box, client);
    await endsOnPolling(box, client);
    const posts = box.posts.all;
    for (const request of [first, ...box.gets.all, ...posts]) {
      assert.equal(request.path, "/engine.io/");
      assert.deepEqual([request.query.get("EIO"), request.query.get("transport")], ["4", "polling"]);
      if (request !== first) assert.equal(request.query.get("sid"), "abc");
      assert.equal(request.headers.host, `127.0.0.1:${box.port}`);
    }
    for (const { headers, body } of posts) {
      assert.equal(headers["content-type"].toLowerCase().replace(" ", ""), "text/plain;charset=utf-8");
      assert.equal(Number(headers["content-length"]), Buffer.byteLength(body));
    }
  });

  for (const [name, cases] of Object.entries(BROKEN_POLLS)) {
    for (const [title, harm] of Object.entries(cases)) {
      scenario(name, title, {}, async (run) => {
        const { box, client } = await onPolling(run);
        await livesOnPolling(box, client);
        harm(await box.gets.next("the poll"));
        await client.ends("transport error");
        assert.equal(client.of("message").length, 1);
      });
    }
  }

  // Nothing has come back on that connection: the poll may be asked again on a new one, but not for ever.
  for (const [title, harm] of Object.entries({
    "without an answer": (get) => get.hangUp(),
    "by a reset": (get) => (get.settled(), get.socket.resetAndDestroy()),
  })) {
    scenario("eio-polling-hangup", `every poll, ${title}`, {}, async (run) => {
      const { box, client } = await onPolling(run);
      await livesOnPolling(box, client);
      const before = box.gets.all.length;
      const hangUps = (async () => {
        for (;;) harm(await box.gets.next("a poll"));
      })();
      hangUps.catch(() => {});
      await client.ends("transport error");
      assert.ok(box.gets.all.length <= before + 2, "once on a kept connection, once on a fresh one");
    });
  }

  for (const [title, harm] of Object.entries(BROKEN_POSTS)) {
    scenario("eio-polling-post-error", `a post is answered with ${title}`, {}, async (run) => {
      const { box, client } = await onPolling(run);
      (await box.gets.next()).answer("4!send a");
      harm(await box.posts.next("the post"));
      await client.ends("transport error");
    });
  }

  scenario("eio-polling-post-error", "a post gets no answer but an end of the connection", {}, async (run) => {
    const { box, client } = await onPolling(run);
    (await box.gets.next()).answer("4!send a");
    const post = await box.posts.next();
    post.hangUp();
    // As browsers: a server may close a kept connection at any time, and has none to close a fresh one.
    if (post.kept) {
      const again = await box.posts.next("the post once more");
      assert.deepEqual([again.body, again.kept], [post.body, false]);
      again.hangUp();
    }
    await client.ends("transport error");
    assert.equal(box.posts.all.length, post.kept ? 2 : 1);
  });

  scenario("eio-polling-post-error", "the answer to a post may say anything", {}, async (run) => {
    const { box, client } = await onPolling(run);
    (await box.gets.next()).answer("4!send a");
    (await box.posts.next()).answer("<html>fine</html>");
    await livesAndEnds(box, client);
  });

  scenario("eio-polling-garbage", "what stands before the garbage is delivered, what stands behind is not", {}, async (run) => {
    const { box, client } = await onPolling(run);
    (await box.gets.next()).answer(["4before", "6", "9garbage", "4behind"].join(SEPARATOR));
    await client.ends("transport error");
    await client.printed(["before"]);
  });

  scenario("eio-polling-payload", "a close packet in the middle ends the session there", {}, async (run) => {
    const { box, client } = await onPolling(run);
    (await box.gets.next()).answer(["4before", "1", "4behind"].join(SEPARATOR));
    await client.ends("transport close");
    await client.printed(["before"]);
    assert.equal(box.closes, 0, "the close of the server needs no answer");
  });

  scenario("eio-polling-payload", "messages may stand behind the open packet", {}, async (run) => {
    const box = await script(run);
    const client = run.client(box.url);
    (await box.gets.next()).answer([openPacket(), "4initial", "bAQID"].join(SEPARATOR));
    await client.printed(["initial", Buffer.from([1, 2, 3])]);
    assert.equal(client.all[0].event, "open");
    await livesOnPolling(box, client);
    await endsOnPolling(box, client);
  });

  scenario("eio-polling-payload", "noops, pongs and upgrades out of place are ignored", {}, async (run) => {
    const { box, client } = await onPolling(run);
    for (const packet of ["6", "3", "3probe", "5", "6x"]) (await box.gets.next()).answer(packet);
    await livesAndEnds(box, client);
  });

  scenario("eio-polling-payload", "each ping is answered with a pong", {}, async (run) => {
    const { box, client } = await onPolling(run);
    for (const ping of ["2", "2data"]) {
      (await box.gets.next()).answer(ping);
      const post = await box.posts.next("the pong");
      assert.equal(post.body, "3");
      post.answer("ok");
    }
    await livesAndEnds(box, client);
  });

  for (const [title, form] of Object.entries(FORMS)) {
    scenario("eio-polling-payload", `a payload comes ${title}`, {}, async (run) => {
      const { box, client } = await onPolling(run);
      await form(await box.gets.next());
      await client.printed(["é€😀", Buffer.from([1, 2, 3]), "last"]);
      await livesAndEnds(box, client);
    });
  }

  scenario("eio-polling-gzip", "a compressed answer comes only to a client that asks for it", {}, async (run) => {
    const { box, client } = await onPolling(run);
    const get = await box.gets.next();
    const body = `4${"compress me ".repeat(500)}`;
    if (/\bgzip\b/.test(get.headers["accept-encoding"] ?? "")) {
      const zipped = gzipSync(body);
      get.raw(join(head("200 OK", { "Content-Encoding": "gzip", "Content-Length": zipped.length }), zipped));
    } else {
      get.answer(body);
    }
    await client.printed([body.slice(1)]);
    await livesAndEnds(box, client);
  });

  scenario("eio-polling-gzip", "the reference server compresses at will", {}, async (run) => {
    const server = await engine(run, { httpCompression: { threshold: 10 } });
    const client = run.client(server.url);
    const session = await server.accept();
    const messages = ["a".repeat(5000), Buffer.alloc(5000), "b"];
    session.send(...messages);
    await client.printed(messages);
    session.close();
    await client.ends("transport close");
  });

  scenario("eio-polling-keepalive-close", "each answer closes its connection, and nothing is lost", {}, async (run) => {
    const close = { headers: { Connection: "close" } };
    const { box, client } = await onPolling(run, {}, close);
    for (let i = 0; i < 20; i++) {
      (await box.gets.next()).answer(`4!send ${i}${SEPARATOR}4printed ${i}`, close);
      const post = await box.posts.next();
      assert.equal(post.body, `4${i}`);
      post.answer("ok", close);
    }
    await client.printed(numbered(20, { name: "printed " }));
    (await box.gets.next()).answer("1", close);
    await client.ends("transport close");
  });

  scenario("eio-polling-keepalive-close", "a connection is closed without a word after its answer, and nothing is lost", {}, async (run) => {
    const { box, client } = await onPolling(run);
    for (let i = 0; i < 20; i++) {
      const get = await box.gets.next();
      get.answer(`4!send ${i}`);
      get.socket.end();
      const post = await box.posts.next();
      assert.equal(post.body, `4${i}`);
      post.answer("ok");
      post.socket.end();
    }
    await livesAndEnds(box, client);
  });

  maxPayload("no payload of texts is longer than the server allows, but for a single one", {}, ["!texts 300"], numbered(300));
  const long = "é".repeat(LIMIT);
  maxPayload("a longer message goes alone", {}, ["!texts 9", `!send ${long}`, "!texts 9"], [...numbered(9), long, ...numbered(9)]);
  maxPayload(
    "binary messages count as the base64 that they become",
    { differs: "it reckons with 1.33 bytes for each, which is too little" },
    ["!burst 300", "!bin 60"],
    [...numbered(300, { binary: true }), Buffer.alloc(60).map((_, i) => i)],
  );

  scenario("eio-polling-single", "what is sent while a post is under way waits for its answer", {}, async (run) => {
    const { box, client } = await onPolling(run);
    (await box.gets.next()).answer("4!send a");
    const first = await box.posts.next();
    for (const text of ["b", "c", "d"]) (await box.gets.next()).answer(`4!send ${text}${SEPARATOR}4printed ${text}`);
    await client.printed(["printed b", "printed c", "printed d"]);
    assert.equal(first.body, "4a");
    first.answer("ok");
    const second = await box.posts.next();
    assert.deepEqual(second.packets, ["4b", "4c", "4d"]);
    second.answer("ok");
    await endsOnPolling(box, client);
  });

  const silence = { pingInterval: 1000, pingTimeout: 1000 };

  scenario("eio-polling-ping-timeout", "silence after the handshake", {}, async (run) => {
    const { client } = await onPolling(run, silence);
    await client.ends("ping timeout");
  });

  for (const [title, bytes] of Object.entries({
    "half a chunk": `${head("200 OK", { "Transfer-Encoding": "chunked" })}20\r\n4half of it`,
    "half a body": `${head("200 OK", { "Content-Length": 100 })}4half of it`,
    "half a head": "HTTP/1.1 200 OK\r\nContent-Le",
  })) {
    scenario("eio-polling-ping-timeout", `${title}, and then nothing`, {}, async (run) => {
      const { box, client } = await onPolling(run, silence);
      (await box.gets.next()).raw(bytes);
      await client.ends("ping timeout");
      assert.equal(client.saw("message"), false);
    });
  }

  scenario("eio-polling-ping-timeout", "messages are no pings", {}, async (run) => {
    const { box, client } = await onPolling(run, silence);
    const drip = (async () => {
      for (;;) {
        (await box.gets.next("a poll", 1000)).answer("4a");
        await pause(50);
      }
    })();
    drip.catch(() => {});
    await client.ends("ping timeout");
    assert.ok(client.of("message").length >= 2);
  });

  scenario("eio-polling-ping-timeout", "a post without an answer does not stop the heartbeat", {
    differs: "it posts the close packet beside the post under way",
  }, async (run) => {
    const { box, client } = await onPolling(run, silence);
    (await box.gets.next()).answer("4!send a");
    await box.posts.next();
    await client.ends("ping timeout");
  });

  scenario("eio-polling-server-close", "`!close` while a poll waits: the close packet is posted", {}, async (run) => {
    const { box, client } = await onPolling(run);
    (await box.gets.next()).answer("4!close");
    await client.ends("forced close");
    assert.equal(box.closes, 1);
  });

  scenario("eio-polling-burst-close", "the close packet comes after all messages, each of which has been answered", {}, async (run) => {
    const { box, client } = await onPolling(run, { maxPayload: 100 });
    (await box.gets.next()).answer("4!burst-close 100");
    const sent = [];
    while (sent.length < 100) {
      const post = await box.posts.next();
      sent.push(...post.packets.filter((packet) => packet !== "1"));
      assert.ok(box.closes === 0 || sent.length === 100, "the close packet comes before messages");
      post.answer("ok");
    }
    assert.deepEqual(sent, numbered(100).map((m) => `4${m}`));
    await client.ends("forced close");
    assert.equal(box.closes, 1);
  });
}

/** The limit that the server tells. */
const LIMIT = 200;

/** The client sends what the commands ask for in payloads within the limit, and in as few as that takes, or nearly so. */
function maxPayload(title, { differs }, commands, messages) {
  scenario("eio-polling-maxpayload", title, { differs }, async (run) => {
    const { box, client } = await onPolling(run, { maxPayload: LIMIT });
    (await box.gets.next()).answer(commands.map((text) => `4${text}`).join(SEPARATOR));
    const sent = [];
    while (sent.length < messages.length) {
      const post = await box.posts.next();
      const size = Buffer.byteLength(post.body);
      assert.ok(size <= LIMIT || post.packets.length === 1, `${post.packets.length} packets of ${size} bytes`);
      sent.push(...post.packets);
      post.answer("ok");
    }
    assert.deepEqual(sent, messages.map((m) => (typeof m === "string" ? `4${m}` : `b${m.toString("base64")}`)));
    // The first post may go out with the first message alone, and a long one splits what is around it.
    const least = sent.reduce((sum, packet) => sum + Buffer.byteLength(packet) + 1, 0) / LIMIT;
    assert.ok(box.posts.all.length <= least * 1.2 + 3, `${box.posts.all.length} posts, where ${Math.ceil(least)} would do`);
    await endsOnPolling(box, client);
  });
}

function bytewise(buffer) {
  return Array.from(buffer, (_, i) => buffer.subarray(i, i + 1));
}

/** The body in chunks of so many bytes, which cut characters. */
function chunks(size, extension = "", trailer = "") {
  const bytes = Buffer.from(BODY);
  const parts = [];
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = bytes.subarray(at, at + size);
    parts.push(`${chunk.length.toString(16)}${extension}\r\n`, chunk, "\r\n");
  }
  return join(...parts, `0\r\n${trailer}\r\n`);
}

function join(...parts) {
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

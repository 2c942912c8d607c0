// Compression by the client under test: what it offers, what it takes, and what it does not.

import assert from "node:assert/strict";
import { gunzipSync, gzipSync } from "node:zlib";
import { engine } from "./engine.mjs";
import { scenario } from "./harness.mjs";
import { head, livesAndEnds, onPolling } from "./script.mjs";

const join = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));

/** Options of permessage-deflate of the reference server. */
const SERVERS = {
  "the defaults": {},
  "no contexts": { serverNoContextTakeover: true, clientNoContextTakeover: true },
  "small windows": { serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
};

const MESSAGES = ["a", "", "chat message ".repeat(300), Buffer.alloc(100_000, 7), "é€😀".repeat(20_000), "chat message ".repeat(301)];

export default function compression() {
  for (const words of ["eio-websocket-deflate", "eio-upgrade-deflate-takeover"]) {
    for (const [name, options] of Object.entries(SERVERS)) {
      scenario(words, `the reference server compresses with ${name}`, {}, async (run) => {
        const server = await engine(run, { perMessageDeflate: { threshold: 0, ...options } });
        const client = run.client(server.url);
        const session = await server.accept();
        if (words.includes("upgrade")) await session.upgraded;
        const socket = session.socket.transport.socket;
        assert.equal(socket.extensions, "permessage-deflate");
        session.send(...MESSAGES);
        await client.printed(MESSAGES);
        const before = socket._socket.bytesRead;
        session.send("!text 100000");
        await session.received(["x".repeat(100_000)]);
        assert.ok(socket._socket.bytesRead - before < 5000, `${socket._socket.bytesRead - before} bytes`);
        // Bytes that count repeat themselves farther back than the smallest window reaches.
        session.send("!bin 100000");
        await session.received(["x".repeat(100_000), Buffer.alloc(100_000).map((_, i) => i)]);
        session.close();
        await client.ends("transport close");
      });
    }
  }

  scenario("eio-websocket-deflate", "a server that does not compress is no fault", {}, async (run) => {
    const server = await engine(run, { perMessageDeflate: false });
    const client = run.client(server.url);
    const session = await server.accept();
    assert.equal(session.socket.transport.socket.extensions, "");
    session.send(...MESSAGES);
    await client.printed(MESSAGES);
    session.close();
    await client.ends("transport close");
  });

  const differs = "the reference sends every POST as it is";
  scenario("eio-polling-deflate-posts", "a large POST is compressed and a small one is not", { differs }, async (run) => {
    const { box, client } = await onPolling(run);
    (await box.gets.next()).answer("4!text 5000");
    const large = await box.posts.next();
    assert.equal(large.headers["content-encoding"], "gzip");
    assert.equal(gunzipSync(large.bytes).toString(), `4${"x".repeat(5000)}`);
    large.answer("ok");
    (await box.gets.next()).answer("4!send a");
    const small = await box.posts.next();
    assert.deepEqual([small.headers["content-encoding"], small.body], [undefined, "4a"]);
    small.answer("ok");
    await livesAndEnds(box, client);
  });

  scenario("eio-polling-deflate", "responses are accepted in two codings, and a cut one ends the session", {
    differs: "the XMLHttpRequest of the reference asks for none",
  }, async (run) => {
    const { box, client } = await onPolling(run);
    const get = await box.gets.next();
    assert.equal(get.headers["accept-encoding"], "gzip, deflate");
    const zipped = gzipSync(`4${"compress me ".repeat(500)}`);
    get.raw(join(head("200 OK", { "Content-Encoding": "gzip", "Content-Length": zipped.length }), zipped));
    await client.printed(["compress me ".repeat(500)]);
    const cut = zipped.subarray(0, 20);
    (await box.gets.next()).raw(join(head("200 OK", { "Content-Encoding": "gzip", "Content-Length": 20 }), cut));
    await client.ends("transport error");
  });
}

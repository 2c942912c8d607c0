// Compression by the server under test: permessage-deflate with npm `ws` and its parameters, and content codings of polling.
// `harness.mjs` describes the command line.

import { describe } from "node:test";
import assert from "node:assert/strict";
import { deflateRawSync, deflateSync, gunzipSync, gzipSync, inflateSync } from "node:zlib";
import { WebSocket } from "ws";
import { Client, using } from "./clients.mjs";
import { gone, Inbox, Polling, request, scenario, target, within } from "./harness.mjs";

/** What a client may ask for, by name. */
const OFFERS = {
  "the defaults": {},
  "no contexts": { serverNoContextTakeover: true, clientNoContextTakeover: true },
  "small windows": { serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
  "windows of one side": { serverMaxWindowBits: 11, clientNoContextTakeover: true },
};

const PROFILES = ["deflate", "deflate-takeover", "deflate-window"];

/** Short and long, text and bytes, what compresses and what does not. */
const MESSAGES = [
  "a",
  "",
  "chat message ".repeat(300),
  "é€😀".repeat(20_000),
  Buffer.alloc(100_000, 7),
  Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * i * 2654435761) >>> 13)),
  "chat message ".repeat(301),
  "x".repeat(999_000),
];

describe("permessage-deflate", () => {
  for (const profile of PROFILES) {
    for (const [name, offer] of Object.entries(OFFERS)) {
      const differs = profile === "deflate-window" && name === "small windows" && "`ws` refuses a window below its own";
      scenario(`${profile}: a client offers ${name}`, { profile, differs }, async (server) => {
        const socket = await open(server, { ...offer, threshold: 0 });
        assert.equal(socket.extensions, "permessage-deflate");
        const { received } = socket;
        for (const message of MESSAGES) socket.send(typeof message === "string" ? `4${message}` : message);
        await received.until(() => received.all.length >= MESSAGES.length, "all of the echoes");
        received.all.forEach((message, i) => {
          assert.equal(typeof message, typeof MESSAGES[i]);
          assert.ok(Buffer.from(message).equals(Buffer.from(MESSAGES[i])), `message ${i}`);
        });
        // All of them together are 1.4 MB, of which 50 kB do not compress.
        assert.ok(socket.raw.bytesRead < 80_000, `${socket.raw.bytesRead} bytes`);
        socket.terminate();
      });
    }
  }

  scenario("a client that offers nothing has nothing compressed", { profile: "deflate" }, async (server) => {
    const socket = await open(server, false);
    assert.equal(socket.extensions, "");
    socket.send(`4${"x".repeat(5000)}`);
    assert.equal(await socket.received.next(), "x".repeat(5000));
    assert.ok(socket.raw.bytesRead > 5000);
    socket.terminate();
  });

  scenario("a message that is too large once it is inflated ends the session", { profile: "deflate" }, async (server) => {
    const socket = await open(server, { threshold: 0 });
    socket.send(Buffer.alloc(3_000_000));
    assert.equal(await within(socket.ended, "the end of the WebSocket"), 1009);
    await gone(server, socket.sid);
  });

  for (const mode of ["websocket", "upgrade"]) {
    scenario(`the official client compresses, on ${mode}`, { profile: "deflate" }, (server) =>
      using(new Client(server, 4, mode, { perMessageDeflate: { threshold: 0 } }), async (client) => {
        await client.ready();
        for (const message of MESSAGES) {
          client.send(message);
          assert.ok(same(await client.messages.next("the echo"), message));
        }
      }),
    );
  }
});

describe("content codings", () => {
  const long = "chat message ".repeat(500);

  /** The response to a poll for a long message, and its text. */
  async function poll(server, accept, message = long) {
    const session = await Polling.open(server);
    await session.say(`4${message}`);
    const response = await session.get(accept === undefined ? {} : { headers: { "accept-encoding": accept } });
    assert.equal(response.status, 200);
    const decode = { gzip: gunzipSync, deflate: inflateSync }[response.headers["content-encoding"]] ?? ((bytes) => bytes);
    // A ping may come with it.
    const text = decode(response.bytes).toString().replace("\u001e2", "");
    assert.equal(text, `4${message}`);
    return response;
  }

  for (const [accept, coding] of [
    ["gzip, deflate, br, zstd", "gzip"],
    ["deflate", "deflate"],
    ["gzip;q=0, deflate;q=0.5", "deflate"],
    ["br", undefined],
    ["identity", undefined],
    ["gzip;q=0", undefined],
    [undefined, undefined],
  ]) {
    scenario(`a client that accepts ${accept ?? "nothing in particular"} gets ${coding ?? "the body as it is"}`, { profile: "deflate" }, async (server) => {
      const { headers, bytes } = await poll(server, accept);
      assert.equal(headers["content-encoding"], coding);
      if (coding) assert.ok(bytes.length < 300, `${bytes.length} bytes`);
    });
  }

  scenario("a short response is not compressed", { profile: "deflate" }, async (server) => {
    const { headers } = await poll(server, "gzip", "x".repeat(1000));
    assert.equal(headers["content-encoding"], undefined);
  });

  scenario("a client that accepts gzip gets the body as it is unless compression is on", {
    differs: "the reference compresses unless that is turned off",
  }, async (server) => {
    const { headers } = await poll(server, "gzip");
    assert.equal(headers["content-encoding"], undefined);
  });

  const differs = "the reference takes no compressed body";
  const post = (session, coding, body) => session.post(body, { headers: { "content-encoding": coding } });

  for (const [name, coding, encode] of [
    ["gzip", "gzip", gzipSync],
    ["deflate", "deflate", deflateSync],
    ["deflate without its head", "deflate", deflateRawSync],
  ]) {
    scenario(`a POST may be in ${name}`, { profile: "deflate", differs }, async (server) => {
      const session = await Polling.open(server);
      const { status, text } = await post(session, coding, encode(`4${long}`));
      assert.deepEqual([status, text], [200, "ok"]);
      assert.deepEqual((await session.poll()).packets, [`4${long}`]);
    });
  }

  for (const profile of ["deflate", "default"]) {
    scenario(`a POST in another coding is refused, and the session lives (${profile})`, { profile, differs }, async (server) => {
      const session = await Polling.open(server);
      for (const coding of profile === "deflate" ? ["br", "gzip, gzip"] : ["br", "gzip"]) {
        assert.equal((await post(session, coding, "4a")).status, 415);
      }
      await session.say("4b");
      assert.deepEqual((await session.poll()).packets, ["4b"]);
    });
  }

  // Made beforehand: the heartbeat of a session does not wait for it.
  const bomb = gzipSync(Buffer.alloc(50_000_000, "4"));
  scenario("a POST that is too large once it is inflated is refused", { profile: "deflate", differs }, async (server) => {
    const session = await Polling.open(server);
    assert.equal((await post(session, "gzip", bomb)).status, 413);
  });

  scenario("a POST that is not in its coding ends the session", { profile: "deflate", differs }, async (server) => {
    const session = await Polling.open(server);
    assert.equal((await post(session, "gzip", gzipSync("4a").subarray(0, 10))).status, 400);
    await gone(server, session.sid);
  });
});

/** A session on a WebSocket of npm `ws` with these options of permessage-deflate, its open packet taken. */
async function open(server, perMessageDeflate) {
  const url = `ws://127.0.0.1:${server.port}${target(server, { transport: "websocket" })}`;
  const socket = new WebSocket(url, { perMessageDeflate });
  socket.received = new Inbox();
  socket.ended = new Promise((resolve) => socket.on("close", resolve));
  socket.on("error", () => {}); // `close` follows
  const opened = new Promise((resolve) => {
    socket.on("message", (data, isBinary) => {
      const text = isBinary ? undefined : data.toString();
      if (isBinary) socket.received.push(data);
      else if (text[0] === "0") resolve(JSON.parse(text.slice(1)).sid);
      else if (text === "2") socket.send("3");
      else socket.received.push(text.slice(1));
    });
  });
  socket.on("upgrade", (response) => (socket.raw = response.socket));
  socket.sid = await within(opened, "the open packet");
  return socket;
}

function same(a, b) {
  return typeof a === typeof b && Buffer.from(a).equals(Buffer.from(b));
}

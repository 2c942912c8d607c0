// A session that starts on WebSocket: the handshake, frames in every form, and what no server should send.

import assert from "node:assert/strict";
import { within } from "../waiting.mjs";
import { numbered, scenario } from "./harness.mjs";
import { endsOnWebSocket, frame, head, livesOnWebSocket, onWebSocket, openPacket, script } from "./script.mjs";

/** Answers to the handshake that refuse it. */
const REFUSALS = {
  400: { body: '{"code":0,"message":"Transport unknown"}' },
  401: {},
  403: { body: '{"code":4,"message":"Forbidden"}' },
  404: { body: "not here" },
  426: { headers: { "Sec-WebSocket-Version": "13" } },
  429: {},
  500: {},
  503: { body: "later", headers: { "Retry-After": "1" } },
  200: { body: "<html>Welcome</html>" },
};

/** Heads of a 101 that are not an acceptance, as changes of the right one. */
const BAD_ACCEPTS = {
  "another Sec-WebSocket-Accept": { "Sec-WebSocket-Accept": "AAAAAAAAAAAAAAAAAAAAAAAAAAA=" },
  "an empty Sec-WebSocket-Accept": { "Sec-WebSocket-Accept": "" },
  "another Upgrade": { Upgrade: "h2c" },
  "another Connection": { Connection: "close" },
  "a subprotocol that was not asked for": { "Sec-WebSocket-Protocol": "chat" },
  "an extension that was not asked for": { "Sec-WebSocket-Extensions": "x-unknown" },
};

/** Where the server hangs up during the handshake. */
const HANGUPS = {
  "before the answer": () => "",
  "in the status line": () => "HTTP/1.1 1",
  "in the head": (upgrade) => upgrade.accepting().slice(0, 60),
  "in the head of a refusal": () => "HTTP/1.1 400 Bad Request\r\nContent-",
};

/** Frames that break RFC 6455. */
const VIOLATIONS = {
  "a masked frame": frame(1, "4masked", { mask: true }),
  "the first reserved bit without an extension": frame(1, "4a", { reserved: 4 }),
  "the second reserved bit": frame(1, "4a", { reserved: 2 }),
  "the third reserved bit": frame(2, "a", { reserved: 1 }),
  "a reserved opcode for data": frame(3, "4a"),
  "a reserved opcode for control": frame(0xb, ""),
  "a fragmented ping": frame(9, "a", { fin: false }),
  "a ping of 126 bytes": frame(9, "x".repeat(126)),
  "a continuation of nothing": frame(0, "4a"),
  "a message within a fragmented message": Buffer.concat([frame(1, "4a", { fin: false }), frame(1, "4b")]),
  "text that is not UTF-8": frame(1, Buffer.from([0x34, 0xff, 0xfe])),
  "text that ends within a character": frame(1, Buffer.from([0x34, 0xe2, 0x82])),
  "a length beyond 2^63": Buffer.from([0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
  "a Close frame of one byte": frame(8, Buffer.from([3])),
  "a Close frame with a code that is never sent": frame(8, Buffer.from([0x03, 0xed])),
  "a Close frame whose reason is not UTF-8": frame(8, Buffer.from([0x03, 0xe8, 0xff])),
};

/** Lengths in a form that is longer than needed, which RFC 6455 (section 5.2) forbids. */
const LONG_LENGTHS = {
  "a length of 16 bits for less than 126": frame(1, "4a", { lengthBytes: 2 }),
  "a length of 64 bits for less than 65536": frame(1, "4a", { lengthBytes: 8 }),
};

/** Text frames that are no packet. */
const GARBAGE = { "an empty text": "", "an unknown packet type": "7", "a letter": "hello", "a separator": "\u001e" };

const silence = { pingInterval: 1000, pingTimeout: 1000 };

export default function () {
  handshakes();
  messages();
  faults();
  ends();
}

function handshakes() {
  const handshake = (name, title, { differs } = {}, body) =>
    scenario(name, title, { differs }, async (run) => {
      const box = await script(run);
      const client = run.client(box.url);
      await body(await box.upgrades.next("the handshake"), client);
      await client.fails();
    });

  for (const [status, { body = "", headers = {} }] of Object.entries(REFUSALS)) {
    handshake("eio-websocket-refused", status, {}, (upgrade) => {
      upgrade.answer(body, { status, headers: { ...headers, Connection: "close" } });
    });
  }
  handshake("eio-websocket-refused", "403, and the connection stays open", {}, (upgrade) => upgrade.answer("no", { status: 403 }));
  for (const [title, changes] of Object.entries(BAD_ACCEPTS)) {
    handshake("eio-websocket-bad-accept", title, {}, (upgrade) => upgrade.raw(upgrade.accepting(changes)));
  }
  handshake("eio-websocket-bad-accept", "no Sec-WebSocket-Accept", {}, (upgrade) => {
    upgrade.raw(head("101 Switching Protocols", { Upgrade: "websocket", Connection: "Upgrade" }));
  });
  for (const [title, bytes] of Object.entries(HANGUPS)) {
    handshake("eio-websocket-hangup", `the handshake, ${title}`, {}, (upgrade) => upgrade.hangUp(bytes(upgrade)));
  }
  handshake("eio-websocket-violation", "the first packet is a message", { differs: "it prints it, and waits for ever" }, (upgrade) => {
    upgrade.accept().send("4hello");
  });
  handshake("eio-websocket-violation", "the open packet is cut JSON", { differs: "the parser's exception ends the process" }, (upgrade) => {
    upgrade.accept().send('0{"sid":');
  });
  handshake("eio-websocket-violation", "the open packet has no sid", { differs: "it opens a session without an id" }, (upgrade) => {
    upgrade.accept().send(openPacket({ sid: undefined }));
  });
  handshake("eio-websocket-violation", "an unknown packet instead of the open packet", {}, (upgrade) => upgrade.accept().send("9"));

  for (const [title, end] of Object.entries({
    "right behind the 101": (peer) => peer.socket.end(),
    "in the open packet": (peer) => peer.socket.end(frame(1, openPacket()).subarray(0, 20)),
    "with a Close frame before the open packet": (peer) => peer.close(1011),
  })) {
    scenario("eio-websocket-hangup", title, {}, async (run) => {
      const box = await script(run);
      const client = run.client(box.url);
      end((await box.upgrades.next()).accept());
      await within(client.exit, "the end of the client");
      // A session that never opened ends without an error in the reference: either will do.
      const events = client.all.map((line) => line.event);
      assert.ok(["close done", "error done", "error close done"].includes(events.join(" ")), events.join(" "));
    });
  }

  scenario("eio-websocket-basic", "the handshake is as RFC 6455 wants it", {}, async (run) => {
    const { client, upgrade, peer, box } = await onWebSocket(run);
    assert.equal(upgrade.method, "GET");
    assert.equal(upgrade.path, "/engine.io/");
    assert.deepEqual(["EIO", "transport", "sid"].map((name) => upgrade.query.get(name)), ["4", "websocket", null]);
    assert.equal(upgrade.headers.host, `127.0.0.1:${box.port}`);
    assert.equal(upgrade.headers["sec-websocket-version"], "13");
    assert.match(upgrade.headers.connection, /\bupgrade\b/i);
    assert.equal(Buffer.from(upgrade.headers["sec-websocket-key"], "base64").length, 16);
    await livesOnWebSocket(peer, client);
    await endsOnWebSocket(peer, client);
    assert.equal(box.gets.all.length + box.posts.all.length, 0);
  });

  scenario("eio-websocket-basic", "the key of each handshake is another one", {}, async (run) => {
    const keys = new Set();
    for (let i = 0; i < 2; i++) {
      const { upgrade, peer, client } = await onWebSocket(run);
      keys.add(upgrade.headers["sec-websocket-key"]);
      await endsOnWebSocket(peer, client);
    }
    assert.equal(keys.size, 2);
  });

  scenario("eio-websocket-basic", "interim answers before the 101, and a head byte by byte", {}, async (run) => {
    const box = await script(run);
    const client = run.client(box.url);
    const upgrade = await box.upgrades.next();
    await upgrade.pieces(["HTTP/1.1 103 Early Hints\r\n\r\n", ...upgrade.accepting()]);
    const peer = upgrade.accepted();
    peer.send(openPacket());
    await client.event("open");
    await livesOnWebSocket(peer, client);
    await endsOnWebSocket(peer, client);
  });

  scenario("eio-websocket-frames", "frames in the same segment as the 101", {}, async (run) => {
    const box = await script(run);
    const client = run.client(box.url);
    const peer = (await box.upgrades.next()).accept([frame(1, openPacket()), frame(1, "4initial"), frame(2, [1, 2, 3])]);
    await client.printed(["initial", Buffer.from([1, 2, 3])]);
    await livesOnWebSocket(peer, client);
    await endsOnWebSocket(peer, client);
  });
}

function messages() {
  const session = (name, title, { differs } = {}, body) =>
    scenario(name, title, { differs }, async (run) => {
      const { client, peer, box } = await onWebSocket(run);
      await body(peer, client, box);
      await endsOnWebSocket(peer, client);
    });

  session("eio-websocket-frames", "byte by byte", {}, async (peer, client) => {
    const bytes = Buffer.concat([frame(1, "4é€😀"), frame(2, [1, 2, 3]), frame(9, "p"), frame(1, "4last")]);
    await peer.pieces(Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)));
    await client.printed(["é€😀", Buffer.from([1, 2, 3]), "last"]);
  });

  session("eio-websocket-frames", "many in one segment", {}, async (peer, client) => {
    peer.raw(Buffer.concat(numbered(500).map((text) => frame(1, `4${text}`))));
    await client.printed(numbered(500));
  });

  session("eio-websocket-frames", "at each edge of the three forms of a length", {}, async (peer, client) => {
    const sizes = [0, 1, 124, 125, 126, 127, 65_534, 65_535, 65_536, 65_537, 200_000];
    const data = sizes.flatMap((size) => ["x".repeat(size), Buffer.alloc(size).map((_, i) => i)]);
    peer.send(...data.map((message) => (typeof message === "string" ? `4${message}` : message)));
    await client.printed(data);
    // What the client sends has the same edges.
    for (const size of sizes) peer.send(`4!bin ${size}`);
    for (const size of sizes) assert.equal((await peer.next()).binary.length, size);
  });

  session("eio-websocket-frames", "fragmented, with pings between the fragments", {}, async (peer, client) => {
    const bytes = Buffer.from("4é€😀 in pieces");
    const pieces = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
    pieces.forEach((piece, i) => {
      peer.raw(frame(i === 0 ? 1 : 0, piece, { fin: i === pieces.length - 1 }));
      if (i % 3 === 0) peer.raw(frame(9, `ping ${i}`));
      if (i % 5 === 0) peer.raw(frame(10, "a pong that nobody asked for"));
    });
    peer.raw(Buffer.concat([frame(2, [], { fin: false }), frame(0, [7, 8], { fin: false }), frame(0, [])]));
    await client.printed(["é€😀 in pieces", Buffer.from([7, 8])]);
    const pings = pieces.flatMap((_, i) => (i % 3 === 0 ? [`ping ${i}`] : []));
    await peer.until(() => peer.pongs() >= pings.length, "the pongs");
    assert.deepEqual(peer.all.filter((item) => item.pong !== undefined).map((item) => item.pong), pings);
  });

  session("eio-websocket-pong", "a ping frame is answered with its data, a pong frame with nothing", {}, async (peer) => {
    for (const payload of ["", "data", "x".repeat(125)]) {
      peer.raw(frame(10, "unasked"));
      peer.raw(frame(9, payload));
      assert.deepEqual(await peer.next(), { pong: payload });
    }
  });

  session("eio-websocket-pong", "each ping packet is answered with a pong packet", {}, async (peer) => {
    for (const ping of ["2", "2data", "2probe"]) {
      peer.send(ping);
      await peer.expect("3");
    }
  });

  session("eio-websocket-frames", "noops, pongs and upgrades out of place are ignored", {}, async (peer, client) => {
    peer.send("6", "3", "3probe", "5");
    await livesOnWebSocket(peer, client);
  });

  session("eio-websocket-frames", "a binary message as base64 in a text frame", {}, async (peer, client) => {
    peer.send("bAQID", "b", "bAQI=", "bAQ==");
    await client.printed([[1, 2, 3], [], [1, 2], [1]].map((data) => Buffer.from(data)));
  });

  for (const name of ["eio-websocket-frames-b64", "eio-websocket-frames"]) {
    const base64 = name.endsWith("b64");
    const title = base64 ? "binary is sent as base64, and a binary frame taken all the same" : "binary is sent as a binary frame";
    session(name, title, {}, async (peer, client, box) => {
      assert.equal(box.upgrades.all[0].query.get("b64"), base64 ? "1" : null);
      peer.send(Buffer.from([4, 5, 6]), "4!bin 3");
      await client.printed([Buffer.from([4, 5, 6])]);
      assert.deepEqual(await peer.next(), base64 ? { text: "bAAEC" } : { binary: Buffer.from([0, 1, 2]) });
    });
  }

  session("eio-websocket-maxpayload", "maxPayload does not cut what is sent on WebSocket", {}, async (peer) => {
    peer.send("4!text 1500000");
    assert.equal((await peer.next()).text.length, 1_500_001);
  });
}

function faults() {
  const fault = (name, title, { differs, reason = "transport error" } = {}, body) =>
    scenario(name, title, { differs }, async (run) => {
      const { client, peer } = await onWebSocket(run);
      peer.send("4before");
      await body(peer);
      await client.ends(reason);
      await client.printed(["before"]);
      await within(peer.lost(), "the end of the connection");
    });

  for (const [title, bytes] of Object.entries(VIOLATIONS)) {
    fault("eio-websocket-violation", title, {}, (peer) => {
      peer.raw(Buffer.concat([bytes, frame(1, "4behind")]));
    });
  }
  for (const [title, bytes] of Object.entries(LONG_LENGTHS)) {
    fault("eio-websocket-violation", title, { differs: "ws takes it" }, (peer) => {
      peer.raw(Buffer.concat([bytes, frame(1, "4behind")]));
    });
  }
  for (const [title, text] of Object.entries(GARBAGE)) {
    fault("eio-websocket-violation", title, {}, (peer) => peer.send(text, "4behind"));
  }
  fault("eio-websocket-violation", "garbage instead of a frame", {}, (peer) => peer.raw("HTTP/1.1 400 Bad Request\r\n\r\n"));
}

function ends() {
  for (const code of [undefined, 1000, 1001, 1011, 1013, 3000, 4999]) {
    scenario("eio-websocket-server-code", `a Close frame with ${code ? `the code ${code}` : "no code"}`, {}, async (run) => {
      const { client, peer } = await onWebSocket(run);
      await livesOnWebSocket(peer, client);
      peer.silent = true;
      peer.close(code);
      // The Close frame is answered with one of the same code before the client hangs up.
      const answered = () => peer.all.find((item) => item.close !== undefined);
      await peer.until(answered, "the Close frame of the client");
      assert.equal(answered().close, code ?? 1005);
      peer.socket.end();
      await client.ends("transport close");
    });
  }

  scenario("eio-websocket-server-code", "a Close frame, and no end of the connection", {
    differs: "it waits 30 s for it",
  }, async (run) => {
    const { client, upgrade, peer } = await onWebSocket(run);
    upgrade.keepsOpen = true;
    peer.silent = true;
    peer.close(1000);
    await client.ends("transport close");
  });

  for (const [title, end] of Object.entries({
    "between two frames": (peer) => peer.socket.end(),
    "in a frame": (peer) => peer.socket.end(frame(1, "4never printed").subarray(0, 6)),
    "between two fragments": (peer) => peer.socket.end(frame(1, "4never", { fin: false })),
    "by a reset": (peer) => peer.socket.resetAndDestroy(),
  })) {
    scenario("eio-websocket-hangup", title, {}, async (run) => {
      const { client, peer } = await onWebSocket(run);
      await livesOnWebSocket(peer, client);
      end(peer);
      await within(client.exit, "the end of the client");
      const [{ reason }] = client.of("close");
      // Only the reset is an error of the connection, and the reference takes it for a close as well.
      assert.ok(reason === "transport close" || (title === "by a reset" && reason === "transport error"), reason);
      await client.ends(reason);
      assert.equal(client.of("message").length, 1);
    });
  }

  scenario("eio-websocket-server-close", "a close packet ends the session", { differs: "it ignores it" }, async (run) => {
    const { client, peer } = await onWebSocket(run);
    peer.send("4before", "1", "4behind");
    await client.ends("transport close");
    await client.printed(["before"]);
  });

  scenario("eio-websocket-server-close", "`!close` sends a Close frame, and no close packet", {}, async (run) => {
    const { client, peer } = await onWebSocket(run);
    peer.send("4!send last", "4!close");
    await peer.expect("4last");
    assert.ok("close" in (await peer.next()));
    await client.ends("forced close");
  });

  scenario("eio-websocket-server-close", "a server that does not answer the Close frame does not hold the client", {}, async (run) => {
    const { client, peer } = await onWebSocket(run);
    peer.silent = true;
    peer.send("4!close");
    await client.ends("forced close");
  });

  scenario("eio-websocket-ping-timeout", "silence after the handshake", {}, async (run) => {
    const { client } = await onWebSocket(run, silence);
    await client.ends("ping timeout");
  });

  scenario("eio-websocket-ping-timeout", "messages and ping frames are no pings", {}, async (run) => {
    const { client, peer } = await onWebSocket(run, silence);
    const timer = setInterval(() => peer.raw(Buffer.concat([frame(1, "4a"), frame(9, "")])), 50);
    run.after(() => clearInterval(timer));
    await client.ends("ping timeout");
    assert.ok(client.of("message").length >= 2);
  });

  scenario("eio-websocket-ping-timeout", "half a frame, and then nothing", {}, async (run) => {
    const { client, peer } = await onWebSocket(run, silence);
    peer.raw(frame(1, "4never printed").subarray(0, 6));
    await client.ends("ping timeout");
  });
}

// Records sessions of the official clients with the official server, and writes what they said as seeds.
//
//   npm ci --prefix tests/js && node fuzz/record/index.mjs
//
// All seeds whose names begin with `recorded-` are written anew: their session ids, timestamps and masks are different each
// time, everything else is the same.

import { once } from "node:events";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { setTimeout as wait } from "node:timers/promises";
import { closePage, openPage } from "./page.mjs";
import { record } from "./proxy.mjs";
import { groupBy, seeds } from "./seeds.mjs";

const require = createRequire(new URL("../../tests/js/package.json", import.meta.url));
const { Server } = require("engine.io");
const { createPacketEncoderStream } = require("engine.io-parser");
const CLIENTS = { 4: require("engine.io-client").Socket, 3: require("engine.io-client-3") };

const FOLDER = new URL("../seeds/", import.meta.url);

/** At most so many of a session for one target: the longest, which have most in them. None that another session had. */
const MOST = { jsonp: 4, packets: 4, payloads: 3, query: 2 };

/** Larger ones would slow the fuzzer down. */
const LARGEST = 4096;

const POLLING = { transports: ["polling"] };
const WEBSOCKET = { transports: ["websocket"] };
const UPGRADE = { transports: ["polling", "websocket"] };

/** Name, revision, the client's options, and who closes. */
const SESSIONS = [
  ["v4-polling", 4, POLLING, "client"],
  ["v4-polling-closed", 4, POLLING, "server"],
  ["v4-websocket", 4, WEBSOCKET, "client"],
  ["v4-base64", 4, { ...WEBSOCKET, forceBase64: true }, "server"],
  ["v4-upgrade", 4, UPGRADE, "server"],
  ["v3-polling", 3, POLLING, "server"],
  ["v3-base64", 3, { ...POLLING, forceBase64: true }, "client"],
  ["v3-websocket", 3, WEBSOCKET, "server"],
  ["v3-upgrade", 3, UPGRADE, "client"],
  ["v3-jsonp", 3, { ...POLLING, forceJSONP: true }, "client"],
];

const CLIENT_SAYS = ["hello", "€ 🦀 日本語", Buffer.from([0, 1, 0x1e, 0xff]), "e\u0301\u0323 \u2028 \\n"];
const SERVER_SAYS = ["привет", Buffer.from([4, 0xfe, 0]), "👩‍👩‍👧 नमस्ते ﷺ", ""];

for (const target of readdirSync(FOLDER)) {
  for (const seed of readdirSync(new URL(`${target}/`, FOLDER))) {
    if (seed.startsWith("recorded-")) rmSync(new URL(`${target}/${seed}`, FOLDER));
  }
}
const written = new Set();
for (const [name, revision, options, closes] of SESSIONS) {
  const events = await session(revision, options, closes);
  const byTarget = groupBy(seeds({ revision, events, options }), ([target]) => target);
  for (const [target, pairs] of byTarget) {
    const unique = new Map(pairs.map(([, seed]) => [`${target} ${seed.toString("latin1")}`, seed]));
    const fresh = [...unique].filter(([key, seed]) => seed.length <= LARGEST && !written.has(key));
    fresh.forEach(([key]) => written.add(key));
    const longest = fresh.map(([, seed]) => seed).sort((a, b) => b.length - a.length);
    longest.slice(0, MOST[target]).forEach((seed, i, { length }) => {
      write(target, length === 1 ? name : `${name}-${i + 1}`, seed);
    });
  }
}
write("stream", "client", await stream(["probe", ...CLIENT_SAYS]));
write("stream", "server", await stream(["probe", ...SERVER_SAYS.filter((data) => data.length > 0)]));
write("stream", "long", await stream(["x".repeat(200), Buffer.alloc(300, "🦀")]));

function write(target, name, seed) {
  mkdirSync(new URL(`${target}/`, FOLDER), { recursive: true });
  writeFileSync(new URL(`${target}/recorded-${name}`, FOLDER), seed);
}

/** What passes between a client and a server that say what they have to say. */
async function session(revision, options, closes) {
  const server = http.createServer();
  const engine = new Server({ pingInterval: 100, pingTimeout: 5000, allowEIO3: true, httpCompression: false });
  engine.attach(server);
  engine.on("connection", (socket) => {
    SERVER_SAYS.forEach((data) => socket.send(data));
    socket.on("message", (data) => {
      if (data === "bye") return socket.close();
      if (data === "last") socket.send("last of the server: ünï");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = await record(server.address().port);
  const agent = new http.Agent({ keepAlive: true });
  if (options.forceJSONP) openPage(agent);

  const client = new CLIENTS[revision](`http://127.0.0.1:${proxy.port}`, { agent, ...options });
  const closed = new Promise((done) => client.on("close", done));
  client.on("error", (error) => {
    throw error;
  });
  if (options.transports.length > 1) await new Promise((done) => client.on("upgrade", done));
  else await new Promise((done) => client.on("open", done));
  CLIENT_SAYS.forEach((data) => client.send(data));
  // Until the heartbeat has beaten.
  await wait(250);
  client.send("last");
  await wait(50);
  if (closes === "client") client.close();
  else client.send("bye");
  await closed;
  await wait(50);

  if (options.forceJSONP) closePage();
  agent.destroy();
  await proxy.close();
  engine.close();
  server.closeAllConnections();
  server.close();
  return proxy.events;
}

/** Messages as WebTransport has them, behind the largest packet and the sizes of the reads. */
async function stream(messages) {
  const encoder = createPacketEncoderStream();
  const writer = encoder.writable.getWriter();
  const done = (async () => {
    for (const data of messages) await writer.write({ type: "message", data });
    await writer.close();
  })();
  const chunks = [Buffer.from([0x10, 0, 3, 0, 1, 7])];
  for await (const chunk of encoder.readable) chunks.push(Buffer.from(chunk));
  await done;
  return Buffer.concat(chunks);
}

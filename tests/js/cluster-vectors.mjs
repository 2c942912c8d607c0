// Writes ../vectors/sio-cluster.json: what the reference's adapters and emitters send to a broker.
//
//   node cluster-vectors.mjs           writes the file
//   node cluster-vectors.mjs --check   fails if it is not what would be written
//
// It is one JSON object:
//
//   { "source": STRING, "requester": NODE, "responder": NODE, "formats": { NAME: FORMAT } }
//
//   NODE        { "uid": STRING, "request": STRING }, its id and that of its request
//   FORMAT      { "sent": [SENT, ...], "responses": [RESPONSES, ...] }
//   SENT        { "operation": OPERATION, "commands": [COMMAND, ...] }, by the requester
//   RESPONSES   { "operation": OPERATION, "request": COMMAND, "commands": [COMMAND, ...] }, the request by the requester,
//               the commands by the responder. It has one socket, which acknowledges with "pong"; see `socket` below.
//   OPERATION   { "kind": "emit" | "join" | "leave" | "disconnect" | "fetch" | "server", "rooms": [..], "except": [..],
//               "flags": {..}, "asks": BOOLEAN, "args": [VALUE, ...], "joins": [..], "close": BOOLEAN }
//               of which each kind has what it needs
//   COMMAND     { "channel": STRING, "message": CHUNK, "is_sharded": BOOLEAN, "is_stored": BOOLEAN } or
//               { "stream": STRING, "fields": {..} }
//   CHUNK       STRING or { "$bin": BYTES }
//   VALUE       JSON, with { "$bin": BYTES } for a Buffer
//   BYTES       standard base64 with padding
//
// Clients of Redis and Postgres are replaced by ones that write down what they are told. Ids are fixed: both nodes have
// those that a node of ours makes of the seeds 1 and 2.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import assert from "node:assert/strict";

const require = createRequire(import.meta.url);
const requester = { uid: "e8df9c78b44d8c04", request: "e7fc2b273e081615" };
const responder = { uid: "02020f4f261bbb95", request: "cdca912f8ef5bfd2" };

// Before the adapters are loaded, which take them from there.
let id = "";
require("node:crypto").randomBytes = () => Buffer.from(id, "hex");
require("uid2");
require.cache[require.resolve("uid2")].exports = () => id;

const { Server } = require("socket.io");
const classic = require("@socket.io/redis-adapter");
const streams = require("@socket.io/redis-streams-adapter");
const postgres = require("@socket.io/postgres-adapter");
const { Emitter } = require("@socket.io/redis-emitter");

const FORMATS = {
  classic: (broker) => classic.createAdapter(broker, broker),
  "classic-response-channels": (broker) => classic.createAdapter(broker, broker, { publishOnSpecificResponseChannel: true }),
  "sharded-static": (broker) => classic.createShardedAdapter(broker, broker, { subscriptionMode: "static" }),
  "sharded-dynamic": (broker) => classic.createShardedAdapter(broker, broker),
  "sharded-dynamic-private": (broker) => classic.createShardedAdapter(broker, broker, { subscriptionMode: "dynamic-private" }),
  streams: (broker) => streams.createAdapter(broker),
  "streams-4-sharded": (broker) => streams.createAdapter(broker, { streamCount: 4, useShardedPubSub: true }),
  postgres: (broker) => postgres.createAdapter(broker, { cleanupInterval: 1e6 }),
};

/** A client that connects to nothing. */
class Broker {
  commands = [];
  handlers = new Map();
  options = {};

  publish(channel, message) {
    return this.record({ channel, message: chunk(message), is_sharded: false, is_stored: false });
  }
  sPublish(channel, message) {
    return this.record({ channel, message: chunk(message), is_sharded: true, is_stored: false });
  }
  xAdd(stream, _id, fields) {
    return this.record({ stream, fields });
  }
  /** Of Postgres. */
  async query(sql, values) {
    if (sql.startsWith("INSERT")) this.stored = values[0];
    if (sql.startsWith("SELECT pg_notify")) {
      const [channel, message] = values;
      const stored = this.stored;
      this.stored = undefined;
      await this.record({ channel, message: chunk(stored ? Buffer.from(stored) : message), is_sharded: false, is_stored: Boolean(stored) });
    }
    return { rows: [{ id: "7" }] };
  }
  async record(command) {
    this.commands.push(command);
    return "";
  }
  pSubscribe(channel, handler) {
    this.handlers.set(channel, handler);
  }
  async subscribe(channels, handler) {
    for (const channel of [channels].flat()) this.handlers.set(channel, handler);
  }
  async sSubscribe(channels, handler) {
    for (const channel of [channels].flat()) this.handlers.set(channel, handler);
  }
  /** Two nodes, of which one is this. */
  async sendCommand([, , channel]) {
    return [channel, "2"];
  }
  async connect() {
    return this;
  }
  xRead() {
    return new Promise(() => {});
  }
  duplicate() {
    return this;
  }
  on(event, handler) {
    this.handlers.set(event, handler);
    return this;
  }
  listenerCount() {
    return 1;
  }
  deliver({ channel, message, is_stored }) {
    const bytes = typeof message === "string" ? Buffer.from(message) : Buffer.from(message.$bin, "base64");
    assert(!is_stored);
    const notified = this.handlers.get("notification");
    if (notified) return notified({ payload: bytes.toString() });
    this.handlers.get(channel)(bytes, channel);
  }
  take() {
    return this.commands.splice(0);
  }
}

const bytes = Buffer.from([0, 1, 255]);
const values = [1, -1, 127, 128, 255, 256, 65536, -33, -129, 2 ** 40, -(2 ** 40), 1.5, "", "x\u20ac\u{1f600}\"\\\n", true, false, null, [], {}, [[1], { a: { b: [] } }], "y".repeat(40), Array(20).fill(0)];
const OPERATIONS = [
  { kind: "emit", args: ["hi", 1] },
  { kind: "emit", args: ["hi", bytes] },
  { kind: "emit", args: ["values", ...values] },
  { kind: "emit", args: ["values", { in: [bytes, ...values] }] },
  { kind: "emit", rooms: ["r1"], args: ["hi"] },
  { kind: "emit", rooms: ["r1"], args: ["hi", bytes] },
  { kind: "emit", rooms: ["twenty characters___"], args: ["hi"] },
  { kind: "emit", rooms: ["nineteen characters"], args: ["hi"] },
  { kind: "emit", rooms: ["\u{1f600}".repeat(10)], args: ["hi"] },
  { kind: "emit", rooms: ["r1", "r2"], except: ["r3"], args: ["hi"] },
  { kind: "emit", except: ["r3"], flags: { volatile: true }, args: ["hi"] },
  { kind: "emit", rooms: ["r1"], flags: { compress: false }, args: ["hi"] },
  { kind: "emit", rooms: ["r1"], flags: { timeout: 200 }, asks: true, args: ["q", "ping"] },
  { kind: "emit", flags: { timeout: 70000 }, asks: true, args: ["q", bytes] },
  { kind: "join", rooms: ["r1"], except: ["r2"], joins: ["a", "b"] },
  { kind: "leave", joins: ["a"] },
  { kind: "disconnect", rooms: ["r1"], close: true },
  { kind: "disconnect", close: false },
  { kind: "fetch", rooms: ["r1"] },
  { kind: "fetch" },
  { kind: "server", args: ["e", 1, { a: [] }] },
  { kind: "server", asks: true, args: ["e", "x"] },
];

/** What a caller of the reference does. */
function call(target, { kind, rooms = [], except = [], flags = {}, asks, args, joins, close }) {
  if (kind === "server") return void target.serverSideEmit(...args, ...(asks ? [() => {}] : []));
  for (const room of rooms) target = target.to(room);
  for (const room of except) target = target.except(room);
  if (flags.volatile) target = target.volatile;
  if (flags.compress !== undefined) target = target.compress(flags.compress);
  if (flags.timeout) target = target.timeout(flags.timeout);
  // Without a room or a flag they are methods of the server, and of the emitter.
  if (kind === "emit") target.emit(...args, ...(asks ? [() => {}] : []));
  if (kind === "join") target.socketsJoin(joins);
  if (kind === "leave") target.socketsLeave(joins);
  if (kind === "disconnect") target.disconnectSockets(close);
  if (kind === "fetch") target.fetchSockets().catch(() => {});
}

/** Another turn, in which what was begun goes on. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function settle() {
  for (let i = 0; i < 5; i++) await turn();
}

async function node(format, { uid }) {
  const broker = new Broker();
  id = uid;
  const io = new Server({ serveClient: false });
  io.adapter(FORMATS[format](broker));
  await settle();
  // Where nodes are known by their heartbeats, the other one is.
  if (format === "postgres") {
    const other = uid === requester.uid ? responder : requester;
    const message = JSON.stringify({ type: 2, uid: other.uid, nsp: "/" });
    await broker.deliver({ channel: "socket.io#/", message, is_stored: false });
  }
  broker.take();
  return { broker, io };
}

async function sent(format, operation) {
  const { broker, io } = await node(format, requester);
  id = requester.request;
  call(io.of("/"), operation);
  await settle();
  return { operation: plain(operation), commands: broker.take() };
}

/** The socket of the responder. */
function socket() {
  return {
    id: "abcdefghijklmnopqrst",
    rooms: new Set(["abcdefghijklmnopqrst", "r1"]),
    handshake: { headers: { a: "b" }, query: {}, auth: {}, secure: false },
    data: { n: 1 },
    acks: new Map(),
    client: { writeToEngine() {} },
    notifyOutgoingListeners() {},
  };
}

async function responses(format, operation) {
  const request = (await sent(format, operation)).commands.at(-1);
  const { broker, io } = await node(format, responder);
  const nsp = io.of("/");
  const one = socket();
  nsp.sockets.set(one.id, one);
  nsp.adapter.addAll(one.id, one.rooms);
  nsp.on("e", (...args) => args.at(-1)("pong"));
  await settle();
  broker.take();
  broker.deliver(request);
  await settle();
  for (const ack of one.acks.values()) ack("pong");
  await settle();
  return { operation: plain(operation), request, commands: broker.take() };
}

async function emitted(operation) {
  const broker = new Broker();
  call(new Emitter(broker), operation);
  await settle();
  return { operation: plain(operation), commands: broker.take() };
}

function chunk(message) {
  return typeof message === "string" ? message : { $bin: message.toString("base64") };
}

function plain(value) {
  if (Buffer.isBuffer(value)) return { $bin: value.toString("base64") };
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, value]) => [key, plain(value)]));
}

const formats = {};
for (const format of Object.keys(FORMATS)) {
  const own = { sent: [], responses: [] };
  for (const operation of OPERATIONS) own.sent.push(await sent(format, operation));
  const asking = (one) => (one.asks || one.kind === "fetch") && !one.args?.some(Buffer.isBuffer);
  for (const operation of OPERATIONS.filter(asking)) own.responses.push(await responses(format, operation));
  formats[format] = own;
}
formats.emitter = { sent: [], responses: [] };
for (const operation of OPERATIONS.filter(({ kind, asks }) => kind !== "fetch" && !asks)) {
  formats.emitter.sent.push(await emitted(operation));
}

const packages = ["@socket.io/redis-adapter", "@socket.io/redis-streams-adapter", "@socket.io/postgres-adapter", "@socket.io/redis-emitter", "socket.io-adapter"];
const version = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
const source = packages.map((name) => `${name} ${version(name)}`).join(", ");
const text = `${JSON.stringify({ source, requester, responder, formats }, null, 1)}\n`;
const file = new URL("../vectors/sio-cluster.json", import.meta.url);
if (process.argv.includes("--check")) assert.equal(readFileSync(file, "utf8"), text);
else writeFileSync(file, text);
// Timers of requests that nothing answers.
process.exit(0);

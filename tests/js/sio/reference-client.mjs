// The client under test, written on the reference implementation (npm `socket.io-client`): every scenario of
// `client.mjs` is run against it first, so that a failing scenario is known to be the client's fault and not the
// scenario's.
//
// `node reference-client.mjs URL SCENARIO`, by the contract of `client/harness.mjs`. Exit status 2: no such scenario.

import { writeSync } from "node:fs";
import { createRequire } from "node:module";

const TRANSPORTS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

/** From the end of a namespace to the end of the program, if no other is connected by then. */
const REFUSED = 300;
const DISCONNECTED = 700;

/** What is left to do at the end, such as sending the packets that disconnect. */
const LINGER = 500;

const [url, scenario = ""] = process.argv.slice(2);
const [protocol, mode, ...words] = scenario.split("-");
if (protocol !== "sio" || !Object.hasOwn(TRANSPORTS, mode) || words.includes("eio3")) {
  console.error(`reference-client: no scenario "${scenario}"`);
  process.exit(2);
}

const reconnects = !words.includes("noreconnect");
// Not loaded as a module, which takes twice as long.
const { Manager } = createRequire(import.meta.url)("socket.io-client");
const manager = new Manager(url, {
  transports: TRANSPORTS[mode],
  autoConnect: false,
  reconnection: reconnects,
  reconnectionDelay: 100,
  reconnectionDelayMax: 400,
  randomizationFactor: 0,
  ...(words.includes("attempts") && { reconnectionAttempts: 3 }),
  ...(words.includes("timeout") && { timeout: 500 }),
});
manager.on("reconnect_attempt", (n) => print({ event: "reconnect_attempt", n }));
manager.on("reconnect_failed", () => {
  print({ event: "reconnect_failed" });
  done();
});

const sockets = namespaces().map(([nsp, auth]) => open(nsp, auth));

function namespaces() {
  if (words.includes("nsp")) return [["/"], ["/custom"]];
  if (words.includes("auth")) return [["/secret", { token: "s3cret", user: "rust" }]];
  if (words.includes("badauth")) return [["/secret", { token: "bad" }]];
  if (words.includes("unknown")) return [["/nope"]];
  return [["/"]];
}

function open(nsp, auth) {
  const socket = manager.socket(nsp, { auth });
  const offline = [];
  const volatile = [];
  socket.on("connect", () => {
    const transport = manager.engine.transport.name;
    print({ event: "connect", nsp, id: socket.id, recovered: Boolean(socket.recovered), transport });
  });
  socket.on("connect_error", ({ message, data = null }) => {
    print({ event: "connect_error", nsp, message, data });
    // What has no connection is tried again; what the server has refused is not, nor is a server of Socket.IO 2.
    if (!socket.active || manager.engine.readyState === "open" || !reconnects) doneIn(REFUSED);
  });
  socket.on("disconnect", (reason) => {
    print({ event: "disconnect", nsp, reason });
    for (const [name, args] of offline.splice(0)) socket.emit(name, ...args);
    for (const [name, args] of volatile.splice(0)) setTimeout(() => socket.volatile.emit(name, ...args), 30);
    if (!reconnects || !socket.active) doneIn(DISCONNECTED);
  });
  socket.onAny((name, ...args) => {
    const answer = typeof args.at(-1) === "function" ? args.pop() : () => {};
    if (name === "cmd") return obey(args);
    print({ event: "event", nsp, name, args: args.map(shown) });
    answer("ack", ...args);
  });

  function obey([command, name, given = [], ms]) {
    const args = given.map(binary);
    if (command === "emit") socket.emit(name, ...args);
    else if (command === "emit-ack") ask(name, args, ms);
    else if (command === "emit-offline") offline.push([name, args]);
    else if (command === "volatile-offline") volatile.push([name, args]);
    else if (command === "disconnect") socket.disconnect();
    else if (command === "exit") exit();
  }

  function ask(name, args, ms) {
    const acknowledged = (...answer) => print({ event: "ack", nsp, name, args: answer.map(shown) });
    if (ms === undefined) return socket.emit(name, ...args, acknowledged);
    socket.timeout(ms).emit(name, ...args, (error, ...answer) => {
      if (error) print({ event: "ack", nsp, name, timeout: true });
      else acknowledged(...answer);
    });
  }

  socket.connect();
  return socket;
}

function exit() {
  const closed = new Promise((resolve) => manager.engine.once("close", resolve));
  for (const socket of sockets) socket.off("disconnect").disconnect();
  setTimeout(done, LINGER).unref();
  closed.then(() => setImmediate(done));
}

function doneIn(ms) {
  setTimeout(() => sockets.some((socket) => socket.connected) || done(), ms);
}

function done() {
  print({ event: "done" });
  process.exit(0);
}

function print(line) {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

/** A value as it is printed. */
function shown(value) {
  if (Buffer.isBuffer(value)) return { $bin: value.toString("base64") };
  if (Array.isArray(value)) return value.map(shown);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shown(member)]));
}

/** A value that was given as it is printed. */
function binary(value) {
  if (Array.isArray(value)) return value.map(binary);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$bin === "string") return Buffer.from(value.$bin, "base64");
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, binary(member)]));
}

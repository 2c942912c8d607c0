// Talks to an example of Socket.IO with official clients, and judges what it says.
//
//   node examples.mjs NAME URL

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { io } from "socket.io-client";
import { Inbox, within } from "./waiting.mjs";

const [name, url] = process.argv.slice(2);
const clients = [];

/** A client, with all that it is told in `inbox`, by events as `[name, ...arguments]`. */
async function client(auth) {
  const { socket, inbox } = asked(auth);
  await within(once(socket, "connect"), "the connection");
  return { socket, inbox };
}

/** The same, without waiting. */
function asked(auth) {
  // A connection of its own for each.
  const socket = io(url, { auth, forceNew: true });
  clients.push(socket);
  const inbox = new Inbox();
  socket.onAny((...event) => inbox.push(event));
  return { socket, inbox };
}

const once = (socket, event) => new Promise((resolve) => socket.once(event, resolve));

/** The acknowledgement of an event. */
const ask = ({ socket }, ...event) => socket.timeout(10_000).emitWithAck(...event);

/** The next event is this one. */
const told = async ({ inbox }, ...event) => assert.deepEqual(await inbox.next(`"${event[0]}"`), event);

async function refused(auth, message, data) {
  const { socket } = asked(auth);
  const error = await within(once(socket, "connect_error"), "a refusal");
  assert.equal(error.message, message);
  assert.deepEqual(error.data, data);
}

const scenarios = {
  async auth() {
    await refused(undefined, "no token", { code: "NO_TOKEN" });
    await refused({ token: 7 }, "no token", { code: "NO_TOKEN" });
    await refused({ token: "x" }, "unknown token", { code: "UNKNOWN_TOKEN" });
    const bob = { token: "battery-staple" };
    const [ada, first, second] = [await client({ token: "correct-horse" }), await client(bob), await client(bob)];
    assert.equal(await ask(ada, "tell", "bob", "hello"), "told");
    for (const window of [first, second]) await told(window, "told", "ada", "hello");
    assert.equal(await ask(first, "tell", "ada", "hi"), "told");
    await told(ada, "told", "bob", "hi");
    assert.equal(await ask(ada, "tell", "eve", "hello"), "not here");
    assert.equal(await ask(ada, "tell", "bob"), "malformed");
    assert.equal(await ask(ada, "other"), "unknown");
    assert.equal(await ask(first, "kick", "ada"), "only for administrators");
    const ends = [first, second].map(({ socket }) => once(socket, "disconnect"));
    assert.equal(await ask(ada, "kick", "bob"), "kicked");
    for (const end of ends) assert.equal(await within(end, "the kick"), "io server disconnect");
    await refused(bob, "you were kicked", { code: "KICKED" });
    assert.equal(await ask(ada, "tell", "bob", "are you there?"), "not here");
  },

  async rooms() {
    await refused(undefined, "a name, please");
    const [ada, bob, eve] = [await client({ name: "ada" }), await client({ name: "bob" }), await client({ name: "eve" })];
    assert.deepEqual(await ask(ada, "join", "rust"), ["ada"]);
    assert.deepEqual(await ask(bob, "join", "rust"), ["ada", "bob"]);
    await told(ada, "joined", "rust", "bob");
    assert.equal(await ask(bob, "say", "rust", "hello"), true);
    for (const member of [ada, bob]) await told(member, "said", "rust", "bob", "hello");
    assert.equal(await ask(eve, "say", "rust", "let me in"), false);
    await ask(bob, "leave", "rust");
    await told(ada, "left", "rust", "bob");
    assert.deepEqual(await ask(eve, "join", "rust"), ["ada", "eve"]);
    await told(ada, "joined", "rust", "eve");
    eve.socket.disconnect();
    await told(ada, "left", "rust", "eve");
    for (let n = 0; n < 30; n++) await ask(bob, "join", `room ${n}`);
    assert.deepEqual(await ask(ada, "join", "room 19"), ["ada", "bob"]);
    assert.deepEqual(await ask(ada, "join", "room 20"), ["ada"], "bob is in as many as he may");
    assert.deepEqual(eve.inbox.all, []);
  },

  async binary() {
    const [ada, bob] = [await client(), await client()];
    const data = await readFile(process.execPath).then((program) => program.subarray(0, 3_000_000));
    assert.equal(await ask(ada, "put", { name: "node", data }), data.length);
    await told(bob, "new", { name: "node", data });
    assert.equal(await ask(ada, "put", { name: "empty", data: Buffer.alloc(0) }), 0);
    await told(bob, "new", { name: "empty", data: Buffer.alloc(0) });
    bob.socket.emit("put", { name: "text", data: "no bytes" });
    bob.socket.emit("get", "node");
    await told(bob, "file", { name: "node", data });
    bob.socket.emit("get", "text");
    await told(bob, "missing", "text");
  },

  async typed() {
    const ada = await client();
    await told(ada, "board", { lines: [] });
    const line = { from: [0, 0], to: [3, 4.5], color: "teal" };
    assert.deepEqual(await ask(ada, "draw", line), { lines: 1 });
    const bob = await client();
    await told(bob, "board", { lines: [line] });
    assert.deepEqual(await ask(bob, "draw", { ...line, color: "red" }), { lines: 2 });
    await told(ada, "drawn", { ...line, color: "red" });
    // Volatile, so one may be lost: the board is told until it is not.
    const moved = ada.inbox.until(() => ada.inbox.all.some(([event]) => event === "moved"), "a cursor");
    const moving = setInterval(() => bob.socket.emit("cursor", 3, 4.5), 10);
    await moved.finally(() => clearInterval(moving));
    assert.deepEqual(ada.inbox.all.find(([event]) => event === "moved"), ["moved", bob.socket.id, 3, 4.5]);
    const { error } = await ask(bob, "draw", { ...line, color: 7 });
    assert.match(error, /draw.*argument 0.*expected a string/);
    assert.match((await ask(bob, "paint")).error, /paint/);
    assert.deepEqual(await ask(bob, "clear"), { lines: 0 });
    await ada.inbox.until(() => ada.inbox.all.at(-1)[0] === "cleared", "an empty board");
  },

  async chat() {
    const page = await (await fetch(url)).text();
    assert.match(page, /<script src="\/socket.io.js">/);
    const bundle = await (await fetch(new URL("/socket.io.js", url))).text();
    assert.match(bundle, /Socket\.IO/);
    assert.equal((await fetch(new URL("/other", url))).status, 404);
    await scenarios.handlers();
  },

  async handlers() {
    const [ada, bob] = [await client(), await client()];
    ada.socket.emit("add user", "ada");
    await told(ada, "login", { numUsers: 1 });
    await told(bob, "user joined", { username: "ada", numUsers: 1 });
    bob.socket.emit("new message", "too early");
    bob.socket.emit("add user", "bob");
    await told(bob, "login", { numUsers: 2 });
    await told(ada, "user joined", { username: "bob", numUsers: 2 });
    for (const event of ["typing", "stop typing"]) {
      bob.socket.emit(event);
      await told(ada, event, { username: "bob" });
    }
    bob.socket.emit("new message", "Grüße 👋");
    await told(ada, "new message", { username: "bob", message: "Grüße 👋" });
    bob.socket.disconnect();
    await told(ada, "user left", { username: "bob", numUsers: 1 });
  },
};

try {
  await scenarios[name]();
  console.log(`${name}: ok`);
} catch (error) {
  console.error(`${name}: ${error.stack}`);
  process.exitCode = 1;
} finally {
  for (const socket of clients) socket.disconnect();
}

// Talks to an example of the C ABI with the official client of Socket.IO, over each transport.
//
//   node ffi.mjs URL

import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { Inbox, within } from "./waiting.mjs";

const [url] = process.argv.slice(2);
const MODES = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };
const sockets = [];

/** A client of a connection of its own, with all that it is told in `inbox`, by events as `[name, ...arguments]`. */
function client(transports, { namespace = "/", auth } = {}) {
  const socket = io(new URL(namespace, url).href, { auth, transports, forceNew: true, reconnection: false });
  sockets.push(socket);
  const inbox = new Inbox();
  socket.onAny((...event) => inbox.push(event));
  return { socket, inbox };
}

const once = (socket, event) => within(new Promise((resolve) => socket.once(event, resolve)), event);

async function connected(transports) {
  const it = client(transports);
  await once(it.socket, "connect");
  const { engine } = it.socket.io;
  if (engine.transport.name !== transports.at(-1)) await within(new Promise((resolve) => engine.once("upgrade", resolve)), "the upgrade");
  return it;
}

async function refused(transports, options, message, data) {
  const { socket } = client(transports, options);
  const error = await once(socket, "connect_error");
  assert.equal(error.message, message);
  assert.deepEqual(error.data, data);
}

const ask = ({ socket }, ...event) => socket.timeout(10_000).emitWithAck(...event);
const told = async ({ inbox }, ...event) => assert.deepEqual(await inbox.next(`"${event[0]}"`), event);

async function talk(transports) {
  await refused(transports, { auth: { token: "expired" } }, "your token has expired", { code: "EXPIRED" });
  await refused(transports, { namespace: "/other" }, "Invalid namespace", undefined);
  const [ada, bob, eve] = [await connected(transports), await connected(transports), await connected(transports)];

  // Text and binary at any depth, with and without an acknowledgement.
  const values = [1, "€ \u{1f600}", { at: [Buffer.from([0, 1, 255]), null], more: Buffer.alloc(100_000, 7) }, Buffer.alloc(0)];
  ada.socket.emit("echo", ...values);
  await told(ada, "echo", ...values);
  ada.socket.emit("echo");
  await told(ada, "echo");
  const ack = await new Promise((resolve) => ada.socket.emit("echo", ...values, (...values) => resolve(values)));
  assert.deepEqual(ack, values);
  await told(ada, "echo", ...values);

  // Rooms: members but the sender.
  for (const it of [ada, bob]) assert.equal(await ask(it, "join", "tea"), "ok");
  assert.equal(await ask(ada, "say", "tea", "hello", Buffer.from("milk")), "ok");
  await told(bob, "said", "tea", "hello", Buffer.from("milk"));
  assert.equal(await ask(bob, "leave", "tea"), "ok");
  assert.equal(await ask(ada, "say", "tea", "anybody?"), "ok");
  assert.equal(await ask(eve, "say", "tea", "me"), "ok");
  await told(ada, "said", "tea", "me");

  // Acknowledgements by clients: of one event, of a broadcast.
  bob.socket.once("question", (text, reply) => reply(`${text}!`, Buffer.from("?")));
  bob.socket.emit("question", "tea");
  await bob.inbox.until(() => bob.inbox.all.some(([name]) => name === "answered"), "the answer");
  assert.deepEqual(bob.inbox.all.at(-1), ["answered", "tea!", Buffer.from("?")]);
  for (const it of [ada, bob, eve]) it.socket.once("vote", (_, reply) => reply("yes"));
  eve.socket.emit("vote", "tea or coffee");
  for (const it of [ada, bob, eve]) {
    await it.inbox.until(() => it.inbox.all.at(-1)?.[0] === "voted", "the count");
    assert.deepEqual(it.inbox.all.at(-1), ["voted", 3]);
  }
  // None but these: nothing was said to a room without its members.
  assert.deepEqual(eve.inbox.all.map(([name]) => name), ["vote", "voted"]);

  const end = once(bob.socket, "disconnect");
  bob.socket.emit("quit");
  assert.equal(await end, "io server disconnect");
  for (const socket of sockets.splice(0)) socket.disconnect();
}

try {
  for (const [mode, transports] of Object.entries(MODES)) {
    await talk(transports).catch((error) => {
      throw new Error(mode, { cause: error });
    });
  }
  console.log("ffi: ok");
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  for (const socket of sockets) socket.disconnect();
}

// The reference server (npm `socket.io`) in this process: a test sees its sockets from inside.

import { once } from "node:events";
import http from "node:http";
import { createRequire } from "node:module";
import { Server } from "socket.io";
import assert from "node:assert/strict";
import { Inbox, within } from "../../waiting.mjs";
import { shown } from "./harness.mjs";

/** How long a session on polling that is closed waits for a poll. For the 30 s of the default the suite would not end. */
const CLOSING = 2000;

/** A server on a port of its own, unless one is given; of Socket.IO 2, if it is `old`. It ends with the test. */
export async function official(run, { port = 0, old = false, ...options } = {}) {
  const server = http.createServer();
  const Version = old ? createRequire(import.meta.url)("socket.io-2") : Server;
  const io = new Version(server, { serveClient: false, ...options });
  const sockets = new Set();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  io.engine.on("connection", ({ transport }) => (transport.closeTimeout = CLOSING));
  const accepted = new Inbox();
  for (const name of ["/", "/custom", "/secret"]) io.of(name).on("connection", (socket) => accepted.push(new Peer(socket)));
  io.of("/secret").use((socket, next) => {
    if (socket.handshake.auth?.token === "s3cret") return next();
    next(Object.assign(new Error("not authorized"), { data: { code: "E_AUTH", retry: false } }));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");

  /** Nothing is said to the client: its connections are cut, and nothing listens. */
  const crash = async () => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
    io.engine.close();
  };
  run.after(crash);
  const bound = server.address().port;
  return { url: `http://127.0.0.1:${bound}`, port: bound, io, crash, accepted, accept: () => accepted.next("a socket") };
}

/** A server, a client of it, and its first socket. */
export async function connected(run, options) {
  const server = await official(run, options);
  const client = run.client(server.url);
  const peer = await server.accept();
  await client.event("connect");
  return { server, client, peer };
}

/** A socket of the server: an inbox of the events of the client, each an array of its name and arguments. */
class Peer extends Inbox {
  /** Whether the events of the client are acknowledged, with their arguments. */
  answers = true;
  pongs = new Inbox();

  constructor(socket) {
    super();
    this.socket = socket;
    this.id = socket.id;
    const take = (name, ...args) => {
      this.late = typeof args.at(-1) === "function" ? args.pop() : () => {};
      this.push([name, ...args]);
      if (this.answers) this.late(...args);
    };
    if (socket.onAny) socket.onAny(take);
    else socket.use((event) => take(...event));
    socket.conn.on("heartbeat", () => this.pongs.push(true));
    this.left = new Promise((resolve) => socket.on("disconnect", resolve));
  }

  emit(...event) {
    this.socket.emit(...event);
  }

  /** Tells the client to do something. Bytes are given as they are printed. */
  tell(command, ...args) {
    this.socket.emit("cmd", command, ...shown(args));
  }

  /** Asks the client for an acknowledgement; gives its arguments. */
  ask(...event) {
    return within(new Promise((resolve) => this.socket.emit(...event, (...args) => resolve(args))), "an acknowledgement");
  }

  /** The client has sent exactly these events, or does so now. */
  async received(events, what = "the events of the client") {
    await this.until(() => this.all.length >= events.length, what);
    assert.deepEqual(this.all, events);
  }

  /** The reason of the disconnection. */
  reason() {
    return within(this.left, "the disconnection of the client");
  }

  /** Closes the session: the client may connect again. */
  cut() {
    this.socket.conn.close();
  }

  /** The session is on WebSocket. */
  async upgraded() {
    const { conn } = this.socket;
    if (conn.transport.name !== "websocket") await within(once(conn, "upgrade"), "the upgrade");
  }

  /** The client ends as it is told to, and leaves its namespace. */
  async dismisses(client) {
    this.tell("exit");
    await client.ends();
    assert.equal(await this.reason(), "client namespace disconnect");
  }
}

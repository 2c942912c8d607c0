// The reference server (npm `engine.io`) in this process: a test sees its sessions from inside.

import { once } from "node:events";
import http from "node:http";
import { Server } from "engine.io";
import assert from "node:assert/strict";
import { Inbox } from "../waiting.mjs";
import { watchOverlap } from "./harness.mjs";

/** Pings come so often that a session meets several of them, and a client that is late by seconds still lives. */
export const HEARTBEAT = { pingInterval: 100, pingTimeout: 10_000 };

/**
 * Otherwise none comes: to send one while the client closes its WebSocket is an error for the reference server, and
 * changes its reason.
 */
const NO_HEARTBEAT = { pingInterval: 25_000, pingTimeout: 20_000 };

/** A server on a port of its own, which ends with the test. Gives `{ url, port, requests, accept(), crash() }`. */
export async function engine(run, options = {}) {
  const server = http.createServer((_, response) => response.writeHead(404).end());
  const requests = new Inbox();
  const io = new Server({ ...NO_HEARTBEAT, ...options });
  io.attach(server, { path: options.path ?? "/engine.io/", addTrailingSlash: options.addTrailingSlash });
  // Behind the attachment, which takes the listeners that it finds for those of other paths; and called first.
  const overlap = watchOverlap(run);
  server.prependListener("request", (request, response) => {
    requests.push(request);
    const answered = overlap.asked(request.method);
    response.on("finish", answered);
    response.on("close", answered);
  });
  server.prependListener("upgrade", (request) => requests.push(request));

  const sockets = new Set();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const sessions = new Inbox();
  io.on("connection", (socket) => sessions.push(new Session(socket)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  const crash = async () => {
    for (const socket of sockets) socket.destroy();
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  run.after(crash);
  const { port } = server.address();
  return { url: `http://127.0.0.1:${port}`, port, requests, crash, accept: () => sessions.next("a session") };
}

/** A session of the server: an inbox of the messages of the client. */
class Session extends Inbox {
  constructor(socket) {
    super();
    this.socket = socket;
    this.sid = socket.id;
    this.pongs = 0;
    // An empty text is handed over as `undefined`.
    socket.on("message", (data) => this.push(data ?? ""));
    socket.on("heartbeat", () => (this.pongs += 1));
    this.closed = new Promise((resolve) => {
      socket.on("close", (reason) => {
        this.reason = reason;
        this.end(`the session is closed (${reason})`);
        resolve(reason);
      });
    });
    this.upgraded = new Promise((resolve) => socket.on("upgrade", resolve));
  }

  send(...messages) {
    for (const message of messages) this.socket.send(message);
  }

  close() {
    this.socket.close();
  }

  /** The client has sent exactly these messages, or does so now. */
  async received(messages, what = "the messages of the client") {
    await this.until(() => this.all.length >= messages.length, what);
    // Not deepEqual right away: its report of a difference in a megabyte takes minutes.
    if (messages.some((message) => message.length > 1000)) assert.ok(same(this.all, messages), `${what} came changed`);
    else assert.deepEqual(this.all, messages);
  }

  /** A message there and back: what was sent before it has arrived. */
  async echo(text) {
    this.send(`!send ${text}`);
    await this.until(() => this.all.includes(text), `the echo of ${text}`);
  }

  /** From now on the server sends no ping, and answers none. */
  fallSilent() {
    clearTimeout(this.socket.pingIntervalTimer);
    clearTimeout(this.socket.pingTimeoutTimer);
    const send = this.socket.sendPacket;
    this.socket.sendPacket = (type, ...rest) => type === "ping" || type === "pong" || send.call(this.socket, type, ...rest);
  }
}

function same(a, b) {
  const equal = (x, y) => typeof x === typeof y && Buffer.from(x).equals(Buffer.from(y));
  return a.length === b.length && a.every((message, i) => equal(message, b[i]));
}

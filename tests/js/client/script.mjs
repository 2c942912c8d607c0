// A server that does what a test says, byte by byte: requests are read by `node:http`, answers are written raw.

import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { Receiver } from "ws";
import assert from "node:assert/strict";
import { Inbox, pause, within } from "../waiting.mjs";
import { watchOverlap } from "./harness.mjs";

/** What the open packet says unless a test says otherwise. The heartbeat is long: whoever waits for it shortens it. */
const HANDSHAKE = { sid: "abc", upgrades: [], pingInterval: 25_000, pingTimeout: 20_000, maxPayload: 1_000_000 };

export const SEPARATOR = "\u001e";

/** The open packet, with the changes; `undefined` leaves a field out. */
export function openPacket(changes = {}) {
  return `0${JSON.stringify({ ...HANDSHAKE, ...changes })}`;
}

/**
 * A server on a port of its own, which ends with the test: `gets`, `posts` and `upgrades` are inboxes of what the client
 * asks. The close packet on polling is answered without the test, as are the polls that wait at that moment.
 */
export async function script(run) {
  const server = http.createServer({ keepAliveTimeout: 0 });
  const box = { url: "", port: 0, gets: new Inbox(), posts: new Inbox(), upgrades: new Inbox(), closes: 0 };
  // A test may take a POST as soon as its head has come, with `early`, and bound the time for which a connection is kept.
  Object.assign(box, { early: () => false, keepAlive: undefined });
  const overlap = watchOverlap(run);
  const waiting = new Set();

  server.on("request", async (request) => {
    const answered = overlap.asked(request.method);
    const { socket } = request;
    clearTimeout(socket.idle);
    const exchange = new Exchange(request, () => {
      waiting.delete(exchange);
      answered();
      if (box.keepAlive !== undefined) socket.idle = setTimeout(() => socket.destroy(), box.keepAlive);
    });
    request.socket.on("close", exchange.settled);
    if (request.method === "GET") {
      waiting.add(exchange);
      return box.gets.push(exchange);
    }
    if (box.early(exchange)) return;
    const chunks = [];
    request.on("error", () => {});
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      exchange.bytes = Buffer.concat(chunks);
      exchange.body = exchange.bytes.toString();
      if (exchange.body !== "1") box.posts.push(exchange);
      if (exchange.packets.at(-1) !== "1") return;
      box.closes += 1;
      exchange.answer("ok");
      for (const poll of waiting) poll.answer("6");
    });
  });
  server.on("upgrade", (request, socket, head) => box.upgrades.push(new Upgrade(request, socket, head)));

  const sockets = new Set();
  server.on("connection", (socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => {});
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  box.port = server.address().port;
  box.url = `http://127.0.0.1:${box.port}`;
  box.connections = () => sockets.size;
  run.after(async () => {
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  return box;
}

/** A request and where its answer goes. */
class Exchange {
  constructor(request, settled) {
    this.method = request.method;
    this.headers = request.headers;
    this.query = new URL(request.url, "http://a").searchParams;
    this.path = request.url.split("?")[0];
    this.socket = request.socket;
    /** Whether it is not the first request on its connection. */
    this.kept = Boolean(this.socket.used);
    this.socket.used = true;
    this.settled = () => ((this.answered = true), settled());
  }

  /** An answer as a server would write it, in one piece; nothing if there has been one. */
  answer(body = "", { status = 200, headers = {} } = {}) {
    if (this.answered) return;
    const fields = { "Content-Type": "text/plain; charset=UTF-8", "Content-Length": Buffer.byteLength(body), ...headers };
    this.raw(head(`${status} Whatever`, fields) + body);
    if (fields.Connection === "close") this.socket.end();
  }

  /** Writes just this and counts as answered. */
  raw(bytes) {
    this.settled();
    this.socket.write(bytes);
  }

  /** Writes each piece as a segment of its own. */
  async pieces(pieces) {
    this.settled();
    await inPieces(this.socket, pieces);
  }

  /** Hangs up after these bytes. */
  hangUp(bytes = "") {
    this.settled();
    this.socket.end(bytes);
  }

  get packets() {
    return this.body.split(SEPARATOR);
  }
}

/** The head of an answer. */
export function head(status, fields) {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status}\r\n${lines.join("")}\r\n`;
}

/** The reader gets each piece by itself, unless it is slow: a turn of the event loop lies between two writes. */
async function inPieces(socket, pieces) {
  for (const piece of pieces) {
    socket.write(piece);
    await pause(1);
  }
}

/** A WebSocket handshake of the client. */
class Upgrade extends Exchange {
  /** Whether the server's half of the connection stays open when the client has closed its own. */
  keepsOpen = false;

  constructor(request, socket, first) {
    super(request, () => {});
    this.socket = socket;
    this.first = first;
    socket.on("end", () => this.keepsOpen || socket.end());
  }

  /** The connection is gone. Reads what comes: not before the WebSocket is accepted, if it is. */
  lost(ms) {
    this.socket.resume();
    if (this.socket.destroyed) return;
    return within(new Promise((resolve) => this.socket.on("close", resolve)), "the client hangs up", ms);
  }

  /** The head of a right answer, with the changes of its fields. */
  accepting(changes = {}) {
    const key = `${this.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    const fields = { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Accept": accept, ...changes };
    return head("101 Switching Protocols", fields);
  }

  /** Accepts; `behind` are bytes in the same segment as the head. */
  accept(behind = []) {
    this.socket.write(Buffer.concat([Buffer.from(this.accepting()), ...behind]));
    return this.accepted();
  }

  /** The WebSocket, if the test has written the answer itself. */
  accepted() {
    return new Peer(this);
  }
}

const SETTLE = Buffer.from("settle");

/** The server's end of a WebSocket: an inbox of `{ text }`, `{ binary }`, `{ pong }`, `{ close }`, `{ lost }`. */
class Peer extends Inbox {
  /** Whether Close frames are left without an answer. */
  silent = false;
  closing = false;
  #settled = new Inbox();

  constructor({ socket, first }) {
    super();
    this.socket = socket;
    const receiver = new Receiver({ isServer: true });
    receiver.on("message", (data, isBinary) => this.push(isBinary ? { binary: data } : { text: data.toString() }));
    receiver.on("pong", (data) => {
      if (data.equals(SETTLE)) this.#settled.push(true);
      else this.push({ pong: data.toString() });
    });
    receiver.on("ping", (data) => this.raw(frame(0xa, data)));
    receiver.on("error", (error) => this.push({ broken: error.message }));
    receiver.on("conclude", (code) => {
      this.push({ close: code });
      // The answer to a Close frame is one, and then the server is the first to hang up.
      if (!this.silent) this.socket.end(this.closing ? "" : frame(8, ""));
    });
    socket.on("data", (chunk) => receiver.write(chunk));
    socket.on("close", () => (this.push({ lost: true }), this.end("the connection is lost")));
    if (first.length > 0) receiver.write(first);
  }

  /** Text or binary frames, one message each. */
  send(...messages) {
    for (const message of messages) this.raw(frame(typeof message === "string" ? 1 : 2, message));
  }

  raw(bytes) {
    this.socket.write(bytes);
  }

  async pieces(pieces) {
    await inPieces(this.socket, pieces);
  }

  /** The next message has to be this text. */
  async expect(text) {
    const next = await this.next(`the frame "${text}"`);
    assert.deepEqual(next, { text });
  }

  /** A WebSocket ping there and back: the client has read what was sent before it. Its pong does not show. */
  async settle() {
    this.raw(frame(9, SETTLE));
    await this.#settled.next("the pong");
  }

  pongs() {
    return this.all.filter((item) => item.pong !== undefined).length;
  }

  /** Sends a Close frame; the connection ends when it is answered, unless `silent` is set. */
  close(code) {
    const payload = Buffer.alloc(code === undefined ? 0 : 2);
    if (code !== undefined) payload.writeUInt16BE(code);
    this.closing = true;
    this.raw(frame(8, payload));
  }

  /** The connection is gone. */
  lost(what = "the client hangs up", ms) {
    return this.until(() => this.all.some((item) => item.lost), what, ms);
  }
}

/** A frame of the server. `mask` masks it, which only clients may. */
export function frame(opcode, data, { fin = true, reserved = 0, mask = false, lengthBytes } = {}) {
  const payload = Buffer.from(data);
  const size = lengthBytes ?? (payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8);
  const start = Buffer.alloc(2 + size);
  start[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  start[1] = (mask ? 0x80 : 0) | (size === 0 ? payload.length : size === 2 ? 126 : 127);
  if (size === 2) start.writeUInt16BE(payload.length, 2);
  if (size === 8) start.writeBigUInt64BE(BigInt(payload.length), 2);
  // With a key of zeros the payload stays as it is.
  return Buffer.concat([start, Buffer.alloc(mask ? 4 : 0), payload]);
}

/** A session that was opened on polling. The next poll waits in `poll`. */
export async function onPolling(run, changes = {}, options = {}) {
  const box = await script(run);
  const client = run.client(box.url);
  const first = await box.gets.next("the handshake");
  first.answer(openPacket(changes), options);
  await client.event("open");
  return { box, client, first };
}

/** A session that was opened on WebSocket. */
export async function onWebSocket(run, changes = {}) {
  const box = await script(run);
  const client = run.client(box.url);
  const upgrade = await box.upgrades.next("the handshake");
  const peer = upgrade.accept();
  peer.send(openPacket(changes));
  await client.event("open");
  return { box, client, upgrade, peer };
}

/** The session works on polling, both ways: the client sends what it is told to, and prints what it is sent. */
export async function livesOnPolling(box, client, text = "alive") {
  (await box.gets.next("the poll")).answer(`4!send ${text}${SEPARATOR}4printed ${text}`);
  const post = await box.posts.next("the post");
  assert.deepEqual(post.packets, [`4${text}`]);
  post.answer("ok");
  const printed = () => client.of("message").some((line) => line.data === `printed ${text}`);
  await client.until(printed, `the message "printed ${text}"`);
}

/** Ends a session on polling, as a server does. */
export async function endsOnPolling(box, client) {
  (await box.gets.next("the poll")).answer("1");
  await client.ends("transport close");
}

/** Both of the above. */
export async function livesAndEnds(box, client) {
  await livesOnPolling(box, client);
  await endsOnPolling(box, client);
}

/** The session works on WebSocket, both ways. */
export async function livesOnWebSocket(peer, client, text = "alive") {
  peer.send(`4!send ${text}`, `4printed ${text}`);
  await peer.until(() => peer.all.some((item) => item.text === `4${text}`), `the message ${text}`);
  const printed = () => client.of("message").some((line) => line.data === `printed ${text}`);
  await client.until(printed, `the message "printed ${text}"`);
}

/** Ends a session on WebSocket, as a server does. */
export async function endsOnWebSocket(peer, client) {
  peer.close();
  await client.ends("transport close");
  await within(peer.lost(), "the end of the connection");
}

// What the suites of a server share: the server under test as a child process, and the plainest HTTP and WebSocket clients
// that still let a test see every byte that matters.
//
// Command line of a suite:
//   --server 'COMMAND'   the server under test, run by `sh -c "exec COMMAND"` with PORT and PROFILE in its environment;
//                        {port} and {profile} in it are replaced
//   --reference          the reference server instead; what is known to differ there is skipped, with the reason
//   --differences        with --reference: only what is known to differ, and each such test has to fail

import http from "node:http";
import net from "node:net";
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import v3 from "engine.io-parser-v3";
import { WebSocket } from "ws";
import { args, judge, servers } from "./servers.mjs";
import { eventually, Inbox, within } from "./waiting.mjs";

export { eventually, Inbox, within } from "./waiting.mjs";

const command = args.server ?? `"${process.execPath}" "${fileURLToPath(new URL("reference-server.mjs", import.meta.url))}"`;
const server = servers({ command, path: (profile) => (profile === "opts" ? "/custom/" : "/engine.io/"), ends: 3000 });

/** Half of the 200 ms within which a ping must be answered in the profiles: the server needs some of them as well. */
const STALL = 100;

/**
 * A test of the server with the options of `profile`. `differs` says why the reference does not pass it; such a test
 * states a decision of this project.
 */
export function scenario(name, { profile = "default", differs, timeout = 60_000 }, body) {
  judge(name, { start: () => server(profile), differs, timeout, stall: STALL }, body);
}

// ----------------------------------------------------------------------------------------------------------------- HTTP

/** Path and query of a request: `query` is appended to `EIO=4&transport=polling` unless it is a string: then it is all. */
export function target(server, query = {}, path = server.path) {
  const text = typeof query === "string" ? query : new URLSearchParams({ EIO: 4, transport: "polling", ...query });
  return `${path}?${text}`;
}

/**
 * One request on a connection of its own. Gives `{ status, headers, bytes, text }`, or `{ lost: true }` if the
 * connection ended without an answer. The promise has `abort()`.
 */
export function request(server, url, { method = "GET", headers = {}, body, end = true } = {}) {
  let abort;
  const answer = new Promise((resolve) => {
    const outgoing = http.request({ host: "127.0.0.1", port: server.port, path: url, method, headers, agent: false });
    abort = () => outgoing.destroy();
    outgoing.on("error", () => resolve({ lost: true }));
    outgoing.on("upgrade", (response, socket) => (socket.destroy(), resolve(plain(response, Buffer.alloc(0)))));
    outgoing.on("response", (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", () => resolve({ lost: true }));
      response.on("end", () => resolve(plain(response, Buffer.concat(chunks))));
    });
    if (body !== undefined) outgoing.write(body);
    if (end) outgoing.end();
    else outgoing.flushHeaders();
  });
  const limited = within(answer, `an answer to ${method} ${url.slice(0, 200)}`);
  return Object.assign(limited, { abort });
}

function plain(response, bytes) {
  return { status: response.statusCode, headers: response.headers, bytes, text: bytes.toString() };
}

/** Sends `bytes` on a fresh connection and gives all that comes back until the server closes it or `enough` says so. */
export async function raw(server, bytes, enough = () => false, what = "an answer") {
  const socket = net.connect(server.port, "127.0.0.1");
  const inbox = new Inbox();
  let text = "", ended = false;
  socket.on("data", (chunk) => ((text += chunk.toString("latin1")), inbox.push(text)));
  socket.on("error", () => {});
  socket.on("close", () => ((ended = true), inbox.push(text)));
  socket.write(bytes);
  try {
    await inbox.until(() => ended || enough(text), what);
  } finally {
    socket.destroy();
  }
  return text;
}

/** The answer is the protocol's error `code`, as JSON. */
export function assertRefused(answer, code, { status = code === 4 ? 403 : 400, message = MESSAGES[code] } = {}) {
  assert.deepEqual({ status: answer.status, body: answer.text }, { status, body: JSON.stringify({ code, message }) });
  assert.match(answer.headers["content-type"], /^application\/json\b/);
}

const MESSAGES = [
  "Transport unknown",
  "Session ID unknown",
  "Bad handshake method",
  "Bad request",
  "Forbidden",
  "Unsupported protocol version",
];

/** Whether the session is gone: a closed one answers like one that never was. Changes nothing on a live session. */
export async function isGone(server, sid, EIO = 4) {
  const answer = await request(server, target(server, { sid, EIO }), { method: "PUT" });
  return answer.status === 400 && JSON.parse(answer.text).code === 1;
}

export function gone(server, sid, EIO = 4) {
  return eventually(async () => (await isGone(server, sid, EIO)) || undefined, `the end of session ${sid}`, 3000);
}

// ----------------------------------------------------------------------------------------------------------- WebSocket

/**
 * A WebSocket on which the test sees every frame: `{ text }`, `{ binary }`, and last `{ close: code }`. Pings of the
 * session are answered and not shown, unless `alive` is false.
 */
export class Frames extends Inbox {
  constructor(server, query, { path = server.path, headers = {}, alive = true } = {}) {
    super();
    const all = typeof query === "string" ? query : { transport: "websocket", ...query };
    const url = `ws://127.0.0.1:${server.port}${target(server, all, path)}`;
    this.socket = new WebSocket(url, { headers, perMessageDeflate: true });
    this.opened = within(
      new Promise((resolve) => {
        this.socket.on("upgrade", (response) => resolve({ status: 101, headers: response.headers }));
        this.socket.on("unexpected-response", (_, response) => {
          const chunks = [];
          response.on("data", (chunk) => chunks.push(chunk));
          response.on("end", () => resolve(plain(response, Buffer.concat(chunks))));
        });
        this.socket.on("error", () => resolve({ lost: true }));
      }),
      `an answer to the WebSocket handshake ${url}`,
    );
    this.socket.on("message", (data, isBinary) => {
      if (isBinary) this.push({ binary: data });
      else if (alive && data.toString() === "2") this.send("3");
      else this.push({ text: data.toString() });
    });
    this.socket.on("close", (code) => this.push({ close: code }));
  }

  send(data) {
    this.socket.send(data);
  }

  /** The next frame, which has to be a text. A close is no wrong answer but a wait in vain, see `insist`. */
  async text(what = "a text frame") {
    const frame = await this.next(what);
    if (frame.close !== undefined) throw new Error(`${what}: the WebSocket was closed (${frame.close})`);
    return frame.text;
  }

  /** Waits for the end, whatever comes before; gives the close code (1005: none given, 1006: no close frame). */
  async closed(what = "the end of the WebSocket") {
    const ended = () => this.all.find((frame) => frame.close !== undefined);
    await this.until(ended, what);
    return ended().close;
  }

  drop() {
    this.socket.terminate();
  }

  /** A new session that starts on WebSocket. Its open packet has been taken and stands in `handshake`. */
  static async open(server, query = {}, options = {}) {
    const frames = new Frames(server, query, options);
    assert.equal((await frames.opened).status, 101);
    frames.handshake = JSON.parse((await frames.text("the open packet")).slice(1));
    frames.sid = frames.handshake.sid;
    return frames;
  }
}

// -------------------------------------------------------------------------------------------------------------- polling

/** A session on polling, request by request. */
export class Polling {
  /** Opens one. `query` stands in all of its requests. */
  static async open(server, query = {}) {
    const session = new Polling();
    Object.assign(session, { server, query, revision: Number(query.EIO ?? 4) });
    session.answer = await request(server, target(server, query));
    assert.equal(session.answer.status, 200, session.answer.text);
    const [open, ...rest] = session.decode(session.answer);
    assert.equal(open[0], "0");
    session.handshake = JSON.parse(open.slice(1));
    session.sid = session.handshake.sid;
    session.rest = rest;
    return session;
  }

  get url() {
    return target(this.server, { ...this.query, sid: this.sid });
  }

  /** One GET, as it is. */
  get(options) {
    return request(this.server, this.url, options);
  }

  /** GETs until there is something other than pings, which are answered. Gives the last answer with its `packets`. */
  async poll() {
    for (;;) {
      const answer = await this.get();
      if (answer.status !== 200) return { ...answer, packets: [] };
      const packets = this.decode(answer);
      if (this.revision === 4 && packets.includes("2")) await this.post("3");
      const others = this.revision === 4 ? packets.filter((packet) => packet !== "2") : packets;
      if (others.length > 0) return { ...answer, packets: others };
    }
  }

  /** A poll that the server has received and holds, so far as that can be known: see `settle`. */
  async pending() {
    const poll = this.poll();
    await settle(this.server);
    return { poll };
  }

  post(body, { headers = {}, ...options } = {}) {
    const type = { "content-type": "text/plain;charset=UTF-8", ...headers };
    return request(this.server, this.url, { method: "POST", headers: type, body, ...options });
  }

  /** Posts and expects the answer to a good post. */
  async say(body, options) {
    const { status, text } = await this.post(body, options);
    assert.deepEqual([status, text], [200, "ok"]);
  }

  /** The packets of an answer as texts; binary ones as the Buffer of their data. */
  decode({ text, bytes, headers }) {
    if (this.query.j !== undefined) text = JSON.parse(/^___eio\[\d*\]\((.*)\);$/s.exec(text)[1]);
    if (this.revision === 4) return text.split("\u001e");
    const packets = [];
    const payload = headers["content-type"] === "application/octet-stream" ? bytes : text;
    v3.decodePayload(payload, ({ type, data = "" }) => {
      packets.push(Buffer.isBuffer(data) ? data : `${v3.packets[type]}${data}`);
    });
    return packets;
  }
}

/**
 * Lets what has been sent on other connections reach the server first: several round trips, one after the other, of
 * requests that change nothing.
 */
export async function settle(server) {
  for (let i = 0; i < 5; i++) assert.equal((await request(server, target(server, { transport: "none" }))).status, 400);
}

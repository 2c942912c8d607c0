// The two official clients behind one face, so that a scenario is written once for both revisions of the protocol.

import { Socket as Socket4 } from "engine.io-client";
import Socket3 from "engine.io-client-3";
import { Inbox, within } from "./harness.mjs";

/** Name of a client -> the revision it speaks. The profile `eio3` serves both. */
export const CLIENTS = { "engine.io-client 6": 4, "engine.io-client 3": 3 };

/** Name of a mode -> the transports that the client may use. */
export const MODES = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

/** One session of an official client. `messages` are strings and Buffers; `events` are `[name, detail]`. */
export class Client {
  events = new Inbox();
  messages = new Inbox();

  constructor(server, revision, mode, options = {}) {
    this.revision = revision;
    this.mode = mode;
    const Socket = revision === 4 ? Socket4 : Socket3;
    this.socket = new Socket(`http://127.0.0.1:${server.port}`, {
      path: server.path,
      transports: [...MODES[mode]],
      ...options,
    });
    // "error" comes before "close" with the reason of a refusal; without a listener it would end the process.
    for (const name of ["open", "handshake", "upgrading", "upgrade", "upgradeError", "ping", "pong", "error", "close"]) {
      this.socket.on(name, (...details) => this.events.push([name, ...details.map(plainDetail)]));
    }
    this.socket.on("close", (reason) => {
      const end = `the session is closed (${reason})`;
      this.events.end(end);
      this.messages.end(end);
    });
    this.socket.on("open", () => (this.sid = this.socket.id));
    this.socket.on("message", (data) => this.messages.push(message(data)));
  }

  send(data) {
    this.socket.send(data);
  }

  close() {
    this.socket.close();
  }

  get transport() {
    return this.socket.transport.name;
  }

  /** The detail of the first event of that name, once it has come. */
  async event(name, ms) {
    await this.events.until(() => this.saw(name), `${this.mode}: event "${name}"`, ms);
    return this.events.all.find(([n]) => n === name)[1];
  }

  saw(name) {
    return this.count(name) > 0;
  }

  count(name) {
    return this.events.all.filter(([n]) => n === name).length;
  }

  /** Open, and on the transport on which the mode ends. */
  async ready() {
    await this.event("open");
    if (this.mode === "upgrade") await this.event("upgrade");
    return this;
  }

  /** Waits for so many beats of the heart from now on: pings of the server, or (revision 3) its pongs. */
  async heartbeats(n) {
    const name = this.revision === 4 ? "ping" : "pong";
    const before = this.count(name);
    await this.events.until(() => this.count(name) >= before + n, `${n} heartbeats`);
  }

  /** Starts the upgrade of a session that was opened with `upgrade: false`. */
  upgradeNow() {
    if (this.revision === 4) this.socket._probe("websocket");
    else this.socket.probe("websocket");
  }

  /** From now on the client shows no sign of life, and does not mind that the server does not either. */
  fallSilent() {
    if (this.revision === 4) {
      const send = this.socket._sendPacket;
      this.socket._sendPacket = (type, ...rest) => type === "pong" || send.call(this.socket, type, ...rest);
    } else {
      clearTimeout(this.socket.pingIntervalTimer);
      clearTimeout(this.socket.pingTimeoutTimer);
      this.socket.removeAllListeners("heartbeat");
      this.socket.setPing = this.socket.onHeartbeat = () => {};
    }
  }

  /** Ends the session if it still lives; for use in `finally`. */
  async dispose() {
    if (this.socket.readyState === "closed") return;
    const closed = new Promise((resolve) => this.socket.once("close", resolve));
    this.socket.close();
    await within(closed, "the client closes", 5000).catch(() => {});
  }
}

/** Runs `body` with a client and ends the client afterwards, also when `body` fails. */
export async function using(client, body) {
  try {
    await body(client);
  } finally {
    await client.dispose();
  }
}

function message(data) {
  if (data === undefined || data === null) return ""; // how both clients hand over an empty text
  return typeof data === "string" ? data : Buffer.from(data);
}

function plainDetail(detail) {
  if (detail instanceof Error) return { message: detail.message, status: detail.description };
  const isPlain = typeof detail !== "object" || detail?.constructor === Object;
  return isPlain ? detail : `(${detail.constructor.name})`; // a transport, say: not for reports
}

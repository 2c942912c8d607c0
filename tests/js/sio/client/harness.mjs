// The client of Socket.IO under test. `../../client/running.mjs` describes the command line.
//
// The contract, which every client program keeps:
//
// - It connects to URL as the words of SCENARIO say: `sio-polling`, `sio-websocket` or `sio-upgrade`, and behind that
//   `nsp` (connects to `/` and `/custom`), `auth` and `badauth` (to `/secret`, with the payload
//   `{"token":"s3cret","user":"rust"}` or `{"token":"bad"}`), `unknown` (to `/nope`), `attempts` (at most 3 attempts to
//   reconnect), `timeout` (connects within 500 ms or not), `noreconnect`, `eio3` (to a server of Socket.IO 2). Without
//   them it connects to `/`. It waits 100 ms before it reconnects, then twice as long each time, up to 400 ms, without
//   jitter. Other words are names.
// - It prints a JSON object a line, with the fields: `event: "connect"`, `nsp`, `id`, `recovered`, `transport`;
//   `"connect_error"`, `nsp`, `message`, `data` (or null); `"disconnect"`, `nsp`, `reason` (the reference's words);
//   `"reconnect_attempt"`, `n` (from 1 after each loss); `"reconnect_failed"`; `"event"`, `nsp`, `name`, `args`; `"ack"`,
//   `nsp`, `name`, `args` or `timeout: true`; and last `"done"`. Its exit status is 0 then. Bytes are `{"$bin":BASE64}`.
// - It acknowledges an event, if asked to, with `"ack"` and the arguments of the event.
// - It prints no line for the event `cmd`, and obeys its arguments: `emit`, NAME, ARGS; `emit-ack`, NAME, ARGS, and maybe
//   a time in ms; `emit-offline`, NAME, ARGS (emits at the next disconnection); `volatile-offline`, NAME, ARGS (30 ms
//   after it, to be dropped); `disconnect` (this namespace); `exit`.
// - It ends after `exit` and `reconnect_failed`, and if no namespace is connected: 300 ms after the server has refused
//   one, 700 ms after one was disconnected by a command or by the server, or in any way with `noreconnect`.

import assert from "node:assert/strict";
import { Running, scenarios } from "../../client/running.mjs";
import { within } from "../../waiting.mjs";

export const MODES = ["polling", "websocket", "upgrade"];

/** The running client. */
class Program extends Running {
  /** The lines of that kind, once there are `n` of them. */
  async lines(event, n) {
    await this.until(() => this.of(event).length >= n, `${n} lines "${event}"`);
    return this.of(event);
  }

  /** The client has printed exactly these events of the namespace, or does so now. */
  async printed(events, nsp = "/") {
    const ours = () => this.of("event").filter((line) => line.nsp === nsp);
    await this.until(() => ours().length >= events.length, `${events.length} events, as lines of the client`);
    assert.deepEqual(ours(), events.map(([name, ...args]) => ({ event: "event", nsp, name, args: shown(args) })));
  }

  /** The client ends by itself, behind the line `done`, and these lines before it. */
  async ends(before = []) {
    const status = await within(this.exit, `the end of the client after ${JSON.stringify(this.all.slice(-3))}`);
    assert.deepEqual(this.all.slice(-1 - before.length), [...before, { event: "done" }], this.errors);
    assert.equal(this.of("done").length, 1);
    assert.equal(status, 0, this.errors);
  }

  /** The kinds of the lines, in their order. */
  get kinds() {
    return this.all.map((line) => line.event);
  }
}

/** A test of the client, see `scenarios`. */
export const scenario = scenarios("../sio/reference-client.mjs", Program);

/** A value as the client prints it. */
export function shown(value) {
  if (Buffer.isBuffer(value)) return { $bin: value.toString("base64") };
  if (Array.isArray(value)) return value.map(shown);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shown(member)]));
}

// The client of Engine.IO under test. `running.mjs` describes the command line.
//
// The contract, which every client program keeps:
//
// - It connects to URL as the words of SCENARIO say: `eio-polling`, `eio-websocket` or `eio-upgrade`, and behind that
//   `options` (path `/custom/`, the query `foo=bar baz` and `u=€`, the field `X-Test: held`), `early` (sends `early-0` to
//   `early-2` before the session is open), `v3` (revision 3), `b64` (binary messages as base64), `noslash` (no slash
//   behind the path), `protocols` (offers the subprotocols `chat` and `v2.chat`), `proxy` (by the proxies that environment
//   variables name). Other words are names.
// - It prints a JSON object a line, with the fields: `event: "open"`, `sid`, `transport`; `"upgrade"`, `transport`;
//   `"message"`, `binary`, `data` (bytes in base64), or `length` and `sha256` for more than 1000 bytes; `"error"`,
//   `message`; `"close"`, `reason` (the reference's words); and last, at most a second later, `"done"`. Its exit status
//   is 0 then.
// - It prints no line for texts that are commands of the server, and obeys: `!send TEXT`; `!burst N` (`m0` to `m(N-1)`,
//   every fifth as bytes); `!texts N`; `!text N` (N times `x`); `!bin N` (N bytes that count); `!burst-close N`; `!close`.

import { createHash } from "node:crypto";
import assert from "node:assert/strict";
import { within } from "../waiting.mjs";
import { Running, scenarios } from "./running.mjs";

/** From the line `close` to the end of the process: 1 s by the contract, and as much again for a busy machine. */
const LINGER = 2000;

/** Longer messages are printed as length and hash. */
const LONGEST_SHOWN = 1000;

/** The running client. */
class Program extends Running {
  push(line) {
    if (line.event === "close") this.closedAt = Date.now();
    super.push(line);
  }

  /** The client has printed exactly these messages, or does so now. */
  async printed(messages, what = "the messages") {
    await this.until(() => this.of("message").length >= messages.length, `${what}, as lines of the client`);
    assert.deepEqual(this.of("message"), messages.map(line));
  }

  /**
   * The client ends as the contract wants it: after the line `close` with this reason there is only `done`, and the exit
   * status is 0. A `transport error` is told by one line `error` before it; nothing else is.
   */
  async ends(reason) {
    const status = await within(this.exit, `the end of the client after ${JSON.stringify(this.all.slice(-3))}`);
    const events = this.all.map((line) => line.event);
    const tail = reason === "transport error" ? ["error", "close", "done"] : ["close", "done"];
    assert.deepEqual(events.slice(-tail.length), tail, this.errors);
    assert.equal(this.of("close")[0].reason, reason);
    this.#assertOnce(["open", "upgrade", "error", "close", "done"]);
    assert.equal(this.saw("error"), reason === "transport error");
    assert.equal(status, 0, this.errors);
    assert.ok(Date.now() - this.closedAt < LINGER, "the client has not ended within 1 s of its close");
  }

  /** No session came about: one `error`, perhaps a `close`, `done`, and exit status 0. Gives the text of the error. */
  async fails() {
    const status = await within(this.exit, `the end of the client after ${JSON.stringify(this.all.slice(-3))}`);
    const events = this.all.map((line) => line.event).filter((event) => event !== "close");
    assert.deepEqual(events, ["error", "done"], this.errors);
    this.#assertOnce(["close"]);
    for (const { reason } of this.of("close")) assert.equal(reason, "transport error");
    assert.equal(typeof this.of("error")[0].message, "string");
    assert.equal(status, 0, this.errors);
    return this.of("error")[0].message;
  }

  #assertOnce(events) {
    for (const event of events) assert.ok(this.of(event).length <= 1, `${event}: ${JSON.stringify(this.of(event))}`);
  }
}

/** A test of the client, see `scenarios`. */
export const scenario = scenarios("../reference-client.mjs", Program);

/** The line that the client prints for a message. */
function line(message) {
  const binary = typeof message !== "string";
  const bytes = Buffer.from(message);
  const start = { event: "message", binary };
  if (bytes.length <= LONGEST_SHOWN) return { ...start, data: bytes.toString(binary ? "base64" : "utf8") };
  return { ...start, length: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/**
 * Counts the requests under way: a client has at most one poll and one post at a time. `asked(method)` gives what has to
 * be called when the request has been answered.
 */
export function watchOverlap(run) {
  const busy = { GET: 0, POST: 0 };
  const most = { GET: 0, POST: 0 };
  run.check(() => assert.ok(most.GET <= 1 && most.POST <= 1, `requests at a time: ${JSON.stringify(most)}`));
  const asked = (method) => {
    busy[method] += 1;
    most[method] = Math.max(most[method], busy[method]);
    let waiting = true;
    return () => {
      if (waiting) busy[method] -= 1;
      waiting = false;
    };
  };
  return { asked };
}

/** `m0`, `m1`, ... as the commands `!texts` and (with `binary`) `!burst` make the client send them. */
export function numbered(n, { name = "m", binary = false } = {}) {
  return Array.from({ length: n }, (_, i) => {
    const text = `${name}${i}`;
    return binary && i % 5 === 4 ? Buffer.from(text) : text;
  });
}

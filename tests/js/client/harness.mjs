// The client under test as a child process, which prints what happens to it as JSON lines and obeys the server.
//
// Command line:
//   --client 'COMMAND'   the client under test, run by `sh -c "exec COMMAND URL SCENARIO"`
//   --reference          the reference client instead; what is known to differ there is skipped, with the reason
//   --differences        with --reference: only what is known to differ, and each such test has to fail
//   --only PATTERN       only the tests whose name matches the regular expression
//
// The contract, which every client program keeps:
//
// - It connects to URL as the words of SCENARIO say: `eio-polling`, `eio-websocket` or `eio-upgrade`, and behind that
//   `options` (path `/custom/`, the query `foo=bar baz` and `u=€`, the field `X-Test: held`), `early` (sends `early-0` to
//   `early-2` before the session is open), `v3` (revision 3), `b64` (binary messages as base64), `noslash` (no slash
//   behind the path), `protocols` (offers the subprotocols `chat` and `v2.chat`). Other words are names.
// - It prints a JSON object a line, with the fields: `event: "open"`, `sid`, `transport`; `"upgrade"`, `transport`;
//   `"message"`, `binary`, `data` (bytes in base64), or `length` and `sha256` for more than 1000 bytes; `"error"`,
//   `message`; `"close"`, `reason` (the reference's words); and last, at most a second later, `"done"`. Its exit status
//   is 0 then.
// - It prints no line for texts that are commands of the server, and obeys: `!send TEXT`; `!burst N` (`m0` to `m(N-1)`,
//   every fifth as bytes); `!texts N`; `!text N` (N times `x`); `!bin N` (N bytes that count); `!burst-close N`; `!close`.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { test } from "node:test";
import assert from "node:assert/strict";
import { Inbox, within } from "../waiting.mjs";

const { values: args } = parseArgs({
  options: {
    client: { type: "string" },
    reference: { type: "boolean", default: false },
    differences: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});
if (!args.client && !args.reference) {
  console.error(`usage: node ${process.argv[1]} (--client 'COMMAND' | --reference [--differences]) [--only PATTERN]`);
  process.exit(2);
}

const command = args.client ?? `"${process.execPath}" "${fileURLToPath(new URL("../reference-client.mjs", import.meta.url))}"`;

/** From the line `close` to the end of the process: 1 s by the contract, and as much again for a busy machine. */
const LINGER = 2000;

/** Longer messages are printed as length and hash. */
const LONGEST_SHOWN = 1000;

/**
 * A test of the client in the scenario `name`. `body` gets `run`: `run.client(url)` starts the client, `run.after(end)`
 * registers what has to be ended, whatever happens, and `run.check(check)` what has to hold at the end. `differs` says
 * why the reference does not pass; such a test states a decision of this project.
 */
export function scenario(name, title, { differs, timeout = 30_000 }, body) {
  const full = `${name}: ${title}`;
  if (!new RegExp(args.only).test(full)) return;
  if (args.reference && Boolean(differs) !== args.differences) {
    if (differs) test(full, { skip: `the reference is known to differ: ${differs}` });
    return;
  }
  test(full, { timeout }, async () => {
    if (!args.differences) return attempt(name, body);
    await assert.rejects(attempt(name, body), (error) => {
      console.log(`# ${full}: the reference differs: ${error.message.split("\n")[0]}`);
      return true;
    });
  });
}

async function attempt(name, body) {
  const ends = [], checks = [], clients = [];
  const run = {
    client: (url) => {
      const program = new Program(url, name);
      clients.push(program);
      ends.push(() => program.kill());
      return program;
    },
    after: (end) => ends.push(end),
    check: (check) => checks.push(check),
  };
  try {
    await body(run);
    for (const check of checks) check();
  } catch (error) {
    error.message += `\n${clients.join("\n")}`;
    throw error;
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

/** The running client: an inbox of the lines that it prints. */
class Program extends Inbox {
  #errors = "";

  constructor(url, name) {
    super();
    this.child = spawn("sh", ["-c", `exec ${command} "$@"`, "sh", url, name], { stdio: ["ignore", "pipe", "pipe"] });
    this.child.stderr.on("data", (chunk) => (this.#errors += chunk));
    this.exit = once(this.child, "close").then(([code, signal]) => {
      this.end(`the client has ended with ${code ?? signal}, saying ${JSON.stringify(this.#errors.slice(0, 1000))}`);
      return code ?? signal;
    });
    createInterface(this.child.stdout).on("line", (text) => {
      const line = JSON.parse(text);
      if (line.event === "close") this.closedAt = Date.now();
      this.push(line);
    });
  }

  of(event) {
    return this.all.filter((line) => line.event === event);
  }

  saw(event) {
    return this.of(event).length > 0;
  }

  /** The first line of that kind, once it has come. */
  async event(event, ms) {
    await this.until(() => this.saw(event), `the line "${event}"`, ms);
    return this.of(event)[0];
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
    assert.deepEqual(events.slice(-tail.length), tail, this.#errors);
    assert.equal(this.of("close")[0].reason, reason);
    this.#assertOnce(["open", "upgrade", "error", "close", "done"]);
    assert.equal(this.saw("error"), reason === "transport error");
    assert.equal(status, 0, this.#errors);
    assert.ok(Date.now() - this.closedAt < LINGER, "the client has not ended within 1 s of its close");
  }

  /** No session came about: one `error`, perhaps a `close`, `done`, and exit status 0. Gives the text of the error. */
  async fails() {
    const status = await within(this.exit, `the end of the client after ${JSON.stringify(this.all.slice(-3))}`);
    const events = this.all.map((line) => line.event).filter((event) => event !== "close");
    assert.deepEqual(events, ["error", "done"], this.#errors);
    this.#assertOnce(["close"]);
    for (const { reason } of this.of("close")) assert.equal(reason, "transport error");
    assert.equal(typeof this.of("error")[0].message, "string");
    assert.equal(status, 0, this.#errors);
    return this.of("error")[0].message;
  }

  #assertOnce(events) {
    for (const event of events) assert.ok(this.of(event).length <= 1, `${event}: ${JSON.stringify(this.of(event))}`);
  }

  /** Ends the client, and does not wait for processes of its own that it may have left. */
  async kill() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGKILL");
    this.child.stdout.destroy();
    this.child.stderr.destroy();
    await this.exit;
  }

  /** For the report of a failure. */
  toString() {
    const status = this.child.exitCode ?? this.child.signalCode ?? "runs";
    const lines = this.all.slice(-5).map((line) => JSON.stringify(line).slice(0, 200));
    return `the client (${status}) has printed ${this.all.length} lines, the last: ${lines.join(" ")} ${this.#errors.slice(0, 1000)}`;
  }
}

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

// The client under test as a child process, which prints what happens to it as JSON lines and obeys the server.
//
// Command line:
//   --client 'COMMAND'   the client under test, run by `sh -c "exec COMMAND URL SCENARIO"`
//   --reference          the reference client instead; what is known to differ there is skipped, with the reason
//   --differences        with --reference: only what is known to differ, and each such test has to fail
//   --only PATTERN       only the tests whose name matches the regular expression

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { test } from "node:test";
import assert from "node:assert/strict";
import { Inbox } from "../waiting.mjs";

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

/**
 * Gives `scenario`, a test of the client in the scenario `name`, for clients that are watched as a `Program`; `reference`
 * is the path of the reference client from here. `body` gets `run`: `run.client(url)` starts the client, maybe with
 * environment variables, `run.after(end)`
 * registers what has to be ended, whatever happens, and `run.check(check)` what has to hold at the end. `differs` says
 * why the reference does not pass; such a test states a decision of this project.
 */
export function scenarios(reference, Program) {
  const command = args.client ?? `"${process.execPath}" "${fileURLToPath(new URL(reference, import.meta.url))}"`;
  const start = (url, name, environment) => new Program(command, url, name, environment);
  return (name, title, options, body) => scenario(start, name, title, options, body);
}

function scenario(start, name, title, { differs, timeout = 30_000 }, body) {
  const full = `${name}: ${title}`;
  if (!new RegExp(args.only).test(full)) return;
  if (args.reference && Boolean(differs) !== args.differences) {
    if (differs) test(full, { skip: `the reference is known to differ: ${differs}` });
    return;
  }
  test(full, { timeout }, async () => {
    if (!args.differences) return attempt(start, name, body);
    await assert.rejects(attempt(start, name, body), (error) => {
      console.log(`# ${full}: the reference differs: ${error.message.split("\n")[0]}`);
      return true;
    });
  });
}

async function attempt(start, name, body) {
  const ends = [], checks = [], clients = [];
  const run = {
    client: (url, environment) => {
      const program = start(url, name, environment);
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
export class Running extends Inbox {
  errors = "";

  constructor(command, url, name, environment = {}) {
    super();
    const options = { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } };
    this.child = spawn("sh", ["-c", `exec ${command} "$@"`, "sh", url, name], options);
    this.child.stderr.on("data", (chunk) => (this.errors += chunk));
    this.exit = once(this.child, "close").then(([code, signal]) => {
      this.end(`the client has ended with ${code ?? signal}, saying ${JSON.stringify(this.errors.slice(0, 1000))}`);
      return code ?? signal;
    });
    createInterface(this.child.stdout).on("line", (text) => this.push(JSON.parse(text)));
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
    return `the client (${status}) has printed ${this.all.length} lines, the last: ${lines.join(" ")} ${this.errors.slice(0, 1000)}`;
  }
}

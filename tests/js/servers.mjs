// What the suites of Engine.IO and of Socket.IO share: their command line, the server under test as a child process, and
// how a scenario is judged. The two files `harness.mjs` describe them.

import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { parseArgs } from "node:util";
import { after, test } from "node:test";
import assert from "node:assert/strict";
import { eventually, within } from "./waiting.mjs";

export const { values: args } = parseArgs({
  options: {
    server: { type: "string" },
    second: { type: "string" },
    reference: { type: "boolean", default: false },
    differences: { type: "boolean", default: false },
    long: { type: "boolean", default: false },
  },
});
if (!args.server && !args.reference) {
  console.error(`usage: node ${process.argv[1]} (--server 'COMMAND' | --reference [--differences])`);
  process.exit(2);
}

// ---------------------------------------------------------------------------------------------------------------- tests

/**
 * A test of the server that `start` gives. `differs` says why the reference does not pass it; such a test states a decision
 * of this project. `stall` is the longest time in milliseconds that this process may stand still, see `insist`.
 */
export function judge(name, { start, differs, timeout, stall }, body) {
  if (args.reference && Boolean(differs) !== args.differences) {
    if (differs) test(name, { skip: `the reference is known to differ: ${differs}` });
    return;
  }
  test(name, { timeout }, async () => {
    const running = await start();
    if (!args.differences) return insist(name, stall, () => body(running));
    await assert.rejects(async () => body(running), (error) => {
      console.log(`# ${name}: the reference differs: ${error.message.split("\n")[0]}`);
      return true;
    });
  });
}

/**
 * Runs a scenario; up to twice more if a wait was in vain and this process itself had stood still for `limit` milliseconds.
 * What a scenario asserts is never given a second chance.
 */
async function insist(name, limit, body) {
  for (let attempt = 1; ; attempt++) {
    const stall = watchStalls(limit / 20);
    try {
      return await body();
    } catch (error) {
      if (attempt === 3 || error instanceof assert.AssertionError || stall.longest < limit) throw error;
      console.log(`# ${name}: once more, as this process stood still for ${Math.round(stall.longest)} ms: ${error.message}`);
    } finally {
      stall.stop();
    }
  }
}

function watchStalls(interval) {
  let last = performance.now();
  const watch = { longest: 0, stop: () => clearInterval(timer) };
  const timer = setInterval(() => {
    watch.longest = Math.max(watch.longest, performance.now() - last);
    last = performance.now();
  }, interval);
  return watch;
}

// -------------------------------------------------------------------------------------------------------------- servers

/**
 * Gives a function that starts the server with the options of a profile, and with `environment`: one process for each, for
 * as long as the suite runs. `command` starts it, `path` gives its path in a profile, and it has `ends` milliseconds to
 * end on SIGTERM.
 */
export function servers({ command, path, ends }) {
  const running = new Map();
  after(async () => {
    const stops = [...running.values()].map((starting) => stop(starting, ends));
    const errors = (await Promise.allSettled(stops)).filter((end) => end.reason);
    assert.deepEqual(errors.map((end) => end.reason.message), []);
  });
  return (profile, environment = {}) => {
    const key = JSON.stringify([profile, environment]);
    if (!running.has(key)) running.set(key, start(command, profile, path(profile), environment));
    return running.get(key);
  };
}

/** Starts a server with the options of a profile. */
export async function start(command, profile, path, environment) {
  // The port is free now and may be taken when the server binds it, hence more than one attempt.
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const text = command.replaceAll("{port}", port).replaceAll("{profile}", profile);
    const child = spawn("sh", ["-c", `exec ${text}`], {
      env: { ...process.env, ...environment, PORT: String(port), PROFILE: profile },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const exit = once(child, "exit").then(([code, signal]) => code ?? signal);
    const ended = await Promise.race([exit, listening(port).then(() => null)]).catch((error) => {
      child.kill("SIGKILL");
      throw error;
    });
    if (ended === null) return { profile, port, path, child, exit };
    assert.notEqual(ended, 3, `the server has no profile "${profile}" (exit status 3)`);
    assert.ok(attempt < 3, `the server ended with ${ended} before it listened (profile "${profile}")`);
  }
}

/** Ports that this process has given to servers, and the range that they are of: above those of Redis. */
const given = new Set();
const LOWEST_PORT = 30_001;
const PORTS = 32_768;

/**
 * A port that nobody listens on, and that this process gives to nobody else. A server that comes too late for it would not be
 * noticed where another one listens. So it is none of those that a system gives to whoever asks for any.
 */
async function freePort() {
  for (;;) {
    assert.ok(given.size < PORTS - LOWEST_PORT, "all ports were given");
    const port = LOWEST_PORT + Math.floor(Math.random() * (PORTS - LOWEST_PORT));
    if (given.has(port)) continue;
    given.add(port);
    const probe = net.createServer().listen(port, "127.0.0.1");
    const isFree = await once(probe, "listening").then(() => true, () => false);
    if (!isFree) continue;
    probe.close();
    await once(probe, "close");
    return port;
  }
}

function listening(port) {
  return eventually(
    () =>
      new Promise((resolve) => {
        const socket = net.connect(port, "127.0.0.1", () => resolve(socket.destroy()));
        socket.on("error", () => resolve(undefined));
      }).then((socket) => socket && true),
    `a server that listens on port ${port}`,
    60_000,
  );
}

/** Ends a server, which must still run, on SIGTERM. */
export async function stop(starting, ends) {
  const { child, exit, profile } = await starting;
  assert.equal(child.exitCode ?? child.signalCode, null, `the server of profile "${profile}" ended by itself`);
  child.kill("SIGTERM");
  try {
    await within(exit, `the server of profile "${profile}" ends on SIGTERM`, ends);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

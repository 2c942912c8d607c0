// What the suites of Socket.IO share: the server under test, and scenarios that run beside each other.
//
// The command line is that of `../harness.mjs`. The reference is `reference-server.mjs` of this folder.

import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { after, describe, test } from "node:test";
import assert from "node:assert/strict";
import { eventually, within } from "../waiting.mjs";

const { values: args } = parseArgs({
  options: {
    server: { type: "string" },
    reference: { type: "boolean", default: false },
    differences: { type: "boolean", default: false },
  },
});

const command = args.server ?? `"${process.execPath}" "${fileURLToPath(new URL("reference-server.mjs", import.meta.url))}"`;

// ---------------------------------------------------------------------------------------------------------------- tests

/** How many scenarios run at the same time. */
const AT_ONCE = 8;

/** A group of scenarios that run beside each other. */
export const theme = (name, body, atOnce = AT_ONCE) => describe(name, { concurrency: atOnce }, body);

/**
 * A test of the server with the options of `profile`. `differs` says why the reference does not pass it; such a test
 * states a decision of this project. `varies` says why the reference passes it only sometimes. Unless `heartbeat` is set, no ping timeout ends a session: see `start`.
 */
export function scenario(name, { profile = "relaxed", heartbeat = false, differs, varies, timeout = 60_000 }, body) {
  if (args.reference && varies) {
    test(name, { skip: `the reference passes it sometimes: ${varies}` });
    return;
  }
  if (args.reference && Boolean(differs) !== args.differences) {
    if (differs) test(name, { skip: `the reference is known to differ: ${differs}` });
    return;
  }
  test(name, { timeout }, async () => {
    const running = await server(profile, heartbeat);
    if (!args.differences) return insist(name, () => body(running));
    await assert.rejects(async () => body(running), (error) => {
      console.log(`# ${name}: the reference differs: ${error.message.split("\n")[0]}`);
      return true;
    });
  });
}

/**
 * Runs a scenario; up to twice more if a wait was in vain and this process itself had stood still for half of the second
 * in which a client must have sent its CONNECT. What a scenario asserts is never given a second chance.
 */
async function insist(name, body) {
  for (let attempt = 1; ; attempt++) {
    const stall = watchStalls();
    try {
      return await body();
    } catch (error) {
      if (attempt === 3 || error instanceof assert.AssertionError || stall.longest < STALL) throw error;
      console.log(`# ${name}: once more, as this process stood still for ${Math.round(stall.longest)} ms: ${error.message}`);
    } finally {
      stall.stop();
    }
  }
}

const STALL = 500;

function watchStalls() {
  let last = performance.now();
  const watch = { longest: 0, stop: () => clearInterval(timer) };
  const timer = setInterval(() => {
    watch.longest = Math.max(watch.longest, performance.now() - last);
    last = performance.now();
  }, 50);
  return watch;
}

let names = 0;

/** A name that nothing else has: for rooms and events. */
export const fresh = (what) => `${what}-${++names}`;

/** A namespace in which nobody else is. */
export const namespace = () => `/dyn-${++names}`;

// --------------------------------------------------------------------------------------------------------------- server

const servers = new Map();
after(async () => {
  const errors = (await Promise.allSettled([...servers.values()].map(stop))).filter((end) => end.reason);
  assert.deepEqual(errors.map((end) => end.reason.message), []);
});

/** One process for each profile, with and without its own ping timeout, for as long as the suite runs. */
function server(profile, heartbeat) {
  const key = `${profile} ${heartbeat}`;
  if (!servers.has(key)) servers.set(key, start(profile, heartbeat));
  return servers.get(key);
}

async function start(profile, heartbeat) {
  // The port is free now and may be taken when the server binds it, hence more than one attempt.
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const text = command.replaceAll("{port}", port).replaceAll("{profile}", profile);
    // A loaded machine must not decide: only scenarios about heartbeats have the short timeout of the profile.
    const patience = heartbeat ? {} : { PING_TIMEOUT: "30000" };
    const child = spawn("sh", ["-c", `exec ${text}`], {
      env: { ...process.env, ...patience, PORT: String(port), PROFILE: profile },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const exit = once(child, "exit").then(([code, signal]) => code ?? signal);
    const ended = await Promise.race([exit, listening(port).then(() => null)]);
    if (ended === null) return { profile, port, path: "/socket.io/", child, exit };
    assert.notEqual(ended, 3, `the server has no profile "${profile}" (exit status 3)`);
    assert.ok(attempt < 3, `the server ended with ${ended} before it listened (profile "${profile}")`);
  }
}

async function freePort() {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

function listening(port) {
  return eventually(
    () =>
      new Promise((resolve) => {
        const socket = net.connect(port, "127.0.0.1", () => resolve(socket.destroy()));
        socket.on("error", () => resolve(undefined));
      }).then((socket) => socket && true),
    `a server that listens on port ${port}`,
    15_000,
  );
}

async function stop(starting) {
  const { child, exit, profile } = await starting;
  assert.equal(child.exitCode ?? child.signalCode, null, `the server of profile "${profile}" ended by itself`);
  child.kill("SIGTERM");
  try {
    await within(exit, `the server of profile "${profile}" ends on SIGTERM`, 5000);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

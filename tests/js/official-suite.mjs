// The official conformance suites of the protocols (docs/engine.io-protocol/v4-test-suite and
// docs/socket.io-protocol/v5-test-suite of socketio/socket.io) against servers of ours, several times in a row. None of
// it is part of this repository: it runs from a checkout, in which `npm ci` must have been run.
//
//   node official-suite.mjs CHECKOUT/docs/engine.io-protocol/v4-test-suite [--times N] SERVER...
//   node official-suite.mjs CHECKOUT/docs/socket.io-protocol/v5-test-suite [--times N] SERVER...
//
// CHECKOUT/...  the folder with `test-suite.js`
// --times N    how often in a row, default 10
// SERVER       a server program, such as ../../target/debug/server-tokio; it gets PORT and PROFILE in its environment
//
// One test can fail by chance, with any server: "close HTTP long-polling forcefully closes the session" sends a GET and
// a POST on two connections and expects the GET to be the first. Once in a few hundred runs its client sends the POST first.
//
// On a busy machine others fail as well, with the reference server as often as with ours: "closes the session upon ping
// timeout" asks at the very moment at which the session ends, "closes the session upon cancelled polling request" gives the
// server 5 ms to see a request and its end, and "should send ping/pong packets" of Socket.IO takes 900 of the 1000 ms that
// the server waits for a namespace.
//
// The suite expects a server on port 3000 of localhost, so one server is tested at a time and that port must be free.
// Exits with 1 if any run has a failure, and prints the names of the tests that failed.

import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { eventually } from "./waiting.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { times: { type: "string", default: "10" } },
});
const [folder, ...servers] = positionals;
const times = Number(values.times);
if (!folder || servers.length === 0 || !(times > 0)) {
  console.error("usage: node official-suite.mjs FOLDER [--times N] SERVER...");
  process.exit(2);
}

/** The port that the suite names. */
const PORT = 3000;

/** What the suites have; fewer would mean that some did not run. */
const TESTS = { "v4-test-suite": 25, "v5-test-suite": 32 }[basename(resolve(folder))];

function connects() {
  return new Promise((resolve) => {
    const socket = net.connect(PORT, "localhost", () => resolve(socket.destroy() && true));
    socket.on("error", () => resolve(undefined));
  });
}

/** One run of the suite: `{ passes, failures }`, the latter as titles with their messages. */
async function run() {
  const child = spawn(join(resolve(folder), "node_modules/.bin/mocha"), ["--reporter", "json", "--exit", "test-suite.js"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "", errors = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (errors += chunk));
  await once(child, "close");
  try {
    const { stats, failures } = JSON.parse(output.slice(output.indexOf("{")));
    return { passes: stats.passes, failures: failures.map((test) => `${test.fullTitle}: ${test.err.message}`) };
  } catch {
    throw new Error(`the suite did not run: ${errors || output}`);
  }
}

if (await connects()) {
  console.error(`port ${PORT} is taken`);
  process.exit(2);
}
let failed = false;
for (const server of servers) {
  const child = spawn(resolve(server), [], {
    env: { ...process.env, PORT: String(PORT), PROFILE: "default" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const exit = once(child, "exit");
  try {
    await eventually(connects, `${server} on port ${PORT}`, 15_000);
    for (let i = 1; i <= times; i++) {
      const { passes, failures } = await run();
      console.log(`${server}, run ${i} of ${times}: ${passes} of ${TESTS}`);
      for (const failure of failures) console.log(`  ${failure}`);
      failed ||= passes !== TESTS || failures.length > 0;
    }
  } finally {
    child.kill("SIGTERM");
    await exit;
  }
}
process.exitCode = failed ? 1 : 0;

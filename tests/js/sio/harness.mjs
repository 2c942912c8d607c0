// What the suites of Socket.IO share: the server under test, and scenarios that run beside each other.
//
// The command line is that of `../harness.mjs`. The reference is `reference-server.mjs` of this folder.

import { fileURLToPath } from "node:url";
import { describe, test } from "node:test";
import { args, judge, servers } from "../servers.mjs";

const command = args.server ?? `"${process.execPath}" "${fileURLToPath(new URL("reference-server.mjs", import.meta.url))}"`;
const server = servers({ command, path: () => "/socket.io/", ends: 5000 });

/** How many scenarios run at the same time. */
const AT_ONCE = 8;

/** A group of scenarios that run beside each other. */
export const theme = (name, body, atOnce = AT_ONCE) => describe(name, { concurrency: atOnce }, body);

/**
 * A test of the server with the options of `profile`. `differs` says why the reference does not pass it; such a test
 * states a decision of this project. `varies` says why the reference passes it only sometimes. Unless `heartbeat` is set,
 * no ping timeout ends a session.
 */
export function scenario(name, { profile = "relaxed", heartbeat = false, differs, varies, timeout = 60_000 }, body) {
  if (args.reference && varies) {
    test(name, { skip: `the reference passes it sometimes: ${varies}` });
    return;
  }
  // A loaded machine must not decide: only scenarios about heartbeats have the short times of the profile.
  const start = () => server(profile, heartbeat ? {} : { PING_TIMEOUT: "30000", RECOVERY_WINDOW: "30000" });
  judge(name, { start, differs, timeout, stall: STALL }, body);
}

/** Half of the second in which a client must have sent its CONNECT. */
const STALL = 500;

let names = 0;

/** A name that nothing else has: for rooms and events. */
export const fresh = (what) => `${what}-${++names}`;

/** A namespace in which nobody else is. */
export const namespace = () => `/dyn-${++names}`;

// Clusters of nodes of the reference and of ours on Redis: what each does, from each kind of node to each. `harness.mjs`
// describes the command line.

import { describe } from "node:test";
import acks from "./acks.mjs";
import broadcasts from "./broadcasts.mjs";
import emitter from "./emitter.mjs";
import recovery from "./recovery.mjs";
import serverEvents from "./server-events.mjs";
import sockets from "./sockets.mjs";

// Each test has a namespace of its own. Those that wait for a deadline come first.
describe("cluster", { concurrency: 16 }, () => {
  serverEvents();
  acks();
  sockets();
  broadcasts();
  emitter();
  recovery();
});

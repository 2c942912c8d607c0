// A client program of Socket.IO by the contract: it connects, prints what happens and obeys the server, which is the
// reference server, its version 2, or one that does what no server should. `../client/running.mjs` describes the command
// line, `client/harness.mjs` the contract.

import { describe } from "node:test";
import connecting from "./client/connecting.mjs";
import encoding from "./client/encoding.mjs";
import events from "./client/events.mjs";
import faults from "./client/faults.mjs";
import old from "./client/old.mjs";
import reconnection from "./client/reconnection.mjs";

// Each test has a server and a client of its own, and waits most of the time.
describe("client of Socket.IO", { concurrency: 10 }, () => {
  events();
  connecting();
  reconnection();
  encoding();
  faults();
  old();
});

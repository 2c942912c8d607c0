// A client program by the contract: it connects, prints what happens and obeys the server, which is the reference server,
// or one that does what no server should. `client/running.mjs` describes the command line, `client/harness.mjs` the
// contract.

import { describe } from "node:test";
import compression from "./client/compression.mjs";
import connections from "./client/connections.mjs";
import handshake from "./client/handshake.mjs";
import polling from "./client/polling.mjs";
import proxies from "./client/proxies.mjs";
import session from "./client/session.mjs";
import stream from "./client/stream.mjs";
import upgrade from "./client/upgrade.mjs";
import websocket from "./client/websocket.mjs";

// Each test has a server and a client of its own, and waits most of the time.
describe("client", { concurrency: 10 }, () => {
  upgrade();
  stream();
  session();
  handshake();
  polling();
  connections();
  proxies();
  websocket();
  compression();
});

// The protocol as it is seen on the wire, request by request and frame by frame, without the official clients: what they
// never do, and what they never show. Exact status, body and headers. `harness.mjs` describes the command line.

import "./protocol/requests.mjs";
import "./protocol/handshake.mjs";
import "./protocol/cors.mjs";
import "./protocol/polling.mjs";
import "./protocol/jsonp.mjs";
import "./protocol/revision3.mjs";
import "./protocol/websocket.mjs";
import "./protocol/upgrade.mjs";
import "./protocol/heartbeat.mjs";

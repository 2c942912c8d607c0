// A Socket.IO server, driven by the official clients 4.8, 3.1 and 2.5 on polling, on WebSocket and through the upgrade,
// and asked about each rule on the wire. `../harness.mjs` describes the command line.
//
// The reference runs the same scenarios, but for those that say how it `differs`, which `--differences` proves.

import "./connecting.mjs";
import "./events.mjs";
import "./rooms.mjs";
import "./ends.mjs";
import "./recovery.mjs";
import "./wire.mjs";
import "./reports.mjs";

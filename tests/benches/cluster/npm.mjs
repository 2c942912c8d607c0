// A node of npm `socket.io` with an official adapter for Redis, as `src/nodes.rs` has them on others. Arguments: the kind of
// node, and the URL of Redis.

import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(new URL("../../js/package.json", import.meta.url));
const { createAdapter, createShardedAdapter } = require("@socket.io/redis-adapter");
const { createAdapter: createStreamsAdapter } = require("@socket.io/redis-streams-adapter");
const { createClient } = require("redis");
const { Server } = require("socket.io");

const ADAPTERS = {
  npm: createAdapter,
  "npm-sharded": createShardedAdapter,
  "npm-streams": (pub) => createStreamsAdapter(pub),
};

const [kind, url] = process.argv.slice(2);
const pub = createClient({ url });
const sub = pub.duplicate();
await Promise.all([pub.connect(), sub.connect()]);
const http = createServer();
// No heartbeats, as with the others.
const io = new Server(http, { adapter: ADAPTERS[kind](pub, sub), serveClient: false, pingInterval: 3_600_000 });
io.on("connection", (socket) => {
  socket.on("join", (room) => {
    socket.join(room);
    socket.emit("joined");
  });
  socket.on("say", (room, first, count) => {
    for (let number = first; number < first + count; number += 1) {
      io.to(room).emit("said", String(number).padStart(64, "0"));
    }
  });
});
process.stdin.on("end", () => process.exit(0)).resume();
http.listen(0, "127.0.0.1", () => console.log(http.address().port));

// A node of npm `socket.io` on streams, whose clients can come back on any node.
//
// Arguments: the port of Redis. It says its own port. Lines of the input are `room number`: an event `missed` with the
// number to the sockets of the room, or to all for `*`.

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const redis = createClient({ url: `redis://127.0.0.1:${process.argv[2]}` });
await redis.connect();
const http = createServer();
const io = new Server(http, {
  adapter: createAdapter(redis),
  connectionStateRecovery: { maxDisconnectionDuration: 60_000 },
  path: "/engine.io/",
  serveClient: false,
});

io.on("connection", (socket) => {
  if (!socket.recovered) {
    socket.join("room");
    socket.emit("first", 0);
  }
});

for await (const line of listening()) {
  const [room, number] = line.split(" ");
  (room === "*" ? io : io.to(room)).emit("missed", Number(number));
}
process.exit();

async function* listening() {
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  console.log(http.address().port);
  yield* createInterface({ input: process.stdin });
}

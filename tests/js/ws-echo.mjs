// A bare WebSocket echo on npm `ws`: the reference for `ws-echo`, with which the Autobahn script itself is tried.
// Environment: PORT.

import { WebSocketServer } from "ws";

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.env.PORT),
  maxPayload: 16 * 1024 * 1024,
  perMessageDeflate: false,
});
server.on("connection", (socket) => {
  socket.on("error", () => {}); // a violation by the client: `ws` has closed the connection
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
process.on("SIGTERM", () => process.exit(0));

// The official servers behind Node's TLS: Engine.IO and Socket.IO on one port, both of which echo.
//
// `node tls-server.mjs CERTIFICATE KEY`, two files. Prints the port.

import { readFile } from "node:fs/promises";
import { createServer } from "node:https";
import { attach } from "engine.io";
import { Server } from "socket.io";

const [cert, key] = await Promise.all(process.argv.slice(2).map((file) => readFile(file)));
const https = createServer({ cert, key });
attach(https, { path: "/engine.io/" }).on("connection", (socket) => {
  socket.on("message", (message) => socket.send(message));
});
new Server(https, { serveClient: false }).on("connection", (socket) => {
  socket.onAny((...event) => socket.emit(...event));
});
https.listen(0, "127.0.0.1", () => console.log(https.address().port));

// socket.io-client on Node.js under the load of `src/echo.rs`, and what it has cost.

import { createRequire } from "node:module";

const { io } = createRequire(new URL("../../js/", import.meta.url))("socket.io-client");

const [url, flight, count] = process.argv.slice(2);
const text = "x".repeat(64);
const socket = io(url, { transports: ["websocket"], reconnection: false });

/** Has `count` events echoed, `flight` of them at a time. */
function load(flight, count) {
  return new Promise((resolve) => {
    let [sent, came] = [0, 0];
    const send = (text) => {
      sent += 1;
      socket.emit("echo", text);
    };
    socket.on("echo", (text) => {
      came += 1;
      if (sent < count) send(text);
      if (came === count) {
        socket.off("echo");
        resolve();
      }
    });
    for (let nth = 0; nth < flight; nth += 1) send(text);
  });
}

socket.on("connect_error", (error) => {
  throw error;
});
socket.on("connect", async () => {
  await load(Number(flight), Number(count) / 10);
  const before = process.cpuUsage();
  await load(Number(flight), Number(count));
  const { user, system } = process.cpuUsage(before);
  console.log(`${user} ${system}`);
  socket.disconnect();
});

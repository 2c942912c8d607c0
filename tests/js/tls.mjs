// The official clients against servers with TLS: `node tls.mjs ENGINE SOCKETIO CA`, two URLs and the file of the authority
// that has signed the certificates. Both servers echo.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { Socket as Engine } from "engine.io-client";
import engine3 from "engine.io-client-3";
import { io } from "socket.io-client";
import { within } from "./waiting.mjs";

const [engineUrl, socketioUrl, file] = process.argv.slice(2);
const ca = await readFile(file);
const TRANSPORTS = [["polling"], ["websocket"], ["polling", "websocket"]];
const LARGE = "€".repeat(200_000);

/** The next event of an emitter: its first argument. */
const next = (emitter, event) => within(new Promise((resolve) => emitter.once(event, resolve)), event);

for (const Client of [Engine, engine3.Socket]) {
  for (const transports of TRANSPORTS) {
    const socket = new Client(engineUrl, { transports, ca });
    await next(socket, "open");
    if (transports.length > 1) await next(socket, "upgrade");
    for (const message of ["hello", LARGE]) {
      const echo = next(socket, "message");
      socket.send(message);
      assert.equal(await echo, message);
    }
    const closed = next(socket, "close");
    socket.close();
    await closed;
  }
}

for (const transports of TRANSPORTS) {
  const socket = io(socketioUrl, { transports, ca, forceNew: true });
  await next(socket, "connect");
  for (const message of ["hello", LARGE]) {
    const echo = next(socket, "echo");
    socket.emit("echo", message, new Uint8Array([1, 2, 3]));
    assert.equal(await echo, message);
  }
  socket.disconnect();
}

// Without the authority they refuse the certificate, and disturb nobody.
for (const transports of [["polling"], ["websocket"]]) {
  const socket = io(socketioUrl, { transports, forceNew: true, reconnection: false });
  const error = await next(socket, "connect_error");
  // The cause is in the event of the transport, in a place of its own for each.
  assert.match(`${error.message} ${error.description}`, /poll error|websocket error|certificate/);
}
console.log("done");
process.exit(0);

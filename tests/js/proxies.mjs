// TCP proxies that do to a WebSocket what middleboxes do. HTTP requests pass unharmed; what differs is the fate of a
// connection once the server has answered it with 101:
//
//   cut       both sides are closed as soon as the client has the 101
//   cut-late  both sides are closed when the client sends its first bytes after the 101 (its probe)
//   swallow   the connection stays, and not a byte passes in either direction

import { once } from "node:events";
import net from "node:net";

const END_OF_HEAD = Buffer.from("\r\n\r\n");

/** Starts a proxy before `port`. Gives `{ port, switched, close() }`; `switched()` counts the 101s that it has dealt with. */
export async function proxy(port, fate) {
  const sockets = new Set();
  let switched = 0;

  const listener = net.createServer((client) => {
    const upstream = net.connect(port, "127.0.0.1");
    let tunnel = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.end());

    client.on("data", (chunk) => {
      if (!tunnel) upstream.write(chunk);
      else if (fate !== "swallow") cut();
    });
    upstream.on("data", (chunk) => {
      if (tunnel) return;
      if (!chunk.subarray(0, 12).equals(Buffer.from("HTTP/1.1 101"))) return client.write(chunk);
      // The head of a 101 is far below one segment on the loopback device: it comes in one piece.
      tunnel = true;
      switched += 1;
      client.write(chunk.subarray(0, chunk.indexOf(END_OF_HEAD) + END_OF_HEAD.length), fate === "cut" ? cut : undefined);
    });

    function cut() {
      client.destroy();
      upstream.destroy();
    }
  });

  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: listener.address().port,
    switched: () => switched,
    async close() {
      const closed = once(listener, "close");
      listener.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

// A TCP proxy that tells what passes: whole requests, answers and frames, in the order in which they do.

import { once } from "node:events";
import net from "node:net";

/**
 * Starts one before `port`. `events` are of the form `{ connection, side: "client" | "server", kind, raw, .. }`, where a
 * `request` has `method`, `target` and `body`, an `answer` `status`, `type` and `body`, and a `frame` `first` and `payload`.
 */
export async function record(port) {
  const events = [];
  const sockets = new Set();
  let connections = 0;

  const listener = net.createServer((client) => {
    const connection = connections++;
    const upstream = net.connect(port, "127.0.0.1");
    for (const [from, to, side] of [[client, upstream, "client"], [upstream, client, "server"]]) {
      const reader = new Reader(side);
      sockets.add(from);
      from.on("data", (bytes) => {
        for (const event of reader.read(bytes)) events.push({ connection, side, ...event });
        to.write(bytes);
      });
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
      from.on("close", () => sockets.delete(from));
    }
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: listener.address().port,
    events,
    async close() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, "close");
    },
  };
}

/** One direction of a connection. */
class Reader {
  constructor(side) {
    this.side = side;
    this.held = Buffer.alloc(0);
    this.upgraded = false;
  }

  *read(bytes) {
    this.held = Buffer.concat([this.held, bytes]);
    for (;;) {
      const event = this.upgraded ? this.frame() : this.message();
      if (!event) return;
      event.raw = this.held.subarray(0, event.length);
      this.held = this.held.subarray(event.length);
      yield event;
    }
  }

  message() {
    const end = this.held.indexOf("\r\n\r\n") + 4;
    if (end < 4) return undefined;
    const [first, ...lines] = this.held.toString("latin1", 0, end - 4).split("\r\n");
    const fields = new Map(lines.map((line) => [line.split(":")[0].toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]));
    const [length, body] = fields.has("transfer-encoding") ? this.chunks(end) : this.sized(end, fields.get("content-length") ?? 0);
    if (body === undefined) return undefined;
    const [one, two] = first.split(" ");
    if (this.side === "client") {
      this.upgraded = fields.has("upgrade");
      return { kind: "request", length, method: one, target: two, upgrade: this.upgraded, body };
    }
    this.upgraded = two === "101";
    return { kind: "answer", length, status: Number(two), type: fields.get("content-type"), body };
  }

  sized(from, length) {
    const to = from + Number(length);
    return [to, this.held.length < to ? undefined : this.held.subarray(from, to)];
  }

  chunks(from) {
    const data = [];
    for (let at = from; ; ) {
      const start = this.held.indexOf("\r\n", at) + 2;
      const size = parseInt(this.held.toString("latin1", at, start), 16);
      if (start < 2 || this.held.length < start + size + 2) return [0, undefined];
      data.push(this.held.subarray(start, start + size));
      at = start + size + 2;
      if (size === 0) return [at, Buffer.concat(data)];
    }
  }

  frame() {
    const held = this.held;
    if (held.length < 2) return undefined;
    let [at, size] = [2, held[1] & 0x7f];
    if (size === 127) throw new Error("no message is so long");
    if (size === 126) [at, size] = [4, held.length < 4 ? Infinity : held.readUInt16BE(2)];
    const mask = held[1] & 0x80 ? held.subarray(at, (at += 4)) : Buffer.alloc(4);
    if (held.length < at + size) return undefined;
    const payload = Buffer.from(held.subarray(at, at + size).map((byte, i) => byte ^ mask[i % 4]));
    return { kind: "frame", length: at + size, first: held[0], payload };
  }
}

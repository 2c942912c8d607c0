// What the applications of the reference servers do for each client: they obey its events. `sio_program.rs` of
// `tests/src` is the same on ours.

const reasons = new Map();

/** Obeys the events of a socket; `further` gives those of the server besides, as `handlers` does. */
export function serve(socket, further = () => ({})) {
  // Errors of the decoder come here before the connection is closed; one without a listener would end the process.
  if (socket.nsp.name !== "/limited") socket.on("error", () => {});
  socket.on("disconnect", (reason) => reasons.set(socket.id, reason));
  if (!socket.recovered) socket.emit("auth", socket.handshake.auth);
  for (const [event, handler] of Object.entries({ ...handlers(socket, socket.nsp), ...further(socket) })) {
    socket.on(event, (...args) => {
      const ack = typeof args.at(-1) === "function" ? args.pop() : () => {};
      handler(ack, ...args);
    });
  }
}

const isNames = (value) => Array.isArray(value) && value.every((name) => typeof name === "string");
const isText = (value) => typeof value === "string";
const isNumber = (value) => typeof value === "number";

function handlers(socket, nsp) {
  const emits = (to, event, args) => isText(event) && Array.isArray(args) && to.emit(event, ...args);
  return {
    message: (_, ...args) => socket.emit("message-back", ...args),
    "message-with-ack": (ack, ...args) => ack(...args),
    echo: (_, ...args) => socket.emit("echo", ...args),
    "ack-none": () => {},
    "ack-twice": (ack) => (ack("first"), ack("second")),
    "ack-later": (ack, ms, value) => isNumber(ms) && setTimeout(() => ack(value), ms),
    types: (ack, ...args) => ack(args.map(typeOf)),
    "call-me": (_, event, args) => {
      if (!isText(event) || !Array.isArray(args)) return;
      socket.emit(event, ...args, (...answers) => socket.emit("called", event, answers));
    },
    "call-me-timeout": (_, ms) => {
      if (!isNumber(ms)) return;
      socket.timeout(ms).emit("slow-call", (error, ...args) => {
        socket.emit("call-result", error ? { timeout: true } : { timeout: false, args });
      });
    },
    join: (ack, rooms) => (isText(rooms) || isNames(rooms)) && (socket.join(rooms), ack()),
    leave: (ack, room) => isText(room) && (socket.leave(room), ack()),
    rooms: (ack) => ack([...socket.rooms].filter((room) => room !== socket.id).sort()),
    "to-room": (_, rooms, event, args) => isNames(rooms) && emits(socket.to(rooms), event, args),
    "in-room": (_, rooms, event, args) => isNames(rooms) && emits(nsp.in(rooms), event, args),
    "to-except": (_, rooms, except, event, args) =>
      isNames(rooms) && isNames(except) && emits(nsp.in(rooms).except(except), event, args),
    broadcast: (_, event, args) => emits(socket.broadcast, event, args),
    all: (_, event, args) => emits(nsp, event, args),
    private: (_, id, event, args) => isText(id) && emits(nsp.in(id), event, args),
    "broadcast-ack": (ack, rooms, ms, event, args) => {
      if (!isNames(rooms) || !isNumber(ms) || !isText(event) || !Array.isArray(args)) return;
      nsp.in(rooms).timeout(ms).emit(event, ...args, (error, responses) => ack({ err: Boolean(error), responses }));
    },
    "volatile-burst": (_, n) => repeat(n, (i) => socket.volatile.emit("volatile-msg", i)),
    burst: (_, n) => repeat(n, (i) => socket.emit("burst-msg", i)),
    big: (_, n) => isNumber(n) && socket.emit("big", Buffer.alloc(n).map((_, i) => i)),
    "nested-binary": () => {
      const binary = (...bytes) => Buffer.from(bytes);
      const first = { a: { b: [binary(1), "text", binary(2, 3)] }, c: binary(4, 5, 6) };
      socket.emit("nested-binary", first, null, [binary()]);
    },
    "disconnect-me": (_, close) => socket.disconnect(close === true),
    kick: (_, rooms, close) => isNames(rooms) && nsp.in(rooms).disconnectSockets(close === true),
    "sockets-join": (ack, rooms, room) => isNames(rooms) && isText(room) && (nsp.in(rooms).socketsJoin(room), ack()),
    "sockets-leave": (ack, rooms, room) => isNames(rooms) && isText(room) && (nsp.in(rooms).socketsLeave(room), ack()),
    members: async (ack, room) => isText(room) && ack((await nsp.in(room).fetchSockets()).map(({ id }) => id).sort()),
    whoami: (ack) => {
      const { id, recovered, data } = socket;
      ack({ id, nsp: nsp.name, auth: socket.handshake.auth, recovered, data });
    },
    "request-info": (ack) => {
      const { EIO, transport, t, b64, j, sid, ...query } = socket.handshake.query;
      ack({ query, header: socket.handshake.headers["x-test"] ?? null, transport: socket.conn.transport.name });
    },
    set: (ack, key, value) => isText(key) && ((socket.data[key] = value), ack()),
    "reason-of": (ack, id) => ack(reasons.get(id) ?? null),
  };
}

function repeat(n, action) {
  if (isNumber(n)) for (let i = 0; i < n; i++) action(i);
}

function typeOf(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (!Buffer.isBuffer(value)) return typeof value;
  return `binary:${value.length}:${value.reduce((sum, byte) => sum + byte, 0) % 65536}`;
}

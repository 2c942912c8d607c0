// The Socket.IO server under test, driven by the official clients of versions 4, 3 and 2, over each transport and through
// the upgrade. `harness.mjs` describes the command line.

import { describe } from "node:test";
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { eventually, Inbox, scenario, within } from "./harness.mjs";

const require = createRequire(import.meta.url);
const CLIENTS = {
  "socket.io-client 4": { io: require("socket.io-client").io, profile: "relaxed", recovers: true },
  "socket.io-client 3": { io: require("socket.io-client-3").io, profile: "relaxed" },
  "socket.io-client 2": { io: require("socket.io-client-2"), profile: "v2", old: true },
};
const MODES = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

for (const [name, client] of Object.entries(CLIENTS)) {
  for (const [mode, transports] of Object.entries(MODES)) {
    describe(`${name}, ${mode}`, () => everything({ ...client, mode, transports }));
  }
}

/** The sockets of one scenario, all closed at its end. */
class Sockets {
  #all = [];

  constructor(server, { io, transports }) {
    Object.assign(this, { port: server.port, io, transports });
  }

  /** A socket that is about to connect, and all that comes on it. */
  open(namespace = "/", options = {}) {
    const url = `http://127.0.0.1:${this.port}${namespace}`;
    const socket = this.io(url, { transports: this.transports, forceNew: true, reconnection: false, ...options });
    this.#all.push(socket);
    const events = new Inbox();
    if (socket.onAny) socket.onAny((...args) => events.push(args));
    else {
      // Version 2 has no listener for all.
      const onevent = socket.onevent;
      socket.onevent = function (packet) {
        events.push(packet.data ?? []);
        onevent.call(this, packet);
      };
    }
    return Object.assign(socket, { events });
  }

  /** A socket that is connected. The event `auth`, with which the server begins, has been taken. */
  async connect(namespace, options) {
    const socket = this.open(namespace, options);
    await within(
      new Promise((resolve, reject) => {
        socket.on("connect", resolve);
        socket.on("connect_error", reject);
        socket.on("error", reject);
      }),
      "the connection",
    );
    assert.equal((await socket.events.next("auth"))[0], "auth");
    return socket;
  }

  close() {
    for (const socket of this.#all) socket.close();
  }
}

/** All arguments of an acknowledgement. */
const ask = (socket, ...args) =>
  within(new Promise((resolve) => socket.emit(...args, (...answer) => resolve(answer))), `the acknowledgement of ${args[0]}`);

function everything(client) {
  const each = (title, body, profile = client.profile) =>
    scenario(title, { profile }, async (server) => {
      const sockets = new Sockets(server, client);
      try {
        await body(sockets);
      } finally {
        sockets.close();
      }
    });

  each("arguments of every type come back, binary at any depth", async (sockets) => {
    const socket = await sockets.connect();
    const args = [null, true, 1.5, "é 👋 \n", [1, [2]], { a: { b: Buffer.from([1, 2]) } }, Buffer.alloc(0), Buffer.from([3])];
    socket.emit("message", ...args);
    assert.deepEqual(await socket.events.next("the echo"), ["message-back", ...args]);
    assert.deepEqual(await ask(socket, "message-with-ack", ...args), args);
    const types = ["null", "boolean", "number", "string", "array", "object", "binary:0:0", "binary:1:3"];
    assert.deepEqual(await ask(socket, "types", ...args), [types]);
    socket.emit("nested-binary");
    const nested = { a: { b: [Buffer.from([1]), "text", Buffer.from([2, 3])] }, c: Buffer.from([4, 5, 6]) };
    assert.deepEqual(await socket.events.next("binary"), ["nested-binary", nested, null, [Buffer.alloc(0)]]);
    socket.emit("big", 500_000);
    const [, big] = await socket.events.next("a large one");
    assert.equal(Buffer.compare(big, Buffer.from(Array.from({ length: 500_000 }, (_, i) => i % 256))), 0);
  });

  each("events keep their order, whatever happens to the transport", async (sockets) => {
    const socket = sockets.open();
    // Before the connection, too.
    for (let i = 0; i < 500; i++) socket.emit("echo", i);
    assert.equal((await socket.events.next("auth"))[0], "auth");
    for (let i = 0; i < 500; i++) assert.deepEqual(await socket.events.next("an echo"), ["echo", i]);
    socket.emit("burst", 1000);
    for (let i = 0; i < 1000; i++) assert.deepEqual(await socket.events.next("a burst"), ["burst-msg", i]);
  });

  each("acknowledgements go both ways, once, late or never", async (sockets) => {
    const socket = await sockets.connect();
    assert.deepEqual(await ask(socket, "ack-twice"), ["first"]);
    const later = ask(socket, "ack-later", 30, { a: 1 });
    assert.deepEqual(await ask(socket, "message-with-ack"), []);
    assert.deepEqual(await later, [{ a: 1 }]);
    socket.on("sum", (a, b, answer) => answer(a + b, Buffer.from([a])));
    socket.emit("call-me", "sum", [2, 3]);
    const called = await eventually(() => socket.events.all.find(([name]) => name === "called"), "the answer");
    assert.deepEqual(called, ["called", "sum", [5, Buffer.from([2])]]);
    socket.emit("call-me-timeout", 20);
    const result = await eventually(() => socket.events.all.find(([name]) => name === "call-result"), "the timeout");
    assert.deepEqual(result, ["call-result", { timeout: true }]);
  });

  each("rooms reach their members, each once, and nobody else", async (sockets) => {
    const [a, b, c] = await Promise.all([0, 1, 2].map(() => sockets.connect()));
    await Promise.all([ask(a, "join", ["x", "y"]), ask(b, "join", "y"), ask(c, "join", "z")]);
    assert.deepEqual(await ask(a, "rooms"), [["x", "y"]]);
    assert.deepEqual((await ask(c, "members", "y"))[0], [a.id, b.id].sort());
    a.emit("to-room", ["x", "y"], "others", [1]);
    a.emit("in-room", ["x", "y"], "members", [2]);
    a.emit("to-except", ["x", "y", "z"], ["y"], "except", [3]);
    a.emit("private", b.id, "private", [4]);
    a.emit("broadcast", "all others", [5]);
    a.emit("all", "end", []);
    const received = async (socket) => {
      const names = [];
      while (names.at(-1) !== "end") names.push((await socket.events.next("a broadcast"))[0]);
      return names;
    };
    assert.deepEqual(await received(a), ["members", "end"]);
    assert.deepEqual(await received(b), ["others", "members", "private", "all others", "end"]);
    assert.deepEqual(await received(c), ["except", "all others", "end"]);
    for (const socket of [a, b]) socket.on("question", (answer) => answer(socket.id));
    const [{ err, responses }] = await ask(c, "broadcast-ack", ["y"], 2000, "question", []);
    assert.deepEqual([err, responses.sort()], [false, [a.id, b.id].sort()]);
  });

  each("namespaces decide for themselves", async (sockets) => {
    const refusal = (namespace, auth) =>
      within(
        new Promise((resolve) => {
          const query = client.old ? `?${new URLSearchParams(auth)}` : "";
          const socket = sockets.open(namespace + query, { auth });
          socket.on("connect_error", resolve);
          socket.on("error", resolve);
        }),
        "the refusal",
      );
    const message = (error) => error.message ?? error;
    assert.match(message(await refusal("/nope")), /Invalid namespace/);
    const refused = await refusal("/secret", { token: "bad" });
    // Version 2 has the data alone.
    if (client.old) assert.deepEqual(refused.data ?? refused, { code: "E_AUTH", retry: false });
    else assert.deepEqual([refused.message, refused.data], ["not authorized", { code: "E_AUTH", retry: false }]);
    const auth = { token: "s3cret", user: "u" };
    const secret = await sockets.connect(client.old ? `/secret?${new URLSearchParams(auth)}` : "/secret", { auth });
    assert.deepEqual((await ask(secret, "whoami"))[0].data, { user: "u" });
    const ordered = await sockets.connect("/mw");
    assert.deepEqual(await ordered.events.next("mw"), ["mw", [1, 2, 3]]);
    const dynamic = await sockets.connect("/dyn-12");
    assert.equal((await ask(dynamic, "whoami"))[0].nsp, "/dyn-12");
    const limited = await sockets.connect("/limited");
    limited.emit("forbidden");
    assert.deepEqual(await limited.events.next("mw-error"), ["mw-error", "forbidden event"]);
  });

  each("each side may leave, and the other knows why", async (sockets) => {
    const [witness, leaver, kicked] = await Promise.all([0, 1, 2].map(() => sockets.connect()));
    const gone = (socket) => within(new Promise((resolve) => socket.on("disconnect", resolve)), "the end");
    const reasonOf = (id) =>
      eventually(async () => (await ask(witness, "reason-of", id))[0] ?? undefined, "the reason of an end");
    const leaverId = leaver.id, kickedId = kicked.id;
    leaver.disconnect();
    assert.equal(await reasonOf(leaverId), "client namespace disconnect");
    await ask(kicked, "join", "kicked");
    const end = gone(kicked);
    witness.emit("kick", ["kicked"], false);
    assert.equal(await end, "io server disconnect");
    assert.equal(await reasonOf(kickedId), "server namespace disconnect");
    const closed = await sockets.connect();
    const closedEnd = gone(closed);
    closed.emit("disconnect-me", true);
    assert.match(await closedEnd, /^(io server disconnect|transport close)$/);
  });

  if (client.old) return;

  each("several namespaces share a connection", async (sockets) => {
    const first = await sockets.connect();
    const other = first.io.socket("/custom", {});
    await within(new Promise((resolve) => other.on("connect", resolve)), "the second namespace");
    assert.equal((await ask(other, "whoami"))[0].nsp, "/custom");
    const end = within(new Promise((resolve) => other.on("disconnect", resolve)), "the end");
    other.emit("disconnect-me", false);
    assert.equal(await end, "io server disconnect");
    assert.equal((await ask(first, "whoami"))[0].nsp, "/");
  });

  each("a client connects, leaves and connects in one tick", async (sockets) => {
    // As frameworks do that mount components twice.
    const socket = sockets.open();
    socket.disconnect();
    socket.connect();
    assert.equal((await socket.events.next("auth"))[0], "auth");
    assert.deepEqual((await ask(socket, "rooms"))[0], []);
  });

  // Since 4.6.
  if (client.recovers) each(
    "a client that lost its connection recovers what it missed",
    async (sockets) => {
      const options = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 50 };
      const [lost, other] = await Promise.all([sockets.connect("/", options), sockets.connect()]);
      const { id } = lost;
      await ask(lost, "join", "room");
      await ask(lost, "set", "key", 1);
      lost.emit("message", "before");
      assert.equal((await lost.events.next("the echo"))[1], "before");
      const down = within(new Promise((resolve) => lost.once("disconnect", resolve)), "the loss");
      const up = new Promise((resolve) => lost.once("connect", resolve));
      lost.io.engine.close();
      await down;
      for (let i = 0; i < 5; i++) other.emit("to-room", ["room"], "missed", [i, Buffer.from([i])]);
      other.emit("to-room", ["elsewhere"], "wrong", []);
      other.emit("private", id, "private", []);
      await ask(other, "whoami");
      await within(up, "the reconnection");
      for (let i = 0; i < 5; i++) {
        assert.deepEqual((await lost.events.next("what was missed")).slice(0, 3), ["missed", i, Buffer.from([i])]);
      }
      assert.equal((await lost.events.next("what was missed"))[0], "private");
      const [{ recovered, data, ...who }] = await ask(lost, "whoami");
      assert.deepEqual([lost.recovered, recovered, who.id, data], [true, true, id, { key: 1 }]);
      assert.deepEqual(await ask(lost, "rooms"), [["room"]]);
    },
    "recovery",
  );
}

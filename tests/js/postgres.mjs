// Two nodes of ours and one of Node.js with @socket.io/postgres-adapter, on one database, and a client of each:
//
//   node postgres.mjs <database> <url of a node> <its process> <url of another>
//
// Ours are the example `postgres`. The node of Node.js understands the same events.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/postgres-adapter";
import pg from "pg";
import { Server } from "socket.io";
import { io as connect } from "socket.io-client";
import { eventually } from "./waiting.mjs";

const [database, first, process_, second] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: database });
const clients = [];

const reference = new Server(createServer());
reference.adapter(createAdapter(pool));
reference.httpServer.listen(0, "127.0.0.1");
reference.of(/^\/.*$/).on("connection", (socket) => {
  const { nsp } = socket;
  socket.on("join", (room, done) => done(socket.join(room)));
  socket.on("leave", (room, done) => done(socket.leave(room)));
  socket.on("say", (room, what) => nsp.to(room).emit("say", room, what));
  socket.on("who", async (room, done) => done((await nsp.in(room).fetchSockets()).map(({ id }) => id)));
  socket.on("ready", (room, done) => {
    nsp.to(room).timeout(5000).emit("ready?", (_error, answers) => done(answers.length));
  });
  socket.on("kick", (room, done) => done(nsp.in(room).disconnectSockets()));
});

await new Promise((listening) => reference.httpServer.on("listening", listening));
const third = `http://127.0.0.1:${reference.httpServer.address().port}`;
const nodes = { first, second, third };

// A client, which keeps what it hears.
async function join(url, namespace, room) {
  const socket = connect(url + namespace, { transports: ["websocket"], forceNew: true });
  clients.push(socket);
  socket.heard = [];
  socket.on("say", (_room, what) => socket.heard.push(what));
  socket.on("ready?", (done) => done(true));
  await new Promise((connected) => socket.on("connect", connected));
  await socket.emitWithAck("join", room);
  return socket;
}

/** Waits for a condition, longer than the reference needs to connect again. */
const until = (what, condition) => eventually(async () => (await condition()) || undefined, what, 30_000);

async function crew(namespace, urls) {
  const sockets = await Promise.all(Object.values(urls).map((url) => join(url, namespace, "crew")));
  const ids = sockets.map(({ id }) => id).sort();
  for (const socket of sockets) {
    const sees = async () => {
      const who = await socket.timeout(10_000).emitWithAck("who", "crew");
      return JSON.stringify(who.sort()) === JSON.stringify(ids);
    };
    await until(`${namespace} is whole`, sees);
  }
  return sockets;
}

const cases = {
  async "everybody hears what is said on each node"() {
    const sockets = await crew("/team", nodes);
    const bytes = Buffer.alloc(12_000, 7);
    const said = ["hello", "äß🙂", 'quote " and \\', bytes.subarray(0, 3), bytes, "x".repeat(9000), { a: [bytes] }, "last"];
    for (const speaker of sockets) {
      for (const socket of sockets) socket.heard = [];
      for (const what of said) speaker.emit("say", "crew", what);
      await until("all is heard", () => sockets.every(({ heard }) => heard.length === said.length));
      // Node.js does not keep the order: what is stored apart is overtaken when it is sent, and when it is fetched.
      const sorted = (list) => list.map((it) => JSON.stringify(it)).sort();
      for (const { heard } of sockets) assert.deepEqual(sorted(heard), sorted(said));
      if (speaker !== sockets[2]) {
        for (const { heard } of sockets.slice(0, 2)) assert.deepEqual(heard, said);
      }
    }
  },

  async "sizes around the limit of a notification arrive"() {
    const sockets = await crew("/sizes", nodes);
    // A message has 153 bytes besides the text. Together they are less than what may wait for a client.
    const sizes = Array.from({ length: 61 }, (_, more) => 7817 + more);
    // The node of Node.js loses the one of exactly 8000 bytes when it sends it.
    for (const speaker of sockets.slice(0, 2)) {
      for (const socket of sockets) socket.heard = [];
      for (const size of sizes) speaker.emit("say", "crew", "x".repeat(size));
      // Of all, as what is late would be counted in the next round.
      await until("all is heard", () => sockets.every(({ heard }) => heard.length >= sizes.length));
      for (const socket of sockets) {
        const heard = socket.heard.map(({ length }) => length);
        assert.deepEqual(heard.sort((one, other) => one - other), sizes);
      }
    }
  },

  async "each node counts those that are ready"() {
    const sockets = await crew("/ready", nodes);
    for (const socket of sockets) assert.equal(await socket.emitWithAck("ready", "crew"), 3);
    await sockets[2].emitWithAck("leave", "crew");
    for (const socket of sockets) assert.equal(await socket.emitWithAck("ready", "crew"), 2);
  },

  async "each node disconnects the sockets of others"() {
    for (const at of [0, 1, 2]) {
      const sockets = await crew(`/kick${at}`, nodes);
      const others = sockets.filter((_, other) => other !== at);
      await sockets[at].emitWithAck("leave", "crew");
      await sockets[at].emitWithAck("kick", "crew");
      await until("the others are disconnected", () => others.every(({ connected }) => !connected));
      assert(sockets[at].connected);
    }
  },

  // Node.js would run it.
  async "a namespace with quotes in its name is a name"() {
    const [one, two] = await crew('/x"; DROP TABLE socket_io_attachments; --', { first, second });
    one.emit("say", "crew", Buffer.alloc(9000));
    await until("it is heard", () => two.heard.length === 1);
    await pool.query("SELECT count(*) FROM socket_io_attachments");
  },

  async "a namespace whose channel has too long a name stays on its node"() {
    const name = `/${"n".repeat(60)}`;
    const [one, two] = await Promise.all([join(first, name, "crew"), join(second, name, "crew")]);
    assert.deepEqual(await one.emitWithAck("who", "crew"), [one.id]);
    one.emit("say", "crew", "alone");
    await until("it is heard", () => one.heard.length === 1);
    assert.deepEqual(two.heard, []);
  },

  async "nodes come back when the database has cut them off"() {
    const sockets = await crew("/cut", nodes);
    const { rows } = await pool.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'enginewire'",
    );
    assert.equal(rows.length, 4);
    for (const speaker of sockets) {
      const arrives = async () => {
        speaker.emit("say", "crew", speaker.id);
        await speaker.emitWithAck("join", "crew");
        return sockets.every(({ heard }) => heard.includes(speaker.id));
      };
      await until("nodes hear each other again", arrives);
    }
    for (const socket of sockets) {
      const counts = async () => (await socket.emitWithAck("ready", "crew")) === 3;
      await until("nodes count each other again", counts);
    }
  },

  async "a node that leaves says so"() {
    const [, ...others] = await crew("/bye", nodes);
    const listener = await pool.connect();
    const goodbye = new Promise((heard) => {
      listener.on("notification", ({ payload }) => {
        if (JSON.parse(payload).type === 13) heard();
      });
    });
    await listener.query('LISTEN "socket.io#/bye"');
    process.kill(Number(process_), "SIGINT");
    await goodbye;
    listener.release(true);
    // The node of Node.js would fail if it waited for it.
    for (const socket of others) assert.equal((await socket.emitWithAck("who", "crew")).length, 2);
  },
};

for (const [name, run] of Object.entries(cases)) {
  await run();
  console.log(`ok: ${name}`);
}
for (const socket of clients) socket.disconnect();
await reference.close();
await pool.end();

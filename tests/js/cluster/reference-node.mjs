// A node of a cluster, written on the reference implementation: npm `socket.io` with the official adapters. Every namespace
// exists. `sio_cluster_program.rs` of `tests/src` is the same on ours.
//
// Environment: PORT, PROFILE (`classic`, `sharded-static`, `sharded-dynamic`, `sharded-dynamic-private`, `streams`,
// `streams-recovery`), REDIS (the URL of the broker, or of several servers of a Redis Cluster), PREFIX (of all channels and
// streams), ADMIN (the name of the node in an admin UI, if it has one) and ORIGIN (of pages elsewhere). Exit status 3: no
// such profile.

import { createServer } from "node:http";
import { instrument } from "@socket.io/admin-ui";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { Emitter } from "@socket.io/redis-emitter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { createClient, createCluster } from "redis";
import { Server } from "socket.io";
import { HASH, USERNAME } from "../sio/admin-account.mjs";
import { serve } from "../sio/application.mjs";

const { PORT, PROFILE, REDIS, PREFIX, ADMIN, ORIGIN } = process.env;

const sharded = (subscriptionMode) => (pub, sub) => createShardedAdapter(pub, sub, { channelPrefix: PREFIX, subscriptionMode });
const streams = (pub) => createStreamsAdapter(pub, { streamName: PREFIX, channelPrefix: PREFIX, blockTimeInMs: 1000 });

const ADAPTERS = {
  classic: (pub, sub) => createAdapter(pub, sub, { key: PREFIX, requestsTimeout: ADMIN ? 30_000 : undefined }),
  "sharded-static": sharded("static"),
  "sharded-dynamic": sharded("dynamic"),
  "sharded-dynamic-private": sharded("dynamic-private"),
  streams,
  "streams-recovery": streams,
};

if (!Object.hasOwn(ADAPTERS, PROFILE)) process.exit(3);

const hosts = REDIS.replace("redis://", "").split(",");
const rootNodes = hosts.map((host) => ({ url: `redis://${host}` }));
const pub = hosts.length > 1 ? createCluster({ rootNodes }) : createClient({ url: REDIS });
const sub = pub.duplicate();
for (const client of [pub, sub]) {
  client.on("error", ({ message }) => process.env.VERBOSE && console.error(message));
  // Each namespace adds one.
  client.setMaxListeners(0);
}
await Promise.all([pub.connect(), sub.connect()]);

const options = {
  serveClient: false,
  pingInterval: 25_000,
  pingTimeout: 20_000,
  allowEIO3: true,
  adapter: ADAPTERS[PROFILE](pub, sub),
};
if (PROFILE === "streams-recovery") options.connectionStateRecovery = { maxDisconnectionDuration: 30_000 };
if (ORIGIN) options.cors = { origin: ORIGIN, credentials: true };
const http = createServer((_, response) => response.writeHead(404).end());
const io = new Server(http, options);

/** Namespace -> the server-side events that have come. */
const heard = new Map();

io.on("new_namespace", prepare);
prepare(io.of("/"));
io.of((name, auth, next) => next(null, true));
if (ADMIN) {
  // A page that connects while another node stands still must not end the process, as it does by default.
  process.on("unhandledRejection", (error) => console.error(error));
  const auth = { type: "basic", username: USERNAME, password: HASH };
  instrument(io, { auth, mode: "development", serverId: ADMIN });
}

process.on("SIGTERM", () => process.exit(0));
http.listen(Number(PORT ?? 0), "127.0.0.1", () => console.log(http.address().port));

function prepare(nsp) {
  // Pages are no clients of the application.
  if (nsp.name === "/admin") return;
  const events = [];
  heard.set(nsp.name, events);
  nsp.on("connection", (socket) => serve(socket, operations));
  // The first is answered, the second never.
  nsp.on("word", (...args) => {
    const ack = typeof args.at(-1) === "function" ? args.pop() : () => {};
    events.push(["word", ...args]);
    ack(args);
  });
  nsp.on("silence", (...args) => events.push(["silence", ...args.filter((arg) => typeof arg !== "function")]));
}

/** Operations on the whole cluster. A target is `{ from, rooms, except, local, volatile }`, each member optional. */
function operations(socket) {
  const { nsp } = socket;
  return {
    "emit-to": (ack, target, event, args) => (select(socket, target).emit(event, ...args), ack()),
    "ask-all": (ack, target, ms, event, args) =>
      select(socket, target).timeout(ms).emit(event, ...args, (error, responses) => ack({ err: Boolean(error), responses })),
    fetch: (ack, target) =>
      select(socket, target).fetchSockets().then(
        (sockets) => ack({ err: false, sockets: sockets.map(describe) }),
        () => ack({ err: true, sockets: [] }),
      ),
    "join-all": (ack, target, rooms) => (select(socket, target).socketsJoin(rooms), ack()),
    "leave-all": (ack, target, rooms) => (select(socket, target).socketsLeave(rooms), ack()),
    "kick-all": (ack, target, close) => (select(socket, target).disconnectSockets(close), ack()),
    "server-emit": (ack, target, event, args) => {
      (target.from === "emitter" ? emitter(nsp) : nsp).serverSideEmit(event, ...args);
      ack();
    },
    "server-ask": (ack, event, args) =>
      nsp.serverSideEmit(event, ...args, (error, answers) => ack({ err: Boolean(error), answers: answers ?? [] })),
    heard: (ack) => ack(heard.get(nsp.name)),
    nodes: async (ack) => ack((await nsp.adapter.serverCount()) - 1),
  };
}

function select(socket, { from = "io", rooms = [], except = [], local = false, volatile = false }) {
  const origins = { io: () => socket.nsp, socket: () => socket, emitter: () => emitter(socket.nsp) };
  let selected = origins[from]().to(rooms).except(except);
  if (local) selected = selected.local;
  if (volatile) selected = selected.volatile;
  return selected;
}

function emitter(nsp) {
  return new Emitter(pub, { key: PREFIX }, nsp.name);
}

/** A socket of any node as it is told to clients: the members of the handshake by name. */
function describe({ id, rooms, data, handshake }) {
  return { id, rooms: [...rooms], data, query: handshake.query, auth: handshake.auth, members: Object.keys(handshake) };
}

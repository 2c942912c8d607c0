// The Socket.IO server under test, written on the reference implementation (npm `socket.io`): every scenario of this
// folder is run against it too, so that a failing scenario is known to be the server's fault and not the scenario's.
//
// Environment: PORT (0 takes a free one; the first line of output is the port), PROFILE, and PING_INTERVAL,
// PING_TIMEOUT and RECOVERY_WINDOW in place of those of the profile. Exit status 3: no such profile.

import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { instrument } from "@socket.io/admin-ui";
import { Server } from "socket.io";
import { HASH, USERNAME } from "./admin-account.mjs";
import { serve } from "./application.mjs";

const PROFILES = {
  default: { pingInterval: 300, pingTimeout: 200 },
  relaxed: { pingInterval: 1000, pingTimeout: 2000 },
  v2: { pingInterval: 1000, pingTimeout: 2000, allowEIO3: true },
  admin: { pingInterval: 1000, pingTimeout: 2000, admin: { mode: "development" } },
  "admin-production": { pingInterval: 1000, pingTimeout: 2000, admin: { mode: "production" } },
  "admin-read-only": { pingInterval: 1000, pingTimeout: 2000, admin: { mode: "development", readonly: true } },
  recovery: { pingInterval: 1000, pingTimeout: 2000, connectionStateRecovery: { maxDisconnectionDuration: 2000 } },
};

const profile = process.env.PROFILE ?? "default";
if (!Object.hasOwn(PROFILES, profile)) process.exit(3);
const options = { connectTimeout: 1000, serveClient: false, maxHttpBufferSize: 1_000_000, ...PROFILES[profile] };
if (process.env.PING_INTERVAL) options.pingInterval = Number(process.env.PING_INTERVAL);
if (process.env.PING_TIMEOUT) options.pingTimeout = Number(process.env.PING_TIMEOUT);
if (process.env.RECOVERY_WINDOW && options.connectionStateRecovery) {
  options.connectionStateRecovery = { maxDisconnectionDuration: Number(process.env.RECOVERY_WINDOW) };
}

const http = createServer((_, response) => response.writeHead(404).end());
const io = new Server(http, options);

if (options.admin) {
  instrument(io, { ...options.admin, auth: { type: "basic", username: USERNAME, password: HASH }, serverId: "server" });
}

for (const name of ["/", "/custom", /^\/dyn-\d+$/]) io.of(name).on("connection", (socket) => serve(socket));

io.of("/secret")
  .use((socket, next) => {
    const { token, user } = socket.handshake.auth;
    if (token !== "s3cret") return next(refusal("not authorized", { code: "E_AUTH", retry: false }));
    socket.data.user = user;
    next();
  })
  .on("connection", (socket) => serve(socket));

io.of("/mw")
  .use(async (socket, next) => {
    await sleep(20);
    socket.data.trace = [1];
    next();
  })
  .use((socket, next) => {
    if (Number(socket.handshake.auth.block) === 2) return next(refusal("blocked by second"));
    socket.data.trace.push(2);
    next();
  })
  .use((socket, next) => {
    if (Number(socket.handshake.auth.block) === 3) return next(refusal("blocked by third", { n: 3 }));
    socket.data.trace.push(3);
    next();
  })
  .on("connection", (socket) => {
    serve(socket);
    socket.emit("mw", socket.data.trace);
  });

io.of("/limited").on("connection", (socket) => {
  socket.use(([event], next) => next(event === "forbidden" ? new Error("forbidden event") : undefined));
  socket.on("error", ({ message }) => socket.emit("mw-error", message));
  serve(socket);
});

process.on("SIGTERM", () => process.exit(0));
http.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => console.log(http.address().port));

function refusal(message, data) {
  return Object.assign(new Error(message), { data });
}

// The server under test, written on the reference implementation (npm `engine.io`): every scenario of this folder is run
// against it first, so that a failing scenario is known to be the server's fault and not the scenario's.
//
// Environment: PORT (0 takes a free one; the first line of output is the port), PROFILE, and PING_TIMEOUT in place of that of
// the profile. Exit status 3: no such profile.

import { createServer } from "node:http";
import { Server } from "engine.io";

const COMMON = { pingInterval: 300, pingTimeout: 200, upgradeTimeout: 10_000, maxHttpBufferSize: 1_000_000 };

const PROFILES = {
  default: {},
  eio3: { allowEIO3: true },
  cors: {
    cors: {
      origin: "https://allowed.example",
      credentials: true,
      methods: ["GET", "POST"],
      allowedHeaders: ["x-custom"],
      maxAge: 600,
    },
  },
  opts: {
    path: "/custom/",
    maxHttpBufferSize: 1000,
    upgradeTimeout: 400,
    cookie: { name: "io" },
    initialPacket: "initial",
    allowRequest: filter,
  },
  deflate: {
    perMessageDeflate: { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
    httpCompression: { threshold: 1024 },
  },
  "deflate-takeover": { perMessageDeflate: { threshold: 0 } },
  "deflate-window": { perMessageDeflate: { threshold: 0, serverMaxWindowBits: 10, clientMaxWindowBits: 10 } },
  noupgrade: { allowUpgrades: false },
  wsonly: { transports: ["websocket"] },
  bench: {
    pingInterval: Number(process.env.PING_INTERVAL ?? 25_000),
    pingTimeout: 20_000,
    ...deflate(),
  },
};

const profile = process.env.PROFILE ?? "default";
if (!Object.hasOwn(PROFILES, profile)) process.exit(3);
const options = { ...COMMON, ...PROFILES[profile] };
if (process.env.PING_TIMEOUT) options.pingTimeout = Number(process.env.PING_TIMEOUT);

const http = createServer((_, response) => response.writeHead(404).end());
const engine = new Server(options);
engine.attach(http, { path: options.path });
engine.on("connection", serve);

process.on("SIGTERM", () => process.exit(0));
http.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => console.log(http.address().port));

/** Options of the profile `bench` with DEFLATE in the environment: 1 keeps contexts, 0 does not. LEVEL is that of zlib. */
function deflate() {
  if (process.env.DEFLATE === undefined) return {};
  const alone = process.env.DEFLATE === "0";
  const zlibDeflateOptions = { level: Number(process.env.LEVEL ?? 6) };
  return { perMessageDeflate: { threshold: 1024, serverNoContextTakeover: alone, clientNoContextTakeover: alone, zlibDeflateOptions } };
}

/** Refuses a handshake that asks for it with the query parameter `deny`. */
function filter(request, decide) {
  const reason = request._query.deny;
  if (reason === undefined) decide(null, true);
  else if (reason === "1") decide(undefined, false);
  else if (reason === "later") setTimeout(() => decide(undefined, false), 50);
  else decide(reason, false);
}

function serve(socket) {
  socket.on("message", (data) => {
    // The reference hands an empty text over as `undefined`.
    const message = data ?? "";
    const command = typeof message === "string" && message.startsWith("!") && parse(message);
    if (command) command(socket);
    else if (profile === "bench" && typeof message === "string" && message.startsWith("B")) broadcast(message);
    else socket.send(message);
  });
}

/** The action that a text message asks for, or `undefined` if it is to be echoed like any other. */
function parse(message) {
  if (message === "!close") return (socket) => socket.close();
  const [, name, words] = /^!(\w+) (.+)$/s.exec(message) ?? [];
  const [n, ms] = (/^(\d+)(?: (\d+))?$/.exec(words) ?? []).slice(1).map(Number); // a missing word gives NaN
  const one = Number.isInteger(n) && Number.isNaN(ms);
  const two = Number.isInteger(n) && Number.isInteger(ms);
  if (name === "bye" && one) return (socket) => (texts(socket, "bye", n), socket.close());
  if (name === "burst" && one) return (socket) => texts(socket, "burst", n);
  if (name === "bin" && one) return (socket) => socket.send(Buffer.alloc(n).map((_, i) => i));
  if (name === "ticks" && two) return (socket) => ticks(socket, n, ms);
  const later = /^(\d+) (.*)$/s.exec(words ?? "");
  if (name === "later" && later) return (socket) => setTimeout(() => socket.send(later[2]), Number(later[1]));
}

function texts(socket, name, n) {
  for (let i = 0; i < n; i++) socket.send(`${name}-${i}`);
}

function ticks(socket, n, ms) {
  let sent = 0;
  const timer = setInterval(() => {
    if (sent < n) socket.send(`tick-${sent++}`);
    if (sent >= n) clearInterval(timer);
  }, ms);
  socket.once("close", () => clearInterval(timer));
}

function broadcast(message) {
  for (const socket of Object.values(engine.clients)) socket.send(message);
}

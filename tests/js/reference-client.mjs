// The client under test, written on the reference implementation (npm `engine.io-client`): every scenario of
// `client.mjs` is run against it first, so that a failing scenario is known to be the client's fault and not the
// scenario's.
//
// `node reference-client.mjs URL SCENARIO`: connects as the words of the scenario's name ask for, prints what happens as
// JSON lines, and obeys the commands of the server. Exit status 2: no such scenario.

import { createHash } from "node:crypto";
import { writeSync } from "node:fs";
import { createRequire } from "node:module";

const TRANSPORTS = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

/** Longer messages are printed as length and hash. */
const LONGEST_SHOWN = 1000;

/** What is left to do after the close, such as sending the close packet, has to be done within 1 s of it. */
const LINGER = 500;

const [url, scenario = ""] = process.argv.slice(2);
const [protocol, mode, ...words] = scenario.split("-");
if (protocol !== "eio" || !Object.hasOwn(TRANSPORTS, mode)) {
  console.error(`reference-client: no scenario "${scenario}"`);
  process.exit(2);
}

const options = {
  transports: TRANSPORTS[mode],
  path: "/engine.io/",
  forceBase64: words.includes("b64"),
  withCredentials: true, // keeps the cookies of the server
};
if (words.includes("options")) {
  options.path = "/custom/";
  options.query = { foo: "bar baz", u: "€" };
  options.extraHeaders = { "X-Test": "held" };
}
if (words.includes("noslash")) options.addTrailingSlash = false;
if (words.includes("protocols")) options.protocols = ["chat", "v2.chat"];

// Only one of them is loaded, and not as modules, which takes twice as long: more than most of the scenarios.
const { Socket } = createRequire(import.meta.url)(words.includes("v3") ? "engine.io-client-3" : "engine.io-client");
const socket = new Socket(url, options);
socket.on("open", () => print({ event: "open", sid: socket.id, transport: socket.transport.name }));
socket.on("upgrade", (transport) => print({ event: "upgrade", transport: transport.name }));
socket.on("error", (error) => print({ event: "error", message: String(error.message ?? error) }));
socket.on("message", (data) => {
  // Both clients hand an empty text over as `undefined` or `null`.
  const message = typeof data === "string" ? data : Buffer.from(data ?? "");
  const binary = typeof data !== "string" && data !== undefined && data !== null;
  if (!binary && obey(String(message))) return;
  print({ event: "message", binary, ...shown(message, binary) });
});
socket.on("close", (reason) => {
  print({ event: "close", reason });
  setTimeout(done, LINGER).unref();
  process.once("beforeExit", done);
});
if (words.includes("early")) for (let i = 0; i < 3; i++) socket.send(`early-${i}`);

function done() {
  print({ event: "done" });
  process.exit(0);
}

function print(line) {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function shown(message, binary) {
  const bytes = Buffer.from(message);
  if (bytes.length <= LONGEST_SHOWN) return { data: bytes.toString(binary ? "base64" : "utf8") };
  return { length: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** Does what a message asks for; `false` if it asks for nothing. */
function obey(message) {
  if (message.startsWith("!send ")) return socket.send(message.slice("!send ".length)), true;
  if (message === "!close") return socket.close(), true;
  const [, name, n] = /^!([a-z-]+) (\d+)$/.exec(message) ?? [];
  const action = Object.hasOwn(COUNTED, name ?? "") ? COUNTED[name] : undefined;
  action?.(Number(n));
  return action !== undefined;
}

const COUNTED = {
  burst: (n) => {
    for (let i = 0; i < n; i++) socket.send(i % 5 === 4 ? Buffer.from(`m${i}`) : `m${i}`);
  },
  texts,
  text: (n) => socket.send("x".repeat(n)),
  bin: (n) => socket.send(Buffer.alloc(n).map((_, i) => i)),
  "burst-close": (n) => (texts(n), socket.close()),
};

function texts(n) {
  for (let i = 0; i < n; i++) socket.send(`m${i}`);
}

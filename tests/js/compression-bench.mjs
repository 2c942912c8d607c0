// Measures compression of the chat's traffic beside npm `engine.io` on npm `ws`: CPU of the servers and bytes on the wire.
//
//   node compression-bench.mjs SERVER [CLIENTS] [MESSAGES]
//
// SERVER is a release build of `server-tokio`. One client says MESSAGES (default 400) messages of 100 to 4000 bytes of
// JSON, which go to all CLIENTS (default 50). Both servers have the same parameters and the threshold of 1024 bytes, and
// take turns in one run. CPU is user and system time of the server's process, from /proc.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";

const [server, clients = "50", messages = "400"] = process.argv.slice(2);
if (!server) {
  console.error("usage: node compression-bench.mjs SERVER [CLIENTS] [MESSAGES]");
  process.exit(2);
}
const reference = fileURLToPath(new URL("reference-server.mjs", import.meta.url));
const SERVERS = { enginewire: [server], "engine.io": [process.execPath, reference] };
const MODES = { off: {}, "no contexts": { DEFLATE: "0" }, contexts: { DEFLATE: "1" } };

/** JSON as a chat has it: names, times and words, of which some come again and again. */
const WORDS = "the of and to in is you that it he was for on are as with his they at be this have from or one had by word".split(" ");
const text = (n) => {
  let seed = n + 1;
  const next = (bound) => (seed = (seed * 48271) % 2147483647) % bound;
  const words = Array.from({ length: 20 + next(700) }, () => WORDS[next(WORDS.length)] + (next(4) ? "" : next(1000)));
  return `B${JSON.stringify({ event: "message", from: `user-${next(50)}`, at: 1_700_000_000_000 + n, text: words.join(" ") })}`;
};

const rows = [];
for (let turn = 0; turn < 3; turn++) {
  for (const [mode, environment] of Object.entries(MODES)) {
    for (const [name, command] of Object.entries(SERVERS)) rows.push({ name, mode, ...(await measure(command, environment)) });
  }
}
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
const figure = (name, mode, of) => median(rows.filter((row) => row.name === name && row.mode === mode).map((row) => row[of]));
console.log("| mode | bytes to a client | CPU a message and client | engine.io: bytes | CPU | ratio of CPU | resident, KiB a client |\n|---|---|---|---|---|---|---|");
for (const mode of Object.keys(MODES)) {
  const [ours, theirs] = ["enginewire", "engine.io"].map((name) => ({ cpu: figure(name, mode, "cpu"), bytes: figure(name, mode, "bytes"), rss: figure(name, mode, "rss") }));
  const micros = (cpu) => `${((cpu * 1e6) / clients / messages).toFixed(1)} us`;
  console.log(`| ${mode} | ${Math.round(ours.bytes)} | ${micros(ours.cpu)} | ${Math.round(theirs.bytes)} | ${micros(theirs.cpu)} | ${(theirs.cpu / ours.cpu).toFixed(1)} | ${ours.rss.toFixed(0)}, ${theirs.rss.toFixed(0)} |`);
}

async function measure([program, ...args], environment) {
  const child = spawn(program, args, {
    env: { ...process.env, WORKERS: "0", ...environment, PORT: "0", PROFILE: "bench" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const port = await new Promise((resolve) => createInterface(child.stdout).once("line", resolve));
  const url = `ws://127.0.0.1:${port}/engine.io/?EIO=4&transport=websocket`;
  const empty = memory(child.pid);
  const sockets = await Promise.all(Array.from({ length: Number(clients) }, () => connect(url)));
  const before = { cpu: cpu(child.pid), bytes: sockets[0].raw.bytesRead };
  // Few at a time, as in a chat: none waits for room.
  for (let said = 0; said < messages; said += 10) {
    for (let n = said; n < Math.min(said + 10, messages); n++) sockets[0].send(`4${text(n)}`);
    await Promise.all(sockets.map((socket) => socket.heard(Math.min(said + 10, messages))));
  }
  const result = {
    cpu: cpu(child.pid) - before.cpu,
    bytes: (sockets[0].raw.bytesRead - before.bytes) / messages,
    rss: (memory(child.pid) - empty) / clients,
  };
  for (const socket of sockets) socket.terminate();
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await exit;
  return result;
}

/** A WebSocket with its open packet taken. `heard` waits for so many messages. */
function connect(url) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: {} });
    let count = 0;
    let waiting;
    socket.heard = (n) => new Promise((done) => ((waiting = { n, done }), count >= n && done()));
    socket.on("upgrade", (response) => (socket.raw = response.socket));
    socket.on("error", reject);
    socket.on("message", (data) => {
      if (data[0] === 0x30) return resolve(socket);
      if (data[0] !== 0x34) return;
      count += 1;
      if (waiting && count >= waiting.n) waiting.done();
    });
  });
}

/** Seconds of CPU that a process has used. */
function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** KiB that a process has in memory. */
function memory(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))[1]);
}

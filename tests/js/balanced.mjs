// Official clients of two servers behind a load balancer, started as the example `behind_proxy`.
//
//   node balanced.mjs checks URL KEY     transports, sizes, addresses; each session stays on one server
//   node balanced.mjs survives URL KEY   an event after the other, while a server and the proxy go away
//
// KEY is how the proxy tells clients apart: `cookie`, `query`, or `none` if it needs no help of theirs.

import assert from "node:assert/strict";
import { Agent } from "node:http";
import { createInterface } from "node:readline";
import { io } from "socket.io-client";
import WebSocket from "ws";
import { eventually, within } from "./waiting.mjs";

const [what, url, key] = process.argv.slice(2);
const clients = [];

/** A client with an address of its own, which claims another one. */
function client(number, options = {}) {
  const localAddress = `127.0.0.${10 + number}`;
  const agent = new Agent({ localAddress, keepAlive: true });
  const socket = io(url, {
    agent,
    extraHeaders: { "X-Forwarded-For": "6.6.6.6" },
    forceNew: true,
    reconnectionDelay: 100,
    reconnectionDelayMax: 500,
    withCredentials: key === "cookie",
    ...(key === "query" && { query: { client: `client-${number}` } }),
    ...options,
  });
  clients.push({ socket, agent });
  return { socket, localAddress };
}

const once = (socket, event) => new Promise((resolve) => socket.once(event, resolve));

/** The acknowledgement of an event. */
const ask = (socket, ...event) => socket.timeout(10_000).emitWithAck(...event);

/** Enough of them that no hash gives all to one server. */
const CLIENTS = 24;

/** More than any buffer between, and less than the limit of payloads. */
const LARGE = 700_000;

async function visit(number, transports) {
  const { socket, localAddress } = client(number, { transports });
  await within(once(socket, "connect"), `client ${number} over ${transports}`);
  if (transports.length > 1) {
    await eventually(() => (socket.io.engine.transport.name === "websocket" ? true : undefined), "the upgrade");
  }
  assert.equal(socket.io.engine.transport.name, transports.at(-1));
  const place = await ask(socket, "where");
  assert.equal(place.client, localAddress);
  if (number < 3) {
    const text = "ä".repeat(LARGE / 2);
    assert.equal(await ask(socket, "echo", text), text);
    const binary = Buffer.alloc(LARGE / 2, "binary");
    const echoed = await ask(socket, "echo", { binary });
    assert.deepEqual(Buffer.from(echoed.binary), binary);
  }
  // Many requests over polling: one that went to the other server would end the session.
  for (let i = 0; i < 5; i++) assert.deepEqual(await ask(socket, "where"), place);
  socket.disconnect();
  return place.server;
}

/** The status of the response to a WebSocket handshake for a session that no server has. */
function unknownSession() {
  const socket = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAAAAAA`);
  const refused = new Promise((resolve, reject) => {
    socket.once("unexpected-response", (_, response) => resolve(response.statusCode));
    socket.once("open", () => reject(new Error("it is opened")));
    socket.on("error", () => {});
  });
  return within(refused, "a refusal").finally(() => socket.terminate());
}

async function checks() {
  assert.equal(await unknownSession(), 400, "the server's refusal, and not an error of the proxy");
  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    const numbers = Array.from({ length: CLIENTS }, (_, number) => number);
    const seen = await Promise.all(numbers.map((number) => visit(number, transports)));
    assert.deepEqual([...new Set(seen)].sort(), ["a", "b"], `servers of ${transports}`);
  }
}

async function survives() {
  // Each event is sent again until it is acknowledged, and the next one waits for that.
  const { socket } = client(0, { retries: 1000, ackTimeout: 500 });
  const retry = (...event) =>
    new Promise((resolve, reject) => {
      socket.emit(...event, (error, value) => (error ? reject(error) : resolve(value)));
    });
  const answers = [];
  let sent = 0;
  let server;
  let running = true;
  const run = async () => {
    while (running) {
      answers.push(await retry("echo", sent++));
      ({ server } = await retry("where"));
    }
  };
  const commands = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const ran = run();
  const moved = (from) => eventually(() => (server && server !== from ? server : undefined), "a server", 20_000);
  const progress = async (count) => {
    const before = answers.length;
    await eventually(() => (answers.length >= before + count ? true : undefined), "further events", 20_000);
  };
  const first = await moved();
  console.log(`on ${first}`);
  // The first server has been asked to end.
  await commands.next();
  const second = await moved(first);
  console.log(`on ${second}`);
  // The proxy has been started anew.
  await commands.next();
  await progress(20);
  running = false;
  await ran;
  assert.deepEqual(answers, Array.from({ length: sent }, (_, number) => number));
  console.log("done");
}

try {
  await { checks, survives }[what]();
} finally {
  for (const { socket, agent } of clients) {
    socket.disconnect();
    agent.destroy();
  }
  process.stdin.destroy();
}

// Writes ../vectors/*.json: what the reference parsers make of given packets, for tests of our codec.
//
//   node vectors.mjs           writes the files
//   node vectors.mjs --check   fails if they are not what would be written
//
// Each file is one JSON object:
//
//   { "source": "engine.io-parser 5.2.3", "cases": [CASE, ...] }
//
// Bytes are standard base64 with padding. Text is a JSON string without lone surrogates.
//
//   PACKET    { "type": "open" | "close" | "ping" | "pong" | "message" | "upgrade" | "noop" }
//             with at most one of "text": STRING and "base64": BYTES (only a message has "base64")
//   FRAME     { "text": STRING } or { "base64": BYTES }: a text or a binary WebSocket frame, or a text or a binary body
//
//   v4-packets.json     { "packet": PACKET, "frame": FRAME, "base64Frame": FRAME }   in a frame; where b64 was asked for
//   v4-payloads.json    { "packets": [PACKET, ...], "body": STRING }
//   v4-stream.json      { "packets": [PACKET, ...], "base64": BYTES }   the length-prefixed stream of WebTransport
//   v3-packets.json     { "packet": PACKET, "frame": FRAME, "base64Frame": FRAME }
//   v3-payloads.json    { "packets": [PACKET, ...], "body": FRAME, "base64Body": STRING, "binaryBody": BYTES }
//                       for a client that takes bytes (binary if a packet is), for one that does not, always binary
//
// A packet without data and one with an empty text are encoded alike; decoding gives the former for everything but a
// message. In `v4-stream.json` no message is empty bytes: the reference writes `80`, which it then refuses to read.
// Texts of payloads have no U+001E, which revision 4 cannot carry there; `v4-packets.json` has some.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import assert from "node:assert/strict";
import * as v4 from "engine.io-parser";
import v3 from "engine.io-parser-v3";

const FOLDER = new URL("../vectors/", import.meta.url);
const VERSION = { v4: "engine.io-parser 5.2.3", v3: "engine.io-parser 2.2.1" };

const random = generator(0x5eed);
const packets = somePackets();
const batches = someBatches();

write("v4-packets", await Promise.all([...packets, text("a\u001eb"), text("\u001e")].map(async (packet) => ({
  packet,
  frame: frame(await encode4(packet, true)),
  base64Frame: frame(await encode4(packet, false)),
}))));
write("v4-payloads", await Promise.all(batches.map(async (batch) => ({ packets: batch, body: await payload4(batch) }))));
write("v4-stream", await Promise.all(
  batches.map((batch) => batch.filter((packet) => packet.base64 !== "")).filter((batch) => batch.length > 0)
    .map(async (batch) => ({ packets: batch, base64: base64(await stream4(batch)) })),
));
write("v3-packets", await Promise.all(packets.map(async (packet) => ({
  packet,
  frame: frame(await encode3(packet, true)),
  base64Frame: frame(await encode3(packet, false)),
}))));
write("v3-payloads", await Promise.all(batches.map(async (batch) => ({
  packets: batch,
  body: frame(await payload3(batch, true)),
  base64Body: await payload3(batch, false),
  binaryBody: base64(await new Promise((done) => v3.encodePayloadAsBinary(batch.map(native), done))),
}))));

// --------------------------------------------------------------------------------------------------------------- inputs

function somePackets() {
  const control = Array.from({ length: 32 }, (_, i) => i).filter((code) => code !== 0x1e).map((code) => String.fromCharCode(code));
  const texts = [
    "", "hello", "€", "😀", "é", "漢字", "👩‍👩‍👧", "𝒳y", "a\u0000b", "\u007f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufeffbom",
    "\uffff", "\u{10000}", "\u{10ffff}", "\u2028\u2029", '"quoted" \\n \\\\n \n', "4", "b", "bAQID", "0", ":", "2:4a", "probe", "\u001d\u001f",
    ...control, "x".repeat(124), "x".repeat(125), "x".repeat(126), "é".repeat(63), "x".repeat(1000),
    ...Array.from({ length: 60 }, () => randomText(1 + below(40))),
  ];
  const sizes = [...Array(34).keys(), 62, 63, 64, 65, 99, 100, 101, 124, 125, 126, 127, 128, 255, 256, 257, 299, 300,
    ...Array.from({ length: 20 }, () => below(301))];
  return [
    ...Object.keys(v3.packets).map((type) => ({ type })),
    { type: "open", text: '{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}' },
    { type: "ping", text: "probe" },
    { type: "pong", text: "probe" },
    ...texts.map(text),
    ...[[0x1e], [0x62], [0xff, 0xfe], [0, 0, 0], [0xfb, 0xff, 0xbf]].map((bytes) => binary(Buffer.from(bytes))),
    ...sizes.map((size) => binary(randomBytes(size))),
  ];
}

function someBatches() {
  const any = () => packets[below(packets.length)];
  const euro = [text("€"), text("😀"), binary(Buffer.from([1, 2, 3, 4]))];
  return [
    ...packets.filter((_, i) => i % 3 === 0).map((packet) => [packet]),
    euro,
    [...euro, { type: "noop" }, { type: "close" }],
    [{ type: "noop" }, { type: "close" }],
    [text(""), text(""), binary(Buffer.alloc(0)), text("")],
    Array(100).fill(text("x")),
    Array.from({ length: 20 }, (_, i) => binary(randomBytes(i))),
    ...Array.from({ length: 100 }, () => Array.from({ length: 2 + below(8) }, any)),
  ];
}

function text(text) {
  return { type: "message", text };
}

function binary(bytes) {
  return { type: "message", base64: base64(bytes) };
}

function randomText(length) {
  const ranges = [[0x20, 0x7f], [0x20, 0x7f], [0x80, 0x800], [0x800, 0xd800], [0xe000, 0x10000], [0x10000, 0x110000]];
  const one = ([low, high]) => String.fromCodePoint(low + below(high - low));
  return Array.from({ length }, () => one(ranges[below(ranges.length)])).join("");
}

function randomBytes(size) {
  return Buffer.from(Array.from({ length: size }, () => below(256)));
}

function below(limit) {
  return Math.floor(random() * limit);
}

/** Numbers in [0, 1), the same ones each time: a 32-bit xorshift. */
function generator(state) {
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

// -------------------------------------------------------------------------------------------------------------- parsers

/** The packet as the parsers take it. */
function native({ type, text, base64 }) {
  if (base64 !== undefined) return { type, data: Buffer.from(base64, "base64") };
  return text === undefined ? { type } : { type, data: text };
}

function encode4(packet, supportsBinary) {
  return new Promise((done) => v4.encodePacket(native(packet), supportsBinary, done));
}

async function payload4(batch) {
  const body = await new Promise((done) => v4.encodePayload(batch.map(native), done));
  assertSame(v4.decodePayload(body), batch);
  return body;
}

async function stream4(batch) {
  const encoder = v4.createPacketEncoderStream();
  const writer = encoder.writable.getWriter();
  const written = (async () => {
    for (const packet of batch) await writer.write(native(packet));
    await writer.close();
  })();
  const chunks = [];
  for await (const chunk of encoder.readable) chunks.push(Buffer.from(chunk));
  await written;
  return Buffer.concat(chunks);
}

function encode3(packet, supportsBinary) {
  return new Promise((done) => v3.encodePacket(native(packet), supportsBinary, false, done));
}

async function payload3(batch, supportsBinary) {
  const body = await new Promise((done) => v3.encodePayload(batch.map(native), supportsBinary, done));
  const decoded = [];
  v3.decodePayload(body, (packet) => void decoded.push(packet));
  assertSame(decoded, batch);
  return body;
}

/** What the reference reads of its own writing is what was written: else the case would prove nothing. */
function assertSame(decoded, batch) {
  const plain = ({ type, data }) => ({ type, data: Buffer.isBuffer(data) ? base64(data) : (data ?? "") });
  assert.deepEqual(decoded.map(plain), batch.map(native).map(plain));
}

// --------------------------------------------------------------------------------------------------------------- output

function frame(encoded) {
  return typeof encoded === "string" ? { text: encoded } : { base64: base64(encoded) };
}

function base64(bytes) {
  return Buffer.from(bytes).toString("base64");
}

/** One case per line, so that a difference can be read. */
function write(name, cases) {
  const source = VERSION[name.slice(0, 2)];
  const lines = cases.map((one) => `    ${JSON.stringify(one)}`).join(",\n");
  const json = `{\n  "source": ${JSON.stringify(source)},\n  "cases": [\n${lines}\n  ]\n}\n`;
  assert.ok(isDeepStrictEqual(JSON.parse(json), { source, cases: JSON.parse(JSON.stringify(cases)) }));
  const file = new URL(`${name}.json`, FOLDER);
  if (process.argv.includes("--check")) {
    assert.equal(readFileSync(file, "utf8") === json, true, `${name}.json is not what vectors.mjs writes`);
    return;
  }
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(file, json);
  console.log(`${name}.json: ${cases.length} cases`);
}

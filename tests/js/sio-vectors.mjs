// Writes ../vectors/sio-*.json: what the reference parsers of Socket.IO make of given packets and of odd input.
//
//   node sio-vectors.mjs           writes the files
//   node sio-vectors.mjs --check   fails if they are not what would be written
//
//   sio-v5.json        socket.io-parser 4: Socket.IO 3 and 4
//   sio-v4.json        socket.io-parser 3: Socket.IO 2
//   sio-msgpack.json   socket.io-msgpack-parser 3
//
// Each file is one JSON object:
//
//   { "source": "socket.io-parser 4.2.7", "packets": [SENT, ...], "inputs": [INPUT, ...] }
//
//   SENT      { "packet": PACKET, "exact": BOOLEAN, "chunks": [CHUNK, ...], "decoded": PACKET }
//             "chunks" is what the reference's encoder makes of the packet, "decoded" what its own decoder reads of them,
//             with "error": STRING in its place where it refuses to read what it has written. "exact" is false where
//             "packet" is not all that the encoder was given (see VALUE), or where it has written something else, such
//             as large integers: another encoder need not write the same then, and only reading is comparable.
//   INPUT     { "about": STRING, "chunks": [CHUNK, ...], "decoded": [PACKET, ...] }
//             the chunks are given to one new decoder, one after the other, until it throws. Then there is
//             "error": STRING besides, the reference's message. "waiting": true says that it expects more
//             attachments after the last chunk. No text is empty: a message of Engine.IO without data is not given to
//             the decoder as text, and makes it throw.
//   CHUNK     STRING: a text message, or { "$bin": BYTES }: a binary one
//   PACKET    { "type": 0 to 4, "nsp": STRING } with at most "id": NUMBER and "data": VALUE. The types 5 and 6 are
//             written as 2 and 3. Members that a parser does not define are left out. An id that is infinite or not a
//             number is null.
//   VALUE     JSON, with { "$bin": BYTES } for whatever is binary: a Buffer, an ArrayBuffer or the bytes of a view
//             What JSON does not have is written as JSON.stringify does it: undefined as null in an array, and left
//             out in an object; dates as text; NaN and infinite numbers as null. Lone surrogates are U+FFFD.
//   BYTES     standard base64 with padding
//
// Texts of chunks have no lone surrogates. Numbers are those of JavaScript: compare them as 64-bit floats. The order of
// members in an object says nothing. Of "sio-msgpack.json", packets are written as the server of npm socket.io 4.8
// writes them: members in its order, with "data" undefined in a CONNECT without data. Those in another order, such as
// that of the client, are not "exact".

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";
import assert from "node:assert/strict";
import * as v5 from "socket.io-parser";
import v4 from "socket.io-parser-3";
import msgpack from "socket.io-msgpack-parser";

const require = createRequire(import.meta.url);
const inBrowser = require("notepack.io/browser/encode");

const FOLDER = new URL("../vectors/", import.meta.url);
const [CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR] = [0, 1, 2, 3, 4];

/** Each: how a packet is encoded, into chunks; a new decoder; whether the decoder expects attachments. */
const PARSERS = {
  v5: {
    encode: (packet) => new v5.Encoder().encode({ ...packet }),
    decoder: () => new v5.Decoder(),
    waits: (decoder) => Boolean(decoder.reconstructor),
  },
  v4: {
    encode(packet) {
      let chunks;
      // As socket.io 2 does it, the binary types are chosen by the caller.
      const type = hasBinary(packet.data) && packet.type !== CONNECT_ERROR ? packet.type + 3 : packet.type;
      new v4.Encoder().encode({ ...packet, type }, (encoded) => (chunks = encoded));
      return chunks;
    },
    decoder: () => new v4.Decoder(),
    waits: (decoder) => Boolean(decoder.reconstructor),
  },
  msgpack: {
    encode: (packet) => new msgpack.Encoder().encode(packet),
    decoder: () => new msgpack.Decoder(),
    waits: () => false,
  },
};

const random = generator(0x510);
const shared = sharedPackets();

write("sio-v5", source("socket.io-parser"), [...shared, ...packetsOfV5()].map(sent("v5")), oddTexts().map(input("v5")));
write("sio-v4", source("socket.io-parser-3"), [...shared, ...packetsOfV4()].map(sent("v4")), oddTexts().map(input("v4")));
write(
  "sio-msgpack",
  source("socket.io-msgpack-parser"),
  [...[...shared, ...packetsOfV5()].map(asServer), ...packetsOfMsgpack()].map(sent("msgpack")),
  oddBytes().map(input("msgpack")),
);

// -------------------------------------------------------------------------------------------------------------- packets

function event(data, more) {
  return { type: EVENT, data, nsp: "/", ...more };
}

function ack(id, data, more) {
  return { type: ACK, data, id, nsp: "/", ...more };
}

/** Packets that all parsers take. */
function sharedPackets() {
  const buffer = Buffer.from([1, 2, 3, 4]);
  return [
    { type: CONNECT, nsp: "/" },
    { type: CONNECT, nsp: "/admin" },
    { type: CONNECT, nsp: "/admin?token=1234&uid=abcd" },
    { type: CONNECT, nsp: "/?token=1" },
    { type: DISCONNECT, nsp: "/" },
    { type: DISCONNECT, nsp: "/admin" },
    { type: CONNECT_ERROR, data: "Not authorized", nsp: "/" },
    { type: CONNECT_ERROR, data: { message: "Not authorized" }, nsp: "/" },
    { type: CONNECT_ERROR, data: { message: "Not authorized", data: { code: "E001", label: "é" } }, nsp: "/admin" },
    { type: CONNECT_ERROR, data: { message: "Invalid namespace" }, nsp: "/zz" },
    { type: CONNECT_ERROR, data: {}, nsp: "/" },
    { type: CONNECT_ERROR, data: "", nsp: "/" },

    event(["hello"]),
    event([""]),
    event(["hello", 1]),
    event(["hello", 1], { id: 0 }),
    event(["hello", 1], { id: 12 }),
    event(["hello", 1], { id: 4294967296 }),
    event(["hello", 1], { id: Number.MAX_SAFE_INTEGER }),
    event(["hello"], { nsp: "/admin" }),
    event(["hello"], { nsp: "/admin", id: 456 }),
    event(["hello"], { nsp: "/a/b-c_d/é😀" }),
    event(["hello"], { nsp: "/with space" }),
    event(["hello"], { nsp: "/7" }),
    event(["hello"], { nsp: "/admin?x=1" }),
    event([1]),
    event([0, "numeric name"]),
    event([-1.5, "numeric name"]),
    event(["error", "connection", "not reserved"]),
    event(["constructor", "__proto__", "toString"]),

    ack(0, []),
    ack(1, ["x"]),
    ack(123, [null]),
    ack(123, [undefined, 5]),
    ack(456, [], { nsp: "/admin" }),
    ack(1e15, [{ a: [1, { b: null }] }]),
    ack(7, ["connect", "disconnect"]),

    ...numbers().map((number) => event(["number", number])),
    ...texts().map((text) => event([text || "text", text, { [text]: [text] }])),
    event(["values", null, true, false, [], {}, [[]], [{}], { a: {} }, "", 0]),
    event(["undefined", undefined, null, [undefined], { a: undefined, b: null }]),
    event(["last is undefined", 1, undefined]),
    event(["not numbers", NaN, Infinity, -Infinity, -0]),
    event(["dates", new Date(0), { at: new Date(1e12) }, new Date(-1), new Date(Date.UTC(-1, 1, 29)), new Date(8.64e15), new Date(-8.64e15)]),
    event(["functions", { f() {}, g: 1 }]),
    event(["keys", { 1: "a", 0: "b", z: "c", "": "d", "a b": "e", '"': "f" }]),
    event(["map and set", new Map([[1, 2]]), new Set([1])]),
    event(["deep", nested(40)]),
    event(["wide", Array.from({ length: 300 }, (_, i) => i), Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key${i}`, i]))]),
    event(["placeholder", { _placeholder: true, num: 0 }]),
    event(["placeholder", { _placeholder: true }, { _placeholder: false, num: 1 }, { _placeholder: "true", num: 7, x: [1] }]),
    ack(1, [{ _placeholder: true, num: 5 }]),

    event(["binary", buffer]),
    event(["binary", Buffer.alloc(0)]),
    event(["binary", buffer], { id: 0 }),
    event(["binary", buffer], { nsp: "/admin", id: 23 }),
    event(["twice", buffer, buffer]),
    event(["nested", { a: [buffer, { b: Buffer.from([5]) }], c: null }, 1, Buffer.from([6, 7])]),
    event(["placeholder beside binary", { _placeholder: false, num: 9 }, buffer]),
    event(["object", Buffer.from([0]), { 0: "a", $bin: 1 }]),
    event(["large", Buffer.alloc(300, 7)]),
    event(["ten", ...Array.from({ length: 10 }, (_, i) => Buffer.from([i]))]),
    ack(0, [buffer]),
    ack(3, [null, { x: buffer }], { nsp: "/admin" }),

    ...Array.from({ length: 80 }, () => event([randomText(8) || "x", ...randomValues(3, 0)])),
    ...Array.from({ length: 40 }, () => event([randomText(8) || "x", ...randomValues(3, 0.3)].slice(0, 9), { id: below(1000) })).filter(fewBinary),
    ...Array.from({ length: 20 }, () => ack(below(1000), randomValues(2, 0.2))).filter(fewBinary),
  ];
}

function packetsOfV5() {
  const words = new Uint16Array([258, 3]);
  return [
    { type: CONNECT, data: {}, nsp: "/" },
    { type: CONNECT, data: { token: "123" }, nsp: "/admin" },
    { type: CONNECT, data: { sid: "CjdVH4TQvovi1VvgAC5Z" }, nsp: "/" },
    { type: CONNECT, data: { sid: "CjdVH4TQvovi1VvgAC5Z", pid: undefined }, nsp: "/" },
    { type: CONNECT, data: { sid: "CjdVH4TQvovi1VvgAC5Z", pid: "YHcX2sdAF1z452-HAAAW" }, nsp: "/" },
    { type: CONNECT, data: { pid: "YHcX2sdAF1z452-HAAAW", offset: "Q8dLm4n", token: "x" }, nsp: "/" },
    { type: CONNECT_ERROR, data: { message: "no", data: undefined }, nsp: "/" },
    event(["to json", { toJSON: () => ({ a: 1 }) }]),
    event(["to json", { toJSON: () => ({ a: Buffer.from([1]) }) }]),
    event(["buffer", words.buffer.slice(0)]),
    event(["view", new Uint8Array([1, 2, 3])]),
    event(["view", words]),
    event(["view", new Float64Array([1.5])]),
    event(["view", new DataView(new Uint8Array([9, 8]).buffer)]),
    event(["view of a part", new Uint8Array(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2)]),
    event(["eleven", ...Array.from({ length: 11 }, (_, i) => Buffer.from([i]))]),
  ];
}

function packetsOfV4() {
  return [
    { type: CONNECT_ERROR, data: ["any", 1], nsp: "/" },
    { type: CONNECT_ERROR, data: { type: "any" }, nsp: "/admin" },
    event(["eleven", ...Array.from({ length: 11 }, (_, i) => Buffer.from([i]))]),
    event(["connect", "is not reserved by the parser"]),
  ];
}

/** Members in other orders, and such as only this parser writes. */
function packetsOfMsgpack() {
  const options = { compress: true };
  return [
    { type: CONNECT, nsp: "/" },
    { nsp: "/", type: CONNECT, data: undefined },
    { type: CONNECT_ERROR, nsp: "/zz", data: { message: "Invalid namespace" } },
    { type: EVENT, data: ["client", 1], options, id: 0, nsp: "/" },
    { type: EVENT, data: ["client"], options: { compress: false }, nsp: "/a" },
    { type: EVENT, data: ["broadcast"], nsp: "/", id: 1 },
    { type: EVENT, data: [], nsp: "/" },
    { type: EVENT, data: ["negative"], id: -1, nsp: "/" },
    { type: ACK, id: 2, data: ["client"], nsp: "/" },
    { type: ACK, data: ["no id"], nsp: "/" },
    { id: 2 ** 64 - 2048, type: ACK, data: [], nsp: "/" },
    ...[15, 16, 300].map((length) => event(["long", Array(length).fill(0)])),
    ...[15, 16, 300].map((length) => event(["long", Object.fromEntries(Array.from({ length }, (_, i) => [`k${i}`, 0]))])),
    ...[31, 32, 33, 255, 256].map((length) => event(["long", "x".repeat(length)])),
    ...[255, 256].map((length) => event(["long", Buffer.alloc(length)])),
    ...[255, 256].map((length) => event(["long", new ArrayBuffer(length)])),
  ];
}

/** The members in the order of the server: `lib/socket.ts` of npm socket.io. */
function asServer({ type, data, id, nsp }) {
  const present = id === undefined ? {} : { id };
  if (type === DISCONNECT) return { type, nsp };
  if (type === ACK) return { ...present, type, data, nsp };
  return { type, data, ...present, nsp };
}

function numbers() {
  const edges = [0x20, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 2 ** 64 - 2048];
  return [
    0, 1, ...edges, ...edges.map((edge) => -edge).filter((edge) => edge >= -(2 ** 63)), -1, -33, -129, -32769, -(2 ** 31) - 1,
    2 ** 53 + 2, 1e15, 1e18, 0.1, -0.1, 1.5, 1e-7, 1.2345678901234567, 5e-324, 1.7976931348623157e308, 1e21, 1e22, 123456.789, 2 ** 64, -(2 ** 64),
  ];
}

function texts() {
  const control = Array.from({ length: 32 }, (_, i) => String.fromCharCode(i)).join("");
  return [
    "", "€", "😀", "é", "漢字", "👩‍👩‍👧", "a\u0000b", control, "\u007f\u0080\u07ff\u0800\ud7ff\ue000\ufeff\uffff", "\u{10000}\u{10ffff}", "\u2028\u2029",
    '"quoted" \\n \\\\n \n / \\/', "2[", "51-", "\ud800", "\udc00", "a\ud800b", "\udc00\ud800", "x".repeat(200), "é".repeat(100),
  ];
}

function nested(depth) {
  let value = 1;
  for (let i = 0; i < depth; i++) value = i % 2 ? { a: value } : [value];
  return value;
}

// ------------------------------------------------------------------------------------------------------------ odd input

/** Cases of text: what is odd about it, and its chunks. */
function oddTexts() {
  const one = Buffer.from([1]);
  const placeholder = (num) => `{"_placeholder":true,"num":${num}}`;
  const alone = (about, ...texts) => texts.map((text) => [about, [text]]);
  return [
    ...alone("no packet", "x", "[", "-1", "7", "8", "9", "/", '"2"', "é", "\u0000", "٢"),
    ...alone("a space counts as zero", " ", ' {"a":1}', "\t", "\n"),
    ...alone("unknown type with more", '7["x"]', "9/a,"),

    ...alone("connect", "0", "0/", "0/,", "0/admin", "0/admin,", "0{}", '0{"a":1}', '0/admin,{"a":1}', "0/admin{}", "0/a?b=c", "0/a?b=c,", "0//", "0/a,b", "0/a,/b,", "0,"),
    ...alone("connect with the wrong payload", "0[]", "0null", '0"x"', "0true", "0{", "0[1]", "0/admin,[]", "0/admin,null", '0["x"]'),
    ...alone("connect with an id", "01", "0 ", "012", "01{}", "0/a,1{}"),
    ...alone("disconnect", "1", "1/admin", "1/admin,", "1/", "1/,"),
    ...alone("disconnect with an id", "11", "1 ", "1/a,5"),
    ...alone("disconnect with more", "1[]", "1{}", "1null", '1"x"', "1/admin,{}", "1x", "1false"),
    ...alone("error", '4"x"', "4{}", '4{"message":"x"}', '4/admin,"x"', "4", "4/admin", '4""'),
    ...alone("error with the wrong payload", "4[]", "4null", "4true", "4{", '4["x"]'),
    ...alone("error with an id", "41", "4 ", '41"x"'),

    ...alone("event without payload", "2", "21", "2/admin", "2/admin,", "2/admin,1", "2 ", "2/"),
    ...alone("event", '2["a"]', '2/admin,["a"]', '2/,["a"]', '2/["a"]', '2/admin["a"]', '2/custom["x"]', '2/a,1["b"]', "2[1]", "2[1.5]", "2[-1]", "2[1e3]", '2[""]', '2["a" , 1 ]', '2[ "a"]', '2 ["a"]', '2\n["a"]', '2["a"]\n', '2["a"] '),
    ...alone("event with the wrong payload", "2[]", "2{}", "2null", '2"a"', "2true", "2[null]", "2[true]", "2[[]]", "2[{}]", '2[{"a":1}]', "2[", '2["a"', '2["a"]]', '2["a"]x', '2["a",]', "2['a']", '2x["a"]', "2[undefined]", "2[NaN]", '2["a",01]', '2["a",+1]', '2["a",.5]', '2["a",1.]', '2["a",1e]', '2["a",Infinity]', '2["a","\t"]', '2["a","\\x"]', '2["a","\\u12"]', '2["a",/**/1]', '2["a",\u00a01]'),
    ...alone("reserved name", '2["connect"]', '2["connect_error"]', '2["disconnect"]', '2["disconnecting"]', '2["newListener"]', '2["removeListener"]', '2/a,1["disconnect",1]', '2["\\u0063onnect"]'),
    ...alone("name that is not reserved", '2["error"]', '2["connection"]', '2["connecting"]', '2["Connect"]', '2["connect "]', '2["message"]', '2["new_namespace"]', '2["__proto__"]', '2["reconnect"]'),

    ...alone("ack", "30[]", '31["a"]', "3/admin,1[]", '312["a",null]', "300[]", '31["connect"]', "31[null]", "31 []"),
    ...alone("ack without id", "3[]", '3["a"]', "3/admin,[]"),
    ...alone("ack without payload", "3", "31", "312", "3/admin,1", "3/admin"),
    ...alone("ack with the wrong payload", "31{}", "31null", '31"a"', "31true", "31[", "31[}", "31x", "31-", "3x"),

    ...alone(
      "id", '20["a"]', '200["a"]', '2012["a"]', '29007199254740991["a"]', '29007199254740993["a"]', '218446744073709551615["a"]', '299999999999999999999["a"]', '2123456789012345678901["a"]', '21234567890123456789012345678901234567890["a"]', `2${"9".repeat(400)}["a"]`,
      '2 ["a"]', '2 1["a"]', '21 ["a"]', '21 2["a"]', '2 \t\n1["a"]', '2\u00a01["a"]', '2\ufeff1["a"]', '2\u30001["a"]', '2\u0085["a"]', '2\ufeff["a"]', '2\u00a0["a"]',
    ),
    ...alone("id that is none", '2-1["a"]', '21.5["a"]', '21e3["a"]', '20x1["a"]', '2+1["a"]', '2١["a"]', '21,["a"]', '2,1["a"]', '2-["a"]', '2.["a"]', '2"1"["a"]', '21 x["a"]', "2 x"),
    ...alone("namespace", '2/a/b,["x"]', '2/a?b=,["x"]', '2/"\u0001\\,["x"]', '2//,["x"]', '2/a,,["x"]', '2a,["x"]', '2,["x"]', '2/é😀,["x"]', '2/ ,["x"]', '2/a,/b,["x"]', "2/a,1", '2/a["x",1]', '31/a,["x"]'),

    ...alone("placeholder in a plain packet", `2["a",${placeholder(0)}]`, `2["a",${placeholder(7)}]`, `31[${placeholder(0)}]`),
    ...alone("members named __proto__ and twice", '2["a",{"__proto__":1}]', '2["a",{"a":1,"a":2}]'),
    ...alone("escapes", '2["a","\\ud83d\\ude00"]', '2["a","\\ud800"]', '2["a","\\udc00x"]', '2["a","\\ud83d\\u0041"]', '2["a","\\/\\b\\f\\n\\r\\t\\u0000"]', '2["a","\u2028\u007f"]'),
    ...alone("numbers", '2["a",-0,1e400,-1e400,1e-400,12345678901234567890,0.1e1,1E5,-0.0]', '2["a",123456789012345678901234567890]'),
    ["deeply nested", [`2["a",${"[".repeat(100)}${"]".repeat(100)}]`]],
    ...alone("unbalanced", '2["a"}', '2["a",{]}', '2["a",{"b"}]', '2["a",{"b":}]', '2["a",{b:1}]', '2["a",{"b":1,}]', '2["a" "b"]', '2["a",,1]'),

    ...alone(
      "count of attachments", '5["a"]', '5-["a"]', '50-["a"]', '5 -["a"]', '5x-["a"]', '51["a"]', '51.5-["a"]', '5-1-["a"]', '5--["a"]', '511-["a"]', '5100-["a"]', '599999999999999999999-["a"]', '5Infinity-["a"]', '5NaN-["a"]', '5+1-x', "5", "51", "5-", '6-[]', '60-1[]', '611-1[]', '51 0-["a"]', '5/a,1-["a"]', '5[1]-["a"]', '50x0-["a"]', '50.0-["a"]',
    ),
    ...['51-["a",P]', '501-["a",P]', '50x1-["a",P]', '51e0-["a",P]', '51.0-["a",P]', '50.1e1-["a",P]', '5 1-["a",P]', '51 -["a",P]', '5\t1-["a",P]', '5+1-["a",P]', '50b1-["a",P]', '5\ufeff1-["a",P]', '50001-["a",P]', '51--["a",P]', '51-/a,["a",P]', '51-/a,1["a",P]', '51-1["a",P]', '51-/["a",P]', "61-1[P]", "61-/a,1[P]", "61-[P]", "51-[1,P]", '51-["a",{"x":[P]}]', '51-["a"]', '51-["a",P,P]', "51-", "51-1", "51-/a", "51-/a,1", "61-", "61-1"].map((text) => [
      "one attachment", [text.replaceAll("P", placeholder(0)), one],
    ]),
    ...["51-[P]", "51-{}", "51-null", "51-[]", '51-["connect",P]', '51-["disconnect"]', "51-[[P]]", "61-1{}", "61-1null", '51-["a"', '51-["a",P'].map((text) => [
      "one attachment and the wrong payload", [text.replaceAll("P", placeholder(0)), one],
    ]),
    ...["-0", "0.0", "0e5", "0.5", "0.999", "1", "1.5", "-1", "-0.5", "1e400", "99999999999999999999", "null", '"0"', "true", "[0]", "{}"].map((num) => [
      "number of a placeholder", [`51-["a",${placeholder(num)}]`, one],
    ]),
    ...['{"_placeholder":true}', '{"num":0}', '{"_placeholder":false,"num":0}', '{"_placeholder":1,"num":0}', '{"_placeholder":"true","num":0}', '{"_placeholder":null,"num":0}', '{"num":0,"_placeholder":true}', '{"_placeholder":true,"num":0,"x":1}', '{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":7}}', '{"x":{"_placeholder":true,"num":7}}', '{"_placeholder":true,"num":7,"num":0}', '{"_placeholder":false,"_placeholder":true,"num":0}', '{"\\u005fplaceholder":true,"num":0}', '[{"_placeholder":true,"num":0}]'].map((value) => [
      "form of a placeholder", [`51-["a",${value}]`, one],
    ]),
    ["a placeholder as the name", [`51-[${placeholder(0)},"a"]`, one]],
    ["a placeholder as the payload", [`51-${placeholder(0)}`, one]],
    ["the order of two", [`52-["a",${placeholder(1)},${placeholder(0)}]`, one, Buffer.from([2])]],
    ["one of two is used", [`52-["a",${placeholder(1)}]`, one, Buffer.from([2])]],
    ["a fraction between two", [`52-["a",${placeholder(0.5)}]`, one, Buffer.from([2])]],
    ["ten attachments", ['510-["a"]', ...Array(10).fill(one)]],
    ["too few attachments", ['52-["a"]', one]],
    ["no attachment", ['51-["a"]']],
    ["an empty attachment", [`51-["a",${placeholder(0)}]`, Buffer.alloc(0)]],
    ["text while an attachment is expected", ['51-["a"]', '2["b"]']],
    ["text while the second attachment is expected", ['52-["a"]', one, '2["b"]']],
    ["one attachment too many", ['51-["a"]', one, one]],
    ["binary that is not expected", [one]],
    ["empty binary that is not expected", [Buffer.alloc(0)]],
    ["binary after a plain packet", ['2["a"]', one]],
    ["packets after one another", ["0", '2["a"]', "1"]],
    ["packets after attachments", [`51-["a",${placeholder(0)}]`, one, '2["b"]', `61-1[${placeholder(0)}]`, one]],
  ];
}

/** Cases of bytes: what is odd about them, and the one chunk. */
function oddBytes() {
  const str = (text) => {
    const bytes = Buffer.from(text);
    assert.ok(bytes.length < 32);
    return Buffer.concat([Buffer.from([0xa0 | bytes.length]), bytes]);
  };
  const hex = (text) => Buffer.from(text.replaceAll(" ", ""), "hex");
  const map = (...members) => {
    const parts = members.flatMap(([key, value]) => [typeof key === "string" ? str(key) : key, typeof value === "string" ? hex(value) : value]);
    return Buffer.concat([Buffer.from([0x80 | members.length]), ...parts]);
  };
  const nsp = ["nsp", str("/")];
  const packet = (type, data, id) => map(["type", type], ...(data === undefined ? [] : [["data", data]]), ...(id === undefined ? [] : [["id", id]]), nsp);
  const withValue = (value) => packet("02", `92 a176 ${value}`);
  const withLast = (value) => map(["type", "02"], nsp, ["data", `92 a176 ${value}`]);
  const all = (about, make, ...forms) => forms.map((form) => [`${about}: ${form.length > 60 ? `${form.slice(0, 60)}...` : form}`, [make(form)]]);
  const same = (byte, count) => byte.repeat(count);
  return [
    ...all("no packet", hex, "", "c0", "00", "80", "90", "a0", "c1", "c2", "d40000", "c4021234", "cb0000000000000000", "d7000000000000000001", "a179", "8100c0", "91 80"),
    ...all(
      "type", (type) => packet(type, "91a161"), "cc02", "cd0002", "ce00000002", "cf0000000000000002", "d002", "d10002", "d200000002", "d30000000000000002", "ca40000000", "cb4000000000000000",
      "cb4004000000000000", "ca40200000", "05", "06", "ff", "c0", "c2", "c3", "a132", "d40000", "9102", "80", "cf0000000100000002", "cb7ff8000000000000", "cb7ff0000000000000", "d402c0", "d4 01 02", "c40102",
    ),
    ...all("type zero", (type) => packet(type), "00", "cb0000000000000000", "cb8000000000000000", "ca80000000", "cc00", "c0"),
    ["without a type", [map(["data", "91a161"], nsp)]],
    ["without a namespace", [map(["type", "02"], ["data", "91a161"])]],
    ...all("namespace", (form) => map(["type", "02"], ["data", "91a161"], ["nsp", form]), "a0", "a161", "c0", "01", "c4012f", "d40000", "912f", "d9012f", "da00012f", "db000000012f", "a42f613f62", "a22fff", "a22f2c"),
    ...all("connect", (data) => packet("00", data), "80", "81a16101", "d40000", "c0", "90", "01", "a161", "c40101", "c3", "c7000 0", "d7000000000000000001", "d40101", "8100c0", "de0000", "df00000000"),
    ["connect without data", [packet("00")]],
    ["connect with an id", [packet("00", "80", "01")]],
    ...all("disconnect", (data) => packet("01", data), "d40000", "c0", "80", "90", "a0"),
    ["disconnect with an id", [packet("01", undefined, "01")]],
    ...all("error", (data) => packet("04", data), "a0", "a161", "80", "81a76d657373616765a161", "d40000", "c0", "90", "01", "c40101", "d7000000000000000001", "d9016 1"),
    ["error without data", [packet("04")]],
    ...all("event", (data) => packet("02", data), "90", "91a161", "dc0001a161", "dd00000001a161", "9101", "91c0", "9190", "91c3", "91d40000", "91c40161", "d40000", "c0", "80", "a161", "01", "c40101", "d5009101", "d40161", "d4a161"),
    ["event without data", [packet("02")]],
    ...all("event named", (name) => packet("02", Buffer.concat([hex("91"), str(name)])), "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener", "error", "connection"),
    ...all("ack", (data) => packet("03", data, "01"), "90", "91a161", "9101", "dc0000", "d40000", "c0", "80", "a161"),
    ["ack without data", [packet("03", undefined, "01")]],
    ["ack without an id", [packet("03", "90")]],
    ...all(
      "id", (id) => packet("02", "91a161", id), "00", "7f", "cc01", "cd0001", "ce00000001", "cf0000000000000001", "cf001fffffffffffff", "cfffffffffffffffff", "d001", "d10001", "d200000001", "d30000000000000001", "ca3f800000", "cb3ff0000000000000",
      "cb8000000000000000", "cb4415af1d78b58c40", "cb54b249ad2594c37d", "cb3ff8000000000000", "cb7ff8000000000000", "cb7ff0000000000000", "ff", "d0ff", "cbbff0000000000000", "c0", "d40000", "c2", "c3", "a131", "9101", "80", "c40101",
    ),
    ["another member", [map(["type", "02"], ["data", "91a161"], nsp, ["x", "81a16191c0"])]],
    ["options", [map(["type", "02"], ["data", "91a161"], ["options", "81a8636f6d7072657373c3"], nsp)]],
    ["members twice", [map(["type", "01"], ["nsp", str("/a")], ["type", "02"], ["data", "c0"], ["data", "91a161"], nsp, ["id", "01"], ["id", "02"])]],
    ["an id, then undefined", [map(["type", "02"], ["data", "91a161"], nsp, ["id", "01"], ["id", "d40000"])]],
    ["members named by bytes", [map(["type", "02"], [hex("c40464617461"), "91a161"], nsp)]],
    ["members named by a long text", [map([hex("d90474797065"), "02"], [hex("da000464617461"), "91a161"], [hex("db000000036e7370"), str("/")])]],
    ["members in map 16", [Buffer.concat([hex("de0003"), packet("02", "91a161").subarray(1)])]],
    ["members in map 32", [Buffer.concat([hex("df00000003"), packet("02", "91a161").subarray(1)])]],
    ["trailing byte", [Buffer.concat([packet("02", "91a161"), hex("00")])]],
    ["two packets", [Buffer.concat([packet("02", "91a161"), packet("02", "91a162")])]],
    ["a byte is missing", [packet("02", "91a161").subarray(0, -1)]],

    ...all(
      "value", withValue, "00", "7f", "e0", "ff", "cc00", "ccff", "cd0000", "cdffff", "ce00000000", "ceffffffff", "cf0000000000000000", "cf001fffffffffffff", "cf0020000000000001", "cf8000000000000000", "cfffffffffffffffff",
      "d000", "d07f", "d080", "d0ff", "d17fff", "d18000", "d1ffff", "d27fffffff", "d280000000", "d2ffffffff", "d3ffffffffffffffff", "d37fffffffffffffff", "d38000000000000000", "d3ffdfffffffffffff",
      "ca00000000", "ca3fc00000", "ca3dcccccd", "ca7f7fffff", "ca7f800000", "ca7fc00000", "ca80000000", "cb3fb999999999999a", "cb7fefffffffffffff", "cb0000000000000001", "cb7ff0000000000000", "cbfff0000000000000", "cb7ff8000000000000", "cb8000000000000000", "cb4000000000000000",
      "c0", "c1", "c2", "c3", "a0", "a161", "d900", "d90161", "da000161", "db0000000161", "a1ff", "a3eda080", "a2c0af", "a4f0908080", "a4f48fbfbf", "a4f4908080", "a3efbbbf", "a2e282", "a6e282ace28261", "a5f09f9861ff",
      "c400", "c40101", "c5000101", "c60000000101", "90", "dc0000", "dd00000000", "dc0001c0", "80", "de0000", "df00000000", "de0001a161c0", "92d40000d40000", "82a161d40000a162c0",
    ),
    ...all(
      "extension", withValue, "d40000", "d400ff", "d40100", "d4ff01", "d47f01", "d50001 02", "d5010102", "d60001020304", "d6ff01020304", "d7000000000000000000", "d7000000000000000001", "d700000000e8d4a51000", "d700ffffffffffffffff", "d700001eb208c2dc0000",
      "d700001eb208c2dc0001", "d700ffe14df73d240000", "d7007fffffffffffffff", "d7010102030405060708", "d7ff0102030405060708", "d80001020304050607080102030405060708", "d8ff01020304050607080102030405060708",
      "c70000", "c70100 07", "c7010107", "c70c ff 010203040506070809101112", "c8000000", "c800010007", "c800010107", "c900000000 00", "c900000001 0007", "c900000001 0107", "c70800 0000000000000001",
    ),
    ...all("name of a member", (name) => withValue(`81${name}c3`), "01", "ff", "c0", "c2", "c3", "cb3ff8000000000000", "cb8000000000000000", "cb7ff8000000000000", "cb7ff0000000000000", "cb444b1ae4d6e2ef50", "cb3e7ad7f29abcaf48", "ca3f800000", "cf0020000000000001", "d40000", "90", "920102", "9201c0", "91920102", "80", "c403616263", "c70300616263", "d4ff07", "a1ff"),
    ...all("length without bytes", withLast, "dc0001", "dcffff", "dd00000001", "ddffffffff", "de0001", "deffff", "dfffffffff", "df80000000", "a1", "bf", "d901", "daffff", "dbffffffff", "c401", "c5ffff", "c6ffffffff", "c70100", "c8ffff00", "c900010000 00", "c70101", "c9ffffffff 01", "d400", "d4", "d501 01", "d700 00000000000000", "d801", "cc", "cd00", "ce000000", "cf00000000000000", "d0", "d100", "d2000000", "d3", "ca000000", "cb00000000000000", "c4", "c500", "c6000000", "c7", "c701", "dc", "dd000000", "de00", "df000000"),
    ["nested 30 levels", [withValue(`${same("91", 30)}c0`)]],
    ["maps nested 30 levels", [withValue(`${same("81a161", 30)}c0`)]],

    ...[
      ["undefined", [undefined]], ["a buffer of bytes", [new Uint8Array([1, 2, 3]).buffer]], ["an empty buffer", [new ArrayBuffer(0)]], ["a view", [new Uint8Array([1, 2])]], ["a date", [new Date(1e12)]],
      ["texts", ["é", "x".repeat(40)]], ["a lone surrogate", ["\ud800"]], ["numbers", [1.5, -1, 2 ** 40]],
    ].map(([about, values]) => [`the encoder of browsers: ${about}`, [Buffer.from(inBrowser({ type: EVENT, data: ["v", ...values], options: { compress: true }, nsp: "/" }))]]),
    ["text", ["0"]],
  ];
}

// --------------------------------------------------------------------------------------------------------------- random

function randomValues(most, binary) {
  return Array.from({ length: below(most + 1) }, () => randomValue(3, binary));
}

function randomValue(depth, binary) {
  if (random() < binary / 2) return randomBytes(below(20));
  switch (below(depth > 0 ? 8 : 6)) {
    case 0: return null;
    case 1: return random() < 0.5;
    case 2: return below(2 ** (1 + below(31))) - 100;
    case 3: return (random() - 0.5) * 10 ** below(20);
    case 4: return randomText(30);
    case 5: return below(3) - 1;
    case 6: return Array.from({ length: below(5) }, () => randomValue(depth - 1, binary));
    default: return Object.fromEntries(Array.from({ length: below(5) }, () => [randomText(6), randomValue(depth - 1, binary)]));
  }
}

function randomText(most) {
  const ranges = [[0x20, 0x7f], [0x20, 0x7f], [0x00, 0x20], [0x80, 0x800], [0x800, 0xd800], [0xe000, 0x10000], [0x10000, 0x110000]];
  const one = ([low, high]) => String.fromCodePoint(low + below(high - low));
  return Array.from({ length: below(most + 1) }, () => one(ranges[below(ranges.length)])).join("");
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

function sent(name) {
  const { encode } = PARSERS[name];
  return (packet) => {
    const chunks = encode(packet);
    const plain = plainPacket(packet);
    const again = encode(name === "msgpack" ? asServer(native(plain)) : native(plain));
    const { decoded, error } = decode(name, chunks);
    assert.ok(error !== undefined || decoded.length === 1);
    const isSame = error !== undefined || isDeepStrictEqual(decoded[0], plain);
    return {
      packet: plain,
      exact: isSame && isDeepStrictEqual(again.map(plainChunk), chunks.map(plainChunk)),
      chunks: chunks.map(plainChunk),
      ...(error === undefined ? { decoded: decoded[0] } : { error }),
    };
  };
}

function input(name) {
  return ([about, chunks]) => ({ about, chunks: chunks.map(plainChunk), ...decode(name, chunks) });
}

function decode(name, chunks) {
  const { decoder: create, waits } = PARSERS[name];
  const decoder = create();
  const decoded = [];
  decoder.on("decoded", (packet) => void decoded.push(plainPacket(packet)));
  for (const chunk of chunks) {
    try {
      decoder.add(chunk);
    } catch (error) {
      // The messages of other errors depend on the version of Node.js.
      return { decoded, error: error.constructor === Error ? error.message : error.name };
    }
  }
  return waits(decoder) ? { decoded, waiting: true } : { decoded };
}

// ---------------------------------------------------------------------------------------------------------------- plain

function isBinary(value) {
  return value instanceof ArrayBuffer || ArrayBuffer.isView(value);
}

function hasBinary(value) {
  if (typeof value !== "object" || value === null) return false;
  return isBinary(value) || Object.values(value).some(hasBinary);
}

/** Whether the decoders of text take it, which allow ten attachments. */
function fewBinary({ data }) {
  const count = (value) => (isBinary(value) ? 1 : typeof value === "object" && value ? Object.values(value).reduce((sum, one) => sum + count(one), 0) : 0);
  return count(data) <= 10;
}

function plainPacket({ type, nsp, id, data }) {
  const plain = { type: type > 4 ? type - 3 : type, nsp: nsp?.toWellFormed(), id, data: plainValue(data) };
  return JSON.parse(JSON.stringify(plain));
}

function plainChunk(chunk) {
  return isBinary(chunk) ? plainValue(chunk) : chunk;
}

function plainValue(value) {
  if (isBinary(value)) {
    const bytes = ArrayBuffer.isView(value) ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : Buffer.from(value);
    return { $bin: bytes.toString("base64") };
  }
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value !== "object" || value === null) return value;
  if (typeof value.toJSON === "function") return plainValue(value.toJSON());
  if (Array.isArray(value)) return value.map(plainValue);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key.toWellFormed(), plainValue(member)]));
}

/** A packet of values, of its plain form. */
function native(plain) {
  return typeof plain !== "object" || plain === null
    ? plain
    : Array.isArray(plain)
      ? plain.map(native)
      : typeof plain.$bin === "string"
        ? Buffer.from(plain.$bin, "base64")
        : Object.fromEntries(Object.entries(plain).map(([key, value]) => [key, native(value)]));
}

// --------------------------------------------------------------------------------------------------------------- output

function source(name) {
  const pinned = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8")).dependencies[name];
  return pinned.startsWith("npm:") ? pinned.slice("npm:".length).replace("@", " ") : `${name} ${pinned}`;
}

/** One case per line, so that a difference can be read. */
function write(name, source, packets, inputs) {
  const lines = (cases) => cases.map((one) => `    ${JSON.stringify(one)}`).join(",\n");
  const json = `{\n  "source": ${JSON.stringify(source)},\n  "packets": [\n${lines(packets)}\n  ],\n  "inputs": [\n${lines(inputs)}\n  ]\n}\n`;
  assert.ok(json.isWellFormed() && !/(?<!\\)(\\\\)*\\ud[89a-f]/i.test(json), `${name}.json has a lone surrogate`);
  assert.ok(isDeepStrictEqual(JSON.parse(json), { source, packets, inputs }));
  const file = new URL(`${name}.json`, FOLDER);
  if (process.argv.includes("--check")) {
    assert.equal(readFileSync(file, "utf8") === json, true, `${name}.json is not what sio-vectors.mjs writes`);
    return;
  }
  writeFileSync(file, json);
  console.log(`${name}.json: ${packets.length} packets, ${packets.filter(({ exact }) => exact).length} of them exact, ${inputs.length} inputs`);
}

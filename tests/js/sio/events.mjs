// Events and acknowledgements.

import assert from "node:assert/strict";
import { BINARIES, TEXTS } from "../messages.mjs";
import { within } from "../waiting.mjs";
import { bin, everywhere, plain, range } from "./clients.mjs";
import { namespace, theme } from "./harness.mjs";

const VALUES = [
  [], [null], [1, -2.5, 1e300, 0], [true, false], [""], [[], {}], [{ a: { b: [1, { c: null }] } }], [TEXTS],
  [{ "": 1, "é": "ü", "__proto": 2, _placeholder: true, num: 0 }], ["a", ["b", ["c", ["d"]]], 9007199254740991],
];
const BINARY = [
  [Buffer.from([1, 2, 3])], [{ a: Buffer.from([1]), b: [Buffer.from([2]), { c: Buffer.alloc(0) }] }, "x", Buffer.from([3])],
  BINARIES, [[[[[Buffer.from("deep")]]]]],
];
// Ten attachments are the limit.
const TEN = [range(10).map((i) => Buffer.from([i]))];

theme("events", () => {
  everywhere("arguments come back unchanged", async (world) => {
    const player = await world.connect();
    const all = [...VALUES, ...BINARY, TEN];
    for (const phase of ["before", "after"]) {
      for (const args of all) player.emit("message", phase, ...args);
      for (const args of all) player.emit("echo", phase, ...args);
      const each = (name) => all.map((args) => [name, phase, ...plain(args)]);
      for (const wanted of [...each("message-back"), ...each("echo")]) assert.deepEqual(await player.next(), wanted);
      await player.upgraded();
    }
  });

  everywhere("acks have the arguments", async (world) => {
    const player = await world.ready();
    const all = [...VALUES, ...BINARY, TEN, ...TEXTS.map((text) => [text])];
    const answers = await Promise.all(all.map((args) => player.ask("message-with-ack", ...args)));
    assert.deepEqual(answers, all.map(plain));
  });

  everywhere("types are seen as they are", async (world) => {
    const player = await world.ready();
    const args = [null, true, 1.5, "x", [], {}, Buffer.from([1, 2, 255]), Buffer.alloc(0), Buffer.alloc(1000, 255)];
    const wanted = ["null", "boolean", "number", "string", "array", "object", "binary:3:258", "binary:0:0", `binary:1000:${255_000 % 65_536}`];
    assert.deepEqual(await player.ask("types", ...args), [wanted]);
    assert.deepEqual(await player.ask("types"), [[]]);
    // Views of all kinds are binary.
    assert.deepEqual(await player.ask("types", new Uint8Array([1, 2]), new Uint8Array([4]).buffer), [["binary:2:3", "binary:1:4"]]);
  });

  everywhere("binary is nested as the server has it", async (world) => {
    const player = await world.ready();
    player.emit("nested-binary");
    assert.deepEqual(await player.next(), [
      "nested-binary", { a: { b: [bin(1), "text", bin(2, 3)] }, c: bin(4, 5, 6) }, null, [bin()],
    ]);
  });

  everywhere("names of events are any text", async (world) => {
    const player = await world.ready({ nsp: namespace() });
    const names = ["é漢😀", "a b", "error", "connection", "[\"x\"]", "constructor", "toString", "a,b", "1"];
    for (const name of names) player.emit("all", name, []);
    await player.barrier();
    for (const name of names) assert.ok(player.of(name).length >= 1, name);
  }, { only: ({ client }) => client === "4.8" });

  everywhere("events with other arguments, and unknown ones, are ignored", async (world) => {
    const player = await world.ready();
    const odd = [["ack-later"], ["call-me", 1], ["call-me", "x", "y"], ["join", 5], ["join", [1]], ["leave", []], ["to-room", "x"],
      ["in-room", ["r"], 1, []], ["private"], ["burst", "x"], ["big"], ["kick"], ["set"], ["members"], ["no-such-event", 1, {}],
      ["broadcast-ack", []], ["sockets-join", "x"], ["volatile-burst", {}], ["to-except", [], []], ["all"], ["broadcast", 7]];
    let answered = 0;
    for (const [name, ...args] of odd) player.socket.emit(name, ...args, () => answered++);
    await player.barrier();
    await player.barrier();
    assert.deepEqual([answered, player.events.all.slice(1)], [0, []]);
  });

  everywhere("events of the tick of connecting are not lost", async (world) => {
    const player = world.player({ nsp: "/custom" });
    for (const i of range(50)) player.emit("echo", i);
    const last = player.ask("message-with-ack", Buffer.from("x"));
    assert.deepEqual(await last, [bin(..."x".split("").map((c) => c.charCodeAt(0)))]);
    assert.deepEqual(player.of("echo"), range(50).map((i) => [i]));
  });

  everywhere("volatile events come once, in order, and hold nothing up", async (world) => {
    const player = await world.ready();
    player.emit("volatile-burst", 500);
    player.emit("burst", 10);
    assert.deepEqual(await player.several("burst-msg", 10), range(10).map((i) => [i]));
    const came = player.of("volatile-msg").map(([i]) => i);
    assert.ok(came.length <= 500);
    assert.ok(came.every((value, i) => value >= 0 && value < 500 && (i === 0 || value > came[i - 1])), JSON.stringify(came));
  });
});

theme("acknowledgements", () => {
  everywhere("no ack is sent unless the application sends one, and only one", async (world) => {
    const player = await world.ready();
    const acks = [];
    player.socket.emit("ack-none", "x", (...args) => acks.push(["none", ...args]));
    player.socket.emit("ack-twice", (...args) => acks.push(["twice", ...args]));
    await player.barrier();
    await player.barrier();
    assert.deepEqual(acks, [["twice", "first"]]);
    // Nothing is asked for: nothing is answered.
    player.emit("message-with-ack", 1);
    player.emit("ack-twice");
    await player.barrier();
    assert.deepEqual(player.events.all.slice(1), []);
  });

  everywhere("acks that come later find their questions", async (world) => {
    const player = await world.ready();
    const order = [];
    const ask = async (ms, value) => order.push((await player.ask("ack-later", ms, value))[0]);
    await Promise.all([ask(300, "slow"), ask(20, Buffer.from([7])), ask(0, { now: true })]);
    assert.equal(order.length, 3);
    assert.equal(order[2], "slow");
    assert.deepEqual(new Set(order.slice(0, 2)), new Set([bin(7), { now: true }]));
  });

  everywhere("hundreds of acks are on the way", async (world) => {
    const player = await world.ready();
    const answers = await Promise.all(range(500).map((i) => player.ask("message-with-ack", i, `v${i}`)));
    assert.deepEqual(answers, range(500).map((i) => [i, `v${i}`]));
  });

  everywhere("the server is answered", async (world) => {
    const player = await world.ready();
    player.answers.question = (ack, ...args) => ack(...args, "and", Buffer.from([9]));
    player.answers.nothing = (ack) => ack();
    player.emit("call-me", "question", [1, { a: Buffer.from([1, 2]) }, null]);
    assert.deepEqual(await player.several("called", 1), [["question", [1, { a: bin(1, 2) }, null, "and", bin(9)]]]);
    assert.deepEqual(player.of("question"), [[1, { a: bin(1, 2) }, null]]);
    player.emit("call-me", "nothing", []);
    assert.deepEqual((await player.several("called", 2))[1], ["nothing", []]);
  });

  everywhere("answers to the server come in any order", async (world) => {
    const player = await world.ready();
    const held = [];
    player.answers.question = (ack, i) => held.push(() => ack(i * 10));
    for (const i of range(50)) player.emit("call-me", "question", [i]);
    await player.several("question", 50);
    for (const answer of held.reverse()) answer();
    const called = await player.several("called", 50);
    assert.deepEqual(called, range(50).reverse().map((i) => ["question", [i * 10]]));
  });

  everywhere("the server waits for an answer no longer than it says", async (world) => {
    const player = await world.ready();
    let late;
    player.answers["slow-call"] = (ack) => (late = ack);
    player.emit("call-me-timeout", 50);
    assert.deepEqual(await player.several("call-result", 1), [[{ timeout: true }]]);
    late("too late");
    await player.barrier();
    assert.equal(player.of("call-result").length, 1);
    player.answers["slow-call"] = (ack) => ack("in time", 2);
    player.emit("call-me-timeout", 20_000);
    assert.deepEqual((await player.several("call-result", 2))[1], [{ timeout: false, args: ["in time", 2] }]);
  });

  everywhere("the client gives up and is not disturbed by a late ack", async (world) => {
    const player = await world.ready();
    const outcome = (ms, ...args) => within(new Promise((resolve) => {
      player.socket.timeout(ms).emit(...args, (error, ...answer) => resolve([error?.message, ...answer]));
    }), "an outcome");
    assert.deepEqual(await outcome(50, "ack-later", 600, "late"), ["operation has timed out"]);
    assert.deepEqual(await outcome(20_000, "ack-later", 800, "good"), [undefined, "good"]);
    assert.deepEqual(await outcome(50, "ack-none"), ["operation has timed out"]);
    assert.equal(await player.socket.timeout(20_000).emitWithAck("message-with-ack", "promise"), "promise");
    assert.equal(await player.socket.emitWithAck("message-with-ack", "promise"), "promise");
  }, { only: ({ client }) => client === "4.8" });

  everywhere("a client with retries sends one at a time, in order", async (world) => {
    const player = world.player({ options: { retries: 3, ackTimeout: 20_000 } });
    const answers = [];
    await within(new Promise((resolve) => {
      for (const i of range(20)) {
        player.socket.emit("message-with-ack", i, (error, answer) => {
          answers.push([error, answer]);
          if (i === 19) resolve();
        });
      }
    }), "the last ack");
    assert.deepEqual(answers, range(20).map((i) => [null, i]));
  }, { only: ({ client }) => client === "4.8" });
});

// Fewer at once: they keep this process busy, and a client that is connecting has a second for its CONNECT.
theme("bulk", () => {
  everywhere("big payloads pass both ways", async (world) => {
    const player = await world.ready();
    const bytes = Buffer.alloc(1_000_000).map((_, i) => i);
    player.emit("big", 1_000_000);
    player.emit("big", 0);
    const [, big] = await player.next();
    assert.ok(big.$bin === bytes.toString("base64"), "a million bytes");
    assert.deepEqual(await player.next(), ["big", bin()]);
    // In polling four thirds as long, below the limit of 1,000,000.
    const some = bytes.subarray(0, 700_000);
    const sum = some.reduce((a, b) => a + b, 0) % 65_536;
    assert.deepEqual(await player.ask("types", some), [[`binary:700000:${sum}`]]);
    const text = "é".repeat(400_000);
    assert.ok((await player.ask("message-with-ack", text))[0] === text, "a long text");
  });

  everywhere("bursts arrive whole and in order, both ways at once", async (world) => {
    const player = await world.connect();
    const n = 2000;
    player.emit("burst", n);
    for (const i of range(n)) player.emit("echo", i, ...(i % 7 === 3 ? [Buffer.from(String(i))] : []));
    const wanted = range(n).map((i) => [i, ...(i % 7 === 3 ? [bin(...Buffer.from(String(i)))] : [])]);
    assert.deepEqual(await player.several("echo", n, 30_000), wanted);
    assert.deepEqual(await player.several("burst-msg", n, 30_000), range(n).map((i) => [i]));
    await player.upgraded();
    player.emit("burst", 3000);
    assert.deepEqual((await player.several("burst-msg", n + 3000, 30_000)).slice(n), range(3000).map((i) => [i]));
  });
}, 2);

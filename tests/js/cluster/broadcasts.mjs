// Broadcasts: each recipient on any node once, whole and in order, and nobody else.

import assert from "node:assert/strict";
import { plain } from "../sio/clients.mjs";
import { bin, fresh, others, range } from "./crew.mjs";
import { fromEach } from "./harness.mjs";

export default function () {
  fromEach("a broadcast reaches the clients of all nodes", async (crew) => {
    const [event, got] = await crew.emit({}, "é😀", 1.5, -7, 2 ** 40, true, null, { list: [[], {}], text: "" });
    assert.deepEqual(got, range(crew.players.length));
    const whole = ["é😀", 1.5, -7, 2 ** 40, true, null, { list: [[], {}], text: "" }];
    for (const player of crew.players) assert.deepEqual(player.of(event), [whole]);
  });

  fromEach("a broadcast carries binary data at any depth", async (crew) => {
    const big = Buffer.alloc(70_000, 7);
    const [event] = await crew.emit({}, Buffer.from([1, 2]), { deep: [{ inner: Buffer.alloc(0) }, "text"] }, big, null);
    const whole = [bin(1, 2), { deep: [{ inner: bin() }, "text"] }, { $bin: big.toString("base64") }, null];
    for (const player of crew.players) assert.deepEqual(player.of(event), [whole]);
  });

  fromEach("a broadcast to rooms reaches each member once, on any node, and nobody else", async (crew) => {
    const last = crew.players.length - 1;
    await crew.join("a", 0, 1, 2, last);
    await crew.join("é😀 b", 2, 3);
    const cases = [
      [{ rooms: ["a"] }, [0, 1, 2, last]],
      [{ rooms: ["é😀 b"] }, [2, 3]],
      [{ rooms: ["a", "é😀 b"] }, [0, 1, 2, 3, last]],
      [{ rooms: ["nobody"] }, []],
      [{ rooms: ["a"], except: ["é😀 b"] }, [0, 1, last]],
      [{ except: ["a", "é😀 b"] }, others(crew, 0, 1, 2, 3, last)],
      [{ rooms: ["a"], except: [crew.players[1].id] }, [0, 2, last]],
      [{ rooms: [crew.players[last].id] }, [last]],
      [{ rooms: [crew.players[0].id] }, [0]],
      [{ from: "socket" }, others(crew, 0)],
      [{ from: "socket", rooms: ["a"] }, [1, 2, last]],
    ];
    for (const [target, wanted] of cases) {
      assert.deepEqual((await crew.emit(target, "text"))[1], wanted, JSON.stringify(target));
      const [event, got] = await crew.emit(target, Buffer.from([9]));
      assert.deepEqual(got, wanted, `binary: ${JSON.stringify(target)}`);
      for (const i of wanted) assert.deepEqual(crew.players[i].of(event), [[bin(9)]]);
    }
  }, { each: 2 });

  fromEach("rooms that are numbers on the reference are their digits on ours", async (crew) => {
    const { players } = crew;
    await crew.join("5", ...range(4));
    await crew.join("a", 2);
    const ours = crew.numbersOfOurs();
    assert.deepEqual((await crew.emit({ rooms: [5] }))[1], ours);
    assert.deepEqual((await crew.emit({ rooms: [5, "a"], except: [5] }))[1], ours.length > 0 ? [] : [2]);
    await crew.actor.ask("join-all", { rooms: [5] }, [7]);
    await crew.settled();
    const rooms = await Promise.all(ours.map(async (i) => (await players[i].ask("rooms"))[0]));
    assert.deepEqual(rooms.map((list) => list.includes("7")), ours.map(() => true));
  }, { origins: [0] });

  fromEach("a local broadcast stays on its node", async (crew) => {
    assert.deepEqual((await crew.emit({ local: true }))[1], [0, 1]);
    await crew.join("a", ...range(crew.players.length));
    assert.deepEqual((await crew.emit({ local: true, rooms: ["a"] }))[1], [0, 1]);
    assert.deepEqual((await crew.emit({ local: true, from: "socket" }))[1], [1]);
  }, { each: 2 });

  fromEach("a volatile broadcast reaches clients that can take it", async (crew) => {
    assert.deepEqual((await crew.emit({ volatile: true }, 1))[1], range(crew.players.length));
    await crew.join("a", 1, 2);
    assert.deepEqual((await crew.emit({ volatile: true, rooms: ["a"] }, Buffer.from([1])))[1], [1, 2]);
  });

  fromEach("broadcasts of a node keep their order on every other", async (crew) => {
    const event = fresh("word");
    for (const i of range(200)) crew.actor.emit("emit-to", {}, event, [i, ...(i % 3 ? [] : [Buffer.from([i])])]);
    const wanted = range(200).map((i) => [i, ...(i % 3 ? [] : [bin(i)])]);
    for (const player of crew.players) assert.deepEqual(await player.several(event, 200), wanted);
  });

  fromEach("large events keep their place among small ones", async (crew) => {
    const event = fresh("word");
    // Not more: Redis disconnects a subscriber for which 32 MB wait, and all scenarios have the same.
    const larger = [[], ["é".repeat(50_000)], [Buffer.alloc(200_000, 7)]];
    for (const i of range(6)) crew.actor.emit("emit-to", {}, event, [i, ...larger[i % 3]]);
    const wanted = range(6).map((i) => [i, ...larger[i % 3].map(plain)]);
    for (const player of crew.players) assert.deepEqual(await player.several(event, 6), wanted);
  });

  fromEach("clients of all nodes in a room write to each other", async (crew) => {
    const event = fresh("word");
    await crew.join("r", ...range(crew.players.length));
    await Promise.all(crew.players.map((player, i) => player.ask("emit-to", { from: "socket", rooms: ["r"] }, event, [i])));
    for (const [i, player] of crew.players.entries()) {
      const words = await player.several(event, crew.players.length - 1);
      assert.deepEqual(words.flat().sort(), others(crew, i));
    }
  });
}

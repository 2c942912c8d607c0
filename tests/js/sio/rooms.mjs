// Rooms and broadcasts: each recipient once, and nobody else.

import assert from "node:assert/strict";
import { bin, everywhere, range, settled } from "./clients.mjs";
import { fresh, namespace, theme } from "./harness.mjs";

/** Who of `players` has got the event, as their numbers; one who has it twice stands there twice. */
const got = (players, event) => players.flatMap((player, i) => player.of(event).map(() => i));

theme("rooms", () => {
  everywhere("joining and leaving", async (world) => {
    const player = await world.ready();
    const [a, b, c] = ["a", "b", "é😀"].map(fresh);
    assert.deepEqual(await player.ask("rooms"), [[]]);
    assert.deepEqual(await player.ask("join", b), []);
    assert.deepEqual(await player.ask("join", [a, c, b]), []);
    assert.deepEqual(await player.ask("rooms"), [[a, b, c].sort()]);
    assert.deepEqual(await player.ask("members", a), [[player.id]]);
    assert.deepEqual(await player.ask("leave", a), []);
    assert.deepEqual(await player.ask("leave", "never joined"), []);
    assert.deepEqual(await player.ask("rooms"), [[b, c].sort()]);
    assert.deepEqual(await player.ask("members", a), [[]]);
    assert.deepEqual(await player.ask("members", player.id), [[player.id]]);
  });

  everywhere("an event goes to each member once and to nobody else", async (world) => {
    const nsp = namespace();
    const players = await world.readyAll(5, { nsp });
    const stranger = await world.ready({ nsp: namespace() });
    const [a, b, c] = players;
    // 0 and 1 are in both rooms, 2 in the second; the stranger is in rooms of these names elsewhere.
    await Promise.all([a, b, stranger].map((player) => player.ask("join", ["one", "two"])));
    await c.ask("join", "two");
    const cases = [
      [["to-room", ["one", "two"]], [1, 2]],
      [["in-room", ["one", "two"]], [0, 1, 2]],
      [["in-room", ["one"]], [0, 1]],
      [["in-room", ["nobody"]], []],
      [["to-except", ["one", "two"], ["one"]], [2]],
      [["to-except", ["two"], [b.id]], [0, 2]],
      [["to-except", ["two"], ["nobody"]], [0, 1, 2]],
      [["to-except", [a.id, b.id], [a.id, c.id]], [1]],
      [["broadcast"], [1, 2, 3, 4]],
      [["all"], [0, 1, 2, 3, 4]],
      [["private", c.id], [2]],
      [["private", a.id], [0]],
      [["private", "nobody"], []],
      [["private", stranger.id], []],
      [["in-room", [players[3].id, players[3].id]], [3]],
    ];
    for (const [words, wanted] of cases) {
      const event = fresh("event");
      a.emit(...words, event, ["x", { b: Buffer.from([1, 2]) }]);
      await settled(a, ...players, stranger);
      assert.deepEqual(got(players, event), wanted, JSON.stringify(words));
      assert.deepEqual(stranger.of(event), []);
      for (const i of wanted) assert.deepEqual(players[i].of(event), [["x", { b: bin(1, 2) }]]);
    }
  });

  everywhere("one who does not belong to a room may write to it", async (world) => {
    const nsp = namespace();
    const [a, b, c] = await world.readyAll(3, { nsp });
    await Promise.all([b.ask("join", "r"), c.ask("join", "r")]);
    a.emit("to-room", ["r"], "hello", [1]);
    await settled(a, a, b, c);
    assert.deepEqual(got([a, b, c], "hello"), [1, 2]);
  });

  everywhere("all members see the broadcasts of several in one order", async (world) => {
    const nsp = namespace();
    const players = await world.readyAll(4, { nsp });
    await Promise.all(players.map((player) => player.ask("join", "r")));
    const each = 150;
    for (const i of range(each)) {
      for (const [who, player] of players.entries()) {
        player.emit(...(i % 2 ? ["in-room", ["r"]] : ["all"]), "word", [who, i, ...(i % 10 ? [] : [Buffer.from([i])])]);
      }
    }
    const all = await Promise.all(players.map((player) => player.several("word", 4 * each, 30_000)));
    for (const who of players.keys()) {
      assert.deepEqual(all[0].filter(([w]) => w === who).map(([, i]) => i), range(each));
    }
    for (const seen of all) assert.deepEqual(seen, all[0]);
  });

  everywhere("a broadcast asks each for an ack", async (world) => {
    const nsp = namespace();
    const players = await world.readyAll(4, { nsp });
    await Promise.all(players.slice(1).map((player) => player.ask("join", "r")));
    for (const [i, player] of players.entries()) player.answers.vote = (ack) => ack(i, "not counted");
    const [{ err, responses }] = await players[0].ask("broadcast-ack", ["r"], 8000, "vote", ["x"]);
    assert.deepEqual([err, responses.sort()], [false, [1, 2, 3]]);
    // Sent to two rooms, each is asked once.
    await players[1].ask("join", "r2");
    const [twice] = await players[0].ask("broadcast-ack", ["r", "r2"], 8000, "vote", ["x"]);
    assert.deepEqual([twice.err, twice.responses.sort()], [false, [1, 2, 3]]);
    assert.deepEqual(players[1].of("vote"), [["x"], ["x"]]);
    // Binary ones too.
    for (const player of players) player.answers.raw = (ack) => ack(Buffer.from([5]));
    assert.deepEqual(await players[0].ask("broadcast-ack", ["r2"], 8000, "raw", []), [{ err: false, responses: [bin(5)] }]);
    // Nobody is there: nobody is missing.
    assert.deepEqual(await players[0].ask("broadcast-ack", ["nobody"], 8000, "vote", []), [{ err: false, responses: [] }]);
  });

  everywhere("a broadcast has the answers that came in time", async (world) => {
    const nsp = namespace();
    const players = await world.readyAll(3, { nsp });
    await Promise.all(players.map((player) => player.ask("join", "r")));
    let late;
    players[0].answers.vote = (ack) => ack("a");
    players[1].answers.vote = (ack) => (late = ack);
    players[2].answers.vote = (ack) => ack("c");
    // Those who answer have to do so within this.
    const [{ err, responses }] = await players[0].ask("broadcast-ack", ["r"], 5000, "vote", []);
    assert.deepEqual([err, responses.sort()], [true, ["a", "c"]]);
    late("late");
    await settled(players[1], ...players);
  });

  everywhere("members are moved by others", async (world) => {
    const nsp = namespace();
    const players = await world.readyAll(3, { nsp });
    const [a, b, c] = players;
    await Promise.all([b.ask("join", "from"), c.ask("join", "from")]);
    assert.deepEqual(await a.ask("sockets-join", ["from"], "to"), []);
    assert.deepEqual(await a.ask("members", "to"), [[b.id, c.id].sort()]);
    assert.deepEqual(await b.ask("rooms"), [["from", "to"]]);
    assert.deepEqual(await a.ask("sockets-leave", [b.id], "to"), []);
    assert.deepEqual(await a.ask("members", "to"), [[c.id]]);
    a.emit("in-room", ["to"], "moved", []);
    await settled(a, ...players);
    assert.deepEqual(got(players, "moved"), [2]);
  });

  everywhere("those who have gone are no members", async (world) => {
    const nsp = namespace();
    const [a, b] = await world.readyAll(2, { nsp });
    await Promise.all([a.ask("join", "r"), b.ask("join", "r")]);
    b.disconnect();
    await world.reasonOf(b.id);
    assert.deepEqual(await a.ask("members", "r"), [[a.id]]);
    a.emit("in-room", ["r"], "hello", []);
    await settled(a);
    assert.equal(a.of("hello").length, 1);
    assert.equal(b.of("hello").length, 0);
  });
});

// Broadcasts that clients on all nodes acknowledge.

import assert from "node:assert/strict";
import { bin, fresh, range, sorted } from "./crew.mjs";
import { fromEach } from "./harness.mjs";

/** Time for clients that all answer. */
const LONG = 8000;

export default function () {
  fromEach("clients of all nodes acknowledge a broadcast", async (crew) => {
    const event = fresh("vote");
    for (const [i, player] of crew.players.entries()) player.answers[event] = (ack, word) => ack([i, word], "not counted");
    const [{ err, responses }] = await crew.actor.ask("ask-all", {}, LONG, event, ["x"]);
    assert.deepEqual([err, sorted(responses)], [false, range(crew.players.length).map((i) => [i, "x"])]);
    assert.deepEqual(crew.got(event), range(crew.players.length));
  }, { each: 2 });

  fromEach("acknowledgements and what asks for them carry binary data", async (crew) => {
    const event = fresh("vote");
    for (const player of crew.players) {
      player.answers[event] = (ack, { bytes }) => ack({ back: Buffer.from(bytes), of: player.place });
    }
    const [{ err, responses }] = await crew.actor.ask("ask-all", {}, LONG, event, [{ bytes: Buffer.from([1, 2]) }]);
    assert.deepEqual([err, sorted(responses)], [false, sorted(range(4).map((of) => ({ back: bin(1, 2), of })))]);
  });

  fromEach("members of rooms acknowledge once, and nobody else is asked", async (crew) => {
    const event = fresh("vote");
    await crew.join("a", 1, 2);
    await crew.join("b", 2, 3);
    for (const [i, player] of crew.players.entries()) player.answers[event] = (ack) => ack(i);
    const ask = async (target) => (await crew.actor.ask("ask-all", target, LONG, event, []))[0];
    const cases = [
      [{ rooms: ["a"] }, [1, 2]],
      [{ rooms: ["a", "b"] }, [1, 2, 3]],
      [{ rooms: ["a", "b"], except: [crew.players[2].id] }, [1, 3]],
      [{ from: "socket" }, [1, 2, 3]],
      [{ rooms: [crew.players[1].id] }, [1]],
      [{ rooms: ["nobody"] }, []],
    ];
    for (const [target, wanted] of cases) {
      const { err, responses } = await ask(target);
      assert.deepEqual([err, responses.sort()], [false, wanted], JSON.stringify(target));
    }
  });

  fromEach("one who does not acknowledge costs only what is his", async (crew) => {
    const event = fresh("vote");
    // One on the own node, and one on each other, in turn.
    for (const silent of range(crew.players.length)) {
      for (const [i, player] of crew.players.entries()) player.answers[event] = (ack) => i !== silent && ack(i);
      const [{ err, responses }] = await crew.actor.ask("ask-all", {}, 3000, event, []);
      const wanted = range(crew.players.length).filter((i) => i !== silent);
      assert.deepEqual([err, responses.sort()], [true, wanted], `without that of ${silent}`);
    }
  });

  fromEach("acknowledged broadcasts that overlap are not confused", async (crew) => {
    const event = fresh("vote");
    for (const [i, player] of crew.players.entries()) player.answers[event] = (ack, n) => ack([n, i]);
    await Promise.all(
      range(20).map(async (n) => {
        const [{ err, responses }] = await crew.actor.ask("ask-all", {}, LONG, event, [n]);
        assert.deepEqual([err, sorted(responses)], [false, range(crew.players.length).map((i) => [n, i])]);
      }),
    );
  });
}

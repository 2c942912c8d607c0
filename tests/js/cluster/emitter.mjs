// Emitters: processes that are no nodes and have the nodes do something. That of npm has a wire in the classic family only.

import assert from "node:assert/strict";
import { bin, fresh, range } from "./crew.mjs";
import { fromEach } from "./harness.mjs";

const from = "emitter";

export default function () {
  everyEmitter("an emitter reaches clients of all nodes", async (crew) => {
    const { players } = crew;
    await crew.join("a", 0, 2);
    await crew.join("b", 2, 3);
    const cases = [
      [{}, range(4)],
      [{ rooms: ["a"] }, [0, 2]],
      [{ rooms: ["a", "b"] }, [0, 2, 3]],
      [{ rooms: ["a", "b"], except: ["a"] }, [3]],
      [{ except: [players[1].id] }, [0, 2, 3]],
      [{ rooms: [players[1].id] }, [1]],
      [{ rooms: ["nobody"] }, []],
      [{ rooms: ["a"], volatile: true }, [0, 2]],
    ];
    for (const [target, wanted] of cases) {
      const event = fresh("event");
      await crew.actor.ask("emit-to", { from, ...target }, event, ["é", { bytes: Buffer.from([1]) }, null]);
      await crew.settled({ from });
      assert.deepEqual(crew.got(event), wanted, JSON.stringify(target));
      for (const i of wanted) assert.deepEqual(players[i].of(event), [["é", { bytes: bin(1) }, null]]);
    }
  });

  everyEmitter("an emitter moves and disconnects clients of all nodes", async (crew) => {
    const { players } = crew;
    await crew.join("a", 0, 1);
    await crew.actor.ask("join-all", { from, rooms: ["a", players[3].id] }, ["x", "y"]);
    await crew.actor.ask("leave-all", { from, except: [players[0].id] }, ["y"]);
    await crew.settled({ from });
    assert.deepEqual(await crew.rooms(), [["a", "x", "y"], ["a", "x"], [], ["x"]]);
    await crew.actor.ask("kick-all", { from, rooms: ["x"], except: [players[0].id] }, true);
    await Promise.all([players[1].is("disconnect"), players[3].is("disconnect")]);
    await crew.settled({ from }, 1, 3);
    assert.deepEqual(players.map((player) => player.count("disconnect")), [0, 1, 0, 1]);
  });

  everyEmitter("an emitter sends server-side events to all nodes", async (crew) => {
    const marker = fresh("marker");
    await crew.actor.ask("server-emit", { from }, "word", [1, { deep: ["é", null] }]);
    await crew.actor.ask("server-emit", { from }, "word", [marker]);
    const all = [["word", 1, { deep: ["é", null] }], ["word", marker]];
    assert.deepEqual(await crew.heard(marker, true), range(4).map(() => all));
  });

  everyEmitter("an emitter is not counted and not asked", async (crew) => {
    await crew.actor.ask("emit-to", { from }, fresh("event"), []);
    await crew.settled({ from });
    const [{ err, sockets }] = await crew.actor.ask("fetch", {});
    assert.deepEqual([err, sockets.length], [false, 4]);
    assert.deepEqual(await crew.actor.ask("nodes"), [3]);
    const [{ err: failed, answers }] = await crew.actor.ask("server-ask", "word", []);
    assert.deepEqual([failed, answers.length], [false, 3]);
  });
}

function everyEmitter(title, body) {
  fromEach(title, body, { profiles: ["classic"] });
  fromEach(title, body, {
    profiles: ["sharded-static", "sharded-dynamic", "sharded-dynamic-private", "streams"],
    lacks: "npm has no emitter for it",
  });
}

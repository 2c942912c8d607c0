// Server-side events: from the application of one node to those of all others.

import assert from "node:assert/strict";
import { askLong, bin, fresh, range } from "./crew.mjs";
import { fromEach, PROFILES } from "./harness.mjs";

/** Where binary data of requests is told as such; the classic family writes them as JSON. */
const WITH_BINARY = PROFILES.filter((profile) => profile !== "classic");

export default function () {
  fromEach("a server-side event reaches all other nodes, and not its own", async (crew) => {
    const marker = fresh("marker");
    await crew.actor.ask("server-emit", {}, "word", ["first", 1, { deep: [null, true, "é"] }]);
    await crew.actor.ask("server-emit", {}, "silence", []);
    await crew.actor.ask("server-emit", {}, "word", [marker]);
    const heard = await crew.heard(marker);
    const all = [["word", "first", 1, { deep: [null, true, "é"] }], ["silence"], ["word", marker]];
    assert.deepEqual(heard, [[], all, all, all]);
  });

  fromEach("all other nodes acknowledge a server-side event", async (crew) => {
    const [answer] = await crew.actor.ask("server-ask", "word", ["x", { n: 1 }]);
    assert.deepEqual(answer, { err: false, answers: range(3).map(() => ["x", { n: 1 }]) });
  });

  fromEach("server-side events and their acknowledgements carry binary data", async (crew) => {
    const [answer] = await crew.actor.ask("server-ask", "word", [Buffer.from([1, 2, 3]), { deep: [Buffer.alloc(0)] }]);
    assert.deepEqual(answer, { err: false, answers: range(3).map(() => [bin(1, 2, 3), { deep: [bin()] }]) });
  }, { profiles: WITH_BINARY });

  fromEach("nodes that do not acknowledge are told of in the end", async (crew) => {
    const [answer] = await askLong(crew.actor, "server-ask", "silence", []);
    assert.deepEqual(answer, { err: true, answers: [] });
  });
}

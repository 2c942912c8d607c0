// Nodes of the reference, with cluster clients of npm `redis`, and of ours on a Redis Cluster of three masters. `harness.mjs`
// describes the command line.

import assert from "node:assert/strict";
import { describe } from "node:test";
import { bin, fresh, range, sorted } from "./crew.mjs";
import { fromEach, onBroker } from "./harness.mjs";
import { RedisCluster } from "./redis.mjs";

onBroker(() => RedisCluster.start());

describe("cluster on three masters", { concurrency: 8 }, () => {
  fromEach("clients of all nodes are asked for acknowledgements, and fetched", async (crew) => {
    const event = fresh("vote");
    for (const player of crew.players) player.answers[event] = (ack, word) => ack([player.place, word]);
    const [{ err, responses }] = await crew.actor.ask("ask-all", {}, 8000, event, ["x"]);
    assert.deepEqual([err, sorted(responses)], [false, range(4).map((place) => [place, "x"])]);
    const [fetched] = await crew.actor.ask("fetch", {});
    assert.equal(fetched.err, false);
    assert.deepEqual(fetched.sockets.map(({ id }) => id).sort(), crew.players.map(({ id }) => id).sort());
  }, { profiles: ["classic", "sharded-dynamic"] });

  const title = "broadcasts to all and to rooms reach each recipient once, and nobody else";
  fromEach(title, broadcasts, { profiles: ["sharded-dynamic"] });
  const lacks = "its client publishes by any of the servers, so that broadcasts overtake each other";
  fromEach(title, broadcasts, { profiles: ["classic"], lacks });
});

/** Rooms have channels of their own in one profile, whose slots are on all masters. */
async function broadcasts(crew) {
  const rooms = range(6).map((i) => `room ${i}`);
  for (const [i, room] of rooms.entries()) await crew.join(room, i % 4, (i + 1) % 4);
  for (const [i, room] of rooms.entries()) {
    const wanted = [i % 4, (i + 1) % 4].sort();
    const [event, got] = await crew.emit({ rooms: [room] }, Buffer.from([i]), "é");
    assert.deepEqual(got, wanted, room);
    for (const number of wanted) assert.deepEqual(crew.players[number].of(event), [[bin(i), "é"]]);
  }
  assert.deepEqual((await crew.emit({ rooms: rooms.slice(0, 2), except: [rooms[1]] }))[1], [0]);
  assert.deepEqual((await crew.emit({}))[1], range(4));
  assert.deepEqual((await crew.emit({ rooms: [crew.players[3].id] }))[1], [3]);
}

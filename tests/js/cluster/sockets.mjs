// Sockets of all nodes: what is told of them, and what they are made to do.

import assert from "node:assert/strict";
import { eventually } from "../waiting.mjs";
import { range } from "./crew.mjs";
import { fromEach } from "./harness.mjs";

/** Members of a handshake that applications of Node.js know, but for the moment at which it was. */
const MEMBERS = ["address", "auth", "headers", "query", "secure", "url", "xdomain"];

export default function () {
  fromEach("sockets of all nodes are fetched with their rooms, data and handshake", async (crew) => {
    const { players } = crew;
    await crew.join("a", 1, 2);
    await Promise.all(players.map((player, i) => player.ask("set", "number", { i, list: ["é", null] })));
    const [{ err, sockets }] = await crew.actor.ask("fetch", {});
    assert.equal(err, false);
    assert.deepEqual(sockets.map(({ id }) => id).sort(), players.map(({ id }) => id).sort());
    for (const [i, player] of players.entries()) {
      const socket = sockets.find(({ id }) => id === player.id);
      assert.deepEqual(socket.rooms.sort(), (i === 1 || i === 2 ? ["a", player.id] : [player.id]).sort());
      assert.deepEqual(socket.data, { number: { i, list: ["é", null] } });
      assert.equal(socket.query.transport, "websocket");
      assert.deepEqual(socket.auth, {});
      assert.deepEqual(MEMBERS.filter((member) => !socket.members.includes(member)), []);
    }
  });

  fromEach("fetching selects by rooms, on this node or on all", async (crew) => {
    const { players } = crew;
    await crew.join("a", 0, 1, 2);
    await crew.join("b", 2, 3);
    const cases = [
      [{ rooms: ["a"] }, [0, 1, 2]],
      [{ rooms: ["a", "b"] }, [0, 1, 2, 3]],
      [{ rooms: ["a"], except: ["b"] }, [0, 1]],
      [{ rooms: [players[3].id] }, [3]],
      [{ rooms: ["nobody"] }, []],
      [{ local: true }, [0]],
      [{ local: true, rooms: ["b"] }, []],
    ];
    for (const [target, wanted] of cases) {
      const [{ err, sockets }] = await crew.actor.ask("fetch", target);
      const ids = sockets.map(({ id }) => players.findIndex((player) => player.id === id));
      assert.deepEqual([err, ids.sort()], [false, wanted], JSON.stringify(target));
    }
  });

  fromEach("sockets of all nodes join and leave rooms", async (crew) => {
    const { players } = crew;
    await crew.join("from", 1, 2);
    const cases = [
      [["join-all", { rooms: ["from"] }, ["x", "y"]], [[], ["from", "x", "y"], ["from", "x", "y"], []]],
      [["join-all", { rooms: [players[3].id] }, ["x"]], [[], ["from", "x", "y"], ["from", "x", "y"], ["x"]]],
      [["leave-all", { rooms: ["x"], except: [players[1].id] }, ["x"]], [[], ["from", "x", "y"], ["from", "y"], []]],
      [["join-all", {}, ["all"]], [["all"], ["all", "from", "x", "y"], ["all", "from", "y"], ["all"]]],
      [["leave-all", {}, ["all", "y", "never"]], [[], ["from", "x"], ["from"], []]],
    ];
    for (const [words, wanted] of cases) {
      await crew.actor.ask(...words);
      await crew.settled();
      assert.deepEqual(await crew.rooms(), wanted, JSON.stringify(words));
    }
    await crew.subscribed("x", 1);
    assert.deepEqual((await crew.emit({ rooms: ["x"] }))[1], [1]);
  });

  fromEach("sockets in hundreds of rooms are fetched", async (crew) => {
    const rooms = range(300).map((n) => `room ${n}`);
    await crew.actor.ask("join-all", {}, rooms);
    await crew.settled();
    const [{ err, sockets }] = await crew.actor.ask("fetch", { rooms: rooms.slice(100) });
    assert.deepEqual([err, sockets.length], [false, crew.players.length]);
    for (const socket of sockets) assert.deepEqual(socket.rooms.sort(), [...rooms, socket.id].sort());
  }, { each: 3 });

  fromEach("sockets of all nodes are disconnected, alone or with their clients", async (crew) => {
    const { players } = crew;
    // Each is in another namespace as well, on the same connection.
    const seconds = await Promise.all(
      players.map(async (player) => {
        const second = player.world.player({ nsp: `${crew.nsp}/second`, over: player });
        await second.is("connect");
        return second;
      }),
    );
    await crew.join("two", 2, 3);
    await crew.actor.ask("kick-all", { rooms: [players[1].id] }, false);
    await crew.settled({}, 1);
    assert.equal(await players[1].is("disconnect"), "io server disconnect");
    assert.deepEqual(players.map((player) => player.count("disconnect")), [0, 1, 0, 0]);
    assert.deepEqual(seconds.map((player) => player.count("disconnect")), [0, 0, 0, 0]);
    await seconds[1].barrier();
    await crew.actor.ask("kick-all", { rooms: ["two"], except: [players[3].id] }, true);
    await seconds[2].is("disconnect");
    await crew.settled({}, 1, 2);
    assert.deepEqual(players.map((player) => player.count("disconnect")), [0, 1, 1, 0]);
    assert.deepEqual(seconds.map((player) => player.count("disconnect")), [0, 0, 1, 0]);
    // Nobody tells of them any more.
    const [{ sockets }] = await crew.actor.ask("fetch", {});
    assert.deepEqual(sockets.map(({ id }) => id).sort(), [players[0].id, players[3].id].sort());
    for (const second of seconds) second.drop();
  });

  fromEach("every node knows how many there are", async (crew) => {
    await Promise.all(crew.players.map((player) => player.ask("fetch", {})));
    await eventually(async () => {
      const counts = await Promise.all(crew.players.map(async (player) => (await player.ask("nodes"))[0]));
      return counts.every((count) => count === 3) ? true : undefined;
    }, "three others for each node");
  }, { origins: [0] });
}

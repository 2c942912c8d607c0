// Connection state recovery in a cluster: a client that comes back to another node than the one that lost it.

import assert from "node:assert/strict";
import { eventually } from "../waiting.mjs";
import { bin, fresh, range } from "./crew.mjs";
import { fromEach } from "./harness.mjs";

const profiles = ["streams-recovery"];

export default function () {
  for (const place of range(4)) {
    const where = place === 0 ? "the same node" : `the node ${place} further`;

    fromEach(`a client that comes back gets what it missed, in order and once (${where})`, async (crew) => {
      const { players } = crew;
      const [lost] = crew.at(0);
      const { id } = lost;
      await crew.join("r", 0);
      await lost.ask("set", "key", { n: [1, "é"] });
      const before = fresh("before");
      await crew.actor.ask("emit-to", {}, before, []);
      await lost.several(before, 1);
      await lose(crew, lost);
      const event = fresh("missed");
      const elsewhere = fresh("elsewhere");
      // One after the other, from all other nodes: the stream has one order.
      for (const i of range(9)) {
        const sender = players[1 + (i % 3)];
        const target = [{}, { rooms: ["r"] }, { rooms: [id] }][i % 3];
        await sender.ask("emit-to", target, event, [i, Buffer.from([i])]);
        await sender.ask("emit-to", { rooms: ["elsewhere"] }, elsewhere, []);
        await sender.ask("emit-to", { except: ["r"] }, elsewhere, []);
        await appended(crew, event, i + 1);
      }
      await comeBack(crew, lost, place);
      await lost.several(event, 9);
      // Behind the arguments stands the offset.
      assert.deepEqual(lost.of(event).map((args) => args.slice(0, 2)), range(9).map((i) => [i, bin(i)]));
      const [{ recovered, data }] = await lost.ask("whoami");
      assert.deepEqual([lost.socket.recovered, recovered, lost.id, data], [true, true, id, { key: { n: [1, "é"] } }]);
      assert.deepEqual(await lost.ask("rooms"), [["r"]]);
      // It is there again, and only there.
      const next = fresh("next");
      await players[1].ask("emit-to", { rooms: ["r"] }, next, []);
      await lost.several(next, 1);
      const [{ sockets }] = await players[2].ask("fetch", { rooms: [id] });
      assert.deepEqual(sockets.map((socket) => socket.id), [id]);
      assert.deepEqual([lost.of(before).length, lost.of(event).length, lost.of(elsewhere).length], [1, 9, 0]);
    }, { profiles });
  }

  fromEach("a second recovery brings nothing again", async (crew) => {
    const { players } = crew;
    const [lost] = crew.at(0);
    const { id } = lost;
    const event = fresh("missed");
    await crew.actor.ask("emit-to", {}, event, [0]);
    await lost.several(event, 1);
    await lose(crew, lost);
    await players[1].ask("emit-to", {}, event, [1]);
    await appended(crew, event, 2);
    for (const [times, place] of [1, 2, 3].entries()) {
      await comeBack(crew, lost, place, times + 2);
      await lost.several(event, 2);
      await lost.barrier();
      await lose(crew, lost);
    }
    await players[2].ask("emit-to", {}, event, [2]);
    await appended(crew, event, 3);
    await comeBack(crew, lost, 0, 5);
    await lost.several(event, 3);
    await lost.barrier();
    assert.deepEqual([lost.id, lost.socket.recovered], [id, true]);
    assert.deepEqual(lost.of(event).map(([n]) => n), [0, 1, 2]);
  }, { profiles });

  fromEach("a session is recovered once", async (crew) => {
    const [lost] = crew.at(0);
    const before = fresh("before");
    await crew.actor.ask("emit-to", {}, before, []);
    await lost.several(before, 1);
    const offset = lost.of(before)[0].at(-1);
    const pid = await lose(crew, lost);
    const again = [1, 2, 3].map((place) => crew.worlds[place].player({ nsp: crew.nsp, auth: { pid, offset } }));
    await Promise.all(again.map((player) => player.is("connect")));
    assert.equal(again.filter((player) => player.id === lost.id).length, 1);
    for (const player of again) player.drop();
  }, { profiles });

  fromEach("a session that nobody knows, and an offset that never was, begin anew", async (crew) => {
    const auths = [
      { pid: "unknown", offset: "1-0" },
      { pid: "unknown", offset: "no offset" },
      { pid: "unknown" },
      { pid: { $: 1 }, offset: ["1-0"] },
    ];
    for (const auth of auths) {
      const player = crew.worlds[0].player({ nsp: crew.nsp, auth });
      await player.is("connect");
      assert.equal((await player.ask("whoami"))[0].recovered, false, JSON.stringify(auth));
      player.drop();
    }
  }, { profiles });
}

/** Ends the connection of a client, and waits until its session is kept. Gives the secret id of the session. */
async function lose(crew, player) {
  const pid = player.socket._pid;
  const losses = player.count("disconnect");
  player.manager.engine.close();
  await player.life.until(() => player.count("disconnect") > losses, "the end of the connection");
  const kept = async () => ((await crew.cluster.redis.ask("EXISTS", `sio:session:${pid}`)) === 1 ? true : undefined);
  await eventually(kept, "a session that is kept");
  return pid;
}

/** Waits until so many entries of the stream have the event. */
async function appended(crew, event, count) {
  const there = async () => {
    const entries = await crew.cluster.redis.ask("XRANGE", crew.cluster.prefix, "-", "+");
    const texts = entries.map(([, fields]) => `${fields[fields.findIndex((field) => `${field}` === "data") + 1]}`);
    const own = texts.map((text) => (text.startsWith("{") ? text : Buffer.from(text, "base64").toString("latin1")));
    return own.filter((text) => text.includes(event)).length >= count ? true : undefined;
  };
  await eventually(there, `${count} entries of ${event}`);
}

/** Connects a client once more, to another node: for this time. */
async function comeBack(crew, player, place, time = 2) {
  player.manager.uri = `http://127.0.0.1:${crew.worlds[place].server.port}`;
  player.socket.connect();
  await player.life.until(() => player.count("connect") === time, `connection ${time}`);
}

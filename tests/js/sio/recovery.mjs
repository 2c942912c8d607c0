// Connection state recovery, which clients have since 4.6.

import assert from "node:assert/strict";
import { bin, CLIENTS, inWorld, MODES, range } from "./clients.mjs";
import { fresh, scenario, theme } from "./harness.mjs";

const kind = { ...CLIENTS[0], profile: "recovery" };

function everyMode(title, body, options) {
  for (const mode of Object.keys(MODES)) {
    const each = { ...options, profile: kind.profile };
    scenario(`${title} (${kind.client}, ${mode})`, each, (server) => inWorld(server, kind, mode, body));
  }
}

/** The client connects for the second time. */
async function comeBack(player) {
  player.socket.connect();
  await player.life.until(() => player.count("connect") === 2, "the second connection");
}

/** The connection of a client is lost; it stays away until it is told to connect. */
async function lose(player) {
  player.manager.engine.close();
  await player.is("disconnect");
}

theme("recovery", () => {
  everyMode("a client that comes back gets what it missed, in order and once", async (world) => {
    const [lost, other] = await world.readyAll(2);
    const { id } = lost;
    const room = fresh("room");
    await lost.ask("join", room);
    await lost.ask("set", "key", 1);
    lost.emit("message", "before");
    await lost.several("message-back", 1);
    await lose(lost);
    for (const i of range(5)) other.emit("to-room", [room], "missed", [i, Buffer.from([i])]);
    other.emit("to-room", [fresh("elsewhere")], "missed", ["wrong"]);
    other.emit("private", id, "direct", []);
    await other.ask("whoami");
    await comeBack(lost);
    await lost.several("direct", 1);
    // Behind the arguments stands the offset.
    const missed = lost.of("missed").map((args) => args.slice(0, 2));
    assert.deepEqual(missed, range(5).map((i) => [i, bin(i)]));
    const [{ recovered, data, ...who }] = await lost.ask("whoami");
    assert.deepEqual([lost.socket.recovered, recovered, who.id, data], [true, true, id, { key: 1 }]);
    assert.deepEqual(await lost.ask("rooms"), [[room]]);
    other.emit("to-room", [room], "next", []);
    await lost.several("next", 1);
  });

  everyMode("a client that has left is a new one", async (world) => {
    const player = await world.ready();
    const { id } = player;
    player.emit("message", "before");
    await player.several("message-back", 1);
    player.emit("disconnect-me", false);
    await player.is("disconnect");
    await comeBack(player);
    assert.notEqual(player.id, id);
    assert.equal((await player.ask("whoami"))[0].recovered, false);
  });
});

// Disconnecting, from both sides, and the reasons that both are told.

import assert from "node:assert/strict";
import { everywhere, range, settled } from "./clients.mjs";
import { fresh, namespace, theme } from "./harness.mjs";

theme("disconnecting", () => {
  everywhere("the client leaves", async (world) => {
    const player = await world.ready();
    player.disconnect();
    assert.equal(await player.is("disconnect"), "io client disconnect");
    assert.equal(await world.reasonOf(player.id), "client namespace disconnect");
  });

  everywhere("the connection ends", async (world) => {
    const player = await world.ready();
    const other = await world.connect({ nsp: "/custom", over: player });
    player.engine.close();
    await Promise.all([player.is("disconnect"), other.is("disconnect")]);
    assert.equal(await world.reasonOf(player.id), "transport close");
    assert.equal(await world.reasonOf(other.id), "transport close");
  });

  everywhere("the server disconnects a socket", async (world) => {
    const player = await world.ready();
    const other = await world.connect({ nsp: "/custom", over: player });
    player.emit("disconnect-me", false);
    assert.equal(await player.is("disconnect"), "io server disconnect");
    assert.equal(await world.reasonOf(player.id), "server namespace disconnect");
    // The others of its connection stay.
    await other.barrier();
    assert.equal(other.count("disconnect"), 0);
    // It may come back.
    player.socket.connect();
    await player.life.until(() => player.count("connect") === 2, "a second connection");
    await player.barrier();
  }, { only: ({ hasAuth }) => hasAuth });

  everywhere("the server disconnects a socket of a namespace", async (world) => {
    const first = await world.ready();
    const player = await world.connect({ nsp: "/custom", over: first });
    player.emit("disconnect-me", false);
    assert.equal(await player.is("disconnect"), "io server disconnect");
    assert.equal(await world.reasonOf(player.id), "server namespace disconnect");
    await first.barrier();
  });

  everywhere("the server disconnects all of a connection", async (world) => {
    const player = await world.ready();
    const other = await world.connect({ nsp: "/custom", over: player });
    const third = await world.connect({ nsp: namespace(), over: player });
    other.emit("disconnect-me", true);
    for (const each of [player, other, third]) {
      await each.is("disconnect");
      assert.equal(await world.reasonOf(each.id), "server namespace disconnect");
    }
    assert.equal(await other.is("disconnect"), "io server disconnect");
  });

  for (const close of [false, true]) {
    everywhere(`kick(${close}) disconnects the members`, async (world) => {
      const nsp = namespace();
      const [a, b, c] = await world.readyAll(3, { nsp });
      const neighbour = await world.connect({ nsp: "/custom", over: b });
      const room = fresh("room");
      await Promise.all([b.ask("join", room), c.ask("join", room)]);
      a.emit("kick", [room], close);
      for (const kicked of [b, c]) {
        assert.equal(await kicked.is("disconnect"), "io server disconnect");
        assert.equal(await world.reasonOf(kicked.id), "server namespace disconnect");
      }
      if (close) {
        await neighbour.is("disconnect");
        assert.equal(await world.reasonOf(neighbour.id), "server namespace disconnect");
      } else {
        await neighbour.barrier();
      }
      await a.barrier();
      assert.deepEqual(await a.ask("members", room), [[]]);
    });
  }

  everywhere("what the server sent before it disconnects arrives", async (world) => {
    for (const close of [false, true]) {
      const player = await world.ready({ nsp: "/custom" });
      player.emit("burst", 500);
      player.emit("nested-binary");
      player.emit("disconnect-me", close);
      assert.equal(await player.is("disconnect"), "io server disconnect");
      assert.deepEqual(player.of("burst-msg"), range(500).map((i) => [i]));
      assert.equal(player.of("nested-binary").length, 1);
    }
  });

  everywhere("what the client sent before it disconnects is served", async (world) => {
    const nsp = namespace();
    const [observer, player] = await world.readyAll(2, { nsp });
    await observer.ask("join", "r");
    for (const i of range(50)) player.emit("in-room", ["r"], "last words", [i]);
    player.disconnect();
    assert.equal(await world.reasonOf(player.id), "client namespace disconnect");
    await settled(observer);
    assert.deepEqual(observer.of("last words"), range(50).map((i) => [i]));
  }, { varies: "an event is handed over two ticks after its packet, and not to a socket that has left by then" });

  everywhere("the reason of a socket that nobody knows is null", async (world) => {
    const player = await world.connect();
    assert.deepEqual(await player.ask("reason-of", "nobody"), [null]);
    assert.deepEqual(await player.ask("reason-of", player.id), [null]);
  });
});

// Cases after what users of other servers reported. `tests/README.md` says which.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { bin, CLIENTS, everywhere, inWorld, plain, range, settled } from "./clients.mjs";
import { fresh, namespace, scenario, theme } from "./harness.mjs";

theme("reports", () => {
  everywhere("small events do not overtake large ones", async (world) => {
    const player = await world.connect();
    const values = range(30).map((i) => [i, "x", "y".repeat(60_000), Buffer.alloc(30_000, i), [Buffer.from([i]), "z"]][i % 5]);
    for (const phase of ["before", "after"]) {
      for (const [i, value] of values.entries()) player.emit("echo", phase, i, value);
      const back = (await player.several("echo", values.length * (phase === "before" ? 1 : 2))).slice(-values.length);
      for (const [i, value] of values.entries()) {
        assert.ok(JSON.stringify(back[i]) === JSON.stringify([phase, i, plain(value)]), `${phase} ${i}`);
      }
      await player.upgraded();
    }
  });

  everywhere("attachments of large events sent at once stay with their events", async (world) => {
    const player = await world.ready({ nsp: namespace() });
    const part = (i) => Buffer.alloc(10_000 + i, i);
    const answers = await Promise.all(range(15).map((i) => player.ask("types", part(i), { deep: [part(i + 1)] }, part(i + 2))));
    const type = (i) => `binary:${10_000 + i}:${((10_000 + i) * i) % 65_536}`;
    assert.deepEqual(answers, range(15).map((i) => [[type(i), "object", type(i + 2)]]));
  });

  everywhere("a namespace with a dash and digits has binary events and acks", async (world) => {
    const player = await world.ready({ nsp: `/dyn-${"1234567890".repeat(3)}` });
    const args = [1, "2-3,4", { "5-": Buffer.from([6, 7]) }, Buffer.from("8-[")];
    assert.deepEqual(await player.ask("message-with-ack", ...args), plain(args));
    player.answers["9-"] = (ack, ...back) => ack(...back);
    player.emit("call-me", "9-", args);
    assert.deepEqual(await player.several("called", 1), [["9-", plain(args)]]);
  });

  everywhere("namespaces of one connection keep what each was given to authenticate with", async (world) => {
    const first = await world.connect({ auth: { of: "the first" } });
    const others = await Promise.all(["a", "b", "c"].map((of) => world.connect({ nsp: namespace(), auth: { of }, over: first })));
    for (const [i, other] of others.entries()) {
      assert.deepEqual((await other.ask("whoami"))[0].auth, { of: ["a", "b", "c"][i] });
    }
  });

  everywhere("clients that come at once find one namespace", async (world) => {
    const nsp = namespace();
    const players = Array.from({ length: 12 }, () => world.player({ nsp }));
    await Promise.all(players.map((player) => player.is("connect")));
    await Promise.all(players.map((player) => player.ask("join", "r")));
    assert.equal((await players[0].ask("members", "r"))[0].length, 12);
    players[0].emit("all", "hello", [1]);
    await settled(players[0], ...players);
    for (const player of players) assert.deepEqual(player.of("hello"), [[1]]);
  });

  everywhere("one that is lost is in no room, and the others still are", async (world) => {
    const nsp = namespace();
    const [lost, other] = await world.readyAll(2, { nsp });
    const rooms = ["a", "b", "c"];
    await Promise.all([lost.ask("join", rooms), other.ask("join", rooms)]);
    lost.engine.close();
    assert.equal(await world.reasonOf(lost.id), "transport close");
    for (const room of [...rooms, lost.id]) {
      assert.deepEqual(await other.ask("members", room), [room === lost.id ? [] : [other.id]]);
    }
    other.emit("in-room", rooms, "still", [1]);
    other.emit("private", lost.id, "nobody", []);
    await settled(other);
    assert.deepEqual([other.of("still"), other.of("nobody")], [[[1]], []]);
  });

  everywhere("the room of an id is its own and cannot be left", async (world) => {
    const nsp = namespace();
    const [player, other] = await world.readyAll(2, { nsp });
    await player.ask("leave", player.id);
    other.emit("private", player.id, "hello", [1]);
    await settled(other, player);
    assert.deepEqual(player.of("hello"), [[1]]);
    other.emit("kick", [player.id], false);
    assert.equal(await player.is("disconnect"), "io server disconnect");
  }, { differs: "it takes the room of its id for any other, and cannot be reached by it any more" });

  for (const kind of CLIENTS) {
    scenario(`a proxy that knows no WebSocket costs no event (${kind.client}, upgrade)`, { profile: kind.profile }, async (server) => {
      const proxy = await withoutWebSocket(server.port);
      try {
        await inWorld({ ...server, port: proxy.address().port }, kind, "upgrade", async (world) => {
          const player = await world.connect();
          const args = (i) => [i, Buffer.from([i])];
          for (const i of range(100)) player.emit("echo", ...args(i));
          await proxy.refused;
          for (const i of range(100)) player.emit("echo", ...args(100 + i));
          assert.deepEqual(await player.several("echo", 200), range(200).map((i) => [i, bin(i)]));
          assert.equal((await player.ask("request-info"))[0].transport, "polling");
        });
      } finally {
        proxy.closeAllConnections();
        proxy.close();
      }
    });
  }

  scenario("a client recovers as often as it comes back (4.8)", { profile: "recovery" }, (server) =>
    inWorld(server, { ...CLIENTS[0], profile: "recovery" }, "websocket", async (world) => {
      const [player, other] = await world.readyAll(2);
      const { id } = player;
      const room = fresh("room");
      await player.ask("join", room);
      for (const round of range(4)) {
        player.emit("message", round);
        await player.several("message-back", round + 1);
        player.engine.close();
        await player.life.until(() => player.count("disconnect") === round + 1, "the loss");
        other.emit("to-room", [room], "missed", [round]);
        await other.barrier();
        player.socket.connect();
        await player.life.until(() => player.count("connect") === round + 2, "another connection");
        assert.deepEqual([player.socket.recovered, player.socket.id], [true, id]);
        assert.deepEqual((await player.several("missed", round + 1)).map(([n]) => n), range(round + 1));
      }
    }));
});

/**
 * A proxy before the server that takes every request for an ordinary one, as some of companies do. `refused` is told once
 * the server has refused what was to become a WebSocket.
 */
async function withoutWebSocket(port) {
  let tell;
  const refused = new Promise((resolve) => (tell = resolve));
  const forward = (incoming, take) => {
    const headers = { ...incoming.headers, connection: "close" };
    delete headers.upgrade;
    const outgoing = request({ host: "127.0.0.1", port, path: incoming.url, method: incoming.method, headers, agent: false }, take);
    outgoing.on("error", () => {});
    return outgoing;
  };
  const proxy = createServer((incoming, response) => {
    const outgoing = forward(incoming, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    response.on("close", () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  proxy.on("upgrade", (incoming, socket) => {
    socket.on("error", () => {});
    forward(incoming, (answer) => {
      assert.equal(answer.statusCode, 400);
      answer.resume();
      socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      tell();
    }).end();
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return Object.assign(proxy, { refused });
}

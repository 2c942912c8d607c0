// Namespaces: connecting, refusals, several over one connection.

import assert from "node:assert/strict";
import { bin, everywhere, settled } from "./clients.mjs";
import { fresh, namespace, theme } from "./harness.mjs";

const REFUSAL = { message: "not authorized", data: { code: "E_AUTH", retry: false } };
/** Without an auth payload, clients were given the data of a refusal, or else its message. */
const refusal = ({ kind }, { message, data }) => (kind.hasAuth ? { message, data } : (data ?? message));

theme("connecting", () => {
  for (const nsp of ["/", "/custom", "/dyn-1", "/dyn-0123456789"]) {
    everywhere(`${nsp} is open`, async (world) => {
      const player = await world.connect({ nsp });
      const [who] = await player.ask("whoami");
      assert.deepEqual(who, { id: player.id, nsp, auth: {}, recovered: false, data: {} });
      assert.deepEqual(player.events.all, [["auth", {}]]);
      await player.upgraded();
      assert.deepEqual((await player.ask("whoami"))[0], who);
    });
  }

  everywhere("the auth payload is with the application", async (world) => {
    const auth = { token: "é€漢😀 a=b&c", nested: { list: [1, null, true, "x"] } };
    const player = await world.connect({ auth, nsp: "/custom" });
    assert.deepEqual(await player.several("auth", 1), [[auth]]);
    assert.deepEqual((await player.ask("whoami"))[0].auth, auth);
  }, { only: (kind) => kind.hasAuth });

  everywhere("the query of a namespace is the auth payload", async (world) => {
    const auth = { token: "é€漢😀 a=b&c", user: "x" };
    const player = await world.connect({ auth, nsp: "/custom" });
    assert.deepEqual(await player.several("auth", 1), [[auth]]);
  }, { only: (kind) => !kind.hasAuth });

  for (const nsp of ["/nope", "/dyn-", "/dyn-1x", "/dyn-1/2", "/x/dyn-1", "/custom/", "/Custom"]) {
    everywhere(`${nsp} does not exist`, async (world) => {
      const player = world.player({ nsp });
      const { message, data } = await player.is("refused");
      assert.deepEqual([message, data], ["Invalid namespace", undefined]);
      assert.equal(player.count("connect"), 0);
      // The connection stays.
      const other = await world.connect({ nsp: "/custom", over: player });
      await other.barrier();
    });
  }

  everywhere("/secret knows a token", async (world) => {
    const player = await world.connect({ nsp: "/secret", auth: { token: "s3cret", user: "ann" } });
    assert.deepEqual((await player.ask("whoami"))[0].data, { user: "ann" });
  });

  for (const auth of [undefined, { token: "bad" }, { user: "s3cret" }]) {
    everywhere(`/secret refuses ${JSON.stringify(auth)} with data`, async (world) => {
      const player = world.player({ nsp: "/secret", auth });
      assert.deepEqual(await player.is("refused"), refusal(world, REFUSAL));
      assert.deepEqual([player.count("connect"), player.events.all], [0, []]);
    });
  }

  everywhere("a refused socket connects once it has a token", async (world) => {
    const player = world.player({ nsp: "/secret", auth: { token: "bad" } });
    await player.is("refused");
    player.socket.auth = { token: "s3cret" };
    player.socket.connect();
    await player.is("connect");
    await player.barrier();
  }, { only: (kind) => kind.hasAuth });

  everywhere("/mw passes its middlewares in order", async (world) => {
    const player = await world.connect({ nsp: "/mw" });
    assert.deepEqual(await player.several("mw", 1), [[[1, 2, 3]]]);
    assert.deepEqual(player.events.all.map(([name]) => name), ["auth", "mw"]);
    assert.deepEqual((await player.ask("whoami"))[0].data, { trace: [1, 2, 3] });
  });

  for (const [block, error] of [[2, { message: "blocked by second" }], [3, { message: "blocked by third", data: { n: 3 } }]]) {
    everywhere(`/mw is blocked by middleware ${block}`, async (world) => {
      const player = world.player({ nsp: "/mw", auth: { block } });
      assert.deepEqual(await player.is("refused"), refusal(world, { data: undefined, ...error }));
    }, { only: (kind) => kind.hasAuth });
  }

  everywhere("/limited rejects one event and serves the others", async (world) => {
    const player = await world.connect({ nsp: "/limited" });
    let answered = false;
    player.socket.emit("forbidden", () => (answered = true));
    player.emit("forbidden", 1, 2);
    player.emit("message", "fine");
    assert.deepEqual(await player.several("message-back", 1), [["fine"]]);
    await player.barrier();
    assert.deepEqual(player.events.all.slice(1), [["mw-error", "forbidden event"], ["mw-error", "forbidden event"], ["message-back", "fine"]]);
    assert.equal(answered, false);
  });

  everywhere("several namespaces share a connection", async (world) => {
    const first = await world.connect();
    const names = ["/custom", "/limited", "/mw", namespace(), namespace()];
    const others = await Promise.all(names.map((nsp) => world.connect({ nsp, over: first })));
    const players = [first, ...others];
    assert.equal(new Set(players.map(({ id }) => id)).size, players.length);
    assert.equal(new Set(players.map(({ engine }) => engine)).size, 1);
    await Promise.all(players.map(async (player, i) => {
      for (let n = 0; n < 20; n++) player.emit("echo", i, n, Buffer.from([i, n]));
      const back = await player.several("echo", 20);
      assert.deepEqual(back, Array.from({ length: 20 }, (_, n) => [i, n, bin(i, n)]));
    }));
    await first.upgraded();
    // One that leaves does not take the others along.
    others[0].disconnect();
    first.disconnect();
    assert.equal(await world.reasonOf(others[0].id), "client namespace disconnect");
    assert.equal(await world.reasonOf(first.id), "client namespace disconnect");
    await others[1].barrier();
    // And it may come back, with an id of its own.
    const before = others[0].id;
    others[0].socket.connect();
    await others[0].life.until(() => others[0].count("connect") === 2, "a second connection");
    if (world.kind.hasAuth) assert.notEqual(others[0].id, before);
    await others[0].barrier();
  });

  everywhere("a refusal leaves the others of a connection alone", async (world) => {
    const first = await world.connect();
    const refused = world.player({ nsp: "/nope", over: first });
    const secret = world.player({ nsp: "/secret", over: first });
    const blocked = world.kind.hasAuth ? [world.player({ nsp: "/mw", auth: { block: 2 }, over: first })] : [];
    const fine = await world.connect({ nsp: "/custom", over: first });
    await Promise.all([refused, secret, ...blocked].map((player) => player.is("refused")));
    await Promise.all([first.barrier(), fine.barrier()]);
  });

  everywhere("connect, disconnect and connect in one tick end connected", async (world) => {
    const player = world.player({ nsp: "/custom" });
    player.socket.disconnect();
    player.socket.connect();
    await player.is("connect");
    await player.barrier();
    await player.upgraded();
    await player.barrier();
  }, { only: ({ client }) => client !== "2.5" });

  for (const nsp of ["/custom", "/mw"]) {
    everywhere(`${nsp} is left and joined again in one tick`, async (world) => {
      const first = await world.connect();
      const player = world.player({ nsp, over: first });
      await player.is("connect");
      const room = fresh("room");
      await player.ask("join", room);
      const before = player.id;
      player.disconnect();
      player.socket.connect();
      await player.life.until(() => player.count("connect") === 2, "a second connection");
      await player.barrier();
      assert.deepEqual((await player.ask("members", room))[0], []);
      assert.deepEqual((await player.ask("rooms"))[0], []);
      if (world.kind.hasAuth) assert.equal(await world.reasonOf(before), "client namespace disconnect");
      await first.barrier();
    }, { varies: "it closes if it reads both packets in one tick, as it is still about to handle the first" });
  }

  everywhere("request-info has the query, a header and the transport", async (world) => {
    const player = await world.connect({ query: { a: "1", b: "é &=?" }, headers: { "x-test": "of my own" } });
    const of = async () => (await player.ask("request-info"))[0];
    const wanted = { query: { a: "1", b: "é &=?" }, header: "of my own" };
    const { transport, ...rest } = await of();
    assert.deepEqual(rest, wanted);
    assert.ok(world.mode === "upgrade" ? ["polling", "websocket"].includes(transport) : transport === world.mode);
    await player.upgraded();
    await player.barrier();
    assert.deepEqual(await of(), { ...wanted, transport: player.transport });
    const none = await world.ready();
    assert.deepEqual((await none.ask("request-info"))[0], { query: {}, header: null, transport: none.transport });
  });

  everywhere("data of a socket are its own", async (world) => {
    const [a, b] = await world.readyAll(2);
    assert.deepEqual(await a.ask("set", "key", { x: [1, "é"] }), []);
    await a.ask("set", "key2", null);
    assert.deepEqual((await a.ask("whoami"))[0].data, { key: { x: [1, "é"] }, key2: null });
    assert.deepEqual((await b.ask("whoami"))[0].data, {});
  });

  everywhere("twenty clients connect at once", async (world) => {
    const players = await world.readyAll(20);
    assert.equal(new Set(players.map(({ id }) => id)).size, 20);
    await settled(players[0], ...players);
  });
});

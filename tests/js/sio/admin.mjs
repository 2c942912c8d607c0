// The admin UI: what a page is told, by the names and shapes of npm `@socket.io/admin-ui`, and what it may do. The page is
// a client of the official library here; `admin-page.mjs` has the real one in a browser.
//
// `../harness.mjs` describes the command line. The reference runs the same scenarios, with `instrument()`.

import assert from "node:assert/strict";
import { eventually, within } from "../waiting.mjs";
import { CREDENTIALS, isTime, Page } from "./admin-client.mjs";
import { CLIENTS, inWorld } from "./clients.mjs";
import { namespace, scenario, theme } from "./harness.mjs";

/** The official client of this version, on each transport. */
const [LATEST] = CLIENTS;

/** A scenario with a page and a world of clients. */
function watched(title, { profile = "admin", mode = "websocket", ...options }, body) {
  scenario(title, { profile, ...options }, (server) =>
    inWorld(server, LATEST, mode, async (world) => {
      const page = new Page(server);
      try {
        await page.connected();
        return await body(page, world, server);
      } finally {
        page.close();
      }
    }),
  );
}

/** So many at once that, with the passwords that are wrong, no login is refused as one too many. */
const LOGINS = 3;

theme("the admin UI", () => {
  scenario("wrong credentials are refused with the text that the page knows", { profile: "admin" }, async (server) => {
    const wrong = [
      undefined,
      {},
      { sessionId: "0123456789abcdef" },
      { ...CREDENTIALS, password: "correctpassword" },
      { ...CREDENTIALS, username: "Admin" },
    ];
    for (const auth of wrong) {
      const page = new Page(server, auth ?? {});
      assert.deepEqual(await page.life.next(), ["refused", "invalid credentials"], JSON.stringify(auth));
      page.close();
    }
  });

  scenario("a slash behind the URL of the server makes another namespace", { profile: "admin" }, async (server) => {
    const page = new Page(server, CREDENTIALS, "//admin");
    assert.deepEqual(await page.life.next(), ["refused", "Invalid namespace"]);
    page.close();
  });

  scenario(
    "session lets a page in again, and comes when it listens",
    { profile: "admin", differs: "it is emitted before the packet that connects the page, which does not listen yet" },
    async (server) => {
      const page = new Page(server);
      await page.connected();
      // Before all that it has been told by now.
      const [name, session] = page.events.all[0];
      assert.equal(name, "session");
      assert.match(session, /^[0-9a-f]{16,}$/);
      page.close();
      const again = new Page(server, { sessionId: session });
      await again.connected();
      assert.equal(again.events.all.some(([name]) => name === "session"), false);
      again.close();
    },
  );

  const ALWAYS = ["AGGREGATED_EVENTS"];
  const COMMANDS = ["EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT"];
  const FEATURES = {
    admin: [...COMMANDS, ...ALWAYS, "ALL_EVENTS"],
    "admin-production": [...COMMANDS, ...ALWAYS],
    "admin-read-only": [...ALWAYS, "ALL_EVENTS"],
  };
  for (const [profile, features] of Object.entries(FEATURES)) {
    watched(`features of the profile ${profile}`, { profile }, async (page) => {
      assert.deepEqual(page.config, { supportedFeatures: features });
    });

    watched(`numbers of the profile ${profile}`, { profile }, async (page, world) => {
      const player = await world.ready({ nsp: "/custom" });
      await player.ask("message-with-ack", "x".repeat(100));
      const isIn = ({ namespaces }) => namespaces.some(({ name, socketsCount }) => name === "/custom" && socketsCount > 0);
      const [stats] = await page.first("server_stats", isIn);
      const { aggregatedEvents, hostname, namespaces, pid, uptime, ...rest } = stats;
      assert.deepEqual(Object.keys(rest).sort(), ["clientsCount", "pollingClientsCount", "serverId"]);
      assert.equal(stats.serverId, "server");
      assert.ok(hostname.length > 0 && Number.isInteger(pid) && uptime > 0);
      assert.ok(stats.clientsCount >= 2 && stats.pollingClientsCount <= stats.clientsCount);
      assert.ok(namespaces.some(({ name, socketsCount }) => name === "/admin" && socketsCount > 0));
      // They may have been told before.
      const told = () => page.events.all.filter(([name]) => name === "server_stats").flatMap(([, { aggregatedEvents }]) => aggregatedEvents);
      const types = ["rawConnection", "packetsIn", "packetsOut", "bytesIn", "bytesOut"];
      await page.events.until(() => types.every((type) => told().some((event) => event.type === type)), "all types");
      for (const { timestamp, type, subType, count } of told()) {
        assert.ok(timestamp % 1000 === 0 && Math.abs(Date.now() - timestamp) < 60_000);
        assert.ok([...types, "rawDisconnection"].includes(type) && count > 0);
        assert.equal(typeof subType, type === "rawDisconnection" ? "string" : "undefined");
      }
      const bytes = told().filter(({ type }) => type === "bytesIn").reduce((sum, { count }) => sum + count, 0);
      assert.ok(bytes >= 100, `${bytes} bytes came in`);
      player.drop();
      const ended = () => told().some(({ type, subType }) => type === "rawDisconnection" && subType === "transport close");
      await page.events.until(ended, "the end of a session");
    });
  }

  for (const mode of ["polling", "websocket"]) {
    watched(`life of a socket (${mode})`, { mode }, async (page, world) => {
      const nsp = namespace();
      const player = await world.ready({ nsp });
      const { id } = player;
      const [socket, time] = await page.first("socket_connected", (socket) => socket.id === id);
      assert.ok(isTime(time));
      const { clientId, handshake, ...rest } = socket;
      assert.deepEqual(rest, { id, nsp, transport: mode, data: {}, rooms: [id] });
      assert.match(clientId, /^.{12}$/);
      const { headers, query, address, issued, secure, time: text, url, xdomain, ...others } = handshake;
      assert.deepEqual([others, secure, xdomain], [{}, false, false]);
      assert.ok(headers.host.startsWith("127.0.0.1:") && /127\.0\.0\.1$/.test(address));
      assert.ok(query.EIO === "4" && url.startsWith("/socket.io/?"));
      assert.ok(Math.abs(Date.now() - issued) < 60_000 && Math.abs(Date.parse(text) - issued) < 1000);

      await player.ask("join", "room");
      await player.ask("message-with-ack", { a: [1, "é"] }, Buffer.from([1, 2]));
      await player.ask("leave", "room");
      player.emit("in-room", [id], "back", [1, Buffer.from([3])]);
      await player.several("back", 1);
      player.disconnect();
      await page.first("room_left", (_, room, of) => room === id && of === id);
      assert.deepEqual(page.of(id).filter(([name]) => name !== "socket_connected"), [
        ["room_joined", nsp, id, id],
        ["event_sent", nsp, id, ["auth", {}]],
        ["event_received", nsp, id, ["join", "room"]],
        ["room_joined", nsp, "room", id],
        ["event_received", nsp, id, ["message-with-ack", { a: [1, "é"] }, Buffer.from([1, 2])]],
        ["event_received", nsp, id, ["leave", "room"]],
        ["room_left", nsp, "room", id],
        ["event_received", nsp, id, ["in-room", [id], "back", [1, Buffer.from([3])]]],
        ["event_sent", nsp, id, ["back", 1, Buffer.from([3])]],
        ["socket_disconnected", nsp, id, "client namespace disconnect"],
        ["room_left", nsp, id, id],
      ]);
    });
  }

  watched("transport of a client that upgrades", { mode: "upgrade" }, async (page, world) => {
    const nsp = namespace();
    const player = await world.connect({ nsp });
    const [socket] = await page.first("socket_connected", ({ id }) => id === player.id);
    const updated = await page.first("socket_updated", ({ id, transport }) => id === player.id && transport);
    assert.deepEqual(updated, [{ id: player.id, nsp, transport: "websocket" }]);
    assert.ok(["polling", "websocket"].includes(socket.transport));
  });

  watched("data of a socket", {}, async (page, world) => {
    const player = await world.ready();
    await player.ask("set", "name", "Ann");
    const [socket] = await page.first("socket_updated", ({ id, data }) => id === player.id && data?.name);
    assert.deepEqual(socket, { id: player.id, nsp: "/", data: { name: "Ann" } });
    const other = new Page(world.server);
    await other.connected();
    assert.deepEqual(other.sockets.find(({ id }) => id === player.id).data, { name: "Ann" });
    other.close();
  });

  watched("sockets that were there before", {}, async (page, world, server) => {
    const nsp = namespace();
    const players = await world.readyAll(3, { nsp });
    await players[0].ask("join", ["a", "b"]);
    const later = new Page(server);
    await later.connected();
    const found = later.sockets.filter((socket) => socket.nsp === nsp);
    assert.deepEqual(found.map(({ id }) => id).sort(), players.map(({ id }) => id).sort());
    const [first, second] = players.map((player) => found.find(({ id }) => id === player.id));
    assert.deepEqual(first.rooms.toSorted(), [players[0].id, "a", "b"].sort());
    assert.deepEqual(Object.keys(first).sort(), ["clientId", "data", "handshake", "id", "nsp", "rooms", "transport"]);
    assert.deepEqual(first.data, {});
    assert.notEqual(first.clientId, second.clientId);
    // Pages are sockets too.
    assert.ok(later.sockets.some(({ nsp }) => nsp === "/admin"));
    later.close();
  });

  watched(
    "no secret of a client",
    { differs: "it shows cookies, and the first half of the session id" },
    async (page, world) => {
      const headers = { cookie: "token=s3cret", authorization: "Bearer s3cret", "x-other": "shown" };
      const player = await world.ready({ headers });
      const [socket] = await page.first("socket_connected", ({ id }) => id === player.id);
      assert.equal(socket.handshake.headers["x-other"], "shown");
      assert.equal(JSON.stringify(socket).includes("s3cret"), false);
      assert.equal(player.engine.id.startsWith(socket.clientId), false);
    },
  );

  watched("no details in production", { profile: "admin-production" }, async (page, world) => {
    const player = await world.ready();
    await player.ask("join", "room");
    // Of the time behind it.
    const numbers = page.events.all.length;
    await page.events.until(() => page.events.all.slice(numbers).filter(([name]) => name === "server_stats").length > 1, "numbers");
    const names = new Set(page.events.all.map(([name]) => name));
    names.delete("session");
    assert.deepEqual([...names].sort(), ["config", "server_stats"]);
  });

  for (const profile of ["admin", "admin-production"]) {
    watched(`sockets join and leave rooms (${profile})`, { profile }, async (page, world) => {
      const nsp = namespace();
      const [a, b] = await world.readyAll(2, { nsp });
      const inRooms = (player, rooms) =>
        eventually(async () => {
          const [now] = await player.ask("rooms");
          return now.join() === rooms.join() ? true : undefined;
        }, `the rooms ${rooms}`);
      page.emit("join", nsp, "one", a.id);
      await inRooms(a, ["one"]);
      page.emit("join", nsp, "two");
      await Promise.all([inRooms(a, ["one", "two"]), inRooms(b, ["two"])]);
      page.emit("leave", nsp, "two", "one");
      await Promise.all([inRooms(a, ["one"]), inRooms(b, ["two"])]);
      page.emit("leave", nsp, "two");
      await inRooms(b, []);
    });

    watched(`sockets are disconnected (${profile})`, { profile }, async (page, world) => {
      const nsp = namespace();
      const [a, b, c] = await world.readyAll(3, { nsp });
      await c.ask("join", "room");
      page.emit("_disconnect", nsp, false, a.id);
      assert.equal(await a.is("disconnect"), "io server disconnect");
      page.emit("_disconnect", nsp, true, "room");
      assert.equal(await c.is("disconnect"), "io server disconnect");
      assert.deepEqual(await b.ask("message-with-ack", 1), [1]);
      page.emit("_disconnect", nsp, false);
      assert.equal(await b.is("disconnect"), "io server disconnect");
    });

    watched(`events are sent (${profile})`, { profile }, async (page, world) => {
      const nsp = namespace();
      const [a, b] = await world.readyAll(2, { nsp });
      page.emit("emit", nsp, a.id, "one", 1, Buffer.from([7]));
      page.emit("emit", nsp, null, "all");
      for (const player of [a, b]) assert.deepEqual(await player.several("all", 1), [[]]);
      assert.deepEqual(a.of("one"), [[1, { $bin: "Bw==" }]]);
      assert.deepEqual(b.of("one"), []);
    });
  }

  watched("nothing is done if it is read-only", { profile: "admin-read-only" }, async (page, world) => {
    const nsp = namespace();
    const player = await world.ready({ nsp });
    page.emit("join", nsp, "room");
    page.emit("emit", nsp, null, "hello");
    page.emit("_disconnect", nsp, true);
    // Behind them on the same connection, there and back.
    const barrier = page.socket.io.socket("/custom");
    const answered = new Promise((resolve) => barrier.emit("message-with-ack", resolve));
    await within(answered, "an answer on the same connection");
    assert.deepEqual(await player.ask("rooms"), [[]]);
    assert.deepEqual(player.of("hello"), []);
    assert.equal(player.count("disconnect"), 0);
  });

  watched(
    "namespaces are not made by commands",
    { differs: "it makes any namespace that a command names" },
    async (page) => {
      for (const command of [["join", "/new", "room"], ["_disconnect", "/new", true], ["emit", "/new", null, "hello"]]) {
        page.emit(...command);
      }
      const seen = page.events.all.length;
      const numbers = () => page.events.all.slice(seen).filter(([name]) => name === "server_stats");
      await page.events.until(() => numbers().length > 1, "numbers");
      assert.ok(numbers().every(([, { namespaces }]) => namespaces.every(({ name }) => name !== "/new")));
      const refused = page.socket.io.socket("/new");
      const error = await within(new Promise((resolve) => refused.on("connect_error", resolve)), "a refusal");
      assert.equal(error.message, "Invalid namespace");
    },
  );
}, LOGINS);

// The admin UI of a cluster of nodes of the reference and of ours: what a page is told of all of them, and what it may do to
// them, whichever it is connected to. The page is a client of the official library here; `admin-page.mjs` has the real one.
//
// `harness.mjs` describes the command line.

import assert from "node:assert/strict";
import { describe } from "node:test";
import { judge } from "../servers.mjs";
import { isTime, Page } from "../sio/admin-client.mjs";
import { CLIENTS, World } from "../sio/clients.mjs";
import { namespace } from "../sio/harness.mjs";
import { eventually } from "../waiting.mjs";
import { Crew } from "./crew.mjs";
import { Cluster, NODES, ORIGINS } from "./harness.mjs";

/** Those that carry dates as MessagePack and as JSON, and that know their nodes by a count and by heartbeats. */
const PROFILES = ["classic", "streams"];

const adminOf = (i) => ({ ADMIN: `node-${i}` });

/** A scenario with a page at a node of each kind, and a client on every node, in a namespace of its own by default. */
function watched(title, body, { nsp } = {}) {
  for (const profile of PROFILES) {
    for (const origin of ORIGINS) {
      const name = `${title} (${profile}, page of ${NODES[origin].name})`;
      const start = () => Cluster.of(profile, adminOf);
      judge(name, { start, timeout: 180_000, stall: 500 }, async (cluster) => {
        const crew = await Crew.gather(cluster, origin, 1, nsp);
        await cluster.formed("/admin");
        const page = new Page(cluster.nodes[origin]);
        try {
          await page.connected();
          await body(page, crew, cluster);
        } finally {
          page.close();
          crew.dismiss();
        }
      });
    }
  }
}

/** Waits until each of the players is in exactly these rooms. */
const inRooms = (players, ...rooms) =>
  Promise.all(
    players.map((player) =>
      eventually(async () => {
        const [now] = await player.ask("rooms");
        return now.join() === rooms.join() ? true : undefined;
      }, `the rooms ${rooms}`),
    ),
  );

describe("the admin UI of a cluster", { concurrency: 8 }, () => {
  watched("all servers tell their numbers", async (page, { nsp, players }) => {
    // Packets that come in once the page listens.
    await Promise.all(players.map((player) => player.barrier()));
    for (const i of players.keys()) {
      const mine = { name: nsp, socketsCount: 1 };
      const holds = ({ serverId, namespaces }) =>
        serverId === `node-${i}` && namespaces.some(({ name, socketsCount }) => name === mine.name && socketsCount === 1);
      const [stats] = await page.first("server_stats", holds);
      assert.ok(stats.clientsCount >= 1 && stats.uptime > 0 && typeof stats.hostname === "string");
      const types = ({ serverId, aggregatedEvents }) => serverId === `node-${i}` && aggregatedEvents.some(({ type }) => type === "packetsIn");
      await page.first("server_stats", types);
    }
  });

  watched("sockets of all nodes are listed", async (page, { nsp, players }) => {
    const found = page.sockets.filter((socket) => socket.nsp === nsp);
    assert.deepEqual(found.map(({ id }) => id).sort(), players.map(({ id }) => id).sort());
    for (const { id, clientId, transport, data, rooms, handshake } of found) {
      assert.match(clientId, /^.{12}$/);
      assert.deepEqual([transport, data, rooms], ["websocket", {}, [id]]);
      assert.ok(/127\.0\.0\.1$/.test(handshake.address) && handshake.headers.host.startsWith("127.0.0.1:"));
      assert.ok(handshake.query.EIO === "4" && Math.abs(Date.now() - handshake.issued) < 60_000);
    }
    assert.equal(new Set(found.map(({ clientId }) => clientId)).size, players.length);
  });

  // Nodes of ours serialize them as `null`, which would end those of the reference.
  watched("sockets without data are listed", async (page, { players }) => {
    for (const player of players) {
      const { data, clientId } = page.sockets.find(({ id }) => id === player.id);
      assert.deepEqual([data, clientId.length], [{}, 12]);
    }
  }, { nsp: "/null" });

  watched("changes and events of all nodes are shown as they come", async (page, { nsp, worlds, players }) => {
    const actor = players[0];
    for (const [place, player] of players.entries()) {
      const { id } = player;
      await player.ask("join", `room-${place}`);
      await player.ask("message-with-ack", { a: [place, "é"] }, Buffer.from([1, 2]));
      await player.ask("leave", `room-${place}`);
      await page.first("room_left", (_, room, of) => room === `room-${place}` && of === id);
      const told = page.of(id).filter(([name]) => name !== "event_sent");
      assert.deepEqual(told, [
        ["event_received", nsp, id, ["join", `room-${place}`]],
        ["room_joined", nsp, `room-${place}`, id],
        ["event_received", nsp, id, ["message-with-ack", { a: [place, "é"] }, Buffer.from([1, 2])]],
        ["event_received", nsp, id, ["leave", `room-${place}`]],
        ["room_left", nsp, `room-${place}`, id],
      ]);
    }
    // One that goes to all.
    actor.emit("all", "said", [1, Buffer.from([3])]);
    for (const { id } of players) {
      const [, , sent, at] = await page.first("event_sent", (_, of, [name]) => of === id && name === "said");
      assert.deepEqual([sent, isTime(at)], [["said", 1, Buffer.from([3])], true]);
    }
    for (const world of worlds) {
      const late = world.player({ nsp });
      await late.is("connect");
      const [{ clientId, transport, rooms }, at] = await page.first("socket_connected", ({ id }) => id === late.id);
      assert.match(clientId, /^.{12}$/);
      assert.deepEqual([transport, rooms, isTime(at)], ["websocket", [late.id], true]);
      late.disconnect();
      const [, , reason] = await page.first("socket_disconnected", (_, id) => id === late.id);
      assert.equal(reason, "client namespace disconnect");
    }
  });

  watched("sockets of all nodes are moved and disconnected", async (page, { nsp, players }) => {
    for (const player of players) page.emit("join", nsp, "one", player.id);
    page.emit("join", nsp, "two");
    await inRooms(players, "one", "two");
    for (const { id } of players) await page.first("room_joined", (_, room, of) => room === "two" && of === id);
    page.emit("leave", nsp, "one", "two");
    await inRooms(players, "two");
    page.emit("emit", nsp, "two", "hello", 1, Buffer.from([7]));
    for (const player of players) assert.deepEqual(await player.several("hello", 1), [[1, { $bin: "Bw==" }]]);
    const [first, ...others] = players.toReversed();
    page.emit("_disconnect", nsp, false, first.id);
    assert.equal(await first.is("disconnect"), "io server disconnect");
    page.emit("_disconnect", nsp, true, "two");
    for (const player of others) assert.equal(await player.is("disconnect"), "io server disconnect");
    const reasons = ["server namespace disconnect", "forced server close"];
    for (const { id } of players) {
      const [, , reason] = await page.first("socket_disconnected", (_, of) => of === id);
      assert.ok(reasons.includes(reason), reason);
    }
  });

  watched("a namespace that other nodes have is reached", async (page, { origin }, cluster) => {
    const { nodes, ours } = cluster;
    for (const i of nodes.keys()) {
      if (i === origin) continue;
      const [nsp, world] = [namespace(), new World(nodes[i], CLIENTS[0], "websocket")];
      const player = world.player({ nsp });
      await player.is("connect");
      await cluster.formed(nsp, 1);
      page.emit("join", nsp, "room", player.id);
      await inRooms([player], "room");
      page.emit("emit", nsp, "room", "hello", 1);
      assert.deepEqual(await player.several("hello", 1), [[1]]);
      page.emit("leave", nsp, "room");
      await inRooms([player]);
      page.emit("_disconnect", nsp, false);
      assert.equal(await player.is("disconnect"), "io server disconnect");
      // The reference makes it on the node of the page.
      const seen = page.events.all.length;
      const numbers = () => page.events.all.slice(seen).filter(([name, stats]) => name === "server_stats" && stats.serverId === `node-${origin}`);
      await page.events.until(() => numbers().length > 0, "numbers");
      const isMade = numbers()[0][1].namespaces.some(({ name }) => name === nsp);
      assert.equal(isMade, !ours[origin]);
      player.drop();
    }
  });
});

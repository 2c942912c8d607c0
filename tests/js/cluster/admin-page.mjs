// The page of npm `@socket.io/admin-ui` in Chromium, on a cluster of nodes of the reference and of ours: an operator logs in at
// a node of each kind, sees all of them, and moves the sockets of the others. The page is of an origin of its own.
//
// `harness.mjs` describes the command line. CHROMIUM names the browser.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, describe } from "node:test";
import { fileURLToPath } from "node:url";
import { withBrowser } from "../chromium.mjs";
import { judge } from "../servers.mjs";
import { PASSWORD } from "../sio/admin-account.mjs";
import { joinRoom, logIn, prepare, row, view } from "../sio/admin-view.mjs";
import { fresh } from "../sio/harness.mjs";
import { eventually } from "../waiting.mjs";
import { Crew } from "./crew.mjs";
import { Cluster, NODES, ORIGINS } from "./harness.mjs";

const FOLDER = fileURLToPath(new URL("../node_modules/@socket.io/admin-ui/ui/dist/", import.meta.url));

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png" };

const pages = createServer(async ({ url }, response) => {
  const name = url === "/" ? "index.html" : url;
  const content = await readFile(path.join(FOLDER, path.normalize(name))).catch(() => undefined);
  response.writeHead(content ? 200 : 404, { "content-type": TYPES[path.extname(name)] ?? "text/plain" }).end(content);
});
await once(pages.listen(0, "127.0.0.1"), "listening");
after(() => pages.close());
const ORIGIN = `http://127.0.0.1:${pages.address().port}`;

const environment = (i) => ({ ADMIN: `node-${i}`, ORIGIN });

describe("the page of the admin UI", () => {
  // One node of ours is enough: those of the other runtime have the same code.
  for (const origin of ORIGINS.slice(0, 2)) {
    const start = () => Cluster.of("classic", environment);
    const name = `shows and moves sockets of all nodes (page of ${NODES[origin].name})`;
    judge(name, { start, timeout: 120_000, stall: 1000 }, async (cluster) => {
      const crew = await Crew.gather(cluster, origin, 1, "/");
      try {
        await withBrowser(async ([page]) => {
          const urls = cluster.nodes.map(({ port }) => `http://127.0.0.1:${port}`);
          const complaints = await prepare(page, ORIGIN, ...urls);
          await page.goto(ORIGIN, { waitUntil: "domcontentloaded" });
          // A slash at the end would be a part of the namespace.
          await logIn(page, urls[origin], PASSWORD);
          await use(page, crew);
          assert.deepEqual(complaints, []);
        });
      } finally {
        crew.dismiss();
      }
    });
  }
});

/** What an operator sees and does. */
async function use(page, { players, worlds }) {
  await view(page, "servers/");
  for (const i of players.keys()) await row(page, `node-${i}`, "Healthy", /ago/).waitFor();
  await view(page, "sockets/");
  for (const { id } of players) await row(page, id, "WebSocket").waitFor();

  // As it happens, on all nodes.
  const room = fresh("lobby");
  await Promise.all(players.map((player) => player.ask("join", room)));
  await view(page, "rooms/");
  await row(page, room, /\b4\b/).waitFor();
  const late = worlds.map((world) => world.player());
  await Promise.all(late.map((player) => player.is("connect")));
  await view(page, "sockets/");
  for (const { id } of late) await row(page, id, "WebSocket").waitFor();
  await Promise.all(late.map((player) => player.ask("message-with-ack", room)));
  players[0].emit("in-room", [room], "said", ["hello"]);
  await view(page, "events/");
  for (const { id } of late) await row(page, id, /event received.*message-with-ack/i).waitFor();
  for (const { id } of players) {
    await row(page, id, /event sent.*said/i).waitFor();
    await row(page, id, /room joined/i, room).waitFor();
  }
  for (const player of late) player.disconnect();
  await view(page, "sockets/");
  for (const { id } of late) await row(page, id).waitFor({ state: "detached" });

  // Nodes of the other kind have the last two.
  for (const player of players.slice(2)) {
    await view(page, "sockets/");
    await row(page, player.id).click();
    await row(page, "user-agent").or(row(page, "host")).first().waitFor();
    await joinRoom(page, "by-the-page");
    await isIn(player, "by-the-page", true);
    await row(page, "by-the-page").getByRole("button").click();
    await isIn(player, "by-the-page", false);
    await view(page, "rooms/");
    await row(page, "by-the-page").waitFor({ state: "detached" });
    await view(page, "sockets/");
    await row(page, player.id).getByRole("button").click();
    assert.equal(await player.is("disconnect"), "io server disconnect");
    // The click has opened the view of the socket, too.
    await view(page, "sockets/");
    await row(page, player.id).waitFor({ state: "detached" });
  }
  for (const { socket } of players.slice(0, 2)) assert.ok(socket.connected);
}

/** Waits until a client is in a room, or is not. */
function isIn(player, room, expected) {
  const look = async () => ((await player.ask("rooms"))[0].includes(room) === expected ? true : undefined);
  return eventually(look, `${room}: ${expected}`);
}

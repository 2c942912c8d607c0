// The page of npm `@socket.io/admin-ui` in Chromium: an operator logs in, sees what the clients do, and moves them.
//
//   node sio/admin-page.mjs URL [--read-only]
//
// The page and the server are the example `admin` at URL. CHROMIUM names the browser, SCREENSHOT=FILE.png keeps a picture
// of the last view.

import assert from "node:assert/strict";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { io } from "socket.io-client";
import { withBrowser } from "../chromium.mjs";
import { within } from "../waiting.mjs";
import { joinRoom, logIn, prepare, row, view } from "./admin-view.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { "read-only": { type: "boolean", default: false } },
});
const [url] = positionals;
if (!url) {
  console.error("usage: node sio/admin-page.mjs URL [--read-only]");
  process.exit(2);
}

const clients = [];
try {
  await withBrowser(async ([page]) => {
    const complaints = await prepare(page, url);
    clients.push(await client(), await client());
    await page.goto(url, { waitUntil: "domcontentloaded" });
    await logIn(page, url, "wrong", "change me");
    await (values["read-only"] ? look(page, clients) : use(page, clients));
    assert.deepEqual(complaints, []);
    if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  });
  console.log("admin page: ok");
} catch (error) {
  console.error(`admin page: ${error.stack}`);
  process.exitCode = 1;
} finally {
  for (const socket of clients) socket.disconnect();
}

async function client() {
  const socket = io(url, { forceNew: true, reconnection: false });
  await within(once(socket, "connect"), "a client that connects");
  socket.emit("join", "lobby");
  return socket;
}

/** Sees servers, namespaces, sockets and rooms. */
async function see(page, clients) {
  await view(page, "servers/");
  await row(page, "Healthy", /ago/).waitFor();
  await view(page, "");
  await row(page, "/admin").waitFor();
  await view(page, "sockets/");
  for (const { id } of clients) await row(page, id, "WebSocket").waitFor();
  await view(page, "rooms/");
  await row(page, "lobby", /\b2\b/).waitFor();
}

/** What an operator may do. */
async function use(page, [anna, bert]) {
  await see(page, [anna, bert]);
  // The session lets it in again.
  await page.reload({ waitUntil: "domcontentloaded" });
  await view(page, "sockets/");
  await row(page, anna.id).click();
  await page.getByText("Socket details").waitFor();
  assert.equal(await page.getByLabel("Password").isVisible(), false);
  await row(page, "user-agent").waitFor();

  await joinRoom(page, "by-the-page");
  bert.emit("join", "by-the-page");
  const heard = once(anna, "say");
  bert.emit("say", "hello");
  assert.deepEqual(await within(heard, "what is said in the room"), ["hello"]);
  await row(page, "by-the-page").getByRole("button").click();
  await view(page, "rooms/");
  await row(page, "by-the-page", /\b1\b/).waitFor();

  await view(page, "events/");
  for (const what of [/event received.*say/i, /event sent.*say/i, /room joined.*by-the-page/i]) {
    await row(page, what).waitFor();
  }

  await view(page, "sockets/");
  const left = once(anna, "disconnect");
  const { id } = anna;
  await row(page, id).getByRole("button").click();
  assert.equal((await within(left, "the end of a socket"))[0], "io server disconnect");
  await view(page, "sockets/");
  await row(page, bert.id).waitFor();
  await row(page, id).waitFor({ state: "detached" });
  assert.ok(bert.connected);
}

/** What one may do who may only look. */
async function look(page, clients) {
  await see(page, clients);
  await view(page, "sockets/");
  const [{ id }] = clients;
  await row(page, id).waitFor();
  assert.equal(await row(page, id).getByRole("button").count(), 0);
  await row(page, id).click();
  await row(page, "lobby").waitFor();
  assert.equal(await row(page, "lobby").getByRole("button").count(), 0);
}

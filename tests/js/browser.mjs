// Opens the page of the browser example in Chromium and uses it.
//
//   node browser.mjs URL           the page is served by the example at URL
//   node browser.mjs --self-test   the page is served by a small server on npm `engine.io`, here; checks the page itself
//
// CHROMIUM names the browser (default: /usr/bin/chromium). SCREENSHOT=FILE.png keeps a picture of the page.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { attach } from "engine.io";
import { DEADLINE, shows, withBrowser } from "./chromium.mjs";

const PAGE = new URL("../../runtime-tokio/examples/browser/index.html", import.meta.url);
const BUNDLE = new URL("node_modules/engine.io-client/dist/engine.io.min.js", import.meta.url);

const selfTest = process.argv[2] === "--self-test";
if (!process.argv[2]) {
  console.error("usage: node browser.mjs (URL | --self-test)");
  process.exit(2);
}

try {
  if (selfTest) await testPage();
  else {
    await withBrowser(async ([page]) => {
      await use(page, process.argv[2]);
      await failToConnect(page, process.argv[2]);
    });
  }
  console.log("browser: ok");
} catch (error) {
  console.error(`browser: ${error.message}`);
  process.exitCode = 1;
}

/** What a user does and sees. */
async function use(page, url) {
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));

  await page.goto(url, { timeout: DEADLINE });
  if (await page.inputValue("#input")) throw new Error("the field is not empty");
  if (!(await page.getAttribute("#input", "placeholder"))) throw new Error("the field has no hint");
  await shows(page, "#transport", /^websocket$/);
  await shows(page, "#upgraded", /^after \d+ ms$/);
  await shows(page, "#rtt", /^\d+(\.\d+)?$/);

  const text = `Grüße 👋 ${Date.now()}`;
  await page.fill("#input", text);
  await page.click("#send");
  await shows(page, "#log", new RegExp(`→ ${text}.*← ${text}`, "s"));
  await page.click("#binary");
  await shows(page, "#log", /→ (16 bytes: [0-9a-f ]{47}).*← \1/s);

  if (complaints.length > 0) throw new Error(`the page complained:\n  ${complaints.join("\n  ")}`);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
}

/** What a user sees who cannot connect. */
async function failToConnect(page, url) {
  const sessions = "**/engine.io/**";
  await page.route(sessions, (route) => route.abort("connectionrefused"));
  await page.goto(url, { timeout: DEADLINE });
  await shows(page, "#status", /^No server has responded at .+ \(transport error\)\. Trying again …$/);
  await page.unroute(sessions);
  await page.route(sessions, (route) =>
    route.fulfill({ status: 401, contentType: "application/json", body: JSON.stringify({ code: 4, message: "no token" }) }),
  );
  await shows(page, "#status", /^The server refused the connection with status 401: no token\. Trying again …$/);
  await page.unroute(sessions);
  await shows(page, "#status", /^Connected in \d+ ms\.$/);
  await shows(page, "#transport", /^websocket$/);
}

/** The page against the reference server, which then goes away and comes back. */
async function testPage() {
  let server = await echoServer(0);
  const { port } = server.address();
  try {
    await withBrowser(async ([page]) => {
      await use(page, `http://127.0.0.1:${port}/`);
      await stop(server);
      await shows(page, "#status", /^The server is gone \(.+\)\. Trying again …$/);
      await shows(page, "#transport", /^none$/);
      server = await echoServer(port);
      await shows(page, "#transport", /^websocket$/);
    });
  } finally {
    await stop(server);
  }
}

async function echoServer(port) {
  const files = { "/": ["text/html", await readFile(PAGE)], "/engine.io.js": ["text/javascript", await readFile(BUNDLE)] };
  const server = createServer((request, response) => {
    const [type, content] = files[request.url] ?? [];
    if (!content) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": `${type}; charset=UTF-8` }).end(content);
  });
  const engine = attach(server);
  engine.on("connection", (socket) => socket.on("message", (data) => socket.send(data ?? "")));
  server.sessions = () => Object.values(engine.clients);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

async function stop(server) {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  for (const session of server.sessions()) session.close(true);
  server.closeAllConnections();
  await closed;
}

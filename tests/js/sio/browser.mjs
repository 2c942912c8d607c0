// Runs the scenarios of `tests/browser`, which are our client as WebAssembly, in pages of headless Chromium.
//
//   node browser.mjs --page FOLDER (--server 'COMMAND' | --reference)
//
// FOLDER has what wasm-bindgen made of them. The server is as for the suites of this folder: of a profile, on a port. Its
// origin is that of the page, whose files are put under its address. ONLY=WORDS runs the scenarios with those words in
// their name.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import net from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { io } from "socket.io-client";
import { Server } from "socket.io";
import { withBrowser } from "../chromium.mjs";
import { eventually, within } from "../waiting.mjs";

const { values: args } = parseArgs({
  options: { page: { type: "string" }, server: { type: "string" }, reference: { type: "boolean", default: false } },
});
if (!args.page || (!args.server && !args.reference)) {
  console.error("usage: node browser.mjs --page FOLDER (--server 'COMMAND' | --reference)");
  process.exit(2);
}

const reference = [process.execPath, fileURLToPath(new URL("reference-server.mjs", import.meta.url))];
const [program, ...programArgs] = args.server ? ["sh", "-c", `exec ${args.server}`] : reference;

/** A scenario may take so long. Generous: it only decides how long a broken one takes to fail. */
const LIMIT = Number(process.env.LIMIT ?? 30_000);

const ALL = ["polling", "websocket", "upgrade"];
const SCENARIOS = [
  ...["events", "order", "acknowledgements", "slow", "auth", "refused", "disconnect", "disconnected"].map((name) => ({ name })),
  { name: "close", differs: "it drops events that a disconnection follows at once" },
  { name: "restart", own: true },
  { name: "volatile" },
  { name: "revision-3", profile: "v2" },
  { name: "recovery", profile: "recovery", own: true },
  { name: "path" },
  { name: "unreachable", elsewhere: freeAddress },
  { name: "cors", transports: ["polling"], elsewhere: strangerAddress },
  { name: "credentials", transports: ["polling", "upgrade"], elsewhere: countingAddress },
  // Over polling the requests of a page that is left race with each other.
  { name: "leave", transports: ["websocket", "upgrade"], reason: "transport" },
  { name: "leave-closing", transports: ["websocket", "upgrade"], reason: "client namespace disconnect" },
  { name: "events", worker: true },
];

// -------------------------------------------------------------------------------------------------------------- servers

class Running {
  constructor(profile) {
    this.profile = profile;
  }

  /** Starts the server, on the port that it had before if it was started before. */
  async start() {
    // A loaded machine must not decide. A page that goes offline between two polls is missed by the heartbeat alone, well
    // before a scenario's `LIMIT`.
    const patience = { PING_TIMEOUT: "10000", RECOVERY_WINDOW: "30000" };
    const environment = { ...process.env, ...patience, PROFILE: this.profile, PORT: String(this.port ?? 0) };
    this.child = spawn(program, programArgs, { env: environment, stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await within(once(this.child.stdout, "data"), "the port of the server");
    this.port = Number(line.toString());
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  async stop() {
    const exit = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await within(exit, "the end of the server");
  }
}

/** An address at which nothing listens. */
async function freeAddress() {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return { url: `http://127.0.0.1:${port}`, close() {} };
}

/** A server that does not allow the page's origin. */
async function strangerAddress() {
  return serve(new Server({ serveClient: false }));
}

/** A server of another origin that counts the visits of a client by its cookie. */
async function countingAddress(origin) {
  const server = new Server({ serveClient: false, cors: { origin, credentials: true } });
  let visits = 0;
  server.on("connection", (socket) => {
    const seen = /visits=(\d+)/.exec(socket.handshake.headers.cookie ?? "")?.[1] ?? 0;
    socket.on("visits", (ack) => ack(Number(seen) + 1));
  });
  return serve(server, (headers) => (headers["set-cookie"] = `visits=${++visits}; SameSite=Lax`));
}

async function serve(server, onHeaders = () => {}) {
  const http = createServer();
  server.attach(http);
  server.engine.on("initial_headers", onHeaders);
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return { url: `http://127.0.0.1:${http.address().port}`, close: () => server.close() };
}

// ---------------------------------------------------------------------------------------------------------------- pages

const HTML = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module">
  import init, { run } from "./enginewire_browser_tests.js";
  window.ready = init().then(() => (window.run = run));
</script>`;

const WORKER = `import init, { run } from "./enginewire_browser_tests.js";
  onmessage = async ({ data }) => {
    try {
      await init();
      await run(...data);
      postMessage("ok");
    } catch (error) {
      postMessage(String(error));
    }
  };`;

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const FILES = { "index.html": HTML, "worker.js": WORKER };

/** Puts the files of the page under `/page/` of the server's origin. */
async function fulfill(route) {
  const name = path.basename(new URL(route.request().url()).pathname);
  const body = FILES[name] ?? (await readFile(path.join(args.page, name)));
  await route.fulfill({ body, contentType: TYPES[path.extname(name)] });
}

// ------------------------------------------------------------------------------------------------------------ scenarios

async function scenario(context, server, { name, profile, worker, reason, elsewhere }, transports) {
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  if (process.env.VERBOSE) page.on("console", (message) => console.log(message.text()));
  page.on("crash", () => complaints.push("the page crashed"));
  let id, other;
  const outside = {
    stop: () => server.stop(),
    start: () => server.start(),
    offline: () => context.setOffline(true),
    online: () => context.setOffline(false),
    id: (text) => (id = text),
    gone: async () => {
      other ??= await client(server.url);
      await eventually(ended, "the end of the socket", LIMIT);
    },
    say: async (text) => {
      other ??= await client(server.url);
      await other.timeout(LIMIT).emitWithAck("rooms");
      other.emit("broadcast", "said", [text]);
      await other.timeout(LIMIT).emitWithAck("rooms");
    },
  };
  /** Why the socket has ended, once it has. */
  const ended = async () => (await other.timeout(LIMIT).emitWithAck("reason-of", id)) ?? undefined;
  await context.clearCookies();
  const target = elsewhere && (await elsewhere(server.url));
  try {
    await page.exposeFunction("outside", async (what, argument) => void (await outside[what](argument)));
    await page.goto(`${server.url}/page/index.html`);
    await page.evaluate("window.ready");
    const call = [name, target?.url ?? server.url, transports];
    await within(worker ? inWorker(page, call) : page.evaluate((call) => window.run(...call), call), "the scenario", LIMIT);
    if (reason) {
      other = await client(server.url);
      await page.goto("about:blank");
      const told = await eventually(ended, "the end of the socket");
      // Without a closing handshake it is the connection that has failed.
      if (!told.startsWith(reason)) throw new Error(`the server was told ${told}, not ${reason}`);
    }
    if (complaints.length > 0) throw new Error(`the page complained: ${complaints.join("; ")}`);
  } finally {
    other?.close();
    target?.close();
    await context.setOffline(false);
    await page.close();
  }
}

async function client(url) {
  const socket = io(url, { forceNew: true, transports: ["websocket"] });
  await within(once(socket, "connect"), "another client");
  return socket;
}

async function inWorker(page, call) {
  const outcome = await page.evaluate(
    (call) =>
      new Promise((resolve) => {
        const worker = new Worker("./worker.js", { type: "module" });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => resolve(`the worker failed: ${event.message}`);
        worker.postMessage(call);
      }),
    call,
  );
  if (outcome !== "ok") throw new Error(outcome);
}

const failed = [];
const shared = new Map();
let count = 0;
try {
  await withBrowser(async ([blank]) => {
    const context = blank.context();
    // What is fulfilled here comes from no address, which may not talk to this machine otherwise.
    await context.grantPermissions(["local-network-access"]);
    await context.route("**/page/*", fulfill);
    for (const it of SCENARIOS) {
      for (const transports of it.transports ?? ALL) {
        const name = `${it.name}${it.worker ? " in a worker" : ""} over ${transports}`;
        if (!name.includes(process.env.ONLY ?? "")) continue;
        if (args.reference && it.differs) {
          console.log(`skip ${name}: the reference is known to differ: ${it.differs}`);
          continue;
        }
        const profile = it.profile ?? "relaxed";
        const server = it.own ? await new Running(profile).start() : (shared.get(profile) ?? (await new Running(profile).start()));
        if (!it.own) shared.set(profile, server);
        const begin = performance.now();
        try {
          await scenario(context, server, it, transports);
          count++;
          console.log(`ok   ${name} (${Math.round(performance.now() - begin)} ms)`);
        } catch (error) {
          failed.push(name);
          console.error(`FAIL ${name}: ${error.message ?? error}`);
        } finally {
          if (it.own) await server.stop();
        }
      }
    }
  });
} catch (error) {
  failed.push("the browser");
  console.error(`browser: ${error.stack ?? error}`);
} finally {
  for (const server of shared.values()) await server.stop();
}
if (failed.length > 0 || count === 0) {
  console.error(`browser: ${failed.length} failed, ${count} passed`);
  process.exitCode = 1;
} else {
  console.log(`browser: ${count} ok`);
}

// The life of a session with the reference server, on each of the transports and in both revisions of the protocol.

import net from "node:net";
import { once } from "node:events";
import assert from "node:assert/strict";
import { BINARIES, TEXTS } from "../messages.mjs";
import { eventually, within } from "../waiting.mjs";
import { engine, HEARTBEAT } from "./engine.mjs";
import { numbered, scenario } from "./harness.mjs";

const MODES = ["polling", "websocket", "upgrade"];

/**
 * Words of this project beyond the contract: `v3` speaks revision 3 (the reference client does so as engine.io-client 3),
 * `b64` has binary messages sent as base64 everywhere.
 */
const DIALECTS = ["", "-v3", "-b64", "-v3-b64"];

/** What base64 cannot change is not run with it. */
const WITH_BASE64 = ["basic", "burst", "large"];

export default function () {
  for (const mode of MODES) for (const dialect of DIALECTS) sessions(mode, dialect);
}

function sessions(mode, dialect) {
  const v3 = dialect.startsWith("-v3");
  const base64 = dialect.endsWith("-b64");
  const each = (name, title, body, { options = {}, differs } = {}) => {
    if (base64 && !WITH_BASE64.includes(name)) return;
    scenario(`eio-${mode}-${name}${dialect}`, title, { differs }, async (run) => {
      const server = await engine(run, { allowEIO3: v3, ...options });
      await body({ run, server, client: run.client(server.url) });
    });
  };

  const upgraded = async (session, client) => {
    if (mode !== "upgrade") return;
    assert.deepEqual(await client.event("upgrade"), { event: "upgrade", transport: "websocket" });
    await within(session.upgraded, "the upgrade");
  };

  /** The session, on the transport where the mode ends. */
  const ready = async ({ server, client }) => {
    const session = await server.accept();
    await upgraded(session, client);
    return session;
  };

  each("basic", "the session opens, messages come unchanged both ways, the client closes", async ({ server, client }) => {
    const session = await server.accept();
    const transport = mode === "websocket" ? "websocket" : "polling";
    assert.deepEqual(await client.event("open"), { event: "open", sid: session.sid, transport });
    const messages = TEXTS.flatMap((text, i) => [text, BINARIES[i % BINARIES.length]]);
    session.send(...messages);
    await client.printed(messages);
    await upgraded(session, client);
    session.send(...messages);
    await client.printed([...messages, ...messages]);
    const texts = ["a", "é€漢😀", "two  words ", "!send nested"];
    for (const text of texts) session.send(`!send ${text}`);
    session.send("!burst 5");
    await session.received([...texts, ...numbered(5, { binary: true })]);
    session.send("!close");
    await client.ends("forced close");
    assert.equal(await within(session.closed, "the end of the session"), "transport close");
    const first = new URL(server.requests.all[0].url, "http://a").searchParams;
    if (base64) assert.equal(first.get("b64"), "1");
    for (const { url } of server.requests.all) assert.equal(new URL(url, "http://a").searchParams.get("EIO"), v3 ? "3" : "4");
  });

  each("burst", "many messages at once keep their order and kind", async ({ server, client }) => {
    const session = await server.accept();
    const messages = numbered(500, { name: "s", binary: true });
    session.send("!burst 500", ...messages);
    await session.received(numbered(500, { binary: true }));
    await client.printed(messages);
    session.close();
    await client.ends("transport close");
  });

  each("ticks", "messages every few milliseconds, from before the upgrade on", async ({ server, client }) => {
    const session = await server.accept();
    const ticks = numbered(60, { name: "tick" });
    await new Promise((resolve) => {
      let sent = 0;
      const timer = setInterval(() => {
        session.send(ticks[sent], `!send ${ticks[sent]}`);
        if (++sent === ticks.length) resolve(clearInterval(timer));
      }, 3);
    });
    await session.received(ticks);
    await client.printed(ticks);
    session.close();
    await client.ends("transport close");
  });

  each("large", "large messages come unchanged both ways", async (start) => {
    const session = await ready(start);
    const messages = ["x".repeat(999_900), "é€😀".repeat(50_000), Buffer.alloc(700_000).map((_, i) => i), "small"];
    session.send(...messages);
    await start.client.printed(messages);
    // One by one: engine.io-client 3 puts all it has into one payload, whatever the server can take.
    const back = ["x".repeat(900_000), Buffer.alloc(700_000).map((_, i) => i), "x"];
    for (const [i, command] of ["!text 900000", "!bin 700000", "!text 1"].entries()) {
      session.send(command);
      await session.received(back.slice(0, i + 1));
    }
    session.close();
    await start.client.ends("transport close");
  });

  each("heartbeat", "the heartbeat keeps the session alive", async (start) => {
    const session = await ready(start);
    await session.echo("first");
    const beats = session.pongs;
    await eventually(() => session.pongs >= beats + 5 || undefined, "five heartbeats");
    await session.echo("second");
    session.close();
    await start.client.ends("transport close");
  }, { options: HEARTBEAT });

  each("ping-timeout", "no sign of life comes: the client closes", async ({ server, client }) => {
    // Before the session opens: this process may be late to learn that it has.
    const since = Date.now();
    const session = await server.accept();
    session.fallSilent();
    await client.ends("ping timeout");
    assert.ok(Date.now() - since >= 400, "too early");
  }, { options: { pingInterval: 200, pingTimeout: 200 } });

  each("server-close", "what the server sent before its close arrives", async (start) => {
    const session = await ready(start);
    const messages = numbered(100, { name: "bye" });
    session.send(...messages);
    session.close();
    await start.client.ends("transport close");
    await start.client.printed(messages);
  });

  each("burst-close", "what the client sent before its close arrives", async (start) => {
    const session = await ready(start);
    session.send("!burst-close 200");
    await start.client.ends("forced close");
    assert.equal(await within(session.closed, "the end of the session"), "transport close");
    assert.deepEqual(session.all, numbered(200));
  });

  each("crash", "the server dies", async (start) => {
    const session = await ready(start);
    await session.echo("alive");
    await start.server.crash();
    await start.client.ends(mode === "polling" ? "transport error" : "transport close");
  });

  each("options", "path, query and header stand in every request", async ({ server, client }) => {
    const session = await ready({ server, client });
    await session.echo("alive");
    session.close();
    await client.ends("transport close");
    for (const { url, headers } of server.requests.all) {
      const { pathname, searchParams } = new URL(url, "http://a");
      assert.equal(pathname, "/custom/");
      assert.deepEqual([searchParams.get("foo"), searchParams.get("u")], ["bar baz", "€"]);
      assert.equal(headers["x-test"], "held");
    }
  }, { options: { path: "/custom/" } });

  // The reference client of revision 3 heeds neither option.
  if (!v3) {
    each("noslash", "no request has a slash behind its path", async ({ server, client }) => {
      const session = await ready({ server, client });
      await session.echo("alive");
      session.close();
      await client.ends("transport close");
      for (const { url } of server.requests.all) assert.equal(new URL(url, "http://a").pathname, "/engine.io");
    }, { options: { addTrailingSlash: false } });

    each("protocols", "subprotocols are offered, and the server's choice is taken", async ({ server, client }) => {
      const session = await ready({ server, client });
      await session.echo("alive");
      if (mode !== "polling") assert.equal(session.socket.transport.socket.protocol, "chat");
      session.close();
      await client.ends("transport close");
      for (const { headers } of server.requests.all) {
        const offered = headers["sec-websocket-protocol"]?.split(/, */);
        assert.deepEqual(offered, headers.upgrade ? ["chat", "v2.chat"] : undefined);
      }
    });
  }

  each("early", "what is sent before the session is open comes first", async (start) => {
    const session = await ready(start);
    session.send("!send later");
    await session.received([...numbered(3, { name: "early-" }), "later"]);
    session.close();
    await start.client.ends("transport close");
  });

  if (base64) return;
  scenario(`eio-${mode}-down${dialect}`, "nothing listens", {}, async (run) => {
    const listener = net.createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address();
    listener.close();
    await once(listener, "close");
    await run.client(`http://127.0.0.1:${port}`).fails();
  });
}

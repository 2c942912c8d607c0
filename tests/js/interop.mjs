// The server under test, driven by the official clients: both revisions of the protocol, each of the transports, and
// the upgrade between them; also behind proxies that break WebSockets. `harness.mjs` describes the command line.

import { describe } from "node:test";
import assert from "node:assert/strict";
import { Client, CLIENTS, MODES, using } from "./clients.mjs";
import { gone, scenario, within } from "./harness.mjs";
import { BINARIES, TEXTS } from "./messages.mjs";
import { proxy } from "./proxies.mjs";
import { pause } from "./waiting.mjs";

for (const [name, revision] of Object.entries(CLIENTS)) {
  const profile = revision === 4 ? "default" : "eio3";
  describe(name, () => {
    for (const mode of Object.keys(MODES)) describe(mode, () => everyMode({ revision, mode, profile }));
    describe("upgrade", () => upgrade({ revision, profile }));
    describe("options", () => options({ revision }));
  });
}

function everyMode({ revision, mode, profile }) {
  const each = (title, body, { differs, timeout } = {}) =>
    scenario(`${title} (${mode}, EIO=${revision})`, { profile, differs, timeout }, (server) =>
      using(new Client(server, revision, mode), (client) => body(client, server)),
    );

  each("texts come back unchanged", async (client) => {
    // Before the upgrade as well as after it.
    await client.event("open");
    await echo(client, TEXTS);
    await client.ready();
    await echo(client, TEXTS);
    if (mode !== "polling") await echo(client, ["a\u001eb"]); // the separator of payloads has no form in polling
  });

  each("binary messages come back unchanged", async (client) => {
    await client.event("open");
    await echo(client, BINARIES);
    await client.ready();
    await echo(client, BINARIES);
  });

  each("texts and binary messages keep their order", async (client) => {
    await client.ready();
    await echo(client, TEXTS.flatMap((text, i) => [text, BINARIES[i % BINARIES.length]]));
  });

  each("messages just below the limit of 1,000,000 bytes come back", async (client) => {
    await client.ready();
    await echo(client, ["x".repeat(999_900), "é".repeat(499_900)]);
    // Four thirds as long in polling: revision 4 has only base64 there, and on Node the client of revision 3 too.
    const size = client.transport === "polling" ? 749_900 : 999_900;
    await echo(client, [counting(size)]);
  });

  each("the server sends 1,000,000 bytes", async (client) => {
    await client.ready();
    client.send("!bin 1000000");
    assert.deepEqual(await client.messages.next("the binary message"), counting(1_000_000));
  });

  each("no message is lost, doubled or out of order", (client) => flood(client));

  each("the heartbeat keeps the session alive", async (client) => {
    await client.ready();
    await client.heartbeats(5);
    await echo(client, ["still here"]);
    assert.equal(client.saw("close"), false);
  });

  each(
    "a silent client is closed",
    async (client, server) => {
      await client.ready();
      client.fallSilent();
      assert.equal(await client.event("close", 3000), "transport close");
      await gone(server, client.sid, revision);
    },
    { differs: revision === 3 && mode === "upgrade" && "an upgraded session of revision 3 never times out" },
  );

  each("the server closes", async (client, server) => {
    await client.ready();
    client.send("!close");
    assert.equal(await client.event("close"), "transport close");
    await gone(server, client.sid, revision);
  });

  each("what was sent before a close arrives", async (client) => {
    await client.ready();
    client.send("!bye 500");
    assert.equal(await client.event("close"), "transport close");
    assert.deepEqual(client.messages.all, numbered("bye", 500));
  });

  each("the client closes", async (client, server) => {
    await client.ready();
    await echo(client, ["hello"]);
    client.close();
    assert.equal(await client.event("close"), "forced close");
    await gone(server, client.sid, revision);
  });

  each("what the client sent before its close is still served", async (client, server) => {
    await client.ready();
    for (const text of numbered("last", 50)) client.send(text);
    client.close();
    assert.equal(await client.event("close"), "forced close");
    await gone(server, client.sid, revision);
  });

  each("a delayed message finds its way", async (client) => {
    await client.ready();
    client.send("!later 120 in a while, 😀");
    assert.equal(await client.messages.next(), "in a while, 😀");
  });

  each("ten sessions at once are kept apart", async (first, server) => {
    const others = Array.from({ length: 9 }, () => new Client(server, revision, mode));
    try {
      await Promise.all([first, ...others].map(async (client, i) => {
        await client.event("open");
        await echo(client, numbered(`session-${i}`, 20));
        await client.ready();
      }));
      assert.equal(new Set([first, ...others].map((client) => client.sid)).size, 10);
    } finally {
      await Promise.all(others.map((client) => client.dispose()));
    }
  });
}

function upgrade({ revision, profile }) {
  const tag = `(EIO=${revision})`;

  scenario(`the session moves to WebSocket and keeps its id ${tag}`, { profile }, (server) =>
    using(new Client(server, revision, "upgrade"), async (client) => {
      await client.event("open");
      assert.equal(client.transport, "polling");
      await client.ready();
      assert.equal(client.transport, "websocket");
      assert.equal(client.socket.id, client.sid);
    }));

  scenario(`the heartbeat survives an upgrade at any moment ${tag}`, { profile }, async (server) => {
    // A heartbeat takes 300 ms: of ten upgrades, one every 30 ms of it, some meet a ping or pong on its way.
    await Promise.all(Array.from({ length: 10 }, (_, i) =>
      using(new Client(server, revision, "upgrade", { upgrade: false }), async (client) => {
        await client.event("open");
        await pause(300 + i * 30);
        client.upgradeNow();
        await client.ready();
        await client.heartbeats(3);
        await echo(client, ["alive"]);
      }),
    ));
  });

  for (const fate of ["cut", "cut-late", "swallow"]) {
    scenario(`behind a proxy that does "${fate}" the session lives on polling ${tag}`, { profile }, async (server) => {
      const between = await proxy(server.port, fate);
      try {
        await using(new Client({ ...server, port: between.port }, revision, "upgrade"), async (client) => {
          await flood(client, () => between.switched() > 0 && (fate === "swallow" || client.saw("upgradeError")));
          await client.heartbeats(4);
          await echo(client, TEXTS);
          await echo(client, BINARIES);
          assert.deepEqual([client.transport, client.saw("upgrade"), client.saw("close")], ["polling", false, false]);
        });
      } finally {
        await between.close();
      }
    });
  }
}

function options({ revision }) {
  const tag = `(EIO=${revision})`;
  if (revision === 3) {
    for (const mode of Object.keys(MODES)) {
      scenario(`revision 3 is refused where it is not allowed (${mode})`, {}, (server) =>
        using(new Client(server, 3, mode), async (client) => {
          await client.event("close");
          assert.equal(client.saw("open"), false);
          assert.match((await client.event("error")).message, mode === "websocket" ? /websocket error/ : /xhr poll error/);
        }));
    }
    return;
  }

  for (const mode of Object.keys(MODES)) {
    scenario(`revision 4 is served beside revision 3 (${mode})`, { profile: "eio3" }, (server) =>
      using(new Client(server, 4, mode), async (client) => {
        await client.ready();
        await echo(client, TEXTS);
        await echo(client, BINARIES);
        await client.heartbeats(2);
      }));

    scenario(`a path of one's own, and an initial message (${mode})`, { profile: "opts" }, (server) =>
      using(new Client(server, 4, mode), async (client) => {
        assert.equal(await client.messages.next("the initial message"), "initial");
        await client.ready();
        await echo(client, TEXTS);
        await client.heartbeats(2);
      }));

    for (const deny of ["1", "later", "not today"]) {
      scenario(`a handshake is refused: deny=${deny} (${mode})`, {
        profile: "opts",
        differs: mode === "websocket" && "it refuses a WebSocket with 400 whatever the reason",
      }, (server) =>
        using(new Client(server, 4, mode, { query: { deny } }), async (client) => {
          await client.event("close");
          assert.equal(client.saw("open"), false);
          const { message, status } = await client.event("error");
          if (mode === "websocket") assert.match(status.message, /403/);
          else assert.deepEqual([message, status], ["xhr poll error", 403]);
        }));
    }
  }

  scenario(`the client fills its payloads up to maxPayload and not beyond ${tag}`, { profile: "opts" }, (server) =>
    using(new Client(server, 4, "polling"), async (client) => {
      await client.messages.next("the initial message");
      await echo(client, numbered("a message of some length, many of which exceed the limit together", 200));
      assert.equal(client.saw("close"), false);
    }));

  scenario(`a message beyond maxPayload ends the session of a polling client with 413 ${tag}`, { profile: "opts" }, (server) =>
    using(new Client(server, 4, "polling"), async (client) => {
      await client.event("open");
      client.send("x".repeat(1000));
      assert.equal(await client.event("close"), "transport error");
      assert.deepEqual(await client.event("error"), { message: "xhr post error", status: 413 });
    }));

  scenario(`a stalled upgrade is given up, the session stays ${tag}`, { profile: "opts" }, async (server) => {
    const between = await proxy(server.port, "swallow");
    try {
      await using(new Client({ ...server, port: between.port }, 4, "upgrade"), async (client) => {
        await client.event("open");
        await client.heartbeats(4); // 1.2 s: three times the upgradeTimeout of 400 ms
        assert.equal(between.switched(), 1);
        assert.equal(client.transport, "polling");
        client.send("!burst 100");
        await client.messages.until(() => client.messages.all.length >= 101, "all messages");
        assert.deepEqual(client.messages.all, ["initial", ...numbered("burst", 100)]);
      });
    } finally {
      await between.close();
    }
  });

  scenario(`where upgrades are off the client stays on polling ${tag}`, { profile: "noupgrade" }, (server) =>
    using(new Client(server, 4, "upgrade"), async (client) => {
      assert.deepEqual((await client.event("handshake")).upgrades, []);
      await client.heartbeats(2);
      await echo(client, TEXTS);
      assert.deepEqual([client.transport, client.saw("upgrading")], ["polling", false]);
    }));

  scenario(`where WebSocket is the only transport it is served ${tag}`, { profile: "wsonly" }, (server) =>
    using(new Client(server, 4, "websocket"), async (client) => {
      await client.ready();
      await echo(client, TEXTS);
      await echo(client, BINARIES);
    }));

  scenario(`where WebSocket is the only transport polling is refused ${tag}`, { profile: "wsonly" }, (server) =>
    using(new Client(server, 4, "polling"), async (client) => {
      assert.equal(await client.event("close"), "transport error");
      assert.deepEqual(await client.event("error"), { message: "xhr poll error", status: 400 });
    }));

  scenario(`a client that tries all transports finds the one there is ${tag}`, { profile: "wsonly" }, (server) =>
    using(new Client(server, 4, "upgrade", { tryAllTransports: true }), async (client) => {
      await client.event("open");
      assert.equal(client.transport, "websocket");
      await echo(client, TEXTS);
    }));
}

/** Sends the messages at once and waits for exactly them. */
async function echo(client, sent) {
  const before = client.messages.all.length;
  for (const message of sent) client.send(message);
  for (const message of sent) {
    const back = await client.messages.next(`the echo of ${preview(message)}`);
    // Not deepEqual right away: its report of a difference in a megabyte takes minutes.
    if (message.length > 1000) assert.ok(same(back, message), `${preview(message)} came back as ${preview(back)}`);
    else assert.deepEqual(back, message);
  }
  assert.equal(client.messages.all.length, before + sent.length);
}

function same(a, b) {
  return typeof a === "string" ? a === b : Buffer.isBuffer(b) && a.equals(b);
}

function preview(message) {
  return typeof message === "string"
    ? `${JSON.stringify(message.slice(0, 40))} (${message.length} characters)`
    : `${message.length} bytes`;
}

/**
 * Numbered messages in both directions from before the session is open until `over` (by default: until the mode's last
 * transport is reached), at least 1000, fifty per millisecond; and two streams that the server makes by itself. Each
 * stream has to arrive whole and in order.
 */
async function flood(client, over = () => client.mode !== "upgrade" || client.saw("upgrade")) {
  const sent = [];
  const streams = { burst: 1000, tick: 200 };
  client.send("!burst 1000");
  client.send("!ticks 200 1");
  await within(
    new Promise((resolve, reject) => {
      const timer = setInterval(() => {
        if (client.saw("close")) return clearInterval(timer), reject(new Error(`closed: ${JSON.stringify(client.events.all)}`));
        if (sent.length >= 1000 && over()) return clearInterval(timer), resolve();
        // Slower than the loop of the test can answer, a backlog would grow that says nothing about the server.
        if (sent.length - client.messages.all.length > 20_000) return;
        for (let i = 0; i < 50; i++) {
          // Every seventh is binary; the number stands in its text form either way.
          const text = `m-${sent.length}`;
          client.send(sent.length % 7 === 3 ? Buffer.from(text) : text);
          sent.push(text);
        }
      }, 1);
    }),
    "the end of connecting",
    20_000,
  );

  const total = sent.length + streams.burst + streams.tick;
  await client.messages.until(() => client.messages.all.length >= total, `${total} messages`, 20_000);
  const of = (name) => client.messages.all.map(String).filter((text) => text.startsWith(`${name}-`));
  assert.deepEqual(of("burst"), numbered("burst", streams.burst));
  assert.deepEqual(of("tick"), numbered("tick", streams.tick));
  assert.deepEqual(of("m"), sent);
  assert.equal(client.messages.all.length, total);
  client.messages.skip();
  for (const message of client.messages.all) {
    const number = /^m-(\d+)$/.exec(String(message))?.[1];
    if (number !== undefined) assert.equal(Buffer.isBuffer(message), number % 7 === 3, `the kind of ${message}`);
  }
}

function numbered(name, n) {
  return Array.from({ length: n }, (_, i) => `${name}-${i}`);
}

function counting(size) {
  return Buffer.alloc(size).map((_, i) => i);
}

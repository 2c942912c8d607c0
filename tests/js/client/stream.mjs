// The upgrade with the reference server while messages stream both ways, and behind proxies that break WebSockets.

import assert from "node:assert/strict";
import { within } from "../waiting.mjs";
import { proxy } from "../proxies.mjs";
import { engine, HEARTBEAT } from "./engine.mjs";
import { numbered, scenario } from "./harness.mjs";

export default function () {
  for (const dialect of ["", "-v3"]) {
    const options = { allowEIO3: dialect === "-v3", ...HEARTBEAT };

    scenario(`eio-upgrade-order${dialect}`, "1000 messages each way at once, while it connects", {}, async (run) => {
      const server = await engine(run, options);
      const client = run.client(server.url);
      const session = await server.accept();
      const messages = numbered(1000, { name: "s", binary: true });
      session.send("!burst 1000", ...messages);
      await session.received(numbered(1000, { binary: true }));
      await client.printed(messages);
      await client.event("upgrade");
      session.close();
      await client.ends("transport close");
    });

    // The upgrade meets the stream at another moment each time.
    for (const pause of [0, 2, 5]) {
      scenario(`eio-upgrade-stream${dialect}`, `a stream both ways, every ${pause} ms, until the upgrade and beyond`, {}, async (run) => {
        const server = await engine(run, options);
        const client = run.client(server.url);
        const session = await server.accept();
        const upgraded = () => session.socket.transport.name === "websocket";
        const sent = [];
        for (let beyond = 0; beyond < 50 || sent.length < 1000; ) {
          for (let i = 0; i < 10; i++) {
            const text = `n${sent.length}`;
            session.send(text, `!send ${text}`);
            sent.push(text);
          }
          if (upgraded()) beyond += 1;
          await new Promise((resolve) => (pause === 0 ? setImmediate(resolve) : setTimeout(resolve, pause)));
          assert.equal(session.reason, undefined);
          // Faster than the client can be, a backlog would grow that says nothing about it.
          const backlog = () => sent.length - session.all.length;
          if (backlog() > 2000) await session.until(() => backlog() < 1000, "the client keeps up");
        }
        await session.received(sent);
        await client.printed(sent);
        assert.equal(client.saw("upgrade"), true);
        session.close();
        await client.ends("transport close");
      });
    }

    for (const fate of ["cut", "cut-late", "swallow"]) {
      scenario(`eio-upgrade-proxy${dialect}`, `behind a proxy that does "${fate}" the session lives on polling`, {}, async (run) => {
        const server = await engine(run, options);
        const between = await proxy(server.port, fate);
        run.after(() => between.close());
        const client = run.client(`http://127.0.0.1:${between.port}`);
        const session = await server.accept();
        const sent = [];
        // A few at a time: each turn is a round trip, of which a loaded machine makes few in a second.
        while (between.switched() === 0 || sent.length < 100) {
          const texts = Array.from({ length: 10 }, (_, i) => `n${sent.length + i}`);
          session.send(...texts);
          await session.echo(texts.at(-1));
          sent.push(...texts);
        }
        // A few heartbeats and many messages later it is still there.
        const beats = session.pongs;
        while (session.pongs < beats + 4) await session.echo(`beat ${session.all.length}`);
        await client.printed(sent);
        assert.equal(session.socket.transport.name, "polling");
        session.send("!close");
        await client.ends("forced close");
        assert.equal(await within(session.closed, "the end of the session"), "transport close");
        assert.equal(client.saw("upgrade"), false);
      });
    }
  }
}

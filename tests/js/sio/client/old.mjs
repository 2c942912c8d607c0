// The client with a server of Socket.IO 2, whose packets and heartbeat are others.

import assert from "node:assert/strict";
import { connected, official } from "./official.mjs";
import { MODES, scenario } from "./harness.mjs";

const BYTES = Buffer.from([0, 1, 2, 0x1e, 0xff]);

/** Values that come unchanged both ways. */
const VALUES = ["", "é€漢😀", -1.5, true, null, [1, [2, ["x"]]], { a: { "b c": [null] } }, BYTES, { a: [BYTES, BYTES] }];

const OPTIONS = { differs: "its client 4.8 speaks to no server of Socket.IO 2" };

export default function () {
  for (const mode of MODES) {
    const name = `sio-${mode}-eio3`;
    const upgraded = (peer) => mode === "upgrade" && peer.upgraded();

    scenario(name, "events and acknowledgements with Socket.IO 2, both ways", OPTIONS, async (run) => {
      const { client, peer } = await connected(run, { old: true });
      assert.equal(client.of("connect")[0].id, peer.id);
      const events = [["none"], ["all", ...VALUES], ...VALUES.map((value) => ["one", value])];
      const exchange = async (times) => {
        for (const event of events) peer.emit(...event);
        await client.printed(Array(times).fill(events).flat());
        for (const [name, ...args] of events) peer.tell("emit", name, args);
        await peer.received(Array(times).fill(events).flat());
      };
      await exchange(1);
      await upgraded(peer);
      await exchange(2);
      assert.deepEqual(await peer.ask("asked", BYTES), ["ack", BYTES]);
      peer.tell("emit-ack", "question", ["a", BYTES]);
      const { name, args } = await client.event("ack");
      assert.deepEqual([name, args], ["question", ["a", { $bin: BYTES.toString("base64") }]]);
      await peer.dismisses(client);
    });

    scenario(name, "a client that nobody talks to stays on a server of Socket.IO 2", OPTIONS, async (run) => {
      const { client, peer } = await connected(run, { old: true, pingInterval: 100, pingTimeout: 10_000 });
      await peer.pongs.until(() => peer.pongs.all.length >= 5, "five pings of the client");
      assert.deepEqual(client.kinds, ["connect"]);
      await peer.dismisses(client);
    });

    scenario(name, "a server of Socket.IO 2 restarts, and gets what was emitted meanwhile", OPTIONS, async (run) => {
      const { client, peer, server } = await connected(run, { old: true });
      for (const n of [1, 2, 3]) peer.tell("emit-offline", "kept", [n]);
      await peer.ask("told");
      await upgraded(peer);
      await server.crash();
      await client.event("disconnect");
      const next = await (await official(run, { old: true, port: server.port })).accept();
      await next.received([["kept", 1], ["kept", 2], ["kept", 3]]);
      assert.equal((await client.lines("connect", 2))[1].id, next.id);
      await next.dismisses(client);
    });
  }

  scenario("sio-websocket-eio3", "a server of Socket.IO 2 disconnects the client for good", OPTIONS, async (run) => {
    const { client, peer } = await connected(run, { old: true });
    peer.socket.disconnect();
    await client.ends([{ event: "disconnect", nsp: "/", reason: "io server disconnect" }]);
  });

  scenario("sio-websocket-eio3-nsp", "two namespaces of a server of Socket.IO 2", OPTIONS, async (run) => {
    const server = await official(run, { old: true });
    const client = run.client(server.url);
    const peers = [await server.accept(), await server.accept()];
    const lines = await client.lines("connect", 2);
    for (const { socket, id } of peers) assert.equal(lines.find(({ nsp }) => nsp === socket.nsp.name).id, id);
    const custom = peers.find(({ socket }) => socket.nsp.name === "/custom");
    custom.emit("hello", BYTES);
    await client.printed([["hello", BYTES]], "/custom");
    custom.tell("emit", "echo", ["x"]);
    await custom.received([["echo", "x"]]);
    custom.tell("exit");
    await client.ends();
    for (const peer of peers) assert.equal(await peer.reason(), "client namespace disconnect");
  });

  scenario("sio-websocket-eio3-unknown", "a server of Socket.IO 2 has no such namespace", OPTIONS, async (run) => {
    const server = await official(run, { old: true });
    const client = run.client(server.url);
    await client.ends([{ event: "connect_error", nsp: "/nope", message: "Invalid namespace", data: null }]);
  });
}

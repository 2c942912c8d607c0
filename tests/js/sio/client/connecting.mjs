// How namespaces are connected, refused and left, with the reference server.

import assert from "node:assert/strict";
import { connected, official } from "./official.mjs";
import { MODES, scenario } from "./harness.mjs";

export default function () {
  scenario("sio-websocket-auth", "the server gets the payload", {}, async (run) => {
    const { client, peer } = await connected(run);
    assert.deepEqual(peer.socket.handshake.auth, { token: "s3cret", user: "rust" });
    assert.equal(peer.socket.nsp.name, "/secret");
    assert.deepEqual(client.of("connect").map((line) => [line.nsp, line.id]), [["/secret", peer.id]]);
    assert.deepEqual(await peer.ask("asked", 1), ["ack", 1]);
    await peer.dismisses(client);
  });

  scenario("sio-websocket-badauth", "a refusal comes with its data, and is final", {}, async (run) => {
    const server = await official(run);
    const client = run.client(server.url);
    const data = { code: "E_AUTH", retry: false };
    await client.ends([{ event: "connect_error", nsp: "/secret", message: "not authorized", data }]);
    assert.deepEqual(client.kinds, ["connect_error", "done"]);
  });

  scenario("sio-polling-unknown", "a namespace that is not there is refused", {}, async (run) => {
    const server = await official(run);
    const client = run.client(server.url);
    await client.ends([{ event: "connect_error", nsp: "/nope", message: "Invalid namespace", data: null }]);
    assert.deepEqual(client.kinds, ["connect_error", "done"]);
  });

  for (const mode of ["upgrade", "websocket"]) {
    scenario(`sio-${mode}-nsp`, "two namespaces share a connection, and one is left alone", {}, async (run) => {
      const server = await official(run);
      const client = run.client(server.url);
      const peers = [await server.accept(), await server.accept()];
      await client.lines("connect", 2);
      const [main, custom] = peers.sort((a, b) => a.socket.nsp.name.length - b.socket.nsp.name.length);
      assert.deepEqual(peers.map(({ socket }) => socket.nsp.name), ["/", "/custom"]);
      assert.equal(main.socket.conn, custom.socket.conn);
      const ids = client.of("connect").map(({ nsp, id }) => [nsp, id]).sort();
      assert.deepEqual(ids, [["/", main.id], ["/custom", custom.id]]);

      for (const [peer, nsp] of [[main, "/"], [custom, "/custom"]]) {
        peer.emit("to", nsp);
        await client.printed([["to", nsp]], nsp);
        peer.tell("emit", "from", [nsp]);
        await peer.received([["from", nsp]]);
        assert.deepEqual(await peer.ask("asked", nsp), ["ack", nsp]);
      }

      custom.tell("disconnect");
      assert.equal(await custom.reason(), "client namespace disconnect");
      assert.deepEqual(await client.event("disconnect"), { event: "disconnect", nsp: "/custom", reason: "io client disconnect" });
      assert.deepEqual(await main.ask("still there"), ["ack"]);
      await main.dismisses(client);
      assert.equal(server.accepted.all.length, 2);
    });
  }

  scenario("sio-websocket-client-disconnect", "the client leaves, and does not come back", {}, async (run) => {
    const { server, client, peer } = await connected(run);
    peer.tell("emit", "before", []);
    peer.tell("disconnect");
    assert.equal(await peer.reason(), "client namespace disconnect");
    assert.deepEqual(peer.all, [["before"]]);
    await client.ends([{ event: "disconnect", nsp: "/", reason: "io client disconnect" }]);
    assert.deepEqual(client.kinds, ["connect", "disconnect", "done"]);
    assert.equal(server.accepted.all.length, 1);
  });

  for (const mode of MODES) {
    for (const close of [false, true]) {
      const title = `the server ${close ? "ends the connection" : "disconnects the namespace"}, and the client does not come back`;
      scenario(`sio-${mode}-server-disconnect`, title, {}, async (run) => {
        const { server, client, peer } = await connected(run);
        if (mode === "upgrade") await peer.upgraded();
        peer.emit("before", 1);
        peer.socket.disconnect(close);
        await client.ends([{ event: "disconnect", nsp: "/", reason: "io server disconnect" }]);
        assert.deepEqual(client.kinds, ["connect", "event", "disconnect", "done"]);
        assert.equal(server.accepted.all.length, 1);
      });
    }
  }
}

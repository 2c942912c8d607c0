// A server of Socket.IO that does what a test says, packet by packet, on the scripted server of Engine.IO.

import { openPacket, script } from "../../client/script.mjs";

export { openPacket, script } from "../../client/script.mjs";

/** Takes the next WebSocket of the client, and opens a session on it. `changes` are those of the open packet. */
export async function session(box, changes = {}) {
  const upgrade = await box.upgrades.next("the handshake");
  const peer = upgrade.accept();
  peer.send(openPacket(changes));
  return peer;
}

/** A session on WebSocket that is connected to `/`. */
export async function connected(run, changes) {
  const box = await script(run);
  const client = run.client(box.url);
  const peer = await session(box, changes);
  await joins(peer);
  await client.event("connect");
  return { box, client, peer };
}

/** Connects the client to a namespace. */
export async function joins(peer, nsp = "/") {
  const name = nsp === "/" ? "" : `${nsp},`;
  await peer.expect(`40${name}`);
  peer.send(`40${name}{"sid":"id of ${nsp}"}`);
}

/** An event of the server that the client obeys. */
export const command = (...args) => `42${JSON.stringify(["cmd", ...args])}`;

/** Tells the client to end. */
export async function dismisses(peer, client) {
  peer.send(command("exit"));
  await client.ends();
}

// The official clients against a server that echoes, whatever else it says in texts that begin with "tick ".
//
//   PORT=3000 node echoes.mjs --server true
//   PORT=3000 REVISION=3 node echoes.mjs --server true

import assert from "node:assert/strict";
import { CLIENTS, Client, MODES, using } from "./clients.mjs";

const server = { port: Number(process.env.PORT), path: "/engine.io/" };
const REVISION = Number(process.env.REVISION ?? 4);
const MESSAGES = ["hello", "", "€ \u{1f600}", Buffer.from([0, 1, 2, 255]), "x".repeat(100_000), Buffer.alloc(100_000, 7)];

assert.ok(Object.values(CLIENTS).includes(REVISION));
for (const mode of Object.keys(MODES)) {
  await using(new Client(server, REVISION, mode), async (client) => {
    await client.ready();
    const echoes = () => client.messages.all.filter((message) => typeof message !== "string" || !message.startsWith("tick "));
    for (const message of MESSAGES) client.send(message);
    await client.messages.until(() => echoes().length >= MESSAGES.length, `${mode}: ${MESSAGES.length} echoes`);
    assert.deepEqual(echoes(), MESSAGES, mode);
    // One by one, so that there is a way back for each.
    for (let i = 0; i < 5; i++) {
      client.send(`again ${i}`);
      await client.messages.until(() => echoes().at(-1) === `again ${i}`, `${mode}: echo ${i}`);
    }
    assert.equal(client.transport, MODES[mode].at(-1));
  });
}
console.log("echoes: ok");

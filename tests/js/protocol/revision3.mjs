// Revision 3 of the protocol: its payloads in text and in binary form, and its frames.

import { describe } from "node:test";
import assert from "node:assert/strict";
import { Frames, gone, Polling, scenario } from "../harness.mjs";

const profile = "eio3";
const BINARY = { headers: { "content-type": "application/octet-stream" } };
const open3 = (server, query = {}) => Polling.open(server, { EIO: 3, ...query });
const socket3 = (server, query = {}) => Frames.open(server, { EIO: 3, ...query });

describe("revision 3: polling", () => {
  scenario("the open packet has its length before it", { profile }, async (server) => {
    const { answer, handshake } = await open3(server);
    const packet = `0${JSON.stringify(handshake)}`;
    assert.equal(answer.text, `${packet.length}:${packet}`);
    assert.deepEqual(Object.keys(handshake), ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]);
    assert.equal(answer.headers["content-type"], "text/plain; charset=UTF-8");
  });

  scenario("lengths count UTF-16 code units", { profile }, async (server) => {
    const session = await open3(server);
    await session.say("2:4€3:4😀1:4");
    assert.equal((await session.poll()).text, "2:4€3:4😀1:4");
  });

  scenario("bytes are base64 for those who ask for it", { profile }, async (server) => {
    const session = await open3(server, { b64: 1 });
    await session.say("2:4€3:4😀10:b4AQIDBA==");
    const { text, headers } = await session.poll();
    assert.equal(text, "2:4€3:4😀10:b4AQIDBA==");
    assert.equal(headers["content-type"], "text/plain; charset=UTF-8");
  });

  scenario("a batch with bytes in it is binary", { profile }, async (server) => {
    const session = await open3(server);
    const payload = Buffer.from("0004ff34e282ac0005ff34f09f98800105ff0401020304", "hex");
    await session.say(payload, BINARY);
    const { bytes, headers } = await session.poll();
    assert.equal(bytes.toString("hex"), payload.toString("hex"));
    assert.equal(headers["content-type"], "application/octet-stream");
    assert.equal(headers["content-length"], String(payload.length));
  });

  scenario("a binary payload of texts alone is answered as text", { profile }, async (server) => {
    const session = await open3(server);
    await session.say(Buffer.from("0004ff34e282ac", "hex"), BINARY);
    assert.equal((await session.poll()).text, "2:4€");
  });

  scenario("a length of several digits in a binary payload", { profile }, async (server) => {
    const session = await open3(server);
    session.say("9:4!bin 300");
    const { bytes } = await session.poll();
    assert.equal(bytes.subarray(0, 6).toString("hex"), "01030001ff04");
    assert.deepEqual(bytes.subarray(6), Buffer.alloc(300).map((_, i) => i));
  });

  scenario("a ping is answered with a bare pong", { profile }, async (server) => {
    const session = await open3(server);
    await session.say("1:2");
    assert.equal((await session.poll()).text, "1:3");
    await session.say("4:2abc");
    assert.equal((await session.poll()).text, "1:3");
  });

  scenario("the client closes: its poll gets `6`", { profile }, async (server) => {
    const session = await open3(server);
    const { poll } = await session.pending();
    await session.say("1:1");
    assert.equal((await poll).text, "1:6");
    await gone(server, session.sid, 3);
  });

  scenario("the server closes", { profile }, async (server) => {
    const waiting = await open3(server);
    const { poll } = await waiting.pending();
    await waiting.say("7:4!close");
    assert.equal((await poll).text, "1:1");
    const other = await open3(server);
    await other.say("7:4!close");
    assert.equal((await other.poll()).text, "1:61:1");
    await gone(server, other.sid, 3);
  });

  scenario("`0:` is a packet that is not there", { profile }, async (server) => {
    const session = await open3(server);
    await session.say("0:2:4a0:");
    assert.equal((await session.poll()).text, "2:4a");
  });

  const malformed = ["", "x", "4hello", "2:4", "1:4a", "2:4a3", ":4a", "-1:4a", "1:9"];
  for (const body of malformed) {
    scenario(`a malformed payload closes the session: ${JSON.stringify(body)}`, { profile }, async (server) => {
      const session = await open3(server);
      await session.post(body);
      await gone(server, session.sid, 3);
    });
  }

  for (const body of ["2.0:4a", "0x2:4a", " 2:4a", "+2:4a", "2e0:4a"]) {
    scenario(`a length is decimal digits and nothing else: ${JSON.stringify(body)}`, {
      profile,
      differs: "it accepts whatever JavaScript reads as a number",
    }, async (server) => {
      const session = await open3(server);
      assert.equal((await session.post(body)).status, 400);
      await gone(server, session.sid, 3);
    });
  }

  scenario("a pong of the client closes the session", { profile }, async (server) => {
    const session = await open3(server);
    await session.post("1:3");
    await gone(server, session.sid, 3);
  });

  scenario("a binary length without end closes the session", { profile }, async (server) => {
    const session = await open3(server);
    await session.post(Buffer.concat([Buffer.from([0]), Buffer.alloc(400, 1)]), BINARY);
    await gone(server, session.sid, 3);
  });
});

describe("revision 3: WebSocket", () => {
  scenario("texts and bytes", { profile }, async (server) => {
    const socket = await socket3(server);
    socket.send("4€😀");
    assert.equal(await socket.text(), "4€😀");
    socket.send(Buffer.from([4, 1, 2, 3])); // the first byte is the type
    assert.deepEqual((await socket.next()).binary, Buffer.from([4, 1, 2, 3]));
    socket.send("b4AQID");
    assert.deepEqual((await socket.next()).binary, Buffer.from([4, 1, 2, 3]));
    socket.drop();
  });

  scenario("bytes are base64 for those who ask for it", { profile }, async (server) => {
    const socket = await socket3(server, { b64: 1 });
    socket.send("4!bin 3");
    assert.equal(await socket.text(), "b4AAEC");
    socket.drop();
  });

  scenario("a ping in text or in bytes is answered", { profile }, async (server) => {
    const socket = await socket3(server);
    for (const ping of ["2", "2abc", Buffer.from([2])]) {
      socket.send(ping);
      assert.equal(await socket.text(), "3");
    }
    socket.drop();
  });

  scenario("an empty binary frame, and one of an unknown type, are ignored", { profile }, async (server) => {
    const socket = await socket3(server);
    socket.send(Buffer.alloc(0));
    socket.send(Buffer.from([9, 1]));
    socket.send("4still here");
    assert.equal(await socket.text(), "4still here");
    socket.drop();
  });
});

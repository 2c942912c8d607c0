// The WebSocket transport, frame by frame.

import { describe } from "node:test";
import assert from "node:assert/strict";
import { Frames, gone, scenario } from "../harness.mjs";

async function within(server, query, body) {
  const socket = await Frames.open(server, query);
  try {
    await body(socket);
  } finally {
    socket.drop();
  }
}

describe("WebSocket: messages", () => {
  scenario("a packet is a frame: texts as text, bytes as they are", {}, (server) =>
    within(server, {}, async (socket) => {
      socket.send("4€😀");
      assert.equal(await socket.text(), "4€😀");
      socket.send("4");
      assert.equal(await socket.text(), "4");
      for (const bytes of [[], [4], [1, 2, 3], Array(300).fill(255)]) {
        socket.send(Buffer.from(bytes));
        assert.deepEqual((await socket.next()).binary, Buffer.from(bytes));
      }
    }));

  scenario("a text that begins with `b` is bytes in base64", {}, (server) =>
    within(server, {}, async (socket) => {
      socket.send("bAQIDBA==");
      assert.deepEqual((await socket.next()).binary, Buffer.from([1, 2, 3, 4]));
    }));

  for (const b64 of ["1", "true", "0"]) {
    scenario(`bytes are base64 for those who ask for it: b64=${b64}`, {}, (server) =>
      within(server, { b64 }, async (socket) => {
        socket.send("4!bin 3");
        assert.equal(await socket.text(), "bAAEC");
      }));
  }

  scenario("an empty b64 asks for nothing", {}, (server) =>
    within(server, { b64: "" }, async (socket) => {
      socket.send("4!bin 3");
      assert.deepEqual((await socket.next()).binary, Buffer.from([0, 1, 2]));
    }));

  scenario("a message in fragments, with a ping between them", {}, (server) =>
    within(server, {}, async (socket) => {
      const pong = new Promise((resolve) => socket.socket.once("pong", resolve));
      socket.socket.send("4frag", { fin: false });
      socket.socket.ping("here?");
      socket.socket.send("ments", { fin: true });
      assert.equal(await socket.text(), "4fragments");
      assert.equal((await pong).toString(), "here?");
    }));

  scenario("many messages in one go", {}, (server) =>
    within(server, {}, async (socket) => {
      const texts = Array.from({ length: 2000 }, (_, i) => `4${i}`);
      for (const text of texts) socket.send(text);
      for (const text of texts) assert.equal(await socket.text(), text);
    }));

  for (const packet of ["0", "0{}", "5", "6", "6x"]) {
    scenario(`a packet that means nothing here is ignored: ${packet}`, {}, (server) =>
      within(server, {}, async (socket) => {
        socket.send(packet);
        socket.send("4still here");
        assert.equal(await socket.text(), "4still here");
      }));
  }
});

describe("WebSocket: the limit of a message", () => {
  for (const [profile, limit] of [["default", 1_000_000], ["opts", 1000]]) {
    scenario(`${limit} bytes are accepted`, { profile }, (server) =>
      within(server, {}, async (socket) => {
        if (profile === "opts") await socket.text("the initial message");
        socket.send(`4${"x".repeat(limit - 1)}`);
        assert.equal((await socket.text()).length, limit);
        socket.send(Buffer.alloc(limit, 7));
        assert.equal((await socket.next()).binary.length, limit);
      }));

    scenario(`${limit + 1} bytes end the session with 1009`, { profile }, (server) =>
      within(server, {}, async (socket) => {
        socket.send(Buffer.alloc(limit + 1));
        assert.equal(await socket.closed(), 1009);
        await gone(server, socket.sid);
      }));

    scenario(`so do ${limit + 1} bytes in fragments`, { profile }, (server) =>
      within(server, {}, async (socket) => {
        socket.socket.send(Buffer.alloc(limit - 10), { fin: false });
        socket.socket.send(Buffer.alloc(11), { fin: true });
        assert.equal(await socket.closed(), 1009);
        await gone(server, socket.sid);
      }));
  }
});

describe("WebSocket: close", () => {
  for (const packet of ["abc", "7", "", "x4"]) {
    scenario(`a malformed packet closes without a code: ${JSON.stringify(packet)}`, {}, (server) =>
      within(server, {}, async (socket) => {
        socket.send(packet);
        assert.equal(await socket.closed(), 1005);
        await gone(server, socket.sid);
      }));
  }

  scenario("base64 that is none is malformed", { differs: "it skips what it does not know" }, (server) =>
    within(server, {}, async (socket) => {
      socket.send("bAQ!D");
      assert.equal(await socket.closed(), 1005);
    }));

  scenario("text that is not UTF-8 closes with 1007", {}, (server) =>
    within(server, {}, async (socket) => {
      socket.socket.send(Buffer.from([0x34, 0xff, 0xfe]), { binary: false });
      assert.equal(await socket.closed(), 1007);
      await gone(server, socket.sid);
    }));

  scenario("a frame with reserved bits closes with 1002, and the server lives on", {}, async (server) => {
    await within(server, {}, async (socket) => {
      socket.socket._socket.write(Buffer.from([0xc1, 0x81, 0, 0, 0, 0, 0x34]));
      assert.equal(await socket.closed(), 1002);
      await gone(server, socket.sid);
    });
    await within(server, {}, async () => {});
  });

  scenario("a frame without a mask closes with 1002", {}, (server) =>
    within(server, {}, async (socket) => {
      socket.socket._socket.write(Buffer.from([0x81, 0x01, 0x34]));
      assert.equal(await socket.closed(), 1002);
    }));

  scenario("the close packet ends the session", { differs: "it ignores the close packet on WebSocket" }, (server) =>
    within(server, {}, async (socket) => {
      socket.send("1");
      assert.equal(await socket.closed(), 1005);
      await gone(server, socket.sid);
    }));

  scenario("the server closes with a close frame and no close packet", {}, (server) =>
    within(server, {}, async (socket) => {
      socket.send("4!close");
      assert.deepEqual(await socket.next(), { close: 1005 });
      await gone(server, socket.sid);
    }));

  scenario("what was sent before the close comes before the close", {}, (server) =>
    within(server, {}, async (socket) => {
      socket.send("4!bye 100");
      for (let i = 0; i < 100; i++) assert.equal(await socket.text(), `4bye-${i}`);
      assert.deepEqual(await socket.next(), { close: 1005 });
    }));

  for (const code of [undefined, 1000, 1001, 3000]) {
    scenario(`the client closes: ${code ?? "no code"}`, {}, (server) =>
      within(server, {}, async (socket) => {
        socket.socket.close(code);
        assert.equal(await socket.closed(), code ?? 1005); // the server gives back what it got
        await gone(server, socket.sid);
      }));
  }

  scenario("a connection that breaks off ends the session", {}, async (server) => {
    const socket = await Frames.open(server);
    socket.drop();
    await gone(server, socket.sid);
  });
});

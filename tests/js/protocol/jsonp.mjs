// JSONP: polling for browsers without cross-origin requests. The answer is a script that calls `___eio[j]`.

import { describe } from "node:test";
import assert from "node:assert/strict";
import { assertRefused, Polling, request, scenario, target } from "../harness.mjs";

const form = (d, session) =>
  session.post(new URLSearchParams({ d }).toString(), { headers: { "content-type": "application/x-www-form-urlencoded" } });

describe("JSONP", () => {
  for (const [profile, EIO] of [["default", 4], ["eio3", 3]]) {
    scenario(`packets travel as a script (EIO=${EIO})`, { profile }, async (server) => {
      const session = await Polling.open(server, { EIO, j: 0, b64: 1 });
      assert.match(session.answer.text, /^___eio\[0\]\("(\d+:)?0\{\\"sid\\":.*\}"\);$/);
      assert.equal(session.answer.headers["content-length"], String(session.answer.bytes.length));
      assert.equal(session.answer.headers["cache-control"], "no-store");
      const answer = await form(EIO === 4 ? '4say "hi" €😀' : '13:4say "hi" €😀', session);
      assert.deepEqual([answer.status, answer.text], [200, "ok"]);
      const poll = await session.poll();
      assert.deepEqual(poll.packets, ['4say "hi" €😀']);
      assert.equal(poll.text, EIO === 4 ? `___eio[0]("4say \\"hi\\" €😀");` : `___eio[0]("13:4say \\"hi\\" €😀");`);
    });
  }

  scenario("the answer is JavaScript and says so", { differs: "text/plain, which browsers refuse under nosniff" }, async (server) => {
    const { answer } = await Polling.open(server, { j: 0 });
    assert.equal(answer.headers["content-type"], "text/javascript; charset=UTF-8");
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
  });

  scenario("the index is made of the digits of `j`", {}, async (server) => {
    for (const [j, index] of [["7", "7"], ["a1b2", "12"], ["alert(1)//", "1"], ["x", ""]]) {
      const { text } = await request(server, target(server, { j }));
      assert.ok(text.startsWith(`___eio[${index}]("0{`), text.slice(0, 40));
    }
  });

  scenario("the index of the handshake stays", {}, async (server) => {
    const session = await Polling.open(server, { j: 3 });
    await form("4hello", session);
    assert.equal((await request(server, session.url.replace("&j=3", "&j=9"))).text, '___eio[3]("4hello");');
  });

  scenario("line separators, which end a line in a script, are escaped", {}, async (server) => {
    const session = await Polling.open(server, { j: 0 });
    await form("4a\u2028b\u2029c", session);
    assert.equal((await session.poll()).text, '___eio[0]("4a\\u2028b\\u2029c");');
  });

  scenario("newlines are escaped by the client's form", {}, async (server) => {
    const session = await Polling.open(server, { j: 0 });
    // `\n` stands for a newline, `\\n` for a backslash and an n.
    await form("4one\\ntwo\\\\nthree\\tfour", session);
    assert.deepEqual((await session.poll()).packets, ["4one\ntwo\\nthree\\tfour"]);
  });

  scenario("a form with `+`, several fields and several packets", {}, async (server) => {
    const session = await Polling.open(server, { j: 0 });
    await session.say("x=1&d=4a+b%2B%1e4c&y", { headers: { "content-type": "application/x-www-form-urlencoded" } });
    assert.deepEqual((await session.poll()).packets, ["4a b+", "4c"]);
  });

  scenario("a form without `d` delivers nothing", {}, async (server) => {
    const session = await Polling.open(server, { j: 0 });
    for (const body of ["", "x=1", "4hello"]) await session.say(body);
    await form("4still here", session);
    assert.deepEqual((await session.poll()).packets, ["4still here"]);
  });

  scenario("errors are JSON, not scripts", {}, async (server) => {
    assertRefused(await request(server, target(server, { j: 0, sid: "unknown" })), 1);
    assertRefused(await request(server, target(server, { j: 0, transport: "none" })), 0);
  });

  scenario("the server closes", {}, async (server) => {
    const session = await Polling.open(server, { j: 5 });
    const { poll } = await session.pending();
    await form("4!close", session);
    assert.equal((await poll).text, '___eio[5]("1");');
  });
});

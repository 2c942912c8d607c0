// Cross-origin requests: what a browser asks, and what it is told.

import { describe } from "node:test";
import assert from "node:assert/strict";
import { assertRefused, Frames, Polling, request, scenario, target } from "../harness.mjs";

const ORIGIN = "https://allowed.example";
const list = (value) => (value ?? "").split(/\s*,\s*/).map((item) => item.toLowerCase());

/** The headers that every answer carries, whatever the origin of the request: the browser compares. */
function assertAllowed(headers) {
  assert.equal(headers["access-control-allow-origin"], ORIGIN);
  assert.equal(headers["access-control-allow-credentials"], "true");
  assert.ok(list(headers.vary).includes("origin"));
}

describe("CORS", () => {
  const preflight = (server, query, origin = ORIGIN) =>
    request(server, target(server, query), {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "x-custom" },
    });

  scenario("a preflight request is answered, with a session and without", { profile: "cors" }, async (server) => {
    const { sid } = await Polling.open(server);
    for (const query of [{}, { sid }, { sid: "unknown" }, { transport: "none" }]) {
      const { status, headers, text } = await preflight(server, query);
      assert.ok([200, 204].includes(status), `status ${status}`);
      assert.equal(text, "");
      assertAllowed(headers);
      assert.deepEqual(list(headers["access-control-allow-methods"]).sort(), ["get", "post"]);
      assert.deepEqual(list(headers["access-control-allow-headers"]), ["x-custom"]);
      assert.equal(headers["access-control-max-age"], "600");
    }
  });

  scenario("a preflight leaves the session as it is", { profile: "cors" }, async (server) => {
    const session = await Polling.open(server);
    const { poll } = await session.pending();
    await preflight(server, { sid: session.sid });
    await session.say("4still here");
    assert.deepEqual((await poll).packets, ["4still here"]);
  });

  for (const [title, headers] of Object.entries({
    "the allowed origin": { origin: ORIGIN },
    "another origin": { origin: "https://other.example" },
    "no origin": {},
  })) {
    scenario(`every answer carries the headers: ${title}`, { profile: "cors" }, async (server) => {
      const open = await request(server, target(server), { headers });
      assert.equal(open.status, 200);
      assertAllowed(open.headers);
      const { sid } = JSON.parse(open.text.slice(1));
      const url = target(server, { sid });
      const post = await request(server, url, { method: "POST", headers, body: "4hello" });
      assert.equal(post.status, 200);
      assertAllowed(post.headers);
      assertAllowed((await request(server, url, { headers })).headers);
      const error = await request(server, target(server, { sid: "unknown" }), { headers });
      assertRefused(error, 1);
      assertAllowed(error.headers);
    });
  }

  scenario("so does the 101", { profile: "cors" }, async (server) => {
    const socket = new Frames(server, {}, { headers: { origin: ORIGIN } });
    const { status, headers } = await socket.opened;
    assert.equal(status, 101);
    assertAllowed(headers);
    socket.drop();
  });

  scenario("without CORS there are no such headers, and OPTIONS is no handshake", {}, async (server) => {
    const none = (headers) => assert.deepEqual(Object.keys(headers).filter((name) => /^access-control-|^vary$/.test(name)), []);
    const open = await request(server, target(server), { headers: { origin: ORIGIN } });
    assert.equal(open.status, 200);
    none(open.headers);
    const options = await preflight(server, {});
    assertRefused(options, 2);
    none(options.headers);
  });
});

// The polling transport, request by request.

import { describe } from "node:test";
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { assertRefused, gone, Polling, request, scenario, settle, target } from "../harness.mjs";

const SEPARATOR = "\u001e";
const outcome = ({ status, text, lost }) => (lost ? "lost" : `${status} ${text}`);

describe("polling: GET", () => {
  scenario("a poll is held until there is something to say", {}, async (server) => {
    const session = await Polling.open(server);
    let answered = false;
    const { poll } = await session.pending();
    poll.then(() => (answered = true));
    await settle(server);
    assert.equal(answered, false);
    await session.say("4now");
    const { status, headers, text, packets } = await poll;
    assert.deepEqual([status, packets], [200, ["4now"]]);
    assert.equal(headers["content-type"], "text/plain; charset=UTF-8");
    assert.equal(headers["cache-control"], "no-store");
    assert.equal(headers["content-length"], String(Buffer.byteLength(text)));
  });

  scenario("what waits is answered at once, all of it in order", {}, async (server) => {
    const session = await Polling.open(server);
    await session.say("4one" + SEPARATOR + "bAQID" + SEPARATOR + "4" + SEPARATOR + "4€😀");
    assert.deepEqual((await session.poll()).packets, ["4one", "bAQID", "4", "4€😀"]);
  });

  scenario("a second poll closes the session: the first gets `1`, the second 400", {}, async (server) => {
    const session = await Polling.open(server);
    const answers = await Promise.all([session.get(), session.get()]);
    assert.deepEqual(answers.map(outcome).sort(), ["200 1", "400 "]);
    assertRefused(await session.get(), 1);
  });

  scenario("a poll that the client breaks off closes the session", {}, async (server) => {
    const session = await Polling.open(server);
    const get = session.get();
    await settle(server);
    get.abort();
    assert.equal((await get).lost, true);
    await gone(server, session.sid);
  });

  scenario("long answers may be compressed, but only for those who ask", {}, async (server) => {
    const session = await Polling.open(server);
    const long = "x".repeat(5000);
    await session.say(`4${long}`);
    const plain = await session.get({ headers: { "accept-encoding": "identity" } });
    assert.equal(plain.headers["content-encoding"], undefined);
    assert.equal(plain.text, `4${long}`);
    await session.say(`4${long}`);
    const asked = await session.get({ headers: { "accept-encoding": "gzip" } });
    const bytes = asked.headers["content-encoding"] === "gzip" ? gunzipSync(asked.bytes) : asked.bytes;
    assert.equal(bytes.toString().replace(`${SEPARATOR}2`, ""), `4${long}`);
  });
});

describe("polling: POST", () => {
  scenario("is answered `ok` when all of it has been handled", {}, async (server) => {
    const session = await Polling.open(server);
    const { status, headers, text } = await session.post("4hello");
    assert.deepEqual([status, text], [200, "ok"]);
    assert.equal(headers["content-type"], "text/html");
    assert.equal(headers["content-length"], "2");
    assert.equal(headers["cache-control"], "no-store");
    assert.deepEqual((await session.poll()).packets, ["4hello"]);
  });

  scenario("the content type does not matter as long as it is not binary", {}, async (server) => {
    const session = await Polling.open(server);
    for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded", "APPLICATION/X"]) {
      await session.say("4é", { headers: { "content-type": type } });
      assert.deepEqual((await session.poll()).packets, ["4é"]);
    }
  });

  scenario("a chunked body is as good as one with a length", {}, async (server) => {
    const session = await Polling.open(server);
    await session.say("4chunked 😀", { headers: { "transfer-encoding": "chunked" } });
    assert.deepEqual((await session.poll()).packets, ["4chunked 😀"]);
  });

  scenario("a binary body closes the session", {}, async (server) => {
    const session = await Polling.open(server);
    const answer = await session.post("4hello", { headers: { "content-type": "application/octet-stream" } });
    assert.equal(outcome(answer), "400 ");
    await gone(server, session.sid);
  });

  scenario("a second POST while one is on its way: both get 400, the session closes", {
    differs: "it resets the connection of the first one",
  }, async (server) => {
    const session = await Polling.open(server);
    const first = session.post("4fir", { headers: { "content-length": "100" }, end: false });
    await settle(server);
    const second = session.post("4second");
    assert.equal((await second).status, 400);
    assert.equal((await first).status, 400);
    await gone(server, session.sid);
  });

  scenario("a second POST while one is on its way closes the session", {}, async (server) => {
    const session = await Polling.open(server);
    const first = session.post("4fir", { headers: { "content-length": "100" }, end: false });
    await settle(server);
    assert.equal((await session.post("4second")).status, 400);
    await gone(server, session.sid);
    first.abort();
  });

  scenario("a POST that the client breaks off closes the session", {}, async (server) => {
    const session = await Polling.open(server);
    const first = session.post("4fir", { headers: { "content-length": "100" }, end: false });
    await settle(server);
    first.abort();
    await gone(server, session.sid);
  });

  scenario("a POST and a poll do not disturb each other", {}, async (server) => {
    const session = await Polling.open(server);
    for (let i = 0; i < 20; i++) {
      const { poll } = await session.pending();
      await session.say(`4${i}`);
      assert.deepEqual((await poll).packets, [`4${i}`]);
    }
  });
});

describe("polling: the limit of a payload", () => {
  const sizes = (profile, limit) => {
    scenario(`${limit} bytes are accepted`, { profile }, async (server) => {
      const session = await Polling.open(server);
      await session.say("4" + "x".repeat(limit - 1));
      assert.equal((await session.poll()).packets.at(-1).length, limit);
    });

    for (const encoding of ["identity", "chunked"]) {
      scenario(`${limit + 1} bytes get 413 and the session lives (${encoding})`, { profile }, async (server) => {
        const session = await Polling.open(server);
        const headers = encoding === "chunked" ? { "transfer-encoding": encoding } : {};
        const answer = await session.post("4" + "x".repeat(limit), { headers });
        assert.equal(outcome(answer), "413 ");
        await session.say("4still here");
        assert.deepEqual((await session.poll()).packets, ["4still here"]);
      });
    }
  };
  sizes("default", 1_000_000);
  sizes("opts", 1000);

  scenario("it counts bytes, and all packets of a body together", { profile: "opts" }, async (server) => {
    const session = await Polling.open(server);
    await session.say("4" + "é".repeat(499));
    assert.equal((await session.post("4" + "é".repeat(500))).status, 413);
    assert.equal((await session.post(Array(300).fill("4ab").join(SEPARATOR))).status, 413);
    await session.say(Array(250).fill("4ab").join(SEPARATOR));
  });
});

describe("polling: packets", () => {
  for (const body of ["", "x", "7", "8abc", "4a\u001e", "\u001e4a", "4a\u001e\u001e4b", "4a\u001ez"]) {
    const shown = JSON.stringify(body);
    scenario(`a malformed payload closes the session: ${shown}`, {}, async (server) => {
      const session = await Polling.open(server);
      await session.post(body);
      await gone(server, session.sid);
    });

    scenario(`a malformed payload gets 400: ${shown}`, { differs: "it answers 200 `ok`" }, async (server) => {
      const session = await Polling.open(server);
      const { poll } = await session.pending();
      assert.equal((await session.post(body)).status, 400);
      assert.match((await poll).packets.at(-1), /^(1|4a)$/); // or the echo of what came before the fault
    });
  }

  for (const body of ["bAQ!D", "bAQ=ID", "bAQIDB*", "bAQ-_"]) {
    scenario(`base64 that is none is malformed: ${body}`, { differs: "it skips what it does not know" }, async (server) => {
      const session = await Polling.open(server);
      assert.equal((await session.post(body)).status, 400);
      await gone(server, session.sid);
    });
  }

  scenario("base64 may lack its padding", {}, async (server) => {
    const session = await Polling.open(server);
    await session.say("bAQIDBA" + SEPARATOR + "bAQI" + SEPARATOR + "b");
    assert.deepEqual((await session.poll()).packets, ["bAQIDBA==", "bAQI=", "b"]);
  });

  for (const body of ["0", "0{}", "5", "6", "6x", "3", "3probe"]) {
    scenario(`a packet that means nothing here is ignored: ${body}`, {}, async (server) => {
      const session = await Polling.open(server);
      await session.say(body);
      await session.say("4still here");
      assert.deepEqual((await session.poll()).packets, ["4still here"]);
    });
  }

  scenario("a ping of the client closes the session", {}, async (server) => {
    const session = await Polling.open(server);
    await session.post("2");
    await gone(server, session.sid);
  });
});

describe("polling: close", () => {
  scenario("the client closes: its poll gets `6`, its POST `ok`", {}, async (server) => {
    const session = await Polling.open(server);
    const { poll } = await session.pending();
    await session.say("1");
    assert.deepEqual((await poll).packets, ["6"]);
    assertRefused(await session.get(), 1);
  });

  scenario("the server closes while a poll waits: `1`", {}, async (server) => {
    const session = await Polling.open(server);
    const { poll } = await session.pending();
    await session.say("4!close");
    assert.deepEqual((await poll).packets, ["1"]);
    assertRefused(await session.get(), 1);
  });

  scenario("the server closes while no poll waits: the next one gets `6` and `1`", {}, async (server) => {
    const session = await Polling.open(server);
    await session.say("4!close");
    assert.deepEqual((await session.poll()).packets, ["6", "1"]);
    assertRefused(await session.get(), 1);
  });

  scenario("what was sent before the close comes before the close", {}, async (server) => {
    const session = await Polling.open(server);
    await session.say("4!bye 3");
    const packets = [];
    while (!packets.includes("1")) packets.push(...(await session.poll()).packets);
    assert.deepEqual(packets.filter((packet) => packet !== "6"), ["4bye-0", "4bye-1", "4bye-2", "1"]);
    assertRefused(await session.get(), 1);
  });

  scenario("a crowd of sessions that end in every way leaves the server well", {}, async (server) => {
    const ends = [(s) => s.say("1"), (s) => s.say("4!close"), (s) => s.post("x"), (s) => Promise.all([s.get(), s.get()])];
    await Promise.all(Array.from({ length: 40 }, async (_, i) => ends[i % ends.length](await Polling.open(server))));
    assert.equal((await request(server, target(server))).status, 200);
  });
});

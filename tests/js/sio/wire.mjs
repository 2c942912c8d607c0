// The rules on the wire: what no official client sends, over WebSocket and over polling.

import assert from "node:assert/strict";
import { Frames, Polling } from "../harness.mjs";
import { eventually, Inbox } from "../waiting.mjs";
import { scenario, theme } from "./harness.mjs";

const TRANSPORTS = ["websocket", "polling"];

/**
 * A connection on which the test sees every message: the text of one, or its bytes as a Buffer. Its `inbox` gives them
 * one by one.
 */
class Wire {
  inbox = new Inbox();
  isClosed = false;

  /** Opens one and takes the open packet. */
  static async open(server, transport, { revision = 4, alive = true } = {}) {
    const wire = new Wire();
    Object.assign(wire, { server, transport, revision });
    const query = { EIO: revision, transport };
    if (transport === "websocket") {
      wire.link = await Frames.open(server, query, { alive });
      wire.#follow(wire.link);
    } else {
      wire.link = await Polling.open(server, query);
      wire.link.rest.forEach((packet) => wire.#take(packet));
      if (alive) wire.#poll();
    }
    return wire;
  }

  /** One that is connected to `/`; its `id` is that of the socket. */
  static async connected(server, transport, options) {
    const wire = await Wire.open(server, transport, options);
    if (options?.revision !== 3) await wire.send("0");
    wire.id = await wire.join(undefined, options?.revision);
    return wire;
  }

  /** Takes the answer to a CONNECT, and the event `auth` behind it. Gives the id. */
  async join(nsp, revision = 4) {
    const prefix = nsp ? `${nsp},` : "";
    const answer = await this.next("the answer to CONNECT");
    let id;
    if (revision === 4) {
      assert.ok(answer.startsWith(`0${prefix}{`), answer);
      ({ sid: id } = JSON.parse(answer.slice(1 + prefix.length)));
    } else {
      assert.equal(answer, nsp ? `0${nsp},` : "0");
      id = this.link.sid;
    }
    assert.match(await this.next("the event auth"), /^2.*\["auth",/);
    return id;
  }

  async #follow(frames) {
    for (;;) {
      let frame;
      try {
        frame = await frames.next("a frame", 60_000);
      } catch {
        return;
      }
      if (frame.close !== undefined) return this.#end();
      // Binary frames of revision 3 start with the type of their packet.
      if (frame.binary) this.inbox.push(this.revision === 3 ? frame.binary.subarray(1) : frame.binary);
      else this.#take(frame.text);
    }
  }

  async #poll() {
    while (!this.isClosed) {
      const answer = await this.link.poll();
      if (answer.status !== 200) return this.#end();
      for (const packet of answer.packets) {
        if (packet === "1") return this.#end();
        this.#take(packet);
      }
    }
  }

  #take(packet) {
    if (Buffer.isBuffer(packet)) this.inbox.push(packet);
    else if (packet[0] === "b") this.inbox.push(Buffer.from(packet.slice(this.revision === 3 ? 2 : 1), "base64"));
    else if (packet[0] === "4") this.inbox.push(packet.slice(1));
  }

  #end() {
    this.isClosed = true;
    this.inbox.end("the connection is closed");
    this.inbox.push("closed");
  }

  next(what) {
    return this.inbox.next(what);
  }

  /** Sends messages, on polling in one request. */
  async send(...messages) {
    await this.packets(...messages.map((message) => (Buffer.isBuffer(message) ? message : `4${message}`)));
  }

  /** Sends packets of Engine.IO. */
  async packets(...packets) {
    if (this.transport === "websocket") return packets.forEach((packet) => this.link.send(packet));
    const texts = packets.map((packet) => (Buffer.isBuffer(packet) ? `b${packet.toString("base64")}` : packet));
    const body = this.revision === 3 ? texts.map((text) => `${text.length}:${text}`).join("") : texts.join("\u001e");
    // What makes the server close the session may be answered in any way.
    await this.link.post(body);
  }

  /** Waits for the end. What comes before is passed over. */
  closed() {
    return this.inbox.until(() => this.isClosed, "the end of the connection");
  }

  /** Sends an event and takes its ack, before which nothing else comes. */
  async served() {
    await this.send('277["message-with-ack","still here"]');
    assert.equal(await this.next("an ack"), '377["still here"]');
  }

  drop() {
    this.isClosed = true;
    if (this.transport === "websocket") this.link.drop();
    else this.link.post(this.revision === 3 ? "1:1" : "1").catch(() => {});
  }
}

/** A scenario on each transport; what `open` and `connected` give is dropped at its end. */
function each(title, body, options = {}) {
  for (const transport of options.transports ?? TRANSPORTS) {
      scenario(`${title} (${transport})`, options, async (server) => {
      const wires = [];
      const keep = (wire) => (wires.push(wire), wire);
      try {
        await body({
          server,
          open: async (more) => keep(await Wire.open(server, transport, { ...options.wire, ...more })),
          connected: async (more) => keep(await Wire.connected(server, transport, { ...options.wire, ...more })),
        });
      } finally {
        for (const wire of wires) wire.drop();
      }
    });
  }
}

/** Waits until the server knows the reason of that socket. */
async function reasonOf(witness, id) {
  return eventually(async () => {
    await witness.send(`25["reason-of","${id}"]`);
    return JSON.parse((await witness.next("a reason")).slice(2))[0] ?? undefined;
  }, `the reason of ${id}`);
}

const one = '{"_placeholder":true,"num":0}';
const bytes = Buffer.from([1, 2, 3]);

theme("malformed packets close the connection", () => {
  // Sent after a CONNECT to `/`.
  const malformed = {
    "no type": [""],
    "an unknown type": ["7"],
    "a letter as type": ["x"],
    "an event that is no array": ['2{"a":1}'],
    "an event that is a text": ['2"message"'],
    "an event that is null": ["2null"],
    "an event without a name": ["2[]"],
    "an event whose name is null": ["2[null]"],
    "an event whose name is an object": ["2[{}]"],
    "an event cut short": ['2["message"'],
    "an event with something behind it": ['2["message"]x'],
    "an event with a fractional id": ['21.5["message"]'],
    "an event with a negative id": ['2-1["message"]'],
    "an ack that is no array": ['31{"a":1}'],
    "an ack that is a text": ['31"x"'],
    "a DISCONNECT with a payload": ["1{}"],
    "a CONNECT_ERROR": ['4{"message":"x"}'],
    "a CONNECT_ERROR with a text": ['4"x"'],
    "a CONNECT_ERROR with a number and an array": ['42["message",1]'],
    "CONNECT twice": ["0"],
    "a CONNECT with an array": ["0/custom,[]"],
    "a CONNECT with a text": ['0/custom,"x"'],
    "a CONNECT with null": ["0/custom,null"],
    "an event for a namespace not joined": ['2/custom,["message"]'],
    "an event whose namespace is not ended": ['2/custom["message"]'],
    "an ack for a namespace not joined": ["3/custom,1[]"],
    "a DISCONNECT of a namespace not joined": ["1/custom,"],
    "bytes that nobody has announced": [bytes],
    "a text in the place of an attachment": [`51-["message",${one}]`, '2["message"]'],
    "a CONNECT in the place of an attachment": [`51-["message",${one}]`, "0/custom,"],
    "eleven attachments": [`511-["message",${one}]`],
    "no attachment": ['50-["message"]'],
    "no number of attachments": ['5-["message"]'],
    "no dash behind the attachments": ['51["message"]'],
    "a binary event that is nothing but its type": ["5"],
    "a letter as number of attachments": ['5x-["message"]'],
    "a placeholder of an attachment that there is not": ['51-["message",{"_placeholder":true,"num":1}]', bytes],
    "a placeholder with a negative number": ['51-["message",{"_placeholder":true,"num":-1}]', bytes],
    "a placeholder with a text as number": ['51-["message",{"_placeholder":true,"num":"0"}]', bytes],
    "a placeholder without a number": ['51-["message",{"_placeholder":true}]', bytes],
    "a binary event without a name": [`51-[${one}]`, bytes],
  };
  for (const name of ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]) {
    malformed[`an event with the reserved name ${name}`] = [`2["${name}"]`];
  }
  for (const [title, messages] of Object.entries(malformed)) {
    each(title, async ({ connected }) => {
      const [wire, witness] = await Promise.all([connected(), connected()]);
      await wire.send("0/dyn-1,");
      const other = await wire.join("/dyn-1");
      await wire.send(...messages);
      await wire.closed();
      // All sockets of it are told, and nobody else is disturbed.
      assert.equal(typeof (await reasonOf(witness, wire.id)), "string");
      assert.equal(typeof (await reasonOf(witness, other)), "string");
      await witness.served();
    });
  }

  for (const message of ["0[]", '0"x"', "0null", "0{", '2["message"]', "1", "31[]", "7", bytes]) {
    const shown = Buffer.isBuffer(message) ? "bytes" : message;
    each(`${shown} as the first message`, async ({ open, connected }) => {
      const wire = await open();
      await wire.send(message);
      await wire.closed();
      await (await connected()).served();
    });
  }
});

theme("packets that are accepted", () => {
  const accepted = {
    "an event without a payload": [["2"], []],
    "an ack without a payload": [["31"], []],
    "an ack that nobody has asked for": [['399["x"]'], []],
    "a number as name": [['2[7,"x"]'], []],
    "white space in the payload": [['21[ "message-with-ack" , { "a" : 1 } ]'], ['31[{"a":1}]']],
    "escapes": [['21["message-with-ack","\\u00e9\\ud83d\\ude00\\n"]'], ['31["é😀\\n"]']],
    "a placeholder in a plain event": [[`21["message-with-ack",${one}]`], [`31[${one}]`]],
    "an attachment used twice": [[`51-1["types",${one},${one}]`, bytes], ['31[["binary:3:6","binary:3:6"]]']],
    "an attachment not used": [['51-1["types","x"]', bytes], ['31[["string"]]']],
    "attachments in another order": [
      ['52-1["message-with-ack",{"_placeholder":true,"num":1},{"num":0,"_placeholder":true}]', Buffer.from([1]), Buffer.from([2])],
      ['62-1[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', Buffer.from([2]), Buffer.from([1])],
    ],
    "ten attachments": [[`510-1["types",${one}]`, ...Array.from({ length: 10 }, () => bytes)], ['31[["binary:3:6"]]']],
    "the largest safe id": [['29007199254740991["message-with-ack",1]'], ["39007199254740991[1]"]],
    "an id of nothing but zero": [['20["message-with-ack",1]'], ["30[1]"]],
    "the namespace / in full": [['2/,1["message-with-ack",1]'], ["31[1]"]],
  };
  for (const [title, [messages, answers]] of Object.entries(accepted)) {
    each(title, async ({ connected }) => {
      const wire = await connected();
      await wire.send(...messages);
      for (const answer of answers) assert.deepEqual(await wire.next("an answer"), answer);
      await wire.served();
    });
  }

  each("an id of twenty digits comes back as the number that it is", async ({ connected }) => {
    const wire = await connected();
    await wire.send('299999999999999999999["message-with-ack",1]');
    const [, id] = /^3(\d+)\[1\]$/.exec(await wire.next("an ack"));
    // Clients look acks up by number.
    assert.equal(Number(id), 99999999999999999999);
  });

  each("hundreds of packets in one payload", async ({ connected }) => {
    const wire = await connected();
    await wire.send(...Array.from({ length: 500 }, (_, i) => `2["echo",${i}]`));
    for (let i = 0; i < 500; i++) assert.equal(await wire.next("an event"), `2["echo",${i}]`);
    await wire.served();
  });

  each("heartbeats may stand between attachments", async ({ connected }) => {
    const wire = await connected();
    await wire.packets(`452-1["types",${one},{"_placeholder":true,"num":1}]`, "3", bytes);
    await wire.packets("3");
    await wire.packets("bBAU=");
    assert.equal(await wire.next("an ack"), '31[["binary:3:6","binary:2:9"]]');
  });

  each("attachments may come one by one", async ({ connected }) => {
    const [wire, other] = [await connected(), await connected()];
    await wire.send(`52-1["types",${one},{"_placeholder":true,"num":1}]`);
    await other.served();
    await wire.send(bytes);
    await other.served();
    await wire.send(bytes);
    assert.equal(await wire.next("an ack"), '31[["binary:3:6","binary:3:6"]]');
  });

  each("attachments that never come hold up nobody else", async ({ connected }) => {
    const [wire, witness] = await Promise.all([connected(), connected()]);
    await wire.send(`51-1["types",${one}]`);
    await witness.served();
    wire.drop();
    assert.equal(await reasonOf(witness, wire.id), "transport close");
    assert.equal(wire.inbox.all.filter((message) => message.startsWith?.("31")).length, 0);
  });
});

theme("namespaces on the wire", () => {
  each("CONNECT with and without a comma", async ({ open }) => {
    const wire = await open();
    for (const [message, nsp] of [["0/custom"], ["0/limited,", ""], ["0/,", ""], ['0/dyn-5,{"a":1}']]) {
      await wire.send(message);
      const name = /^0(\/[^,]*)/.exec(message)[1];
      const id = await wire.join(name === "/" ? undefined : name);
      assert.ok(typeof id === "string" && id.length > 0, nsp);
    }
    await wire.send('2/dyn-5,8["message-with-ack"]');
    assert.equal(await wire.next("an ack"), "3/dyn-5,8[]");
    await wire.send('2/custom,8["message-with-ack",1]');
    assert.equal(await wire.next("an ack"), "3/custom,8[1]");
  });

  each("a namespace that does not exist is refused", async ({ connected }) => {
    const wire = await connected();
    for (const name of ["/nope", "/custom?a=1", "/custom/", "/dyn-x"]) {
      await wire.send(`0${name},`);
      assert.equal(await wire.next("a refusal"), `4${name},{"message":"Invalid namespace"}`);
    }
    await wire.served();
  });

  each("a refusal has its data", async ({ connected }) => {
    const wire = await connected();
    const refusal = (text, nsp) => (assert.ok(text.startsWith(`4${nsp},`), text), JSON.parse(text.slice(2 + nsp.length)));
    await wire.send('0/secret,{"token":1}');
    assert.deepEqual(refusal(await wire.next("a refusal"), "/secret"), { message: "not authorized", data: { code: "E_AUTH", retry: false } });
    await wire.send('0/mw,{"block":2}');
    assert.deepEqual(refusal(await wire.next("a refusal"), "/mw"), { message: "blocked by second" });
    await wire.send('0/mw,{"block":3}');
    assert.deepEqual(refusal(await wire.next("a refusal"), "/mw"), { message: "blocked by third", data: { n: 3 } });
    // Another attempt may be better.
    await wire.send('0/mw,{"block":4}');
    await wire.join("/mw");
    assert.equal(await wire.next("an event"), '2/mw,["mw",[1,2,3]]');
  });

  each("a DISCONNECT is not answered, and the namespace may be joined again", async ({ connected }) => {
    const [wire, witness] = await Promise.all([connected(), connected()]);
    await wire.send("1");
    assert.equal(await reasonOf(witness, wire.id), "client namespace disconnect");
    await wire.send("0");
    assert.notEqual(await wire.join(), wire.id);
    await wire.served();
  });

  each("one who has left all namespaces stays", async ({ connected, open }) => {
    const [wire, silent] = await Promise.all([connected(), open()]);
    await wire.send("1");
    // Another one, which has never joined, has to go: that much time has passed.
    await silent.closed();
    await wire.send("0");
    await wire.join();
    await wire.served();
  });

  each("a namespace is left and joined again in one breath", async ({ connected }) => {
    const wire = await connected();
    await wire.send("0/custom,");
    const before = await wire.join("/custom");
    await wire.send("1/custom,", "0/custom,", "1/custom,", "0/custom,");
    // The first of the two attempts may be answered or not: the application may be slower than the client.
    await wire.send('277["message-with-ack","still here"]');
    const ids = [];
    for (;;) {
      const message = await wire.next("an answer");
      if (message.startsWith("3")) break;
      if (message.startsWith("0/custom,")) ids.push(JSON.parse(message.slice(9)).sid);
    }
    assert.ok(!ids.includes(before));
    await eventually(async () => {
      await wire.send('2/custom,1["whoami"]');
      for (;;) {
        const message = await wire.next("whoami");
        if (message.startsWith("0/custom,")) ids.push(JSON.parse(message.slice(9)).sid);
        if (message.startsWith("3/custom,1")) return JSON.parse(message.slice(10))[0].id === ids.at(-1) || undefined;
      }
    }, "the last of the sockets");
    await wire.served();
  }, { varies: "it closes if it reads both packets in one tick, as it is still about to handle the first" });

  each("an event for a namespace that was left closes", async ({ connected }) => {
    const [wire, witness] = await Promise.all([connected(), connected()]);
    await wire.send("1");
    await reasonOf(witness, wire.id);
    await wire.send('2["message"]');
    await wire.closed();
  });

  each("what was under way when the server disconnected is passed over", async ({ connected }) => {
    const wire = await connected();
    await wire.send("0/custom,");
    await wire.join("/custom");
    await wire.send('2/custom,["disconnect-me",false]');
    assert.equal(await wire.next("a DISCONNECT"), "1/custom,");
    // As if it had not yet come.
    await wire.send('2/custom,["message",1]', "3/custom,1[]", "1/custom,");
    await wire.served();
  }, { differs: "it takes them for packets of a namespace that was never joined, and closes" });

  each("a DISCONNECT while the application decides ends the attempt", async ({ connected }) => {
    const wire = await connected();
    await wire.send("0/mw,", "1/mw,", "0/mw,");
    const id = await wire.join("/mw");
    assert.equal(await wire.next("an event"), '2/mw,["mw",[1,2,3]]');
    await wire.send('2/mw,1["whoami"]');
    assert.equal(JSON.parse((await wire.next("an ack")).slice("3/mw,1".length))[0].id, id);
    await wire.served();
  }, { differs: "it takes it for a packet of a namespace that was never joined, and closes" });

  each("who does not connect within a second is closed", async ({ open, connected }) => {
    const start = performance.now();
    const [silent, refused, witness] = await Promise.all([open(), open(), connected()]);
    await refused.send("0/nope,");
    assert.match(await refused.next("a refusal"), /^4\/nope,/);
    await Promise.all([silent.closed(), refused.closed()]);
    assert.ok(performance.now() - start > 900, "not before the second has passed");
    await witness.served();
  });
});

theme("the heartbeat", () => {
  for (const revision of [4, 3]) {
    each(`who is silent is gone, for a ping timeout (EIO=${revision})`, async ({ connected }) => {
      const [wire, witness] = await Promise.all([connected({ revision }), connected()]);
      // From now on nothing is answered.
      fallSilent(wire);
      assert.equal(await reasonOf(witness, wire.id), "ping timeout");
    }, { profile: "v2", heartbeat: true, transports: ["websocket"] });
  }
});

/** Answers no ping any more. A client of revision 3 that sends none is silent from the start. */
function fallSilent(wire) {
  if (wire.revision === 4) wire.link.send = () => {};
}

theme("clients of revision 3", () => {
  const v2 = { profile: "v2", wire: { revision: 3 } };

  each("the server connects them to / by itself", async ({ connected }) => {
    const wire = await connected();
    await wire.served();
    await wire.send("0/custom,");
    await wire.join("/custom", 3);
    await wire.send('2/custom,4["whoami"]');
    const [who] = JSON.parse((await wire.next("an ack")).slice("3/custom,4".length));
    assert.deepEqual([who.nsp, who.auth], ["/custom", {}]);
  }, v2);

  each("the query of a namespace is its auth payload", async ({ connected }) => {
    const wire = await connected();
    await wire.send("0/secret?token=s3cret&user=a%20b,");
    assert.equal(await wire.next("an answer"), "0/secret,");
    assert.equal(await wire.next("auth"), '2/secret,["auth",{"token":"s3cret","user":"a b"}]');
    await wire.send("0/mw?block=9");
    assert.equal(await wire.next("an answer"), "0/mw,");
  }, v2);

  each("refusals", async ({ connected }) => {
    const wire = await connected();
    await wire.send("0/nope");
    assert.equal(await wire.next("a refusal"), '4/nope,{"message":"Invalid namespace"}');
    await wire.send("0/secret");
    assert.deepEqual(JSON.parse((await wire.next("a refusal")).slice("4/secret,".length)), { code: "E_AUTH", retry: false });
    await wire.served();
  }, v2);

  each("an explicit CONNECT to / closes", async ({ connected }) => {
    const wire = await connected();
    await wire.send("0");
    await wire.closed();
  }, v2);

  each("they are refused where they are not allowed", async ({ server }) => {
    await assert.rejects(Wire.open(server, "polling", { revision: 3 }));
  }, { transports: ["polling"] });
});

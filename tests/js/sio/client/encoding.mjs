// The packets of the client, byte by byte.

import assert from "node:assert/strict";
import { scenario } from "./harness.mjs";
import { dismisses, joins, script, session } from "./scripted.mjs";

const PLACEHOLDER = (num) => `{"_placeholder":true,"num":${num}}`;

export default function () {
  for (const [words, nsp] of [["encoding", "/"], ["nsp-encoding", "/custom"]]) {
    scenario(`sio-websocket-${words}`, `the packets of ${nsp} are the reference's`, {}, async (run) => {
      const box = await script(run);
      const client = run.client(box.url);
      const peer = await session(box);
      await joins(peer);
      if (nsp !== "/") await joins(peer, nsp);
      await client.lines("connect", nsp === "/" ? 1 : 2);
      await packets(peer, client, nsp);
      if (nsp === "/") {
        peer.send('42["cmd","disconnect"]');
        await peer.expect("41");
      } else {
        peer.send(`42${nsp},["cmd","disconnect"]`);
        await peer.expect(`41${nsp},`);
        await dismisses(peer, client);
      }
    });
  }
}

async function packets(peer, client, nsp) {
  const name = nsp === "/" ? "" : `${nsp},`;
  const tell = (...args) => peer.send(`42${name}${JSON.stringify(["cmd", ...args])}`);

  tell("emit", "plain", [1, "é\n\"", null, true, { a: [] }]);
  await peer.expect(`42${name}["plain",1,"é\\n\\"",null,true,{"a":[]}]`);
  tell("emit", "none", []);
  await peer.expect(`42${name}["none"]`);

  // Numbers of acknowledgements count from 0, for each namespace.
  tell("emit-ack", "first", [1]);
  await peer.expect(`42${name}0["first",1]`);
  tell("emit-ack", "second", [{ $bin: "AQI=" }]);
  await peer.expect(`451-${name}1["second",${PLACEHOLDER(0)}]`);
  assert.deepEqual(await peer.next("the attachment"), { binary: Buffer.from([1, 2]) });
  peer.send(`461-${name}1[${PLACEHOLDER(0)},"x"]`, Buffer.from([3]));
  peer.send(`43${name}0[]`);
  const acks = (await client.lines("ack", 2)).map(({ event, ...ack }) => ack);
  assert.deepEqual(acks, [
    { nsp, name: "second", args: [{ $bin: "Aw==" }, "x"] },
    { nsp, name: "first", args: [] },
  ]);

  tell("emit", "binary", [{ a: { $bin: "AQ==" } }, [{ $bin: "" }, "t"]]);
  await peer.expect(`452-${name}["binary",{"a":${PLACEHOLDER(0)}},[${PLACEHOLDER(1)},"t"]]`);
  assert.deepEqual(await peer.next("an attachment"), { binary: Buffer.from([1]) });
  assert.deepEqual(await peer.next("an attachment"), { binary: Buffer.alloc(0) });

  // The numbers of the server are its own, and may be large.
  peer.send(`42${name}12["asked","é"]`);
  await peer.expect(`43${name}12["ack","é"]`);
  peer.send(`42${name}9007199254740991["asked"]`);
  await peer.expect(`43${name}9007199254740991["ack"]`);
  peer.send(`451-${name}13["asked",${PLACEHOLDER(0)}]`, Buffer.from([7]));
  await peer.expect(`461-${name}13["ack",${PLACEHOLDER(0)}]`);
  assert.deepEqual(await peer.next("an attachment"), { binary: Buffer.from([7]) });
}

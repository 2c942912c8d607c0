// Faults under load: Redis, the network to it, and nodes. What must hold is asserted, what it costs is printed. With
// `--long` they last as long as they do in production.

import assert from "node:assert/strict";
import { args } from "../servers.mjs";
import { eventually, pause } from "../waiting.mjs";
import { askLong } from "./crew.mjs";
import { tally, trial } from "./trial.mjs";

/** How long a fault lasts, in milliseconds. */
const SHORT = args.long ? 10_000 : 1500;
const STOPPED = args.long ? 30_000 : 2500;

const dies = (profile) => (profile === "classic" ? "a node of the classic adapter ends by an unhandled rejection" : undefined);

export default function () {
  trial("Redis that is killed and started again costs what was sent meanwhile", async (cluster, title) => {
    cluster.load();
    await pause(1000);
    const began = await cluster.flowed();
    await cluster.redis.kill();
    await pause(SHORT);
    await alone(cluster, 0);
    await cluster.redis.restart();
    const ended = Date.now();
    await cluster.whole();
    const loads = await cluster.unload(ended);
    tally(title, cluster, loads, { began, ended });
  }, { differs: dies });

  trial("a node that is cut off goes on by itself, and the others without it", async (cluster, title) => {
    cluster.load();
    await pause(1000);
    const began = await cluster.flowed();
    cluster.links[1].cut();
    await pause(SHORT);
    await alone(cluster, 1);
    // Those that are left are whole: the other does not answer, and is not counted.
    await eventually(async () => ((await cluster.counted()) === 2 ? true : undefined), "two nodes that are counted");
    const [{ err, sockets }] = await cluster.players[0].ask("fetch", {});
    assert.deepEqual([err, sockets.length], [false, 2]);
    cluster.links[1].heal();
    const ended = Date.now();
    await cluster.whole();
    const loads = await cluster.unload(ended);
    tally(title, cluster, loads, { began, ended });
    // Between the two that were never cut off nothing is lost.
    for (const [from, to] of [[0, 2], [2, 0]]) {
      assert.deepEqual(loads[from].at(cluster.players[to], { began, ended }).lost, [], `from ${from} to ${to}`);
    }
    // What stands in a stream is read when the network is back.
    if (cluster.profile === "streams") {
      for (const from of [0, 2]) assert.deepEqual(loads[from].at(cluster.players[1], { began, ended }).lost, []);
    }
  }, { differs: dies });

  trial("a network that swallows everything is noticed", async (cluster, title) => {
    cluster.load();
    await pause(300);
    const began = await cluster.flowed();
    cluster.links[1].swallow();
    await alone(cluster, 1, 15_000);
    const noticed = Date.now() - began;
    cluster.links[1].heal();
    const ended = Date.now();
    await cluster.whole();
    const loads = await cluster.unload(ended);
    tally(`${title} after ${noticed} ms`, cluster, loads, { began, ended });
    for (const [from, to] of [[0, 2], [2, 0]]) {
      assert.deepEqual(loads[from].at(cluster.players[to], { began, ended }).lost, [], `from ${from} to ${to}`);
    }
  }, { differs: () => "it is not", profiles: ["classic", "streams"] });

  trial("Redis that stops for a while loses nothing", async (cluster, title) => {
    cluster.load();
    await pause(300);
    const began = await cluster.flowed();
    cluster.redis.child.kill("SIGSTOP");
    // Those of the own node do not wait.
    const [player] = cluster.players;
    const count = player.of("here").length;
    await player.ask("emit-to", { local: true }, "here", []);
    await player.several("here", count + 1);
    await pause(1500);
    cluster.redis.child.kill("SIGCONT");
    const ended = Date.now();
    const loads = await cluster.unload(ended);
    assert.equal(tally(title, cluster, loads, { began, ended }).lost, 0);
  });

  trial("a node that stops for a while loses nothing, and keeps nobody waiting for ever", async (cluster, title) => {
    cluster.load([0, 2]);
    await pause(300);
    const began = await cluster.flowed();
    cluster.nodes[1].child.kill("SIGSTOP");
    const asked = Date.now();
    const [{ err, sockets }] = await askLong(cluster.players[0], "fetch", {});
    const waited = Date.now() - asked;
    // The sockets of the nodes that respond are there.
    assert.deepEqual([err, sockets.length], [true, 2]);
    const [votes] = await cluster.players[2].ask("ask-all", {}, 1000, "vote", []);
    assert.deepEqual([votes.err, votes.responses.length], [true, 0]);
    await pause(Math.max(0, began + STOPPED - Date.now()));
    cluster.nodes[1].child.kill("SIGCONT");
    const ended = Date.now();
    await cluster.whole();
    const loads = await cluster.unload(ended);
    const { lost } = tally(`${title}, fetching waited ${waited} ms`, cluster, loads, { began, ended });
    assert.equal(lost, 0);
  }, { differs: () => "the sockets of those that responded are lost with the timeout" });

  trial("a node that is killed costs only itself", async (cluster, title) => {
    cluster.load([0, 2]);
    await pause(500);
    const began = await cluster.flowed();
    await cluster.kill(1);
    const [{ sockets }] = await askLong(cluster.players[0], "fetch", {});
    assert.equal(sockets.length, 2);
    const told = Date.now() - began;
    await eventually(async () => ((await cluster.counted()) === 2 ? true : undefined), "two nodes that are counted");
    await cluster.whole();
    await cluster.startNode(1);
    await cluster.connect(1);
    const ended = Date.now();
    await cluster.whole();
    const loads = await cluster.unload(ended);
    for (const [from, load] of loads.entries()) {
      const to = from === 0 ? 2 : 0;
      assert.deepEqual(load.at(cluster.players[to], { began, ended }).lost, [], `between the others, from ${from}`);
    }
    console.log(`# ${title}: fetching took ${told} ms beside it, and a new node was part of it after ${Date.now() - ended} ms`);
  });
}

/** A node that reaches no other: its own clients have everything, and it says that others were not reached. */
async function alone(cluster, i, ms) {
  const player = cluster.players[i];
  const untold = async () => {
    const [reached] = await player.ask("emit-to", {}, "alone", []);
    return reached === null || args.reference ? true : undefined;
  };
  await eventually(untold, "a node that knows that it is alone", ms);
  const count = player.of("alone").length;
  const [{ err, sockets }] = await askLong(player, "fetch", {});
  assert.deepEqual([err, sockets.map(({ id }) => id)], args.reference ? [true, []] : [true, [player.id]]);
  await player.ask("emit-to", {}, "alone", []);
  await player.several("alone", count + 1);
  player.answers.vote = (ack) => ack(i);
  const [votes] = await player.ask("ask-all", {}, 3000, "vote", []);
  assert.deepEqual(votes, { err: true, responses: [i] });
  delete player.answers.vote;
}

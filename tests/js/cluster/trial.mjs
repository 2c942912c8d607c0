// A cluster of its own for one test of a fault: Redis, a link to it for each node, nodes, a client on each, and load.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { judge, stop } from "../servers.mjs";
import { CLIENTS, World } from "../sio/clients.mjs";
import { namespace } from "../sio/harness.mjs";
import { eventually, pause } from "../waiting.mjs";
import { channelOf, COMMANDS, startNode } from "./harness.mjs";
import { Link, Redis } from "./redis.mjs";

/** Time between two events of a sender under load, in milliseconds. */
const PACE = 20;

/** Where an event of the load goes, in turn. The room has a channel of its own where rooms have one. */
const TARGETS = [{}, { rooms: ["r"] }];

/** The time that a node has to end. */
const ENDS = 5000;

/** The longest time that a cluster may take to be whole again once the fault is over, with Redis clients that back off. */
const RECOVERY = 20_000;

/** Profiles that differ in how messages are carried. */
const PROFILES = ["classic", "sharded-dynamic", "streams"];

/** A test with three nodes of its own for each profile. `differs` says why the reference does not pass it in a profile. */
export function trial(title, body, { differs = () => undefined, profiles = PROFILES } = {}) {
  for (const profile of profiles) {
    const name = `${title} (${profile})`;
    const start = () => Trial.start(COMMANDS, profile);
    judge(name, { start, differs: differs(profile), timeout: 180_000, stall: 1000 }, async (cluster) => {
      try {
        await body(cluster, name);
      } finally {
        await cluster.stop();
      }
    });
  }
}

export class Trial {
  nodes = [];
  links = [];
  players = [];
  #loads = [];

  static async start(commands, profile) {
    const trial = new Trial();
    const prefix = `trial-${profile}`;
    Object.assign(trial, { commands, profile, prefix, nsp: namespace(), redis: await Redis.start() });
    try {
      await Promise.all(commands.map((_, i) => trial.startNode(i)));
      for (const i of commands.keys()) await trial.connect(i);
      await trial.whole();
    } catch (error) {
      await trial.stop().catch(() => {});
      throw error;
    }
    return trial;
  }

  /** Starts a node, with a link of its own to Redis. */
  async startNode(i) {
    this.links[i] ??= await Link.to(this.redis.port);
    this.nodes[i] = await startNode(this.commands[i], this.profile, this.links[i].url, this.prefix);
  }

  /** Connects a client to a node. */
  async connect(i) {
    const player = new World(this.nodes[i], CLIENTS[0], "websocket").player({ nsp: this.nsp });
    this.players[i] = player;
    await player.is("connect");
    await player.ask("join", "r");
  }

  /** Waits until each node reaches the clients of all, to all and to a room, and hears all when it asks. */
  async whole(ms = RECOVERY) {
    const here = this.present();
    for (const [i, player] of here) {
      const reaches = async (target) => {
        const event = `whole-${i}-${Math.random()}`;
        await player.ask("emit-to", target, event, []);
        await player.barrier();
        const there = async () => (here.every(([, other]) => other.of(event).length > 0) ? true : undefined);
        return eventually(there, event, 200).catch(() => undefined);
      };
      for (const target of TARGETS) await eventually(() => reaches(target), `broadcasts of node ${i} at all others`, ms);
      const answers = async () => {
        const [{ err, sockets }] = await player.ask("fetch", {});
        return !err && sockets.length === here.length ? true : undefined;
      };
      await eventually(answers, `sockets of all nodes for node ${i}`, ms);
    }
  }

  /** The clients whose node runs. */
  present() {
    return [...this.players.entries()].filter(([i]) => this.nodes[i]);
  }

  /** Begins to send from all nodes, or from these. */
  load(senders = [...this.players.keys()]) {
    for (const from of senders) this.#loads.push(new Load(from, this.players[from]));
  }

  /** Waits until what has been sent is everywhere, so that a fault costs none of it. Gives the moment up to which it was sent. */
  async flowed() {
    const moment = Date.now();
    const last = this.#loads.map(({ from, sent }) => [from, sent.length]);
    const has = (player, from, count) => {
      const came = new Set(player.of("load").flatMap(([sender, index]) => (sender === from ? [index] : [])));
      return TARGETS.every((_, turn) => turn >= count || came.has(count - 1 - turn));
    };
    const came = () => this.present().every(([, player]) => last.every(([from, count]) => has(player, from, count)));
    await eventually(async () => (came() ? true : undefined), "load before the fault", RECOVERY);
    return moment;
  }

  /** Ends the load when some of it was sent after `ended`, and gives what became of it once nothing more comes. */
  async unload(ended) {
    const late = ({ sent }) => sent.filter(({ at }) => at >= ended).length >= 10;
    await eventually(async () => (this.#loads.every(late) ? true : undefined), "load after the fault");
    await Promise.all(this.#loads.map((load) => load.end()));
    await this.whole();
    for (const [, player] of this.present()) await player.barrier();
    return this.#loads.splice(0);
  }

  /** Resident memory of a node, in KiB. */
  async memory(i) {
    const status = await readFile(`/proc/${this.nodes[i].child.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)[1]);
  }

  /** Ends a node as its operator does. */
  async end(i) {
    const node = this.nodes[i];
    this.nodes[i] = undefined;
    this.players[i].drop();
    await stop(node, ENDS);
  }

  /** Ends a node as a crash does. */
  async kill(i) {
    const { child, exit } = this.nodes[i];
    this.nodes[i] = undefined;
    this.players[i].drop();
    child.kill("SIGKILL");
    await exit;
  }

  /** Subscribers of the channel that tells the number of nodes. */
  counted() {
    const [channel, isSharded] = channelOf(this, this.nsp);
    return this.redis.subscribers(channel, isSharded);
  }

  /** Ends everything, whatever fails. */
  async stop() {
    const loads = await Promise.allSettled(this.#loads.map((load) => load.end()));
    for (const player of this.players) player?.drop();
    const ends = await Promise.allSettled(this.nodes.filter(Boolean).map((node) => stop(node, ENDS)));
    await Promise.all(this.links.map((link) => link.stop()));
    await this.redis.stop();
    assert.deepEqual([...loads, ...ends].flatMap(({ reason }) => reason?.message ?? []), []);
  }
}

/** The events of one sender: `[from, index]`, which go to `TARGETS` in turn. */
class Load {
  /** Index -> when it was sent, and whether the sender was told that other nodes were reached. */
  sent = [];
  #ended = false;

  constructor(from, player) {
    Object.assign(this, { from, player });
    this.run = this.#send();
  }

  async #send() {
    const pending = [];
    let failed;
    while (!this.#ended) {
      const entry = { at: Date.now(), reached: undefined };
      const index = this.sent.push(entry) - 1;
      const acked = this.player.ask("emit-to", TARGETS[index % TARGETS.length], "load", [this.from, index]);
      pending.push(acked.then(([reached]) => (entry.reached = reached), (error) => (failed ??= error)));
      await pause(PACE);
    }
    await Promise.all(pending);
    return failed;
  }

  /** Waits for the acknowledgements of all. */
  async end() {
    this.#ended = true;
    const failed = await this.run;
    if (failed) throw failed;
  }

  /**
   * What has come to a client. Each event at most once, those of a target in their order, and none is lost behind the first
   * that was sent and has come after the fault. Gives the lost ones, and the time from the end of the fault to that first.
   */
  at(player, { began, ended }) {
    const came = player.of("load").filter(([from]) => from === this.from).map(([, index]) => index);
    let recovered = 0;
    const lost = [];
    for (const turn of TARGETS.keys()) {
      const mine = came.filter((index) => index % TARGETS.length === turn);
      assert.deepEqual(mine, [...new Set(mine)].sort((a, b) => a - b), `events of ${this.from} in order and once`);
      const first = mine.find((index) => this.sent[index].at >= ended);
      assert.notEqual(first, undefined, `events of ${this.from} after the fault`);
      recovered = Math.max(recovered, this.sent[first].at - ended);
      const here = new Set(mine);
      for (const [index, { at, reached }] of this.sent.entries()) {
        if (index % TARGETS.length !== turn || here.has(index)) continue;
        const isExcused = at >= began - SLACK && index < first;
        assert.ok(isExcused, `event ${index} of ${this.from} is lost, sent ${at - began} ms after the fault began`);
        lost.push({ index, told: reached === null });
      }
    }
    return { lost, recovered, sent: this.sent.length };
  }
}

/** An event that was sent as long before a fault may still be on its way when it begins, on a loaded machine. */
const SLACK = 500;

/** Adds up what became of loads at all nodes but the own, and prints it. */
export function tally(title, trial, loads, window) {
  const all = { sent: 0, lost: 0, told: 0, recovered: 0 };
  for (const load of loads) {
    for (const [to, player] of trial.present()) {
      const { lost, recovered, sent } = load.at(player, window);
      if (to === load.from) {
        assert.deepEqual(lost, [], `local events of node ${to}`);
        continue;
      }
      all.sent += sent;
      all.lost += lost.length;
      all.told += lost.filter(({ told }) => told).length;
      all.recovered = Math.max(all.recovered, recovered);
    }
  }
  const { sent, lost, told, recovered } = all;
  const cost = `of ${sent} deliveries to other nodes ${lost} were lost, ${told} of them told`;
  console.log(`# ${title}: ${cost}; whole ${recovered} ms after the fault`);
  return all;
}

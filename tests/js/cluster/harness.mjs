// What the suites of clusters share: Redis, two nodes of the reference and two of ours on it for each profile, and scenarios
// that run from each kind of node.
//
// The command line is that of `../servers.mjs`. `--second` is the command of the second node of ours, by default that of
// `--server`. With `--reference` all nodes are of the reference.

import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { args, judge, start, stop } from "../servers.mjs";
import { eventually } from "../waiting.mjs";
import { Crew } from "./crew.mjs";
import { Redis } from "./redis.mjs";

const reference = `"${process.execPath}" "${fileURLToPath(new URL("reference-node.mjs", import.meta.url))}"`;

/** The nodes of a cluster: what they are called, and the commands that start them. */
export const NODES = args.reference
  ? ["one", "two", "three", "four"].map((name) => ({ name: `reference ${name}`, command: reference }))
  : [
      { name: "reference", command: reference },
      { name: "reference two", command: reference },
      { name: "ours", command: args.server },
      { name: "ours two", command: args.second ?? args.server },
    ];

/** The commands of three nodes for a test of faults. */
export const COMMANDS = [NODES.at(2), NODES.at(3), NODES.at(2)].map(({ command }) => command);

/** The nodes that scenarios are run from: one of each kind. */
export const ORIGINS = args.reference ? [0] : [0, 2, 3];

/** All profiles: each is an adapter, or a mode of it. */
export const PROFILES = ["classic", "sharded-static", "sharded-dynamic", "sharded-dynamic-private", "streams"];

/** The time that a node has to end. */
const ENDS = 5000;

/** Half of the least timeout in the scenarios. */
const STALL = 500;

let redis;
let startBroker = () => Redis.start();

/** The Redis of the matrix. */
const broker = () => (redis ??= startBroker());

/** Takes another Redis, which `start` starts. */
export function onBroker(start) {
  startBroker = start;
}

const clusters = new Map();

/** The nodes of all clusters that have started. */
const running = [];

/** The start of the last cluster. One starts after the other: together they would take the whole machine. */
let starting = Promise.resolve();

/**
 * A cluster of all nodes with a profile, which runs until the end of the suite. All of a suite have the same `environment`: of
 * each node, by its number.
 */
export class Cluster {
  static of(profile, environment = () => ({})) {
    if (!clusters.has(profile)) {
      starting = starting.catch(() => {}).then(() => Cluster.#start(profile, environment));
      clusters.set(profile, starting);
    }
    return clusters.get(profile);
  }

  static async #start(profile, environment) {
    const cluster = new Cluster();
    Object.assign(cluster, { profile, prefix: `enginewire-${profile}`, redis: await broker() });
    cluster.ours = NODES.map(({ command }) => command !== reference);
    cluster.nodes = await Promise.all(
      NODES.map(async ({ command }, i) => {
        const node = await startNode(command, profile, cluster.redis.url, cluster.prefix, environment(i));
        running.push(node);
        return node;
      }),
    );
    await Crew.warm(cluster);
    return cluster;
  }

  /** Waits until so many nodes take part in a namespace. */
  async formed(nsp, nodes = this.nodes.length) {
    const [channel, isSharded] = channelOf(this, nsp);
    const all = async () => ((await this.redis.subscribers(channel, isSharded)) === nodes ? true : undefined);
    await eventually(all, `${nodes} nodes that have subscribed to ${channel}`);
  }

  /** The channel of its own that a room has, if it has one. */
  roomChannel(nsp, room) {
    const isOwn = { "sharded-dynamic": room.length !== 20, "sharded-dynamic-private": true };
    return isOwn[this.profile] ? `${this.prefix}#${nsp}#${room}#` : undefined;
  }
}

/** Starts a node on a Redis. */
export function startNode(command, profile, url, prefix, environment = {}) {
  return start(command, profile, "/socket.io/", { REDIS: url, PREFIX: prefix, ...environment });
}

/** The channel whose subscribers are the nodes, and whether it is sharded. */
export function channelOf({ profile, prefix }, nsp) {
  return profile === "classic" ? [`${prefix}-request#${nsp}#`, false] : [`${prefix}#${nsp}#`, profile.startsWith("sharded")];
}

/**
 * A test from a node of each kind, or from those of these `origins`, in each profile. `body` gets a `Crew` of the cluster with
 * `each` clients on every node, the first of them on the node that the test is from. `lacks` says what the reference cannot
 * do, so that no test is from it.
 */
export function fromEach(title, body, { profiles = PROFILES, each = 1, lacks, origins = ORIGINS, timeout = 180_000 } = {}) {
  for (const profile of profiles) {
    for (const origin of origins) {
      const name = `${title} (${profile}, from ${NODES[origin].name})`;
      if (lacks && NODES[origin].command === reference) {
        test(name, { skip: lacks });
        continue;
      }
      judge(name, { start: () => Cluster.of(profile), timeout, stall: STALL }, async (cluster) => {
        const crew = await Crew.gather(cluster, origin, each);
        try {
          // Nodes begin with a socket behind the CONNECT, and listen for server-side events then.
          await Promise.all(crew.players.map((player) => player.barrier()));
          await body(crew);
        } finally {
          crew.dismiss();
        }
      });
    }
  }
}

after(async () => {
  await Promise.allSettled(clusters.values());
  const ends = await Promise.allSettled(running.map((node) => stop(node, ENDS)));
  await (await redis)?.stop();
  const failed = ends.filter(({ reason }) => reason);
  if (failed.length > 0) throw new Error(failed.map(({ reason }) => reason.message).join("\n"));
});

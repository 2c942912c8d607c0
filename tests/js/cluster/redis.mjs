// A Redis server for a test: without persistence, on a port of its own, and with faults.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createClient } from "redis";
import { eventually } from "../waiting.mjs";

export class Redis {
  /** Starts one, with more options if there are any. */
  static async start(options = () => []) {
    const redis = new Redis();
    redis.options = options;
    redis.folder = await mkdtemp(path.join(tmpdir(), "enginewire-redis-"));
    for (let attempt = 1; ; attempt++) {
      // Below the ports that a system gives to those who ask for any: it stays free while the server restarts.
      redis.port = 12_000 + Math.floor(Math.random() * 18_000);
      try {
        await redis.restart();
        return redis;
      } catch (error) {
        if (attempt === 5) throw error;
      }
    }
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts the server, again if it was killed. What it held is lost. */
  async restart() {
    const options = ["--port", this.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", this.folder];
    options.push(...this.options(this.port));
    this.child = spawn("redis-server", options.map(String), { stdio: ["ignore", "ignore", "inherit"] });
    this.exit = once(this.child, "exit");
    const failed = this.exit.then(([code]) => {
      throw new Error(`redis-server ended with ${code}`);
    });
    failed.catch(() => {});
    await Promise.race([failed, eventually(() => this.#answers(), "a Redis server that answers")]);
    this.client = createClient({ url: this.url, socket: { reconnectStrategy: false } });
    this.client.on("error", () => {});
    await this.client.connect();
  }

  /** Ends the server as a crash does. */
  async kill() {
    if (this.client.isOpen) this.client.destroy();
    this.child.kill("SIGKILL");
    await this.exit;
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill();
    await rm(this.folder, { recursive: true });
  }

  /** Asks, by the words of a command. */
  ask(...words) {
    return this.client.sendCommand(words.map((word) => (Buffer.isBuffer(word) ? word : String(word))));
  }

  /** Subscribers of a channel. */
  async subscribers(channel, isSharded) {
    return Number((await this.ask("PUBSUB", isSharded ? "SHARDNUMSUB" : "NUMSUB", channel))[1]);
  }

  #answers() {
    return new Promise((resolve) => {
      const socket = net.connect(this.port, "127.0.0.1", () => socket.write("PING\r\n"));
      socket.on("data", (data) => (socket.destroy(), resolve(`${data}`.startsWith("+PONG") ? true : undefined)));
      socket.on("error", () => resolve(undefined));
    });
  }
}

/** A Redis Cluster of three masters. */
export class RedisCluster {
  /** Starts one, and waits until all of them know it. */
  static async start() {
    const cluster = new RedisCluster();
    // The ports of the bus are above those of the servers, and below those that a system gives away.
    const bus = (port) => (port < 21_000 ? port + 9_000 : port - 9_000);
    const options = (port) => ["--cluster-enabled", "yes", "--cluster-port", bus(port), "--cluster-node-timeout", 15_000];
    cluster.servers = await Promise.all([0, 1, 2].map(() => Redis.start(options)));
    for (const [i, server] of cluster.servers.entries()) {
      await server.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1);
      await server.ask("CLUSTER", "ADDSLOTSRANGE", Math.ceil((i * 16384) / 3), Math.ceil(((i + 1) * 16384) / 3) - 1);
      await cluster.servers[0].ask("CLUSTER", "MEET", "127.0.0.1", server.port, bus(server.port));
    }
    for (const server of cluster.servers) {
      const isWhole = async () => {
        const state = `${await server.ask("CLUSTER", "INFO")}`;
        // What is published goes only to those that it is connected with.
        const others = `${await server.ask("CLUSTER", "NODES")}`.split("\n").filter((line) => !line.includes("myself"));
        const known = others.filter((line) => line.includes(" connected") && !line.includes("handshake"));
        return state.includes("cluster_state:ok") && known.length === 2 ? true : undefined;
      };
      await eventually(isWhole, "a Redis Cluster of three masters");
    }
    return cluster;
  }

  get url() {
    return `redis://${this.servers.map(({ port }) => `127.0.0.1:${port}`).join()}`;
  }

  /** Subscribers of a channel, on all servers. */
  async subscribers(channel, isSharded) {
    const counts = await Promise.all(this.servers.map((server) => server.subscribers(channel, isSharded)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async stop() {
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

/** The network between a node and Redis, which can be cut, or swallow everything. */
export class Link {
  #pairs = new Set();
  #state = "whole";

  /** Starts one to a port. */
  static async to(port) {
    const link = new Link();
    link.server = net.createServer((near) => link.#join(near, port)).listen(0, "127.0.0.1");
    await once(link.server, "listening");
    return link;
  }

  get url() {
    return `redis://127.0.0.1:${this.server.address().port}`;
  }

  /** Ends all connections, and each that is made from now on at once. */
  cut() {
    this.#state = "cut";
    this.#end();
  }

  /** Swallows what either side sends, without a word. */
  swallow() {
    this.#state = "swallows";
    for (const { near, far } of this.#pairs) {
      near.unpipe(far).resume();
      far?.unpipe(near).resume();
    }
  }

  /** Carries again. What was sent before is lost, as are the connections. */
  heal() {
    this.#state = "whole";
    this.#end();
  }

  async stop() {
    this.cut();
    this.server.close();
    await once(this.server, "close");
  }

  #end() {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far?.destroy();
    }
  }

  #join(near, port) {
    near.on("error", () => {});
    if (this.#state === "cut") return near.destroy();
    const pair = { near };
    this.#pairs.add(pair);
    near.setNoDelay(true);
    near.on("close", () => {
      this.#pairs.delete(pair);
      pair.far?.destroy();
    });
    if (this.#state === "swallows") return near.resume();
    const far = net.connect(port, "127.0.0.1");
    pair.far = far;
    far.on("error", () => {});
    far.on("close", () => near.destroy());
    far.setNoDelay(true);
    near.pipe(far).pipe(near);
  }
}

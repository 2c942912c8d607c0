// Clients of a scenario, on all nodes of a cluster, in a namespace where nobody else is.

import { CLIENTS, World, settled } from "../sio/clients.mjs";
import { fresh, namespace } from "../sio/harness.mjs";
import { eventually } from "../waiting.mjs";

export { bin, range } from "../sio/clients.mjs";
export { fresh } from "../sio/harness.mjs";

export class Crew {
  /** Connects `each` clients to every node, those of the node `origin` first. */
  static async gather(cluster, origin, each = 1, nsp = namespace()) {
    const crew = new Crew();
    const { nodes } = cluster;
    const order = nodes.map((_, i) => (origin + i) % nodes.length);
    Object.assign(crew, { cluster, nsp, origin });
    crew.worlds = order.map((i) => new World(nodes[i], CLIENTS[0], "websocket"));
    crew.players = crew.worlds.flatMap((world, place) =>
      Array.from({ length: each }, () => Object.assign(world.player({ nsp }), { place })),
    );
    await Promise.all(crew.players.map((player) => player.is("connect")));
    await cluster.formed(nsp);
    if (cluster.profile === "sharded-dynamic-private") {
      await Promise.all(crew.players.map(({ id }) => crew.subscribed(id)));
    }
    return crew;
  }

  /**
   * Lets every node hear every other. A node that reads streams begins with what comes after its first request, and
   * nothing tells when that was.
   */
  static async warm(cluster) {
    const crew = await Crew.gather(cluster, 0, 1, "/");
    for (const origin of crew.players) {
      await eventually(async () => {
        const event = fresh("warm");
        await origin.ask("emit-to", {}, event, []);
        await origin.barrier();
        return crew.players.every((player) => player.of(event).length > 0) ? true : undefined;
      }, "a broadcast that reaches all nodes");
    }
    crew.dismiss();
  }

  /** The client that acts, on the node that the scenario is from. */
  get actor() {
    return this.players[0];
  }

  /** The clients on the node that has this place, counted from the origin. */
  at(place) {
    return this.players.filter((player) => player.place === place);
  }

  /** The clients on nodes of ours, by their numbers. */
  numbersOfOurs() {
    const isOurs = ({ place }) => this.cluster.ours[(this.origin + place) % this.cluster.nodes.length];
    return this.players.flatMap((player, i) => (isOurs(player) ? [i] : []));
  }

  /** Who has got the event, by their numbers; one who has it twice stands there twice. */
  got(event) {
    return this.players.flatMap((player, i) => player.of(event).map(() => i));
  }

  /** Has clients, by their numbers, join a room, and waits until their nodes hear what is sent there. */
  async join(room, ...numbers) {
    await Promise.all(numbers.map((i) => this.players[i].ask("join", room)));
    await this.subscribed(room, new Set(numbers.map((i) => this.players[i].place)).size);
  }

  /** Waits until so many nodes hear the channel of a room, if it has one. */
  async subscribed(room, nodes = 1) {
    const channel = this.cluster.roomChannel(this.nsp, room);
    if (channel === undefined) return;
    const all = async () => ((await this.cluster.redis.subscribers(channel, true)) === nodes ? true : undefined);
    await eventually(all, `${nodes} nodes that have subscribed to ${channel}`);
  }

  /** Waits until what the actor has caused by such a target is with all clients but those by these numbers. */
  async settled(target = {}, ...without) {
    const event = fresh("barrier");
    const there = this.players.filter((_, i) => !without.includes(i));
    await this.actor.ask("emit-to", target, event, []);
    await Promise.all(there.map((player) => player.several(event, 1)));
    await settled(this.actor, ...there);
  }

  /** Emits to a target, and waits until it is there. Gives the numbers of those who got it. */
  async emit(target, ...args) {
    const event = fresh("event");
    await this.actor.ask("emit-to", target, event, args);
    await this.settled();
    return [event, this.got(event)];
  }

  /** The rooms of each client. */
  rooms() {
    return Promise.all(this.players.map(async (player) => (await player.ask("rooms"))[0]));
  }

  /** The server-side events that came to each node, once all have `marker`: all others, or that of the actor as well. */
  async heard(marker, own = false) {
    return Promise.all(
      this.worlds.map(async (_, place) => {
        const [player] = this.at(place);
        const find = async () => {
          const [events] = await player.ask("heard");
          return (place === 0 && !own) || events.some((event) => event[1] === marker) ? events : undefined;
        };
        return eventually(find, `the server-side event ${marker}`);
      }),
    );
  }

  dismiss() {
    for (const player of this.players) player.drop();
  }
}

/** Asks without the deadline of `Player.ask`: that of nodes, 5 s, is longer. */
export function askLong(player, ...words) {
  return new Promise((resolve) => player.socket.emit(...words, (...answer) => resolve(answer)));
}

/** The elements of a list in an order of their own. */
export const sorted = (list) => [...list].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

/** The numbers of `crew`'s clients but these. */
export const others = (crew, ...without) => crew.players.flatMap((_, i) => (without.includes(i) ? [] : [i]));


// The official clients behind one face, so that a scenario is written once for all of them.

import { Manager as Manager4 } from "socket.io-client";
import { Manager as Manager3 } from "socket.io-client-3";
import io2 from "socket.io-client-2";
import assert from "node:assert/strict";
import { eventually, Inbox, within } from "../waiting.mjs";
import { fresh, scenario } from "./harness.mjs";

/** `hasAuth` says whether the client has an auth payload; before that the query of the namespace was its place. */
export const CLIENTS = [
  { client: "4.8", Manager: Manager4, profile: "relaxed", hasAuth: true },
  { client: "3.1", Manager: Manager3, profile: "relaxed", hasAuth: true },
  { client: "2.5", Manager: io2.Manager, profile: "v2", hasAuth: false },
];

/** Name of a mode -> the transports that the client may use. */
export const MODES = { polling: ["polling"], websocket: ["websocket"], upgrade: ["polling", "websocket"] };

/** A scenario for each client and mode; `body` is given a `World`. `only` leaves clients out. */
export function everywhere(title, body, { differs, varies, only = () => true } = {}) {
  for (const kind of CLIENTS.filter(only)) {
    for (const mode of Object.keys(MODES)) {
      const options = { profile: kind.profile, differs, varies };
      scenario(`${title} (${kind.client}, ${mode})`, options, (server) => inWorld(server, kind, mode, body));
    }
  }
}

/** Runs `body` in a `World` and ends what is left of it. */
export async function inWorld(server, kind, mode, body) {
  const world = new World(server, kind, mode);
  try {
    return await body(world);
  } finally {
    for (const player of world.players) player.drop();
  }
}

/** A server, one kind of client and a mode. */
export class World {
  players = [];

  constructor(server, kind, mode) {
    Object.assign(this, { server, kind, mode });
  }

  /** A client that has been told to connect. */
  player(options = {}) {
    const player = new Player(this, options);
    this.players.push(player);
    return player;
  }

  /** A client that is connected; in the mode `upgrade` it may still be on polling. */
  async connect(options) {
    const player = this.player(options);
    await player.is("connect");
    return player;
  }

  /** As `connect`, on the last transport of the mode. */
  async ready(options) {
    const player = await this.connect(options);
    await player.upgraded();
    return player;
  }

  readyAll(count, options) {
    return Promise.all(Array.from({ length: count }, () => this.ready(options)));
  }

  /**
   * Why the server disconnected the socket with this id, once that is known.
   */
  async reasonOf(id) {
    const observer = await this.connect();
    return eventually(async () => (await observer.ask("reason-of", id))[0] ?? undefined, `the reason of ${id}`);
  }
}

/**
 * A socket of an official client. `events` are `[name, ...args]` in the order of their coming, binary arguments as
 * `{ $bin: BASE64 }`; `life` has `["connect"]`, `["refused", error]` and `["disconnect", reason]`.
 */
export class Player {
  events = new Inbox();
  life = new Inbox();
  /** Event -> what is done when the server asks for an ack: a function that is given the ack and the arguments. */
  answers = {};

  constructor(world, { nsp = "/", auth, query, headers, over, connect = true, options = {} } = {}) {
    this.world = world;
    this.manager =
      over?.manager ??
      new world.kind.Manager(`http://127.0.0.1:${world.server.port}`, {
        path: world.server.path,
        transports: [...MODES[world.mode]],
        reconnection: false,
        autoConnect: false,
        query,
        extraHeaders: headers,
      });
    this.socket = this.manager.socket(nsp, world.kind.hasAuth ? { auth, ...options } : { query: auth });
    this.socket.on("connect", () => {
      this.id = this.socket.id;
      this.life.push(["connect"]);
    });
    this.socket.on("disconnect", (reason) => this.life.push(["disconnect", reason]));
    const { hasAuth } = world.kind;
    this.socket.on(hasAuth ? "connect_error" : "error", (error) => {
      this.life.push(["refused", hasAuth ? { message: error.message, data: error.data } : error]);
    });
    if (hasAuth) this.socket.onAny((...args) => this.#take(args));
    else this.#listenToAll();
    if (connect) this.socket.connect();
  }

  /** The client 2.5 has no `onAny`. */
  #listenToAll() {
    const { onevent } = this.socket;
    this.socket.onevent = (packet) => {
      const args = [...(packet.data ?? [])];
      onevent.call(this.socket, packet);
      this.#take(packet.id === undefined || packet.id === null ? args : [...args, this.socket.ack(packet.id)]);
    };
  }

  #take(args) {
    const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
    this.events.push(plain(args));
    if (ack) this.answers[args[0]]?.(ack, ...args.slice(1));
  }

  emit(...args) {
    this.socket.emit(...args);
  }

  /** Emits and gives the arguments of the ack. */
  async ask(...args) {
    return within(new Promise((resolve) => this.socket.emit(...args, (...answer) => resolve(plain(answer)))), `the ack of ${args[0]}`);
  }

  /** Waits until what the server has queued for this socket is here. */
  async barrier() {
    const word = fresh("barrier");
    assert.deepEqual(await this.ask("message-with-ack", word), [word]);
  }

  /** The next event that nobody has taken; that of the connection is not among them, see `auth`. */
  async next(what = "an event") {
    for (;;) {
      const event = await this.events.next(what);
      if (event[0] !== "auth") return event;
    }
  }

  /** The events of that name. */
  of(name) {
    return this.events.all.filter(([n]) => n === name).map(([, ...args]) => args);
  }

  /** Waits for `count` events of that name, and gives them. */
  async several(name, count, ms) {
    await this.events.until(() => this.of(name).length >= count, `${count} of ${name}`, ms);
    return this.of(name);
  }

  /** The detail of the last such moment of its life, once it has come. */
  async is(moment) {
    const of = () => this.life.all.findLast(([name]) => name === moment);
    await this.life.until(of, `${this.world.mode}: "${moment}"`);
    return of()[1];
  }

  count(moment) {
    return this.life.all.filter(([name]) => name === moment).length;
  }

  get engine() {
    return this.manager.engine;
  }

  get transport() {
    return this.engine.transport.name;
  }

  /** Waits for the last transport of the mode. */
  async upgraded() {
    const last = MODES[this.world.mode].at(-1);
    await eventually(() => (this.transport === last ? true : undefined), `the transport ${last}`);
  }

  disconnect() {
    this.socket.disconnect();
  }

  /** Ends the connection as if the application had gone. */
  drop() {
    this.manager.engine?.close();
    this.socket.disconnect();
  }
}

/** Waits until what `sender` has caused is with all of the players. */
export async function settled(sender, ...players) {
  await sender.barrier();
  await Promise.all(players.map((player) => player.barrier()));
}

/** A value with each binary part as `{ $bin: BASE64 }`. */
export function plain(value) {
  if (Buffer.isBuffer(value)) return { $bin: value.toString("base64") };
  if (value instanceof ArrayBuffer) return plain(Buffer.from(value));
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
}

export const bin = (...bytes) => ({ $bin: Buffer.from(bytes).toString("base64") });

export const range = (n) => Array.from({ length: n }, (_, i) => i);

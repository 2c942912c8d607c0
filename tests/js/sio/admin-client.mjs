// A page of the admin UI without a browser: a client of the official library in its place.

import assert from "node:assert/strict";
import { io } from "socket.io-client";
import { Inbox } from "../waiting.mjs";
import { PASSWORD, USERNAME } from "./admin-account.mjs";

export const CREDENTIALS = { username: USERNAME, password: PASSWORD };

/** What connects to the namespace of the admin UI, and listens from the moment in which it is connected. */
export class Page {
  events = new Inbox();
  life = new Inbox();

  constructor(server, auth = CREDENTIALS, namespace = "/admin") {
    this.socket = io(`http://127.0.0.1:${server.port}${namespace}`, { forceNew: true, reconnection: false, auth });
    // As the page does.
    this.socket.once("connect", () => {
      this.socket.onAny((...event) => this.events.push(event));
      this.life.push(["connected"]);
    });
    this.socket.on("connect_error", (error) => this.life.push(["refused", error.message]));
    this.socket.on("disconnect", (reason) => this.life.push(["disconnected", reason]));
  }

  /** Waits until the server has told what it can do. */
  async connected() {
    assert.deepEqual(await this.life.next("the end of the login"), ["connected"]);
    [this.config] = await this.first("config");
    if (this.config.supportedFeatures.includes("ALL_EVENTS")) [this.sockets] = await this.first("all_sockets");
  }

  /** Waits for the first event of a name for which `matches` holds, and gives its arguments. */
  async first(name, matches = () => true) {
    const find = () => this.events.all.find(([of, ...args]) => of === name && matches(...args));
    await this.events.until(find, name);
    return find().slice(1);
  }

  /** The events that name a socket, without their times, in their order. */
  of(id) {
    const names = ([, first, second, third]) => [first?.id, first, second, third].includes(id);
    return this.events.all.filter(names).map((event) => event.filter((part) => !isTime(part)));
  }

  emit(...args) {
    this.socket.emit(...args);
  }

  close() {
    this.socket.disconnect();
  }
}

export const isTime = (value) => typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);

// Waiting by events, with a deadline.

import assert from "node:assert/strict";

/** A wait ends here at the latest. Generous: it only decides how long a broken peer takes to fail. */
export const DEADLINE = 10_000;

/** `promise`, or an error that says `what` was waited for in vain. */
export async function within(promise, what, ms = DEADLINE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Time between two steps of a script: the pace of a peer, which is what the test is about. Nothing may be checked
 * because it has passed; that waits for an event.
 */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs `attempt` until it gives something other than `undefined`. For states of a peer that send no event. */
export async function eventually(attempt, what, ms = DEADLINE) {
  for (const end = Date.now() + ms; ; ) {
    const value = await attempt();
    if (value !== undefined) return value;
    assert.ok(Date.now() < end, `${what}: not within ${ms} ms`);
    await pause(10);
  }
}

/** Things that come in one by one: whoever takes them waits, and all that ever came is kept in `all`. */
export class Inbox {
  all = [];
  #taken = 0;
  #waiters = new Set();
  #ended;

  push(item) {
    this.all.push(item);
    for (const check of this.#waiters) check();
  }

  /** Nothing more will come, for `reason`: whoever still waits is told. */
  end(reason) {
    this.#ended = reason;
    for (const check of this.#waiters) check();
  }

  /** The next one that nobody has taken. */
  async next(what = "the next event", ms = DEADLINE) {
    const index = this.#taken++;
    await this.until(() => this.all.length > index, what, ms);
    return this.all[index];
  }

  /** Leaves out what has come so far: `next` gives what comes from now on. */
  skip() {
    this.#taken = this.all.length;
  }

  /** Waits until `condition` holds; it is looked at whenever something comes in, and at the end. */
  async until(condition, what, ms = DEADLINE) {
    if (condition()) return;
    let check;
    const met = new Promise((resolve, reject) => {
      check = () => {
        if (condition()) resolve();
        else if (this.#ended) reject(new Error(`${what}: ${this.#ended}`));
      };
      this.#waiters.add(check);
      check();
    });
    try {
      await within(met, what, ms);
    } catch (error) {
      throw new Error(`${error.message}; so far: ${summary(this.all)}`);
    } finally {
      this.#waiters.delete(check);
    }
  }
}

function summary(items) {
  const text = items.slice(-5).map((item) => JSON.stringify(item) ?? String(item)).join(", ");
  return `${items.length} of them, the last: ${text.slice(0, 400) || "none"}`;
}

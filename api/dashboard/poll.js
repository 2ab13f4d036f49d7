// Asking again and again: every `SEEN` while somebody looks, every `HIDDEN` while the page is hidden, further and
// further apart while nobody answers, and at once when the page is looked at again or the network is back.

import { Lost, Refused } from "./api.js";

const SEEN = 2_000;
const HIDDEN = 30_000;
const LONGEST = 30_000;

export class Poller {
  /** `ask(signal)` loads; `told(state)` hears `{state: live|paused|lost, error, retryAt}` after each try. */
  constructor(ask, told) {
    this.ask = ask;
    this.told = told;
    this.misses = 0;
    this.paused = false;
    this.stopped = true;
    document.addEventListener("visibilitychange", () => document.hidden || this.soon());
    addEventListener("online", () => this.soon());
  }

  start() {
    this.stopped = false;
    return this.again();
  }

  stop() {
    this.stopped = true;
    this.control?.abort();
    clearTimeout(this.timer);
  }

  pause(on) {
    this.paused = on;
    if (on) clearTimeout(this.timer);
    this.say();
    if (!on) this.again();
  }

  soon() {
    if (!this.stopped && !this.paused) this.again();
  }

  /** Now, whatever runs or waits. */
  async again() {
    if (this.stopped) return;
    this.control?.abort();
    clearTimeout(this.timer);
    const mine = (this.control = new AbortController());
    this.retryAt = null;
    try {
      await this.ask(mine.signal);
      if (mine.signal.aborted) return;
      this.misses = 0;
      this.error = null;
    } catch (error) {
      if (mine.signal.aborted) return;
      this.error = error;
      const gone = error instanceof Lost || (error instanceof Refused && error.status >= 500);
      if (!gone && !(error instanceof Refused)) console.error(error);
      this.misses += 1;
    }
    this.plan();
  }

  plan() {
    if (this.stopped) return;
    const wait = this.misses ? Math.min(LONGEST, SEEN * 2 ** (this.misses - 1)) * (0.8 + 0.4 * Math.random()) : SEEN;
    this.retryAt = Date.now() + Math.max(wait, document.hidden ? HIDDEN : 0);
    if (!this.paused) this.timer = setTimeout(() => this.again(), this.retryAt - Date.now());
    this.say();
  }

  say() {
    const state = this.error ? "lost" : this.paused ? "paused" : "live";
    this.told({ state, error: this.error, retryAt: this.paused ? null : this.retryAt });
  }
}

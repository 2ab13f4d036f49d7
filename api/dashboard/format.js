// Numbers, spans and times for people. Times are shown in the reader's zone, with the exact one as a tooltip.

import { h } from "./dom.js";

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const exact = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

export const NONE = "–";

export const count = (n) => (n === null || n === undefined ? NONE : whole.format(n));
export const compact = (n) => (n === null || n === undefined ? NONE : Math.abs(n) < 10_000 ? whole.format(n) : short.format(n));
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
export const rate = (n) => (n === null || n === undefined ? NONE : n === 0 || n >= 100 ? compact(Math.round(n)) : n.toFixed(n < 10 ? 2 : 1));
export const hour = (at) => clock.format(new Date(at));
export const moment = (at) => exact.format(new Date(at));

/** A span: `850 ms`, `4.2 s`, `3 min 5 s`, `2 h 4 min`, `3 d 2 h`. */
export function span(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return NONE;
  if (ms === 0) return "0 ms";
  if (ms < 0.1) return `${Math.max(1, Math.round(ms * 1000))} µs`;
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds < 9.95 ? seconds.toFixed(1) : Math.round(Math.min(seconds, 59))} s`;
  const s = Math.floor(seconds);
  const pair = (a, unit, b, small) => (b ? `${a} ${unit} ${b} ${small}` : `${a} ${unit}`);
  if (s < 3600) return pair(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86_400) return pair(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return pair(Math.floor(s / 86_400), "d", Math.floor((s % 86_400) / 3600), "h");
}

/** How far `at` is from now: `3 min ago`, `in 1 h 59 min`, `now`. */
export function distance(at, now) {
  const away = new Date(at) - now;
  const size = Math.abs(away);
  if (size < 1000) return "now";
  const step = [[60_000, "min"], [1000, "s"]].find(([ms]) => size >= ms);
  const text = size < 3_600_000 ? `${Math.floor(size / step[0])} ${step[1]}` : span(size);
  return away < 0 ? `${text} ago` : `in ${text}`;
}

/** A `<time>`: relative to `now`, or in full where `now` is not given. */
export function time(at, now) {
  if (!at) return NONE;
  const text = now === undefined ? moment(at) : distance(at, now);
  return h("time", { datetime: at, title: `${moment(at)}\n${at}` }, text);
}

export const bytes = (n) => (n < 1024 ? `${n} B` : n < 1024 ** 2 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1024 ** 2).toFixed(1)} MiB`);

/** An id that fits a column: made ones differ at their end. */
export const brief = (id) => (id.length > 24 ? `${id.slice(0, 8)}…${id.slice(-12)}` : id);

const LEVELS = { 1: "low", 4: "normal", 7: "high", 9: "critical" };
export const priority = (n) => (LEVELS[n] ? LEVELS[n] : `${n}`);

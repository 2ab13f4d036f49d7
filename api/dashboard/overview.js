// The deployment in one look: what there is, how fast it goes, and how that was over time. The history is the node's,
// so it is there when the page is opened, and survives a reload.

import { get } from "./api.js";
import { chart, gather } from "./charts.js";
import { h } from "./dom.js";
import { compact, count, hour, plural, rate, span } from "./format.js";
import { to } from "./route.js";
import { badge, link, panel, table } from "./ui.js";
import { STATUSES } from "./tasklist.js";

const RANGES = { "1h": [60, 1, "1 hour"], "6h": [360, 5, "6 hours"], "24h": [1_440, 15, "24 hours"] };
const FRESH = 4_000; // milliseconds; the node's figures are up to 10 s old anyway
const LONG_FRESH = 20_000;
let kept = { minutes: 0, at: 0, stats: null };

async function statsOf(minutes, signal) {
  const old = performance.now() - kept.at > (minutes > 60 ? LONG_FRESH : FRESH);
  if (old || kept.minutes !== minutes) kept = { minutes, at: performance.now(), stats: await get("/api/stats", { minutes }, signal) };
  return kept.stats;
}

const tile = (key, name, value, note, href) => h("li", { key }, h(href ? "a" : "div", { class: "tile", href },
  h("span", { class: "name" }, name), h("span", { class: "value" }, value), h("span", { class: "note" }, note)));

const three = (spans) => `p95 ${span(spans.p95)} · p99 ${span(spans.p99)}`;

function charts(series, each) {
  const per = each === 1 ? "per minute" : `per ${each} minutes`;
  const points = gather(series, each, { sums: ["submitted", "completed", "failed", "deadLettered"], ends: ["pending"], highs: ["waitP95Ms"] });
  const sum = (name) => points.reduce((total, point) => total + point[name], 0);
  const highest = (name) => points.reduce((best, point) => ((point[name] ?? -1) > (best?.[name] ?? -1) ? point : best), null);
  const peak = (name, format) => {
    const top = highest(name);
    return top && top[name] !== null ? `The highest was ${format(top[name])} at ${hour(top.at)}.` : "Nothing was measured.";
  };
  const last = (name) => points.findLast((point) => point[name] !== null)?.[name];
  return h("div", { class: "charts", key: "charts" },
    chart({
      key: "throughput", title: "Throughput", unit: per, points, format: compact, whole: true,
      parts: [{ name: "completed", label: "Completed", color: "good", as: "bar" }, { name: "failed", label: "Failed", color: "bad", as: "bar" }, { name: "submitted", label: "Submitted", color: "accent", counted: true }],
      said: `${plural(sum("submitted"), "submit")}, ${count(sum("completed"))} completed and ${count(sum("failed"))} failed attempts. ${peak("completed", count)}`,
    }),
    chart({
      key: "waiting", title: "Waiting", unit: "pending, or before a retry", points, format: compact, whole: true,
      parts: [{ name: "pending", label: "Waiting", color: "accent", area: true }],
      said: `${count(last("pending") ?? 0)} wait now. ${peak("pending", count)}`,
    }),
    chart({
      key: "latency", title: "Time to start", unit: "95th percentile, from due to start", points, format: span,
      parts: [{ name: "waitP95Ms", label: "p95", color: "violet", area: true }],
      said: peak("waitP95Ms", span),
    }),
    chart({
      key: "deaths", title: "Dead letters", unit: per, points, format: compact, whole: true,
      parts: [{ name: "deadLettered", label: "New dead letters", color: "dead", as: "bar" }],
      said: `${plural(sum("deadLettered"), "new dead letter")}. ${peak("deadLettered", count)}`,
    }));
}

function handlers(byHandler, dead) {
  const names = [...new Set([...byHandler.map((one) => one.handler), ...dead.map((one) => one.handler)])];
  const rows = names.map((name) => ({
    name,
    now: byHandler.find((one) => one.handler === name),
    dead: dead.filter((one) => one.handler === name).reduce((sum, one) => sum + one.count, 0),
  })).sort((a, b) => (b.now?.failed ?? 0) - (a.now?.failed ?? 0) || b.dead - a.dead || a.name.localeCompare(b.name)).slice(0, 12);
  if (!rows.length) return h("p", { class: "faint" }, "Nothing ran in the last five minutes.");
  const columns = [{ title: "Handler", class: "id" }, { title: "Failed", class: "num" }, { title: "Completed", class: "num" },
    { title: "Dead letters", class: "num" }, { title: "Run p50", class: "num wide" }, { title: "Run p95", class: "num" }];
  return table("Handlers, most failures first", columns, rows.map((row) => ({
    key: row.name, head: 0,
    cells: [link(to("tasks", { handler: row.name }), row.name, { class: "clip", title: row.name }),
      h("span", { class: row.now?.failed ? "hot" : "" }, count(row.now?.failed ?? 0)), count(row.now?.completed ?? 0),
      row.dead ? link(to("dead", { handler: row.name }), count(row.dead)) : "0", span(row.now?.runMs.p50), span(row.now?.runMs.p95)],
  })));
}

function lines(queues) {
  if (!queues.length) return h("p", { class: "faint" }, "No queue has had a task yet.");
  const sorted = [...queues].sort((a, b) => b.pending + b.failed - a.pending - a.failed || a.name.localeCompare(b.name)).slice(0, 12);
  const columns = [{ title: "Queue", class: "id" }, { title: "Waiting", class: "num" }, { title: "Running", class: "num" }, { title: "Oldest", class: "num" }, { title: "In /s", class: "num wide" }, { title: "Out /s", class: "num wide" }];
  return table("Queues, the fullest first", columns, sorted.map((queue) => ({
    key: queue.name, head: 0,
    cells: [[link(to("tasks", { queue: queue.name }), queue.name, { class: "clip", title: queue.name }), queue.paused && [" ", badge("paused")], queue.unserved.length > 0 && [" ", badge("unserved")]],
      count(queue.pending + queue.failed), count(queue.processing), queue.oldestAge === null ? "–" : span(queue.oldestAge * 1000), rate(queue.submittedPerSecond), rate(queue.finishedPerSecond)],
  })));
}

export default {
  title: "Overview",
  actions: (_data, { params }) => h("div", { class: "segments", role: "group", "aria-label": "Time shown" }, Object.entries(RANGES).map(([name, [, , text]]) =>
    link(to("", { range: name === "1h" ? "" : name }), text, { "aria-current": (params.get("range") ?? "1h") === name ? "true" : null }))),
  async load({ params }, signal) {
    const [minutes] = RANGES[params.get("range")] ?? RANGES["1h"];
    const [stats, queues, dead] = await Promise.all([
      statsOf(minutes, signal), get("/api/queues", {}, signal), get("/api/dead-letters", { limit: 1 }, signal)]);
    return { stats, queues: queues.queues, dead: dead.counts };
  },
  view({ stats, queues, dead }, { params, status }) {
    const [, each] = RANGES[params.get("range")] ?? RANGES["1h"];
    const ages = queues.filter((queue) => queue.oldestAge !== null).sort((a, b) => b.oldestAge - a.oldestAge);
    const { now } = stats;
    return [
      h("ul", { class: "tiles states", "aria-label": "Tasks by state", key: "states" }, STATUSES.map((name) =>
        tile(name, badge(name), compact(status.tasks[name]), null, name === "dead-lettered" ? to("dead") : to("tasks", { status: name })))),
      h("ul", { class: "tiles", "aria-label": "The last five minutes", key: "speed" },
        tile("in", "Submitted", `${rate(now.submittedPerSecond)} /s`, "mean of five minutes"),
        tile("out", "Finished", `${rate(now.finishedPerSecond)} /s`, "mean of five minutes"),
        tile("wait", "Time to start", span(now.waitMs.p50), three(now.waitMs)),
        tile("run", "Run time", span(now.runMs.p50), three(now.runMs)),
        tile("oldest", "Oldest waiting", ages.length ? span(ages[0].oldestAge * 1000) : "–", ages.length ? `in ${ages[0].name}` : "nothing waits", ages.length ? to("tasks", { queue: ages[0].name, status: "pending" }) : null)),
      charts(stats.series, each),
      h("div", { class: "columns even", key: "tables" }, panel("Queues", lines(queues)), panel("Failures by handler", h("p", { class: "faint" }, "Attempts of the last five minutes."), handlers(now.byHandler, dead))),
    ];
  },
};

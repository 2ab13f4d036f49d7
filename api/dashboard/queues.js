// Queues: how full, how fast, held or not; purge.

import { get, post, purge } from "./api.js";
import { h } from "./dom.js";
import { count, plural, rate, span } from "./format.js";
import { to } from "./route.js";
import { attempt, badge, button, confirm, empty, link, table } from "./ui.js";

const at = (name, verb) => `/api/queues/${encodeURIComponent(name)}/${verb}`;

async function empties(name) {
  const queue = (await get("/api/queues")).queues.find((one) => one.name === name);
  const waiting = (queue?.pending ?? 0) + (queue?.failed ?? 0);
  const yes = await confirm(`Purge ${name}`, `${plural(waiting, "task")} in this queue ${waiting === 1 ? "waits and is" : "wait and are"} cancelled. What runs goes on. A cancelled task can be replayed.`, `Purge ${name}`);
  if (yes) await attempt(() => purge(name), ({ count: n }) => `${plural(n, "task")} of ${name} ${n === 1 ? "was" : "were"} cancelled.`);
}

export default {
  title: "Queues",
  load: async (_context, signal) => (await get("/api/queues", {}, signal)).queues,
  view(queues, { may }) {
    if (!queues.length) return empty("No queue has had a task yet.", "A queue is there as soon as a task is submitted to it.");
    const columns = [{ title: "Queue", class: "id" }, { title: "State" }, { title: "Pending", class: "num" }, { title: "Before a retry", class: "num wide" }, { title: "Running", class: "num wide" },
      { title: "Oldest waits", class: "num wide" }, { title: "In /s", class: "num wide" }, { title: "Out /s", class: "num wide" }];
    if (may("operator")) columns.push({ title: "Actions", hidden: true, class: "act" });
    return [
      table("Queues", columns, queues.map((queue) => ({
        key: queue.name, head: 0,
        cells: [
          [link(to("tasks", { queue: queue.name }), queue.name, { class: "clip", title: queue.name }),
            queue.unserved.length > 0 && h("p", { class: "warn" }, `No live node serves ${queue.unserved.join(", ")} here.`)],
          queue.paused ? badge("paused") : queue.unserved.length ? badge("unserved") : badge("active"),
          count(queue.pending), count(queue.failed), count(queue.processing),
          queue.oldestAge === null ? "–" : span(queue.oldestAge * 1000), rate(queue.submittedPerSecond), rate(queue.finishedPerSecond),
          may("operator") && h("div", { class: "actions end" },
            queue.paused
              ? button("Resume", () => attempt(() => post(at(queue.name, "resume")), `${queue.name} goes on.`), { kind: "small primary", label: `Resume ${queue.name}` })
              : button("Pause", () => attempt(() => post(at(queue.name, "pause")), `${queue.name} is paused: submits go on, nothing starts.`), { kind: "small", label: `Pause ${queue.name}` }),
            may("admin") && button("Purge …", () => empties(queue.name), { kind: "small danger", label: `Purge ${queue.name}` })),
        ].slice(0, columns.length),
      }))),
      h("p", { class: "faint" }, "Rates are means of the last minute, of the node that answers."),
    ];
  },
};

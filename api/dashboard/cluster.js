// The deployment and its nodes: who leads, whose heart beats, what each runs.

import { get, post } from "./api.js";
import { h } from "./dom.js";
import { brief, count, span, time } from "./format.js";
import { to } from "./route.js";
import { attempt, badge, button, confirm, facts, link, panel } from "./ui.js";

const LISTED = 200;
const SHOWN = 8;

async function drain(id, on) {
  if (on && !(await confirm(`Drain ${id}`, "It starts nothing new and finishes what runs. It stays up, and can be taken back.", "Drain node", "primary"))) return;
  await attempt(() => post(`/api/cluster/nodes/${encodeURIComponent(id)}/${on ? "drain" : "undrain"}`),
    on ? `${id} is told to drain.` : `${id} is told to take work again.`);
}

const plain = (value) => (value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));

function runs(tasks, more, now) {
  if (!tasks.length) return h("p", { class: "faint" }, "Nothing is running here.");
  return [
    h("ul", { class: "runs" }, tasks.slice(0, SHOWN).map((task) => h("li", { key: task.id },
      link(to(["tasks", task.id]), brief(task.id), { class: "mono", title: task.id }), ` ${task.handler} for ${span(Math.max(0, now - Date.parse(task.startedAt)))}`,
      task.progress && h("progress", { value: task.progress.fraction, max: 1, "aria-label": `Progress of ${task.id}` })))),
    (tasks.length > SHOWN || more) && h("p", null, link(to("tasks", { status: "processing" }), "All that run")),
  ];
}

const several = (names) => names.length > 12
  ? h("details", null, h("summary", null, `${count(names.length)}`), names.join(", "))
  : names.join(", ") || "–";

function card(node, tasks, more, now, may) {
  const draining = node.status === "draining";
  return h("section", { class: "panel node", key: `${node.id} ${node.incarnation}`, "aria-label": `Node ${node.id}` },
    h("div", { class: "heading" }, h("h2", null, node.id, " ", badge(node.status), node.leader && [" ", badge("leader")]),
      may("admin") && node.status !== "dead" && (draining
        ? button("Undrain", () => drain(node.id, false), { kind: "small primary", label: `Undrain ${node.id}` })
        : button("Drain …", () => drain(node.id, true), { kind: "small", label: `Drain ${node.id}` }))),
    facts([
      ["Heartbeat", time(node.lastHeartbeat, now)], ["Running", `${count(node.running)}, with ${count(node.workers)} workers`],
      ["Host", `${node.host}, pid ${node.pid}`], ["Started", time(node.startedAt, now)],
      ["Queues", several(node.queues)], ["Handlers", several(node.handlers)],
    ]),
    h("h3", null, "Running now"), runs(tasks, more, now));
}

export default {
  title: "Cluster",
  async load(_context, signal) {
    const [nodes, running] = await Promise.all([get("/api/cluster/nodes", {}, signal), get("/api/tasks", { status: "processing", limit: LISTED }, signal)]);
    return { nodes: nodes.nodes, running };
  },
  view({ nodes, running }, { status, now, may }) {
    return [
      panel("Deployment", facts([
        ["Mode", status.mode], ["Leader", status.leader ?? "nobody at this moment"], ["Term", String(status.term)], ["Durability", status.durability],
        ["Nodes", Object.entries(status.nodes).filter(([name, n]) => n || name === "alive").map(([name, n]) => `${n} ${name}`).join(", ")],
        ["Up for", span(status.uptime * 1000)], ["Version", status.version],
        ...Object.entries(status.redis ?? {}).map(([name, value]) => [`Redis ${name}`, plain(value)]),
      ])),
      h("div", { class: "nodes", key: "nodes" }, nodes.map((node) =>
        card(node, running.tasks.filter((task) => task.node === node.id), Boolean(running.nextCursor), now, may))),
    ];
  },
};

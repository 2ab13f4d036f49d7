// One task: what it is, what happened to it, and what can be done with it.

import { get, post, remove, send } from "./api.js";
import { h, svg } from "./dom.js";
import { priority, span, time } from "./format.js";
import { field, form } from "./forms.js";
import { go, to } from "./route.js";
import { attempt, badge, button, confirm, dialog, facts, json, link, panel } from "./ui.js";
import { ALLOWED, verbName } from "./tasklist.js";

const DONE = { cancel: "The task is cancelled.", retry: "The task runs as soon as a worker is free.", replay: "The task starts anew.", delete: "The task is deleted." };
const WARN = {
  cancel: ["Cancel this task?", "A handler that runs is told, and its result will not be taken."],
  delete: ["Delete this task?", "Its payload, its result and its history are gone then."],
};

async function act(verb, id) {
  if (WARN[verb] && !(await confirm(...WARN[verb], `${verbName(verb)} task`))) return;
  const path = `/api/tasks/${id}`;
  const done = await attempt(() => (verb === "delete" ? remove(path) : post(`${path}/${verb}`)), DONE[verb]);
  if (done && verb === "delete") go("tasks");
}

/** Change what may be changed while it waits. */
function change(task) {
  return dialog("Change this task", (close) => form({
    label: "Change this task",
    parts: [
      field({ name: "priority", label: "Priority", value: priority(task.priority), options: ["low", "normal", "high", "critical"], hint: "low, normal, high, critical, or 0 to 9" }),
      field({ name: "runAt", label: "Runs at", value: task.runAt, hint: "A time such as 2036-12-01T08:00:00Z; empty: now" }),
      field({ name: "expiresAt", label: "Expires at", value: task.expiresAt ?? "", hint: "What still waits then becomes a dead letter; empty: never" }),
      field({ name: "tags", label: "Tags", value: task.tags.join(" "), hint: "Separated by spaces" }),
    ],
    yes: "Change task",
    cancel: () => close(false),
    async send({ priority: level, runAt, expiresAt, tags }) {
      const changes = { priority: /^\d+$/.test(level) ? Number(level) : level, expiresAt: expiresAt || null, tags: tags.split(/\s+/).filter(Boolean) };
      if (runAt !== task.runAt) changes.runAt = runAt || null;
      await send("PATCH", `/api/tasks/${task.id}`, JSON.stringify(changes));
      await attempt(async () => close(true), "The task is changed.");
    },
  }));
}

const errorBox = (error) => error && h("div", { class: "error" },
  h("p", null, h("b", null, error.type), " ", badge(error.cause)), h("p", { class: "message" }, error.message));

/** The attempts, oldest first, each with a bar of its share of the longest. */
function timeline(task, now) {
  const runs = task.history.map((run) => ({ ...run, took: Date.parse(run.finishedAt) - Date.parse(run.startedAt) }));
  if (task.status === "processing") {
    runs.push({ attempt: task.attempt, generation: task.generation, node: task.node, startedAt: task.startedAt, outcome: "processing", took: Math.max(0, now - Date.parse(task.startedAt)) });
  }
  const longest = Math.max(1, ...runs.map((run) => run.took));
  const point = (key, state, ...what) => h("li", { key, class: `at-${state}` }, ...what);
  return h("ol", { class: "timeline" },
    point("born", "born", h("p", null, h("b", null, "Submitted"), " ", time(task.createdAt), task.schedule && [" by schedule ", link(to(["schedules", task.schedule]), task.schedule)])),
    runs.map((run, i) => [
      i > 0 && run.generation > runs[i - 1].generation && point(`replay ${i}`, "born", h("p", null, h("b", null, "Replayed"), `, generation ${run.generation}`)),
      point(`run ${i}`, run.outcome,
        h("p", null, h("b", null, `Attempt ${run.attempt}`), " ", badge(run.outcome), ` ${run.outcome === "processing" ? "for " : ""}${span(run.took)}`),
        svg("svg", { class: "share", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { width: Math.max(0.5, (100 * run.took) / longest), height: 4, rx: 1 })),
        h("p", { class: "faint" }, time(run.startedAt), ` on ${run.node}`),
        errorBox(run.error)),
    ]),
    ["pending", "failed"].includes(task.status) && point("next", "next", h("p", null, h("b", null, task.status === "failed" ? "Next try" : "To run"), " ",
      Date.parse(task.runAt) > now ? time(task.runAt, now) : "as soon as a worker is free")),
    task.status === "cancelled" && point("end", "cancelled", h("p", null, h("b", null, "Cancelled"), " ", time(task.finishedAt))),
    task.error?.cause === "expired" && point("end", "failed", h("p", null, h("b", null, "Expired"), " ", time(task.finishedAt))));
}

export default {
  title: ({ path }) => `Task ${path[1]}`,
  load: ({ path }, signal) => get(`/api/tasks/${encodeURIComponent(path[1])}`, {}, signal),
  actions: (task, { may }) => may("operator") && h("div", { class: "actions", role: "group", "aria-label": "What to do with this task" },
    ["pending", "failed"].includes(task.status) && button("Change", () => change(task)),
    ALLOWED[task.status].map((verb) => button(verbName(verb), () => act(verb, task.id), { kind: WARN[verb] ? "danger" : "primary" }))),
  view(task, { now }) {
    const { progress } = task;
    return h("div", { class: "columns" },
      h("div", null,
        panel("State",
          h("p", { class: "lead" }, badge(task.status), progress && [
            h("progress", { value: progress.fraction, max: 1, "aria-label": "Progress" }), ` ${Math.round(progress.fraction * 100)} % ${progress.note}`]),
          errorBox(task.error),
          facts([
            ["Handler", link(to("tasks", { handler: task.handler }), task.handler)],
            ["Queue", link(to("tasks", { queue: task.queue }), task.queue)],
            ["Priority", priority(task.priority)],
            ["Tags", task.tags.length ? task.tags.map((tag) => [link(to("tasks", { tag }), tag, { class: "tag" }), " "]) : "–"],
            task.schedule && ["Schedule", link(to(["schedules", task.schedule]), task.schedule)],
            ["Attempt", `${task.attempt}, ${task.retriesLeft === 1 ? "1 retry" : `${task.retriesLeft} retries`} left`],
            ["Crashes", String(task.crashes)],
            ["Generation", String(task.generation)],
            ["Timeout", task.parameters.timeout],
            ["Node", task.node ?? "–"],
            ["Created", time(task.createdAt)],
            ["Runs at", time(task.runAt)],
            task.startedAt && ["Started", time(task.startedAt)],
            task.finishedAt && ["Finished", time(task.finishedAt)],
            task.expiresAt && ["Expires", time(task.expiresAt)],
            task.parameters.idempotencyKey && ["Idempotency key", task.parameters.idempotencyKey],
          ])),
        panel("Payload", json("Payload", task.payload)),
        task.status === "completed" && panel("Result", task.parameters.keepResult ? json("Result", task.result) : h("p", { class: "faint" }, "This task does not keep its result."))),
      panel("Timeline", timeline(task, now), task.history.length >= 20 && h("p", { class: "faint" }, "The last 20 attempts.")));
  },
};

// One schedule: its next due times, its tasks, and the form that makes or changes one.

import { get, remove, Refused, send } from "./api.js";
import { h } from "./dom.js";
import { count, time } from "./format.js";
import { field, form } from "./forms.js";
import { go, here, to } from "./route.js";
import { at, controls, rule, stateOf } from "./schedules.js";
import { attempt, barred, button, confirm, empty, facts, json, link, panel, say } from "./ui.js";
import { pageOf, taskTable } from "./tasklist.js";

const PREVIEWED = 5;
const RECENT = 10;
const WHY = { misfire: "missed for too long", overlap: "an earlier task was not finished", paused: "it was paused", changed: "the rule was changed" };

const zones = () => Intl.supportedValuesOf?.("timeZone") ?? [];

/** The form; `old` is the schedule to change, null for a new one. */
function editor(old, handlers) {
  const pretty = (value) => JSON.stringify(value, null, 2);
  const kind = field({ name: "kind", label: "Repeats", kind: [["cron", "at times (cron)"], ["every", "every so often"]], value: old?.every ? "every" : "cron", paths: [] });
  const cron = field({ name: "cron", label: "Cron", value: old?.cron ?? "", hint: "Five fields (minute hour day month weekday), six with seconds first, or @hourly", placeholder: "30 8 * * MON" });
  const every = field({ name: "every", label: "Every", value: old?.every ?? "", hint: "A duration: 30s, 5m, 2h, 1d", placeholder: "5m" });
  const zone = field({ name: "timezone", label: "Time zone", value: old?.timezone ?? "UTC", options: zones() });
  const turn = () => {
    const byCron = kind.value === "cron";
    cron.box.hidden = zone.box.hidden = !byCron;
    every.box.hidden = byCron;
    // "Give either cron or every" belongs to the one that is seen.
    cron.paths = byCron ? ["$.cron"] : [];
    every.paths = byCron ? ["$.every"] : ["$.every", "$.cron"];
  };
  kind.input.onchange = turn;
  turn();
  return form({
    label: old ? "Change the schedule" : "New schedule",
    parts: [
      !old && field({ name: "id", label: "Id", hint: "Letters, digits and _ . : - ; empty: one is made" }),
      field({ name: "handler", label: "Handler", value: old?.handler ?? "", options: handlers, hint: "Empty: echo" }),
      kind, cron, every, zone,
      field({ name: "payload", label: "Payload", kind: "json", value: old ? pretty(old.payload) : "{}", hint: "Any JSON value; each task gets it" }),
      field({ name: "parameters", label: "Parameters", kind: "json", value: old ? pretty(old.parameters) : "{}", hint: 'As in a submit: {"queue": "mail", "priority": "high", "timeout": "30s"}' }),
      field({ name: "misfire", label: "After a gap", kind: [["runOnce", "run once for all that was missed"], ["skip", "skip what was missed"], ["runAll", "run all that was missed"]], value: old?.misfire ?? "runOnce" }),
      field({ name: "overlap", label: "While its last task is not finished", kind: [["allow", "start another"], ["skip", "skip"]], value: old?.overlap ?? "allow" }),
      field({ name: "paused", label: "Paused", kind: "check", value: old?.paused ?? false }),
    ].filter(Boolean),
    yes: old ? "Save schedule" : "Make schedule",
    cancel: () => go(old ? ["schedules", old.id] : "schedules"),
    async send(values) {
      const said = { misfire: values.misfire, overlap: values.overlap, paused: values.paused };
      if (values.id) said.id = values.id;
      if (values.handler) said.handler = values.handler;
      // What is not given is asked for: an empty rule is the API's to refuse.
      if (values.kind === "cron") Object.assign(said, { timezone: values.timezone }, values.cron && { cron: values.cron });
      else if (values.every) said.every = values.every;
      // Payload and parameters go as they were typed: no number loses a digit on the way.
      const text = `${JSON.stringify(said).slice(0, -1)},"payload":${values.payload},"parameters":${values.parameters}}`;
      const saved = old ? await send("PUT", at(old.id), text) : await send("POST", "/api/schedules", text);
      say(`Schedule ${saved.id} is saved.`);
      go(["schedules", saved.id]);
    },
  });
}

async function drop(id) {
  if (!(await confirm(`Delete ${id}`, "No due time of it counts any more. Its tasks stay.", "Delete schedule"))) return;
  if (await attempt(() => remove(at(id)), `Schedule ${id} is deleted.`)) go("schedules");
}

const edits = ({ path, params }) => path[0] === "new-schedule" || params.get("edit") !== null;

export default {
  get still() { return edits(here()); },
  title: ({ path }) => (path[0] === "new-schedule" ? "New schedule" : `Schedule ${path[1]}`),
  async load(context, signal) {
    const id = context.path[1];
    if (edits(context)) {
      const [handlers, old] = await Promise.all([get("/api/handlers", {}, signal), id === undefined ? null : get(at(id), {}, signal)]);
      return { old, handlers: handlers.handlers.map((one) => one.name) };
    }
    const [one, times, recent] = await Promise.all([get(at(id), {}, signal), preview(id, signal), pageOf("/api/tasks", { schedule: id }, null, signal, RECENT)]);
    return { one, times, recent };
  },
  actions(data, context) {
    if (edits(context) || !context.may("operator")) return null;
    const { one } = data;
    return h("div", { class: "actions", role: "group", "aria-label": "What to do with this schedule" }, controls(one, ""),
      one.owner !== "code" && [link(`${to(["schedules", one.id])}?edit=`, "Edit", { class: "button" }), button("Delete", () => drop(one.id), { kind: "danger" })]);
  },
  view(data, context) {
    if (edits(context)) return context.may("operator") ? h("div", { class: "panel narrow" }, editor(data.old, data.handlers)) : barred("operator");
    const { one, times, recent } = data;
    return [
      h("div", { class: "columns", key: "top" },
        h("div", null,
          panel("Rule", h("p", { class: "lead" }, stateOf(one), " ", rule(one)),
            one.orphaned && h("p", { class: "warn" }, "It stood in code, and no live node declares it any more."),
            facts([
              ["Handler", link(to("tasks", { handler: one.handler }), one.handler)], ["After a gap", { runOnce: "run once", skip: "skip", runAll: "run all" }[one.misfire]],
              ["Overlap", one.overlap], ["Stated", one.owner === "code" ? "in code; it cannot be changed here" : "over the API"],
              ["Last", time(one.lastRunAt)],
              ...Object.entries(one.skipped).map(([why, n]) => [`Skipped: ${WHY[why] ?? why}`, count(n)]),
            ])),
          panel("What it submits", h("h3", null, "Payload"), json("Payload", one.payload), h("h3", null, "Parameters"), json("Parameters", one.parameters))),
        panel("Next due times", one.paused && h("p", { class: "warn" }, "It is paused: these would be skipped."),
          times.length ? h("ol", { class: "times" }, times.map((moment) => h("li", { key: moment }, time(moment), " ", h("span", { class: "faint" }, time(moment, context.now))))) : h("p", { class: "faint" }, "None to come."))),
      h("h2", { class: "apart" }, "Its latest tasks ", link(to("tasks", { schedule: one.id }), "show all", { class: "small" })),
      recent.tasks.length ? taskTable("Latest tasks of this schedule", recent.tasks, context.now) : empty("It has made no task that is still there.", "Each due time makes one; those that finished long ago are removed by retention."),
    ];
  },
};

async function preview(id, signal) {
  try {
    return (await get(at(id, "preview"), { count: PREVIEWED }, signal)).times;
  } catch (error) {
    if (error instanceof Refused && error.status !== 401) return [];
    throw error;
  }
}

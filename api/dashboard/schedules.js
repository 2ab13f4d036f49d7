// Schedules: when each is due next, held or not; by hand, now.

import { get, post } from "./api.js";
import { h } from "./dom.js";
import { count, time } from "./format.js";
import { to } from "./route.js";
import { attempt, badge, button, empty, link, table } from "./ui.js";

export const at = (id, verb) => `/api/schedules/${encodeURIComponent(id)}${verb ? `/${verb}` : ""}`;
export const rule = (one) => (one.cron ? h("span", null, h("code", null, one.cron), ` ${one.timezone}`) : `every ${one.every}`);
export const stateOf = (one) => badge(one.orphaned ? "orphaned" : one.paused ? "paused" : "active");
export const skips = (one) => Object.values(one.skipped).reduce((sum, n) => sum + n, 0);

/** Pause or resume, and trigger. */
export const controls = (one, kind = "small") => [
  one.paused
    ? button("Resume", () => attempt(() => post(at(one.id, "resume")), `${one.id} fires again.`), { kind: `${kind} primary`, label: `Resume ${one.id}` })
    : button("Pause", () => attempt(() => post(at(one.id, "pause")), `${one.id} is paused: what is due is skipped.`), { kind, label: `Pause ${one.id}` }),
  button("Trigger", () => attempt(() => post(at(one.id, "trigger")), (task) => `Task ${task.id} was made.`), { kind, label: `Trigger ${one.id} now` }),
];

export default {
  title: "Schedules",
  actions: (_data, { may }) => may("operator") && link(to("new-schedule"), "New schedule", { class: "button primary" }),
  load: async (_context, signal) => (await get("/api/schedules", {}, signal)).schedules,
  view(schedules, { now, may }) {
    if (!schedules.length) return empty("There are no schedules.", "A schedule makes a task at each of its due times. Make one here, over the API, or in code with @task(every=…).");
    const columns = [{ title: "Schedule", class: "id" }, { title: "State" }, { title: "Rule", class: "wide" }, { title: "Handler", class: "wide" }, { title: "Next" }, { title: "Last", class: "wide" }, { title: "Skipped", class: "num wide" }];
    if (may("operator")) columns.push({ title: "Actions", hidden: true, class: "act" });
    return table("Schedules", columns, schedules.map((one) => ({
      key: one.id, head: 0,
      cells: [
        link(to(["schedules", one.id]), one.id, { class: "clip", title: one.id }), stateOf(one), rule(one), one.handler,
        one.paused ? "–" : time(one.nextRunAt, now), time(one.lastRunAt, now), count(skips(one)),
        may("operator") && h("div", { class: "actions end" }, controls(one)),
      ].slice(0, columns.length),
    })));
  },
};

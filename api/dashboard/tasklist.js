// Tasks in a table, a page at a time: what the pages of tasks, of dead letters and of a schedule share.

import { bulk, get } from "./api.js";
import { h } from "./dom.js";
import { brief, count, plural, priority, span, time } from "./format.js";
import { to } from "./route.js";
import { badge, button, empty, link, many, table } from "./ui.js";

export const STATUSES = ["pending", "processing", "completed", "failed", "dead-lettered", "cancelled"];
export const ALLOWED = {
  pending: ["cancel"], processing: ["cancel"], failed: ["retry", "cancel"],
  completed: ["delete"], "dead-lettered": ["replay", "delete"], cancelled: ["replay", "delete"],
};
export const VERBS = ["retry", "replay", "cancel", "delete"];
export const SIZE = 50;
const LOOKS = 5;

/**
 * A page of tasks. The API answers short pages where a filter fits few: look on, but not for ever.
 * `{tasks, nextCursor, short}`; `short`: there may be more, further down.
 */
export async function pageOf(path, filter, cursor, signal, size = SIZE) {
  const tasks = [];
  let next = cursor;
  let answer;
  for (let look = 0; look < LOOKS && tasks.length < size; look += 1) {
    answer = await get(path, { ...filter, limit: size - tasks.length, cursor: next }, signal);
    tasks.push(...answer.tasks);
    next = answer.nextCursor;
    if (!next) break;
  }
  return { ...answer, tasks, nextCursor: next, short: Boolean(next) && tasks.length < size };
}

/** What is happening with it, in a few words. */
function course(task, now) {
  if (task.status === "processing") {
    const { progress } = task;
    return [
      progress && h("progress", { value: progress.fraction, max: 1, "aria-label": "Progress" }),
      progress ? ` ${Math.round(progress.fraction * 100)} % ${progress.note}` : `for ${span(now - Date.parse(task.startedAt))}`,
    ];
  }
  if (task.status === "failed") return ["retry ", time(task.runAt, now), task.error && `: ${task.error.message}`];
  if (task.status === "pending") return Date.parse(task.runAt) > now ? ["runs ", time(task.runAt, now)] : ["waits since ", time(task.runAt, now)];
  if (task.error) return [h("b", null, task.error.cause), ` ${task.error.message}`];
  return task.startedAt && task.finishedAt ? `took ${span(Date.parse(task.finishedAt) - Date.parse(task.startedAt))}` : "";
}

/** The table. `chosen`: a Set of ids where tasks can be chosen, with `changed` to call after a change. */
export function taskTable(caption, tasks, now, { chosen, changed } = {}) {
  const all = chosen && tasks.length > 0 && tasks.every((task) => chosen.has(task.id));
  const some = chosen && tasks.some((task) => chosen.has(task.id));
  const mark = (ids, on) => {
    for (const id of ids) on ? chosen.add(id) : chosen.delete(id);
    changed();
  };
  const columns = [
    chosen && { title: h("input", { type: "checkbox", "aria-label": "Choose all on this page", checked: Boolean(all), indeterminate: Boolean(some && !all), onchange: (event) => mark(tasks.map((task) => task.id), event.target.checked) }), class: "tick" },
    { title: "Task", class: "id" }, { title: "Status" }, { title: "Handler" }, { title: "Queue", class: "wide" },
    { title: "Priority", class: "wide" }, { title: "Attempt", class: "wide num" }, { title: "Created" }, { title: "Course", class: "course" },
  ].filter(Boolean);
  const head = chosen ? 1 : 0;
  return table(caption, columns, tasks.map((task) => ({
    key: task.id,
    head,
    class: chosen?.has(task.id) ? "chosen" : "",
    cells: [
      chosen && h("input", { type: "checkbox", "aria-label": `Choose ${task.id}`, checked: chosen.has(task.id), onchange: (event) => mark([task.id], event.target.checked) }),
      link(to(["tasks", task.id]), brief(task.id), { class: "mono", title: task.id }),
      badge(task.status),
      h("span", { class: "clip", title: task.handler }, task.handler),
      h("span", { class: "clip", title: task.queue }, task.queue),
      priority(task.priority),
      task.attempt ? String(task.attempt) : "–",
      time(task.createdAt, now),
      h("span", { class: "clip" }, course(task, now)),
    ].slice(chosen ? 0 : 1),
  })));
}

// Where the pages before this one began, by what is listed; "newer" goes there.
const trails = new Map();

/** Newer and older; `at(cursor)` is the address of the page that begins there. */
export function pager(name, cursor, page, at) {
  const trail = trails.get(name) ?? trails.set(name, []).get(name);
  if (!cursor) trail.length = 0;
  const older = () => {
    trail.push(cursor ?? "");
    location.hash = at(page.nextCursor);
  };
  const newer = () => (location.hash = at(trail.pop() ?? ""));
  return h("nav", { class: "pager", "aria-label": "Pages of the list" },
    h("span", { class: "faint" }, page.short
      ? `${plural(page.tasks.length, "task")} found so far; there may be more further back.`
      : plural(page.tasks.length, "task") + (page.nextCursor ? " shown" : cursor ? ", the oldest" : "")),
    h("span", { class: "actions" },
      cursor && button("Newest", () => (location.hash = at("")), { kind: "small" }),
      cursor && button("Newer", newer, { kind: "small" }),
      page.nextCursor && button(page.short ? "Look further" : "Older", older, { kind: "small" })));
}

/** Act on the chosen ones, or on all that fit the filter; both count first. */
export function bulkBar({ chosen, changed, filter, whom, now, open }) {
  if (chosen.size) {
    const ids = [...chosen];
    return h("div", { class: "bulk", role: "group", "aria-label": "What to do with the chosen tasks", key: "bulk" },
      h("b", { role: "status" }, `${count(ids.length)} chosen`),
      VERBS.map((verb) => button(verbName(verb), async () => {
        const done = await many(verb, () => bulk(verb, { ids }, true), () => bulk(verb, { ids }, false), plural(ids.length, "chosen task"));
        if (done) {
          chosen.clear();
          changed();
        }
      }, { kind: "small" })),
      button("Choose none", () => (chosen.clear(), changed()), { kind: "small plain" }));
  }
  if (!open) return h("div", { class: "bulk", key: "bulk" }, h("span", { class: "faint" }, "Choose tasks to act on them. All tasks of a schedule at once cannot be acted on."));
  const verbs = filter.status ? ALLOWED[filter.status] : VERBS;
  return h("div", { class: "bulk", role: "group", "aria-label": `What to do with ${whom}`, key: "bulk" },
    h("span", { class: "faint" }, `${whom[0].toUpperCase()}${whom.slice(1)}:`),
    verbs.map((verb) => button(`${verbName(verb)} …`, () => {
      const fixed = { ...filter, before: new Date(now).toISOString() };
      return many(verb, () => bulk(verb, fixed, true), () => bulk(verb, fixed, false), whom);
    }, { kind: "small", label: `${verbName(verb)} ${whom}` })));
}

export const verbName = (verb) => verb[0].toUpperCase() + verb.slice(1);

export const none = (filtered) => filtered
  ? empty("No task fits this filter.", "Tasks that finished long ago are removed by retention.")
  : empty("There are no tasks yet.", "Submit one over the API, from Python, or with the button above.");

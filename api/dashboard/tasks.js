// The list of tasks, with its filter.

import { get } from "./api.js";
import { h } from "./dom.js";
import { field } from "./forms.js";
import { go, here, to } from "./route.js";
import { button, link } from "./ui.js";
import { bulkBar, none, pageOf, pager, STATUSES, taskTable } from "./tasklist.js";

const FILTERS = ["status", "handler", "queue", "tag", "schedule"];
const NAME = /^[A-Za-z0-9_.:-]{1,128}$/;
const ID = /^[A-Za-z0-9_-]{1,64}$/;
const chosen = new Set();
let listed = ""; // the filter that the chosen ones were chosen in
let taken = null; // the filter that the form says; what is typed beside it meanwhile is not overwritten
let form = null;

const filterOf = (params) => Object.fromEntries(FILTERS.map((name) => [name, params.get(name) ?? ""]).filter(([, value]) => value));

/** The form; it is made once, and takes its values from the address. */
function filters(handlers, queues) {
  const search = field({ name: "id", label: "Find by id", hint: null, placeholder: "Whole id" });
  const inputs = [
    field({ name: "status", label: "Status", kind: [["", "Any"], ...STATUSES.map((status) => [status, status])] }),
    field({ name: "handler", label: "Handler", options: handlers }),
    field({ name: "queue", label: "Queue", options: queues }),
    field({ name: "tag", label: "Tag" }),
    field({ name: "schedule", label: "Schedule" }),
  ];
  const apply = (event) => {
    event?.preventDefault();
    let right = true;
    for (const input of inputs) {
      const fits = !input.value || input.name === "status" || NAME.test(input.value);
      input.wrong(fits ? null : "Letters, digits and _ . : - only, at most 128.");
      right &&= fits;
    }
    if (!right) return;
    const filter = Object.fromEntries(inputs.map((input) => [input.name, input.value]).filter(([, value]) => value));
    taken = JSON.stringify(filter);
    go("tasks", filter);
  };
  for (const input of inputs) input.input.onchange = () => apply();
  const find = async (event) => {
    event.preventDefault();
    if (!ID.test(search.value)) return search.wrong("1 to 64 letters, digits, _ and -.");
    try {
      await get(`/api/tasks/${search.value}`);
      search.wrong(null);
      return go(["tasks", search.value]);
    } catch (error) {
      return search.wrong(error.status === 404 ? "There is no task with this id." : error.message);
    }
  };
  const box = h("div", { class: "filters panel", "data-own": true, key: "filters" },
    h("form", { onsubmit: find, role: "search", "aria-label": "Find a task by its id", novalidate: true }, search.box, h("button", { class: "button", type: "submit" }, "Find")),
    h("form", { onsubmit: apply, "aria-label": "Filter tasks", novalidate: true }, inputs.map((input) => input.box),
      h("button", { class: "button", type: "submit" }, "Filter"), button("Clear", () => (take({}), go("tasks")), { kind: "plain" })));
  const take = (filter) => {
    taken = JSON.stringify(filter);
    for (const input of inputs) {
      input.input.value = filter[input.name] ?? "";
      input.wrong(null);
    }
  };
  return { box, take };
}

export default {
  title: "Tasks",
  actions: (_data, { may }) => may("submitter") && link(to("submit"), "New task", { class: "button primary" }),
  async load({ params }, signal) {
    const [page, handlers, queues] = await Promise.all([
      pageOf("/api/tasks", filterOf(params), params.get("cursor"), signal),
      form ? null : get("/api/handlers", {}, signal), form ? null : get("/api/queues", {}, signal)]);
    form ??= filters(handlers.handlers.map((one) => one.name), queues.queues.map((one) => one.name));
    return page;
  },
  view(page, { params, now, may, refresh }) {
    const filter = filterOf(params);
    const cursor = params.get("cursor");
    const filtered = Object.keys(filter).length > 0;
    const name = JSON.stringify(filter);
    if (name !== listed) chosen.clear();
    listed = name;
    const asked = filterOf(here().params); // that of the address, which may be further than this view
    if (JSON.stringify(asked) !== taken) form.take(asked);
    const whom = filtered ? "all tasks of this filter" : "all tasks";
    const can = may("operator");
    return [
      form.box.isConnected ? h("div", { class: "filters panel", "data-own": true, key: "filters" }) : form.box,
      can && bulkBar({ chosen, changed: refresh, filter, whom, now, open: !filter.schedule }),
      page.tasks.length || page.short ? taskTable("Tasks, newest first", page.tasks, now, can ? { chosen, changed: refresh } : {}) : none(filtered),
      pager("tasks", cursor, page, (at) => to("tasks", { ...filter, cursor: at })),
    ];
  },
};

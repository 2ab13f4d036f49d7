// Dead letters: how many by handler and cause, and those of one group.

import { bulk } from "./api.js";
import { h } from "./dom.js";
import { count } from "./format.js";
import { to } from "./route.js";
import { badge, button, empty, link, many, table } from "./ui.js";
import { pageOf, pager, taskTable } from "./tasklist.js";

const filterOf = (params) => Object.fromEntries(["handler", "cause"].map((name) => [name, params.get(name)]).filter(([, value]) => value));

const WHY = {
  error: "the handler raised, and no retry is left", timeout: "it ran out of time too often", crash: "its node or process died too often",
  expired: "it waited past its expiresAt", discarded: "the handler said that no retry will help", corrupt: "its payload is not what was submitted",
};

function groups(counts, now, may, current) {
  const sorted = [...counts].sort((a, b) => b.count - a.count || a.handler.localeCompare(b.handler));
  const act = (verb, group) => {
    const filter = { status: "dead-lettered", handler: group.handler, cause: group.cause, before: new Date(now).toISOString() };
    return many(verb, () => bulk(verb, filter, true), () => bulk(verb, filter, false), `dead letters of ${group.handler} (${group.cause})`);
  };
  const columns = [{ title: "Handler", class: "id" }, { title: "Cause" }, { title: "What it means", class: "wide" }, { title: "Tasks", class: "num" }];
  if (may("operator")) columns.push({ title: "Actions", hidden: true, class: "act" });
  return table("Dead letters by handler and cause", columns, sorted.map((group) => ({
    key: `${group.handler} ${group.cause}`,
    head: 0,
    class: current.handler === group.handler && current.cause === group.cause ? "chosen" : "",
    cells: [
      link(to("dead", { handler: group.handler, cause: group.cause }), group.handler, { class: "clip", title: group.handler }),
      badge(group.cause), WHY[group.cause] ?? "", count(group.count),
      may("operator") && h("div", { class: "actions end" },
        button("Replay …", () => act("replay", group), { kind: "small", label: `Replay dead letters of ${group.handler}, ${group.cause}` }),
        button("Delete …", () => act("delete", group), { kind: "small danger", label: `Delete dead letters of ${group.handler}, ${group.cause}` })),
    ].slice(0, columns.length),
  })));
}

export default {
  title: "Dead letters",
  load: ({ params }, signal) => pageOf("/api/dead-letters", filterOf(params), params.get("cursor"), signal),
  view(page, { params, now, may }) {
    if (!page.counts.length) return empty("There are no dead letters.", "What fails for good waits here until somebody looks at it and replays it.");
    const filter = filterOf(params);
    const chosen = Object.values(filter);
    return [
      h("section", { "aria-label": "Groups", key: "groups" }, groups(page.counts, now, may, filter)),
      h("section", { "aria-label": "Tasks", key: "tasks" },
        h("h2", { class: "apart" }, chosen.length ? `Tasks: ${chosen.join(", ")}` : "Tasks, newest first", chosen.length > 0 && [" ", link(to("dead"), "show all", { class: "small" })]),
        page.tasks.length ? taskTable("Dead letters, newest first", page.tasks, now) : empty("None is left in this group."),
        pager("dead", params.get("cursor"), page, (at) => to("dead", { ...filter, cursor: at }))),
    ];
  },
};

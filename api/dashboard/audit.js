// Who did what.

import { get } from "./api.js";
import { h } from "./dom.js";
import { count, plural, time } from "./format.js";
import { to } from "./route.js";
import { button, empty, link, table } from "./ui.js";

export default {
  title: "Audit",
  load: ({ params }, signal) => get("/api/audit", { limit: 100, cursor: params.get("cursor") }, signal),
  view({ entries, nextCursor }, { params, now }) {
    if (!entries.length) return empty("Nobody has changed anything yet.", "Every change over the API is written down here, with the name of its token.");
    const columns = [{ title: "When" }, { title: "Who" }, { title: "Did" }, { title: "To", class: "id" }, { title: "Changed", class: "num" }];
    return [
      table("Changes, newest first", columns, entries.map((entry, i) => ({
        key: `${entry.at} ${entry.action} ${entry.target} ${i}`,
        cells: [time(entry.at, now), entry.token ?? h("span", { class: "faint" }, "no token"), entry.action, h("span", { class: "mono wrap" }, entry.target), count(entry.count)],
      }))),
      h("nav", { class: "pager", "aria-label": "Pages of the list" }, h("span", { class: "faint" }, plural(entries.length, "entry", "entries")),
        h("span", { class: "actions" }, params.get("cursor") && link(to("audit"), "Newest", { class: "button small" }),
          nextCursor && button("Older", () => (location.hash = to("audit", { cursor: nextCursor })), { kind: "small" }))),
    ];
  },
};

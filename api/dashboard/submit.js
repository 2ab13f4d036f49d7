// A new task, by hand.

import { get, send } from "./api.js";
import { h } from "./dom.js";
import { field, form } from "./forms.js";
import { go } from "./route.js";
import { barred, say } from "./ui.js";

const own = (name) => [`$.parameters.${name}`];

function editor(handlers) {
  return form({
    label: "New task",
    parts: [
      field({ name: "handler", label: "Handler", value: "echo", options: handlers, hint: "One that a node serves, or will serve" }),
      field({ name: "payload", label: "Payload", kind: "json", value: "{}", hint: "Any JSON value, as the handler wants it" }),
      field({ name: "priority", label: "Priority", paths: own("priority"), options: ["low", "normal", "high", "critical"], hint: "low, normal, high, critical, or 0 to 9; empty: the handler's" }),
      field({ name: "queue", label: "Queue", paths: own("queue"), hint: "Empty: the handler's" }),
      field({ name: "delay", label: "Delay", paths: own("delay"), hint: "A duration such as 10s or 5m; empty: at once" }),
      field({ name: "tags", label: "Tags", paths: own("tags"), hint: "Separated by spaces" }),
      field({ name: "id", label: "Id", hint: "Empty: one is made" }),
    ],
    yes: "Submit task",
    cancel: () => go("tasks"),
    async send({ id, handler, payload, priority, queue, delay, tags }) {
      const parameters = {};
      if (priority) parameters.priority = /^\d+$/.test(priority) ? Number(priority) : priority;
      if (queue) parameters.queue = queue;
      if (delay) parameters.delay = delay;
      if (tags) parameters.tags = tags.split(/\s+/);
      const said = { ...(id && { id }), ...(handler && { handler }), parameters };
      const made = await send("POST", "/api/tasks", `${JSON.stringify(said).slice(0, -1)},"payload":${payload}}`);
      say(`Task ${made.id} is submitted.`);
      go(["tasks", made.id]);
    },
  });
}

export default {
  still: true,
  title: "New task",
  load: async (_context, signal) => (await get("/api/handlers", {}, signal)).handlers.map((one) => one.name),
  view: (handlers, { may }) => (may("submitter") ? h("div", { class: "panel narrow" }, editor(handlers)) : barred("submitter")),
};

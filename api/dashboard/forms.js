// Forms: labelled fields, and the message of a wrong one beside it, by the path that the API names.

import { h, render } from "./dom.js";
import { fields as wrongFields } from "./api.js";
import { button } from "./ui.js";

let made = 0;

/**
 * One field. `kind`: text, password, json, check, or a list of `[value, text]`; `paths`: the API's paths that are its own;
 * `options`: what may be suggested.
 */
export function field({ name, label, kind = "text", value = "", hint, paths = [`$.${name}`], options, ...rest }) {
  const id = `field-${(made += 1)}`;
  const common = { id, name, "aria-describedby": `${id}-hint ${id}-wrong`, ...rest };
  let input;
  if (Array.isArray(kind)) {
    input = h("select", common, kind.map(([key, text]) => h("option", { value: key, selected: key === value }, text)));
  } else if (kind === "json") {
    input = h("textarea", { ...common, rows: 6, spellcheck: "false", autocapitalize: "off", class: "mono", value });
  } else if (kind === "check") {
    input = h("input", { ...common, type: "checkbox", checked: Boolean(value) });
  } else {
    input = h("input", { ...common, type: kind, value, list: options ? `${id}-list` : null, autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
  }
  const wrong = h("p", { class: "wrong", id: `${id}-wrong` });
  const text = h("label", { for: id }, label);
  const box = h("div", { class: `field ${kind === "check" ? "check" : ""}` },
    kind === "check" ? [input, text] : [text, input],
    options && h("datalist", { id: `${id}-list` }, options.map((option) => h("option", { value: option }))),
    h("p", { class: "hint", id: `${id}-hint` }, hint), wrong);
  return {
    box, input, name, paths, json: kind === "json",
    get value() { return kind === "check" ? input.checked : input.value.trim(); },
    wrong(message) {
      wrong.textContent = message ?? "";
      if (message) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

const covers = (path, of) => of === path || of.startsWith(`${path}.`) || of.startsWith(`${path}[`);

/**
 * A form over `parts` (fields, or elements between them). `send(values)` does it, `values` by name; JSON fields are
 * checked here first, and stay text.
 */
export function form({ parts, yes, send, cancel, label }) {
  const inputs = parts.filter((part) => part.input);
  const summary = h("div", { class: "wrong summary", role: "alert" });
  const submit = h("button", { type: "submit", class: "button primary" }, yes);

  function show(problems) {
    const rest = [];
    for (const input of inputs) input.wrong(null);
    const found = new Map();
    for (const { path, message } of problems) {
      const owner = inputs.flatMap((input) => input.paths.filter((own) => covers(own, path)).map((own) => [own.length, input, own]))
        .sort((a, b) => b[0] - a[0])[0];
      if (!owner) rest.push(`${path}: ${message}`);
      else found.set(owner[1], [...(found.get(owner[1]) ?? []), path === owner[2] ? message : `${path.slice(owner[2].length).replace(/^\./, "")}: ${message}`]);
    }
    for (const [input, messages] of found) input.wrong(messages.join("; "));
    render(summary, rest.map((text) => h("p", null, text)));
    [...inputs].find((input) => found.has(input))?.input.focus();
  }

  async function onsubmit(event) {
    event.preventDefault();
    const bad = inputs.filter((input) => input.json).flatMap((input) => {
      try {
        JSON.parse(input.value);
        return [];
      } catch (error) {
        return [{ path: input.paths[0], message: input.value ? `This is no JSON: ${error.message}` : "Give a JSON value, such as {} or null." }];
      }
    });
    show(bad);
    if (bad.length) return;
    submit.disabled = true;
    try {
      await send(Object.fromEntries(inputs.map((input) => [input.name, input.value])));
    } catch (error) {
      const problems = wrongFields(error);
      show(problems.length ? problems : [{ path: "", message: error.message }]);
      if (!problems.length) render(summary, h("p", null, error.message));
    } finally {
      submit.disabled = false;
    }
  }

  return h("form", { class: "form", onsubmit, novalidate: true, "aria-label": label },
    parts.map((part) => part.box ?? part), summary,
    h("div", { class: "actions" }, submit, cancel && button("Cancel", cancel)));
}

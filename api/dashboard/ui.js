// What every page is made of: badges, buttons, tables, panels, messages, and the question before something is done.

import { h, render } from "./dom.js";
import { count } from "./format.js";

const LABELS = { "dead-lettered": "dead letter", runOnce: "run once", runAll: "run all" };

/** A state in a word and a colour. */
export const badge = (state, text = LABELS[state] ?? state) => h("span", { class: `badge is-${state}` }, text);

export const button = (text, onclick, { kind = "", label, ...rest } = {}) =>
  h("button", { type: "button", class: `button ${kind}`, onclick, "aria-label": label, ...rest }, text);

export const link = (href, text, props) => h("a", { href, ...props }, text);

export const panel = (title, ...children) => h("section", { class: "panel" }, h("h2", null, title), ...children);

/** In place of a form that the role may not send. */
export const barred = (role) => empty("Not for this token.", `This takes the role ${role} or a higher one.`);

export const empty = (title, hint) => h("div", { class: "empty" }, h("p", null, h("b", null, title)), hint && h("p", null, hint));

export const facts = (pairs) => h("dl", { class: "facts" },
  pairs.filter(Boolean).map(([name, value]) => h("div", { key: name }, h("dt", null, name), h("dd", null, value))));

/**
 * A table. `columns` are `{title, class, hidden}` (`hidden`: the title is for screen readers only); `rows` are
 * `{key, cells}`, or null cells for a column that has nothing.
 */
export const table = (caption, columns, rows) =>
  h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", null, h("caption", { class: "unseen" }, caption),
      h("thead", null, h("tr", null, columns.map((column) =>
        h("th", { scope: "col", class: column.class }, column.hidden ? h("span", { class: "unseen" }, column.title) : column.title)))),
      h("tbody", null, rows.map((row) => h("tr", { key: row.key, class: row.class }, row.cells.map((cell, i) =>
        i === row.head
          ? h("th", { scope: "row", class: columns[i].class }, cell)
          : h("td", { class: columns[i].class }, cell)))))));

// -- messages -----------------------------------------------------------------------------------------------------------

/** Say what was done, or what went wrong, where everybody notices. Errors stay until they are closed. */
export function say(text, kind = "done") {
  const place = document.getElementById(kind === "error" ? "alerts" : "notes");
  const note = h("div", { class: `toast ${kind}` }, h("span", null, text), button("×", () => note.remove(), { kind: "plain", label: "Close message" }));
  place.append(note);
  while (place.children.length > 4) place.firstChild.remove();
  if (kind !== "error") setTimeout(() => note.remove(), 6_000);
}

/** Do something and say how it went; true where it was done. */
export async function attempt(work, done) {
  try {
    const answer = await work();
    say(typeof done === "function" ? done(answer) : done);
    return true;
  } catch (error) {
    say(error.message, "error");
    return false;
  } finally {
    dispatchEvent(new Event("refresh"));
  }
}

// -- questions ----------------------------------------------------------------------------------------------------------

let questions = 0;

/** A dialog; `build(close)` makes its content. Resolves to what `close` was given, null where it was dismissed; that it cannot be while `data-busy` stands on it. */
export function dialog(title, build) {
  return new Promise((resolve) => {
    const id = `dialog-${(questions += 1)}`;
    let result = null;
    const box = h("dialog", { "aria-labelledby": id, tabindex: -1, onclose: () => (box.remove(), resolve(result)), onkeydown: (event) => void (event.key === "Escape" && "busy" in box.dataset && event.preventDefault()) });
    const close = (value) => ((result = value), box.close());
    box.append(h("h2", { id }, title), ...[build(close)].flat().filter(Boolean));
    document.body.append(box);
    box.showModal();
  });
}

/** Ask before something is done that cannot be taken back. */
export const confirm = (title, text, yes, kind = "danger") => dialog(title, (close) => [
  h("p", null, text),
  h("div", { class: "actions end" }, button("Keep as it is", () => close(false)), button(yes, () => close(true), { kind })),
]);

const DONE = { cancel: "cancelled", retry: "set to run now", replay: "replayed", delete: "deleted" };

/** Count first, then ask, then do: for many tasks at a time. `count` and `work` answer `{count}`. */
export async function many(verb, counted, work, whom) {
  const found = await dialog(`${verb[0].toUpperCase()}${verb.slice(1)} ${whom}`, (close) => {
    const body = h("div", { "aria-live": "polite" }, h("p", null, "Counting …"));
    const keep = button("Keep as they are", () => close(null));
    const buttons = h("div", { class: "actions end" }, keep);
    const busy = (on) => { // nobody may think that it was not done
      const box = buttons.closest("dialog");
      keep.disabled = on;
      box.toggleAttribute("data-busy", on);
      box.focus(); // or the keys would go past it
    };
    counted().then(({ count: n }) => {
      const tasks = n === 1 ? "1 task" : `${count(n)} tasks`;
      render(body, n
        ? [h("p", null, h("b", null, tasks), ` can be ${DONE[verb]}. Tasks in a state that does not allow it are left alone.`),
          verb === "delete" && h("p", null, "What is deleted is gone, with its result and its history.")]
        : h("p", null, `None of them is in a state in which it can be ${DONE[verb]}.`));
      if (!n) return;
      const go = button(`${verb[0].toUpperCase()}${verb.slice(1)} ${tasks}`, async () => {
        go.disabled = true;
        go.textContent = "Working …";
        busy(true);
        try {
          close(await work());
        } catch (error) {
          busy(false);
          keep.textContent = "Close";
          go.remove();
          render(body, h("p", { class: "wrong", role: "alert" }, `${error.message} What was done before stays done.`));
          dispatchEvent(new Event("refresh"));
        }
      }, { kind: verb === "delete" || verb === "cancel" ? "danger" : "primary" });
      buttons.append(go);
      go.focus();
    }, (error) => render(body, h("p", { class: "wrong", role: "alert" }, error.message)));
    return [body, buttons];
  });
  if (!found) return false;
  say(`${found.count === 1 ? "1 task was" : `${count(found.count)} tasks were`} ${DONE[verb]}.`);
  dispatchEvent(new Event("refresh"));
  return true;
}

// -- JSON ---------------------------------------------------------------------------------------------------------------

const SHOWN = 20_000;
// What turns the direction of a text could make it look like another; in JSON it can be written out.
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const written = (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** A JSON value, readable; a long one in part until it is asked for. */
export function json(label, value, whole = false) {
  const text = JSON.stringify(value, null, 2).replace(TURNS, written);
  const part = !whole && text.length > SHOWN;
  const copy = navigator.clipboard && button("Copy", () => navigator.clipboard.writeText(text).then(() => say(`${label} copied.`)), { kind: "small", label: `Copy ${label.toLowerCase()}` });
  const box = h("pre", { class: "json", tabindex: 0, role: "region", "aria-label": label }, part ? text.slice(0, SHOWN) : text);
  const more = part && button(`Show all ${count(text.length)} characters`, () => ((box.textContent = text), more.remove()), { kind: "small" });
  return h("div", { class: "jsonbox", "data-own": true, key: `${label} ${text.length} ${text.slice(0, 400)}` }, box, h("div", { class: "actions" }, more, copy));
}

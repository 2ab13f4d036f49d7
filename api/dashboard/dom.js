// Elements from data, and a page's new state laid over its old one, so that focus, scrolling and open parts survive a
// refresh. Data only ever becomes text or the value of an attribute; there is no way from a string to markup here.

const SVG = "http://www.w3.org/2000/svg";

function make(element, props, children) {
  const tag = element.nodeName;
  const handlers = {};
  element.append(...flat(children)); // before the properties: a select takes a value only from options that it has
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) {
      handlers[name] = value;
      element[name] = value;
    } else if (name === "key") {
      element.key = String(value);
    } else if (name === "value" && tag !== "OPTION") {
      element.given = element.value = value;
    } else if (name === "checked" || name === "indeterminate") {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.handlers = handlers;
  return element;
}

function* flat(children) {
  for (const child of children) {
    if (Array.isArray(child)) yield* flat(child);
    else if (child !== null && child !== undefined && child !== false) yield child instanceof Node ? child : String(child);
  }
}

/** An HTML element. `on…` are handlers, `key` names it among its siblings, everything else is an attribute. */
export const h = (tag, props, ...children) => make(document.createElement(tag), props, children);

/** The same in SVG. */
export const svg = (tag, props, ...children) => make(document.createElementNS(SVG, tag), props, children);

/** Let `target` hold what `children` say, with as little change as will do. */
export function render(target, ...children) {
  const wanted = document.createElement("div");
  wanted.append(...flat(children));
  lay(target, wanted);
}

function lay(from, to) {
  const named = new Map();
  const free = [];
  for (const child of from.childNodes) child.key === undefined ? free.push(child) : named.set(child.key, child);
  const kept = new Set();
  const plan = [...to.childNodes].map((wanted) => {
    let found;
    if (wanted.key !== undefined) {
      found = named.get(wanted.key);
    } else {
      const at = free.findIndex((one) => one.nodeName === wanted.nodeName);
      if (at >= 0) found = free.splice(0, at + 1)[at];
    }
    if (found?.nodeName !== wanted.nodeName || kept.has(found)) found = undefined;
    if (found) kept.add(found);
    return [wanted, found];
  });
  for (const child of [...from.childNodes]) if (!kept.has(child)) child.remove();
  let place = from.firstChild;
  for (const [wanted, found] of plan) {
    if (!found) {
      from.insertBefore(wanted, place);
    } else {
      if (found === place) place = place.nextSibling;
      else from.insertBefore(found, place);
      update(found, wanted);
    }
  }
}

function update(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  for (const { name } of [...from.attributes]) {
    // Whether a <details> is open, and what a dialog does, is the reader's.
    if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  for (const name of Object.keys(from.handlers ?? {})) if (!(name in to.handlers)) from[name] = null;
  Object.assign(from, to.handlers);
  from.handlers = to.handlers;
  if (from.type === "checkbox") {
    from.checked = to.checked;
    from.indeterminate = to.indeterminate;
  }
  // What a person types stays, until the page says another value than it said before.
  if (to.given !== from.given && !to.hasAttribute("data-own")) from.given = from.value = to.given ?? "";
  if (!to.hasAttribute("data-own")) lay(from, to); // what is `data-own` fills itself
}

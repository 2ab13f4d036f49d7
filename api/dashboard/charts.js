// Charts over time as SVG: stacked bars for what was counted, lines and areas for what was measured. Each has a
// sentence that says what it shows, a readout under the pointer, and its figures as a table for whoever wants them.

import { h, svg, render } from "./dom.js";
import { hour, NONE } from "./format.js";

const WIDTH = 640;
const HEIGHT = 200;
const LEFT = 46;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 24;

/** A round upper end for an axis, and the distance between its lines. */
function scale(most, whole) {
  const raw = (most || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  let step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
  if (whole) step = Math.max(1, step);
  return { step, top: Math.max(step, Math.ceil((most || 1) / step) * step) };
}

/** Points of `each` minutes from points of one: `sums` are added, `ends` are the last known, `highs` the highest. */
export function gather(series, each, { sums = [], ends = [], highs = [] }) {
  const gathered = new Map();
  for (const point of series) {
    const at = Math.floor(Date.parse(point.at) / (each * 60_000)) * each * 60_000;
    const into = gathered.get(at) ?? gathered.set(at, { at: new Date(at).toISOString() }).get(at);
    for (const name of sums) into[name] = (into[name] ?? 0) + point[name];
    for (const name of ends) into[name] = point[name] ?? into[name] ?? null;
    for (const name of highs) into[name] = point[name] === null ? into[name] ?? null : Math.max(point[name], into[name] ?? 0);
  }
  return [...gathered.values()];
}

function ticks(points) {
  const every = Math.max(1, Math.ceil(points.length / 6));
  return points.map((point, i) => [i, point]).filter(([i]) => i % every === 0 && i < points.length - every / 3);
}

function bars(points, parts, x, y, wide) {
  return points.map((point, i) => {
    let base = 0;
    return parts.map((part) => {
      const from = y(base);
      base += point[part.name] ?? 0;
      const to = y(base);
      if (from - to < 0.01) return null;
      const last = i === points.length - 1 ? " partial" : "";
      return svg("rect", { class: `fill ${part.color}${last}`, x: (x(i) - wide / 2).toFixed(2), y: to.toFixed(2), width: wide.toFixed(2), height: (from - to).toFixed(2) });
    });
  });
}

function line(points, part, x, y) {
  const runs = [];
  points.forEach((point, i) => {
    let value = point[part.name];
    // The present minute is not over: a count that is still small does not mean a fall.
    if (part.counted && i > 0 && i === points.length - 1 && value < points[i - 1][part.name]) value = null;
    if (value === null || value === undefined) return runs.push(null);
    if (!runs.at(-1)) runs.push([]);
    return runs.at(-1).push([x(i), y(value)]);
  });
  return runs.filter(Boolean).map((run) => {
    const path = run.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(2)} ${b.toFixed(2)}`).join("");
    if (run.length === 1) return svg("circle", { class: `fill ${part.color}`, cx: run[0][0].toFixed(2), cy: run[0][1].toFixed(2), r: 2.5 });
    const area = `${path}L${run.at(-1)[0].toFixed(2)} ${y(0)}L${run[0][0].toFixed(2)} ${y(0)}Z`;
    return [part.area && svg("path", { class: `area ${part.color}`, d: area }), svg("path", { class: `line ${part.color}`, d: path })];
  });
}

/**
 * A chart. `points` have `at` and a number (or null) for each part; `parts` are `{name, label, color, as: bar|line, area,
 * counted}` (counted: a sum that grows while its minute lasts);
 * `format` writes a value, `said` sums the chart up in a sentence.
 */
export function chart({ key, title, unit, points, parts, format, whole, said }) {
  const stacked = parts.filter((part) => part.as === "bar");
  const lines = parts.filter((part) => part.as !== "bar");
  const most = Math.max(0, ...points.map((point) => Math.max(
    stacked.reduce((sum, part) => sum + (point[part.name] ?? 0), 0), ...lines.map((part) => point[part.name] ?? 0))));
  const { step, top } = scale(most, whole);
  const room = (WIDTH - LEFT - RIGHT) / points.length;
  const x = (i) => LEFT + room * (i + 0.5);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
  const levels = Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step);

  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}. ${said}` },
    levels.map((level) => [
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(level).toFixed(2), y2: y(level).toFixed(2) }),
      svg("text", { class: "tick", x: LEFT - 7, y: (y(level) + 3.5).toFixed(2), "text-anchor": "end" }, format(level)),
    ]),
    ticks(points).map(([i, point]) => svg("text", { class: "tick", x: x(i).toFixed(2), y: HEIGHT - 7, "text-anchor": "middle" }, hour(point.at))),
    bars(points, stacked, x, y, Math.max(1, room * 0.72)),
    lines.map((part) => line(points, part, x, y)));

  const readout = h("div", { class: "readout", hidden: true, "aria-hidden": "true", "data-own": true });
  const show = (event) => {
    const plot = event.currentTarget;
    const box = plot.querySelector("svg").getBoundingClientRect();
    const i = Math.floor((((event.clientX - box.left) / box.width) * WIDTH - LEFT) / room);
    const out = plot.querySelector(".readout");
    out.hidden = !(i >= 0 && i < points.length);
    if (out.hidden) return;
    render(out, h("b", null, hour(points[i].at)), parts.map((part) =>
      h("span", null, h("i", { class: `swatch ${part.color}` }), `${part.label} `, h("b", null, value(points[i][part.name], format)))));
    const at = (x(i) / WIDTH) * box.width;
    out.classList.toggle("left", at > box.width / 2);
    out.style.left = `${at}px`;
  };
  const hide = (event) => (event.currentTarget.querySelector(".readout").hidden = true);

  return h("figure", { class: "chart panel", key },
    h("figcaption", null, h("h2", null, title, h("small", null, unit)),
      h("ul", { class: "legend" }, parts.map((part) => h("li", null, h("i", { class: `swatch ${part.color}` }), part.label)))),
    h("div", { class: "plot", onpointermove: show, onpointerleave: hide }, drawing, readout),
    h("details", { class: "figures" }, h("summary", null, "Figures"),
      h("div", { class: "scroll short", tabindex: 0, role: "region", "aria-label": `${title}, figures` },
        h("table", null,
          h("thead", null, h("tr", null, h("th", { scope: "col" }, "From"), parts.map((part) => h("th", { scope: "col", class: "num" }, part.label)))),
          h("tbody", null, [...points].reverse().map((point) => h("tr", { key: point.at }, h("th", { scope: "row" }, hour(point.at)),
            parts.map((part) => h("td", { class: "num" }, value(point[part.name], format))))))))));
}

const value = (n, format) => (n === null || n === undefined ? NONE : format(n));

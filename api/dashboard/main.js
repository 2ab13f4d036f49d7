// The frame: which page is shown, the poller that keeps it fresh, the state of the connection, the theme, the login.

import { get, now, Refused, token } from "./api.js";
import { h, render } from "./dom.js";
import { compact, moment } from "./format.js";
import { login } from "./login.js";
import { Poller } from "./poll.js";
import { here } from "./route.js";
import { identify, may, refused, session } from "./session.js";
import { badge, button, empty } from "./ui.js";
import audit from "./audit.js";
import cluster from "./cluster.js";
import dead from "./dead.js";
import overview from "./overview.js";
import queues from "./queues.js";
import schedule from "./schedule.js";
import schedules from "./schedules.js";
import submit from "./submit.js";
import task from "./task.js";
import tasks from "./tasks.js";

const main = document.getElementById("main");
const state = document.getElementById("state");
const banner = document.getElementById("banner");
const nav = document.getElementById("nav");

const lost = { title: "Not here", load: () => null, view: () => empty("There is no such page.", h("a", { href: "#/" }, "To the overview")) };

function pageOf({ path }) {
  const [first, second] = path;
  if (path.length > 2) return lost;
  const pages = { undefined: overview, tasks, dead, schedules, queues, cluster, audit, submit, "new-schedule": schedule };
  if (first === "tasks" && second) return task;
  if (first === "schedules" && second) return schedule;
  return second ? lost : pages[first] ?? lost;
}

let page = null;
let place = null;
let data = null;
let status = null;
let known = false; // who we are
let shownAt = null;

const context = () => ({ ...place, status, may, now: now(), refresh: () => poller.again() });

async function ask(signal) {
  if (!known) {
    await identify(signal);
    known = true;
    frame();
  }
  const [mine, shared] = await Promise.all([page.load({ ...place, may, now: now() }, signal), get("/api/cluster/status", {}, signal)]);
  signal.throwIfAborted();
  data = mine;
  status = shared;
  shownAt = new Date();
  draw();
}

function draw() {
  if (page.still && main.dataset.page === location.hash) return; // a form is a person's, not the poller's
  main.dataset.page = location.hash;
  const view = context();
  const title = typeof page.title === "function" ? page.title(view, data) : page.title;
  document.title = `${title} · taskqueue`;
  const heading = h("h1", { tabindex: -1, key: "title" }, title);
  render(main, h("div", { class: "heading", key: "heading" }, heading, page.actions?.(data, view)),
    h("div", { class: "page", key: `page ${place.path.join("/")}` }, page.view(data, view)));
  main.removeAttribute("aria-busy");
  document.getElementById("dead-count").textContent = status["tasks"]["dead-lettered"] ? compact(status["tasks"]["dead-lettered"]) : "";
  document.getElementById("about").textContent = `${status.mode} · ${status.version}`;
}

// -- the state of the connection ----------------------------------------------------------------------------------------

let told = { state: "live" };

function tell(heard) {
  told = heard;
  const { error } = heard;
  if (error && refused(error)) return signIn(token.get() ? "The node does not accept this token." : "");
  if (error instanceof Refused && error.status < 500) {
    // The node is there, and says no: that belongs into the page.
    render(main, h("div", { class: "heading", key: "heading" }, h("h1", { tabindex: -1, key: "title" }, page.title instanceof Function ? "Not found" : page.title)),
      empty(error.message, error.status === 403 ? `Your role is ${session.role}.` : null));
    main.removeAttribute("aria-busy");
    main.dataset.page = "";
    told = { ...heard, state: "live", error: null };
  } else if (error && !(error instanceof Refused) && error.name !== "Error") {
    render(main, empty("This page has a bug.", error.message));
  }
  const names = { live: "Live", paused: "Updates paused", lost: "Connection lost" };
  state.className = `state ${told.state}`;
  if (state.textContent !== names[told.state]) state.textContent = names[told.state];
  banner.hidden = told.state !== "lost";
  if (!banner.hidden) {
    const since = shownAt ? ` What you see is from ${moment(shownAt)}.` : "";
    render(banner, h("span", null, h("b", null, "Connection lost. "), told.error.message, since),
      h("span", { id: "countdown", "aria-hidden": "true", "data-own": true }), button("Try now", () => poller.again(), { kind: "small" }));
    main.removeAttribute("aria-busy");
    if (!shownAt) render(main, empty("The node has not answered yet."));
  }
}

setInterval(() => {
  const out = document.getElementById("countdown");
  if (out && told.retryAt) out.textContent = `Next try in ${Math.max(0, Math.ceil((told.retryAt - Date.now()) / 1000))} s`;
}, 500);

const poller = new Poller(ask, tell);
addEventListener("refresh", () => poller.soon());

const hold = document.getElementById("hold");
hold.onclick = () => {
  poller.pause(!poller.paused);
  hold.setAttribute("aria-pressed", String(poller.paused));
};

// -- moving about -------------------------------------------------------------------------------------------------------

function move() {
  const before = place?.path.join("/");
  place = here();
  const next = pageOf(place);
  const same = next === page && before === place.path.join("/");
  page = next;
  for (const item of nav.querySelectorAll("a")) {
    const mine = item.getAttribute("href").slice(2).split("?")[0] === (place.path[0] ?? "");
    if (mine) item.setAttribute("aria-current", "page");
    else item.removeAttribute("aria-current");
  }
  menu(false);
  if (document.body.dataset.login) return;
  main.setAttribute("aria-busy", "true");
  if (!same) {
    data = null;
    main.dataset.page = "";
    // The same keys as in `draw`: the heading that has the focus then stays.
    render(main, h("div", { class: "heading", key: "heading" }, h("h1", { tabindex: -1, key: "title" }, typeof page.title === "string" ? page.title : "…")), h("p", { class: "loading" }, "Loading …"));
    if (before !== undefined) {
      scrollTo(0, 0);
      main.querySelector("h1").focus();
    }
  }
  poller.again();
}

function menu(open) {
  document.body.classList.toggle("menu", open);
  document.getElementById("menu").setAttribute("aria-expanded", String(open));
}
document.getElementById("menu").onclick = () => menu(!document.body.classList.contains("menu"));
document.getElementById("skip").onclick = (event) => {
  event.preventDefault();
  main.querySelector("h1")?.focus();
};
nav.addEventListener("click", (event) => event.target.closest("a") && menu(false)); // also where it leads to where we are
addEventListener("hashchange", move);

// -- who looks ----------------------------------------------------------------------------------------------------------

function frame() {
  for (const item of nav.querySelectorAll("[data-role]")) item.hidden = !may(item.dataset.role);
  render(document.getElementById("who"), session.token && [h("b", null, session.token), badge("role", session.role)]);
  document.getElementById("leave").hidden = !token.get();
}

function signIn(message = "") {
  poller.stop();
  known = false;
  token.drop();
  document.body.dataset.login = "yes";
  banner.hidden = true;
  for (const box of document.querySelectorAll("dialog")) box.close();
  login(main, message, () => {
    delete document.body.dataset.login;
    known = false;
    page = null;
    poller.stopped = false;
    move();
  });
}
document.getElementById("leave").onclick = () => signIn();

// -- light and dark -----------------------------------------------------------------------------------------------------

const theme = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
const label = () => (theme.textContent = isDark() ? "Light theme" : "Dark theme");
theme.onclick = () => {
  const wanted = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = wanted;
  try {
    localStorage.setItem("taskqueue.theme", wanted);
  } catch {
    // A browser that keeps nothing: the choice holds until the page is loaded anew.
  }
  label();
};
dark.onchange = label;
label();

poller.stopped = false;
move();

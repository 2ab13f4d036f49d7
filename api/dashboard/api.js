// Speaking to the node: one door for every call, its errors, the token of this tab, and the server's time.

const TOKEN = "taskqueue.token";
const PATIENCE = 15_000;
const LONG = 600_000; // what works through many tasks

/** What the API refused: `status`, `detail`, and `errors` with a path for each wrong field. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `The node answered ${status}.`);
    this.status = status;
    this.errors = Array.isArray(problem.errors) ? problem.errors : [];
  }
}

/** Nobody answered, or not in time. */
export class Lost extends Error {}

let behind = 0; // milliseconds that this machine's clock is behind the node's
export const now = () => Date.now() + behind;

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => sessionStorage.setItem(TOKEN, value),
  drop: () => sessionStorage.removeItem(TOKEN),
};

// An integer that a double cannot hold is kept as it was written, where the browser knows how.
function revive(_key, value, context) {
  const exact = typeof value !== "number" || Number.isSafeInteger(value) || !context?.source || !JSON.rawJSON;
  return exact || !/^-?\d+$/.test(context.source) ? value : JSON.rawJSON(context.source);
}

async function call(method, path, { body, text, signal, patience = PATIENCE } = {}) {
  const headers = { Accept: "application/json" };
  const secret = token.get();
  if (secret) headers.Authorization = `Bearer ${secret}`;
  const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
  if (sent !== undefined) headers["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(patience);
  let answer;
  let raw;
  try {
    const both = signal ? AbortSignal.any([signal, limit]) : limit;
    answer = await fetch(path, { method, headers, body: sent, signal: both, cache: "no-store", credentials: "omit" });
    raw = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Lost(limit.aborted ? "The node did not answer in time." : "The node cannot be reached.");
  }
  const away = Date.parse(answer.headers.get("Date")) + 500 - Date.now(); // the header has whole seconds
  if (!Number.isNaN(away)) behind = Math.abs(away) < 2_000 ? 0 : away;
  let parsed = null;
  try {
    parsed = raw ? JSON.parse(raw, revive) : null;
  } catch {
    if (answer.ok) throw new Lost("Something other than the node answered.");
  }
  if (answer.ok) return parsed;
  const problem = parsed && typeof parsed === "object" ? parsed : {};
  if ([502, 504].includes(answer.status)) throw new Lost(problem.detail || "The node cannot be reached.");
  throw new Refused(answer.status, problem);
}

function query(path, params) {
  const given = Object.entries(params ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

export const get = (path, params, signal) => call("GET", query(path, params), { signal });
export const post = (path, body) => call("POST", path, { body });
export const remove = (path) => call("DELETE", path);
/** A body that is JSON already: what a person typed stays as typed. */
export const send = (method, path, text) => call(method, path, { text });
export const bulk = (action, filter, dryRun) =>
  call("POST", "/api/tasks/bulk", { body: { action, filter, dryRun }, patience: LONG });
export const purge = (queue) => call("POST", `/api/queues/${encodeURIComponent(queue)}/purge`, { patience: LONG });

/** `[{path, message}]` of an error, if it has any. */
export const fields = (error) => (error instanceof Refused ? error.errors : []);

// Where we are: a path and parameters behind the `#`, so that every view has an address and "back" works.

/** `{path: ["tasks", "id"], params}` of the address. */
export function here() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").filter(Boolean).map(decode), params: new URLSearchParams(query ?? "") };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a view; empty parameters are left out. */
export function to(path, params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const parts = [path].flat().map(encodeURIComponent).join("/");
  return `#/${parts}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

export const go = (path, params) => (location.hash = to(path, params));

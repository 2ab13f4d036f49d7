// Who looks, and what they may do.

import { get, Refused } from "./api.js";

const ROLES = ["viewer", "submitter", "operator", "admin"];

export const session = { token: null, role: "viewer" };

/** Ask the node who we are. Raises `Refused` with 401 where it wants a token. */
export async function identify(signal) {
  Object.assign(session, await get("/api/whoami", {}, signal));
}

/** Is this session's role at least that one? */
export const may = (role) => ROLES.indexOf(session.role) >= ROLES.indexOf(role);

export const refused = (error) => error instanceof Refused && error.status === 401;

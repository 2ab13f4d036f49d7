// Asking for a token. It stays in this tab, and is gone with it.

import { h, render } from "./dom.js";
import { token } from "./api.js";
import { field, form } from "./forms.js";
import { identify, refused } from "./session.js";
import { say } from "./ui.js";

/** Show the form in `place`; `done` is called once the node accepts a token. */
export function login(place, message, done) {
  document.title = "Sign in · taskqueue";
  const secret = field({ name: "token", label: "Token", kind: "password", hint: "One of the tokens of this deployment (apiTokens). It is kept in this tab only." });
  const box = form({
    label: "Sign in",
    parts: [secret],
    yes: "Sign in",
    async send({ token: value }) {
      if (!/^[\x21-\x7e]+$/.test(value)) return secret.wrong(value ? "A token has no spaces and only plain characters." : "Give a token.");
      token.set(value);
      try {
        await identify();
      } catch (error) {
        token.drop();
        if (!refused(error)) throw error;
        secret.wrong("The node does not accept this token.");
        return secret.input.focus();
      }
      document.getElementById("alerts").replaceChildren();
      say("Signed in.");
      return done();
    },
  });
  render(place, h("div", { class: "login panel", key: "login" }, h("h1", { tabindex: -1 }, "Sign in"), box));
  place.removeAttribute("aria-busy");
  if (message) secret.wrong(message);
  secret.input.focus();
}

"""Who asks, and may they? What a route needs stands in the table of routes.

Without tokens in the configuration everybody is an admin without a name. With them, every path but the open ones wants
a token, also where there is nothing: a stranger learns no more of the paths than the table tells.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import falcon

from api.calls import Answer, Call, Caller, Route
from api.schemas import Shape
from taskqueue.core.access import SHORT, Role, Token, recognise
from taskqueue.core.config import Config
from taskqueue.core.settings import is_loopback

SCHEME = "Bearer"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CHALLENGE = f'{SCHEME} realm="taskqueue"'

_LOG = logging.getLogger("taskqueue.api")


class WhoAmI(Shape):
    """Who the token belongs to. `token` is its name, null where no tokens are set; then `role` is admin."""

    token: str | None
    role: Role


class Doorkeeper:
    """Knows the tokens and what each route needs. State: none that changes."""

    def __init__(self, tokens: tuple[Token, ...], routes: Iterable[Route]) -> None:
        self._tokens = tokens
        self._needed: dict[tuple[str, str], Role | None] = {}
        for route in routes:
            self._needed[route.path, route.method] = route.role
            if route.method == "GET":
                self._needed[route.path, "HEAD"] = route.role

    def comes_from_elsewhere(self, env: Mapping[str, Any]) -> bool:
        """Is it a change that another site's page has a browser ask for? Where tokens are wanted no such page has one;
        without them a browser on this machine would carry out what any page says (CSRF). `env` is WSGI's.

        Browsers say where a request comes from, in `Sec-Fetch-Site` or, if older, in `Origin`; others say nothing.
        """
        if self._tokens or env["REQUEST_METHOD"] in _SAFE:
            return False
        site, origin = env.get("HTTP_SEC_FETCH_SITE"), env.get("HTTP_ORIGIN")
        if site is not None:
            return site not in ("same-origin", "none")
        return origin is not None and origin.partition("://")[2].lower() != env.get("HTTP_HOST", "").lower()

    def let_in(self, path: str | None, method: str, authorization: str | None) -> Caller:
        """Who comes to the route at `path` (None: there is none). A path that is open for GET is so for the answer that
        it does not take a method.

        Raises:
            falcon.HTTPUnauthorized: no token, or one that nobody has; the answer is the same for both.
            falcon.HTTPForbidden: the token's role is too small.
        """
        if path is None:
            needed: Role | None = Role.VIEWER
        else:
            needed = self._needed.get((path, method), self._needed.get((path, "GET"), Role.VIEWER))
        if needed is None:
            return Caller(None, None)
        if not self._tokens:
            return Caller(None, Role.ADMIN)
        token = recognise(_secret(authorization), self._tokens)
        if token is None:
            raise falcon.HTTPUnauthorized(
                description="This needs a token: Authorization: Bearer …", challenges=[CHALLENGE]
            )
        if not token.role.covers(needed):
            raise falcon.HTTPForbidden(description=f"This needs the role {needed}; the token's is {token.role}")
        return Caller(token.name, token.role)


def _secret(authorization: str | None) -> str:
    """What the header says behind `Bearer`; nothing is a token that nobody has."""
    scheme, _, secret = (authorization or "").partition(" ")
    return secret.strip() if scheme.lower() == SCHEME.lower() else ""


def whoami(call: Call) -> Answer:
    """The name and the role of the token that asks."""
    role = call.caller.role
    assert role is not None  # the route is not open
    return Answer(WhoAmI(token=call.caller.name, role=role))


def warn_of(config: Config) -> None:
    """Say in the log what of the door's settings an operator may not have meant. No secret is told."""
    host = config.api_host
    if not config.api_tokens and not is_loopback(host):
        _LOG.warning(
            "NO AUTHENTICATION: the API listens on %s without apiTokens; whoever reaches the port can do everything",
            host,
        )
    for token in config.api_tokens:
        if token.short:
            _LOG.warning("the token %s has fewer than %d characters and can be guessed", token.name, SHORT)
    if host in ("0.0.0.0", "::") and not config.allowed_hosts:  # noqa: S104 - that is what is looked for
        _LOG.warning(
            "the API listens on %s and answers to loopback names only; name in allowedHosts what clients call the node",
            host,
        )

"""The WSGI application: who is let in (Host, token), what stands in every answer's header, and the count of answers.
What it serves stands in the table of `routes`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from functools import cache, partial
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import falcon

from api import errors, pages
from api.auth import Doorkeeper
from api.calls import Answer, Route, Site, write
from api.gateway import Gateway
from api.headers import COMMON, DEFAULTS
from api.later import LATER, Later, Reply
from api.openapi import describe
from api.routes import ROUTES
from api.settings import EVERY_HOST, Settings, bare
from taskqueue.core import names
from taskqueue.core.clock import Clock, SystemClock

OTHER = "other"
"""Where an answer is counted that belongs to no route."""


def create_app(gateway: Gateway, settings: Settings, clock: Clock | None = None) -> falcon.App[Any, Any]:
    """The application. It keeps no state of its own: everything it knows it asks `gateway`."""
    doorkeeper = Doorkeeper(settings.tokens, ROUTES)
    border = _Border(settings.hosts, doorkeeper, gateway.answered)
    app = falcon.App(middleware=[border])
    app.req_options.keep_blank_qs_values = True
    app.router_options.converters.update(task_id=_TaskId, name=_Name, token=_Token)
    errors.install(app)
    site = Site(
        gateway=gateway,
        settings=settings,
        clock=clock or SystemClock(),
        files=pages.files(),
        description=cache(lambda: describe(ROUTES, settings.version)),
    )
    by_path: dict[str, list[Route]] = defaultdict(list)
    for route in ROUTES:
        by_path[route.path].append(route)
    for path, routes in by_path.items():
        app.add_route(path, _resource(routes, site))
    app.add_sink(border.nothing, _ANYWHERE)
    return app


def _resource(routes: list[Route], site: Site) -> SimpleNamespace:
    """What Falcon wants at a path: an object with one responder a method. HEAD is a GET whose body Falcon drops."""
    responders: dict[str, Callable[..., None]] = {}
    for route in routes:
        responders[f"on_{route.method.lower()}"] = route.responder(site)
    if "on_get" in responders:
        responders["on_head"] = responders["on_get"]
    return SimpleNamespace(**responders)


_ANYWHERE = re.compile("")


class _TaskId(falcon.routing.BaseConverter):
    """A part of a path that may be a task's id; with anything else there is nothing at that path."""

    def convert(self, value: str) -> str | None:
        return value if names.is_task_id(value) else None


class _Name(falcon.routing.BaseConverter):
    """The same for names of queues, nodes and schedules."""

    def convert(self, value: str) -> str | None:
        return value if names.is_name(value) else None


class _Token(falcon.routing.BaseConverter):
    """A token of a run: any text is one, if perhaps not one that somebody was given."""

    def convert(self, value: str) -> str | None:
        return value


class _Border:
    """Answers only to known Host names, so that no web page can reach a node on loopback by a name of its own
    (DNS rebinding), lets no other site's page change anything, asks the doorkeeper before anything else is done, sets
    the headers that every answer has, and counts it by the template of its route: what is at no path of the table is
    `other`, so that nobody can invent one.
    """

    def __init__(self, hosts: frozenset[str], doorkeeper: Doorkeeper, answered: Callable[[str, int], None]) -> None:
        self._hosts = hosts
        self._doorkeeper = doorkeeper
        self._answered = answered
        self._templates: dict[str | None, str] = {route.path: route.template for route in ROUTES}

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        if EVERY_HOST in self._hosts:
            return
        host = req.env.get("HTTP_HOST")
        if host is None and req.env.get("SERVER_PROTOCOL") == "HTTP/1.0":
            return  # browsers send one; old health checkers do not
        if bare(host or "") not in self._hosts:
            raise falcon.HTTPError(
                HTTPStatus.MISDIRECTED_REQUEST, description="This node does not answer to that Host; see allowedHosts"
            )
        if self._doorkeeper.comes_from_elsewhere(req.env):
            raise falcon.HTTPForbidden(description="A page of another site may change nothing here")

    def process_resource(
        self, req: falcon.Request, _resp: falcon.Response, resource: SimpleNamespace, _path: dict[str, Any]
    ) -> None:
        """Called where there is a route for the path, though perhaps not for the method."""
        req.context.caller = self._doorkeeper.let_in(req.uri_template, req.method, req.env.get("HTTP_AUTHORIZATION"))
        if req.method not in falcon.COMBINED_METHODS:  # Falcon would call it a bad request
            allowed = sorted(name.removeprefix("on_").upper() for name in vars(resource))
            raise falcon.HTTPMethodNotAllowed([*allowed, "OPTIONS"])

    def nothing(self, req: falcon.Request, resp: falcon.Response, **_path: str) -> None:
        """What answers where there is no route."""
        self._doorkeeper.let_in(None, req.method, req.env.get("HTTP_AUTHORIZATION"))
        raise falcon.HTTPNotFound

    def process_response(self, req: falcon.Request, resp: falcon.Response, _resource: object, _ok: bool) -> None:
        later: Later | None = req.env.get(LATER)
        if later is not None and later.answer is not None:
            later.finish = partial(self._finish, later.answer, req, resp)
        elif later is None or not later.declined:
            self._seal(req, resp)

    def _finish(self, answer: Callable[[], Answer], req: falcon.Request, resp: falcon.Response) -> Reply:
        """What was promised."""
        try:
            write(resp, answer())
        except Exception as error:  # as Falcon would where nothing was promised
            errors.write(resp, error)
        resp.delete_header("Content-Length")  # of the answer that Falcon took it to have
        self._seal(req, resp)
        return Reply(falcon.code_to_http_status(resp.status_code), list(resp.headers.items()), resp.data or b"")

    def _seal(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.set_headers(COMMON)
        for name, value in DEFAULTS.items():
            if resp.get_header(name) is None:
                resp.set_header(name, value)
        self._answered(self._templates.get(req.uri_template, OTHER), resp.status_code)

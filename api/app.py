"""The WSGI application: the one table of routes, who may ask (Host), what stands in every answer's header, and the
count of answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import falcon

from api import cluster, errors, ops, queues, schedules, stats, submits, tasks
from api.calls import Answer, Call, Route
from api.gateway import Gateway
from api.settings import Settings
from taskqueue.core import names
from taskqueue.core.clock import Clock, SystemClock

ROUTES = (
    Route("POST", "/api/tasks", submits.submit, body=True),
    Route("GET", "/api/tasks", tasks.list_tasks, query=tasks.LIST_QUERY),
    Route("POST", "/api/tasks/batch", submits.submit_batch, query=submits.BATCH_QUERY, body=True),
    Route("POST", "/api/tasks/bulk", tasks.bulk, body=True),
    Route("GET", "/api/tasks/{id:task_id}", tasks.show, query=tasks.SHOW_QUERY),
    Route("PATCH", "/api/tasks/{id:task_id}", tasks.update, body=True),
    Route("DELETE", "/api/tasks/{id:task_id}", tasks.delete),
    Route("POST", "/api/tasks/{id:task_id}/cancel", tasks.cancel),
    Route("POST", "/api/tasks/{id:task_id}/retry", tasks.retry),
    Route("POST", "/api/tasks/{id:task_id}/replay", tasks.replay),
    Route("GET", "/api/dead-letters", tasks.dead_letters, query=tasks.DEAD_QUERY),
    Route("GET", "/api/schedules", schedules.list_schedules),
    Route("POST", "/api/schedules", schedules.create, body=True),
    Route("GET", "/api/schedules/{id:name}", schedules.show),
    Route("PUT", "/api/schedules/{id:name}", schedules.put, body=True),
    Route("DELETE", "/api/schedules/{id:name}", schedules.delete),
    Route("POST", "/api/schedules/{id:name}/pause", schedules.pause),
    Route("POST", "/api/schedules/{id:name}/resume", schedules.resume),
    Route("POST", "/api/schedules/{id:name}/trigger", schedules.trigger),
    Route("GET", "/api/schedules/{id:name}/preview", schedules.preview, query=schedules.PREVIEW_QUERY),
    Route("GET", "/api/queues", queues.list_queues),
    Route("POST", "/api/queues/{name:name}/pause", queues.pause),
    Route("POST", "/api/queues/{name:name}/resume", queues.resume),
    Route("POST", "/api/queues/{name:name}/purge", queues.purge),
    Route("GET", "/api/handlers", queues.list_handlers),
    Route("GET", "/api/cluster/status", cluster.status),
    Route("GET", "/api/cluster/nodes", cluster.nodes),
    Route("POST", "/api/cluster/nodes/{id:name}/drain", cluster.drain),
    Route("POST", "/api/cluster/nodes/{id:name}/undrain", cluster.undrain),
    Route("GET", "/api/stats", stats.show, query=stats.STATS_QUERY),
    Route("GET", "/metrics", ops.metrics),
    Route("GET", "/healthz", ops.alive),
    Route("GET", "/readyz", ops.ready),
)

OTHER = "other"
"""Where an answer is counted that belongs to no route."""


def create_app(gateway: Gateway, settings: Settings, clock: Clock | None = None) -> falcon.App[Any, Any]:
    """The application. It keeps no state of its own: everything it knows it asks `gateway`."""
    app = falcon.App(middleware=[_Border(settings.hosts, gateway.answered)])
    app.req_options.keep_blank_qs_values = True
    app.router_options.converters.update(task_id=_TaskId, name=_Name)
    errors.install(app)

    def index(call: Call) -> Answer:
        return ops.index(call, ROUTES)

    by_path: dict[str, list[Route]] = defaultdict(list)
    for route in (Route("GET", "/", index), *ROUTES):
        by_path[route.path].append(route)
    for path, routes in by_path.items():
        app.add_route(path, _resource(routes, gateway, settings, clock or SystemClock()))
    return app


def _resource(routes: list[Route], gateway: Gateway, settings: Settings, clock: Clock) -> SimpleNamespace:
    """What Falcon wants at a path: an object with one responder a method. HEAD is a GET whose body Falcon drops."""
    responders: dict[str, Callable[..., None]] = {}
    for route in routes:
        responders[f"on_{route.method.lower()}"] = route.responder(gateway, settings, clock)
    if "on_get" in responders:
        responders["on_head"] = responders["on_get"]
    return SimpleNamespace(**responders)


class _TaskId(falcon.routing.BaseConverter):
    """A part of a path that may be a task's id; with anything else there is nothing at that path."""

    def convert(self, value: str) -> str | None:
        return value if names.is_task_id(value) else None


class _Name(falcon.routing.BaseConverter):
    """The same for names of queues, nodes and schedules."""

    def convert(self, value: str) -> str | None:
        return value if names.is_name(value) else None


class _Border:
    """Answers only to known Host names, so that no web page can reach a node on loopback by a name of its own
    (DNS rebinding), sets the headers that every answer has, and counts it by the template of its route: what is at no
    path of the table is `other`, so that nobody can invent one."""

    def __init__(self, hosts: frozenset[str], answered: Callable[[str, int], None]) -> None:
        self._hosts = hosts
        self._answered = answered
        self._templates: dict[str | None, str] = {"/": "/", **{route.path: route.template for route in ROUTES}}

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        host = req.env.get("HTTP_HOST")
        if host is None and req.env.get("SERVER_PROTOCOL") == "HTTP/1.0":
            return  # browsers send one; old health checkers do not
        if _bare(host or "") not in self._hosts:
            raise falcon.HTTPError(
                HTTPStatus.MISDIRECTED_REQUEST, description="This node does not answer to that Host; see allowedHosts"
            )

    def process_response(self, req: falcon.Request, resp: falcon.Response, _resource: object, _ok: bool) -> None:
        resp.set_header("X-Content-Type-Options", "nosniff")
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("Referrer-Policy", "no-referrer")
        self._answered(self._templates.get(req.uri_template, OTHER), resp.status_code)


def _bare(host: str) -> str:
    """A Host header without port, brackets and final dot."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")

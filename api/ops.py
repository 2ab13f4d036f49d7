"""For those who run it: probes, metrics, and an index of what is here."""

from __future__ import annotations

from collections.abc import Sequence

from api.calls import Answer, Call, Route
from api.schemas import Shape
from taskqueue.core.views import Health

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class HealthShape(Shape):
    """`problems`: one line for each thing that is not as it should be."""

    ok: bool
    problems: tuple[str, ...]


class RouteShape(Shape):
    method: str
    path: str


class Index(Shape):
    name: str
    version: str
    routes: list[RouteShape]


def alive(call: Call) -> Answer:
    """Is the process worth keeping?"""
    return _health(call.gateway.alive())


def ready(call: Call) -> Answer:
    """Does the node take work now?"""
    return _health(call.gateway.ready())


def _health(health: Health) -> Answer:
    return Answer(HealthShape(ok=health.ok, problems=health.problems), status=200 if health.ok else 503)


def metrics(call: Call) -> Answer:
    """For Prometheus."""
    return Answer(text=call.gateway.metrics(), media_type=PROMETHEUS)


def index(call: Call, routes: Sequence[Route]) -> Answer:
    """What this is, and every route."""
    shown = [RouteShape(method=route.method, path=route.template) for route in routes]
    return Answer(Index(name="taskqueue", version=call.settings.version, routes=shown))

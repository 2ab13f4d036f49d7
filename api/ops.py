"""For those who run it: probes, metrics, the description of this API."""

from __future__ import annotations

from api.calls import Answer, Call
from api.schemas import Shape
from taskqueue.core.views import Health

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class HealthShape(Shape):
    """`problems`: one line for each thing that is not as it should be."""

    ok: bool
    problems: tuple[str, ...]


def alive(call: Call) -> Answer:
    """Is the process worth keeping? 503 where an actor is down."""
    return _health(call.gateway.alive())


def ready(call: Call) -> Answer:
    """Does the node take work now? 503 says why not."""
    return _health(call.gateway.ready())


def _health(health: Health) -> Answer:
    return Answer(HealthShape(ok=health.ok, problems=health.problems), status=200 if health.ok else 503)


def metrics(call: Call) -> Answer:
    """This node's metrics, for Prometheus."""
    return Answer(text=call.gateway.metrics(), media_type=PROMETHEUS)


def openapi(call: Call) -> Answer:
    """This description: OpenAPI 3.1."""
    return Answer(text=call.site.description())

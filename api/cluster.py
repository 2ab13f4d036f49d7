"""The deployment and its nodes over REST."""

from __future__ import annotations

from api.calls import Answer, Call
from api.schemas import NodeShape, Shape, node_shape, status_shape


class NodeList(Shape):
    """Every node."""

    nodes: list[NodeShape]


class Draining(Shape):
    """What a node was told."""

    id: str
    draining: bool


def status(call: Call) -> Answer:
    """The deployment in one look."""
    return Answer(status_shape(call.gateway.status()))


def nodes(call: Call) -> Answer:
    """Every node, the lately dead too."""
    return Answer(NodeList(nodes=[node_shape(view) for view in call.gateway.nodes()]))


def drain(call: Call) -> Answer:
    """Drain a node: it claims no more, finishes what it runs, then idles. It hears of it with its next heartbeat."""
    return _drain(call, on=True)


def undrain(call: Call) -> Answer:
    """Take a drained node back: it claims again."""
    return _drain(call, on=False)


def _drain(call: Call, *, on: bool) -> Answer:
    """The node hears of it with its next heartbeat, hence 202."""
    call.gateway.drain(call.path["id"], on, by=call.by)
    return Answer(Draining(id=call.path["id"], draining=on), status=202)

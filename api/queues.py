"""Queues and handlers over REST."""

from __future__ import annotations

from msgspec import Raw

from api.calls import Answer, Call
from api.schemas import Count, Shape, seconds, shown
from taskqueue.core.task import Status
from taskqueue.core.views import HandlerView, QueueStats


class QueueShape(Shape):
    """A queue. `oldestAge`: seconds that its oldest claimable task has waited; `unserved`: handlers with tasks here
    that no live node serves.
    """

    name: str
    paused: bool
    pending: int
    failed: int
    processing: int
    oldest_age: float | None
    submitted_per_second: float
    finished_per_second: float
    unserved: tuple[str, ...]


class HandlerShape(Shape):
    """A handler that live nodes declare. `schema` is the JSON Schema of its payload."""

    name: str
    queues: tuple[str, ...]
    nodes: tuple[str, ...]
    schema: Raw
    isolation: str


class QueueList(Shape):
    """Every queue, by name."""

    queues: list[QueueShape]


class HandlerList(Shape):
    """What live nodes serve, by name."""

    handlers: list[HandlerShape]


class Paused(Shape):
    """Whether a queue is paused."""

    name: str
    paused: bool


def list_queues(call: Call) -> Answer:
    """Every queue that holds a task, is served or is paused."""
    now = call.clock.now()
    return Answer(QueueList(queues=[_queue(stats, now) for stats in call.gateway.queues()]))


def pause(call: Call) -> Answer:
    """Pause a queue: no node claims from it any more; submits go on."""
    call.gateway.pause(call.path["name"], by=call.by)
    return Answer(Paused(name=call.path["name"], paused=True))


def resume(call: Call) -> Answer:
    """Resume a queue: claims go on."""
    call.gateway.resume(call.path["name"], by=call.by)
    return Answer(Paused(name=call.path["name"], paused=False))


def purge(call: Call) -> Answer:
    """Cancel all that waits in a queue."""
    return Answer(Count(count=call.gateway.purge(call.path["name"], by=call.by)))


def list_handlers(call: Call) -> Answer:
    """What live nodes serve, with the JSON Schema of payloads."""
    return Answer(HandlerList(handlers=[_handler(view) for view in call.gateway.handlers()]))


def _queue(stats: QueueStats, now: int) -> QueueShape:
    """A queue as it is at `now`."""
    view = stats.view
    return QueueShape(
        name=view.name,
        paused=view.paused,
        pending=view.counts.get(Status.PENDING, 0),
        failed=view.counts.get(Status.FAILED, 0),
        processing=view.counts.get(Status.PROCESSING, 0),
        oldest_age=None if view.oldest is None else seconds(max(0, now - view.oldest)),
        submitted_per_second=round(stats.submitted_per_second, 3),
        finished_per_second=round(stats.finished_per_second, 3),
        unserved=stats.unserved,
    )


def _handler(view: HandlerView) -> HandlerShape:
    """A handler that somebody serves."""
    return HandlerShape(
        name=view.name, queues=view.queues, nodes=view.nodes, schema=shown(view.schema), isolation=view.isolation
    )

"""Queues and handlers over REST."""

from __future__ import annotations

from api.calls import Answer, Call
from api.schemas import Count, HandlerShape, QueueShape, Shape, handler_shape, queue_shape


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
    return Answer(QueueList(queues=[queue_shape(stats, now) for stats in call.gateway.queues()]))


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
    return Answer(HandlerList(handlers=[handler_shape(view) for view in call.gateway.handlers()]))

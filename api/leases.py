"""Leases over REST: workers in any language claim tasks, renew, and say how the runs ended."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from api.calls import Answer, Call
from api.schemas import Shape, TaskShape, task_shape
from api.settings import ENVELOPE
from api.words import TaskId
from taskqueue.core.errors import TooLarge
from taskqueue.core.fields import Reader, Readers, read_bool, read_list, read_object
from taskqueue.core.leases import (
    LONGEST_LEASE,
    LONGEST_WAIT,
    MOST_LEASED,
    MOST_NAMES,
    SHORTEST_LEASE,
    Wish,
)
from taskqueue.core.names import read_name
from taskqueue.core.strictjson import decode
from taskqueue.core.task import Status
from taskqueue.core.times import format_span, parse_span

EVERY_QUEUE = "*"
LONGEST_TYPE = 256
LONGEST_MESSAGE = 10_000
"""Characters that are kept of what a worker says of a failure; the rest is cut off."""


class GrantShape(Shape):
    """A task to be run, and the token of this run: it stands in the paths of all that is said of it."""

    token: str
    task: TaskShape


class GrantList(Shape):
    """Tasks to be run; none where none came in time."""

    tasks: tuple[GrantShape, ...]


class RunShape(Shape):
    """The task of a run, and its state now."""

    id: TaskId
    status: Status


# -- what may be asked -------------------------------------------------------------------------------------------------


def _span(least: int, most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        span = parse_span(value)
        if not least <= span <= most:
            raise ValueError(f"expected a duration from {format_span(least)} to {format_span(most)}")
        return span

    return read


def _read_limit(value: object) -> int:
    if type(value) is int and 1 <= value <= MOST_LEASED:
        return value
    raise ValueError(f"expected an integer from 1 to {MOST_LEASED}")


def _read_names(value: object, reader: Reader = read_name) -> tuple[str, ...]:
    names = read_list(value, reader, MOST_NAMES)
    if not names:
        raise ValueError("expected at least one name")
    return tuple(dict.fromkeys(names))


def _read_queues(value: object) -> tuple[str, ...]:
    queues = _read_names(value, lambda one: one if one == EVERY_QUEUE else read_name(one))
    return (EVERY_QUEUE,) if EVERY_QUEUE in queues else queues


def _read_text(most: int) -> Callable[[object], str]:
    def read(value: object) -> str:
        if isinstance(value, str):
            return value[:most]
        raise ValueError("expected a string")

    return read


_WISH: Readers = {
    "queues": ("queues", _read_queues),
    "handlers": ("handlers", _read_names),
    "limit": ("limit", _read_limit),
    "wait": ("wait", _span(0, LONGEST_WAIT)),
    "lease": ("lease", _span(SHORTEST_LEASE, LONGEST_LEASE)),
    "requestId": ("request", read_name),
}
_ERROR: Readers = {"type": ("type", _read_text(LONGEST_TYPE)), "message": ("message", _read_text(LONGEST_MESSAGE))}
_FAILURE: Readers = {
    "error": ("error", lambda value: read_object(value, _ERROR, ".", required=("message",))),
    "retry": ("retry", read_bool),
}
_RESULT: Readers = {"result": ("result", lambda value: value)}


# -- what is done ------------------------------------------------------------------------------------------------------


def claim(call: Call) -> Answer:
    """Claim tasks to run them elsewhere; can wait for some. They are the caller's as long as it renews."""
    wish = Wish(**read_object(call.json(), _WISH, required=("handlers",)))
    grants = call.gateway.leases.claim(wish, by=call.by, gone=call.gone)
    return Answer(GrantList(tasks=tuple(GrantShape(token=one.token, task=task_shape(one.task)) for one in grants)))


def renew(call: Call) -> Answer:
    """Say that the worker lives: every run of the same claim goes on for another lease. 409 means: stop, it is over."""
    return _run(*call.gateway.leases.renew(call.path["token"]))


def complete(call: Call) -> Answer:
    """The run has ended well. Sending it again is safe."""
    limit = call.settings.max_result_bytes
    body = read_object(decode(call.body(limit + ENVELOPE)), _RESULT)
    result = msgspec.json.encode(body.get("result"))
    if len(result) > limit:
        raise TooLarge(f"the result has {len(result):,} bytes; at most {limit:,} are kept")
    return _run(*call.gateway.leases.complete(call.path["token"], result))


def fail(call: Call) -> Answer:
    """The run has failed: the task is retried as any, unless `retry` is false. Sending it again is safe."""
    body = read_object(call.json(), _FAILURE, required=("error",))
    error = {"type": "Error", **body["error"]}
    retry = body.get("retry", True)
    return _run(*call.gateway.leases.fail(call.path["token"], error["type"], error["message"], retry=retry))


def release(call: Call) -> Answer:
    """Give the task back, uncharged: somebody else runs it. Sending it again is safe."""
    return _run(*call.gateway.leases.release(call.path["token"]))


def _run(name: str, status: Status) -> Answer:
    return Answer(RunShape(id=name, status=status))

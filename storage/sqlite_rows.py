"""From rows of the SQLite backend to the records of the core, and back.

State: none. `place` in a row is the core's `Place`, but a delayed task that failed before stands at `failed`, so that
one column tells the state and the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from msgspec import json

from taskqueue.core.task import Attempt, Cause, Outcome, Place, Progress, Status, Task, TaskError, place
from taskqueue.core.views import Declaration, Member

Row = tuple[Any, ...]

READY, SOLO, DELAYED, RUNNING = (place.value for place in (Place.READY, Place.SOLO, Place.DELAYED, Place.RUNNING))
FAILED = "failed"

STATUS = {
    READY: Status.PENDING,
    SOLO: Status.PENDING,
    DELAYED: Status.PENDING,
    FAILED: Status.FAILED,
    RUNNING: Status.PROCESSING,
    Place.COMPLETED.value: Status.COMPLETED,
    Place.DEAD.value: Status.DEAD_LETTERED,
    Place.CANCELLED.value: Status.CANCELLED,
}
"""The state that goes with each place; its order is the order of the counts in a lane's row."""

PLACES = tuple(STATUS)

INLINE = 512
"""Bodies up to so many bytes stand in the task's own row."""

_Entry = tuple[int, int, str, int, int, Outcome, tuple[str, str, Cause] | None]
_entries = json.Decoder(list[_Entry])
T = TypeVar("T")

_strings = json.Decoder(tuple[str, ...])
_progress = json.Decoder(tuple[float, str, int])
_declarations = json.Decoder(tuple[Declaration, ...])


class Stored(NamedTuple):
    """A task and where it stands: its number, its lane, its place."""

    seq: int
    lane: int
    place: str
    task: Task
    damaged: str = ""
    """Its columns that cannot be read, and so are as if there were nothing in them."""


def text(value: Any) -> str:
    """JSON for a TEXT column."""
    return json.encode(value).decode()


def numbers(values: Iterable[int]) -> str:
    """JSON of integers, for `json_each`."""
    return f"[{','.join(map(str, values))}]"


def inline(body: bytes | None) -> bytes | None:
    """What of a body goes into the task's row: all or nothing."""
    return body if body is not None and len(body) <= INLINE else None


def place_of(task: Task) -> str:
    """Where a task stands in this backend."""
    return FAILED if task.status is Status.FAILED else place(task).value


def stored(row: Row) -> Stored:
    """A row of the view `records`. What cannot be read of it is left out, and named."""
    try:
        return _stored(row)
    except ValueError:
        whole, damaged = list(row), []
        for at, (name, usual, read) in _WRITTEN.items():
            try:
                read(whole[at])
            except ValueError:
                whole[at] = usual
                damaged.append(name)
        return _stored(tuple(whole))._replace(damaged=", ".join(damaged))


def _stored(row: Row) -> Stored:
    (
        seq, lane, place, task_id, queue, handler, priority, payload, checksum, digest, timeout, retries,
        keep_result, tags, key, schedule, created_at, eligible_at, due_at, expires_at, retries_left, solo,
        attempt, crashes, generation, fence, owner, node, request, op, started_at, finished_at, progress,
        result, error_type, error_message, cause, history,
    ) = row  # fmt: skip
    task = Task(
        id=task_id,
        handler=handler,
        queue=queue,
        payload=payload or b"",  # a body that has lost its row: its checksum tells
        checksum=checksum,
        digest=digest,
        priority=priority,
        timeout=timeout,
        retries=retries,
        keep_result=keep_result == 1,
        tags=() if tags == "[]" else _strings.decode(tags),
        key=key,
        schedule=schedule,
        created_at=created_at,
        eligible_at=eligible_at,
        due_at=due_at,
        expires_at=expires_at,
        retries_left=retries_left,
        status=STATUS[place],
        delayed=place in (DELAYED, FAILED),
        solo=solo == 1,
        attempt=attempt,
        crashes=crashes,
        generation=generation,
        fence=fence,
        owner=owner,
        node=node,
        request=request,
        op=op,
        started_at=started_at,
        finished_at=finished_at,
        progress=_progressed(progress),
        result=result,
        error=None if cause is None else TaskError(error_type, error_message, Cause(cause)),
        history=() if history == "[]" else tuple(map(_attempt, _entries.decode(history))),
    )
    return Stored(seq, lane, place, task)


def _progressed(column: str | None) -> Progress | None:
    return None if column is None else Progress(*_progress.decode(column))


def _attempt(entry: _Entry) -> Attempt:
    error = entry[6]
    return Attempt(*entry[:6], None if error is None else TaskError(*error))


_WRITTEN: dict[int, tuple[str, str | None, Callable[[Any], Any]]] = {
    13: ("tags", "[]", _strings.decode),
    32: ("progress", None, _progressed),
    36: ("cause", None, lambda column: column and Cause(column)),
    37: ("history", "[]", _entries.decode),
}
"""Columns of the view `records` that hold more than a plain value, by their place: name, what stands there for nothing,
how it is read (raises ValueError)."""


def history(task: Task) -> str:
    """The column `history`: the form in which the statements append to it."""
    return text(
        [
            (*(getattr(a, name) for name in Attempt.__struct_fields__[:-1]), a.error and _error(a.error))
            for a in task.history
        ]
    )


def _error(error: TaskError) -> tuple[str, str, Cause]:
    return error.type, error.message, error.cause


def error_columns(error: TaskError | None) -> tuple[str, str, str] | tuple[None, None, None]:
    """The columns `error_type`, `error_message` and `cause`."""
    return (None, None, None) if error is None else (error.type, error.message, error.cause.value)


def _decoded(decoder: json.Decoder[tuple[T, ...]], text: str | bytes) -> tuple[T, ...]:
    try:
        return decoder.decode(text)
    except ValueError:
        return ()


def member(row: Row) -> Member:
    """A row of `member.all`. What of it cannot be read is empty: nobody else's row has to wait for it."""
    owner, node, host, pid, workers, queues, handlers, started_at, beat, beat_at, running, draining, fenced, gone = row
    return Member(
        owner=owner,
        node=node,
        host=host,
        pid=pid,
        workers=workers,
        queues=_decoded(_strings, queues),
        handlers=_decoded(_declarations, handlers),
        started_at=started_at,
        beat=beat,
        beat_at=beat_at,
        running=running,
        fenced=fenced == 1,
        draining=draining == 1,
        left=gone == 1 and fenced == 0,
    )

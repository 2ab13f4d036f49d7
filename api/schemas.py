"""How tasks look outside, and what several resources share; the shape of anything else stands beside its endpoints.

Times are RFC 3339; a task's timeout is a duration string; ages and uptimes are seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET, Raw, Struct, UnsetType, json

from api.words import Name, Priority, Shown, TaskId, Time
from taskqueue.core.clock import SECOND
from taskqueue.core.task import Attempt, Cause, Outcome, Status, Task, TaskError
from taskqueue.core.times import format_span, format_time
from taskqueue.core.views import DeadCount


class Shape(Struct, rename="camel"):
    """Part of an answer."""


class ErrorShape(Shape):
    """What went wrong: the exception's class, its text, and the cause."""

    type: str
    message: str
    cause: Cause


class AttemptShape(Shape):
    """An attempt that has ended."""

    attempt: int
    generation: int
    node: str
    started_at: Time
    finished_at: Time
    outcome: Outcome
    error: ErrorShape | None


class ProgressShape(Shape):
    """What a running handler last said of itself; `fraction` is 0 to 1."""

    fraction: float
    note: str
    at: Time


class ParametersShape(Shape):
    """What a submit of this very task would say."""

    priority: Priority
    timeout: Shown
    queue: Name
    retries: int
    keep_result: bool
    tags: tuple[str, ...]
    run_at: Time | UnsetType = UNSET
    expires_at: Time | UnsetType = UNSET
    idempotency_key: str | UnsetType = UNSET


class TaskShape(Shape):
    """A task, whole. `runAt` is when it may run next, or could run last; `result` is what its handler returned."""

    id: TaskId
    handler: Name
    queue: Name
    payload: Raw
    parameters: ParametersShape
    status: Status
    priority: Priority
    created_at: Time
    run_at: Time
    started_at: Time | None
    finished_at: Time | None
    attempt: int
    retries_left: int
    crashes: int
    generation: int
    node: str | None
    progress: ProgressShape | None
    result: Raw | None
    error: ErrorShape | None
    history: tuple[AttemptShape, ...]
    tags: tuple[str, ...]
    expires_at: Time | None
    schedule: str | None


class TaskList(Shape):
    """A page of tasks, newest first. Go on with `cursor` = `nextCursor` until that is null."""

    tasks: tuple[TaskShape, ...]
    next_cursor: str | None


class DeadList(TaskList):
    """A page of dead letters, and how many there are in all."""

    counts: tuple[DeadCount, ...]


class Created(Shape):
    """The answer to a submit."""

    id: TaskId
    status: Status
    created_at: Time


class Count(Shape):
    """How many."""

    count: int


_skim = json.Decoder(Raw).decode  # it knows JSON's whole grammar, but takes any bytes in a string for text


def shown(text: bytes) -> Raw:
    """A stored JSON text as it is; what is none, since it was damaged, as a JSON string. One damaged task must not make
    the page that it is on unreadable.
    """
    try:
        text.decode()
        _skim(text)
    except (ValueError, RecursionError):
        text = json.encode(text.decode(errors="backslashreplace"))
    return Raw(text)


def task_shape(task: Task) -> TaskShape:
    """A task as clients see it."""
    # Its place in line lies after its birth only where somebody (or the task itself) asked for a later start.
    later = task.eligible_at > task.created_at and task.generation == 1
    return TaskShape(
        id=task.id,
        handler=task.handler,
        queue=task.queue,
        payload=shown(task.payload),
        parameters=ParametersShape(
            priority=task.priority,
            timeout=format_span(task.timeout),
            queue=task.queue,
            retries=task.retries,
            keep_result=task.keep_result,
            tags=task.tags,
            run_at=format_time(task.eligible_at) if later else UNSET,
            expires_at=UNSET if task.expires_at is None else format_time(task.expires_at),
            idempotency_key=task.key or UNSET,
        ),
        status=task.status,
        priority=task.priority,
        created_at=format_time(task.created_at),
        run_at=format_time(task.due_at),
        started_at=_time(task.started_at),
        finished_at=_time(task.finished_at),
        attempt=task.attempt,
        retries_left=task.retries_left,
        crashes=task.crashes,
        generation=task.generation,
        node=task.node,
        progress=None
        if task.progress is None
        else ProgressShape(fraction=task.progress.fraction, note=task.progress.note, at=format_time(task.progress.at)),
        result=None if task.result is None else shown(task.result),
        error=_error(task.error),
        history=tuple(map(_attempt, task.history)),
        tags=task.tags,
        expires_at=_time(task.expires_at),
        schedule=task.schedule,
    )


def _attempt(attempt: Attempt) -> AttemptShape:
    return AttemptShape(
        attempt=attempt.attempt,
        generation=attempt.generation,
        node=attempt.node,
        started_at=format_time(attempt.started_at),
        finished_at=format_time(attempt.finished_at),
        outcome=attempt.outcome,
        error=_error(attempt.error),
    )


def _error(error: TaskError | None) -> ErrorShape | None:
    return None if error is None else ErrorShape(type=error.type, message=error.message, cause=error.cause)


def _time(moment: int | None) -> str | None:
    return None if moment is None else format_time(moment)


def task_list(tasks: Iterable[Task], cursor: str | None) -> TaskList:
    """A page of tasks."""
    return TaskList(tasks=tuple(map(task_shape, tasks)), next_cursor=cursor)


def seconds(span: int) -> float:
    """A span as an age or an uptime."""
    return round(span / SECOND, 3)

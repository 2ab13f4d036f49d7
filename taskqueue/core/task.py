"""The record of a task, from its draft at submit to its history at the end.

`rank` decides who runs first; `place` decides which one index of a store holds the task.
Times are microseconds since the epoch; spans are microseconds; `payload` and `result` are JSON texts as bytes.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

PRIORITIES = {"low": 1, "normal": 4, "high": 7, "critical": 9}
HISTORY_LENGTH = 20


class Status(StrEnum):
    """The states a task can be in."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    DEAD_LETTERED = "dead-lettered"
    CANCELLED = "cancelled"


WAITING = frozenset({Status.PENDING, Status.FAILED})
TERMINAL = frozenset({Status.COMPLETED, Status.DEAD_LETTERED, Status.CANCELLED})


class Cause(StrEnum):
    """Why an attempt failed, or why a task was given up."""

    ERROR = "error"
    TIMEOUT = "timeout"
    CRASH = "crash"
    EXPIRED = "expired"
    DISCARDED = "discarded"
    CORRUPT = "corrupt"


class Outcome(StrEnum):
    """How an attempt ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    RELEASED = "released"
    SNOOZED = "snoozed"
    CANCELLED = "cancelled"


class Place(StrEnum):
    """The one index that holds a task: it follows from the task's state."""

    READY = "ready"  # claimable now, in its lane
    SOLO = "solo"  # claimable now, but only by an idle node, alone
    DELAYED = "delayed"  # waits for its time
    RUNNING = "running"
    COMPLETED = "completed"
    DEAD = "dead"
    CANCELLED = "cancelled"


class TaskError(Struct, frozen=True):
    """What went wrong, for a reader: the exception's class name, its text, and the cause."""

    type: str
    message: str
    cause: Cause


class Attempt(Struct, frozen=True):
    """One finished execution."""

    attempt: int
    generation: int
    node: str
    started_at: int
    finished_at: int
    outcome: Outcome
    error: TaskError | None = None


class Progress(Struct, frozen=True):
    """What a running handler last said of itself; `fraction` is 0 to 1."""

    fraction: float
    note: str
    at: int


class Draft(Struct, frozen=True, kw_only=True):
    """A task as it is handed to a store: every default is filled in, only the store's own time is missing.

    `digest` is a digest of what the client sent (see `submission.digest`): equal digests mean equal bodies.
    `delay` counts from the store's time of submit; `run_at` is absolute; at most one of them is set.
    """

    id: str
    handler: str
    queue: str
    payload: bytes
    checksum: int
    digest: bytes
    priority: int
    timeout: int
    retries: int
    keep_result: bool = True
    tags: tuple[str, ...] = ()
    delay: int = 0
    run_at: int | None = None
    expires_at: int | None = None
    key: str | None = None
    schedule: str | None = None


class Task(Struct, frozen=True, kw_only=True):
    """A task as the store knows it.

    Attributes:
        eligible_at: the latest of creation, wished start and replay; with `priority` it gives the rank.
        due_at: from when on it may run (backoff and snooze move it).
        delayed: it waits for `due_at` and nobody has promoted it yet.
        solo: suspected of killing nodes: it runs alone (its next crash convicts it).
        owner: incarnation of the node that holds it; None unless processing.
        node: name of the node that holds it or held it last.
        fence: grows with every claim; a write with another one is refused.
        request: number of the claim that took it, so that a repeated claim gives the same answer.
        op: id of the last accepted operation, so that a repeat is recognised.
    """

    id: str
    handler: str
    queue: str
    payload: bytes
    checksum: int
    digest: bytes
    priority: int
    timeout: int
    retries: int
    keep_result: bool
    tags: tuple[str, ...]
    key: str | None
    schedule: str | None
    created_at: int
    eligible_at: int
    due_at: int
    expires_at: int | None
    retries_left: int
    status: Status = Status.PENDING
    delayed: bool = False
    solo: bool = False
    attempt: int = 0
    crashes: int = 0
    generation: int = 1
    fence: int = 0
    owner: str | None = None
    node: str | None = None
    request: int = 0
    op: str = ""
    started_at: int | None = None
    finished_at: int | None = None
    progress: Progress | None = None
    result: bytes | None = None
    error: TaskError | None = None
    history: tuple[Attempt, ...] = ()


def born(draft: Draft, now: int) -> Task:
    """The task that a submit of `draft` at store time `now` makes."""
    eligible, due = first_times(draft, now)
    return Task(
        id=draft.id,
        handler=draft.handler,
        queue=draft.queue,
        payload=draft.payload,
        checksum=draft.checksum,
        digest=draft.digest,
        priority=draft.priority,
        timeout=draft.timeout,
        retries=draft.retries,
        keep_result=draft.keep_result,
        tags=draft.tags,
        key=draft.key,
        schedule=draft.schedule,
        created_at=now,
        eligible_at=eligible,
        due_at=due,
        expires_at=draft.expires_at,
        retries_left=draft.retries,
        delayed=due > now,
    )


def first_times(draft: Draft, now: int) -> tuple[int, int]:
    """From when on a new task stands in line, and when it is due. The task of a schedule's due time that has passed
    stands in line from now on, and is due since then.
    """
    eligible = max(now, draft.run_at or 0, now + draft.delay)
    if draft.schedule is not None and draft.run_at is not None:
        return eligible, draft.run_at
    return eligible, eligible


def rank(priority: int, eligible_at: int, aging: int) -> int:
    """Lower runs first; ties go by id. `aging` is the head start of one priority level over the next, microseconds."""
    return eligible_at - priority * aging


def place(task: Task) -> Place:
    """Which index holds this task."""
    if task.status in WAITING:
        if task.delayed:
            return Place.DELAYED
        return Place.SOLO if task.solo else Place.READY
    return _PLACES[task.status]


_PLACES = {
    Status.PROCESSING: Place.RUNNING,
    Status.COMPLETED: Place.COMPLETED,
    Status.DEAD_LETTERED: Place.DEAD,
    Status.CANCELLED: Place.CANCELLED,
}

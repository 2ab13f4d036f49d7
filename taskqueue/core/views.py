"""What can be seen of a deployment: pages of tasks, counts, queues, members. Frozen, with times in microseconds."""

from __future__ import annotations

from msgspec import Struct

from taskqueue.core.errors import TaskqueueError
from taskqueue.core.task import Cause, Status, Task


class Declaration(Struct, frozen=True, kw_only=True):
    """What a node says of a handler that it serves; None: not declared. `schema` is the JSON Schema of its
    parameters; `scheduled`: a schedule of the handler's name stands in code beside it.
    """

    name: str
    isolation: str = "thread"
    queue: str | None = None
    priority: int | None = None
    timeout: int | None = None
    retries: int | None = None
    keep_result: bool | None = None
    scheduled: bool = False
    schema: bytes = b"{}"


class Filter(Struct, frozen=True, kw_only=True):
    """Which tasks; every field that is set must match. `before`: created at or before."""

    status: Status | None = None
    handler: str | None = None
    queue: str | None = None
    tag: str | None = None
    schedule: str | None = None
    cause: Cause | None = None
    before: int | None = None


class Page(Struct, frozen=True):
    """Newest first. A filtered page may be short while `cursor` is set: at most 1,000 entries are examined for one."""

    tasks: tuple[Task, ...]
    cursor: str | None


class Lane(Struct, frozen=True, kw_only=True):
    """Counts of one lane, by state."""

    queue: str
    handler: str
    counts: dict[Status, int]


class DeadCount(Struct, frozen=True):
    """How many tasks of a handler were dead-lettered for a cause."""

    handler: str
    cause: Cause
    count: int


class QueueView(Struct, frozen=True, kw_only=True):
    """One queue: paused or not, its counts by state, and since when its oldest claimable task waits (microseconds,
    None: none).
    """

    name: str
    paused: bool
    counts: dict[Status, int]
    oldest: int | None
    lanes: tuple[Lane, ...]


class Member(Struct, frozen=True, kw_only=True):
    """One incarnation of a node. `beat` counts its heartbeats, `beat_at` is the store's time of the last one."""

    owner: str
    node: str
    host: str
    pid: int
    workers: int
    queues: tuple[str, ...]
    handlers: tuple[Declaration, ...]
    started_at: int
    beat: int
    beat_at: int
    running: int
    fenced: bool
    draining: bool
    left: bool


class LeaseView(Struct, frozen=True, kw_only=True):
    """A lease of a worker from outside. `beat` counts how often it was renewed, `ttl` is how long it may stand still,
    microseconds.
    """

    owner: str
    node: str
    ttl: int
    beat: int
    fenced: bool


class Held(Struct, frozen=True):
    """A task that an incarnation holds, as the store sees it."""

    id: str
    fence: int


class NoteView(Struct, frozen=True):
    """An entry of the audit log."""

    at: int
    token: str
    action: str
    target: str
    count: int


class NotePage(Struct, frozen=True):
    """Newest first."""

    notes: tuple[NoteView, ...]
    cursor: str | None


class Receipt(Struct, frozen=True, kw_only=True):
    """The answer to one submitted task: `error` is None where it is stored (or was stored before, with `repeat`)."""

    id: str
    status: Status = Status.PENDING
    created_at: int = 0
    repeat: bool = False
    error: TaskqueueError | None = None


class QueueStats(Struct, frozen=True, kw_only=True):
    """A queue with what this node saw of it in the last minute, and the handlers that nobody serves there."""

    view: QueueView
    submitted_per_second: float
    finished_per_second: float
    unserved: tuple[str, ...]


class HandlerView(Struct, frozen=True, kw_only=True):
    """A handler that live nodes declare: in which queues, on which nodes."""

    name: str
    queues: tuple[str, ...]
    nodes: tuple[str, ...]
    schema: bytes
    isolation: str


class NodeView(Struct, frozen=True, kw_only=True):
    """A member as it is seen now: `status` is alive, late, dead or draining."""

    member: Member
    status: str
    leader: bool


class RedisView(Struct, frozen=True, kw_only=True):
    """The Redis of a cluster, as this node last found it. `datasets_lost`: how often another dataset was behind the
    address than before; `weakness`: why `durability` is `weak`, else empty.
    """

    address: str
    version: str
    replicas: int
    dataset: str
    datasets_lost: int
    weakness: str


class ClusterStatus(Struct, frozen=True, kw_only=True):
    """The deployment in one look. `nodes` counts members by status; `uptime` is this node's, microseconds."""

    mode: str
    leader: str | None
    term: int
    durability: str
    nodes: dict[str, int]
    tasks: dict[Status, int]
    uptime: int
    version: str
    redis: RedisView | None = None


class Span(Struct, frozen=True):
    """Percentiles of a span, milliseconds."""

    p50: float
    p95: float
    p99: float


class HandlerStats(Struct, frozen=True, kw_only=True):
    """A handler over the last minutes."""

    handler: str
    completed: int
    failed: int
    run: Span | None


class Point(Struct, frozen=True, kw_only=True):
    """One minute of the past: counts, how many waited at its end, and the 95th percentile of waiting, milliseconds."""

    at: int
    submitted: int
    completed: int
    failed: int
    dead_lettered: int
    pending: int | None
    wait_p95: float | None


class Stats(Struct, frozen=True, kw_only=True):
    """Rates and percentiles over the last minutes, of all nodes, and their history."""

    submitted_per_second: float
    finished_per_second: float
    wait: Span | None
    run: Span | None
    handlers: tuple[HandlerStats, ...]
    series: tuple[Point, ...]


class Health(Struct, frozen=True):
    """`ok`, and one line for each thing that is not."""

    ok: bool
    problems: tuple[str, ...] = ()


def matches(filter: Filter, task: Task) -> bool:
    """Does the task meet every condition that is set?"""
    return (
        (filter.status is None or task.status is filter.status)
        and (filter.handler is None or task.handler == filter.handler)
        and (filter.queue is None or task.queue == filter.queue)
        and (filter.tag is None or filter.tag in task.tags)
        and (filter.schedule is None or task.schedule == filter.schedule)
        and (filter.cause is None or (task.error is not None and task.error.cause is filter.cause))
        and (filter.before is None or task.created_at <= filter.before)
    )

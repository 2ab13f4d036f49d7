"""How things look outside: the shapes of answers, and what each is made of.

Times are RFC 3339; a task's timeout is a duration string; ages and uptimes are seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET, Raw, Struct, UnsetType

from api.words import Durability, Life, Mode, Name, Priority, Shown, TaskId, Time
from taskqueue.core.clock import SECOND
from taskqueue.core.task import Attempt, Cause, Outcome, Status, Task, TaskError
from taskqueue.core.times import format_span, format_time
from taskqueue.core.views import ClusterStatus, DeadCount, HandlerView, NodeView, QueueStats, RedisView


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


class NodeShape(Shape):
    """A node, alive or remembered. Each start of it is a new `incarnation`."""

    id: str
    incarnation: str
    status: Life
    leader: bool
    host: str
    pid: int
    started_at: Time
    last_heartbeat: Time
    workers: int
    running: int
    queues: tuple[str, ...]
    handlers: tuple[str, ...]


class RedisShape(Shape):
    """The Redis of a cluster, as this node last found it. `dataset` names what is stored there, `datasetsLost` counts
    how often another one was found than before, `weakness` says why `durability` is `weak`.
    """

    address: str
    version: str
    replicas: int
    dataset: str
    datasets_lost: int
    weakness: str | None


class DeploymentShape(Shape):
    """The deployment. `uptime` in seconds; `redis` is null where there is none."""

    mode: Mode
    leader: str | None
    term: int
    durability: Durability
    nodes: dict[str, int]
    tasks: dict[str, int]
    uptime: float
    version: str
    redis: RedisShape | None = None


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


def task_shape(task: Task) -> TaskShape:
    """A task as clients see it."""
    # Its place in line lies after its birth only where somebody (or the task itself) asked for a later start.
    later = task.eligible_at > task.created_at and task.generation == 1
    return TaskShape(
        id=task.id,
        handler=task.handler,
        queue=task.queue,
        payload=Raw(task.payload),
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
        result=None if task.result is None else Raw(task.result),
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


def _seconds(span: int) -> float:
    return round(span / SECOND, 3)


def task_list(tasks: Iterable[Task], cursor: str | None) -> TaskList:
    """A page of tasks."""
    return TaskList(tasks=tuple(map(task_shape, tasks)), next_cursor=cursor)


def queue_shape(stats: QueueStats, now: int) -> QueueShape:
    """A queue as it is at `now`."""
    view = stats.view
    return QueueShape(
        name=view.name,
        paused=view.paused,
        pending=view.counts.get(Status.PENDING, 0),
        failed=view.counts.get(Status.FAILED, 0),
        processing=view.counts.get(Status.PROCESSING, 0),
        oldest_age=None if view.oldest is None else _seconds(max(0, now - view.oldest)),
        submitted_per_second=round(stats.submitted_per_second, 3),
        finished_per_second=round(stats.finished_per_second, 3),
        unserved=stats.unserved,
    )


def handler_shape(view: HandlerView) -> HandlerShape:
    """A handler that somebody serves."""
    return HandlerShape(
        name=view.name, queues=view.queues, nodes=view.nodes, schema=Raw(view.schema), isolation=view.isolation
    )


def node_shape(view: NodeView) -> NodeShape:
    """A node, alive or remembered."""
    member = view.member
    return NodeShape(
        id=member.node,
        incarnation=member.owner,
        status=view.status,
        leader=view.leader,
        host=member.host,
        pid=member.pid,
        started_at=format_time(member.started_at),
        last_heartbeat=format_time(member.beat_at),
        workers=member.workers,
        running=member.running,
        queues=member.queues,
        handlers=tuple(declared.name for declared in member.handlers),
    )


def status_shape(status: ClusterStatus) -> DeploymentShape:
    """The deployment in one look; every state of a task and of a node is there, also with none in it."""
    return DeploymentShape(
        mode=status.mode,
        leader=status.leader,
        term=status.term,
        durability=status.durability,
        nodes={name: status.nodes.get(name, 0) for name in ("alive", "late", "dead", "draining")},
        tasks={state.value: status.tasks.get(state, 0) for state in Status},
        uptime=_seconds(status.uptime),
        version=status.version,
        redis=None if status.redis is None else _redis(status.redis),
    )


def _redis(view: RedisView) -> RedisShape:
    return RedisShape(
        address=view.address,
        version=view.version,
        replicas=view.replicas,
        dataset=view.dataset,
        datasets_lost=view.datasets_lost,
        weakness=view.weakness or None,
    )

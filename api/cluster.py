"""The deployment and its nodes over REST."""

from __future__ import annotations

from api.calls import Answer, Call
from api.schemas import Shape, seconds
from api.words import Durability, Life, Mode, Time
from taskqueue.core.task import Status
from taskqueue.core.times import format_time
from taskqueue.core.views import ClusterStatus, NodeView, RedisView


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


class NodeList(Shape):
    """Every node."""

    nodes: list[NodeShape]


class Draining(Shape):
    """What a node was told."""

    id: str
    draining: bool


def status(call: Call) -> Answer:
    """The deployment in one look."""
    return Answer(_deployment(call.gateway.status()))


def nodes(call: Call) -> Answer:
    """Every node, the lately dead too."""
    return Answer(NodeList(nodes=[_node(view) for view in call.gateway.nodes()]))


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


def _node(view: NodeView) -> NodeShape:
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


def _deployment(status: ClusterStatus) -> DeploymentShape:
    """The deployment in one look; every state of a task and of a node is there, also with none in it."""
    return DeploymentShape(
        mode=status.mode,
        leader=status.leader,
        term=status.term,
        durability=status.durability,
        nodes={name: status.nodes.get(name, 0) for name in ("alive", "late", "dead", "draining")},
        tasks={state.value: status.tasks.get(state, 0) for state in Status},
        uptime=seconds(status.uptime),
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

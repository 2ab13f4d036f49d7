"""What a node shows of the deployment: queues, handlers, members, its own health. Reads only, in the calling thread.

State: none of its own but a lock; it reads the store, the board and the handles.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version

from msgspec.structs import replace

from actors.board import Board
from actors.handle import Handle
from actors.metrics import Metrics
from actors.pool import Pool
from actors.statistics import RECENT, statistics
from actors.watchers import Rates
from cluster.coordinator import Coordinator
from cluster.incarnation import Incarnation
from cluster.members import Liveness
from storage.store import Store
from taskqueue.core.clock import MINUTE, Clock
from taskqueue.core.config import Config
from taskqueue.core.errors import InvalidInput, StoreUnavailable, UnknownCursor
from taskqueue.core.tally import minute
from taskqueue.core.task import WAITING, Status
from taskqueue.core.views import (
    ClusterStatus,
    HandlerView,
    Health,
    Member,
    NodeView,
    NotePage,
    QueueStats,
    QueueView,
    RedisView,
    Stats,
)

log = logging.getLogger("taskqueue.views")


class Views:
    """See the module."""

    def __init__(
        self,
        *,
        incarnation: Incarnation,
        config: Config,
        clock: Clock,
        store: Store,
        coordinator: Coordinator,
        board: Board,
        rates: Rates,
        handles: Mapping[str, Handle],
        metrics: Metrics,
        pool: Pool,
        scheduling: frozenset[str],
        redis: Callable[[], RedisView | None],
    ) -> None:
        self._me = incarnation
        self._config = config
        self._clock = clock
        self._store = store
        self._coordinator = coordinator
        self._board = board
        self._rates = rates
        self._metrics = metrics
        self._handles = handles
        self._pool = pool
        self._scheduling = scheduling
        self._redis = redis
        self._scrape = threading.Lock()
        self._version = version("taskqueue")

    def members(self) -> list[Member]:
        """Everyone who has not left in good order."""
        return [member for member in self._store.members() if not member.left]

    def live(self) -> list[Member]:
        """Those who are not known to be dead."""
        return [member for member in self.members() if self._status(member) != Liveness.DEAD]

    def queues(self) -> list[QueueStats]:
        """Every queue that holds a task, is served or is paused, by name."""
        live = self.live()
        views = {view.name: view for view in self._store.queues()}
        for name in (name for member in live for name in member.queues if name != "*"):
            views.setdefault(
                name, QueueView(name=name, paused=False, counts=dict.fromkeys(Status, 0), oldest=None, lanes=())
            )
        return [self._queue_stats(views[name], live) for name in sorted(views)]

    def _queue_stats(self, view: QueueView, live: Iterable[Member]) -> QueueStats:
        submitted, finished = self._rates.of(view.name)
        served = {
            declared.name
            for member in live
            if view.name in member.queues or "*" in member.queues
            for declared in member.handlers
        }
        waiting = {lane.handler for lane in view.lanes if any(lane.counts.get(status, 0) for status in WAITING)}
        return QueueStats(
            view=view,
            submitted_per_second=submitted,
            finished_per_second=finished,
            unserved=tuple(sorted(waiting - served)),
        )

    def handlers(self) -> list[HandlerView]:
        """What live nodes declare, by name."""
        found: dict[str, HandlerView] = {}
        for member in self.live():
            for declared in member.handlers:
                other = found.get(declared.name)
                found[declared.name] = HandlerView(
                    name=declared.name,
                    queues=tuple(sorted({*member.queues, *(other.queues if other else ())})),
                    nodes=tuple(sorted({member.node, *(other.nodes if other else ())})),
                    schema=declared.schema,
                    isolation=declared.isolation,
                )
        return [found[name] for name in sorted(found)]

    def nodes(self) -> list[NodeView]:
        """Every member; of this node, what it knows itself: its heartbeat may not go through the store."""
        return self._nodes(self._store.term().owner)

    def _nodes(self, leader: str | None) -> list[NodeView]:
        snapshot = self._board.snapshot
        views = []
        for member in self.members():
            if member.owner == self._me.owner and snapshot is not None:
                member = replace(member, beat_at=max(member.beat_at, snapshot.at), running=len(self._pool.started))  # noqa: PLW2901 - the same member, with what only this node knows
            views.append(NodeView(member=member, status=self._status(member), leader=member.owner == leader))
        return views

    def status(self) -> ClusterStatus:
        """The deployment in one look."""
        term = self._store.term()  # read once: term and leader belong together
        nodes = self._nodes(term.owner)
        leader = next((view.member.node for view in nodes if view.leader), None)
        counts = dict.fromkeys((*Liveness, "draining"), 0)
        for view in nodes:
            counts[view.status] += 1
        return ClusterStatus(
            mode=self._coordinator.mode,
            leader=leader,
            term=term.epoch,
            durability=self._store.durability,
            nodes={str(status): count for status, count in counts.items()},
            tasks=self._store.counts(),
            uptime=self._clock.monotonic() - self._board.started,
            version=self._version,
            redis=self._redis(),
        )

    def _status(self, member: Member) -> str:
        if member.fenced:
            return Liveness.DEAD
        seen = self._board.liveness(member.owner, self._clock.monotonic())
        if not (self._coordinator.alone or self._board.knows(member.owner)):
            seen = Liveness.ALIVE  # it came after the last look
        return "draining" if member.draining and seen is not Liveness.DEAD else seen

    def stats(self, minutes: int) -> Stats:
        """Rates and percentiles of all nodes, and a point for each of the last minutes."""
        now = self._clock.now()
        since = minute(now) - (max(minutes, RECENT) - 1) * MINUTE
        return statistics(self._store.tallies(since), minutes, now)

    def notes(self, limit: int, cursor: str | None) -> NotePage:
        """The audit log, newest first. Raises InvalidInput for a cursor that no page gave."""
        try:
            return self._store.notes(limit, cursor)
        except UnknownCursor:
            raise InvalidInput([("?cursor", "expected a cursor from a page's nextCursor")]) from None

    def metrics(self) -> bytes:
        """This node's metrics, in Prometheus' text format 0.0.4; without the store's state while that is away."""
        metrics = self._metrics
        queues: list[QueueStats] = []
        try:
            live = self.live()
            metrics.declare(
                (one.name for member in live for one in member.handlers),
                (name for member in live for name in member.queues if name != "*"),
            )
            queues = self.queues()
        except StoreUnavailable as error:
            log.warning("metrics go without the state of the store: %s", error)
        redis = self._redis()
        with self._scrape:  # gauges are set anew each time, so who looks at the same time waits
            metrics.look(queues, self._clock.now())
            metrics.in_flight.set(sum(self._pool.busy(kind) for kind in self._pool.channels))
            metrics.leader.set(self._coordinator.epoch(self._clock.monotonic()) is not None)
            metrics.losses(0 if redis is None else redis.datasets_lost, self._board.rebirths)
            for name, handle in self._handles.items():
                metrics.inbox.labels(name).set(handle.waiting)
            return metrics.text()

    def answered(self, route: str, status: int) -> None:
        """The API answered; `route` is a template of its table."""
        self._metrics.answered(route, status)

    def scheduled(self) -> frozenset[str]:
        """The schedules that stand in the code of live nodes; of this one also before the store knows it."""
        return self._scheduling.union(one.name for member in self.live() for one in member.handlers if one.scheduled)

    def alive(self) -> Health:
        """Every actor lives."""
        dead = [f"actor {name} is down" for name, handle in sorted(self._handles.items()) if not handle.alive]
        return Health(not dead, tuple(dead))

    def ready(self) -> Health:
        """This node takes tasks and runs them."""
        board = self._board
        problems = list(self.alive().problems)
        if board.closing:
            problems.append("the node is shutting down")
        if board.draining:
            problems.append("the node is draining")
        if not board.registered:
            problems.append("the node is not registered yet")
        elif board.liveness(self._me.owner, self._clock.monotonic()) is not Liveness.ALIVE:
            problems.append("the node has not sent a heartbeat for too long")
        if (trouble := self._store.check()) is not None:
            problems.append(trouble)
        return Health(not problems, tuple(problems))

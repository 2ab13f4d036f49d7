"""The node's Prometheus metrics, in a registry of its own, with the children cached.

No label takes a value that a client invents: a queue or a handler that no live node declares counts as `other`. What
is a state of the deployment rather than an event of this node (tasks by queue and status, the oldest, who leads) is
read when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from actors.spans import Spans
from storage.store import Verb
from taskqueue.core.views import QueueStats

OTHER = "other"
_WORDS = {
    "report": "progress",
    "submitall": "submit",
    "promotedue": "promote",
    "expiredue": "expire",
    "pruneold": "prune",
}
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


@cache
def _word(kind: type[Any]) -> str:
    """The verb's name as the docs have it."""
    name = kind.__name__.lower()
    return _WORDS.get(name, name)


class Metrics:
    """Counts as things happen; `text` is what `/metrics` answers."""

    def __init__(self, handlers: Iterable[str], queues: Iterable[str]) -> None:
        self._handlers = set(handlers)
        self._queues = set(queues)
        self.registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Callable[..., Any]:
            return lru_cache(maxsize=None)(Counter(name, text, labels, registry=registry).labels)

        def histogram(name: str, text: str, *labels: str) -> Callable[..., Any]:
            return lru_cache(maxsize=None)(Histogram(name, text, labels, registry=registry, buckets=SECONDS).labels)

        self._submitted = counter("taskqueue_tasks_submitted", "Tasks stored by this node.", "queue", "handler")
        self._finished = counter("taskqueue_tasks_finished", "Attempts that ended on this node.", "handler", "outcome")
        self._retries = Counter("taskqueue_retries", "Failed attempts that will be retried.", registry=registry)
        self._dead = counter("taskqueue_dead_letters", "Tasks given up.", "handler", "cause")
        self._run = Spans("taskqueue_run_seconds", "From a handler's start to its end.", SECONDS, registry)
        waited = "From when a task was due to its handler's start."
        self._wait = Spans("taskqueue_wait_seconds", waited, SECONDS, registry)
        self._store = histogram("taskqueue_store_seconds", "One commit, by the verb that began it.", "verb")
        self._batch = Histogram("taskqueue_store_batch", "Verbs in one commit.", registry=registry, buckets=BATCHES)
        self._requests = counter("taskqueue_http_requests", "Answers of the API.", "route", "status")
        self._restarts = counter("taskqueue_actor_restarts", "Actors restarted after a bug.", "actor")
        self.tasks = Gauge("taskqueue_tasks", "Tasks in the store.", ("queue", "status"), registry=registry)
        self.oldest = Gauge(
            "taskqueue_oldest_waiting_seconds",
            "How long the oldest claimable task waits.",
            ("queue",),
            registry=registry,
        )
        self.in_flight = Gauge(
            "taskqueue_in_flight", "Tasks that this node has claimed and not ended.", registry=registry
        )
        self.inbox = Gauge("taskqueue_actor_inbox", "Messages that wait for an actor.", ("actor",), registry=registry)
        self.leader = Gauge("taskqueue_leader", "1 while this node leads.", registry=registry)
        self._datasets = Counter(
            "taskqueue_datasets_lost", "Other datasets found where the store was before.", registry=registry
        )
        self._rebirths = Counter(
            "taskqueue_rebirths", "Times that this node was declared dead and began anew.", registry=registry
        )
        self._losses = (0, 0)
        self._limbo = Counter(
            "taskqueue_limbo_repaired", "Tasks or counts that the leader's sweep put right.", registry=registry
        )

    # -- as it happens -------------------------------------------------------------------------------------------------

    def submitted(self, queue: str, handler: str, count: int = 1) -> None:
        """So many tasks were stored."""
        self._submitted(queue if queue in self._queues else OTHER, self._known(handler)).inc(count)

    def ended(self, handler: str, outcome: str, count: int) -> None:
        """So many attempts ended here."""
        self._finished(self._known(handler), outcome).inc(count)

    def ran(self, handler: str, spans: Sequence[int]) -> None:
        """From the start of a handler to its end, in microseconds."""
        self._run.observe(self._known(handler), spans)

    def waited(self, handler: str, spans: Sequence[int]) -> None:
        """From when a task was due to its handler's start, in microseconds."""
        self._wait.observe(self._known(handler), spans)

    def retried(self) -> None:
        """A failed attempt waits for its backoff."""
        self._retries.inc()

    def dead(self, handler: str, cause: str) -> None:
        """A task was given up."""
        self._dead(self._known(handler), cause).inc()

    def repaired(self, count: int) -> None:
        """The leader's sweep put so many tasks or counts right."""
        self._limbo.inc(count)

    def wrote(self, first: Verb, count: int, took: int) -> None:
        """`count` verbs, of which this was the first, were committed together within `took` microseconds."""
        self._store(_word(type(first))).observe(took / 1_000_000)
        self._batch.observe(count)

    def answered(self, route: str, status: int) -> None:
        """The API answered; `route` is a template of the route table."""
        self._requests(route, str(status)).inc()

    def restarted(self, actor: str) -> None:
        """The supervisor restarted an actor."""
        self._restarts(actor).inc()

    def _known(self, handler: str) -> str:
        return handler if handler in self._handlers else OTHER

    # -- when somebody looks -------------------------------------------------------------------------------------------

    def declare(self, handlers: Iterable[str], queues: Iterable[str]) -> None:
        """What live nodes declare now may be named from now on."""
        self._handlers.update(handlers)
        self._queues.update(queues)

    def look(self, queues: Iterable[QueueStats], now: int) -> None:
        """Set the gauges of the store's state; `now` in microseconds since the epoch."""
        self.tasks.clear()
        self.oldest.clear()
        sums: dict[tuple[str, str], int] = {}
        ages: dict[str, float] = {}
        for stats in queues:
            view = stats.view
            name = view.name if view.name in self._queues else OTHER
            for status, count in view.counts.items():
                sums[name, status.value] = sums.get((name, status.value), 0) + count
            age = 0.0 if view.oldest is None else max(0, now - view.oldest) / 1_000_000
            ages[name] = max(ages.get(name, 0.0), age)
        for (name, state), count in sums.items():
            self.tasks.labels(name, state).set(count)
        for name, age in ages.items():
            self.oldest.labels(name).set(age)

    def losses(self, datasets: int, rebirths: int) -> None:
        """How many there were until now."""
        before, self._losses = self._losses, (datasets, rebirths)
        self._datasets.inc(datasets - before[0])
        self._rebirths.inc(rebirths - before[1])

    def text(self) -> bytes:
        """The exposition format 0.0.4."""
        return generate_latest(self.registry)

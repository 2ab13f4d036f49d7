"""What happens on this node, counted once and told to all who count: rates for the queues' page, Prometheus metrics,
and the tally that goes to the store every few seconds.

State: counts since the last `take`; a node that is killed loses those of a few seconds, and nothing else.
"""

from __future__ import annotations

import threading
from collections import Counter

from actors.metrics import Metrics
from actors.pool import Run
from actors.watchers import Rates
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND
from taskqueue.core.tally import bucket
from taskqueue.core.task import Cause, Outcome, Status, Task


class Meter:
    """Written by QueueActor and LeaderActor, each in its own thread; a lock keeps every count."""

    def __init__(self, rates: Rates, metrics: Metrics) -> None:
        self.rates = rates
        self.metrics = metrics
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def submitted(self, queue: str, handler: str) -> None:
        """A new task was stored."""
        self.metrics.submitted(queue, handler)
        with self._lock:
            self.rates.submitted(queue)
            self._counts["submitted"] += 1

    def ended(self, run: Run, event: ev.Event, status: Status | None) -> None:
        """The store has confirmed how a run ended; `status` is the task's state now."""
        took = None if run.started is None or run.finished is None else run.finished - run.started
        self._ended(run.task, event, status, took, None if run.started is None else _waited(run))

    def lent(self, task: Task, event: ev.Event, status: Status | None, now: int) -> None:
        """The same of a run of a worker from outside; `now` is the store's time, and all times are."""
        began = task.started_at or now
        took = None if isinstance(event, ev.Release) else max(0, now - began)
        self._ended(task, event, status, took, max(0, began - task.due_at))

    def _ended(
        self, task: Task, event: ev.Event, status: Status | None, took: int | None, waited: int | None
    ) -> None:
        handler = task.handler
        outcome = _outcome(event)
        self.metrics.ended(
            handler,
            outcome.value,
            None if took is None else took / SECOND,
            None if waited is None else waited / SECOND,
        )
        with self._lock:
            counts = self._counts
            if isinstance(event, ev.Complete | ev.Fail):  # what goes back has not finished
                self.rates.finished(task.queue)
            if took is not None:
                counts[f"run@{handler}:{bucket(took)}"] += 1
            if waited is not None:
                counts[f"wait:{bucket(waited)}"] += 1
            if outcome is Outcome.COMPLETED:
                counts["completed"] += 1
                counts[f"completed@{handler}"] += 1
            elif isinstance(event, ev.Fail):
                counts["failed"] += 1
                counts[f"failed@{handler}"] += 1
        if isinstance(event, ev.Fail):
            if status is Status.DEAD_LETTERED:
                self.buried(handler, event.cause)
            else:
                self.metrics.retried()

    def dead(self, tasks: tuple[Task, ...]) -> None:
        """These were given up by the leader or on the way to a claim (expired, crashed, corrupt)."""
        for task in tasks:
            if task.status is Status.DEAD_LETTERED and task.error is not None:
                self.buried(task.handler, task.error.cause)

    def buried(self, handler: str, cause: Cause) -> None:
        """One task was given up."""
        self.metrics.dead(handler, cause.value)
        with self._lock:
            self._counts["dead"] += 1

    def give_back(self, counts: dict[str, int]) -> None:
        """The store did not take them: they go with the next."""
        with self._lock:
            self._counts.update(counts)

    def take(self) -> dict[str, int]:
        """The counts since the last time."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return dict(taken)


def _outcome(event: ev.Event) -> Outcome:
    if isinstance(event, ev.Complete):
        return Outcome.COMPLETED
    if isinstance(event, ev.Fail):
        return Outcome.TIMEOUT if event.cause is Cause.TIMEOUT else Outcome.FAILED
    return Outcome.SNOOZED if isinstance(event, ev.Snooze) else Outcome.RELEASED


def _waited(run: Run) -> int:
    """From when the task was due to its handler's start: the store's part by its clock, this node's part by ours."""
    task = run.task
    assert run.started is not None
    in_store = max(0, (task.started_at or task.due_at) - task.due_at)
    return in_store + max(0, run.started - run.arrived)

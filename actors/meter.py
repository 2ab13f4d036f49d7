"""What happens on this node, counted once and told to all who count: rates for the queues' page, Prometheus metrics,
and the tally that goes to the store every few seconds.

State: counts since the last `take`; a node that is killed loses those of a few seconds, and nothing else.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from actors.metrics import Metrics
from actors.pool import Run
from actors.watchers import Rates
from taskqueue.core import events as ev
from taskqueue.core.tally import bucket
from taskqueue.core.task import Cause, Outcome, Status, Task

_End = tuple[Task, ev.Event, Status | None, int | None, int | None]
"""A task, how its run ended, its state now; how long it ran and waited, in microseconds, where it did."""

_TALLIED = {Outcome.COMPLETED: "completed", Outcome.FAILED: "failed", Outcome.TIMEOUT: "failed"}


class Meter:
    """Written by QueueActor and LeaderActor, each in its own thread; a lock keeps every count."""

    def __init__(self, rates: Rates, metrics: Metrics) -> None:
        self.rates = rates
        self.metrics = metrics
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def submitted(self, queue: str, handler: str, count: int = 1) -> None:
        """So many new tasks were stored."""
        self.metrics.submitted(queue, handler, count)
        with self._lock:
            self.rates.submitted(queue, count)
            self._counts["submitted"] += count

    def ended(self, ends: Iterable[tuple[Run, ev.Event, Status | None]]) -> None:
        """The store has confirmed how runs ended; each with the task's state now."""
        self._ended([(run.task, event, status, _took(run), _waited(run)) for run, event, status in ends])

    def lent(self, task: Task, event: ev.Event, status: Status | None, now: int) -> None:
        """The same of a run of a worker from outside; `now` is the store's time, and all times are."""
        began = task.started_at or now
        took = None if isinstance(event, ev.Release) else max(0, now - began)
        self._ended([(task, event, status, took, max(0, began - task.due_at))])

    def _ended(self, ends: list[_End]) -> None:
        """Count them by what they have in common: there may be hundreds at a time."""
        outcomes: Counter[tuple[str, Outcome]] = Counter()
        queues: Counter[str] = Counter()
        runs: defaultdict[str, list[int]] = defaultdict(list)
        waits: defaultdict[str, list[int]] = defaultdict(list)
        for task, event, status, took, waited in ends:
            handler = task.handler
            outcomes[handler, _outcome(event)] += 1
            if isinstance(event, ev.Complete | ev.Fail):  # what goes back has not finished
                queues[task.queue] += 1
            if took is not None:
                runs[handler].append(took)
            if waited is not None:
                waits[handler].append(waited)
            if isinstance(event, ev.Fail):
                if status is Status.DEAD_LETTERED:
                    self.buried(handler, event.cause)
                else:
                    self.metrics.retried()
        for (handler, outcome), n in outcomes.items():
            self.metrics.ended(handler, outcome.value, n)
        for handler, spans in runs.items():
            self.metrics.ran(handler, spans)
        for handler, spans in waits.items():
            self.metrics.waited(handler, spans)
        with self._lock:
            self._tally(outcomes, runs, waits)
            for queue, n in queues.items():
                self.rates.finished(queue, n)

    def _tally(
        self,
        outcomes: Mapping[tuple[str, Outcome], int],
        runs: Mapping[str, list[int]],
        waits: Mapping[str, list[int]],
    ) -> None:
        counts = self._counts
        for (handler, outcome), n in outcomes.items():
            name = _TALLIED.get(outcome)
            if name is not None:
                counts[name] += n
                counts[f"{name}@{handler}"] += n
        for handler, spans in runs.items():
            for number, n in Counter(map(bucket, spans)).items():
                counts[f"run@{handler}:{number}"] += n
        for spans in waits.values():
            for number, n in Counter(map(bucket, spans)).items():
                counts[f"wait:{number}"] += n

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


def _took(run: Run) -> int | None:
    """From its handler's start to its end; None where it never began, or has not ended."""
    return None if run.started is None or run.finished is None else run.finished - run.started


def _waited(run: Run) -> int | None:
    """From when the task was due to its handler's start: the store's part by its clock, this node's part by ours. None
    where it never began.
    """
    task = run.task
    if run.started is None:
        return None
    in_store = max(0, (task.started_at or task.due_at) - task.due_at)
    return in_store + max(0, run.started - run.arrived)

"""Those who look at what passes: threads that wait for a task to finish, and counts per second for the queues' page."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from queue import SimpleQueue

from taskqueue.core.clock import SECOND, Clock

SPAN = 60
"""Rates are means over so many seconds."""


class Watchers:
    """Wakes threads that wait for tasks. Only what finishes on this node is heard of; others have to look from time
    to time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bells: dict[str, list[SimpleQueue[None]]] = {}
        self.closed = False

    def watch(self, task_id: str) -> SimpleQueue[None]:
        """A bell that rings when the task finishes; give it back with `leave`."""
        bell: SimpleQueue[None] = SimpleQueue()
        with self._lock:
            self._bells.setdefault(task_id, []).append(bell)
        return bell

    def leave(self, task_id: str, bell: SimpleQueue[None]) -> None:
        """Nobody listens to this bell any more."""
        with self._lock:
            bells = self._bells[task_id]
            bells.remove(bell)
            if not bells:
                del self._bells[task_id]

    def close(self) -> None:
        """The node ends: nobody is to wait any more."""
        self.closed = True
        with self._lock:
            for bell in (bell for bells in self._bells.values() for bell in bells):
                bell.put(None)

    def finished(self, ids: Iterable[str]) -> None:
        """These tasks are in a final state."""
        if not self._bells:
            return
        with self._lock:
            for task_id in ids:
                for bell in self._bells.get(task_id, ()):
                    bell.put(None)


class Rates:
    """Submitted and finished tasks per second by queue, over the last minute, as seen by this node.

    Written by one thread at a time (see `Meter`); bounded by dropping queues in which nothing happened for a minute.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = clock.monotonic() // SECOND
        self._counts: dict[tuple[str, int], list[int]] = {}
        self._swept = 0

    def submitted(self, queue: str, count: int = 1) -> None:
        """So many tasks were stored."""
        self._count(queue, 0, count)

    def finished(self, queue: str, count: int = 1) -> None:
        """So many runs ended."""
        self._count(queue, 1, count)

    def of(self, queue: str) -> tuple[float, float]:
        """(submitted, finished) per second."""
        now = self._clock.monotonic() // SECOND
        sums = [0, 0]
        for (name, second), counts in list(self._counts.items()):
            if name == queue and now - second < SPAN:
                sums[0] += counts[0]
                sums[1] += counts[1]
        span = max(1, min(SPAN, now - self._since))
        return sums[0] / span, sums[1] / span

    def _count(self, queue: str, which: int, by: int) -> None:
        now = self._clock.monotonic() // SECOND
        if now != self._swept:
            self._swept = now
            for key in [key for key in self._counts if now - key[1] >= SPAN]:
                del self._counts[key]
        counts = self._counts.get((queue, now))
        if counts is None:
            counts = self._counts[queue, now] = [0, 0]
        counts[which] += by

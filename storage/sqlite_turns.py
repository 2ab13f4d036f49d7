"""Whose turn it is among the lanes that a group of claims may take from, however many there are.

State: a heap of lanes by bounds of their first tasks' rank and id. Each lane that holds something is in it, at a bound
that no task of it comes before; so only the lane at the top has to be read, and lanes whose turn is far off cost
nothing. Bounds that turn out too early are put off when their turn comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush, heapreplace

from storage.verbs import Group
from taskqueue.core.task import rank

Head = tuple[int, str]
"""Of a task that is the first of its lane, or comes before it: since when it is eligible, and its id."""


class Lane:
    """The tasks of one handler in one queue at one priority, counted by place."""

    __slots__ = ("counts", "handler", "id", "priority", "queue")

    def __init__(self, id: int, queue: str, handler: str, priority: int, counts: dict[str, int]) -> None:
        self.id = id
        self.queue = queue
        self.handler = handler
        self.priority = priority
        self.counts = counts


class Turns:
    """The lanes of one group at one place. `heads`: of each lane that holds something there a bound of its first task;
    `aging` is the head start of one priority level over the next, microseconds.
    """

    def __init__(self, group: Group, heads: dict[int, Head], aging: int) -> None:
        self._handlers = frozenset(group.handlers)
        self._queues = None if group.queues == ("*",) else frozenset(group.queues)
        self._heads = heads
        self._aging = aging
        self._heap: list[tuple[tuple[int, str], int, Lane]] = []
        self._bounds: dict[int, tuple[int, str]] = {}

    def __iter__(self) -> Iterator[int]:
        """The numbers of those that hold something, in no order."""
        return (number for number in self._bounds if number in self._heads)

    def __len__(self) -> int:
        """How many lanes there are at most."""
        return len(self._bounds)

    def serves(self, lane: Lane) -> bool:
        """Does the group take from it?"""
        return lane.handler in self._handlers and (self._queues is None or lane.queue in self._queues)

    def put(self, lane: Lane) -> None:
        """A lane came, or came back, or its head is an earlier one now."""
        bound = self._bound(lane)
        if bound is not None:
            known = self._bounds.get(lane.id)
            if known is None or bound < known:
                self._bounds[lane.id] = bound
                heappush(self._heap, (bound, lane.id, lane))

    def first(self) -> tuple[int, str] | None:
        """Rank and id that no task of these lanes comes before, but one may have; None where nothing is left."""
        while self._heap:
            bound, number, lane = self._heap[0]
            if self._bounds.get(number) != bound:  # it was put again since
                heappop(self._heap)
                continue
            now = self._bound(lane)
            if now is None:
                self.take()
            elif now > bound:
                self._bounds[number] = now
                heapreplace(self._heap, (now, number, lane))
            else:
                return bound
        return None

    def take(self) -> Lane:
        """The lane of `first`, out of the heap until it is put back."""
        _, number, lane = heappop(self._heap)
        del self._bounds[number]
        return lane

    def _bound(self, lane: Lane) -> tuple[int, str] | None:
        head = self._heads.get(lane.id)
        return None if head is None else (rank(lane.priority, head[0], self._aging), head[1])

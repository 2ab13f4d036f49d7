"""The tasks of the memory backend and every index over them.

State: the tasks by id, one sorted list per index, counts per (queue, handler, state). All of them change in `put` and
`remove` alone, so that a task stands in exactly the indexes that its record says. Not locked: `MemoryStore` does that.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Any

from storage.verbs import BYTES_PER_PAGE, EXAMINED_PER_PAGE
from taskqueue.core.errors import UnknownCursor
from taskqueue.core.events import Event, Promote
from taskqueue.core.states import apply
from taskqueue.core.task import TERMINAL, WAITING, Place, Status, Task, place, rank
from taskqueue.core.views import DeadCount, Filter, Lane, Page, QueueView

Key = tuple[int, str]
"""What an index is sorted by (a time, a rank or a birth number), then the task's id."""

Index = tuple[Any, ...]

EVERYTHING: Index = ("everything",)
DELAYED: Index = (Place.DELAYED,)
EXPIRING: Index = ("expiring",)

_CURSOR = re.compile(r"b([0-9]{1,18})", re.ASCII)


def running(owner: str) -> Index:
    """The index of what `owner` holds, by time of claim."""
    return (Place.RUNNING, owner)


def finished(status: Status) -> Index:
    """The index of the tasks that ended in `status`, by time of their end."""
    return ("finished", status)


def unfinished(schedule: str) -> Index:
    """The index of what a schedule made and is not finished yet."""
    return ("unfinished", schedule)


class Table:
    """Tasks and indexes; `aging` is the head start of one priority level over the next, microseconds."""

    def __init__(self, aging: int) -> None:
        self.tasks: dict[str, Task] = {}
        self.counts: Counter[tuple[str, str, Status]] = Counter()
        self._aging = aging
        self._births: dict[str, int] = {}
        self._born = 0
        self._indexes: dict[Index, list[Key]] = {}
        self._lanes: dict[Any, dict[Index, list[Key]]] = {Place.READY: {}, Place.SOLO: {}}
        """Those of the indexes that are lanes: a claim looks at nothing else."""

    # -- writing -------------------------------------------------------------------------------------------------------

    def put(self, task: Task) -> None:
        """Store a new task, or a changed one in place of what it was."""
        before = self.tasks.get(task.id)
        if before is None:
            self._born += 1
            self._births[task.id] = self._born
        old = {} if before is None else self._entries(before)
        new = self._entries(task)
        for index in old.keys() - new.keys():
            self._drop(index, old[index])
        for index, key in new.items():
            if old.get(index) != key:
                if index in old:
                    self._drop(index, old[index])
                insort(self._indexes.get(index) or self._opened(index), key)
        if before is not None:
            self._count(before, -1)
        self._count(task, +1)
        self.tasks[task.id] = task

    def remove(self, task: Task) -> None:
        """Forget a stored task; its id is free again."""
        for index, key in self._entries(task).items():
            self._drop(index, key)
        self._count(task, -1)
        del self.tasks[task.id], self._births[task.id]

    def move(self, task: Task, event: Event, now: int) -> Task | None:
        """Let `event`, which is allowed, happen to a stored task; the task after it, None where it is gone."""
        after = apply(task, event, now)
        if after is None:
            self.remove(task)
        else:
            self.put(after)
        return after

    def promote(self, limit: int, now: int) -> int:
        """Move delayed tasks whose time has come into their lanes, earliest first; how many."""
        due = self.first(DELAYED, limit, now)
        for task in due:
            self.move(task, Promote(id=task.id), now)
        return len(due)

    def recount(self) -> int:
        """Count anew; answers how many of the kept counts were off."""
        true = Counter((task.queue, task.handler, task.status) for task in self.tasks.values())
        off = sum(1 for cell in true.keys() | self.counts.keys() if true[cell] != self.counts[cell])
        self.counts = true
        return off

    def _entries(self, task: Task) -> dict[Index, Key]:
        birth = (self._births[task.id], task.id)
        entries: dict[Index, Key] = {EVERYTHING: birth, (task.status,): birth}
        where = place(task)
        if where in (Place.READY, Place.SOLO):
            entries[where, task.queue, task.handler] = self.rank(task)
        elif where is Place.DELAYED:
            entries[DELAYED] = (task.due_at, task.id)
        elif where is Place.RUNNING:
            entries[running(task.owner or "")] = (task.started_at or 0, task.id)
        else:
            entries[finished(task.status)] = (task.finished_at or 0, task.id)
        if task.schedule is not None and task.status not in TERMINAL:
            entries[unfinished(task.schedule)] = birth
        if task.expires_at is not None and task.status in WAITING:
            entries[EXPIRING] = (task.expires_at, task.id)
        return entries

    def _opened(self, index: Index) -> list[Key]:
        entries: list[Key] = []
        self._indexes[index] = entries
        if index[0] in self._lanes:
            self._lanes[index[0]][index] = entries
        return entries

    def _drop(self, index: Index, key: Key) -> None:
        entries = self._indexes[index]
        del entries[bisect_left(entries, key)]
        if not entries:
            del self._indexes[index]
            if index[0] in self._lanes:
                del self._lanes[index[0]][index]

    def _count(self, task: Task, by: int) -> None:
        cell = (task.queue, task.handler, task.status)
        self.counts[cell] += by
        if not self.counts[cell]:
            del self.counts[cell]

    # -- walking -------------------------------------------------------------------------------------------------------

    def size(self, index: Index) -> int:
        """How many tasks stand in `index`."""
        return len(self._indexes.get(index, ()))

    def first(self, index: Index, limit: int, upto: int | None = None) -> list[Task]:
        """The first `limit` tasks of `index`, no further than those at `upto`. A copy: they may be moved meanwhile."""
        entries = self._indexes.get(index, [])
        return [self.tasks[key[1]] for key in islice(entries, limit) if upto is None or key[0] <= upto]

    def head(self, index: Index) -> int | None:
        """What the first task of `index` is sorted by; None where it is empty."""
        entries = self._indexes.get(index)
        return entries[0][0] if entries else None

    def rank(self, task: Task) -> Key:
        """What its lane is sorted by: who runs first."""
        return (rank(task.priority, task.eligible_at, self._aging), task.id)

    def holds(self, owner: str) -> bool:
        """Does `owner` hold any task?"""
        return running(owner) in self._indexes

    def held(self, owner: str) -> list[Task]:
        """What `owner` holds, in the order of its claims."""
        return [self.tasks[key[1]] for key in self._indexes.get(running(owner), ())]

    def owners(self) -> list[str]:
        """Everybody who holds a task."""
        return [index[1] for index in self._indexes if index[0] is Place.RUNNING]

    def lanes(
        self, where: Place, handlers: Iterable[str], queues: tuple[str, ...], paused: set[str]
    ) -> list[list[Key]]:
        """The non-empty lanes of some handlers in some queues (`("*",)`: all). They shrink as their tasks are moved."""
        lanes = self._lanes[where]
        if not lanes:
            return []
        wanted = set(handlers)
        if queues == ("*",):
            return [entries for index, entries in lanes.items() if index[1] not in paused and index[2] in wanted]
        cells = ((where, queue, handler) for queue in {*queues} - paused for handler in wanted)
        return [lanes[cell] for cell in cells if cell in lanes]

    # -- reading -------------------------------------------------------------------------------------------------------

    def waiting(self) -> int:
        """How many tasks wait, the delayed ones too."""
        return sum(self.size((status,)) for status in WAITING)

    def by_status(self) -> dict[Status, int]:
        """How many tasks are in each state."""
        return _by_status((status, count) for (_, _, status), count in self.counts.items())

    def find(self, filter: Filter, limit: int, cursor: str | None) -> Page:
        """A page of tasks, newest first. Raises UnknownCursor for a cursor that was not made here."""
        entries = self._indexes.get(EVERYTHING if filter.status is None else (filter.status,), [])
        end = len(entries)
        if cursor is not None:
            match = _CURSOR.fullmatch(cursor)
            if match is None:
                raise UnknownCursor("not a cursor of this store")
            end = bisect_left(entries, (int(match[1]), ""))
        tasks: list[Task] = []
        size = 0
        last = max(0, end - EXAMINED_PER_PAGE)
        for at in range(end - 1, last - 1, -1):
            task = self.tasks[entries[at][1]]
            if _matches(task, filter):
                tasks.append(task)
                size += len(task.payload) + len(task.result or b"")
                if len(tasks) == limit or size >= BYTES_PER_PAGE:
                    last = at
                    break
        return Page(tuple(tasks), f"b{entries[last][0]}" if last else None)

    def dead(self) -> list[DeadCount]:
        """Dead letters by handler and cause."""
        counts = Counter(
            (task.handler, task.error.cause)
            for task in (self.tasks[key[1]] for key in self._indexes.get((Status.DEAD_LETTERED,), ()))
            if task.error is not None
        )
        return [DeadCount(handler, cause, count) for (handler, cause), count in sorted(counts.items())]

    def queues(self, paused: set[str]) -> list[QueueView]:
        """Every queue that holds a task or is paused, by name."""
        cells: dict[str, dict[str, dict[Status, int]]] = {name: {} for name in paused}
        for (queue, handler, status), count in self.counts.items():
            cells.setdefault(queue, {}).setdefault(handler, _by_status(()))[status] = count
        oldest = self._oldest()
        return [
            QueueView(
                name=name,
                paused=name in paused,
                counts=_by_status(cell for counts in lanes.values() for cell in counts.items()),
                oldest=oldest.get(name),
                lanes=tuple(Lane(queue=name, handler=h, counts=counts) for h, counts in sorted(lanes.items())),
            )
            for name, lanes in sorted(cells.items())
        ]

    def _oldest(self) -> dict[str, int]:
        since: dict[str, int] = {}
        for index, entries in self._indexes.items():
            if index[0] in (Place.READY, Place.SOLO):
                eligible = min(self.tasks[key[1]].eligible_at for key in entries)
                since[index[1]] = min(eligible, since.get(index[1], eligible))
        return since


def _by_status(cells: Iterable[tuple[Status, int]]) -> dict[Status, int]:
    sums: defaultdict[Status, int] = defaultdict(int)
    for status, count in cells:
        sums[status] += count
    return {status: sums[status] for status in Status}


def _matches(task: Task, filter: Filter) -> bool:
    return (
        (filter.status is None or task.status == filter.status)
        and (filter.handler is None or task.handler == filter.handler)
        and (filter.queue is None or task.queue == filter.queue)
        and (filter.tag is None or filter.tag in task.tags)
        and (filter.schedule is None or task.schedule == filter.schedule)
        and (filter.cause is None or (task.error is not None and task.error.cause == filter.cause))
        and (filter.before is None or task.created_at <= filter.before)
    )

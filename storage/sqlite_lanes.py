"""The lanes of the SQLite backend and how many tasks stand where in each.

State: a copy of the table `lanes` and of the paused queues, which only the writer has and changes. Counts change here
first and are written once a transaction, by `flush`; after a rollback `load` reads them anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from storage.sqlite_rows import PLACES, STATUS
from storage.sqlite_sql import statements
from storage.verbs import Group
from taskqueue.core.task import WAITING

LANES_PER_CLAIM = 256
"""How many lanes' heads a claim looks at; where more have tasks they take turns."""


class Lane:
    """The tasks of one handler in one queue at one priority, counted by place."""

    __slots__ = ("counts", "handler", "id", "priority", "queue")

    def __init__(self, id: int, queue: str, handler: str, priority: int, counts: Iterable[int]) -> None:
        self.id = id
        self.queue = queue
        self.handler = handler
        self.priority = priority
        self.counts = dict(zip(PLACES, counts, strict=True))


class Lanes:
    """Every lane."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self._sql = statements()
        self._turn = 0
        self.load()

    def load(self) -> None:
        """Forget what is here; take what the file says."""
        rows = self._cursor.execute(self._sql["lane.all"]).fetchall()
        lanes = [Lane(lane, queue, handler, priority, n) for lane, queue, handler, priority, *n in rows]
        self._by_name = {(lane.queue, lane.handler, lane.priority): lane for lane in lanes}
        self.by_id = {lane.id: lane for lane in lanes}
        self.paused = {queue for (queue,) in self._cursor.execute(self._sql["lane.paused"])}
        self.waiting = sum(lane.counts[place] for lane in lanes for place in PLACES if STATUS[place] in WAITING)
        self._dirty: set[int] = set()

    def find(self, queue: str, handler: str, priority: int) -> Lane:
        """The lane of that name, made if it is new."""
        lane = self._by_name.get((queue, handler, priority))
        if lane is None:
            (number,) = self._cursor.execute(self._sql["lane.new"], (queue, handler, priority)).fetchone()
            lane = Lane(number, queue, handler, priority, [0] * len(PLACES))
            self._by_name[queue, handler, priority] = self.by_id[number] = lane
        return lane

    def enter(self, lane: int, place: str, by: int = 1) -> None:
        """Count a task in (or, with -1, out)."""
        self.by_id[lane].counts[place] += by
        self._dirty.add(lane)
        if STATUS[place] in WAITING:
            self.waiting += by

    def move(self, lane: int, old: str, new: str) -> None:
        """Count a task from one place to another."""
        if old != new:
            self.enter(lane, old, -1)
            self.enter(lane, new)

    def total(self, place: str) -> int:
        """How many tasks stand at a place, over all lanes."""
        return sum(lane.counts[place] for lane in self.by_id.values())

    def open(self, place: str, group: Group) -> list[Lane]:
        """The lanes from which `group` may take what stands at `place`, at most `LANES_PER_CLAIM`."""
        handlers, queues, every = {*group.handlers}, {*group.queues}, group.queues == ("*",)
        lanes = [
            lane
            for lane in self.by_id.values()
            if lane.counts[place]
            and lane.handler in handlers
            and (every or lane.queue in queues)
            and lane.queue not in self.paused
        ]
        if len(lanes) <= LANES_PER_CLAIM:
            return lanes
        first = self._turn % len(lanes)
        self._turn += LANES_PER_CLAIM
        return (lanes[first:] + lanes[:first])[:LANES_PER_CLAIM]

    def flush(self) -> None:
        """Write the counts that changed."""
        rows = [(number, *self.by_id[number].counts.values()) for number in self._dirty]
        if rows:
            self._cursor.executemany(self._sql["lane.put"], rows)
            self._dirty.clear()

    def recount(self) -> int:
        """Count the table of tasks; set right what is off in the file, and say how many counts were."""
        self.flush()
        self.load()
        true = {(lane, place): n for lane, place, n in self._cursor.execute(self._sql["lane.recount"])}
        off = 0
        for lane in self.by_id.values():
            for place, count in lane.counts.items():
                wrong = true.get((lane.id, place), 0) - count
                if wrong:
                    self.enter(lane.id, place, wrong)
                    off += 1
        return off

    def drop_empty(self) -> None:
        """Forget lanes that hold nothing. Their numbers are never used again."""
        for lane in [lane for lane in self.by_id.values() if not any(lane.counts.values())]:
            self._cursor.execute(self._sql["lane.drop"], (lane.id,))
            self._dirty.discard(lane.id)
            del self.by_id[lane.id], self._by_name[lane.queue, lane.handler, lane.priority]

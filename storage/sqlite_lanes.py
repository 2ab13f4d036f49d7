"""The lanes of the SQLite backend and how many tasks stand where in each.

State: a copy of the table `lanes` and of the paused queues, which only the writer has and changes; a bound of the first
task of each lane; the turns of each group that claims. Counts change here first and are written once a transaction, by
`flush`; after a rollback `load` reads them anew.
"""

from __future__ import annotations

import sqlite3

from storage.sqlite_rows import DELAYED, FAILED, PLACES, READY, SOLO
from storage.sqlite_sql import statements
from storage.sqlite_turns import Head, Lane, Turns
from storage.verbs import Group

UNKNOWN: Head = (-(2**62), "")
_NEVER: Head = (2**62, "")

GROUPS_KEPT = 64
"""For so many different groups their turns are remembered from one claim to the next."""


class Lanes:
    """Every lane; `aging` is the head start of one priority level over the next, microseconds.

    `heads`: for each place from which tasks are claimed, the lanes that hold something there, and what no task of the
    lane there comes before.
    """

    def __init__(self, cursor: sqlite3.Cursor, aging: int) -> None:
        self._cursor = cursor
        self._sql = statements()
        self._aging = aging
        self.load()

    def load(self) -> None:
        """Forget what is here; take what the file says."""
        self._by_name: dict[tuple[str, str, int], Lane] = {}
        self.by_id: dict[int, Lane] = {}
        self.heads: dict[str, dict[int, Head]] = {READY: {}, SOLO: {}}
        self._turns: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Turns] = {}
        self._totals = dict.fromkeys(PLACES, 0)
        self._dirty: set[int] = set()
        self._emptied: set[int] = set()
        for number, queue, handler, priority, *counts in self._cursor.execute(self._sql["lane.all"]).fetchall():
            lane = self._add(Lane(number, queue, handler, priority, dict(zip(PLACES, counts, strict=True))))
            for place, count in lane.counts.items():
                self._totals[place] += count
            for place, heads in self.heads.items():
                if lane.counts[place] > 0:
                    heads[number] = UNKNOWN
        self.paused = {queue for (queue,) in self._cursor.execute(self._sql["lane.paused"])}

    def find(self, queue: str, handler: str, priority: int) -> Lane:
        """The lane of that name, made if it is new."""
        lane = self._by_name.get((queue, handler, priority))
        if lane is None:
            (number,) = self._cursor.execute(self._sql["lane.new"], (queue, handler, priority)).fetchone()
            lane = self._add(Lane(number, queue, handler, priority, dict.fromkeys(PLACES, 0)))
        return lane

    def _add(self, lane: Lane) -> Lane:
        self._by_name[lane.queue, lane.handler, lane.priority] = self.by_id[lane.id] = lane
        self._emptied.add(lane.id)
        return lane

    # -- counting ------------------------------------------------------------------------------------------------------

    def enter(self, number: int, place: str, head: Head = UNKNOWN, by: int = 1) -> None:
        """Count a task in (or, with -1, out). Who says what could be the lane's head now spares the next claim a look.
        """
        lane = self.by_id[number]
        lane.counts[place] = count = lane.counts[place] + by
        self._totals[place] += by
        self._dirty.add(number)
        if count <= 0:
            self._emptied.add(number)
            if place in self.heads:
                self.heads[place].pop(number, None)
        elif by > 0 and place in self.heads and head < self.heads[place].get(number, _NEVER):
            self.heads[place][number] = head
            if lane.queue not in self.paused:
                for (where, _, _), turns in self._turns.items():
                    if where == place and turns.serves(lane):
                        turns.put(lane)

    def move(self, lane: int, old: str, new: str) -> None:
        """Count a task from one place to another."""
        if old != new:
            self.enter(lane, old, by=-1)
            self.enter(lane, new)

    @property
    def waiting(self) -> int:
        """How many tasks wait, the delayed ones too."""
        totals = self._totals
        return totals[READY] + totals[SOLO] + totals[DELAYED] + totals[FAILED]

    def total(self, place: str) -> int:
        """How many tasks stand at a place, over all lanes."""
        return self._totals[place]

    # -- for claims ----------------------------------------------------------------------------------------------------

    def turns(self, place: str, group: Group) -> Turns:
        """The lanes from which `group` may take what stands at `place`."""
        name = (place, group.handlers, group.queues)
        turns = self._turns.get(name)
        if turns is None:
            if len(self._turns) >= GROUPS_KEPT:
                self._turns.clear()
            turns = self._turns[name] = Turns(group, self.heads[place], self._aging)
            for lane in map(self.by_id.__getitem__, self.heads[place]):
                if turns.serves(lane) and lane.queue not in self.paused:
                    turns.put(lane)
        return turns

    def pause(self, queue: str, on: bool) -> None:
        """Nothing is claimed from it any more, or again."""
        (self.paused.add if on else self.paused.discard)(queue)
        self._turns.clear()

    # -- the file ------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write the counts that changed."""
        rows = [(number, *self.by_id[number].counts.values()) for number in self._dirty]
        if rows:
            self._cursor.executemany(self._sql["lane.put"], rows)
            self._dirty.clear()

    def recount(self) -> int:
        """Count the table of tasks; set right what is off in the file, and say how many counts were."""
        self.flush()
        true = {(lane, place): n for lane, place, n in self._cursor.execute(self._sql["lane.recount"])}
        off = 0
        for number, _, _, _, *counts in self._cursor.execute(self._sql["lane.all"]).fetchall():
            kept = self.by_id[number].counts
            for place, count in zip(PLACES, counts, strict=True):
                n = true.get((number, place), 0)
                if not n == count == kept[place]:
                    self.enter(number, place, by=n - kept[place])
                    off += 1
        return off

    def drop_empty(self) -> None:
        """Forget lanes that hold nothing. Their numbers are never used again."""
        for lane in [self.by_id[number] for number in self._emptied]:
            if not any(lane.counts.values()):
                self._cursor.execute(self._sql["lane.drop"], (lane.id,))
                self._dirty.discard(lane.id)
                del self.by_id[lane.id], self._by_name[lane.queue, lane.handler, lane.priority]
        self._emptied.clear()

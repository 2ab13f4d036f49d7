"""The leader's housekeeping in the memory backend: reap, promote, expire, prune, sweep.

State: none of its own; it works on the table and the members of one `MemoryStore`, which locks and checks the term.
"""

from __future__ import annotations

from storage import verbs as v
from storage.memory_members import Members
from storage.memory_table import DELAYED, EXPIRING, Table, finished
from taskqueue.core import events as ev
from taskqueue.core.task import Status


class Keeping:
    """One method a verb."""

    def __init__(self, table: Table, members: Members) -> None:
        self._table = table
        self._members = members

    def reap(self, verb: v.Reap, now: int) -> v.Moved:
        """Take back what a fenced incarnation holds; each task counts one crash."""
        if verb.owner not in self._members.seats:
            return v.Moved(ev.Code.NOT_FOUND)
        if not self._members.fenced(verb.owner):
            return v.Moved(ev.Code.REFUSED)
        held = self._table.held(verb.owner)
        crashes = ((task, ev.Crash(id=task.id, max_crashes=verb.max_crashes)) for task in held[: verb.limit])
        moved = [self._table.move(task, crash, now) for task, crash in crashes]
        ids = tuple(task.id for task in moved if task and task.status is Status.DEAD_LETTERED)
        return v.Moved(ev.Code.OK, len(moved), ids, len(held) > len(moved))

    def promote_due(self, verb: v.PromoteDue, now: int) -> v.Moved:
        """Move delayed tasks whose time has come into their lanes."""
        count = self._table.promote(verb.limit, now)
        return v.Moved(ev.Code.OK, count, (), bool(self._table.first(DELAYED, 1, now)))

    def expire_due(self, verb: v.ExpireDue, now: int) -> v.Moved:
        """Dead-letter waiting tasks that are over."""
        due = self._table.first(EXPIRING, verb.limit, now)
        for task in due:
            self._table.move(task, ev.Expire(id=task.id), now)
        more = bool(self._table.first(EXPIRING, 1, now))
        return v.Moved(ev.Code.OK, len(due), tuple(task.id for task in due), more)

    def prune_old(self, verb: v.PruneOld, now: int) -> v.Moved:
        """Delete finished tasks beyond what is to be kept, the oldest first, and forget who has been gone for long."""
        self._members.forget(now, self._table.holds)
        ids: list[str] = []
        more = False
        for keep in verb.keep:
            index = finished(keep.status)
            surplus = self._table.size(index) - keep.count
            room = verb.limit - len(ids)
            old = self._table.first(index, room + 1, now - keep.age - 1)
            goes = old if len(old) > surplus else self._table.first(index, min(surplus, room + 1))
            more = more or len(goes) > room
            for task in goes[:room]:
                self._table.move(task, ev.Prune(id=task.id), now)
                ids.append(task.id)
        return v.Moved(ev.Code.OK, len(ids), tuple(ids), more)

    def sweep(self, verb: v.Sweep, now: int) -> v.Moved:
        """Give back the tasks of owners that nobody knows (nothing is charged), and count anew."""
        lost = [
            task
            for owner in self._table.owners()
            if owner not in self._members.seats or self._members.seats[owner].member.left
            for task in self._table.held(owner)
        ]
        for task in lost[: verb.limit]:
            self._table.move(task, ev.Release(id=task.id, owner=task.owner or "", fence=task.fence), now)
        repairs = len(lost[: verb.limit]) + self._table.recount()
        return v.Moved(ev.Code.OK, repairs, (), len(lost) > verb.limit)

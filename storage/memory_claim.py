"""How the memory backend hands out tasks.

State: none of its own; it works on the table, the members and the paused queues of one `MemoryStore`, which locks.
"""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace
from zlib import crc32

from storage import verbs as v
from storage.memory_members import Members, Seat
from storage.memory_table import DELAYED, Table
from taskqueue.core import events as ev
from taskqueue.core.task import Cause, Place, Task


class Claims:
    """The verb `claim`."""

    def __init__(self, table: Table, members: Members, paused: set[str]) -> None:
        self._table = table
        self._members = members
        self._paused = paused

    def claim(self, verb: v.Claim, now: int) -> v.Claimed:
        """Take what fits into the groups, or answer again what this very claim took."""
        seat = self._members.acting(verb.owner)
        if seat is None:
            return v.Claimed(ev.Code.FENCED)
        if verb.request < seat.request:
            return v.Claimed(ev.Code.REFUSED)
        given_up: list[v.GivenUp] = []
        if verb.request == seat.request:
            tasks = self._taken_before(verb)
        else:
            seat.request = verb.request
            tasks = ((),) * len(verb.groups)
            if not seat.member.draining:
                self._table.promote(v.PROMOTED_PER_CLAIM, now)
                tasks = self._fill(verb.groups, seat, now, given_up)
        return v.Claimed(ev.Code.OK, tasks, self._table.head(DELAYED), self._solo_since(verb.groups), tuple(given_up))

    def _fill(
        self, groups: tuple[v.Group, ...], seat: Seat, now: int, given_up: list[v.GivenUp]
    ) -> tuple[tuple[Task, ...], ...]:
        """What each group takes; nothing beside a suspect that the first has taken."""
        taken: list[tuple[Task, ...]] = []
        for group in groups:
            alone = taken and groups[0].solo and taken[0]
            taken.append(() if alone else self._take(group, seat, now, given_up))
        return tuple(taken)

    def _solo_since(self, groups: tuple[v.Group, ...]) -> int | None:
        """Since when the longest waiting suspect of the groups' lanes could run."""
        lanes = (lane for g in groups for lane in self._table.lanes(Place.SOLO, g.handlers, g.queues, self._paused))
        return min((self._table.tasks[key[1]].due_at for lane in lanes for key in lane), default=None)

    def _take(self, group: v.Group, seat: Seat, now: int, given_up: list[v.GivenUp]) -> tuple[Task, ...]:
        """Up to `group.n` tasks of its lanes, lowest rank first. What is over or damaged is given up on the way."""
        where = Place.SOLO if group.solo else Place.READY
        heap = [(lane[0], lane) for lane in self._table.lanes(where, group.handlers, group.queues, self._paused)]
        heapify(heap)
        taken: list[Task] = []
        while heap and len(taken) < group.n:
            (_, task_id), lane = heap[0]
            task = self._table.tasks[task_id]
            if task.expires_at is not None and task.expires_at <= now:
                self._table.move(task, ev.Expire(id=task_id), now)
                given_up.append(v.GivenUp(task_id, task.handler, Cause.EXPIRED))
            elif crc32(task.payload) != task.checksum:
                self._table.move(task, ev.Corrupt(id=task_id), now)
                given_up.append(v.GivenUp(task_id, task.handler, Cause.CORRUPT))
            else:
                member = seat.member
                event = ev.Taken(id=task_id, owner=member.owner, node=member.node, request=seat.request)
                after = self._table.move(task, event, now)
                assert after is not None  # only delete and prune end in nothing
                taken.append(after)
            if lane:
                heapreplace(heap, (lane[0], lane))
            else:
                heappop(heap)
        return tuple(taken)

    def _taken_before(self, verb: v.Claim) -> tuple[tuple[Task, ...], ...]:
        """What claim `verb.request` took and its owner still holds, each task in the first group that it fits into."""
        groups: list[list[Task]] = [[] for _ in verb.groups]
        for task in sorted(self._table.held(verb.owner), key=self._table.rank):
            if task.request == verb.request and groups:
                fitting = (n for n, group in enumerate(verb.groups) if _fits(task, group, len(groups[n])))
                groups[next(fitting, 0)].append(task)
        return tuple(map(tuple, groups))


def _fits(task: Task, group: v.Group, filled: int) -> bool:
    """Might `group`, which has `filled` tasks so far, have taken it?"""
    queue = group.queues == ("*",) or task.queue in group.queues
    return queue and task.handler in group.handlers and task.solo is group.solo and filled < group.n

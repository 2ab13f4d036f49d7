"""How the SQLite backend hands out tasks: the verb `claim`.

State: none of its own. Lanes are merged by rank, however many there are: each is read when its turn may have come (see
`sqlite_turns`), and then in pieces that double.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import closing
from heapq import heappop, heappush, heapreplace
from itertools import islice
from zlib import crc32

from storage import verbs as v
from storage.sqlite_events import change
from storage.sqlite_rows import READY, RUNNING, SOLO, Stored, numbers, stored
from storage.sqlite_turns import Lane, Turns
from storage.sqlite_tx import Tx
from taskqueue.core.events import Code, Corrupt, Expire, Taken
from taskqueue.core.states import apply
from taskqueue.core.task import Cause, Task, rank

log = logging.getLogger("taskqueue.storage")

Next = tuple[int, str, int, int]
"""A task's rank and id, its number, its lane."""

GIVEN_UP_PER_CLAIM = 1_000
"""How many tasks that are over or damaged one group of a claim clears away at most."""


def claim(tx: Tx, verb: v.Claim) -> v.Claimed:
    """Take what fits into the groups."""
    seat = tx.one("claim.seat", verb.owner)
    if seat is None:
        return v.Claimed(Code.FENCED)
    node, last, draining = seat
    if verb.request < last:
        return v.Claimed(Code.REFUSED)
    given_up: list[v.GivenUp] = []
    if verb.request == last:
        tasks = _taken_before(tx, verb)
    else:
        tx.run("claim.number", verb.owner, verb.request)
        tasks = ((),) * len(verb.groups)
        if not draining:
            promote(tx, v.PROMOTED_PER_CLAIM)
            tasks = _fill(tx, verb, node, given_up)
    due = tx.one("claim.due")
    since = [tx.one("claim.since", lane) for group in verb.groups for lane in tx.lanes.turns(SOLO, group)]
    solo_since = min((row[0] for row in since if row), default=None)
    return v.Claimed(Code.OK, tasks, None if due is None else due[0], solo_since, tuple(given_up))


def promote(tx: Tx, limit: int) -> int:
    """Move delayed tasks whose time has come into their lanes, earliest first; how many."""
    due = tx.all("promote.due", tx.now, limit)
    if due:
        tx.run("promote.move", numbers(row[0] for row in due))
    for _, lane, place, solo in due:
        tx.lanes.move(lane, place, SOLO if solo else READY)
    return len(due)


def _fill(tx: Tx, verb: v.Claim, node: str, given_up: list[v.GivenUp]) -> tuple[tuple[Task, ...], ...]:
    """What each group takes; nothing beside a suspect that the first has taken."""
    taken: list[tuple[Task, ...]] = []
    for group in verb.groups:
        alone = taken and verb.groups[0].solo and taken[0]
        taken.append(() if alone else _take(tx, group, verb, node, given_up))
    return tuple(taken)


def _take(tx: Tx, group: v.Group, verb: v.Claim, node: str, given_up: list[v.GivenUp]) -> tuple[Task, ...]:
    """Up to `group.n` tasks of its lanes, lowest rank first. What is over or damaged is given up on the way."""
    place = SOLO if group.solo else READY
    turns = tx.lanes.turns(place, group)
    good: list[Stored] = []
    most = len(given_up) + GIVEN_UP_PER_CLAIM
    with closing(_line(tx, turns, place, 1 + group.n // (1 + len(turns)))) as line:
        while len(given_up) < most and (heads := list(islice(line, group.n - len(good)))):
            for head in tx.tasks(seq for _, _, seq, _ in heads):
                task = head.task
                if task.expires_at is not None and task.expires_at <= tx.now:
                    change(tx, head, Expire(id=task.id))
                    given_up.append(v.GivenUp(task.id, task.handler, Cause.EXPIRED))
                elif head.damaged or crc32(task.payload) != task.checksum:
                    log.error("task %s is damaged and given up: %s", task.id, head.damaged or "its payload")
                    change(tx, head, Corrupt(id=task.id, unreadable=head.damaged))
                    given_up.append(v.GivenUp(task.id, task.handler, Cause.CORRUPT))
                else:
                    good.append(head)
    tx.run("claim.take", numbers(head.seq for head in good), verb.owner, node, verb.request, tx.now)
    taken = []
    for head in good:
        tx.lanes.move(head.lane, place, RUNNING)
        after = apply(head.task, Taken(id=head.task.id, owner=verb.owner, node=node, request=verb.request), tx.now)
        assert after is not None  # only delete and prune end in nothing
        taken.append(after)
    return tuple(taken)


def _line(tx: Tx, turns: Turns, place: str, chunk: int) -> Generator[Next]:
    """The tasks of lanes at `place`, lowest rank first. Whoever goes on has to take away what it was given."""
    heap: list[Next] = []
    walks: dict[int, Iterator[Next]] = {}
    try:
        unread = turns.first()
        while heap or unread is not None:
            if unread is None or (heap and heap[0] < unread):
                yield heap[0]
                following = next(walks[heap[0][3]], None)
                if following is None:
                    heappop(heap)
                else:
                    heapreplace(heap, following)
            else:
                lane = turns.take()
                walks[lane.id] = _walk(tx, lane, place, chunk)
                following = next(walks[lane.id], None)
                if following is not None:
                    heappush(heap, following)
                unread = turns.first()
    finally:
        for number in walks:
            turns.put(tx.lanes.by_id[number])


def _walk(tx: Tx, lane: Lane, place: str, chunk: int) -> Iterator[Next]:
    """The tasks of a lane at `place`, lowest rank first, read in pieces that double."""
    after = (-(2**62), "")
    while rows := tx.all(f"claim.{place}", lane.id, *after, chunk):
        for eligible_at, task_id, seq in rows:
            tx.lanes.heads[place][lane.id] = (eligible_at, task_id)  # those before it are taken by now
            yield rank(lane.priority, eligible_at, tx.aging), task_id, seq, lane.id
        after = rows[-1][:2]
        chunk *= 2


def _taken_before(tx: Tx, verb: v.Claim) -> tuple[tuple[Task, ...], ...]:
    """What claim `verb.request` took and its owner still holds, each task in the first group that it fits into."""
    groups: list[list[Task]] = [[] for _ in verb.groups]
    held = [row.task for row in map(stored, tx.all("claim.taken", verb.owner, verb.request))]
    for task in sorted(held, key=lambda task: (rank(task.priority, task.eligible_at, tx.aging), task.id)):
        if groups:
            fitting = (n for n, group in enumerate(verb.groups) if _fits(task, group, len(groups[n])))
            groups[next(fitting, 0)].append(task)
    return tuple(map(tuple, groups))


def _fits(task: Task, group: v.Group, filled: int) -> bool:
    """Might `group`, which has `filled` tasks so far, have taken it?"""
    queue = group.queues == ("*",) or task.queue in group.queues
    return queue and task.handler in group.handlers and task.solo is group.solo and filled < group.n

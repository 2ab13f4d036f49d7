"""The leader's housekeeping in the SQLite backend: reap, promote, expire, prune, sweep.

State: none of its own. Each verb does at most `limit` tasks a call and says whether there may be more.
"""

from __future__ import annotations

from storage import verbs as v
from storage.sqlite_claim import promote
from storage.sqlite_events import change
from storage.sqlite_past import forget
from storage.sqlite_rows import STATUS, stored
from storage.sqlite_tx import Tx
from taskqueue.core.events import Code, Crash, Expire, Release
from taskqueue.core.task import Status

_PLACE = {status: place for place, status in STATUS.items()}


def reap(tx: Tx, verb: v.Reap) -> v.Moved:
    """Take back what a fenced incarnation holds; each task counts one crash."""
    known = tx.one("member.state", verb.owner)
    if known is None:
        return v.Moved(Code.NOT_FOUND)
    if not known[0]:
        return v.Moved(Code.REFUSED)
    held = [stored(row) for row in tx.all("keep.held", verb.owner, verb.limit + 1)]
    moved = [
        change(tx, record, Crash(id=record.task.id, max_crashes=verb.max_crashes)) for record in held[: verb.limit]
    ]
    ids = tuple(task.id for task in moved if task is not None and task.status is Status.DEAD_LETTERED)
    return v.Moved(Code.OK, len(moved), ids, len(held) > verb.limit)


def promote_due(tx: Tx, verb: v.PromoteDue) -> v.Moved:
    """Move delayed tasks whose time has come into their lanes."""
    count = promote(tx, verb.limit)
    return v.Moved(Code.OK, count, (), bool(tx.all("promote.due", tx.now, 1)))


def expire_due(tx: Tx, verb: v.ExpireDue) -> v.Moved:
    """Dead-letter waiting tasks that are over."""
    over = [seq for (seq,) in tx.all("keep.expired", tx.now, verb.limit + 1)]
    ids = []
    for record in tx.tasks(over[: verb.limit]):
        change(tx, record, Expire(id=record.task.id))
        ids.append(record.task.id)
    return v.Moved(Code.OK, len(ids), tuple(ids), len(over) > verb.limit)


def prune_old(tx: Tx, verb: v.PruneOld) -> v.Moved:
    """Delete finished tasks beyond what is to be kept, the oldest first; forget what else is old, and empty lanes."""
    tx.run("member.forget", tx.now - v.MEMBER_MEMORY, tx.now - v.LEASE_MEMORY)
    more = tx.run("keep.keys", tx.now - v.KEY_LIFETIME, verb.limit) == verb.limit
    more = forget(tx, verb.limit) or more
    ids: list[str] = []
    for keep in verb.keep:
        place = _PLACE[keep.status]
        room = verb.limit - len(ids)
        ((old,),) = tx.all("keep.old", place, tx.now - keep.age, room + 1)
        surplus = max(old, tx.lanes.total(place) - keep.count)
        more = more or surplus > room
        for task_id, lane in tx.all("keep.prune", place, max(0, min(surplus, room))):
            tx.lanes.enter(lane, place, by=-1)
            ids.append(task_id)
    tx.lanes.drop_empty()
    return v.Moved(Code.OK, len(ids), tuple(ids), more)


def sweep(tx: Tx, verb: v.Sweep) -> v.Moved:
    """Give back the tasks of owners that nobody knows (nothing is charged), and count anew."""
    lost = [seq for (seq,) in tx.all("keep.lost", verb.limit + 1)]
    for record in tx.tasks(lost[: verb.limit]):
        task = record.task
        change(tx, record, Release(id=task.id, owner=task.owner or "", fence=task.fence))
    repairs = len(lost[: verb.limit]) + tx.lanes.recount()
    return v.Moved(Code.OK, repairs, (), len(lost) > verb.limit)

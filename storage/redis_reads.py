"""How the Redis backend is read: by scripts that see one moment each, in the calling thread, never behind a write.

State: none of its own; a pool of connections. A read that Redis does not answer for `OPERATION` seconds raises
`StoreUnavailable`.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from storage import redis_rows as rows
from storage import verbs as v
from storage.redis_answers import term
from storage.redis_calls import Call
from storage.redis_link import Pool
from storage.redis_rows import LETTER, STATUS
from taskqueue.core.errors import StoreError, StoreUnavailable, UnknownCursor
from taskqueue.core.task import Cause, Status, Task
from taskqueue.core.views import DeadCount, Filter, Held, Lane, LeaseView, Member, NotePage, Page, QueueView

log = logging.getLogger("taskqueue.storage")

STEP = 1_000
"""How many tasks one script looks at."""

R = TypeVar("R")
P = ParamSpec("P")


def _readable(read: Callable[P, R]) -> Callable[P, R]:
    """What cannot be read, since somebody has edited it, is the store's error, and nobody's death."""

    @wraps(read)
    def reads(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return read(*args, **kwargs)
        except rows.UNREADABLE as error:
            raise rows.damaged(read.__name__, error) from error

    return reads

_CURSOR = re.compile(r"r([0-9]{1,15})", re.ASCII)
_NOTE_CURSOR = re.compile(r"n([0-9]{1,15})", re.ASCII)


class Reads:
    """The reads of `storage.store.Store`."""

    def __init__(self, pool: Pool, prefix: str) -> None:
        self._pool = pool
        self._prefix = prefix

    def _read(self, script: str, *items: Any) -> Any:
        return self._pool.call(Call(script, rows.pack(items), (), (), ()))

    def _ask(self, command: str, key: str, *rest: Any) -> Any:
        [reply] = self._pool.ask([(command, self._prefix + key, *rest)])
        return reply

    @_readable
    def get(self, task_id: str) -> Task | None:
        """See `Store.get`."""
        row = self._read("get", task_id)
        return None if row is None else rows.shown(row)

    @_readable
    def statuses(self, ids: Sequence[str]) -> dict[str, Status]:
        """See `Store.statuses`."""
        found: dict[str, Status] = {}
        for at in range(0, len(ids), STEP):
            some = ids[at : at + STEP]
            states = self._read("statuses", *some)
            found |= {name: STATUS[state] for name, state in zip(some, states, strict=True) if state in STATUS}
        return found

    @_readable
    def find(self, filter: Filter, limit: int, cursor: str | None = None) -> Page:
        """See `Store.find`."""
        upto = False if cursor is None else _number(_CURSOR, cursor)
        state = filter.status and LETTER[filter.status]
        cause = filter.cause and filter.cause.value
        wanted = (state, filter.queue, filter.handler, filter.tag, filter.schedule, cause, filter.before)
        unset = [False if value is None else value for value in wanted]
        found, last = self._read("find", unset, limit, v.EXAMINED_PER_PAGE, v.BYTES_PER_PAGE, upto)
        return Page(tuple(map(rows.shown, found)), None if last is None else f"r{last.decode()}")

    @_readable
    def counts(self) -> dict[Status, int]:
        """See `Store.counts`."""
        totals = rows.pairs(self._ask("HGETALL", "totals"))
        return {status: int(totals.get(letter, 0)) for letter, status in STATUS.items()}

    @_readable
    def dead(self) -> list[DeadCount]:
        """See `Store.dead`."""
        counts = rows.pairs(self._ask("HGETALL", "causes"))
        found = []
        for cell, count in counts.items():
            cause, handler = cell.decode().split("/", 1)
            found.append(DeadCount(handler, Cause(cause), int(count)))
        return sorted(found, key=lambda dead: (dead.handler, dead.cause))

    @_readable
    def queues(self) -> list[QueueView]:
        """See `Store.queues`."""
        counts, paused, oldest = self._read("queues")
        queues: defaultdict[str, defaultdict[str, dict[Status, int]]] = defaultdict(lambda: defaultdict(dict))
        for queue, handler, status, count in rows.cells(counts):
            queues[queue][handler][status] = count
        since: dict[str, int] = {}
        for lane, at in rows.pairs(oldest).items():
            queue = lane.decode().split("/", 1)[0]
            since[queue] = min(int(at), since.get(queue, int(at)))
        stopped = {queue.decode() for queue in paused}
        return [
            QueueView(
                name=name,
                paused=name in stopped,
                counts=_sums(queues[name].values()),
                oldest=since.get(name),
                lanes=tuple(Lane(queue=name, handler=h, counts=_sums([c])) for h, c in sorted(queues[name].items())),
            )
            for name in sorted(stopped | queues.keys())
        ]

    @_readable
    def members(self) -> list[Member]:
        """See `Store.members`."""
        return [rows.member(*row) for row in self._read("members") if row[1]]

    @_readable
    def leases(self) -> list[LeaseView]:
        """See `Store.leases`."""
        return sorted((rows.lease(*row) for row in self._read("leases")), key=lambda lease: lease.owner)

    @_readable
    def held(self, owner: str) -> list[Held]:
        """See `Store.held`."""
        return [Held(name.decode(), int(fence)) for name, fence in rows.pairs(self._read("held", owner)).items()]

    @_readable
    def term(self) -> v.Term:
        """See `Store.term`. What is none, because somebody edited it, is nobody's, as the scripts have it."""
        try:
            owner, epoch, beat = self._ask("HMGET", "term", "owner", "epoch", "beat")
            return term(owner, epoch or 0, beat or 0)
        except StoreUnavailable:
            raise
        except (StoreError, ValueError):
            return v.Term(None, 0, 0)

    @_readable
    def schedules(self) -> list[v.Schedule]:
        """See `Store.schedules`."""
        return sorted(_schedules(self._read("schedules")), key=lambda schedule: schedule.id)

    @_readable
    def schedule(self, schedule_id: str) -> v.Schedule | None:
        """See `Store.schedule`."""
        [row] = self._read("schedules", schedule_id)
        return rows.schedule(*row) if row[1] else None

    @_readable
    def revision(self) -> int:
        """See `Store.revision`."""
        return int(self._ask("HGET", "meta", "revision") or 0)

    @_readable
    def tallies(self, since: int) -> dict[int, dict[str, int]]:
        """See `Store.tallies`."""
        minutes = {int(minute): rows.pairs(counts) for minute, counts in self._read("tallies", since)}
        return {at: {name.decode(): int(n) for name, n in counts.items()} for at, counts in minutes.items()}

    @_readable
    def notes(self, limit: int, cursor: str | None = None) -> NotePage:
        """See `Store.notes`."""
        seen = False if cursor is None else _number(_NOTE_CURSOR, cursor)
        page, last = self._read("notes", limit, seen)
        return NotePage(tuple(map(rows.note, page)), None if last is None else f"n{last.decode()}")

    def payloads(self, ids: Sequence[str]) -> list[bytes | None]:
        """The payloads of tasks that stand in keys of their own, each by itself since they are large."""
        return self._pool.ask([("GET", f"{self._prefix}body:{task_id}") for task_id in ids])


def _schedules(found: Iterable[Any]) -> Iterator[v.Schedule]:
    """Those that can be read; of the others the log tells, and they do not fire."""
    for name, row in found:
        if row:
            try:
                yield rows.schedule(name, row)
            except rows.UNREADABLE as error:
                log.error("schedule %s cannot be read and does not fire: %r", name.decode("utf-8", "replace"), error)


def _number(pattern: re.Pattern[str], cursor: str) -> int:
    """What a cursor says. Raises UnknownCursor for one that was not made here."""
    match = pattern.fullmatch(cursor)
    if match is None:
        raise UnknownCursor("not a cursor of this store")
    return int(match[1])


def _sums(counts: Iterable[dict[Status, int]]) -> dict[Status, int]:
    sums = dict.fromkeys(Status, 0)
    for some in counts:
        for status, count in some.items():
            sums[status] += count
    return sums



"""How the SQLite backend is read: on read-only connections, in the calling thread, never behind a write.

State: a pool of read-only connections, one for each read that ever ran at the same time. A read that needs several
statements does them in one transaction, so that they see one moment.
"""

from __future__ import annotations

import re
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from heapq import merge
from itertools import islice
from typing import Any

from storage import verbs as v
from storage.sqlite_rows import PLACES, STATUS, Row, Stored, member, numbers, stored, text
from storage.sqlite_schedules import schedule
from storage.sqlite_sql import statements
from taskqueue.core.errors import StoreError, UnknownCursor
from taskqueue.core.task import Cause, Status, Task
from taskqueue.core.views import DeadCount, Filter, Held, Lane, LeaseView, Member, NotePage, NoteView, Page, QueueView

STREAMS = 1_000
"""How many (lane, place) pairs a page merges at most; where more match, it walks all tasks."""

_CURSOR = re.compile(r"s([0-9]{1,18})", re.ASCII)
_NOTE_CURSOR = re.compile(r"n([0-9]{1,18})", re.ASCII)
_END = 2**62

Run = Callable[..., sqlite3.Cursor]


class Reads:
    """The reads of `storage.store.Store`."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._pool: deque[sqlite3.Connection] = deque()
        self._sql = statements()

    @contextmanager
    def _reading(self) -> Iterator[Run]:
        """A way to run statements that all see the same moment. Raises StoreError where the file cannot be read."""
        try:
            connection = self._pool.pop()
        except IndexError:
            connection = self._connect()
        try:
            connection.execute("BEGIN")
            yield lambda statement, *values: connection.execute(self._sql[statement], values)
            connection.execute("COMMIT")
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"cannot be read: {error}") from error
            raise
        self._pool.append(connection)

    def close(self) -> None:
        """Close every connection."""
        while self._pool:
            self._pool.pop().close()

    def get(self, task_id: str) -> Task | None:
        """See `Store.get`."""
        with self._reading() as run:
            row = run("event.record", task_id).fetchone()
        return None if row is None else stored(row).task

    def statuses(self, ids: Sequence[str]) -> dict[str, Status]:
        """See `Store.statuses`."""
        with self._reading() as run:
            return {task_id: STATUS[place] for task_id, place in run("read.statuses", text(ids))}

    def counts(self) -> dict[Status, int]:
        """See `Store.counts`."""
        with self._reading() as run:
            return _sums(run("read.counts"))

    def dead(self) -> list[DeadCount]:
        """See `Store.dead`."""
        with self._reading() as run:
            return [DeadCount(handler, Cause(cause), count) for handler, cause, count in run("read.dead")]

    def queues(self) -> list[QueueView]:
        """See `Store.queues`."""
        with self._reading() as run:
            paused = {queue for (queue,) in run("lane.paused")}
            queues: dict[str, list[Row]] = {name: [] for name in paused}
            for queue, *lane in run("read.lanes"):
                queues.setdefault(queue, []).append(lane)
        return [_queue(name, name in paused, lanes) for name, lanes in sorted(queues.items())]

    def members(self) -> list[Member]:
        """See `Store.members`."""
        with self._reading() as run:
            return [member(row) for row in run("member.all")]

    def leases(self) -> list[LeaseView]:
        """See `Store.leases`."""
        with self._reading() as run:
            return [
                LeaseView(owner=owner, node=node, ttl=ttl, beat=beat, fenced=fenced == 1)
                for owner, node, ttl, beat, fenced in run("member.leases")
            ]

    def held(self, owner: str) -> list[Held]:
        """See `Store.held`."""
        with self._reading() as run:
            return [Held(*row) for row in run("member.held", owner)]

    def term(self) -> v.Term:
        """See `Store.term`."""
        with self._reading() as run:
            return v.Term(*run("campaign.term").fetchone())

    def schedules(self) -> list[v.Schedule]:
        """See `Store.schedules`."""
        with self._reading() as run:
            return [schedule(row) for row in run("schedule.all")]

    def schedule(self, schedule_id: str) -> v.Schedule | None:
        """See `Store.schedule`."""
        with self._reading() as run:
            row = run("schedule.one", schedule_id).fetchone()
        return None if row is None else schedule(row)

    def revision(self) -> int:
        """See `Store.revision`."""
        with self._reading() as run:
            (number,) = run("schedule.revision").fetchone()
        return int(number)

    def tallies(self, since: int) -> dict[int, dict[str, int]]:
        """See `Store.tallies`."""
        minutes: dict[int, dict[str, int]] = {}
        with self._reading() as run:
            for minute, name, count in run("tally.since", since):
                minutes.setdefault(minute, {})[name] = count
        return minutes

    def notes(self, limit: int, cursor: str | None = None) -> NotePage:
        """See `Store.notes`."""
        before = _END if cursor is None else _number(_NOTE_CURSOR, cursor)
        with self._reading() as run:
            rows = run("note.page", before, limit + 1).fetchall()
        notes = tuple(NoteView(*row) for _, *row in rows[:limit])
        return NotePage(notes, f"n{rows[limit - 1][0]}" if len(rows) > limit else None)

    def find(self, filter: Filter, limit: int, cursor: str | None = None) -> Page:
        """See `Store.find`."""
        before = _END if cursor is None else _number(_CURSOR, cursor)
        places = [place for place, status in STATUS.items() if filter.status in (None, status)]
        values: list[Any] = [None if filter.status is None else text(places)]
        values += [filter.handler, filter.queue, filter.tag, filter.schedule]
        values += [None if filter.cause is None else filter.cause.value, filter.before]
        with self._reading() as run:
            window = _window(run, filter, places, before)
            looked_at = window[: v.EXAMINED_PER_PAGE]
            found, full = _page(run("read.matching", numbers(looked_at), *values, limit), limit)
        ends = [record.seq for record in found[-1:]] if full else looked_at[-1:]
        more = bool(ends) and ends != window[-1:]
        return Page(tuple(record.task for record in found), f"s{ends[0]}" if more else None)


def _number(pattern: re.Pattern[str], cursor: str) -> int:
    """What a cursor says. Raises UnknownCursor for one that was not made here."""
    match = pattern.fullmatch(cursor)
    if match is None:
        raise UnknownCursor("not a cursor of this store")
    return int(match[1])


def _page(rows: Iterable[Row], limit: int) -> tuple[list[Stored], bool]:
    """The first rows, as many as a page may hold; and whether it holds so much. The others are never read."""
    found: list[Stored] = []
    size = 0
    for record in map(stored, rows):
        found.append(record)
        size += len(record.task.payload) + len(record.task.result or b"")
        if size >= v.BYTES_PER_PAGE:
            return found, True
    return found, len(found) == limit


def _window(run: Run, filter: Filter, places: list[str], before: int) -> list[int]:
    """The numbers of the tasks that a page looks at, newest first, and one more if there are more."""
    n = v.EXAMINED_PER_PAGE + 1
    if filter.tag is not None:
        rows = run("read.tagged", before, n, filter.tag)
    elif filter.schedule is not None:
        rows = run("read.scheduled", before, n, filter.schedule)
    else:
        streams = _streams(run, filter, places)
        if streams is not None:
            merged = merge(*(_walk(run, lane, place, before, len(streams)) for lane, place in streams), reverse=True)
            return list(islice(merged, n))
        rows = run("read.all", before, n)
    return [seq for (seq,) in rows]


def _streams(run: Run, filter: Filter, places: list[str]) -> list[tuple[int, str]] | None:
    """The (lane, place) pairs that hold what a filter by state, queue and handler asks for; None: walk all tasks."""
    if filter.status is None and filter.queue is None and filter.handler is None:
        return None
    wanted = [place in places for place in PLACES]
    rows = run("read.holding", STREAMS + 1, filter.queue, filter.handler, *wanted)
    streams = [
        (lane, place)
        for lane, *counts in rows
        for place, count in zip(PLACES, counts, strict=True)
        if count and place in places
    ]
    return streams if len(streams) <= STREAMS else None


def _walk(run: Run, lane: int, place: str, before: int, streams: int) -> Iterator[int]:
    """The numbers at one place of one lane, newest first, read in pieces that double."""
    n = 1 + v.EXAMINED_PER_PAGE // streams
    while rows := run("read.listed", before, n, lane, place).fetchall():
        yield from (seq for (seq,) in rows)
        before = rows[-1][0]
        n *= 2


def _queue(name: str, paused: bool, lanes: list[Row]) -> QueueView:
    cells: dict[str, list[list[int]]] = {}
    for handler, _, _, *counts in lanes:
        cells.setdefault(handler, []).append(counts)
    return QueueView(
        name=name,
        paused=paused,
        counts=_sums(row for rows in cells.values() for row in rows),
        oldest=min((at for lane in lanes for at in lane[1:3] if at is not None), default=None),
        lanes=tuple(Lane(queue=name, handler=handler, counts=_sums(rows)) for handler, rows in sorted(cells.items())),
    )


def _sums(counts: Iterable[Sequence[int]]) -> dict[Status, int]:
    """Counts by state of lanes' counts by place."""
    sums = dict.fromkeys(Status, 0)
    for place, column in zip(PLACES, zip(*counts, strict=True), strict=False):  # there may be no lane
        sums[STATUS[place]] += sum(column)
    return sums

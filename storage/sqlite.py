"""The SQLite backend: one file, one writing connection, an fsync before every answer. `durability` is `full`.

State: the lock on the data directory, the writing connection (used by `execute` alone, by one thread at a time), the
pool of reading ones. All verbs of one `execute` share a transaction. A full disk refuses what makes the store grow and
lets the rest go on; a medium that fails ends all writing for good, since what a failed commit left behind is known only
after a new start.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from storage import (
    sqlite_claim,
    sqlite_events,
    sqlite_file,
    sqlite_keeping,
    sqlite_members,
    sqlite_past,
    sqlite_schedules,
    sqlite_submit,
)
from storage import verbs as v
from storage.lock import DirectoryLock
from storage.sqlite_reads import Reads
from storage.sqlite_tx import Tx
from storage.store import Result, Verb
from taskqueue.core import events as ev
from taskqueue.core.clock import Clock
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError, StoreBroken, StoreError, StoreFull

log = logging.getLogger("taskqueue.storage")

Do = Callable[[Tx, Any], Result]


def _led(do: Do, answer: Callable[[ev.Code], Result] = v.Moved) -> Do:
    """`do`, for the present leader only."""

    def checked(tx: Tx, verb: v.Led) -> Result:
        term = sqlite_members.term(tx)
        return do(tx, verb) if (term.owner, term.epoch) == (verb.leader, verb.epoch) else answer(ev.Code.DEPOSED)

    return checked


VERBS: dict[type[Any], Do] = {
    v.Submit: sqlite_submit.submit,
    v.SubmitAll: sqlite_submit.submit_all,
    v.Claim: sqlite_claim.claim,
    ev.Complete: sqlite_events.complete,
    ev.Fail: sqlite_events.fail,
    ev.Release: sqlite_events.release,
    ev.Snooze: sqlite_events.snooze,
    ev.Report: sqlite_events.progress,
    **dict.fromkeys((ev.Cancel, ev.Retry, ev.Replay, ev.Update, ev.Delete), sqlite_events.operate),
    v.Register: sqlite_members.register,
    v.Beat: sqlite_members.beat,
    v.Deregister: sqlite_members.deregister,
    v.Lease: sqlite_members.lease,
    v.Renew: sqlite_members.renew,
    v.Drain: sqlite_members.drain,
    v.Campaign: sqlite_members.campaign,
    v.Resign: sqlite_members.resign,
    v.Fence: _led(sqlite_members.fence, v.Answer),
    v.Reap: _led(sqlite_keeping.reap),
    v.PromoteDue: _led(sqlite_keeping.promote_due),
    v.ExpireDue: _led(sqlite_keeping.expire_due),
    v.PruneOld: _led(sqlite_keeping.prune_old),
    v.Sweep: _led(sqlite_keeping.sweep),
    v.Tick: _led(sqlite_schedules.tick, v.Answer),
    v.PutSchedule: sqlite_schedules.put,
    v.DropSchedule: sqlite_schedules.drop,
    v.Tally: sqlite_past.tally,
    v.Note: sqlite_past.note,
    v.Pause: sqlite_schedules.pause,
    v.Resume: sqlite_schedules.resume,
}

GROWING = (v.Submit, v.SubmitAll, v.PutSchedule, v.Lease, v.Tally, v.Note)
"""What is refused first where there is no room."""

ROOM = 64 * 1024
"""Bytes that have to find room before a disk that was full counts as good again."""

_BAD_INPUT = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH})
_BROKEN = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PROTOCOL,
    }
)


def open_sqlite(config: Config, clock: Clock) -> SqliteStore:
    """The store in `config.data_dir` (the entry point `sqlite`); a fresh one where there is none.

    Raises:
        ConfigError: the directory cannot be used, somebody else uses it, or the file is not this version's.
        StoreDamaged: the file or its log is not what was written; nothing was changed.
    """
    directory = Path(config.data_dir).absolute()
    path = directory / sqlite_file.NAME
    lock = DirectoryLock(directory, config.node_id, clock.now())
    try:
        sqlite_file.prepare(path)
        return SqliteStore(path, lock, clock, config.priority_aging)
    except BaseException as error:
        lock.release()
        if isinstance(error, OSError | sqlite3.OperationalError) and not _free(directory):
            raise ConfigError(f"dataDir {directory}: cannot be used: the disk is full") from error
        if isinstance(error, OSError | sqlite3.OperationalError | StoreBroken):
            raise ConfigError(f"dataDir {directory}: cannot be used: {error}") from error
        raise


def _free(directory: Path) -> bool:
    """Is there some room on its disk?"""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize >= ROOM


class SqliteStore(Reads):
    """See `storage.store.Store`."""

    durability = "full"

    def __init__(self, path: Path, lock: DirectoryLock, clock: Clock, aging: int) -> None:
        super().__init__(lambda: sqlite_file.reader(path))
        self._lock = lock
        self._clock = clock
        self._writer = sqlite_file.writer(path)
        self._tx = Tx(self._writer, aging)
        self._broken: str | None = None
        self._full = False
        self._directory = path.parent
        try:
            self._mark(lambda: self._tx.run("mark.opened", str(clock.now())))
        except BaseException:
            self._tx.close()
            self._writer.close()
            raise

    def _mark(self, write: Callable[[], object]) -> bool:
        """A transaction of the store's own; False where there is no room for it."""
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            write()
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._refuse(error, (), {}, 0)
            return False
        finally:
            if self._broken is None and self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        return True

    def _has_room(self) -> bool:
        """Can something of some size be written (again)?"""
        return (
            _free(self._directory)
            and self._mark(lambda: self._tx.run("mark.room", ROOM))
            and self._mark(lambda: self._tx.run("mark.room_over"))
        )

    def execute(self, verbs: Sequence[Verb]) -> list[Result | StoreError]:
        """See `Store.execute`. Raises TypeError, before anything is done, for what is no verb."""
        self._broken = self._broken or self._lock.lost()
        if self._broken is not None:
            raise StoreBroken(self._broken)
        for verb in verbs:
            if type(verb) not in VERBS:
                raise TypeError(f"not a verb of a store: {type(verb).__name__}")
        self._tx.now = self._clock.now()
        self._full = self._full and not self._has_room()
        refused: dict[int, StoreError] = {}
        mended: set[str] = set()
        while len(refused) < len(verbs):
            results = self._attempt(verbs, refused, mended)
            if results is not None:
                return results
        return [refused[at] for at in range(len(verbs))]

    def _attempt(
        self, verbs: Sequence[Verb], refused: dict[int, StoreError], mended: set[str]
    ) -> list[Result | StoreError] | None:
        """All verbs but the `refused` ones in one transaction, the tasks that are to be mended before it; None, and
        more of the one or the other, where that cannot be.
        """
        tx = self._tx
        results: list[Result | StoreError] = []
        done = False
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for task_id in mended:
                tx.run("event.mend", task_id)
            for at, verb in enumerate(verbs):
                results.append(refused[at] if at in refused else VERBS[type(verb)](tx, verb))
            tx.lanes.flush()
            self._writer.execute("COMMIT")
            done = True
        except sqlite3.Error as error:
            if not self._goes_on(error, verbs, mended, len(results)):
                refused.update(self._refuse(error, verbs, refused, len(results)))
        except (OverflowError, UnicodeEncodeError) as error:
            refused[len(results)] = StoreError(f"cannot be stored: {error}")
        finally:
            if not done:
                self._undo()
        return results if done else None

    def _goes_on(self, error: sqlite3.Error, verbs: Sequence[Verb], mended: set[str], at: int) -> bool:
        """Is it worth another attempt, since `error` at verb `at` is of a damaged row that it will not meet again?"""
        if str(error).startswith("Could not decode to UTF-8") and self._writer.text_factory is str:
            log.error("a text in the file is damaged: %s", error)
            self._writer.text_factory = sqlite_file.lenient
            return True
        verb = verbs[at] if at < len(verbs) else None
        if "malformed JSON" in str(error) and isinstance(verb, ev.Owned) and verb.id not in mended:
            log.error("task %s: its history is damaged and begun anew", verb.id)
            mended.add(verb.id)
            return True
        return False

    def _refuse(
        self, error: sqlite3.Error, verbs: Sequence[Verb], refused: dict[int, StoreError], at: int
    ) -> dict[int, StoreError]:
        """Which verbs to refuse after `error` at verb `at`. Raises StoreBroken where the outcome of all is unknown."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE) & 0xFF  # without the extension
        if code == sqlite3.SQLITE_FULL:
            self._full = True
            growing = [n for n, verb in enumerate(verbs) if isinstance(verb, GROWING) and n not in refused]
            return dict.fromkeys(growing or range(len(verbs)), StoreFull("no room to write: the disk is full"))
        if code in _BAD_INPUT and at < len(verbs):
            return {at: StoreError(f"cannot be stored: {error}")}
        if code == sqlite3.SQLITE_BUSY:
            return dict.fromkeys(range(len(verbs)), StoreError("another process is writing to the file"))
        if code not in _BROKEN and at < len(verbs):
            raise error  # a mistake in a statement: all is rolled back
        self._broken = f"{getattr(error, 'sqlite_errorname', type(error).__name__)}: {error}"
        raise StoreBroken(self._broken) from error

    def _undo(self) -> None:
        """Back to what the file says. Never after the medium failed: the process has to end, and look again."""
        if self._broken is None:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            self._tx.reload()

    def check(self) -> str | None:
        """See `Store.check`."""
        trouble = self._broken or self._lock.lost()
        if trouble is not None:
            return trouble
        if self._full:
            return "no room to write: the disk is full"
        try:
            self.term()
        except StoreError as error:
            return str(error)
        return None

    def close(self) -> None:
        """Close the readers, then the writer (which moves the log into the file), then let go of the directory."""
        super().close()
        self._tx.close()
        self._writer.close()
        self._lock.release()

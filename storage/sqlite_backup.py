"""A copy of the SQLite backend's file, made while a node works on it or after it has stopped.

State: none. The copy is what one read transaction sees (`VACUUM INTO`), so it is whole, and holds all that was
acknowledged before it began; the node is not slowed but by the reading, and its log grows meanwhile. The copy gets its
name when it is on disk and was found good, so that there never is half a one.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from zlib import crc32

from msgspec import Struct

from storage import sqlite_file, wal
from storage.sqlite_file import NAME
from storage.sqlite_sql import statements
from taskqueue.core.errors import ConfigError, StoreDamaged
from taskqueue.core.text import one_line

LOOKS = 3
"""How often a log that looks damaged is looked at: a node may have begun it anew while it was read."""


class Backup(Struct, frozen=True):
    """A copy that was made: its size in bytes, how many tasks it holds, and the ids of those whose payload is not what
    was submitted. These are no fault of the copy: they are so in the node's file, too.
    """

    size: int
    tasks: int
    corrupt: tuple[str, ...] = ()


def backup(directory: Path, target: Path) -> Backup:
    """Copy the database in `directory` to the new file `target`.

    Raises:
        ConfigError: there is no database, it is not this version's, or `target` exists or cannot be written.
        StoreDamaged: the database, or the copy, is not what was written. There is no copy then.
    """
    source = directory.absolute() / NAME
    target = target.absolute()
    if not source.is_file():
        raise ConfigError(f"dataDir {directory}: there is no {NAME}")
    if os.path.lexists(target):
        raise ConfigError(f"{target}: exists already; a backup overwrites nothing")
    _look_at_log(Path(f"{source}-wal"))
    part = target.with_name(f"{target.name}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        try:
            _copy(source, part)
            sqlite_file.sync(part)
            done = _verified(source, part)
            _name(part, target)
        finally:
            for left_over in (part, part.with_name(f"{part.name}-journal")):
                left_over.unlink(missing_ok=True)
        sqlite_file.sync(target.parent)
        return done
    except FileExistsError:
        raise ConfigError(f"{part}: is there, of a backup that still runs or was cut off: delete it then") from None
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise _refused(source, target, error) from error


def _refused(source: Path, target: Path, error: sqlite3.Error) -> ConfigError | StoreDamaged:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreDamaged(f"{source}: damaged: {error}; no backup was made")
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return ConfigError(f"{target}: cannot be written: {error}")
    return ConfigError(f"dataDir {source.parent}: cannot be read: {error}")


def _look_at_log(log: Path) -> None:
    """SQLite would leave out, silently, what follows a damaged frame."""
    for _ in range(LOOKS):
        began = _head(log)
        wrong = wal.damage(log)
        if wrong is None:
            return
        if _head(log) == began:
            raise StoreDamaged(f"{log}: damaged: {wrong}; no backup was made")


def _head(log: Path) -> bytes:
    with suppress(FileNotFoundError), log.open("rb") as file:
        return file.read(wal.HEADER_SIZE)
    return b""


def _copy(source: Path, part: Path) -> None:
    with closing(sqlite_file.reader(source)) as connection:
        sqlite_file.check_kind(connection, source)
        connection.execute("PRAGMA query_only = OFF")  # it forbids VACUUM; the file itself is open for reading only
        connection.execute("VACUUM INTO ?", (str(part),))


def _verified(source: Path, part: Path) -> Backup:
    """What is in the copy, once every page and every payload of it was read back."""
    corrupt = []
    tasks = 0
    with closing(sqlite_file.reader(part)) as copy, closing(sqlite_file.reader(source)) as original:
        sqlite_file.check_kind(copy, part)
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreDamaged(f"{part}: was not written right: {one_line(verdict)}; no backup was made")
        for task_id, payload, checksum in copy.execute(statements()["backup.payloads"]):
            tasks += 1
            if crc32(payload or b"") == checksum and payload is not None:
                continue
            there = original.execute(statements()["backup.payload"], (task_id,)).fetchone()
            if there is not None and there != (payload,):
                raise StoreDamaged(f"{part}: the payload of task {task_id} was not copied right; no backup was made")
            corrupt.append(task_id)
    return Backup(part.stat().st_size, tasks, tuple(corrupt))


def _name(part: Path, target: Path) -> None:
    """Give the copy its name, if nobody else has it meanwhile."""
    try:
        os.link(part, target)
    except FileExistsError:
        raise ConfigError(f"{target}: exists already; a backup overwrites nothing") from None
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise ConfigError(f"{target}: exists already; a backup overwrites nothing") from None
        part.rename(target)

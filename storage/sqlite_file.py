"""The file of the SQLite backend: made, checked before it is opened, opened as guarantees say.

State: none. What is damaged is never opened for writing, and nothing in its directory is changed: the file and its log
are for the operator to copy and recover.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from storage import wal
from storage.sqlite_sql import schema, statements
from taskqueue.core.errors import ConfigError, StoreDamaged
from taskqueue.core.text import one_line

logger = logging.getLogger("taskqueue.storage")

NAME = "taskqueue.db"
APPLICATION = 0x5451_5545  # "TQUE"
SCHEMA = 2
"""The version of `schema.sql`."""

PRAGMAS: tuple[tuple[str, str, str | int], ...] = (
    ("busy_timeout", "5000", 5000),
    ("foreign_keys", "ON", 1),
    ("cell_size_check", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("mmap_size", "0", 0),
    ("temp_store", "MEMORY", 2),
)
"""Of every connection: name, what it is set to, what it must answer then."""

WRITER_PRAGMAS: tuple[tuple[str, str, str | int], ...] = (
    *PRAGMAS,
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("wal_autocheckpoint", "4000", 4000),  # pages, 16 MiB: a page that changes often is copied back seldom
    ("journal_size_limit", str(64 << 20), 64 << 20),
    ("cache_size", "-16384", -16384),  # KiB: a large batch must not spill into the log before its commit
)
READER_PRAGMAS: tuple[tuple[str, str, str | int], ...] = (*PRAGMAS, ("query_only", "ON", 1))


_VERSIONS = (b"\1\1", b"\2\2")
"""Bytes 18 and 19: who may write and read it. SQLite takes a file of another value for one that may not be written, or
not be read. https://www.sqlite.org/fileformat2.html#file_format_version_numbers
"""

lenient: Callable[[bytes], str] = partial(str, encoding="utf-8", errors="backslashreplace")
"""For `text_factory`: takes also what is no UTF-8."""


def writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes; transactions are begun and ended by hand."""
    return _connect(path, "rw", WRITER_PRAGMAS)


def reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. It shows a damaged text as far as it can be."""
    connection = _connect(path, "ro", READER_PRAGMAS)
    connection.text_factory = lenient
    return connection


def _connect(path: Path, mode: str, pragmas: tuple[tuple[str, str, str | int], ...]) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        for name, value, wanted in pragmas:
            connection.execute(f"PRAGMA {name} = {value}").close()
            (answer,) = connection.execute(f"PRAGMA {name}").fetchone()
            if answer != wanted:
                raise ConfigError(f"storage: SQLite answers {answer!r} for {name}, where {wanted!r} is needed")
    except BaseException:
        connection.close()
        raise
    return connection


def create(path: Path) -> None:
    """Make a fresh file. It gets its name when it is whole and on disk, so that there never is half a one."""
    fresh = path.with_name(f"{path.name}.new")
    for left_over in path.parent.glob(f"{fresh.name}*"):
        left_over.unlink()
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with closing(writer(fresh)) as connection:
        connection.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; {schema()} COMMIT"
        )
        connection.execute("INSERT INTO meta VALUES ('dataset', ?)", (str(uuid4()),))
    sync(fresh)
    fresh.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """See that a file, or the names in a directory, are on disk."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def prepare(path: Path) -> None:
    """Check the file that is there, or make a fresh one.

    Raises:
        StoreDamaged, ConfigError: see `check`; also where only the file's log is there. A log that may have been
            removed is a warning.
    """
    log = Path(f"{path}-wal")
    if path.exists():
        lost = Path(f"{path}-shm").exists() and not log.exists()  # asked first: the check makes a new log
        check(path)
        if lost:  # no refusal: a node that is killed while it closes the file leaves the same
            logger.warning(
                "%s is missing, though the node before did not end in order: if somebody removed it, what was "
                "acknowledged last may be missing, too",
                log,
                extra={"event": "log_missing"},
            )
        upgrade(path)
    elif _holds_frames(log):
        raise _damaged(path, f"it is missing, but its log {log.name} is there")
    else:
        create(path)


UPGRADES = {
    1: """
        ALTER TABLE members ADD COLUMN ttl INTEGER;
        DROP INDEX members_live;
        CREATE INDEX members_live ON members (node) WHERE gone_at IS NULL AND ttl IS NULL;
        CREATE INDEX members_nodes ON members (number) WHERE ttl IS NULL;
        CREATE INDEX members_leases ON members (owner) WHERE ttl IS NOT NULL AND (gone_at IS NULL OR fenced);
        CREATE INDEX members_gone ON members (gone_at) WHERE gone_at IS NOT NULL;
    """,
}
"""What makes the next version's file of one of this version."""


def upgrade(path: Path) -> None:
    """Make this version's file of an older one, in one transaction."""
    with closing(reader(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA:
        return
    steps = "".join(UPGRADES[old] for old in range(version, SCHEMA))
    with closing(writer(path)) as connection:
        connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA}; COMMIT")


def check(path: Path) -> None:
    """Look at an existing file and its log without changing either.

    Raises:
        StoreDamaged: it is not what was written.
        ConfigError: it belongs to another application, or to a newer version of this one.
    """
    log = Path(f"{path}-wal")
    with path.open("rb") as file:
        versions = file.read(20)[18:]
    if versions and versions not in _VERSIONS:
        raise _damaged(path, "its header is damaged")
    wrong = wal.damage(log)
    if wrong is not None:
        raise _damaged(log, wrong)
    if path.stat().st_size == 0:
        raise _damaged(path, "it is empty")
    try:
        with _unchanged(path), closing(reader(path)) as connection:
            check_kind(connection, path)
            (page,) = connection.execute("PRAGMA page_size").fetchone()
            if path.stat().st_size % page and not _holds_frames(log):
                raise _damaged(path, "its last page is cut off")  # SQLite would read zeros there
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise _damaged(path, verdict.replace("\n", " "))
            there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            for table in re.findall(r"^CREATE (?:TABLE|VIEW) (\w+)", schema(), re.MULTILINE):
                if table not in there:
                    raise _damaged(path, f"no such table: {table}")
            connection.text_factory = str  # as for the writer: a lane goes by its names
            for statement in ("lane.all", "lane.paused"):
                connection.execute(statements()[statement]).fetchall()
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # Python's own has none: a text is no UTF-8
        if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise _damaged(path, one_line(str(error))) from error
        raise


def check_kind(connection: sqlite3.Connection, path: Path) -> None:
    """Raises ConfigError where the file is another application's, or a newer version's."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise ConfigError(f"dataDir {path.parent}: {path.name} is the file of another application")
    if version > SCHEMA:
        raise ConfigError(
            f"dataDir {path.parent}: {path.name} is of a newer taskqueue (schema {version}; this one knows {SCHEMA})"
        )


def _holds_frames(log: Path) -> bool:
    return log.exists() and log.stat().st_size > wal.HEADER_SIZE


def _damaged(path: Path, wrong: str) -> StoreDamaged:
    return StoreDamaged(
        f"{path}: damaged: {wrong}; nothing was changed. Copy the directory; then restore a backup, or save what can "
        f"be read (`sqlite3 {NAME} .dump`, in the copy) as docs/operations.md says under A damaged file"
    )


@contextmanager
def _unchanged(path: Path) -> Iterator[None]:
    """What SQLite makes beside a file that it reads is put back as it was, where the reading fails."""
    beside = [Path(f"{path}{suffix}") for suffix in ("-wal", "-shm")]
    index = beside[1].read_bytes() if beside[1].exists() else None
    missing = [file for file in beside if not file.exists()]
    try:
        yield
    except BaseException:
        for file in missing:
            file.unlink(missing_ok=True)
        if index is not None:
            beside[1].write_bytes(index)
        raise

"""What a verb of the SQLite backend works with: statements on the one writing connection, lanes, the store's time.

State: the writing cursor, the lanes, the number of the last task. One thread at a time uses it, inside a transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from storage.sqlite_lanes import Lanes
from storage.sqlite_rows import Row, Stored, numbers, stored
from storage.sqlite_sql import statements


class Tx:
    """The present transaction; `now` is the store's time in it, `aging` the head start of a priority level."""

    def __init__(self, connection: sqlite3.Connection, aging: int) -> None:
        self._cursors = [connection.cursor(), connection.cursor()]
        self._cursor, theirs = self._cursors
        self._sql = statements()
        self.lanes = Lanes(theirs, aging)
        self.aging = aging
        self.now = 0
        self.last = self._last()

    def reload(self) -> None:
        """Take all state from the file: after opening it, and after a rollback."""
        self.lanes.load()
        self.last = self._last()

    def close(self) -> None:
        """Let go of the statements: while one is held, SQLite keeps the file open behind a closed connection."""
        while self._cursors:
            self._cursors.pop().close()

    def _last(self) -> int:
        ((last,),) = self.all("lane.last")
        return int(last)

    def run(self, statement: str, *values: Any) -> int:
        """Do a statement that answers nothing; how many rows it changed."""
        return self._cursor.execute(self._sql[statement], values).rowcount

    def one(self, statement: str, *values: Any) -> Row | None:
        """The first row of the answer, of at most one."""
        row: Row | None = self._cursor.execute(self._sql[statement], values).fetchone()
        return row

    def all(self, statement: str, *values: Any) -> list[Row]:
        """Every row of the answer."""
        return self._cursor.execute(self._sql[statement], values).fetchall()

    def task(self, id: str) -> Stored | None:
        """One task, whole."""
        row = self.one("event.record", id)
        return None if row is None else stored(row)

    def tasks(self, seqs: Iterable[int]) -> list[Stored]:
        """The tasks of these numbers, in the same order."""
        wanted = list(seqs)
        found = {row[0]: row for row in self.all("claim.records", numbers(wanted))}
        return [stored(found[seq]) for seq in wanted if seq in found]

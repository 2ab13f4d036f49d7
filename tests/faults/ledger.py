"""What handlers did, in a file that every process appends to and syncs: a witness that does not trust the store.

One line a mark: task, fence, attempt, phase (`start`, then `end` or `fail`), pid, the checksum of the payload where the
handler takes one, and a dot. The order in the file is the order of events. A kill can cut a write where it crosses a
page, so each begins on a line of its own, and what has no dot was not said.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Mark(NamedTuple):
    """Something that a handler did."""

    task: str
    fence: int
    attempt: int
    phase: str
    pid: int = 0
    sum: str = ""


class Ledger:
    """The writing side."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def mark(self, task: str, fence: int, attempt: int, phase: str, sum: str = "") -> None:
        """Append a mark; it is on disk when this returns."""
        os.write(self._file, f"\n{task} {fence} {attempt} {phase} {os.getpid()} {sum or '-'} .\n".encode())
        os.fsync(self._file)


class Reader:
    """Reads a ledger that grows: at each look only what is new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._marks: list[Mark] = []

    def read(self) -> list[Mark]:
        """All marks, in order."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._at)
                lines, end, _ = file.read().rpartition(b"\n")
            self._at += len(lines) + len(end)
            self._marks += [_mark(line) for line in lines.decode().splitlines() if line.endswith(" .")]
        return self._marks


def read(path: Path) -> list[Mark]:
    """All marks, in order."""
    return Reader(path).read()


def _mark(line: str) -> Mark:
    task, fence, attempt, phase, pid, total, _ = line.split()
    return Mark(task, int(fence), int(attempt), phase, int(pid), total.replace("-", ""))

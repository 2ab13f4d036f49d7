"""What ran, when and how often: a file that all processes of a run map into memory.

Each task has a number, and there 16 bytes: the clock at its start (nanoseconds of the clock that all processes of a
machine share), and how often it ran. `PEERS_TALLY` names the file. It costs a handler about a microsecond.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from functools import cache
from pathlib import Path

ENTRY = struct.Struct("<qq")


def make(path: Path, tasks: int) -> None:
    """An empty one."""
    path.write_bytes(bytes(ENTRY.size * tasks))


@cache
def _map() -> mmap.mmap:
    file = os.open(os.environ["PEERS_TALLY"], os.O_RDWR)
    try:
        return mmap.mmap(file, 0)
    finally:
        os.close(file)


def ran(number: int) -> None:
    """The handler of every peer: this task runs now."""
    entries, at = _map(), ENTRY.size * number
    first, times = ENTRY.unpack_from(entries, at)
    ENTRY.pack_into(entries, at, first or time.monotonic_ns(), times + 1)


def started(number: int) -> int:
    """When a task began; 0 where it did not yet."""
    first: int = ENTRY.unpack_from(_map(), ENTRY.size * number)[0]
    return first


def read(path: Path) -> list[tuple[int, int]]:
    """(start, how often) of every task."""
    return list(ENTRY.iter_unpack(path.read_bytes()))

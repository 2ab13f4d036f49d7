"""Is a write-ahead log whole? Asked before SQLite opens it, since SQLite drops silently all that follows a bad frame.

State: none; the log is read and never changed. The format is https://www.sqlite.org/fileformat2.html#the_write_ahead_log:
a header, then frames of one page each; every frame of the present round has the header's two salts and the checksum of
all before it. A commit is synced before the next transaction's first frame is written, so what is bad after a power cut
lies in the last transaction; a bad frame with a later transaction behind it was damaged after it was written.
"""

from __future__ import annotations

import struct
import sys
from array import array
from pathlib import Path

_HEADER = struct.Struct(">8I")  # magic, version, page size, round, salt 1, salt 2, checksum 1, checksum 2
HEADER_SIZE = _HEADER.size
_FRAME = struct.Struct(">6I")  # page number, pages after commit (else 0), salt 1, salt 2, checksum 1, checksum 2
_MAGIC = 0x377F0682  # its lowest bit says that checksums read words with the highest byte first
_VERSION = 3_007_000
_PAGE_SIZES = frozenset(1 << power for power in range(9, 17))
_MASK = 0xFFFF_FFFF

Sums = tuple[int, int]


def damage(wal: Path) -> str | None:
    """What is wrong with the log at `wal`, or None. A missing file, an empty one and a torn end are well.

    Raises:
        OSError: it cannot be read.
    """
    if not wal.exists():
        return None
    with wal.open("rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return None
        magic, version, page, _, salt1, salt2, *stored = _HEADER.unpack(head)
        big = magic & 1 == 1
        sums = _checksum(head[:24], big, (0, 0))
        if magic & ~1 != _MAGIC or version != _VERSION or page not in _PAGE_SIZES or sums != tuple(stored):
            return "its header is damaged" if any(file.read()) else None
        number, bad, ended = 0, 0, False
        while len(frame := file.read(_FRAME.size + page)) == _FRAME.size + page:
            number += 1
            _, commit, *salts, sum1, sum2 = _FRAME.unpack_from(frame)
            same = salts == [salt1, salt2]
            if not bad:
                sums = _checksum(frame[_FRAME.size :], big, _checksum(frame[:8], big, sums))
                bad = 0 if same and sums == (sum1, sum2) else number
            if bad and same:
                if ended:
                    return f"frame {bad} is damaged, and later transactions follow it"
                ended = commit != 0
    return None


def _checksum(data: bytes, big: bool, sums: Sums) -> Sums:
    """The running checksum after `data`, whose length is a multiple of 8."""
    words = array("I", data)
    if big is (sys.byteorder == "little"):
        words.byteswap()
    one, two = sums
    pairs = iter(words)
    for even, odd in zip(pairs, pairs, strict=True):
        one = (one + even + two) & _MASK
        two = (two + odd + one) & _MASK
    return one, two

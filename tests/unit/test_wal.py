"""The look at a write-ahead log: logs that SQLite made, and logs made by hand, whole, torn and damaged."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import pytest

from storage.wal import damage

PAGE = 512
FRAME = 24 + PAGE
SALTS = (7, 9)


def checksum(data: bytes, order: str, one: int, two: int) -> tuple[int, int]:
    """As the file format says, without tricks."""
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for at in range(0, len(words), 2):
        one = (one + words[at] + two) % 2**32
        two = (two + words[at + 1] + one) % 2**32
    return one, two


def log(transactions: list[int], big: bool = False, salts: tuple[int, int] = SALTS) -> bytes:
    """A log of transactions of so many pages each."""
    order = ">" if big else "<"
    head = struct.pack(">6I", 0x377F0682 + big, 3007000, PAGE, 0, *salts)
    sums = checksum(head, order, 0, 0)
    out = head + struct.pack(">2I", *sums)
    page = 0
    for size in transactions:
        for left in range(size, 0, -1):
            page += 1
            data = bytes((page + n) % 256 for n in range(PAGE))
            start = struct.pack(">2I", page, 100 if left == 1 else 0)
            sums = checksum(start + data, order, *sums)
            out += start + struct.pack(">4I", *salts, *sums) + data
    return out


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def frame(number: int) -> int:
    """Where frame `number` begins; the first is 1."""
    return 32 + (number - 1) * FRAME


@pytest.fixture
def wal(tmp_path: Path) -> Path:
    return tmp_path / "x.db-wal"


@pytest.mark.parametrize("big", [False, True])
def test_a_whole_log_is_well(wal: Path, big: bool) -> None:
    wal.write_bytes(log([1, 3, 2], big))
    assert damage(wal) is None


@pytest.mark.parametrize("data", [None, b"", b"short", bytes(32), log([])], ids=["none", "empty", "cut", "zero", "new"])
def test_a_log_without_frames_is_well(wal: Path, data: bytes | None) -> None:
    if data is not None:
        wal.write_bytes(data)
    assert damage(wal) is None


@pytest.mark.parametrize("number", [4, 5, 6])
@pytest.mark.parametrize("cut", [1, 20, 24, 300])
def test_a_torn_last_transaction_is_well(wal: Path, number: int, cut: int) -> None:
    wal.write_bytes(log([1, 2, 3])[: frame(number) + cut])
    assert damage(wal) is None


@pytest.mark.parametrize("number", [4, 5, 6])
def test_a_last_transaction_that_lacks_a_page_is_well(wal: Path, number: int) -> None:
    """A power cut may keep later pages of the transaction that was being written, and lose an earlier one."""
    data = log([1, 2, 3])
    wal.write_bytes(data[: frame(number)] + bytes(FRAME) + data[frame(number + 1) :])
    assert damage(wal) is None


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("at", [0, 9, 17, 24, FRAME - 1], ids=["page", "salt", "sum", "first", "last"])
@pytest.mark.parametrize("big", [False, True])
def test_a_flipped_bit_before_the_last_transaction_is_damage(wal: Path, number: int, at: int, big: bool) -> None:
    wal.write_bytes(flipped(log([1, 2, 3, 1], big), frame(number) + at))
    found = damage(wal)
    assert found is not None
    assert f"frame {number} " in found


@pytest.mark.parametrize("at", range(0, 32, 4))
def test_a_flipped_bit_in_the_header_is_damage(wal: Path, at: int) -> None:
    wal.write_bytes(flipped(log([1, 1]), at))
    assert damage(wal) == "its header is damaged"


def test_what_is_left_of_an_earlier_round_is_well(wal: Path) -> None:
    old, new = log([1, 2, 3, 1]), log([1, 1], salts=(8, 1234))
    wal.write_bytes(new + old[len(new) :])
    assert damage(wal) is None


@pytest.fixture
def made_by_sqlite(tmp_path: Path) -> bytes:
    """The log of 30 transactions of SQLite's own, some of several pages, after one earlier round."""
    path = tmp_path / "real.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (a BLOB)")
        connection.execute("INSERT INTO t VALUES (?)", (bytes(300_000),))
        connection.execute("PRAGMA wal_checkpoint")
        for size in range(30):
            connection.execute("INSERT INTO t VALUES (?)", (bytes(size * 400),))
        return Path(f"{path}-wal").read_bytes()


def test_a_log_of_sqlite_is_well(made_by_sqlite: bytes, wal: Path) -> None:
    wal.write_bytes(made_by_sqlite)
    assert damage(wal) is None


def test_a_flipped_byte_in_a_log_of_sqlite_is_damage(made_by_sqlite: bytes, wal: Path) -> None:
    wal.write_bytes(flipped(made_by_sqlite, 32 + 5 * (24 + 4096) + 1000))
    assert damage(wal) == "frame 6 is damaged, and later transactions follow it"

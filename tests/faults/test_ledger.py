"""The ledger of the handlers: what is read is what was said in full."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.ledger import Ledger, Mark, Reader


def said(path: Path) -> list[Mark]:
    return [mark._replace(pid=0) for mark in Reader(path).read()]


@pytest.mark.parametrize("length", range(2, 30))
def test_what_a_kill_has_cut_was_not_said_and_takes_nothing_else_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setattr("os.getpid", lambda: 12345)  # a mark with it is 33 bytes long
    path = tmp_path / "ledger"
    Ledger(str(path)).mark("t1", 7, 1, "start")
    whole = path.read_bytes()
    Ledger(str(path)).mark("t2", 8, 2, "start", "0badcafe")
    cut = path.read_bytes()[: len(whole) + length]
    path.write_bytes(cut)
    Ledger(str(path)).mark("t3", 9, 3, "end", "cafe")
    assert said(path) == [Mark("t1", 7, 1, "start"), Mark("t3", 9, 3, "end", sum="cafe")]


def test_each_look_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    reader = Reader(path)
    assert reader.read() == []
    for number in range(3):
        Ledger(str(path)).mark(f"t{number}", number, 1, "start")
        assert [mark.task for mark in reader.read()] == [f"t{n}" for n in range(number + 1)]

"""How often Python threads change places: often just while a handler runs for long."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from actors.switching import AMONG_SHORT_RUNS, BESIDE_A_LONG_RUN, switch_often


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def test_threads_change_places_more_often_beside_a_long_run() -> None:
    switch_often(True)
    assert sys.getswitchinterval() == BESIDE_A_LONG_RUN
    switch_often(False)
    assert sys.getswitchinterval() == AMONG_SHORT_RUNS

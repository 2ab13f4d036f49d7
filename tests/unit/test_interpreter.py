"""What a node asks of the interpreter: threads change places often just beside a long run, garbage is sought seldom."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from actors.interpreter import AMONG_SHORT_RUNS, BESIDE_A_LONG_RUN, YOUNG, collect_seldom, switch_often


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_threads_change_places_more_often_beside_a_long_run() -> None:
    switch_often(True)
    assert sys.getswitchinterval() == BESIDE_A_LONG_RUN
    switch_often(False)
    assert sys.getswitchinterval() == AMONG_SHORT_RUNS


def test_what_is_there_at_the_start_is_never_looked_at_and_what_is_new_seldom() -> None:
    collect_seldom()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] == YOUNG


def test_who_wants_it_more_seldom_still_has_it_so() -> None:
    gc.set_threshold(10 * YOUNG, 7, 8)
    collect_seldom()
    assert gc.get_threshold() == (10 * YOUNG, 7, 8)

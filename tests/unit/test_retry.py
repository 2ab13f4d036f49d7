"""The delay before a retry, at the points where it is known by hand."""

from __future__ import annotations

import pytest

from taskqueue.core.clock import MINUTE, SECOND
from taskqueue.core.config import Backoff
from taskqueue.core.retry import delay


def middle() -> float:
    return 0.5


@pytest.mark.parametrize(
    ("n", "seconds"), [(1, 1), (2, 2), (3, 4), (10, 512), (11, 600), (1000, 600), (5000, 600)]
)
def test_it_doubles_up_to_its_maximum(n: int, seconds: int) -> None:
    assert delay(Backoff(), n, middle) == seconds * SECOND


def test_jitter_spreads_evenly_to_both_sides() -> None:
    assert delay(Backoff(), 1, lambda: 0.0) == 800_000
    assert delay(Backoff(), 1, lambda: 1.0) == 1_200_000
    assert delay(Backoff(jitter=0.0), 1, lambda: 1.0) == SECOND


def test_a_factor_of_one_is_a_steady_beat() -> None:
    assert delay(Backoff(factor=1.0, base=MINUTE), 77, middle) == MINUTE


def test_without_a_base_there_is_no_wait_however_often() -> None:
    assert delay(Backoff(base=0, factor=1000.0), 1000, middle) == 0


def test_retries_count_from_one() -> None:
    with pytest.raises(ValueError, match="from 1"):
        delay(Backoff(), 0, middle)

"""Whatever the backoff and however many retries: the delay stays within its bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from taskqueue.core.config import Backoff
from taskqueue.core.retry import delay
from taskqueue.core.times import LONGEST

SPANS = st.integers(0, LONGEST)
SHARES = st.floats(0, 1)
RANDOM = st.floats(0, 1, exclude_max=True)
BACKOFFS = st.builds(Backoff, base=SPANS, factor=st.floats(1, 1000), max=SPANS, jitter=SHARES)
COUNTS = st.integers(1, 1001)


@given(BACKOFFS, COUNTS, RANDOM)
def test_never_negative_and_never_past_the_maximum_and_its_jitter(backoff: Backoff, n: int, random: float) -> None:
    wait = delay(backoff, n, lambda: random)
    assert isinstance(wait, int)
    assert 0 <= wait <= backoff.max * (1 + backoff.jitter)


@given(BACKOFFS, COUNTS, RANDOM)
def test_within_its_jitter_of_the_exact_delay(backoff: Backoff, n: int, random: float) -> None:
    exact = delay(Backoff(base=backoff.base, factor=backoff.factor, max=backoff.max, jitter=0.0), n, lambda: random)
    wait = delay(backoff, n, lambda: random)
    assert abs(wait - exact) <= exact * backoff.jitter + 2  # each is rounded down


@given(BACKOFFS, st.integers(1, 1000))
def test_a_later_retry_never_waits_less_but_for_jitter(backoff: Backoff, n: int) -> None:
    assert delay(backoff, n, lambda: 0.5) <= delay(backoff, n + 1, lambda: 0.5)

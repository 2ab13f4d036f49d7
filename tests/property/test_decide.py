"""Deciding what is due: each due time is one task or one counted skip, whatever the rule and the clock do."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from taskqueue.core.clock import DAY, HOUR, MINUTE, SECOND
from taskqueue.core.schedule import MOST_FIRED, Decision, Misfire, Overlap, Spec, decide
from taskqueue.core.times import parse_time

NOW = parse_time("2026-11-24T05:00:00Z")
GRACE = 60 * SECOND
MINUTELY = Spec(handler="h", payload=b"1", cron="* * * * *")


def verdict(minutes: int, *, now: int = NOW, paused: bool = False, grace: int = GRACE, **changes: Any) -> Decision:
    """What is decided of a due time a minute, at 05:00:00, `minutes` after the last decision."""
    spec = replace(MINUTELY, **changes)
    return decide(spec, spec.recurrence(), now - minutes * MINUTE, now, grace, paused=paused)


def ago(*minutes: int) -> tuple[int, ...]:
    return tuple(NOW - each * MINUTE for each in minutes)


def test_nothing_is_due() -> None:
    assert decide(MINUTELY, MINUTELY.recurrence(), NOW, NOW + 59 * SECOND, GRACE) == Decision(NOW + 59 * SECOND)


def test_what_is_within_the_grace_fires_late_as_it_is() -> None:
    assert verdict(2) == Decision(NOW, ago(1, 0))
    assert verdict(3, misfire=Misfire.SKIP) == Decision(NOW, ago(1, 0), {"misfire": 1})
    assert verdict(3, misfire=Misfire.SKIP, grace=GRACE - 1) == Decision(NOW, ago(0), {"misfire": 2})
    assert verdict(10, misfire=Misfire.SKIP, grace=DAY) == Decision(NOW, ago(*range(9, -1, -1)))
    assert verdict(3, misfire=Misfire.SKIP, grace=0) == Decision(NOW, ago(0), {"misfire": 2})


def test_rules_of_misfire() -> None:
    assert verdict(10, misfire=Misfire.SKIP) == Decision(NOW, ago(1, 0), {"misfire": 8})
    assert verdict(10, misfire=Misfire.RUN_ONCE) == Decision(NOW, ago(2, 1, 0), {"misfire": 7})
    assert verdict(10, misfire=Misfire.RUN_ALL) == Decision(NOW, ago(*range(9, -1, -1)))


def test_all_that_was_missed_is_a_thousand_at_most() -> None:
    first = verdict(5000, misfire=Misfire.RUN_ALL)
    assert first == Decision(NOW - 2 * MINUTE, ago(*range(1001, 1, -1)), {"misfire": 3998})
    rest = verdict(2, misfire=Misfire.RUN_ALL)
    assert rest == Decision(NOW, ago(1, 0))


def test_a_long_grace_is_decided_in_bites() -> None:
    spec = replace(MINUTELY, misfire=Misfire.SKIP)
    cursor = NOW - 2500 * MINUTE
    fired: list[int] = []
    while cursor < NOW:
        decision = decide(spec, spec.recurrence(), cursor, NOW, DAY * 100)
        assert len(decision.due) <= MOST_FIRED
        assert not decision.skipped
        fired += decision.due
        cursor = decision.upto
    assert fired == list(ago(*range(2499, -1, -1)))


def test_of_what_may_not_overlap_one_fires_at_most() -> None:
    once = verdict(10, overlap=Overlap.SKIP)
    assert once == Decision(NOW, ago(2), {"misfire": 7, "overlap": 2})
    assert verdict(2, overlap=Overlap.SKIP) == Decision(NOW, ago(1), {"overlap": 1})
    assert verdict(1, overlap=Overlap.SKIP) == Decision(NOW, ago(0))
    assert verdict(0, overlap=Overlap.SKIP, now=NOW + 1) == Decision(NOW + 1)


def test_what_is_paused_is_counted() -> None:
    assert verdict(10, paused=True) == Decision(NOW, (), {"paused": 10})
    assert decide(MINUTELY, MINUTELY.recurrence(), NOW, NOW + 1, GRACE, paused=True) == Decision(NOW + 1)


@pytest.mark.parametrize("misfire", Misfire)
def test_a_year_of_seconds_takes_no_year(misfire: Misfire) -> None:
    spec = replace(MINUTELY, cron="* * * * * *", misfire=misfire, timezone="America/New_York")
    decision = decide(spec, spec.recurrence(), NOW - 365 * DAY, NOW, GRACE)
    assert sum(decision.skipped.values()) + len(decision.due) == (decision.upto - (NOW - 365 * DAY)) // SECOND
    assert 61 <= len(decision.due) <= MOST_FIRED


SPECS = st.builds(
    Spec,
    handler=st.just("h"),
    payload=st.just(b"1"),
    cron=st.sampled_from(["*/9 * * * *", "0 * * * *", "*/20 1-2 * * *", "0 0 * * *"]),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Beirut"]),
    misfire=st.sampled_from(Misfire),
    overlap=st.sampled_from(Overlap),
) | st.builds(
    Spec,
    handler=st.just("h"),
    payload=st.just(b"1"),
    every=st.integers(3 * MINUTE, 5 * HOUR),
    anchor=st.integers(NOW - DAY, NOW + DAY),
    misfire=st.sampled_from(Misfire),
    overlap=st.sampled_from(Overlap),
)
START = parse_time("2026-10-23T12:00:00Z")
STEPS = st.lists(st.sampled_from([SECOND, 90 * SECOND, 7 * MINUTE, HOUR, -HOUR, 20 * HOUR, 3 * DAY]), max_size=30)


@settings(deadline=None)
@given(SPECS, STEPS, st.sampled_from([0, GRACE, 30 * MINUTE]), st.lists(st.booleans(), min_size=30, max_size=30))
def test_each_due_time_is_one_fire_or_one_counted_skip(
    spec: Spec, steps: list[int], grace: int, pauses: list[bool]
) -> None:
    """Whenever a wall clock that jumps to and fro asks, by an hour or by days."""
    recurrence = spec.recurrence()
    now = cursor = START
    fired: list[int] = []
    for step, paused in zip(steps, pauses, strict=False):
        now += step
        decision = decide(spec, recurrence, cursor, now, grace, paused=paused)
        between = recurrence.due(cursor, decision.upto)
        assert cursor <= decision.upto == max(cursor, now)  # monotone, and all is decided
        assert set(decision.due) <= set(between)
        assert len(decision.due) + sum(decision.skipped.values()) == len(between)
        assert all(count > 0 for count in decision.skipped.values())
        fresh = [each for each in between if each >= now - grace]
        if spec.overlap is Overlap.ALLOW and not paused:
            assert [each for each in decision.due if each >= now - grace] == fresh
        fired += decision.due
        cursor = decision.upto
    assert all(one < other for one, other in pairwise(fired))  # in order, so none twice


@settings(deadline=None)
@given(SPECS, STEPS)
def test_while_nothing_is_missed_it_does_not_matter_how_often_one_looks(spec: Spec, steps: list[int]) -> None:
    spec = replace(spec, overlap=Overlap.ALLOW)
    cursors = sorted({START, *(START + sum(map(abs, steps[:n])) for n in range(len(steps) + 1))})
    grace = 100 * DAY
    fired: Counter[int] = Counter()
    for cursor, now in pairwise(cursors):
        while cursor < now:
            decision = decide(spec, spec.recurrence(), cursor, now, grace)
            assert not decision.skipped
            fired.update(decision.due)
            cursor = decision.upto  # noqa: PLW2901  # what is left of this look
    assert fired == Counter(spec.recurrence().due(START, cursors[-1]))


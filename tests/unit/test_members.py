"""Timing nodes by counts that move: no clock of theirs is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.members import Liveness, Watch, liveness

BEAT, LEASE = 10, 150


@pytest.mark.parametrize(
    ("since", "now", "looks"),
    [
        (None, 0, Liveness.DEAD),
        (None, 1_000, Liveness.DEAD),
        (100, 100, Liveness.ALIVE),
        (100, 130, Liveness.ALIVE),
        (100, 131, Liveness.LATE),
        (100, 250, Liveness.LATE),
        (100, 251, Liveness.DEAD),
    ],
)
def test_three_missed_beats_are_late_and_a_lease_is_the_end(since: int | None, now: int, looks: Liveness) -> None:
    assert liveness(since, now, BEAT, LEASE) is looks


def test_a_lease_shorter_than_three_beats_ends_all_the_same() -> None:
    assert liveness(0, 21, 10, 20) is Liveness.DEAD


def test_a_count_that_stands_keeps_its_moment_and_one_that_moves_gets_a_new_one() -> None:
    watch = Watch()
    watch.observe({"a": 1, "b": 5}, 10)
    watch.observe({"a": 2, "b": 5}, 20)
    watch.observe({"a": 2, "b": 5}, 30)
    assert watch.since() == {"a": 20, "b": 10}


def test_a_count_that_goes_back_has_moved_too() -> None:
    """It is compared, not measured: a store that lost a little must not make the living look dead."""
    watch = Watch()
    watch.observe({"a": 9}, 10)
    watch.observe({"a": 3}, 20)
    assert watch.since() == {"a": 20}


def test_who_is_not_named_any_more_is_forgotten_and_starts_anew() -> None:
    watch = Watch()
    watch.observe({"a": 1, "b": 1}, 10)
    watch.observe({"b": 1}, 20)
    assert watch.since() == {"b": 10}
    watch.observe({"a": 1, "b": 1}, 30)
    assert watch.since() == {"a": 30, "b": 10}


def test_what_was_given_away_does_not_change() -> None:
    watch = Watch()
    watch.observe({"a": 1}, 10)
    given_away = watch.since()
    watch.observe({"a": 2}, 20)
    assert given_away == {"a": 10}


@given(st.lists(st.tuples(st.integers(1, 50), st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)))))
def test_since_is_when_the_present_count_was_first_seen_without_a_break(
    looks: list[tuple[int, dict[str, int]]],
) -> None:
    watch, now = Watch(), 0
    seen: list[tuple[int, dict[str, int]]] = []
    for pause, beats in looks:
        now += pause
        watch.observe(beats, now)
        seen.append((now, beats))
        for owner, since in watch.since().items():
            unbroken = now
            for moment, earlier in reversed(seen):
                if earlier.get(owner) != beats[owner]:
                    break
                unbroken = moment
            assert since == unbroken
        assert watch.since().keys() == beats.keys()

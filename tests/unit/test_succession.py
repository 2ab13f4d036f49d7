"""Another incarnation has the node's name: whose count moves lives, who stands still for a lease is over."""

from __future__ import annotations

from typing import Any

from cluster.incarnation import Incarnation
from cluster.succession import Free, Lives, Over, Succession, Waits
from taskqueue.core.ids import CountingIds
from taskqueue.core.views import Member
from tests import factories

LEASE = 15_000


def member(owner: str = "old-1", node: str = "n", beat: int = 7, **changes: Any) -> Member:
    return factories.member(owner, node=node, beat=beat, **changes)


def succession() -> Succession:
    return Succession(Incarnation(CountingIds("me-")), "n", LEASE)


def test_the_gone_the_others_and_oneself_do_not_hold_the_name() -> None:
    members = [member(node="m"), member(fenced=True), member(left=True), member("me-1")]
    assert succession().judge(members, 0) == Free()


def test_one_that_beats_lives() -> None:
    one = succession()
    assert one.judge([member(beat=7)], 0) == Waits(member(beat=7))
    assert one.judge([member(beat=7)], 900) == Waits(member(beat=7))
    assert one.judge([member(beat=8)], 1_000) == Lives(member(beat=8))


def test_one_that_stands_still_for_a_lease_since_it_was_first_seen_is_over() -> None:
    one = succession()
    for now in (100, 1_100, 100 + LEASE - 1):
        assert one.judge([member()], now) == Waits(member())
    assert one.judge([member()], 100 + LEASE) == Over("old-1", 7)


def test_a_new_holder_is_timed_anew() -> None:
    one = succession()
    one.judge([member()], 0)
    assert one.judge([member("other-1", beat=1)], LEASE) == Waits(member("other-1", beat=1))
    assert one.judge([member("other-1", beat=1)], 2 * LEASE) == Over("other-1", 1)


def test_an_earlier_self_is_over_at_once() -> None:
    """A store that lost its last moments may know this process by a name that it had before."""
    me = Incarnation(CountingIds("me-"))
    me.renew()
    assert Succession(me, "n", LEASE).judge([member("me-1", beat=3)], 0) == Over("me-1", 3)

"""Terms: who leads is decided by compare-and-set, and who does not lead changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE, SECOND, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from tests.factories import draft
from tests.stores import Driver, everything

LED: dict[str, v.Led] = {
    "fence": v.Fence(leader="", epoch=0, owner="b", beat=0),
    "reap": v.Reap(leader="", epoch=0, owner="dead", max_crashes=3),
    "promote": v.PromoteDue(leader="", epoch=0),
    "expire": v.ExpireDue(leader="", epoch=0),
    "prune": v.PruneOld(leader="", epoch=0, keep=(v.Keep(Status.CANCELLED, 0, 0),)),
    "sweep": v.Sweep(leader="", epoch=0),
    "tick": v.Tick(leader="", epoch=0, schedule="s", generation=1, cursor=0, upto=9, drafts=(draft("tick"),)),
}


# -- terms -----------------------------------------------------------------------------------------------------------


def campaign(deck: Driver, owner: str, epoch: int, beat: int) -> v.Elected:
    elected: v.Elected = deck.do(v.Campaign(owner, epoch, beat))
    assert elected.term == deck.store.term()
    return elected


@pytest.fixture
def fresh(deck: Driver) -> Driver:
    """Nobody leads any more; the term is (1, 1)."""
    assert deck.do(v.Resign("a", 1)).code is Code.OK
    return deck


def test_the_first_term(store: Any, clock: ManualClock) -> None:
    deck = Driver(store, clock)
    deck.join("a")
    assert store.term() == v.Term(None, 0, 0)
    assert campaign(deck, "a", 1, 0) == v.Elected(Code.REFUSED, v.Term(None, 0, 0))
    assert campaign(deck, "a", 0, 0) == v.Elected(Code.OK, v.Term("a", 1, 1))


def test_one_of_two_candidates_wins(fresh: Driver) -> None:
    assert campaign(fresh, "b", 1, 1) == v.Elected(Code.OK, v.Term("b", 2, 1))
    assert campaign(fresh, "a", 1, 1) == v.Elected(Code.REFUSED, v.Term("b", 2, 1))


def test_a_leader_renews_whatever_beat_it_saw(deck: Driver) -> None:
    assert campaign(deck, "a", 1, 1) == v.Elected(Code.OK, v.Term("a", 1, 2))
    assert campaign(deck, "a", 1, 1) == v.Elected(Code.OK, v.Term("a", 1, 3))
    assert campaign(deck, "a", 1, 77) == v.Elected(Code.OK, v.Term("a", 1, 4))
    for epoch in (0, 2):
        assert campaign(deck, "a", epoch, 77) == v.Elected(Code.REFUSED, v.Term("a", 1, 4))


@pytest.mark.parametrize(("epoch", "beat"), [(0, 0), (1, 1), (1, 3), (2, 2)])
def test_a_leader_that_renews_keeps_the_others_out(deck: Driver, epoch: int, beat: int) -> None:
    campaign(deck, "a", 1, 1)
    assert campaign(deck, "b", epoch, beat) == v.Elected(Code.REFUSED, v.Term("a", 1, 2))


def test_a_silent_leader_is_deposed_by_who_saw_its_last_beat(deck: Driver) -> None:
    assert campaign(deck, "b", 1, 1) == v.Elected(Code.OK, v.Term("b", 2, 1))
    assert campaign(deck, "a", 1, 1).code is Code.REFUSED
    assert campaign(deck, "a", 2, 1) == v.Elected(Code.OK, v.Term("a", 3, 1))


@pytest.mark.parametrize("owner", ["fenced", "left", "unknown"])
def test_only_a_live_member_can_lead(deck: Driver, owner: str) -> None:
    deck.join("fenced")
    deck.join("left")
    deck.fence("fenced")
    deck.do(v.Deregister("left"))
    deck.do(v.Resign("a", 1))
    assert campaign(deck, owner, 1, 1) == v.Elected(Code.REFUSED, v.Term(None, 1, 1))


def test_resigning(deck: Driver) -> None:
    assert deck.do(v.Resign("b", 1)) == v.Answer(Code.DEPOSED)
    assert deck.do(v.Resign("a", 0)) == v.Answer(Code.DEPOSED)
    assert deck.store.term().owner == "a"
    assert deck.do(v.Resign("a", 1)) == v.Answer(Code.OK)
    assert deck.store.term() == v.Term(None, 1, 1)
    assert deck.do(v.Resign("a", 1)) == v.Answer(Code.DEPOSED)
    assert campaign(deck, "a", 1, 1) == v.Elected(Code.OK, v.Term("a", 2, 1))


@pytest.mark.parametrize("verb", list(LED.values()), ids=list(LED))
@pytest.mark.parametrize("leader", [("b", 1), ("a", 0), ("a", 2), ("unknown", 1), ("resigned", 3)])
def test_who_does_not_lead_changes_nothing(
    deck: Driver, clock: ManualClock, verb: v.Led, leader: tuple[str, int]
) -> None:
    deck.join("dead")
    deck.do(v.PutSchedule(v.Schedule(id="s", spec=b"{}", cursor=0)))
    deck.add("cancelled")
    deck.happens(ev.Cancel, "cancelled")
    deck.add("delayed", delay=SECOND)
    deck.add("expired", expires_at=deck.now + SECOND)
    deck.run("dead", "held", handler="x")
    deck.fence("dead")
    if leader[0] == "resigned":
        deck.do(v.Resign("a", 1))
    clock.advance(MINUTE)
    before = (everything(deck.store), deck.store.members(), deck.store.schedules())
    fields = {name: getattr(verb, name) for name in verb.__struct_fields__}
    answer = deck.do(type(verb)(**{**fields, "leader": leader[0], "epoch": leader[1]}))
    assert answer == (v.Answer if isinstance(verb, v.Fence | v.Tick) else v.Moved)(Code.DEPOSED)
    assert (everything(deck.store), deck.store.members(), deck.store.schedules()) == before
    if leader[0] != "resigned":  # and the true leader's verb would have changed something
        deck.do(type(verb)(**{**fields, "leader": "a", "epoch": 1}))
        after = (everything(deck.store), deck.store.members(), deck.store.schedules())
        assert (after == before) == isinstance(verb, v.Sweep)

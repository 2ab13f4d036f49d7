"""The coordinator of one node among many: pure judgement, on a clock of numbers and a store in memory."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.incarnation import Incarnation
from cluster.shared import ClusterCoordinator
from storage import verbs as v
from storage.memory import MemoryStore
from storage.verbs import Campaign, Elected, Term
from taskqueue.core.clock import MINUTE, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.ids import CountingIds
from tests.postoffice import registration

LEASE, TTL = 15_000, 5_000
RENEW = TTL // 4
LOOK = TTL // 10
SAFE = TTL * 2 // 3


def coordinator(name: str = "me", chance: float = 0.5) -> ClusterCoordinator:
    return ClusterCoordinator(
        Incarnation(CountingIds(f"{name}-")), lease_ttl=LEASE, leader_ttl=TTL, random=lambda: chance
    )


def look_on(one: ClusterCoordinator, term: Term, since: int, until: int) -> None:
    """It looks again and again, and the term stands still."""
    for now in range(since, until + 1, LOOK):
        one.looked(term, now)


def leading(since: int = 0) -> ClusterCoordinator:
    """One that won epoch 8 with a campaign sent at `since`."""
    one = coordinator()
    one.elected(Elected(Code.OK, Term("me-1", 8, 1)), since, since)
    return one


# -- looking -----------------------------------------------------------------------------------------------------------


def test_what_a_node_may_not_take_for_granted_among_many() -> None:
    one = coordinator()
    assert (one.mode, one.alone, one.beats_locally, one.answer_within) == ("cluster", False, False, RENEW)


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 375), (0.5, 500), (0.999, 625)])
def test_a_candidate_looks_ten_times_within_the_leaders_time_each_at_moments_of_its_own(
    chance: float, pause: int
) -> None:
    one = coordinator(chance=chance)
    assert one.wants_look(100)
    assert not one.wants_look(100 + pause - 1)
    assert one.wants_look(100 + pause)


def test_before_the_first_look_it_does_not_campaign() -> None:
    one = coordinator()
    assert one.campaign(0) is one.campaign(10**9) is None


def test_who_leads_does_not_look_and_does_again_once_deposed() -> None:
    one = leading()
    assert not one.wants_look(10**9)
    one.resigned()
    assert one.wants_look(1)


# -- taking over -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("term", [Term(None, 0, 0), Term(None, 7, 3)])
def test_what_is_nobodys_is_campaigned_for_at_once(term: Term) -> None:
    one = coordinator()
    one.looked(term, 10)
    assert one.campaign(10) == Campaign("me-1", term.epoch, term.beat)
    assert one.campaign(10 + RENEW - 1) is None
    one.looked(term, RENEW)
    assert one.campaign(10 + RENEW) == Campaign("me-1", term.epoch, term.beat)


@pytest.mark.parametrize(("chance", "patience"), [(0.0, TTL), (1.0, TTL + TTL // 10)])
def test_a_term_that_stands_still_for_so_long_is_taken_over(chance: float, patience: int) -> None:
    one = coordinator(chance=chance)
    term = Term("other-1", 7, 3)
    look_on(one, term, 0, patience - 1)
    assert one.campaign(patience - 1) is None
    one.looked(term, patience)
    assert one.campaign(patience) == Campaign("me-1", 7, 3)


@pytest.mark.parametrize("moved", [Term("other-1", 7, 4), Term("third-1", 8, 3), Term("other-1", 6, 2)])
def test_a_term_that_moved_or_went_back_is_left_alone_for_as_long_again(moved: Term) -> None:
    one = coordinator()
    look_on(one, Term("other-1", 7, 3), 0, TTL)
    look_on(one, moved, TTL + 100, 2 * TTL)
    assert one.campaign(2 * TTL) is None
    look_on(one, moved, 2 * TTL, 2 * TTL + 2 * LOOK)
    assert one.campaign(2 * TTL + 2 * LOOK) == Campaign("me-1", moved.epoch, moved.beat)


def test_a_candidate_that_could_not_look_for_long_starts_its_timer_anew() -> None:
    """It was stopped, or the store was away, and then the leader could not renew either."""
    one = coordinator()
    term = Term("other-1", 7, 3)
    look_on(one, term, 0, TTL - LOOK)
    assert one.campaign(2 * TTL) is None, "it has not looked since"
    one.looked(term, 2 * TTL)
    assert one.campaign(2 * TTL) is None
    look_on(one, term, 2 * TTL, 3 * TTL + LOOK)
    assert one.campaign(3 * TTL + LOOK) is not None


def test_one_that_is_refused_what_looks_free_waits_as_long_again() -> None:
    """The store does not know it any more, so that nothing has changed: it must not ask in a circle."""
    one = coordinator()
    term = Term("other-1", 7, 3)
    look_on(one, term, 0, TTL + LOOK)
    now = TTL + LOOK
    assert one.campaign(now) is not None
    one.elected(Elected(Code.REFUSED, term), now, now)
    look_on(one, term, now, now + TTL - LOOK)
    assert one.campaign(now + TTL - LOOK) is None


def test_a_refusal_tells_the_term_and_starts_the_timer() -> None:
    one = coordinator()
    one.looked(Term(None, 7, 3), 0)
    one.campaign(0)
    one.elected(Elected(Code.REFUSED, Term("other-1", 8, 1)), 0, 5)
    assert one.epoch(5) is None
    look_on(one, Term("other-1", 8, 1), 5, TTL)
    assert one.campaign(TTL) is None


# -- leading -----------------------------------------------------------------------------------------------------------


def test_a_leader_renews_in_time() -> None:
    one = coordinator()
    one.looked(Term(None, 7, 3), 0)
    assert one.campaign(0) is not None
    one.elected(Elected(Code.OK, Term("me-1", 8, 1)), 0, 10)
    assert one.campaign(RENEW - 1) is None
    assert one.campaign(RENEW) == Campaign("me-1", 8, 1)
    one.elected(Elected(Code.OK, Term("me-1", 8, 2)), RENEW, RENEW + 10)
    assert one.campaign(2 * RENEW) == Campaign("me-1", 8, 2)


def test_it_is_not_sure_any_more_long_before_others_may_take_over_counted_from_before_it_was_sent() -> None:
    one = coordinator()
    one.looked(Term(None, 7, 3), 0)
    one.campaign(100)
    one.elected(Elected(Code.OK, Term("me-1", 8, 1)), 100, 3_000)
    assert one.epoch(100 + SAFE) == 8
    assert one.epoch(100 + SAFE + 1) is None
    assert one.campaign(100 + SAFE + 1) == Campaign("me-1", 8, 1), "it goes on trying to renew"
    one.elected(Elected(Code.OK, Term("me-1", 8, 2)), 4_000, 4_100)
    assert one.epoch(4_100) == 8


def test_news_that_is_older_than_the_last_renewal_changes_nothing() -> None:
    one = leading(since=1_000)
    one.elected(Elected(Code.REFUSED, Term("other-1", 7, 3)), 900, 1_100)
    one.elected(Elected(Code.OK, Term("me-1", 8, 1)), 500, 1_100)
    assert one.epoch(1_000 + SAFE) == 8


def test_a_refused_renewal_ends_it_at_once() -> None:
    one = leading()
    one.elected(Elected(Code.REFUSED, Term("other-1", 9, 1)), RENEW, RENEW + 1)
    assert one.epoch(RENEW + 1) is None
    assert one.campaign(2 * RENEW) is None


def test_one_whose_victory_was_lost_on_the_way_finds_it_and_renews_before_it_leads() -> None:
    """How old that victory is it cannot know, so it does not count from there."""
    one = coordinator()
    one.looked(Term(None, 7, 3), 0)
    one.campaign(0)
    one.elected(Elected(Code.REFUSED, Term("me-1", 8, 1)), RENEW, RENEW)
    assert one.epoch(RENEW) is None
    assert one.campaign(RENEW) == Campaign("me-1", 8, 1)
    one.elected(Elected(Code.OK, Term("me-1", 8, 2)), RENEW, RENEW + 1)
    assert one.epoch(RENEW + 1) == 8


def test_the_same_is_found_by_a_look() -> None:
    one = coordinator()
    one.looked(Term("me-1", 8, 1), 0)
    assert one.campaign(0) == Campaign("me-1", 8, 1)


def test_a_try_that_lost_against_an_earlier_one_of_its_own_does_not_end_the_term() -> None:
    one = leading()
    one.elected(Elected(Code.REFUSED, Term("me-1", 8, 1)), 100, 200)
    assert one.epoch(200) == 8


def test_an_incarnation_that_is_over_leads_nothing() -> None:
    me = Incarnation(CountingIds("me-"))
    one = ClusterCoordinator(me, lease_ttl=LEASE, leader_ttl=TTL, random=lambda: 0.0)
    one.elected(Elected(Code.OK, Term("me-1", 8, 1)), 0, 0)
    me.renew()
    assert (me.owner, me.former) == ("me-2", {"me-1"})
    assert one.epoch(1) is None
    assert one.wants_look(1)
    one.elected(Elected(Code.OK, Term("me-1", 8, 2)), 2, 3)
    assert one.epoch(3) is None, "the answer to the old one is not the new one's"


# -- the members -------------------------------------------------------------------------------------------------------


def beat_on(one: ClusterCoordinator, since: int, until: int, **standing: int) -> None:
    """Beats of this node that bring the same counts of others, its own growing."""
    for now in range(since, until + 1, 1_000):
        one.observe({"me-1": now, **standing}, now)


def test_who_stands_still_for_a_lease_is_lost_with_the_count_it_stood_at() -> None:
    one = coordinator()
    beat_on(one, 0, LEASE - 1_000, dead=7)
    assert one.lost(LEASE - 1) == {}
    one.observe({"me-1": 1, "dead": 7, "alive": 2}, LEASE)
    assert one.lost(LEASE) == {"dead": 7}
    assert one.since() == {"me-1": LEASE, "dead": 0, "alive": LEASE}


def test_it_never_calls_itself_lost() -> None:
    one = coordinator()
    for now in range(0, 2 * LEASE, 1_000):
        one.observe({"me-1": 1}, now)
    assert one.lost(2 * LEASE - 1_000) == {}


def test_an_observer_that_could_not_look_calls_nobody_lost_and_starts_anew() -> None:
    one = coordinator()
    beat_on(one, 0, LEASE - 2_000, other=7)
    assert one.lost(3 * LEASE) == {}, "it has not looked since"
    one.observe({"me-1": 1, "other": 7}, 3 * LEASE)
    assert one.lost(3 * LEASE) == {}
    beat_on(one, 3 * LEASE, 4 * LEASE, other=7)
    assert one.lost(4 * LEASE) == {"other": 7}


# -- many on one store -------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000))
def test_among_many_there_is_one_leader_at_a_time_and_always_one_again(seed: int) -> None:
    """Nodes stop and go on, calls and answers get lost or late; whoever takes itself for the leader is the store's, or
    is too late for it to matter; and once all is well one leads within a leader's time and its scatter.
    """
    random = Random(seed)
    store = MemoryStore(ManualClock(), MINUTE)
    nodes = {name: coordinator(name, random.random()) for name in ("a", "b", "c")}
    store.execute([v.Register(**_said(f"{name}-1", name)) for name in nodes])
    stopped: dict[str, int] = dict.fromkeys(nodes, 0)
    post: list[tuple[int, str, Elected | Term, int]] = []
    epochs: list[int] = []
    faults_end, end, step = 60_000, 60_000 + 2 * TTL, 100
    for now in range(0, end, step):
        healed = now >= faults_end
        for arrival, name, answer, sent in [letter for letter in post if letter[0] <= now]:
            post.remove((arrival, name, answer, sent))
            if isinstance(answer, Term):
                nodes[name].looked(answer, now)
            else:
                nodes[name].elected(answer, sent, now)
        for name, one in nodes.items():
            if not healed and random.random() < 0.002:
                stopped[name] = now + random.randrange(3 * TTL)
            if now < stopped[name] and not healed:
                continue
            delay = 0 if healed else random.choice((0, 0, 0, 100, 900))
            arrives = healed or random.random() < 0.9
            if one.wants_look(now) and arrives:
                post.append((now + delay, name, store.term(), now))
            campaign = one.campaign(now)
            if campaign is not None and (healed or random.random() < 0.9):
                [elected] = store.execute([campaign])
                assert isinstance(elected, Elected)
                if arrives:
                    post.append((now + delay, name, elected, now))
        term = store.term()
        epochs.append(term.epoch)
        sure = [name for name, one in nodes.items() if one.epoch(now) is not None and now >= stopped[name]]
        assert len(sure) <= 1
        assert all(nodes[name].epoch(now) == term.epoch for name in sure)
    assert epochs == sorted(epochs)
    assert [name for name, one in nodes.items() if one.epoch(end - step) is not None] == [str(store.term().owner)[0]]
    assert store.term().epoch <= 20, "the living are left in peace"


def _said(owner: str, node: str) -> dict[str, object]:
    said = registration(owner=owner, node=node)
    return {field: getattr(said, field) for field in said.__struct_fields__} | {"alone": False}

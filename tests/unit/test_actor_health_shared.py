"""HealthActor of one node among many, unstarted: trust by confirmed beats, new incarnations, a name that is taken."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from actors.health import HealthActor
from actors.messages import LookAtMembers, MembersSeen, Registered, SetClaiming, TakePulse, Wake, Write, Written
from cluster.members import Liveness
from cluster.shared import ClusterCoordinator
from storage import verbs as v
from taskqueue.core.clock import SECOND
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreUnavailable
from taskqueue.core.events import Code
from tests.factories import member
from tests.postoffice import OWNER, Desk, registration, wakes

LEASE = 15 * SECOND
TRUST = 10 * SECOND


@pytest.fixture
def desk() -> Desk:
    desk = Desk(Config(worker_count=2, async_concurrency=3, lease_ttl=LEASE))
    desk.coordinator = ClusterCoordinator(desk.me, lease_ttl=LEASE, leader_ttl=5 * SECOND, random=lambda: 0.0)
    return desk


@pytest.fixture
def health(desk: Desk) -> HealthActor:
    """One that is registered, and its first beat is confirmed."""
    health = desk.health_actor()
    health.begin()
    desk.written(health.on_receive, v.Answer(Code.OK))
    beaten(desk, health, 1)
    desk.scheduler.mail.clear()
    desk.leader.mail.clear()
    return health


def beaten(desk: Desk, health: HealthActor, beat: int, took: int = 0, **others: int) -> v.Beat:
    """The one beat under way, answered after a while."""
    write = desk.storage.one(Write)
    desk.clock.advance(took)
    [verb] = write.verbs
    assert isinstance(verb, v.Beat)
    answer = v.Beaten(Code.OK, {verb.owner: beat, **others})
    health.on_receive(Written(results=(answer,), ticket=write.ticket))
    return verb


def may_claim(desk: Desk) -> bool:
    return desk.board.may_claim(desk.clock.monotonic())


def named(owner: str, node: str = "me", beat: int = 7) -> MembersSeen:
    return MembersSeen(members=(member(owner, node=node, beat=beat),))


# -- trust -------------------------------------------------------------------------------------------------------------


def test_nothing_is_claimed_before_the_first_beat_is_confirmed(desk: Desk) -> None:
    health = desk.health_actor()
    health.begin()
    assert desk.written(health.on_receive, v.Answer(Code.OK)).verbs == (registration(alone=False),)
    assert not may_claim(desk)
    assert beaten(desk, health, 1) == v.Beat(OWNER)
    assert may_claim(desk)
    assert desk.scheduler.mail == [Registered(), Wake()]
    assert desk.leader.mail == [Registered(), Registered()]


def test_the_stores_time_is_told_with_the_moments_that_it_lies_between(desk: Desk) -> None:
    heard: list[tuple[int, int, int]] = []
    health = desk.health_actor(on_time=lambda *times: heard.append(times))
    health.begin()
    desk.written(health.on_receive, v.Answer(Code.OK))
    sent = desk.clock.monotonic()
    write = desk.storage.one(Write)
    desk.clock.advance(SECOND)
    health.on_receive(Written(results=(v.Beaten(Code.OK, {OWNER: 1}, at=77),), ticket=write.ticket))
    assert heard == [(77, sent, sent + SECOND)]


def test_two_thirds_of_a_lease_after_the_last_confirmed_beat_was_sent_it_claims_no_more(
    desk: Desk, health: HealthActor
) -> None:
    health.on_receive(TakePulse())
    beaten(desk, health, 2, took=4 * SECOND)
    desk.clock.advance(TRUST - 4 * SECOND - 1)
    assert may_claim(desk)
    desk.clock.advance(1)
    assert not may_claim(desk)
    assert desk.board.registered, "what runs goes on"
    assert not desk.board.trusted(desk.clock.monotonic()), "and it leads no more"
    assert desk.scheduler.mail == []


def test_an_unanswered_beat_confirms_nothing_and_is_sent_again_within_a_third_of_the_lease(
    desk: Desk, health: HealthActor
) -> None:
    for _ in range(10):
        desk.clock.advance(SECOND)
        health.on_receive(TakePulse())
    assert not may_claim(desk)
    assert len(desk.storage.all(Write)) == 2
    desk.clock.advance(5 * SECOND)
    health.on_receive(TakePulse())
    desk.written(health.on_receive, StoreUnavailable("away"))
    assert not may_claim(desk)


def test_with_the_first_beat_that_comes_through_again_it_claims_at_once(desk: Desk, health: HealthActor) -> None:
    desk.clock.advance(TRUST)
    health.on_receive(TakePulse())
    beaten(desk, health, 2)
    assert may_claim(desk)
    assert desk.scheduler.mail == [Wake()]


def test_that_the_store_is_away_is_said_once_and_that_it_is_back_too(
    desk: Desk, health: HealthActor, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        health.on_receive(TakePulse())
        desk.written(health.on_receive, StoreUnavailable("no route"))
    for beat in (2, 3):
        health.on_receive(TakePulse())
        beaten(desk, health, beat)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["heartbeats do not come through: no route", "heartbeats come through again"]


def test_others_are_timed_by_its_beats(desk: Desk, health: HealthActor) -> None:
    for beat in range(2, 20):
        desk.clock.advance(SECOND)
        health.on_receive(TakePulse())
        beaten(desk, health, beat, moves=beat, stands=9)
    now = desk.clock.monotonic()
    assert desk.board.liveness("moves", now) is Liveness.ALIVE
    assert desk.board.liveness("stands", now) is Liveness.DEAD
    assert desk.coordinator.lost(now) == {"stands": 9}


def test_its_successor_goes_on_with_the_same_timers(desk: Desk, health: HealthActor) -> None:
    for beat in range(2, 17):
        desk.clock.advance(SECOND)
        health.on_receive(TakePulse())
        beaten(desk, health, beat, stands=9)
    successor = desk.health_actor()
    successor.begin()
    desk.clock.advance(SECOND)
    beaten(desk, successor, 17, stands=9)
    assert desk.coordinator.lost(desk.clock.monotonic()) == {"stands": 9}
    assert may_claim(desk)


# -- another incarnation -----------------------------------------------------------------------------------------------


def test_one_that_was_declared_dead_begins_anew_in_the_same_process(
    desk: Desk, health: HealthActor, caplog: pytest.LogCaptureFixture
) -> None:
    health.on_receive(TakePulse())
    desk.written(health.on_receive, v.Beaten(Code.FENCED))
    assert desk.me.owner == "me-2"
    assert not may_claim(desk)
    assert not desk.board.registered
    assert wakes(desk.scheduler.mail) == 1, "it sees that what it holds is another's"
    assert "the store says that me-1 is over" in caplog.text
    again = desk.written(health.on_receive, v.Answer(Code.OK))
    assert again.verbs == (registration(owner="me-2", alone=False),)
    assert beaten(desk, health, 1) == v.Beat("me-2")
    assert may_claim(desk)
    assert (desk.refused, desk.begun_anew, desk.board.rebirths) == ([], ["me-2"], 1)


def test_late_answers_to_the_old_one_are_not_the_new_ones(desk: Desk, health: HealthActor) -> None:
    health.on_receive(TakePulse())
    late = desk.storage.one(Write)
    desk.clock.advance(LEASE)
    health.on_receive(TakePulse())
    desk.written(health.on_receive, v.Beaten(Code.FENCED))
    desk.written(health.on_receive, v.Answer(Code.OK))
    desk.storage.mail.clear()
    health.on_receive(Written(results=(v.Beaten(Code.OK, {"me-1": 5}),), ticket=late.ticket))
    assert not may_claim(desk)
    health.on_receive(Written(results=(v.Beaten(Code.FENCED),), ticket=late.ticket))
    assert desk.me.owner == "me-2"


def test_orders_that_the_old_one_had_done_are_not_acknowledged_by_the_new_one(desk: Desk, health: HealthActor) -> None:
    health.on_receive(TakePulse())
    write = desk.storage.one(Write)
    answer = v.Beaten(Code.OK, {OWNER: 2}, (v.Order(9, "cancel", "t1", 7),))
    health.on_receive(Written(results=(answer,), ticket=write.ticket))
    desk.written(health.on_receive, v.Beaten(Code.FENCED))
    desk.written(health.on_receive, v.Answer(Code.OK))
    assert beaten(desk, health, 1) == v.Beat("me-2", 0, ())


def test_a_node_that_drains_goes_on_draining_as_another_one(desk: Desk, health: HealthActor) -> None:
    """The store holds the wish by incarnation, and a person made it for the node."""
    health.on_receive(TakePulse())
    write = desk.storage.one(Write)
    health.on_receive(
        Written(results=(v.Beaten(Code.OK, {OWNER: 2}, (v.Order(1, "drain"),)),), ticket=write.ticket)
    )
    assert desk.scheduler.one(SetClaiming).on is False
    desk.written(health.on_receive, v.Beaten(Code.FENCED))
    [register] = desk.storage.all(Write)
    health.on_receive(Written(results=(v.Answer(Code.OK),), ticket=register.ticket))
    beat, drain = desk.storage.all(Write)
    assert drain.verbs == (v.Drain("me"),)
    health.on_receive(Written(results=(v.Answer(Code.OK),), ticket=drain.ticket))
    health.on_receive(Written(results=(v.Beaten(Code.OK, {"me-2": 1}),), ticket=beat.ticket))
    assert desk.board.draining
    assert not may_claim(desk)


def test_one_whose_registration_is_over_before_it_was_answered_begins_anew(desk: Desk) -> None:
    health = desk.health_actor()
    health.begin()
    desk.written(health.on_receive, v.Answer(Code.FENCED))
    assert desk.storage.one(Write).verbs == (registration(owner="me-2", alone=False),)


# -- a name that is taken ----------------------------------------------------------------------------------------------


@pytest.fixture
def latecomer(desk: Desk) -> HealthActor:
    """One that was refused, since another has its name."""
    health = desk.health_actor()
    health.begin()
    desk.written(health.on_receive, v.Answer(Code.REFUSED))
    return health


def test_it_looks_who_has_the_name_and_ends_where_that_one_beats(desk: Desk, latecomer: HealthActor) -> None:
    assert desk.storage.one(LookAtMembers).reply_to is desk.health
    latecomer.on_receive(named("old-1", beat=7))
    assert desk.refused == []
    desk.clock.advance(SECOND)
    latecomer.on_receive(TakePulse())
    desk.storage.one(LookAtMembers)
    latecomer.on_receive(named("old-1", beat=8))
    assert desk.refused == ["nodeId: a node named 'me' is running already (host h, pid 1)"]


def test_it_takes_the_name_of_one_that_was_killed_after_its_lease(
    desk: Desk, latecomer: HealthActor, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(LEASE // SECOND):
        latecomer.on_receive(named("old-1", beat=7))
        desk.clock.advance(SECOND)
        latecomer.on_receive(TakePulse())
    assert desk.storage.all(Write) == []
    latecomer.on_receive(named("old-1", beat=7))
    register = desk.written(latecomer.on_receive, v.Answer(Code.OK))
    assert register.verbs == (replace(registration(alone=False), instead_of=("old-1", 7)),)
    assert desk.board.registered
    assert desk.refused == []
    assert caplog.text.count("waiting for 15.0 s whether it lives") == 1


def test_one_that_beats_at_the_last_moment_keeps_its_name(desk: Desk, latecomer: HealthActor) -> None:
    latecomer.on_receive(named("old-1", beat=7))
    desk.clock.advance(LEASE)
    latecomer.on_receive(named("old-1", beat=7))
    desk.written(latecomer.on_receive, v.Answer(Code.REFUSED))
    latecomer.on_receive(named("old-1", beat=8))
    assert len(desk.refused) == 1
    assert not desk.board.registered


def test_a_name_that_became_free_is_taken_at_once(desk: Desk, latecomer: HealthActor) -> None:
    latecomer.on_receive(named("old-1"))
    latecomer.on_receive(MembersSeen(members=()))
    assert desk.written(latecomer.on_receive, v.Answer(Code.OK)).verbs == (registration(alone=False),)
    assert desk.board.registered


def test_its_own_earlier_self_is_in_nobodys_way(desk: Desk, health: HealthActor) -> None:
    """After a failover to a store that lost its last moments."""
    health.on_receive(TakePulse())
    desk.written(health.on_receive, v.Beaten(Code.FENCED))
    desk.written(health.on_receive, v.Answer(Code.REFUSED))
    health.on_receive(named("me-1", beat=4))
    register = desk.written(health.on_receive, v.Answer(Code.OK))
    assert register.verbs == (replace(registration(owner="me-2", alone=False), instead_of=("me-1", 4)),)
    assert desk.refused == []

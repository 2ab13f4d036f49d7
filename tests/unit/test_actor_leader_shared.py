"""LeaderActor of one node among many, unstarted: looks at the term, takes it over, loses it, and fences the dead."""

from __future__ import annotations

from typing import Any

import pytest

from actors.leader import LeaderActor
from actors.messages import (
    KeepHouse,
    LookAtSchedules,
    LookAtTerm,
    Registered,
    SchedulesSeen,
    StepDown,
    SteppedDown,
    TermOver,
    TermSeen,
    Write,
    Written,
)
from cluster.shared import ClusterCoordinator
from storage import verbs as v
from storage.memory import MemoryStore
from taskqueue.core.clock import MILLISECOND, MINUTE, SECOND
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from tests.factories import draft
from tests.postoffice import OWNER, Desk, registration

LEASE, TTL = 15 * SECOND, 5 * SECOND
STEP = 500 * MILLISECOND


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.coordinator = ClusterCoordinator(desk.me, lease_ttl=LEASE, leader_ttl=TTL, random=lambda: 0.0)
    return desk


@pytest.fixture
def leader(desk: Desk) -> LeaderActor:
    """One that leads in epoch 8, with its duties under way."""
    leader = desk.leader_actor(registered=True)
    leader.on_receive(Registered())
    desk.storage.one(LookAtTerm)
    leader.on_receive(TermSeen(term=v.Term(None, 7, 3)))
    campaign = desk.written(leader.on_receive, v.Elected(Code.OK, v.Term(OWNER, 8, 1)))
    assert campaign.verbs == (v.Campaign(OWNER, 7, 3),)
    desk.storage.mail.clear()
    return leader


def written(desk: Desk, leader: LeaderActor, kind: type[Any], result: Any) -> Any:
    """Answer the one verb of this kind that waits; the verb."""
    [write] = [write for write in desk.storage.all(Write) if isinstance(write.verbs[0], kind)]
    leader.on_receive(Written(results=(result,), ticket=write.ticket))
    return write.verbs[0]


def observe(desk: Desk, leader: LeaderActor, seconds: int, **standing: int) -> None:
    """Beats of this node that show others standing still, while it keeps its term."""
    for beat in range(seconds - 1):
        desk.coordinator.observe({OWNER: beat, **standing}, desk.clock.monotonic())
        desk.clock.advance(SECOND)
        renewed(desk, leader)
    desk.clock.advance(SECOND)
    desk.coordinator.observe({OWNER: seconds, **standing}, desk.clock.monotonic())


def renewed(desk: Desk, leader: LeaderActor) -> None:
    leader.on_receive(KeepHouse())
    for write in desk.storage.all(Write):
        if isinstance(write.verbs[0], v.Campaign):
            leader.on_receive(Written(results=(v.Elected(Code.OK, v.Term(OWNER, 8, 2)),), ticket=write.ticket))
    desk.storage.mail.clear()


def test_a_candidate_looks_and_lets_a_living_leader_be(desk: Desk) -> None:
    leader = desk.leader_actor(registered=True)
    for beat in range(30):
        leader.on_receive(KeepHouse())
        if desk.storage.all(LookAtTerm):
            leader.on_receive(TermSeen(term=v.Term("other", 4, beat)))
        desk.clock.advance(STEP)
    assert desk.storage.mail == []


def test_it_takes_over_from_one_that_renews_no_more(desk: Desk) -> None:
    leader = desk.leader_actor(registered=True)
    began = desk.clock.monotonic()
    while not (writes := desk.storage.all(Write)):
        leader.on_receive(KeepHouse())
        if desk.storage.all(LookAtTerm):
            leader.on_receive(TermSeen(term=v.Term("other", 4, 9)))
        desk.clock.advance(STEP)
    assert TTL <= desk.clock.monotonic() - began <= TTL + 2 * SECOND
    [campaign] = writes[0].verbs
    assert campaign == v.Campaign(OWNER, 4, 9)


def test_a_leader_renews_and_its_duties_carry_its_epoch(desk: Desk, leader: LeaderActor) -> None:
    desk.clock.advance(TTL // 4)
    leader.on_receive(KeepHouse())
    verbs = [write.verbs[0] for write in desk.storage.all(Write)]
    assert v.Campaign(OWNER, 8, 1) in verbs
    assert desk.storage.all(LookAtTerm) == []


def test_one_that_cannot_renew_stops_its_duties_before_others_may_begin(desk: Desk, leader: LeaderActor) -> None:
    for _ in range(8):
        desk.clock.advance(STEP)
        leader.on_receive(KeepHouse())
    desk.storage.mail.clear()
    desk.clock.advance(MINUTE)
    leader.on_receive(KeepHouse())
    assert [type(write.verbs[0]) for write in desk.storage.all(Write)] == [v.Campaign]


def test_one_that_was_deposed_looks_again_and_campaigns_no_more(desk: Desk, leader: LeaderActor) -> None:
    leader.on_receive(Written(results=(v.Moved(Code.DEPOSED),), ticket="promote"))
    leader.on_receive(KeepHouse())
    desk.storage.one(LookAtTerm)
    leader.on_receive(TermSeen(term=v.Term("other", 9, 1)))
    assert desk.storage.all(Write) == []


def test_who_stands_still_for_a_lease_is_fenced_and_then_emptied(desk: Desk, leader: LeaderActor) -> None:
    observe(desk, leader, LEASE // SECOND, dead=7)
    leader.on_receive(KeepHouse())
    fence = written(desk, leader, v.Fence, v.Answer(Code.OK))
    assert fence == v.Fence(leader=OWNER, epoch=8, owner="dead", beat=7)
    reap = written(desk, leader, v.Reap, v.Moved(Code.OK, 100, more=True))
    assert (reap.owner, reap.epoch) == ("dead", 8)
    written(desk, leader, v.Reap, v.Moved(Code.OK, 3))
    assert [write for write in desk.storage.all(Write) if isinstance(write.verbs[0], v.Reap)] == []


@pytest.mark.parametrize("code", [Code.STALE, Code.NOT_FOUND])
def test_who_has_beaten_since_or_is_gone_is_left_alone(desk: Desk, leader: LeaderActor, code: Code) -> None:
    observe(desk, leader, LEASE // SECOND, dead=7)
    leader.on_receive(KeepHouse())
    written(desk, leader, v.Fence, v.Answer(code))
    assert [write for write in desk.storage.all(Write) if isinstance(write.verbs[0], v.Reap)] == []


def test_a_fence_that_comes_too_late_deposes(desk: Desk, leader: LeaderActor) -> None:
    observe(desk, leader, LEASE // SECOND, dead=7)
    leader.on_receive(KeepHouse())
    written(desk, leader, v.Fence, v.Answer(Code.DEPOSED))
    assert desk.coordinator.epoch(desk.clock.monotonic()) is None


def test_a_leader_that_others_may_take_for_dead_lets_its_term_run_out(desk: Desk, leader: LeaderActor) -> None:
    """Its beats do not come through, its renewals would: nobody could fence it, since only a leader does."""
    desk.board.trusted_until = desk.clock.monotonic()
    for _ in range(10):
        desk.clock.advance(STEP)
        leader.on_receive(KeepHouse())
    assert desk.storage.mail == []
    desk.board.trusted_until = desk.clock.monotonic() + SECOND
    leader.on_receive(Registered())
    assert [type(write.verbs[0]) for write in desk.storage.all(Write)] == [v.Campaign]


def test_another_incarnation_reads_the_schedules_anew_also_in_the_same_epoch(desk: Desk, leader: LeaderActor) -> None:
    """Its Redis came back empty, and counts from the beginning."""
    desk.clock.advance(SECOND)
    leader.on_receive(KeepHouse())
    leader.on_receive(SchedulesSeen(revision=5, schedules=()))
    desk.storage.mail.clear()
    desk.me.renew()
    desk.clock.advance(2 * SECOND)
    leader.on_receive(TermSeen(term=v.Term(None, 7, 0)))
    campaign = next(write for write in desk.storage.all(Write) if isinstance(write.verbs[0], v.Campaign))
    leader.on_receive(Written(results=(v.Elected(Code.OK, v.Term("me-2", 8, 1)),), ticket=campaign.ticket))
    assert desk.storage.one(LookAtSchedules).revision is None


def test_who_does_not_lead_fences_nobody(desk: Desk) -> None:
    leader = desk.leader_actor(registered=True)
    for beat in range(20):
        desk.coordinator.observe({OWNER: beat, "dead": 7}, desk.clock.monotonic())
        leader.on_receive(KeepHouse())
        desk.clock.advance(SECOND)
    assert desk.storage.all(Write) == []


def test_a_candidate_that_hears_of_a_free_term_takes_it_at_once(desk: Desk) -> None:
    leader = desk.leader_actor()
    leader.on_receive(TermOver())
    assert desk.storage.mail == [], "it is not registered yet"
    desk.board.registered = True
    leader.on_receive(TermOver())
    desk.storage.one(LookAtTerm)
    leader.on_receive(TermSeen(term=v.Term(None, 4, 9)))
    assert desk.storage.one(Write).verbs[0] == v.Campaign(OWNER, 4, 9)


def test_it_resigns_in_order_and_comes_back_no_more(desk: Desk, leader: LeaderActor) -> None:
    leader.on_receive(StepDown(reply_to=desk.reply))
    desk.reply.one(SteppedDown)
    assert desk.storage.one(Write).verbs == (v.Resign(OWNER, 8),)
    desk.clock.advance(MINUTE)
    leader.on_receive(KeepHouse())
    leader.on_receive(TermSeen(term=v.Term(None, 8, 1)))
    assert desk.storage.mail == []


def test_on_a_real_store_a_dead_nodes_task_is_anothers(desk: Desk) -> None:
    store = MemoryStore(desk.clock, MINUTE)
    leader = desk.leader_actor(registered=True)
    group = v.Group(("echo",), ("default",), 1)
    store.execute([registration(alone=False), registration(owner="dead-1", node="dead", alone=False)])
    store.execute([v.Submit(draft("t1")), v.Claim("dead-1", 1, (group,))])
    began = desk.clock.monotonic()
    while True:
        [beaten] = store.execute([v.Beat(OWNER)])
        assert isinstance(beaten, v.Beaten)
        desk.coordinator.observe(beaten.beats, desk.clock.monotonic())
        leader.on_receive(KeepHouse())
        while (writes := desk.storage.all(Write)) or desk.storage.all(LookAtTerm):
            for write in writes:
                leader.on_receive(Written(results=tuple(store.execute(write.verbs)), ticket=write.ticket))
            leader.on_receive(TermSeen(term=store.term()))
        task = store.get("t1")
        assert task is not None
        if task.status is Status.PENDING:
            break
        desk.clock.advance(STEP)
    assert LEASE <= desk.clock.monotonic() - began <= LEASE + 2 * SECOND
    assert task.crashes == 1

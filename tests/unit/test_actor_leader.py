"""LeaderActor, unstarted: campaigns, keeps the house while it leads, and stops when it does not."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from actors.leader import PERIODS, LeaderActor
from actors.messages import (
    CountsSeen,
    KeepHouse,
    LookAtCounts,
    LookAtHeld,
    LookAtLeases,
    LookAtMembers,
    LookAtSchedules,
    LookAtTasks,
    MembersSeen,
    Registered,
    SchedulesChanged,
    StepDown,
    SteppedDown,
    TasksSeen,
    Wake,
    Work,
    Write,
    Written,
)
from actors.reaping import AGAIN
from storage import verbs as v
from storage.memory import MemoryStore
from storage.store import Verb
from taskqueue.core.clock import HOUR, MINUTE, SECOND
from taskqueue.core.config import Config, Retain, Retention
from taskqueue.core.errors import StoreError
from taskqueue.core.events import Code
from taskqueue.core.tally import minute
from taskqueue.core.task import Cause, Status, TaskError
from tests.factories import draft, member
from tests.postoffice import OWNER, Desk, claimed, registration, wakes

TERM = v.Term(OWNER, 1, 1)
LOST_AFTER = 10 * SECOND


@pytest.fixture
def desk() -> Desk:
    return Desk(Config(max_crashes=5, retention=Retention(completed=Retain(age=HOUR, max=7))))


@pytest.fixture
def leader(desk: Desk) -> LeaderActor:
    """One that leads, and has done its first round of duties."""
    leader = desk.leader_actor(registered=True)
    leader.on_receive(KeepHouse())
    desk.written(leader.on_receive, v.Elected(Code.OK, TERM))
    done(desk, leader)
    desk.storage.mail.clear()
    return leader


def done(desk: Desk, leader: LeaderActor, **answers: Any) -> dict[str, Verb]:
    """Answer every duty under way (with nothing moved, if not said otherwise); the verbs by duty."""
    verbs = {}
    for write in desk.storage.all(Write):
        duty = str(write.ticket)
        [verbs[duty]] = write.verbs
        leader.on_receive(Written(results=(answers.get(duty, v.Moved(Code.OK)),), ticket=write.ticket))
    return verbs


# -- campaigning -------------------------------------------------------------------------------------------------------


def test_it_does_nothing_before_the_node_is_registered(desk: Desk) -> None:
    leader = desk.leader_actor()
    leader.on_receive(KeepHouse())
    assert desk.storage.mail == []
    desk.board.registered = True
    leader.on_receive(Registered())
    assert desk.storage.one(Write).verbs == (v.Campaign(OWNER, 0, 0),)


def test_one_that_could_not_be_told_of_the_registration_sees_it_at_the_next_tick(desk: Desk) -> None:
    """It was made before, and bound to its address after."""
    leader = desk.leader_actor()
    desk.board.registered = True
    leader.on_receive(KeepHouse())
    assert desk.storage.one(Write).verbs == (v.Campaign(OWNER, 0, 0),)


def test_a_refused_campaign_teaches_the_term_and_the_next_wins_it(desk: Desk) -> None:
    leader = desk.leader_actor(registered=True)
    leader.on_receive(KeepHouse())
    desk.written(leader.on_receive, v.Elected(Code.REFUSED, v.Term("other", 4, 9)))
    campaign = desk.written(leader.on_receive, v.Elected(Code.OK, v.Term(OWNER, 5, 1)))
    assert campaign.verbs == (v.Campaign(OWNER, 4, 9),)
    assert desk.storage.one(LookAtMembers).reply_to is desk.leader
    assert done(desk, leader) == {
        "promote": v.PromoteDue(leader=OWNER, epoch=5),
        "expire": v.ExpireDue(leader=OWNER, epoch=5),
        "prune": v.PruneOld(
            leader=OWNER,
            epoch=5,
            keep=(
                v.Keep(Status.COMPLETED, HOUR, 7),
                v.Keep(Status.CANCELLED, 24 * HOUR, 100_000),
                v.Keep(Status.DEAD_LETTERED, 30 * 24 * HOUR, 100_000),
            ),
        ),
        "sweep": v.Sweep(leader=OWNER, epoch=5),
    }


def test_one_campaign_at_a_time_and_again_where_its_answer_does_not_come(desk: Desk) -> None:
    leader = desk.leader_actor(registered=True)
    leader.on_receive(KeepHouse())
    desk.storage.one(Write)
    desk.clock.advance(LOST_AFTER - 1)
    leader.on_receive(KeepHouse())
    assert desk.storage.mail == []
    desk.clock.advance(1)
    leader.on_receive(KeepHouse())
    assert desk.storage.one(Write).verbs == (v.Campaign(OWNER, 0, 0),)


def test_a_campaign_that_the_store_could_not_do_is_made_at_the_next_tick(desk: Desk) -> None:
    leader = desk.leader_actor(registered=True)
    leader.on_receive(KeepHouse())
    desk.written(leader.on_receive, StoreError("no"))
    leader.on_receive(KeepHouse())
    assert desk.storage.one(Write).verbs == (v.Campaign(OWNER, 0, 0),)


# -- keeping the house -------------------------------------------------------------------------------------------------


def test_each_duty_has_its_period(desk: Desk, leader: LeaderActor) -> None:
    counts = dict.fromkeys(PERIODS, 0)
    leader.on_receive(MembersSeen(members=(member(OWNER),)))
    for _ in range(60):
        desk.clock.advance(SECOND)
        leader.on_receive(KeepHouse())
        for duty in done(desk, leader):
            counts[duty] += 1
        counts["members"] += len(desk.storage.all(LookAtMembers))
        counts["leases"] += len(desk.storage.all(LookAtLeases))
        counts["schedules"] += len(desk.storage.all(LookAtSchedules))
        counts["count"] += len(desk.storage.all(LookAtCounts))
        counts["overdue"] += len(desk.storage.all(LookAtHeld))
    assert counts == {duty: MINUTE // period for duty, period in PERIODS.items()}


def test_a_duty_under_way_is_not_begun_again_until_its_answer_must_be_lost(desk: Desk, leader: LeaderActor) -> None:
    desk.clock.advance(SECOND)
    leader.on_receive(KeepHouse())
    assert {write.ticket for write in desk.storage.all(Write)} == {"promote", "expire"}
    desk.clock.advance(LOST_AFTER - 1)
    leader.on_receive(KeepHouse())
    assert {write.ticket for write in desk.storage.all(Write)} == {"prune"}
    desk.clock.advance(1)
    leader.on_receive(KeepHouse())
    assert {write.ticket for write in desk.storage.all(Write)} == {"promote", "expire"}


@pytest.mark.parametrize("duty", ["promote", "expire", "prune", "sweep"])
def test_where_more_waits_a_duty_goes_on_at_once(desk: Desk, leader: LeaderActor, duty: str) -> None:
    desk.clock.advance(PERIODS[duty])
    leader.on_receive(KeepHouse())
    done(desk, leader, **{duty: v.Moved(Code.OK, 500, more=True)})
    assert set(done(desk, leader)) == {duty}
    assert desk.storage.all(Write) == []


def test_what_became_due_wakes_the_scheduler_and_what_ended_those_who_wait(desk: Desk, leader: LeaderActor) -> None:
    desk.clock.advance(MINUTE)
    leader.on_receive(KeepHouse())
    done(
        desk,
        leader,
        promote=v.Moved(Code.OK, 3),
        expire=v.Moved(Code.OK, 1, ("expired",)),
        prune=v.Moved(Code.OK, 1, ("pruned",)),
    )
    assert wakes(desk.scheduler.mail) == 1
    assert desk.finished == ["expired"]


def test_limbo_is_an_error_to_log(desk: Desk, leader: LeaderActor, caplog: pytest.LogCaptureFixture) -> None:
    desk.clock.advance(MINUTE)
    leader.on_receive(KeepHouse())
    done(desk, leader)
    assert caplog.messages == []
    desk.clock.advance(MINUTE)
    leader.on_receive(KeepHouse())
    done(desk, leader, sweep=v.Moved(Code.OK, 2))
    assert caplog.messages == ["2 tasks or counts were in limbo and have been repaired"]
    assert "taskqueue_limbo_repaired_total 2.0" in desk.meter.metrics.text().decode()


def test_a_duty_that_the_store_could_not_do_waits_for_its_next_turn(desk: Desk, leader: LeaderActor) -> None:
    desk.clock.advance(SECOND)
    leader.on_receive(KeepHouse())
    done(desk, leader, expire=StoreError("no"))
    leader.on_receive(KeepHouse())
    assert desk.storage.all(Write) == []
    desk.clock.advance(SECOND)
    leader.on_receive(KeepHouse())
    assert "expire" in done(desk, leader)


# -- the dead ----------------------------------------------------------------------------------------------------------


def test_the_fenced_are_emptied_once_each_in_bites(desk: Desk, leader: LeaderActor) -> None:
    seen = MembersSeen(members=(member(OWNER), member("dead", fenced=True), member("gone", left=True)))
    leader.on_receive(seen)
    leader.on_receive(seen)
    reap = v.Reap(leader=OWNER, epoch=1, owner="dead", max_crashes=5)
    assert done(desk, leader, **{"reap dead": v.Moved(Code.OK, 100, ("poison",), True)}) == {"reap dead": reap}
    assert done(desk, leader, **{"reap dead": v.Moved(Code.OK, 3)}) == {"reap dead": reap}
    assert wakes(desk.scheduler.mail) == 2
    assert desk.finished == ["poison"]
    leader.on_receive(seen)
    assert desk.storage.all(Write) == []


def test_who_was_emptied_is_looked_at_again_after_a_while(desk: Desk, leader: LeaderActor) -> None:
    """A failover may forget the reap and not the fence: then the dead one holds its tasks again."""
    seen = MembersSeen(members=(member("dead", fenced=True),))
    leader.on_receive(seen)
    done(desk, leader, **{"reap dead": v.Moved(Code.OK, 1)})
    desk.clock.advance(AGAIN - 1)
    leader.on_receive(seen)
    assert desk.storage.all(Write) == []
    desk.clock.advance(1)
    leader.on_receive(seen)
    desk.storage.one(Write)


def test_a_reap_whose_answer_was_lost_is_done_again(desk: Desk, leader: LeaderActor) -> None:
    seen = MembersSeen(members=(member("dead", fenced=True),))
    leader.on_receive(seen)
    desk.storage.one(Write)
    desk.clock.advance(LOST_AFTER)
    leader.on_receive(seen)
    desk.storage.one(Write)


def test_nobody_is_reaped_by_one_who_does_not_lead(desk: Desk) -> None:
    leader = desk.leader_actor(registered=True)
    leader.on_receive(MembersSeen(members=(member("dead", fenced=True),)))
    assert desk.storage.mail == []


# -- not leading any more ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("duty", ["promote", "expire", "reap dead"])
def test_the_deposed_stop_and_campaign_anew(desk: Desk, leader: LeaderActor, duty: str) -> None:
    desk.clock.advance(SECOND)
    leader.on_receive(MembersSeen(members=(member("dead", fenced=True),)))
    leader.on_receive(KeepHouse())
    done(desk, leader, **{duty: v.Moved(Code.DEPOSED)})
    desk.clock.advance(MINUTE)
    leader.on_receive(KeepHouse())
    assert desk.storage.one(Write).verbs == (v.Campaign(OWNER, 1, 1),)


def test_one_who_was_deposed_while_it_reaped_reaps_again_when_it_leads_again(
    desk: Desk, leader: LeaderActor
) -> None:
    seen = MembersSeen(members=(member("dead", fenced=True),))
    leader.on_receive(seen)
    done(desk, leader, **{"reap dead": v.Moved(Code.DEPOSED)})
    leader.on_receive(KeepHouse())
    desk.written(leader.on_receive, v.Elected(Code.OK, v.Term(OWNER, 2, 1)))
    leader.on_receive(seen)
    assert done(desk, leader)["reap dead"] == v.Reap(leader=OWNER, epoch=2, owner="dead", max_crashes=5)


def test_it_steps_down_resigns_and_does_no_more(desk: Desk, leader: LeaderActor) -> None:
    leader.on_receive(StepDown(reply_to=desk.reply))
    desk.reply.one(SteppedDown)
    assert desk.written(leader.on_receive, v.Answer(Code.OK)).verbs == (v.Resign(OWNER, 1),)
    desk.clock.advance(MINUTE)
    leader.on_receive(KeepHouse())
    assert desk.storage.mail == []


def test_one_who_does_not_lead_steps_down_without_a_word_to_the_store(desk: Desk) -> None:
    leader = desk.leader_actor(registered=True)
    leader.on_receive(StepDown(reply_to=desk.reply))
    desk.reply.one(SteppedDown)
    assert desk.storage.mail == []


def test_a_successor_goes_on_with_the_same_term(desk: Desk, leader: LeaderActor) -> None:
    """The coordinator outlives the actor, so no campaign is needed."""
    successor = desk.leader_actor(registered=True)
    successor.on_receive(KeepHouse())
    assert set(done(desk, successor)) == {"promote", "expire", "prune", "sweep"}


def test_on_a_real_store_the_dead_are_emptied_and_the_term_grows(desk: Desk) -> None:
    store = MemoryStore(desk.clock, MINUTE)
    group = v.Group(("echo",), ("default",), 250)
    store.execute([registration(owner="old", node="old"), v.Campaign("old", 0, 0)])
    store.execute([v.Submit(draft(f"t{n}")) for n in range(250)])
    store.execute([v.Claim("old", 1, (group,)), registration()])
    leader = desk.leader_actor(registered=True)
    leader.on_receive(KeepHouse())
    while desk.storage.mail:
        for message in list(desk.storage.mail):
            desk.storage.mail.remove(message)
            if isinstance(message, Write):
                results = tuple(store.execute(message.verbs))
                leader.on_receive(Written(results=results, ticket=message.ticket))
            elif isinstance(message, LookAtMembers):
                leader.on_receive(MembersSeen(members=tuple(store.members())))
    assert store.term() == v.Term(OWNER, 2, 1)
    assert store.held("old") == []
    assert store.counts()[Status.PENDING] == 250
    crashed = store.get("t7")
    assert crashed is not None
    assert crashed.crashes == 1


def test_an_unknown_message_is_a_bug(desk: Desk) -> None:
    with pytest.raises(TypeError, match="LeaderActor does not know the message Work"):
        desk.leader_actor().on_receive(Work())


def test_what_it_gave_up_is_counted_by_cause(desk: Desk, leader: LeaderActor) -> None:
    leader.on_receive(MembersSeen(members=(member("dead", fenced=True),)))
    done(desk, leader, **{"reap dead": v.Moved(Code.OK, 2, ("poison",))})
    look = desk.storage.one(LookAtTasks)
    assert (look.ids, look.reply_to) == (("poison",), desk.leader)
    error = TaskError("NodeDied", "it died", Cause.CRASH)
    given_up = replace(claimed("poison"), status=Status.DEAD_LETTERED, error=error)
    leader.on_receive(TasksSeen(tasks=(given_up, claimed("replayed meanwhile"))))
    assert desk.meter.take() == {"dead": 1}


def test_what_waits_is_noted_for_the_charts(desk: Desk, leader: LeaderActor) -> None:
    leader.on_receive(CountsSeen(counts={Status.PENDING: 3, Status.FAILED: 2, Status.COMPLETED: 9}))
    assert done(desk, leader) == {"tally": v.Tally(minute(desk.clock.now()), {}, {"pending": 5})}


def test_a_hint_that_schedules_have_changed_is_followed_at_once(desk: Desk, leader: LeaderActor) -> None:
    leader.on_receive(SchedulesChanged())
    desk.storage.one(LookAtSchedules)


def test_it_does_not_wake_for_nothing(desk: Desk, leader: LeaderActor) -> None:
    desk.clock.advance(SECOND)
    leader.on_receive(KeepHouse())
    done(desk, leader)
    assert desk.scheduler.all(Wake) == []

"""HealthActor, unstarted: registers, beats, carries out orders, leaves."""

from __future__ import annotations

import pytest

from actors.health import ANSWER_WITHIN, HealthActor
from actors.messages import (
    Leave,
    Left,
    OrdersFiled,
    Registered,
    Revoke,
    SetClaiming,
    TakePulse,
    Wake,
    Write,
    Written,
)
from cluster.members import Liveness
from storage import verbs as v
from storage.memory import MemoryStore
from taskqueue.core import events as ev
from taskqueue.core.clock import HOUR, MINUTE, SECOND
from taskqueue.core.errors import StoreError, StoreFull
from taskqueue.core.events import Code
from tests.factories import draft
from tests.postoffice import OWNER, Desk, registration

BEATS = v.Beaten(Code.OK, {OWNER: 1})


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def health(desk: Desk) -> HealthActor:
    """One that is registered and has beaten through the store once."""
    health = desk.health_actor()
    health.begin()
    desk.written(health.on_receive, v.Answer(Code.OK))
    health.on_receive(TakePulse())
    desk.written(health.on_receive, BEATS)
    desk.leader.mail.clear()
    desk.scheduler.mail.clear()
    return health


def liveness(desk: Desk, owner: str = OWNER) -> Liveness:
    return desk.board.liveness(owner, desk.clock.monotonic())


# -- registering -------------------------------------------------------------------------------------------------------


def test_it_registers_and_tells_those_who_wait_for_it(desk: Desk) -> None:
    health = desk.health_actor()
    health.begin()
    assert liveness(desk) is Liveness.DEAD
    assert desk.written(health.on_receive, v.Answer(Code.OK)).verbs == (registration(),)
    assert desk.board.registered
    assert liveness(desk) is Liveness.ALIVE
    desk.leader.one(Registered)
    desk.scheduler.one(Registered)


def test_it_registers_again_where_the_store_could_not_or_the_answer_was_lost(desk: Desk) -> None:
    health = desk.health_actor()
    health.begin()
    desk.written(health.on_receive, StoreError("no"))
    assert not desk.board.registered
    health.on_receive(TakePulse())
    desk.storage.one(Write)
    desk.clock.advance(ANSWER_WITHIN - 1)
    health.on_receive(TakePulse())
    assert desk.storage.mail == []
    desk.clock.advance(1)
    health.on_receive(TakePulse())
    assert desk.storage.one(Write).verbs == (registration(),)


@pytest.mark.parametrize("code", [Code.REFUSED, Code.FENCED])
def test_a_refused_node_does_not_go_on(desk: Desk, code: Code) -> None:
    health = desk.health_actor()
    health.begin()
    desk.written(health.on_receive, v.Answer(code))
    assert desk.refused == ["nodeId: a node named 'me' is running already"]
    assert not desk.board.registered
    assert desk.scheduler.mail == desk.leader.mail == []


def test_orders_that_are_filed_before_it_is_registered_wait(desk: Desk) -> None:
    health = desk.health_actor()
    health.begin()
    health.on_receive(OrdersFiled())
    assert desk.written(health.on_receive, v.Answer(Code.OK)).verbs == (registration(),)
    health.on_receive(TakePulse())
    assert desk.storage.one(Write).verbs == (v.Beat(OWNER, 0, ()),)


# -- beating -----------------------------------------------------------------------------------------------------------


def test_alone_it_beats_without_the_store(desk: Desk, health: HealthActor) -> None:
    for _ in range(20):
        desk.clock.advance(SECOND)
        health.on_receive(TakePulse())
        assert liveness(desk) is Liveness.ALIVE
    assert desk.storage.mail == []
    assert desk.board.snapshot is not None
    assert desk.board.snapshot.at == desk.clock.now()


def test_without_a_pulse_it_looks_late_and_then_dead(desk: Desk, health: HealthActor) -> None:
    desk.clock.advance(3 * SECOND + 1)
    assert liveness(desk) is Liveness.LATE
    desk.clock.advance(12 * SECOND)
    assert liveness(desk) is Liveness.DEAD


def test_in_company_every_beat_goes_through_the_store_and_times_the_others(desk: Desk, health: HealthActor) -> None:
    desk.coordinator.beats_locally = False
    desk.begun()
    for beat in range(2, 7):
        desk.clock.advance(SECOND)
        health.on_receive(TakePulse())
        answer = v.Beaten(Code.OK, {OWNER: beat, "moves": beat, "stands": 9})
        assert desk.written(health.on_receive, answer).verbs == (v.Beat(OWNER, 1, ()),)
    assert [liveness(desk, owner) for owner in (OWNER, "moves", "stands", "unknown")] == [
        Liveness.ALIVE,
        Liveness.ALIVE,
        Liveness.LATE,
        Liveness.DEAD,
    ]


def test_a_beat_that_waits_for_the_store_does_not_make_a_lone_node_late(desk: Desk, health: HealthActor) -> None:
    """A slow disk is no dead node: the lock on the data proves that it lives."""
    health.on_receive(OrdersFiled())
    for _ in range(4):
        desk.clock.advance(SECOND)
        health.on_receive(TakePulse())
        assert liveness(desk) is Liveness.ALIVE
    desk.storage.one(Write)


# -- orders ------------------------------------------------------------------------------------------------------------


def test_a_hint_brings_orders_which_are_carried_out_and_acknowledged(desk: Desk, health: HealthActor) -> None:
    health.on_receive(OrdersFiled())
    orders = (v.Order(1, "cancel", "t1", 7), v.Order(2, "drain"))
    beat = desk.written(health.on_receive, v.Beaten(Code.OK, {OWNER: 2}, orders))
    assert beat.verbs == (v.Beat(OWNER, 0, ()),)
    assert desk.scheduler.mail == [Revoke(task="t1", fence=7), SetClaiming(on=False)]
    assert desk.board.draining
    acknowledged = desk.written(health.on_receive, v.Beaten(Code.OK, {OWNER: 3}))
    assert acknowledged.verbs == (v.Beat(OWNER, 0, (1, 2)),)
    health.on_receive(TakePulse())
    assert desk.storage.mail == []


def test_a_drained_node_is_taken_back(desk: Desk, health: HealthActor) -> None:
    desk.board.draining = True
    health.on_receive(OrdersFiled())
    desk.written(health.on_receive, v.Beaten(Code.OK, {OWNER: 2}, (v.Order(3, "undrain"),)))
    assert not desk.board.draining
    assert desk.scheduler.mail == [SetClaiming(on=True)]


def test_hints_that_come_while_a_beat_is_under_way_are_followed_by_another(desk: Desk, health: HealthActor) -> None:
    health.on_receive(OrdersFiled())
    health.on_receive(OrdersFiled())
    health.on_receive(OrdersFiled())
    desk.written(health.on_receive, v.Beaten(Code.OK, {OWNER: 2}))
    desk.written(health.on_receive, v.Beaten(Code.OK, {OWNER: 3}, (v.Order(1, "cancel", "t1", 7),)))
    desk.scheduler.one(Revoke)


@pytest.mark.parametrize("lost", ["answer", "StoreFull", "deaf"])
def test_orders_are_fetched_in_the_end_also_where_a_beat_came_to_nothing(
    desk: Desk, health: HealthActor, lost: str
) -> None:
    """The hint is told once. If it were forgotten with the beat, a drain would never reach the node."""
    desk.storage.deaf = lost == "deaf"
    health.on_receive(OrdersFiled())
    if lost == "StoreFull":
        desk.written(health.on_receive, StoreFull("no room"))
    desk.storage.mail.clear()
    desk.storage.deaf = False
    desk.clock.advance(ANSWER_WITHIN)
    health.on_receive(TakePulse())
    desk.written(health.on_receive, v.Beaten(Code.OK, {OWNER: 2}, (v.Order(1, "drain"),)))
    assert desk.board.draining


def test_an_order_that_was_not_acknowledged_before_it_died_is_carried_out_twice(desk: Desk) -> None:
    """Orders are such that twice is once; a successor asks the store first thing."""
    desk.board.registered = True
    successor = desk.health_actor()
    successor.begin()
    assert desk.storage.one(Write).verbs == (v.Beat(OWNER, 0, ()),)


def test_one_that_was_declared_dead_does_not_go_on(desk: Desk, health: HealthActor) -> None:
    health.on_receive(OrdersFiled())
    desk.written(health.on_receive, v.Beaten(Code.FENCED))
    assert desk.refused == ["this node was declared dead by the others"]


def test_on_a_real_store_a_cancel_reaches_the_scheduler_and_the_order_is_gone(desk: Desk) -> None:
    store = MemoryStore(desk.clock, MINUTE)
    health = desk.health_actor()

    def work() -> None:
        while writes := desk.storage.all(Write):
            for write in writes:
                health.on_receive(Written(results=tuple(store.execute(write.verbs)), ticket=write.ticket))

    health.begin()
    work()
    group = v.Group(("echo",), ("default",), 1)
    store.execute([v.Submit(draft("t1")), v.Claim(OWNER, 1, (group,)), ev.Cancel(id="t1")])
    health.on_receive(OrdersFiled())
    work()
    task = store.get("t1")
    assert task is not None
    assert desk.scheduler.one(Revoke) == Revoke(task="t1", fence=task.fence)
    [beaten] = store.execute([v.Beat(OWNER)])
    assert isinstance(beaten, v.Beaten)
    assert beaten.orders == ()


# -- leaving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "holding"),
    [
        (v.Answer(Code.OK), False),
        (v.Answer(Code.FENCED), False),
        (v.Answer(Code.REFUSED), True),
        (StoreError("?"), True),
    ],
)
def test_it_deregisters_and_says_whether_it_still_holds_tasks(
    desk: Desk, health: HealthActor, answer: v.Answer | StoreError, holding: bool
) -> None:
    health.on_receive(Leave(reply_to=desk.reply))
    assert desk.written(health.on_receive, answer).verbs == (v.Deregister(OWNER),)
    assert desk.reply.one(Left).holding is holding


def test_once_it_leaves_it_beats_no_more(desk: Desk, health: HealthActor) -> None:
    """The store would take such a beat for one of a dead node."""
    health.on_receive(OrdersFiled())
    beat = desk.storage.one(Write)
    health.on_receive(Leave(reply_to=desk.reply))
    desk.storage.one(Write)
    health.on_receive(TakePulse())
    health.on_receive(OrdersFiled())
    health.on_receive(Written(results=(v.Beaten(Code.FENCED),), ticket=beat.ticket))
    assert desk.storage.mail == []
    assert desk.refused == []


def test_an_unknown_message_is_a_bug(health: HealthActor) -> None:
    with pytest.raises(TypeError, match="HealthActor does not know the message Wake"):
        health.on_receive(Wake())


# -- the clock ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (HOUR, "the clock was set ahead by 3600.0 s"),
        (-HOUR, "the clock was set back by 3600.0 s"),
        (1_500_000, "the clock was set ahead by 1.5 s"),
        (SECOND, None),
        (-SECOND, None),
        (0, None),
    ],
)
def test_a_clock_that_is_set_is_said_once(
    desk: Desk, health: HealthActor, caplog: pytest.LogCaptureFixture, span: int, said: str | None
) -> None:
    desk.clock.advance(MINUTE)
    health.on_receive(TakePulse())
    desk.clock.jump(span)
    for _ in range(3):
        desk.clock.advance(SECOND)
        health.on_receive(TakePulse())
    jumps = [record for record in caplog.records if getattr(record, "event", None) == "clock_jump"]
    assert [record.getMessage() for record in jumps] == ([] if said is None else [said])

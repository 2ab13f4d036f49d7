"""A task that a live node holds far beyond its time-out is ended by the leader; on every backend, by an unstarted
LeaderActor, whose time the test moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from actors.leader import LeaderActor
from actors.messages import (
    HeldSeen,
    KeepHouse,
    LookAtHeld,
    LookAtMembers,
    LookAtTasks,
    LookAtTerm,
    MembersSeen,
    TasksSeen,
    TermSeen,
    Write,
    Written,
)
from actors.overdue import ASKED, EVERY, LONG, MARGIN, ROUND, STALL
from cluster.shared import ClusterCoordinator
from storage import verbs as v
from storage.store import Store
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.task import Cause, Outcome, Status
from tests.postoffice import OWNER, Desk, registration
from tests.stores import Driver, group

TIMEOUT = 20 * SECOND
DUE = TIMEOUT + MARGIN
OTHER = "other-1"


class Town:
    """A leader at its desk over a real store, and another node, `OTHER`, that beats and holds what it holds; or one
    that is alone with its store.
    """

    def __init__(self, store: Store, clock: ManualClock, *, alone: bool = False) -> None:
        self.deck = Driver(store, clock)
        self.desk = Desk()
        self.desk.clock = clock
        self.alive = {OWNER}
        if not alone:
            self.desk.coordinator = ClusterCoordinator(
                self.desk.me, lease_ttl=15 * SECOND, leader_ttl=5 * SECOND, random=lambda: 0.0
            )
            self.alive.add(OTHER)
        self.store = store
        self.away = False
        self.looks: list[str] = []
        self.reads: list[tuple[str, ...]] = []
        self.refusals: list[Code] = []
        self.deck.do(registration(alone=alone))
        if not alone:
            self.deck.do(registration(owner=OTHER, node="other", alone=False))
        self.leader: LeaderActor = self.desk.leader_actor(registered=True)
        self.until(lambda: store.term().owner == OWNER, 20 * SECOND)

    @property
    def clock(self) -> ManualClock:
        return self.desk.clock

    def step(self, span: int = EVERY) -> None:
        """A second passes: who lives beats, the leader keeps its house, the store answers unless it is away."""
        self.clock.advance(span)
        if not self.away:
            for owner in sorted(self.alive):
                beaten = self.deck.do(v.Beat(owner))
                if owner == OWNER:
                    self.desk.coordinator.observe(beaten.beats, self.clock.monotonic())
        self.leader.on_receive(KeepHouse())
        while self.desk.storage.mail:
            mail, self.desk.storage.mail = self.desk.storage.mail, []
            for message in mail if not self.away else ():
                self._answer(message)

    def _answer(self, message: object) -> None:
        tell = self.leader.on_receive
        if isinstance(message, Write):
            results = tuple(self.store.execute(message.verbs))
            fails = zip(message.verbs, results, strict=True)
            self.refusals += [
                answer.code
                for verb, answer in fails
                if isinstance(verb, ev.Fail) and isinstance(answer, v.Answer) and answer.code is not Code.OK
            ]
            tell(Written(results=results, ticket=message.ticket))
        elif isinstance(message, LookAtTerm):
            tell(TermSeen(term=self.store.term()))
        elif isinstance(message, LookAtMembers):
            tell(MembersSeen(members=tuple(self.store.members())))
        elif isinstance(message, LookAtHeld):
            self.looks.append(message.owner)
            tell(HeldSeen(owner=message.owner, held=tuple(self.store.held(message.owner))))
        elif isinstance(message, LookAtTasks):
            self.reads.append(message.ids)
            tasks = tuple(task for task in map(self.store.get, message.ids) if task is not None)
            tell(TasksSeen(tasks=tasks, ticket=message.ticket))

    def passes(self, span: int) -> None:
        """So much time."""
        for _ in range(span // EVERY):
            self.step()

    def until(self, happens: Callable[[], bool], span: int) -> int:
        """Time passes until it happens, and it has to within `span`; how long it took."""
        began = self.clock.monotonic()
        while not happens():
            assert self.clock.monotonic() - began < span, "it does not happen"
            self.step()
        return self.clock.monotonic() - began

    def status(self, task: str = "t1") -> Status:
        return self.deck.get(task).status


@pytest.fixture
def town(store: Store, clock: ManualClock) -> Town:
    return Town(store, clock)


def test_what_is_held_for_too_long_is_ended_as_timed_out(town: Town) -> None:
    held = town.deck.run(OTHER, retries=1, timeout=TIMEOUT)
    took = town.until(lambda: town.status() is Status.FAILED, DUE + ROUND)
    assert took >= DUE
    task = town.deck.get()
    assert (task.retries_left, task.crashes, task.owner) == (0, 0, None)
    assert task.history[-1].outcome is Outcome.TIMEOUT
    assert task.error is not None
    assert task.error.cause is Cause.TIMEOUT
    late = town.deck.do(ev.Complete(id="t1", op=str(held.fence), owner=OTHER, fence=held.fence))
    assert late.code is Code.STALE, "its owner is told that it comes too late"
    assert town.desk.finished == []


def test_with_no_retry_left_it_is_a_dead_letter_and_counted(town: Town) -> None:
    town.deck.run(OTHER, retries=0, timeout=TIMEOUT)
    town.until(lambda: town.status() is Status.DEAD_LETTERED, DUE + ROUND)
    town.step()
    assert town.desk.finished == ["t1"], "who waits for it is told"
    assert town.desk.meter.take()["dead"] == 1


@pytest.mark.parametrize("alone", [False, True])
def test_its_own_node_is_looked_after_too(store: Store, clock: ManualClock, alone: bool) -> None:
    town = Town(store, clock, alone=alone)
    town.deck.run(OWNER, retries=1, timeout=TIMEOUT)
    town.until(lambda: town.status() is Status.FAILED, DUE + ROUND)


def test_a_node_that_stood_still_alone_has_time_to_tell(store: Store, clock: ManualClock) -> None:
    """It was stopped for longer than all of it, and so was whoever ran the task."""
    town = Town(store, clock, alone=True)
    town.deck.run(OWNER, retries=1, timeout=TIMEOUT)
    town.passes(LONG + 5 * SECOND)
    town.step(DUE)
    town.passes(DUE - 5 * SECOND)
    assert town.status() is Status.PROCESSING
    town.until(lambda: town.status() is Status.FAILED, 10 * SECOND)


def test_what_is_claimed_anew_is_timed_anew(town: Town) -> None:
    """It was given back, and the same node took it again: another fence, another time."""
    town.deck.run(OTHER, timeout=TIMEOUT)
    town.passes(DUE - 5 * SECOND)
    town.deck.happens(ev.Release)
    again = town.deck.run(OTHER)
    town.passes(DUE - 5 * SECOND)
    assert town.deck.get().fence == again.fence
    assert town.status() is Status.PROCESSING
    town.until(lambda: town.status() is Status.FAILED, 5 * SECOND + ROUND)
    assert town.refusals == []


def test_what_ended_in_between_is_left_alone(town: Town) -> None:
    """The leader has seen it held, and is about to end it: by then another claim has it."""
    town.deck.run(OTHER, retries=1, timeout=TIMEOUT)
    answer, asked = town._answer, 0

    def overtaken(message: object) -> None:
        nonlocal asked
        if isinstance(message, Write) and isinstance(message.verbs[0], ev.Fail) and not asked:
            asked += 1
            town.deck.happens(ev.Release)
            town.deck.run(OTHER)
        answer(message)

    town._answer = overtaken  # type: ignore[method-assign]
    town.until(lambda: asked > 0, DUE + ROUND)
    assert town.refusals == [Code.STALE]
    assert town.status() is Status.PROCESSING
    assert town.deck.get().retries_left == 1


def test_who_has_time_is_given_it(town: Town) -> None:
    town.deck.run(OTHER, timeout=10 * DUE)
    town.passes(2 * DUE)
    assert town.status() is Status.PROCESSING


def test_what_ends_soon_is_never_read(town: Town) -> None:
    """A look costs a list of names; only what stays is asked for, once, and not all at a time."""
    for n in range(50):
        town.deck.run(OTHER, f"short{n}", timeout=TIMEOUT)
        town.step()
        town.deck.happens(ev.Complete, f"short{n}")
    assert town.reads == []
    for n in range(ASKED + 5):
        town.deck.add(f"long{n}", timeout=10 * DUE)
    town.deck.claim(OTHER, group(n=100))
    town.passes(LONG + 10 * EVERY)
    assert [len(ids) for ids in town.reads] == [ASKED, 5]


def test_many_nodes_are_all_looked_at_within_a_round(town: Town) -> None:
    others = [f"more{n}" for n in range(70)]
    for owner in others:
        town.deck.join(owner)
    town.alive.update(others)
    town.passes(6 * SECOND)  # by then it has heard of them
    town.looks.clear()
    town.passes(ROUND)
    assert {*town.looks} == town.alive
    assert len(town.looks) <= 2 * len(town.alive)


def test_who_stands_still_is_left_to_those_who_declare_the_dead(town: Town) -> None:
    town.deck.run(OTHER, retries=1, timeout=TIMEOUT)
    town.passes(DUE - 6 * SECOND)
    town.alive.remove(OTHER)
    town.passes(12 * SECOND)
    assert town.status() is Status.PROCESSING
    town.alive.add(OTHER)  # its heart goes on, and it may still tell what it did
    town.passes(DUE - 5 * SECOND)
    assert town.status() is Status.PROCESSING
    town.until(lambda: town.status() is Status.FAILED, 5 * SECOND + ROUND)


def test_after_the_store_was_away_everybody_has_time_to_tell(town: Town) -> None:
    town.deck.run(OTHER, retries=1, timeout=TIMEOUT)
    town.passes(DUE - 6 * SECOND)
    town.away = True
    town.passes(STALL + 2 * SECOND)
    town.away = False
    town.passes(DUE - 5 * SECOND)
    assert town.status() is Status.PROCESSING
    town.until(lambda: town.status() is Status.FAILED, 15 * SECOND + ROUND)


def test_another_leader_begins_to_count(town: Town) -> None:
    town.deck.run(OTHER, retries=1, timeout=TIMEOUT)
    town.passes(DUE - 6 * SECOND)
    before = town.store.term()
    town.deck.do(v.Resign(OWNER, before.epoch))
    town.until(lambda: town.store.term().epoch > before.epoch, 20 * SECOND)
    town.passes(DUE - 5 * SECOND)
    assert town.status() is Status.PROCESSING


def test_who_does_not_lead_ends_nothing(town: Town) -> None:
    town.deck.run(OTHER, retries=1, timeout=TIMEOUT)
    ends: Iterable[Code] = town.refusals
    before = town.store.term()
    town.deck.do(v.Resign(OWNER, before.epoch))
    elected = town.deck.do(v.Campaign(OTHER, before.epoch, before.beat))
    assert elected.code is Code.OK
    renew = town.step

    def step(span: int = EVERY) -> None:
        renew(span)
        term = town.store.term()
        town.deck.do(v.Campaign(OTHER, term.epoch, term.beat))

    town.step = step  # type: ignore[method-assign]
    town.passes(DUE + 2 * ROUND)
    assert town.status() is Status.PROCESSING
    assert list(ends) == []

"""LeaderActor and the leases of workers from outside: each timed by itself, and ended with what it holds.

The leader is not started; the store is one in memory, and what it is asked is delivered by hand.
"""

from __future__ import annotations

import pytest

from actors.leader import LeaderActor
from actors.messages import KeepHouse, LookAtLeases, LookAtMembers, LookAtRuns, RunOverdue, Wake
from actors.storage import StorageActor
from storage import verbs as v
from storage.memory import MemoryStore
from storage.store import Store
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND
from taskqueue.core.task import Status
from tests.factories import draft
from tests.postoffice import Desk, never, registration
from tests.stores import Driver, group

TTL = 10 * SECOND


class House:
    """A leader around a store, in one thread; time passes by its ticks, one a second."""

    def __init__(self) -> None:
        self.desk = desk = Desk()
        self.store: Store = MemoryStore(desk.clock, desk.config.priority_aging)
        self.deck = Driver(self.store, desk.clock)
        self.store.execute([registration(desk.handlers)])
        self.away = False
        self.leader: LeaderActor = desk.leader_actor(registered=True)
        self._storage = StorageActor(
            never, store=self.store, clock=desk.clock, on_broken=desk.refused.append, on_written=lambda *_: None
        )
        self.tick()

    def tick(self) -> None:
        """The leader's tick, and all that comes of it."""
        self.leader.on_receive(KeepHouse())
        while self.desk.storage.mail or self.desk.leader.mail:
            mail, self.desk.storage.mail = self.desk.storage.mail, []
            for message in mail:
                if not self.away:
                    self._storage.on_receive(message)
            mail, self.desk.leader.mail = self.desk.leader.mail, []
            for message in mail:
                self.leader.on_receive(message)

    def pass_time(self, span: int) -> None:
        """Second by second."""
        for _ in range(span // SECOND):
            self.desk.clock.advance(SECOND)
            self.tick()

    def lease(self, owner: str, *tasks: str, ttl: int = TTL, **changes: object) -> None:
        """A worker claims new tasks."""
        self.deck.do(v.Lease(owner, "http", ttl))
        for name in tasks:
            self.deck.do(v.Submit(draft(name, handler=owner, **changes)))
        taken = self.deck.claim(owner, group(owner, n=len(tasks)), request=1)
        assert [task.id for part in taken.tasks for task in part] == list(tasks)

    def renew(self, owner: str, task: str) -> v.Answer:
        """The worker says that it lives."""
        answer: v.Answer = self.deck.do(v.Renew(owner, task, self.deck.get(task).fence))
        return answer

    def overdue(self) -> list[str]:
        """Whom QueueActor was told to be over its time, since the last look."""
        return [message.task.id for message in self.desk.queue.all(RunOverdue)]

    def fenced(self) -> list[str]:
        return [lease.owner for lease in self.store.leases() if lease.fenced]


@pytest.fixture
def house() -> House:
    return House()


def test_the_leader_looks_every_second_and_at_nobody_else_for_it(house: House) -> None:
    house.desk.storage.mail.clear()
    looks = 0
    for _ in range(10):
        house.desk.clock.advance(SECOND // 2)
        house.leader.on_receive(KeepHouse())
        looks += len(house.desk.storage.all(LookAtLeases))
        assert house.desk.storage.all(LookAtRuns) == []
    assert looks == 5
    assert len(house.desk.storage.all(LookAtMembers)) == 1


def test_each_lease_has_its_own_time(house: House) -> None:
    house.lease("short", "t1", ttl=3 * SECOND)
    house.lease("long", "t2")
    house.pass_time(3 * SECOND)
    assert house.fenced() == []
    house.pass_time(SECOND)
    assert house.fenced() == ["short"]
    task = house.deck.get("t1")
    assert (task.status, task.crashes) == (Status.PENDING, 1)
    assert Wake() in house.desk.scheduler.mail
    house.pass_time(TTL - 4 * SECOND)
    assert house.fenced() == ["short"]
    house.pass_time(SECOND)
    assert house.fenced() == ["long", "short"]
    assert house.deck.get("t2").crashes == 1


def test_a_lease_that_is_renewed_lives(house: House) -> None:
    house.lease("w", "t1", "t2")
    for _ in range(5):
        house.pass_time(TTL - SECOND)
        assert house.renew("w", "t2").code is ev.Code.OK
    assert house.fenced() == []
    house.pass_time(TTL + SECOND)
    assert (house.fenced(), house.deck.get("t1").crashes, house.deck.get("t2").crashes) == (["w"], 1, 1)


def test_a_leader_that_could_not_look_starts_all_timers_anew(house: House) -> None:
    house.lease("w", "t1")
    house.pass_time(TTL - SECOND)
    house.away = True
    house.pass_time(6 * SECOND)
    house.away = False
    house.pass_time(TTL)
    assert house.fenced() == []
    house.pass_time(SECOND)
    assert house.fenced() == ["w"]


def test_who_does_not_lead_ends_nothing(house: House) -> None:
    house.lease("w", "t1", ttl=SECOND)
    house.desk.coordinator.resigned()
    house.desk.coordinator.campaign = lambda now: None  # type: ignore[method-assign]
    house.pass_time(5 * SECOND)
    assert (house.fenced(), house.overdue()) == ([], [])


def test_a_successor_goes_on_with_what_was_fenced_and_not_emptied(house: House) -> None:
    house.lease("w", "t1")
    house.deck.term = house.store.term()
    assert house.deck.led(v.Fence, owner="w", beat=1).code is ev.Code.OK
    house.leader = house.desk.leader_actor(registered=True)
    house.pass_time(2 * SECOND)
    assert house.deck.get("t1").crashes == 1


def test_a_run_over_its_time_is_told_of_once_and_again_only_while_it_is_there(house: House) -> None:
    house.lease("w", "t1", "t2", ttl=3600 * SECOND, timeout=4 * SECOND)
    house.pass_time(5 * SECOND)
    assert house.overdue() == []
    house.pass_time(2 * SECOND)
    assert sorted(house.overdue()) == ["t1", "t2"]
    house.deck.happens(ev.Complete, "t1")
    house.pass_time(3 * SECOND)
    assert house.overdue() == []
    house.pass_time(2 * SECOND)
    assert house.overdue() == ["t2"], "t1 has ended meanwhile"
    house.deck.happens(ev.Complete, "t2")
    house.deck.do(v.Deregister("w"))
    house.pass_time(20 * SECOND)
    assert house.overdue() == []


def test_what_is_kept_of_a_run_is_small(house: House) -> None:
    house.lease("w", "t1", timeout=SECOND, payload=b'"' + b"x" * 1000 + b'"')
    house.pass_time(4 * SECOND)
    (message,) = house.desk.queue.all(RunOverdue)
    assert (message.task.owner, message.task.payload, message.task.history) == ("w", b"", ())


def test_a_lease_whose_claim_is_on_its_way_is_looked_at_again(house: House) -> None:
    house.deck.do(v.Lease("w", "http", TTL))
    house.pass_time(2 * SECOND)
    house.lease("w", "t1", timeout=2 * SECOND)
    house.pass_time(5 * SECOND)
    assert house.overdue() == ["t1"]

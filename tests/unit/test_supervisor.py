"""Supervisor and Handle: who died is made anew behind its address, within a budget; who hangs is not waited for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pykka
import pytest

from actors.base import NodeActor, OnDeath
from actors.handle import Handle
from actors.messages import Message, Reconcile, Wake, WatchRuns, Work
from actors.supervisor import BUDGET, WINDOW, StopAsked, Supervisor
from taskqueue.core.clock import SECOND, SystemClock
from tests.clients import until

WITHIN = 5.0


class Shifted(SystemClock):
    """The machine's clock, set ahead by the test."""

    ahead = 0

    def monotonic(self) -> int:
        return super().monotonic() + self.ahead


class Subject(NodeActor):
    """Counts what it hears; hangs until `freed`; dies of anything unknown."""

    def __init__(self, on_death: OnDeath, heard: list[str], freed: threading.Event, *, stillborn: bool = False) -> None:
        super().__init__(on_death)
        self._heard = heard
        self._freed = freed
        self._stillborn = stillborn

    def receivers(self) -> dict[type[Message], Callable[[Any], None]]:
        return {
            Wake: lambda _: self._heard.append("wake"),
            WatchRuns: lambda _: self._freed.wait(WITHIN) and None,
            Reconcile: self._exit,
        }

    def begin(self) -> None:
        self._heard.append("begin")
        if self._stillborn:
            raise ValueError("stillborn")

    def _exit(self, _: Reconcile) -> None:
        raise SystemExit(3)


class Stage:
    """A supervisor and its subjects."""

    def __init__(self, *, restarts: bool = True) -> None:
        self.clock = Shifted()
        self.restarted: list[str] = []
        self.supervisor = Supervisor(self.clock, restarts=restarts, on_restart=self.restarted.append)
        self.heard: list[str] = []
        self.freed = threading.Event()
        self.stillborn = False

    def start(self, *names: str) -> None:
        for name in names:
            self.supervisor.start(
                name, lambda died: Subject(died, self.heard, self.freed, stillborn=self.stillborn)
            )

    def tell(self, name: str, message: Message) -> bool:
        return self.supervisor.handle(name).tell(message)

    def dies(self, name: str, message: Message | None = None) -> StopAsked | None:
        """The actor dies, and the supervisor sees to it."""
        handle = self.supervisor.handle(name)
        ref = handle.ref
        assert ref is not None
        assert handle.tell(message or Work())
        until(lambda: not ref.is_alive(), WITHIN, f"{name} is dead")
        return self.supervisor.wait(0.02)

    def close(self) -> None:
        self.freed.set()
        assert self.supervisor.stop(list(self.supervisor.handles), WITHIN) == []


@pytest.fixture
def stage(caplog: pytest.LogCaptureFixture) -> Iterator[Stage]:
    logging.getLogger("pykka").setLevel(logging.CRITICAL)
    stage = Stage()
    yield stage
    stage.close()
    logging.getLogger("pykka").setLevel(logging.NOTSET)


def test_an_address_without_anybody_says_so() -> None:
    handle = Handle("nobody")
    assert not handle.tell(Wake())
    assert not handle.alive
    assert handle.ref is None
    assert handle.waiting == 0


def test_who_died_is_made_anew_behind_the_same_address(stage: Stage) -> None:
    stage.start("a", "b")
    handle = stage.supervisor.handle("a")
    before = handle.ref
    assert stage.dies("a") is None
    assert handle.ref is not before
    assert handle.alive
    assert stage.tell("a", Wake())
    until(lambda: stage.heard.count("wake") == 1, WITHIN, "the new one hears")
    assert (stage.heard.count("begin"), stage.restarted) == (3, ["a"])


def test_an_answer_to_what_an_actor_asks_as_it_begins_reaches_it(stage: Stage) -> None:
    """However fast it comes: the address is bound before the actor begins."""
    handle = stage.supervisor.handle("asks")
    answered: list[bool] = []

    class Asks(Subject):
        def begin(self) -> None:
            answered.append(handle.tell(Wake()))

    stage.supervisor.start("asks", lambda died: Asks(died, stage.heard, stage.freed))
    until(lambda: stage.heard == ["wake"], WITHIN, "it hears the answer")
    assert stage.dies("asks") is None
    until(lambda: stage.heard == ["wake"] * 2, WITHIN, "its successor does, too")
    assert answered == [True, True]


def test_a_message_to_the_dead_is_refused(stage: Stage) -> None:
    stage.start("a")
    handle = stage.supervisor.handle("a")
    ref = handle.ref
    assert ref is not None
    handle.tell(Work())
    until(lambda: not ref.is_alive(), WITHIN, "it is dead")
    assert not handle.tell(Wake())
    assert not handle.alive


def test_what_pykka_would_stop_the_whole_process_for_stops_one_actor(stage: Stage) -> None:
    stage.start("a", "b")
    other = stage.supervisor.handle("b").ref
    assert stage.dies("a", Reconcile()) is None
    assert stage.supervisor.handle("b").ref is other
    assert stage.supervisor.handle("b").alive
    assert stage.restarted == ["a"]


def test_one_death_too_many_within_a_minute_ends_the_node(stage: Stage) -> None:
    stage.start("a", "b")
    for n in range(BUDGET):
        assert stage.dies("ab"[n % 2]) is None
    asked = stage.dies("a")
    assert asked is not None
    assert asked.failed
    assert "actor a died" in asked.message
    assert f"the {BUDGET + 1}th death" in asked.message
    assert len(stage.restarted) == BUDGET


def test_deaths_that_lie_further_back_are_forgotten(stage: Stage) -> None:
    stage.start("a")
    for _ in range(BUDGET):
        assert stage.dies("a") is None
    stage.clock.ahead += WINDOW
    assert stage.dies("a") is None
    assert len(stage.restarted) == BUDGET + 1


def test_one_that_dies_as_it_begins_counts_and_ends_the_node(stage: Stage) -> None:
    stage.stillborn = True
    stage.start("a")
    asked = stage.supervisor.wait(WITHIN)
    assert asked is not None
    assert asked.failed
    assert "stillborn" in asked.message
    assert len(stage.restarted) == BUDGET


def test_without_restarts_the_dead_stay_dead(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("pykka").setLevel(logging.CRITICAL)
    stage = Stage(restarts=False)
    stage.start("a")
    assert stage.dies("a") is None
    assert not stage.supervisor.handle("a").alive
    stage.close()
    logging.getLogger("pykka").setLevel(logging.NOTSET)


def test_a_stuck_worker_is_left_behind_and_replaced_outside_the_budget(stage: Stage) -> None:
    stage.start("a")
    for _ in range(BUDGET + 1):
        assert stage.tell("a", WatchRuns())
        stage.supervisor.stuck("a")
        assert stage.supervisor.wait(0.02) is None
        assert stage.supervisor.handle("a").alive
    assert stage.restarted == []
    assert stage.tell("a", Wake())
    until(lambda: "wake" in stage.heard, WITHIN, "the last one hears")
    assert _stop_left_behind(stage) == BUDGET + 2


def test_the_death_of_one_that_was_left_behind_does_not_cost_its_successor_the_place(stage: Stage) -> None:
    stage.start("a")
    old = stage.supervisor.handle("a").ref
    assert old is not None
    old.tell(WatchRuns())
    stage.supervisor.stuck("a")
    assert stage.supervisor.wait(0.02) is None
    new = stage.supervisor.handle("a").ref
    old.tell(Work())
    stage.freed.set()
    until(lambda: not old.is_alive(), WITHIN, "the old one is dead")
    assert stage.supervisor.wait(0.05) is None
    assert stage.supervisor.handle("a").ref is new
    assert stage.restarted == []


def _stop_left_behind(stage: Stage) -> int:
    """Let those end that were left behind; how many there were with the present one."""
    refs = [ref for ref in pykka.ActorRegistry.get_all() if ref.actor_class is Subject]
    stage.freed.set()
    for ref in refs:
        ref.stop(block=True, timeout=WITHIN)
    return len(refs)


def test_stopping_waits_for_all_together_and_names_those_that_hang(stage: Stage) -> None:
    names = [f"w{n}" for n in range(10)]
    stage.start(*names)
    for name in names[:8]:
        stage.tell(name, WatchRuns())
    began = stage.clock.monotonic()
    assert stage.supervisor.stop(names, 0.2) == names[:8]
    assert stage.clock.monotonic() - began < SECOND


def test_stopping_lets_them_finish_what_waits(stage: Stage) -> None:
    stage.start("a")
    for _ in range(100):
        stage.tell("a", Wake())
    assert stage.supervisor.stop(["a"], WITHIN) == []
    assert stage.heard.count("wake") == 100
    assert stage.supervisor.stop(["a"], WITHIN) == []


def test_a_request_to_stop_is_heard_by_whoever_tends(stage: Stage) -> None:
    stage.start("a")
    told: list[StopAsked] = []
    tending = threading.Thread(target=lambda: told.append(stage.supervisor.tend()))
    tending.start()
    stage.tell("a", Work())
    until(lambda: stage.restarted == ["a"], WITHIN, "it is tended")
    stage.supervisor.ask_stop("SIGTERM")
    tending.join(WITHIN)
    assert told == [StopAsked(False, "SIGTERM")]
    stage.supervisor.ask_stop("the disk is gone", failed=True)
    assert stage.supervisor.wait(WITHIN) == StopAsked(True, "the disk is gone")
    assert stage.supervisor.wait(0.01) is None

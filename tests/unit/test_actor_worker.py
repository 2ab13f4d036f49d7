"""WorkerActor, unstarted: takes what its channel holds, and whom it tells of the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from actors.messages import Wake, Work
from actors.pool import Returned, Run, Unfinished
from actors.worker import WorkerActor
from taskqueue.context import TimedOut
from tests.postoffice import Desk, never, run_of


class ScriptedRunner:
    """Ends every run well at once, after what the test wants to happen in it."""

    def __init__(self, desk: Desk) -> None:
        self.ran: list[tuple[str, str]] = []
        self.during: Callable[[Run], None] = lambda run: None
        self._desk = desk

    def run(self, run: Run, worker: str) -> None:
        self.ran.append((run.task.id, worker))
        self._desk.pool.begin(run, worker, self._desk.clock.monotonic())
        self.during(run)
        self._desk.pool.end(run, Returned(None))

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def runner(desk: Desk) -> ScriptedRunner:
    return ScriptedRunner(desk)


def worker_of(desk: Desk, runner: ScriptedRunner, name: str = "worker-1") -> WorkerActor:
    return WorkerActor(never, name=name, channel=desk.pool.channels["thread"], pool=desk.pool, runner=runner)


def waits(desk: Desk, *ids: str) -> list[Run]:
    runs = [run_of(name) for name in ids]
    for run in runs:
        desk.pool.add(run)
        desk.pool.channels["thread"].put(run)
    return runs


def told(desk: Desk) -> list[int]:
    """How many messages each worker has got since the last look."""
    return [len(box.all(Work)) for box in desk.workers.values()]


def test_it_takes_until_the_channel_is_empty(desk: Desk, runner: ScriptedRunner) -> None:
    worker = worker_of(desk, runner)
    waits(desk, "a", "b", "c")
    worker.on_receive(Work())
    assert runner.ran == [("a", "worker-1"), ("b", "worker-1"), ("c", "worker-1")]
    assert desk.pool.idle()


def test_a_new_one_takes_what_its_predecessor_was_told_and_did_not_do(desk: Desk, runner: ScriptedRunner) -> None:
    waits(desk, "a")
    desk.pool.channels["thread"].call(1)
    worker_of(desk, runner).begin()
    assert runner.ran == [("a", "worker-1")]
    waits(desk, "b")
    told(desk)
    desk.pool.channels["thread"].call(1)
    assert told(desk) == [1, 0]


def test_it_calls_another_for_the_rest_before_it_begins(desk: Desk, runner: ScriptedRunner) -> None:
    seen: list[list[int]] = []
    runner.during = lambda run: seen.append(told(desk))
    waits(desk, "a", "b")
    desk.pool.channels["thread"].call(1)
    told(desk)
    worker_of(desk, runner).on_receive(Work())
    assert seen == [[0, 1], [0, 0]]


def test_what_is_brisk_it_does_alone(desk: Desk, runner: ScriptedRunner) -> None:
    desk.pool._pace["thread"] = 10.0
    waits(desk, "a", "b", "c")
    worker_of(desk, runner).on_receive(Work())
    assert told(desk) == [0, 0]


def test_while_it_is_in_a_handler_the_free_ones_are_told_first(desk: Desk, runner: ScriptedRunner) -> None:
    """A busy worker looks again by itself; a run that comes meanwhile is for one who can begin it now."""
    channel = desk.pool.channels["thread"]
    waits(desk, "long")
    channel.call(1)
    assert told(desk) == [1, 0]

    def more(run: Run) -> None:
        if run.task.id == "long":
            waits(desk, "next")
            channel.call(1)

    runner.during = more
    worker_of(desk, runner).on_receive(Work())
    assert told(desk) == [0, 1]
    assert [name for name, _ in runner.ran] == ["long", "next"]


def test_what_comes_between_its_last_look_and_its_rest_is_not_missed(desk: Desk, runner: ScriptedRunner) -> None:
    """A run is put, and nobody is told because all have been, just before the worker says that it wants to be."""
    channel = desk.pool.channels["thread"]
    channel.call(2)
    heard = channel.heard

    def put_first(name: str) -> None:
        if not runner.ran:
            waits(desk, "late")
            channel.call(2)
        heard(name)

    channel.heard = put_first  # type: ignore[method-assign]
    told(desk)
    worker_of(desk, runner).on_receive(Work())
    assert told(desk) == [0, 0]
    assert runner.ran == [("late", "worker-1")]


def test_one_that_was_left_behind_takes_nothing_more(desk: Desk, runner: ScriptedRunner) -> None:
    """Its name, its mail and its channel belong to its successor, also what it had been told before."""
    runner.during = lambda run: desk.pool.end(run, Unfinished(), abandon=True)  # type: ignore[assignment,return-value]
    [hung, *_] = waits(desk, "hung", "b", "c")
    worker = worker_of(desk, runner)
    worker.on_receive(Work())
    worker.on_receive(Work())
    assert runner.ran == [("hung", "worker-1")]
    assert hung.ending == Unfinished()
    desk.pool.channels["thread"].call(1)
    assert told(desk) == [1, 1]


@pytest.mark.parametrize("begins", [False, True])
def test_what_it_held_when_it_died_goes_back(desk: Desk, runner: ScriptedRunner, begins: bool) -> None:
    def bug(run: Run) -> None:
        raise ValueError("a bug in the runner")

    runner.during = bug
    first, second = waits(desk, "a", "b")
    worker = worker_of(desk, runner)
    with pytest.raises(ValueError, match="a bug"):
        worker.begin() if begins else worker.on_receive(Work())
    assert (first.ending, second.ended) == (Unfinished(), False)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), TimedOut()])
def test_nothing_that_would_stop_every_actor_gets_out(
    desk: Desk, runner: ScriptedRunner, error: BaseException
) -> None:
    """Pykka stops all actors of the process for what is no Exception, and calls no hook."""

    def bug(run: Run) -> None:
        raise error

    runner.during = bug
    [run] = waits(desk, "a")
    with pytest.raises(RuntimeError, match=type(error).__name__):
        worker_of(desk, runner).on_receive(Work())
    assert run.ending == Unfinished()


def test_an_unknown_message_is_a_bug(desk: Desk, runner: ScriptedRunner) -> None:
    with pytest.raises(TypeError, match="WorkerActor does not know the message Wake"):
        worker_of(desk, runner).on_receive(Wake())

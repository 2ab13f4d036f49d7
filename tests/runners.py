"""Runners outside of a node: one alone with runs to give it, and workers on threads that are watched over as in one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from actors.channel import Channel
from actors.loop import LoopRunner
from actors.messages import WatchRuns
from actors.pool import Ending, Pool, Raised, Run
from actors.runners import Desk, Runner, ThreadRunner
from actors.scheduler import SchedulerActor
from actors.supervisor import Supervisor
from actors.worker import WorkerActor
from cluster.incarnation import Incarnation
from taskqueue.core.clock import Clock, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.ids import CountingIds
from taskqueue.core.task import Cause
from taskqueue.handlers import TaskFunction
from tests.clients import until
from tests.postoffice import Box, SetTicker, handlers_of, run_of

LARGEST = 1_000
"""So many bytes a result may have."""
WITHIN = 10.0


class Bench:
    """A runner, its pool, and runs to give it."""

    def __init__(self, kind: type[ThreadRunner] | type[LoopRunner] = ThreadRunner) -> None:
        self.clock = SystemClock()
        self.queue = Box()
        self.pool = Pool({}, self.queue)
        self.runner: Runner = kind(Desk(self.pool, self.clock, LARGEST))
        self._number = itertools.count()

    def begin(self, function: TaskFunction[Any, Any], payload: bytes = b"{}", **changes: Any) -> Run:
        """A run of this handler, given to the runner."""
        handlers = handlers_of(function)
        name = function.handler.name
        run = run_of(f"t{next(self._number)}", handlers, handler=name, payload=payload, **changes)
        self.pool.add(run)
        self.runner.run(run, "worker-1")
        return run

    def ending(self, function: TaskFunction[Any, Any], payload: bytes = b"{}", **changes: Any) -> Ending:
        """How a run of this handler ends."""
        return ended(self.begin(function, payload, **changes))


def ended(run: Run) -> Ending:
    until(lambda: run.ended, WITHIN, "the run has ended")
    assert run.ending is not None
    return run.ending


def is_timeout(ending: Ending, seconds: str) -> bool:
    return ending == Raised("TimedOut", f"not finished within its time-out of {seconds} s", Cause.TIMEOUT)


def watched(scheduler: SchedulerActor, run: Run) -> Ending:
    """Watch over deadlines until the run has ended: how."""

    def over() -> bool:
        scheduler.on_receive(WatchRuns())
        return run.ended

    until(over, WITHIN, "the run has ended")
    assert run.ending is not None
    return run.ending


def watcher(pool: Pool, clock: Clock, on_stuck: Callable[[str], None], workers: int = 1) -> SchedulerActor:
    """A scheduler that claims nothing, and sees to deadlines."""
    return SchedulerActor(
        lambda error: None,
        incarnation=Incarnation(CountingIds("me-")),
        config=Config(worker_count=workers),
        clock=clock,
        handlers={},
        address=Box(),
        queue=Box(),
        storage=Box(),
        pool=pool,
        ticker=SetTicker(),
        on_stuck=on_stuck,
        may_claim=lambda: False,
    )


class Crew:
    """Workers on threads, watched over: a scheduler that sees to deadlines, and a supervisor that replaces the stuck.
    """

    def __init__(self, workers: int = 1) -> None:
        self.clock = clock = SystemClock()
        self.restarted: list[str] = []
        self.supervisor = Supervisor(clock, on_restart=self.restarted.append)
        names = [f"worker-{n}" for n in range(1, workers + 1)]
        self.channel = Channel({name: self.supervisor.handle(name) for name in names})
        self.pool = Pool({"thread": self.channel}, Box())
        runner = ThreadRunner(Desk(self.pool, clock, LARGEST))
        for name in names:
            self.supervisor.start(name, self._factory(name, runner))
        self.scheduler = watcher(self.pool, clock, self.supervisor.stuck, workers)
        self.names = names

    def _factory(self, name: str, runner: Runner) -> Callable[[Any], Any]:
        return lambda died: WorkerActor(died, name=name, channel=self.channel, pool=self.pool, runner=runner)

    def begin(self, function: TaskFunction[Any, Any], id: str = "t1", **changes: Any) -> Run:
        named = {"handler": function.handler.name, "payload": b"{}", **changes}
        run = run_of(id, handlers_of(function), self.clock.monotonic(), **named)
        self.pool.add(run)
        self.channel.put(run)
        self.channel.call(1)
        return run

    def watch(self, run: Run) -> Ending:
        """Watch over the runs until this one has ended."""
        return watched(self.scheduler, run)

    def close(self) -> None:
        assert self.supervisor.wait(0.001) is None
        assert self.supervisor.stop(self.names, WITHIN) == []

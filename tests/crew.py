"""The actors of one node, unstarted: what they share, how each of them is made, and which ticks they get.

Whoever runs them says where mail goes and how time passes: one node in one thread (`tests/house.py`), or many of them
around one store (`tests/simulation/`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.base import NodeActor
from actors.beater import Beater
from actors.board import Board
from actors.callers import Callers
from actors.channel import Channel
from actors.health import HealthActor
from actors.leader import LeaderActor
from actors.messages import (
    Address,
    CheckUnsettled,
    KeepHouse,
    Message,
    Reconcile,
    SendTally,
    TakePulse,
    Wake,
    WatchRuns,
)
from actors.meter import Meter
from actors.metrics import Metrics
from actors.pool import Pool
from actors.queue import QueueActor
from actors.runners import Runner
from actors.scheduler import SchedulerActor
from actors.ticker import Ticker
from actors.watchers import Rates, Watchers
from actors.worker import WorkerActor
from cluster.coordinator import Coordinator
from cluster.incarnation import Incarnation
from storage import verbs as v
from taskqueue.core.clock import MILLISECOND, SECOND, Clock
from taskqueue.core.config import Config
from tests.postoffice import HANDLERS, never

Factory = Callable[[], NodeActor]


class Crew:
    """See the module. `desk` gives the address behind a name; `seat` the channel as one worker sees it."""

    def __init__(
        self,
        desk: Callable[[str], Address],
        *,
        register: v.Register,
        incarnation: Incarnation,
        config: Config,
        clock: Clock,
        random: Callable[[], float],
        coordinator: Coordinator,
        beater: Beater,
        metrics: Metrics,
        ticker: Ticker,
        runner: Runner,
        on_stuck: Callable[[str], None],
        on_refused: Callable[[str], None],
        on_begun_anew: Callable[[], None] = lambda: None,
        seat: Callable[[str, Channel], Any] = lambda _, channel: channel,
    ) -> None:
        self._config = config
        names = [f"worker-{n}" for n in range(1, config.worker_count + 1)]
        self.channels = {
            "thread": Channel({name: desk(name) for name in names}),
            "async": Channel({"worker-async": desk("worker-async")}),
        }
        self.pool = pool = Pool(self.channels, desk("queue"))
        self.board = board = Board(config, clock.now(), clock.monotonic())
        self.watchers = watchers = Watchers()
        self.callers = callers = Callers()
        self.coordinator = coordinator
        common: dict[str, Any] = {"config": config, "clock": clock}
        addresses: dict[str, Any] = {"storage": desk("storage"), "scheduler": desk("scheduler")}
        meter = Meter(Rates(clock), metrics)
        self.factories: dict[str, Factory] = {
            "queue": lambda: QueueActor(
                never,
                random=random,
                address=desk("queue"),
                health=desk("health"),
                leader=desk("leader"),
                pool=pool,
                handlers=HANDLERS,
                watchers=watchers,
                callers=callers,
                meter=meter,
                open_doors=lambda: not board.closing,
                **addresses,
                **common,
            ),
            "scheduler": lambda: SchedulerActor(
                never,
                incarnation=incarnation,
                handlers=HANDLERS,
                address=desk("scheduler"),
                queue=desk("queue"),
                storage=desk("storage"),
                pool=pool,
                ticker=ticker,
                on_stuck=on_stuck,
                may_claim=lambda: board.may_claim(clock.monotonic()),
                **common,
            ),
            "leader": lambda: LeaderActor(
                never,
                incarnation=incarnation,
                coordinator=coordinator,
                address=desk("leader"),
                queue=desk("queue"),
                ticker=ticker,
                random=random,
                on_finished=watchers.finished,
                meter=meter,
                may_lead=lambda: board.trusted(clock.monotonic()),
                **addresses,
                **common,
            ),
            "health": lambda: HealthActor(
                never,
                register=register,
                incarnation=incarnation,
                coordinator=coordinator,
                beater=beater,
                address=desk("health"),
                leader=desk("leader"),
                pool=pool,
                board=board,
                on_refused=on_refused,
                on_begun_anew=on_begun_anew,
                **addresses,
                **common,
            ),
        }
        for name in (*names, "worker-async"):
            channel = seat(name, self.channels["async" if name == "worker-async" else "thread"])
            self.factories[name] = _worker(name, channel, pool, runner)

    def ticks(self, watch: int = 250 * MILLISECOND, house: int = SECOND) -> list[tuple[int, str, Message]]:
        """Who is told what, and how often; `watch`: how often runs are looked at, `house`: the house is kept."""
        return [
            (self._config.poll_interval, "scheduler", Wake()),
            (watch, "scheduler", WatchRuns()),
            (5 * SECOND, "scheduler", Reconcile()),
            (1 * SECOND, "queue", CheckUnsettled()),
            (10 * SECOND, "queue", SendTally()),
            (house, "leader", KeepHouse()),
            (self._config.heartbeat_interval, "health", TakePulse()),
        ]


def _worker(name: str, channel: Any, pool: Pool, runner: Runner) -> Factory:
    return lambda: WorkerActor(never, name=name, channel=channel, pool=pool, runner=runner)

"""The composition root: builds a node from its parts, runs it, and takes it down in order. `python -m actors.node`.

stop accepting -> stop claiming -> let running finish (grace) -> release the rest -> resign, deregister -> stop the
API, the ticker and the actors -> close the store
"""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from actors.asking import Waiter
from actors.board import Board
from actors.callers import Announcer, Callers
from actors.channel import Channel
from actors.company import Company, check, time_of
from actors.gateway import NodeGateway
from actors.health import HealthActor
from actors.hints import Hints
from actors.interpreter import collect_seldom, switch_often
from actors.leader import LeaderActor
from actors.loop import LoopRunner
from actors.messages import (
    CheckUnsettled,
    GiveBack,
    KeepHouse,
    Leave,
    Message,
    Reconcile,
    SendTally,
    SetClaiming,
    StepDown,
    TakePulse,
    Wake,
    WatchRuns,
)
from actors.meter import Meter
from actors.metrics import Metrics
from actors.pool import Pool
from actors.queue import QueueActor
from actors.runners import Desk, Runner, ThreadRunner
from actors.scheduler import SchedulerActor
from actors.storage import StorageActor
from actors.supervisor import Factory, StopAsked, Supervisor
from actors.ticker import ThreadTicker
from actors.views import Views
from actors.watchers import Rates, Watchers
from actors.worker import WorkerActor
from api.app import create_app
from api.listener import NO_ROUTE
from api.routes import SOON
from api.server import Server
from api.settings import settings_of
from cluster.incarnation import Incarnation
from storage.store import Store, open_store
from storage.verbs import Register
from taskqueue import builtin, logs
from taskqueue.core.clock import MILLISECOND, SECOND, Clock, FollowingClock, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError, StoreDamaged, StoreError, TaskqueueError, Unavailable
from taskqueue.core.ids import UuidIds
from taskqueue.core.settings import load, render
from taskqueue.handlers import Handler
from taskqueue.modules import collect, import_modules
from taskqueue.stopping import SIGNALS, StopEarly, ignore_signals, raise_on_signals

log = logging.getLogger("taskqueue.node")

HARD_END = 10.0
"""Seconds after the grace in which the node has to be down; then the process ends as it is."""

RELEASE_WITHIN = 3 * SECOND // 2
"""How long the node waits at its end until the store has taken back what it was given back."""

PATIENCE = 2.0
"""Seconds that the node's end waits for one of its parts."""

GIVEN_UP = 0.1
"""The same for the store, once it has not answered."""

THREADS_END = 0.5
"""Seconds that the interpreter waits, once the node is down, for threads that handlers have started."""


class Node:
    """A running node. Made by `build`; `start` it, then `stop` it, or `run` it until somebody asks it to stop."""

    def __init__(
        self, config: Config, clock: Clock, store: Store, handlers: Mapping[str, Handler], *, restarts: bool
    ) -> None:
        self.config = config
        metrics = Metrics(handlers, (name for name in config.queues if name != "*"))
        self.supervisor = Supervisor(clock, restarts=restarts, on_restart=metrics.restarted)
        self._clock = clock
        self._store = store
        self._ended = threading.Event()
        self._asked: StopAsked | None = None
        self._handlers = handlers
        ids = UuidIds(clock, os.urandom)
        me = Incarnation(ids)
        handle = self.supervisor.handle
        names = [f"worker-{n}" for n in range(1, config.worker_count + 1)]
        channels = {
            "thread": Channel({name: handle(name) for name in names}),
            "async": Channel({"worker-async": handle("worker-async")}),
        }
        self.pool = Pool(channels, handle("queue"))
        self.board = Board(config, clock.now(), clock.monotonic())
        self.ticker = ThreadTicker(clock)
        self._company = company = Company(config, store, me, handle("storage"))
        self._coordinator = coordinator = company.coordinator
        self._watchers = watchers = Watchers()
        self._callers = callers = Callers()
        rates = Rates(clock)
        meter = Meter(rates, metrics)
        desk = Desk(self.pool, clock, config.max_result_bytes)
        self._loop = LoopRunner(desk)
        register = Register(
            owner=me.owner,
            node=config.node_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            workers=config.worker_count,
            queues=config.queues,
            handlers=tuple(handler.declaration() for handler in handlers.values()),
            alone=coordinator.alone,
        )
        fail = lambda message: self.supervisor.ask_stop(message, failed=True)  # noqa: E731 - said twice below
        self._factories: dict[str, Factory] = {
            "storage": lambda died: StorageActor(
                died, store=store, clock=clock, on_broken=fail, on_written=metrics.wrote
            ),
            "queue": lambda died: QueueActor(
                died,
                config=config,
                clock=clock,
                random=random.random,
                address=handle("queue"),
                storage=handle("storage"),
                scheduler=handle("scheduler"),
                health=handle("health"),
                leader=handle("leader"),
                pool=self.pool,
                handlers=handlers,
                watchers=watchers,
                callers=callers,
                meter=meter,
                open_doors=lambda: not self.board.closing,
            ),
            "scheduler": lambda died: SchedulerActor(
                died,
                incarnation=me,
                config=config,
                clock=clock,
                handlers=handlers,
                address=handle("scheduler"),
                queue=handle("queue"),
                storage=handle("storage"),
                pool=self.pool,
                ticker=self.ticker,
                on_stuck=self.supervisor.stuck,
                on_look=switch_often,
                may_claim=lambda: self.board.may_claim(clock.monotonic()),
            ),
            "leader": lambda died: LeaderActor(
                died,
                incarnation=me,
                config=config,
                clock=clock,
                coordinator=coordinator,
                address=handle("leader"),
                storage=handle("storage"),
                scheduler=Announcer(handle("scheduler"), callers),
                queue=handle("queue"),
                ticker=self.ticker,
                meter=meter,
                random=random.random,
                on_finished=watchers.finished,
                may_lead=lambda: self.board.trusted(clock.monotonic()),
            ),
            "health": lambda died: HealthActor(
                died,
                register=register,
                incarnation=me,
                config=config,
                clock=clock,
                coordinator=coordinator,
                beater=company.beater,
                address=handle("health"),
                storage=handle("storage"),
                scheduler=handle("scheduler"),
                leader=handle("leader"),
                pool=self.pool,
                board=self.board,
                on_refused=self._refused,
                on_begun_anew=self._begun_anew,
                on_time=clock.heard if isinstance(clock, FollowingClock) else None,
            ),
        }
        for name in names:
            self._factories[name] = self._worker(name, "thread", ThreadRunner(desk))
        self._factories["worker-async"] = self._worker("worker-async", "async", self._loop)
        views = Views(
            incarnation=me,
            config=config,
            clock=clock,
            store=store,
            coordinator=coordinator,
            board=self.board,
            rates=rates,
            handles=self.supervisor.handles,
            metrics=metrics,
            pool=self.pool,
            scheduling=frozenset(handler.name for handler in handlers.values() if handler.schedule is not None),
            redis=company.redis,
        )
        self._hints = Hints(
            incarnation=me,
            handlers=handlers,
            queues=config.queues,
            board=self.board,
            callers=callers,
            random=random.random,
            ticker=self.ticker,
            scheduler=handle("scheduler"),
            leader=handle("leader"),
            health=handle("health"),
        )
        self.gateway = NodeGateway(
            config=config,
            clock=clock,
            ids=ids,
            store=store,
            queue=handle("queue"),
            handlers=handlers,
            watchers=watchers,
            callers=callers,
            views=views,
            open_doors=lambda: not self.board.closing,
        )
        self._server = Server(
            create_app(self.gateway, settings_of(config), clock),
            config,
            clock=clock,
            refused=lambda status: metrics.answered(NO_ROUTE, status),
            soon=SOON,
        )

    @property
    def port(self) -> int:
        """Where the API listens."""
        return self._server.port

    def _worker(self, name: str, kind: str, runner: Runner) -> Factory:
        return lambda died: WorkerActor(
            died, name=name, channel=self.pool.channels[kind], pool=self.pool, runner=runner
        )

    def start(self) -> None:
        """Start everything; the node is ready when this returns."""
        for name, factory in self._factories.items():
            self.supervisor.start(name, factory)
        self._tick(self.config.poll_interval, "scheduler", Wake())
        self._tick(50 * MILLISECOND, "scheduler", WatchRuns())
        self._tick(5 * SECOND, "scheduler", Reconcile())
        self._tick(1 * SECOND, "queue", CheckUnsettled())
        self._tick(10 * SECOND, "queue", SendTally())
        self._tick(self._company.house_every, "leader", KeepHouse())
        self._tick(self.config.heartbeat_interval, "health", TakePulse())
        self.ticker.start()
        self._company.start(self._hints)
        try:
            self._declare_schedules()
        except (Unavailable, StoreError) as error:
            if self._coordinator.alone:
                self.supervisor.ask_stop(f"the schedules that stand in code cannot be stored: {error}", failed=True)
            else:
                self._begun_anew()  # Redis went away just now
        self._server.start()
        within = self.config.lease_ttl + 2 * SECOND
        asked = self._until(lambda: self.board.registered, within)
        while not (self._coordinator.alone or self.board.registered or asked):  # the store went away just now
            asked = self._until(lambda: self.board.registered, within)
        if asked is not None:  # `run` is to hear of it, before whatever came later
            self._asked = asked
            self.supervisor.ask_stop(asked.message, failed=asked.failed, refused=asked.refused)

    def _declare_schedules(self) -> None:
        anchor = self._clock.now() // MILLISECOND * MILLISECOND
        for handler in self._handlers.values():
            if handler.schedule is not None:
                self.gateway.schedules.declare(handler.name, replace(handler.schedule, anchor=anchor))

    def _refused(self, message: str) -> None:
        """The store does not take this node for a member: exit 2 where it never was one."""
        self.supervisor.ask_stop(message, failed=True, refused=not (self._coordinator.alone or self.board.rebirths))

    def _begun_anew(self) -> None:
        """The schedules that stand in code may be gone with what the store held before."""
        threading.Thread(target=self._declare_again, name="schedules", daemon=True).start()

    def _declare_again(self) -> None:
        while not self.board.closing:
            try:
                self._declare_schedules()
                return
            except TaskqueueError as error:
                log.warning("the schedules that stand in code are not stored yet: %s", error)
                self._ended.wait(1.0)

    def _tick(self, interval: int, name: str, message: Message) -> None:
        self.ticker.every(interval, self.supervisor.handle(name), message)

    def run(self) -> int:
        """Run until somebody asks to stop, or the node cannot go on; the exit code."""
        for number in SIGNALS:
            signal.signal(number, lambda n, _: self.supervisor.ask_stop(signal.Signals(n).name))
        self.start()
        if self.board.registered:
            log.info("ready on %s:%d", self.config.api_host, self.port, extra={"event": "ready", "port": self.port})
        asked = self._asked or self.supervisor.tend()
        if asked.refused:
            log.info("not started: %s", asked.message)
        elif asked.failed:
            log.error("the node ends: %s", asked.message, extra={"event": "failed"})
        else:
            log.info("stopping (%s)", asked.message, extra={"event": "stopping"})
        _end_hard_after(self.config.shutdown_grace / SECOND + HARD_END, 1)
        self.stop(now=asked.failed)
        ignore_signals()
        log.info("stopped", extra={"event": "stopped"})
        if asked.refused:
            raise ConfigError(asked.message)
        return 1 if asked.failed else 0

    def stop(self, *, now: bool = False) -> None:
        """Take the node down in order; `now` does not wait for what runs."""
        self.board.closing = True
        self._ended.set()
        self._callers.call()  # they see that the doors are closed
        self._company.deafen()
        handle = self.supervisor.handle
        handle("scheduler").tell(SetClaiming(on=False))
        grace = 0 if now else self.config.shutdown_grace
        self._until(lambda: self.pool.idle() and not self.pool.asking, grace)
        handle("scheduler").tell(GiveBack(running=True))
        self._until(lambda: not (self.pool.keys() or self.pool.asking), RELEASE_WITHIN)
        # A store that has said nothing so far is not waited for again at each step: others will take back what is left.
        patience = GIVEN_UP if self.pool.keys() or self.pool.asking else PATIENCE
        handle("queue").tell(SendTally())
        for message, name in ((StepDown, "leader"), (Leave, "health")):
            waiter = Waiter()
            if handle(name).tell(message(reply_to=waiter)) and waiter.wait(patience) is None:
                patience = GIVEN_UP
        self._watchers.close()
        self._server.stop()
        self.ticker.stop()
        handlers_end = 0.5  # they had the grace; who is still in one will not come back soon
        for names, seconds in (
            (("scheduler", "leader", "health"), PATIENCE),
            (self._workers(), handlers_end),
            (("queue",), PATIENCE),
            (("storage",), patience),
        ):
            for name in self.supervisor.stop(names, seconds):
                log.warning("%s did not stop in time and is left behind", name)
        if patience == GIVEN_UP:
            self._store.close()  # cuts short whoever still waits for it
        self._company.stop(patience)
        self._loop.close()
        self._store.close()

    def _workers(self) -> list[str]:
        return [name for name in self.supervisor.handles if name.startswith("worker-")]

    def _until(self, done: Callable[[], bool], within: int) -> StopAsked | None:
        """Tend the actors until `done`, for `within` microseconds at most; a second request to stop cuts it short."""
        end = self._clock.monotonic() + within
        while not done() and self._clock.monotonic() < end:
            if (asked := self.supervisor.wait(0.02)) is not None:
                return asked
        return None


def build(
    config: Config, *, clock: Clock | None = None, handlers: Mapping[str, Handler] | None = None, restarts: bool = True
) -> Node:
    """A node that is not started yet. Opens the store; raises ConfigError where that is not possible.

    Args:
        handlers: instead of those that `config.handlers` names.
        restarts: whether actors that die are restarted (tests look at what stops when they are not).
    """
    clock = clock or SystemClock()
    config = named(config)
    for line in check(config):
        log.warning("%s", line)
    if handlers is None:
        handlers = collect([builtin, *import_modules(config.handlers, config.app_dir)])
    store = open_store(config, clock)
    try:
        return Node(config, time_of(config, store, clock), store, handlers, restarts=restarts)
    except BaseException:
        store.close()
        raise


def _end_hard_after(seconds: float, code: int) -> None:
    """A hanging handler, disk or thread must not keep a node from ending."""
    timer = threading.Timer(seconds, lambda: os._exit(code))
    timer.daemon = True
    timer.start()


def named(config: Config) -> Config:
    """The same, with a name for the node where it has none: host, pid, and something random."""
    if config.node_id:
        return config
    return replace(config, node_id=f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}")


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m actors.node`: the exit code, with which the process has to end soon after this has returned."""
    raise_on_signals()
    try:
        loaded = load(sys.argv[1:] if argv is None else argv, os.environ, lambda path: Path(path).read_bytes())
        if loaded.print_config:
            print(render(loaded.config), flush=True)
            return 0
        config = named(loaded.config)
        logs.setup(config.log_level, config.log_format, config.node_id)
        node = build(config)
        collect_seldom()
        code = node.run()
    except (ConfigError, StoreDamaged) as error:
        print(error, file=sys.stderr)
        return 2
    except StopEarly as asked:
        ignore_signals()
        log.info("stopped (%s) before it was ready", asked, extra={"event": "stopped"})
        return 0
    except BrokenPipeError:  # of --print-config: its reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    _end_hard_after(THREADS_END, code)
    return code


if __name__ == "__main__":
    sys.exit(main())

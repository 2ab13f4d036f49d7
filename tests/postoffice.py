"""Actors without threads: addresses that keep what they are told, a ticker that a test moves, handlers and runs to
hold, and each actor built unstarted. Hooks of the node (may it claim, are the doors open) are plain fields here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from actors.beater import StorageBeater
from actors.board import Board
from actors.callers import Callers
from actors.channel import Channel
from actors.health import HealthActor
from actors.leader import LeaderActor
from actors.messages import Address, Message, Wake, Write, Written
from actors.meter import Meter
from actors.metrics import Metrics
from actors.pool import Ending, Pool, Run
from actors.queue import QueueActor
from actors.scheduler import SchedulerActor
from actors.watchers import Rates, Watchers
from cluster.incarnation import Incarnation
from cluster.solo import SoloCoordinator
from storage import verbs as v
from taskqueue import builtin, task
from taskqueue.core.clock import ManualClock
from taskqueue.core.config import Config
from taskqueue.core.ids import CountingIds
from taskqueue.core.task import Status, Task, born
from taskqueue.handlers import Handler, TaskFunction
from taskqueue.modules import collect
from tests.factories import draft

M = TypeVar("M", bound=Message)

OWNER = "me-1"


def never(error: BaseException) -> None:
    """What an unstarted actor reports its death to."""
    raise AssertionError("an actor that was not started cannot die") from error


class Box:
    """An address that keeps its mail; a deaf one takes none."""

    def __init__(self) -> None:
        self.mail: list[Message] = []
        self.deaf = False

    def tell(self, message: Message) -> bool:
        if not self.deaf:
            self.mail.append(message)
        return not self.deaf

    def all(self, kind: type[M]) -> list[M]:
        """Take out every message of this kind."""
        found = [message for message in self.mail if type(message) is kind]
        self.mail = [message for message in self.mail if type(message) is not kind]
        return found

    def one(self, kind: type[M]) -> M:
        """Take out the message of this kind; there has to be exactly one."""
        [message] = self.all(kind)
        return message


class SetTicker:
    """Keeps what it is asked to tell later: (delay, address, message)."""

    def __init__(self) -> None:
        self.alarms: list[tuple[int, Address, Message]] = []

    def every(self, interval: int, address: Address, message: Message) -> None:
        raise AssertionError("actors ask for single alarms only")

    def after(self, delay: int, address: Address, message: Message) -> None:
        self.alarms.append((delay, address, message))


# -- handlers and runs -------------------------------------------------------------------------------------------------


@task("capped", max_running=2)
def capped() -> None:
    """A handler with a capacity of its own."""


HANDLERS: dict[str, Handler] = {**collect([builtin]), "capped": capped.handler}
"""`echo` and `fail` (threads), `sleep` (the loop), `capped` (two at a time)."""


def handlers_of(*functions: TaskFunction[Any, Any]) -> dict[str, Handler]:
    """Handlers by name."""
    return {function.handler.name: function.handler for function in functions}


def claimed(id: str = "t1", fence: int = 7, **changes: Any) -> Task:
    """A task as a claim hands it out."""
    held = {name: changes.pop(name) for name in ("solo", "retries_left", "attempt") if name in changes}
    fresh = born(draft(id, **changes), ManualClock().now())
    return replace(fresh, **{"status": Status.PROCESSING, "owner": OWNER, "fence": fence, "attempt": 1, **held})


def run_of(id: str = "t1", handlers: Mapping[str, Handler] = HANDLERS, arrived: int = 0, **changes: Any) -> Run:
    """A run of a claimed task."""
    one = claimed(id, **changes)
    return Run(one, handlers[one.handler], arrived)


# -- one actor and its surroundings ------------------------------------------------------------------------------------


class Desk:
    """What the actors of a node share, and the boxes around the one that a test looks at."""

    def __init__(self, config: Config | None = None, handlers: Mapping[str, Handler] = HANDLERS) -> None:
        self.config = config or Config(worker_count=2, async_concurrency=3)
        self.handlers = handlers
        self.clock = ManualClock()
        self.clock.advance(1_000_000)
        self.queue, self.storage, self.scheduler, self.leader, self.health = (Box() for _ in range(5))
        self.reply = Box()
        self.workers = {name: Box() for name in ("worker-1", "worker-2")}
        self.loop = {"worker-async": Box()}
        self.pool = Pool({"thread": Channel(self.workers), "async": Channel(self.loop)}, self.queue)
        self.ticker = SetTicker()
        self.watchers = Watchers()
        self.callers = Callers()
        self.meter = Meter(Rates(self.clock), Metrics(handlers, self.config.queues))
        self.board = Board(self.config, self.clock.now(), self.clock.monotonic())
        self.me = Incarnation(CountingIds("me-"))
        self.coordinator = SoloCoordinator(OWNER)
        self.chance = 0.5
        self.doors = True
        self.may_claim = True
        self.stuck: list[str] = []
        self.long: list[bool] = []
        self.refused: list[str] = []
        self.finished: list[str] = []
        self.begun_anew: list[str] = []

    def queue_actor(self, **addresses: Any) -> QueueActor:
        """A QueueActor; its own address, storage, scheduler and health may be others than the boxes."""
        boxes = {"address": self.queue, "storage": self.storage, "scheduler": self.scheduler, "health": self.health}
        boxes["leader"] = self.leader
        return QueueActor(
            never,
            config=self.config,
            clock=self.clock,
            random=lambda: self.chance,
            pool=self.pool,
            handlers=self.handlers,
            watchers=self.watchers,
            callers=self.callers,
            meter=self.meter,
            open_doors=lambda: self.doors,
            **{**boxes, **addresses},
        )

    def scheduler_actor(self, **addresses: Any) -> SchedulerActor:
        """A SchedulerActor."""
        boxes = {"address": self.scheduler, "queue": self.queue, "storage": self.storage, "ticker": self.ticker}
        return SchedulerActor(
            never,
            incarnation=self.me,
            config=self.config,
            clock=self.clock,
            handlers=self.handlers,
            pool=self.pool,
            on_stuck=self.stuck.append,
            on_look=self.long.append,
            may_claim=lambda: self.may_claim,
            **{**boxes, **addresses},
        )

    def leader_actor(self, registered: bool = False, **addresses: Any) -> LeaderActor:
        """A LeaderActor, in a node that is registered or is not."""
        self.board.registered = registered
        boxes = {"address": self.leader, "storage": self.storage, "scheduler": self.scheduler, "queue": self.queue}
        return LeaderActor(
            never,
            incarnation=self.me,
            config=self.config,
            clock=self.clock,
            coordinator=self.coordinator,
            ticker=self.ticker,
            meter=self.meter,
            random=lambda: self.chance,
            on_finished=self.finished.extend,
            may_lead=lambda: self.board.trusted(self.clock.monotonic()),
            **{**boxes, **addresses},
        )

    def health_actor(self, **addresses: Any) -> HealthActor:
        """A HealthActor."""
        boxes = {"address": self.health, "storage": self.storage, "scheduler": self.scheduler, "leader": self.leader}
        return HealthActor(
            never,
            register=registration(self.handlers, alone=self.coordinator.alone),
            incarnation=self.me,
            config=self.config,
            clock=self.clock,
            coordinator=self.coordinator,
            pool=self.pool,
            board=self.board,
            on_refused=self.refused.append,
            on_begun_anew=lambda: self.begun_anew.append(self.me.owner),
            **{"beater": StorageBeater(self.storage), **boxes, **addresses},
        )

    # -- the pool ------------------------------------------------------------------------------------------------------

    def begun(self, id: str = "t1", worker: str = "worker-1", **changes: Any) -> Run:
        """A run whose handler has begun."""
        run = run_of(id, self.handlers, **changes)
        assert self.pool.add(run)
        assert self.pool.begin(run, worker, self.clock.monotonic())
        return run

    def ended(self, ending: Ending, id: str = "t1", **changes: Any) -> Run:
        """A run that has ended this way."""
        run = self.begun(id, **changes)
        assert self.pool.end(run, ending, self.clock.monotonic())
        return run

    # -- the store's place ---------------------------------------------------------------------------------------------

    def written(self, actor: Callable[[Message], None], *results: Any) -> Write:
        """Answer the one write that waits in the storage box with these results; the write."""
        write = self.storage.one(Write)
        actor(Written(results=results, ticket=write.ticket))
        return write


def registration(
    handlers: Mapping[str, Handler] = HANDLERS, owner: str = OWNER, node: str = "me", *, alone: bool = True
) -> v.Register:
    """How a node makes itself known."""
    return v.Register(
        owner=owner,
        node=node,
        host="host",
        pid=42,
        workers=2,
        queues=("default",),
        handlers=tuple(handler.declaration() for handler in handlers.values()),
        alone=alone,
    )


def wakes(mail: Iterable[Message]) -> int:
    """How often somebody was told that there may be work."""
    return sum(type(message) is Wake for message in mail)

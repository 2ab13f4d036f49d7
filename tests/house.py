"""A whole node in one thread: its actors unstarted, their messages delivered in a seeded random order, on a clock that
moves when nothing else does. Actors die at random and lose their mail; a commit may be done and its answer lost with
the StorageActor. Handlers end by script; while one runs in a thread, the others go on.

What an inbox holds keeps its order; who is next is chance. An actor that is made anew is bound to its address before
it begins, as it is on threads.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Any

from actors.base import NodeActor
from actors.beater import StorageBeater
from actors.board import Board
from actors.channel import Channel
from actors.health import HealthActor
from actors.leader import LeaderActor
from actors.messages import (
    Address,
    Admit,
    CheckUnsettled,
    KeepHouse,
    Message,
    Operate,
    Reconcile,
    Replied,
    SendTally,
    TakePulse,
    Wake,
    WatchRuns,
)
from actors.meter import Meter
from actors.metrics import Metrics
from actors.pool import Ending, Pool, Raised, Returned, Run, Snoozed
from actors.queue import QueueActor
from actors.runners import timed_out
from actors.scheduler import SchedulerActor
from actors.storage import StorageActor
from actors.watchers import Rates, Watchers
from actors.worker import WorkerActor
from cluster.incarnation import Incarnation
from cluster.solo import SoloCoordinator
from storage import verbs as v
from storage.memory import MemoryStore
from storage.store import Result, Verb
from taskqueue.core.clock import MILLISECOND, SECOND, ManualClock
from taskqueue.core.config import Backoff, Config
from taskqueue.core.errors import StoreError
from taskqueue.core.events import Code
from taskqueue.core.ids import CountingIds
from taskqueue.core.task import TERMINAL, Cause, Draft
from tests.postoffice import HANDLERS, OWNER, Box, never, registration

PATIENCE = 10 * SECOND
"""How long a thread waits for an answer before it asks again."""


class Dies(Exception):
    """An actor dies of it."""


class LossyStore(MemoryStore):
    """Does what it is asked, and now and then its caller dies before it hears of it."""

    def __init__(self, clock: ManualClock, aging: int, dies: Callable[[], bool]) -> None:
        super().__init__(clock, aging)
        self._dies = dies

    def execute(self, verbs: Sequence[Verb]) -> list[Result | StoreError]:
        results = super().execute(verbs)
        if self._dies():
            raise Dies
        return results


class Desk:
    """A stable address; nobody behind it until an actor is bound."""

    def __init__(self) -> None:
        self.actor: NodeActor | None = None
        self.inbox: deque[Message] = deque()

    def tell(self, message: Message) -> bool:
        if self.actor is None:
            return False
        self.inbox.append(message)
        return True


class House:
    """See the module. `kills`: how likely it is that the next thing to happen is a death."""

    def __init__(self, seed: int, *, kills: float = 0.0, workers: int = 2) -> None:
        self.random = Random(seed)
        self.clock = ManualClock()
        self.config = Config(
            worker_count=workers,
            async_concurrency=3,
            backoff=Backoff(base=50 * MILLISECOND, max=SECOND),
            poll_interval=SECOND,
        )
        self.kills = kills
        self.store = LossyStore(self.clock, self.config.priority_aging, lambda: self.random.random() < self.kills)
        self.deaths: Counter[str] = Counter()
        self.starts: Counter[tuple[str, int]] = Counter()
        self.endings: dict[tuple[str, int], Ending] = {}
        self.refused: list[str] = []
        self._snoozes: Counter[str] = Counter()
        self._busy: set[str] = set()
        self._unbegun: set[str] = set()
        self._asks: list[tuple[Message, Box, int]] = []
        self._open: dict[tuple[str, int], Run] = {}
        self._timers: list[tuple[int, int, int, Address, Message]] = []
        self._order = count()
        self.desks: defaultdict[str, Desk] = defaultdict(Desk)
        self._build()

    # -- building ------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        names = [f"worker-{n}" for n in range(1, self.config.worker_count + 1)]
        desk = self.desks
        self.pool = Pool(
            {
                "thread": Channel({name: desk[name] for name in names}),
                "async": Channel({"worker-async": desk["worker-async"]}),
            },
            desk["queue"],
        )
        self.board = board = Board(self.config, self.clock.now(), self.clock.monotonic())
        common: dict[str, Any] = {"config": self.config, "clock": self.clock}
        me = Incarnation(CountingIds("me-"))
        coordinator, watchers = SoloCoordinator(OWNER), Watchers()
        meter = Meter(Rates(self.clock), Metrics(HANDLERS, self.config.queues))
        addresses: dict[str, Any] = {"storage": desk["storage"], "scheduler": desk["scheduler"]}
        self._factories: dict[str, Callable[[], NodeActor]] = {
            "storage": lambda: StorageActor(
                never, store=self.store, clock=self.clock, on_broken=self.refused.append, on_written=lambda *_: None
            ),
            "queue": lambda: QueueActor(
                never,
                random=self.random.random,
                address=desk["queue"],
                health=desk["health"],
                leader=desk["leader"],
                pool=self.pool,
                watchers=watchers,
                meter=meter,
                open_doors=lambda: not board.closing,
                **addresses,
                **common,
            ),
            "scheduler": lambda: SchedulerActor(
                never,
                incarnation=me,
                handlers=HANDLERS,
                address=desk["scheduler"],
                queue=desk["queue"],
                storage=desk["storage"],
                pool=self.pool,
                ticker=self,
                on_stuck=self._replace,
                may_claim=lambda: board.may_claim(self.clock.monotonic()),
                **common,
            ),
            "leader": lambda: LeaderActor(
                never,
                incarnation=me,
                coordinator=coordinator,
                address=desk["leader"],
                ticker=self,
                on_finished=watchers.finished,
                meter=meter,
                may_lead=lambda: board.trusted(self.clock.monotonic()),
                **addresses,
                **common,
            ),
            "health": lambda: HealthActor(
                never,
                register=registration(),
                incarnation=me,
                coordinator=coordinator,
                address=desk["health"],
                leader=desk["leader"],
                pool=self.pool,
                board=board,
                on_refused=self.refused.append,
                on_begun_anew=lambda: None,
                beater=StorageBeater(desk["storage"]),
                **addresses,
                **common,
            ),
        }
        for name in (*names, "worker-async"):
            self._factories[name] = self._worker(name, "async" if name == "worker-async" else "thread")
        ticks: list[tuple[int, str, Message]] = [
            (self.config.poll_interval, "scheduler", Wake()),
            (250 * MILLISECOND, "scheduler", WatchRuns()),
            (5 * SECOND, "scheduler", Reconcile()),
            (1 * SECOND, "queue", CheckUnsettled()),
            (10 * SECOND, "queue", SendTally()),
            (1 * SECOND, "leader", KeepHouse()),
            (1 * SECOND, "health", TakePulse()),
        ]
        for interval, name, message in ticks:
            self.every(interval, desk[name], message)
        self._down = set(self._factories)

    def _worker(self, name: str, kind: str) -> Callable[[], NodeActor]:
        return lambda: WorkerActor(never, name=name, channel=self.pool.channels[kind], pool=self.pool, runner=self)

    # -- the ticker ----------------------------------------------------------------------------------------------------

    def every(self, interval: int, address: Address, message: Message) -> None:
        self._add(interval, interval, address, message)

    def after(self, delay: int, address: Address, message: Message) -> None:
        self._add(delay, 0, address, message)

    def _add(self, delay: int, interval: int, address: Address, message: Message) -> None:
        moment = self.clock.monotonic() + delay
        heapq.heappush(self._timers, (moment, next(self._order), interval, address, message))

    def _tick(self) -> None:
        """Time passes until the next alarm."""
        moment, _, interval, address, message = heapq.heappop(self._timers)
        self.clock.advance(max(0, moment - self.clock.monotonic()))
        if interval:
            self._add(interval, interval, address, message)
        address.tell(message)

    # -- threads that ask ----------------------------------------------------------------------------------------------

    def submit(self, *drafts: Draft) -> None:
        """Somebody wants these stored, and asks until they are."""
        for one in drafts:
            self._asks.append((Admit(drafts=(one,), atomic=False, reply_to=(box := Box())), box, -PATIENCE))

    def operate(self, *verbs: Verb) -> None:
        """Somebody wants this done, and asks until it is answered."""
        for verb in verbs:
            self._asks.append((Operate(verbs=(verb,), reply_to=(box := Box())), box, -PATIENCE))

    def asking(self) -> int:
        """How many have no answer yet."""
        self._asks = [ask for ask in self._asks if not self._answered(ask[1])]
        return len(self._asks)

    def _ask(self) -> bool:
        """Let one of the threads ask that may; False where all wait for answers."""
        self.asking()
        ready = [n for n, (_, _, at) in enumerate(self._asks) if self.clock.monotonic() - at >= PATIENCE]
        if not ready:
            return False
        n = self.random.choice(ready)
        message, box, _ = self._asks[n]
        self._asks[n] = (message, box, self.clock.monotonic())
        self.desks["queue"].tell(message)
        return True

    def _answered(self, box: Box) -> bool:
        results = [result for replied in box.all(Replied) for result in replied.results]
        return any(not isinstance(result, StoreError) for result in results)

    # -- the runner ----------------------------------------------------------------------------------------------------

    def run(self, run: Run, worker: str) -> None:
        """A handler runs: in a thread it keeps its worker while others go on; on the loop it stays open."""
        if not self.pool.begin(run, worker, self.clock.monotonic()):
            return
        self.starts[run.key] += 1
        if self.random.random() < 0.2:
            self.pool.report(run, self.random.random(), "so far")
        if run.kind == "async":
            run.interrupt = lambda: self._end(run, timed_out(run))
            self._open[run.key] = run
            return
        self._busy.add(worker)
        hangs = self.random.random() < 0.05
        for _ in range(self.random.choice((0, 0, 1, 3, 9))):
            self.step()
        while hangs and not run.ended:
            self.step()
        if not run.abandoned:
            self._busy.discard(worker)
        self._end(run, self._script(run))

    def close(self) -> None:
        """Nothing to let go of."""

    def _script(self, run: Run) -> Ending:
        dice = self.random.random()
        name = run.task.id
        if dice < 0.15:
            return Raised("ValueError", "no")
        if dice < 0.20:
            return Raised("Retry", "again", delay=self.random.choice((0, 30 * MILLISECOND)))
        if dice < 0.22:
            return Raised("Discard", "", Cause.DISCARDED, final=True)
        if dice < 0.30 and self._snoozes[name] < 3:
            self._snoozes[name] += 1
            return Snoozed(self.random.choice((0, 70 * MILLISECOND)))
        return Returned(b'"%d"' % run.task.fence)

    def _end(self, run: Run, ending: Ending) -> None:
        if run.timed_out:
            ending = timed_out(run)
        self._open.pop(run.key, None)
        if self.pool.end(run, ending, self.clock.monotonic()):
            self.endings[run.key] = ending

    def _go_on(self) -> None:
        """A coroutine goes on: it ends, or waits (one in ten for its time-out)."""
        run = self.random.choice(list(self._open.values()))
        if run.ended:
            self._open.pop(run.key)
        elif run.key[1] % 10:
            self._end(run, self._script(run))

    # -- what happens next ---------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One thing happens; time passes where nothing else can."""
        if self.random.random() < self.kills:
            self.kill(self.random.choice(sorted(self._factories)))
        mail = [name for name, desk in self.desks.items() if desk.inbox and name not in self._busy | self._unbegun]
        waiting = sorted(self._down | self._unbegun)
        chances = len(mail) + len(waiting) + (1 if self._asks else 0) + (1 if self._open else 0)
        dice = self.random.randrange(chances + 1)
        if dice < len(mail):
            self._deliver(mail[dice])
        elif dice < len(mail) + len(waiting):
            self._revive(waiting[dice - len(mail)])
        elif self._asks and self._ask():
            return
        elif self._open and self.random.random() < 0.5:
            self._go_on()
        elif not mail:
            self._tick()

    def _deliver(self, name: str) -> None:
        desk = self.desks[name]
        assert desk.actor is not None
        try:
            desk.actor.on_receive(desk.inbox.popleft())
        except Dies:
            self.kill(name)

    def kill(self, name: str) -> None:
        """The actor dies between two messages; its mail is lost. One that is in a handler lives on."""
        if name in self._busy or name in self._down or name in self._unbegun:
            return
        self.desks[name].actor = None
        self.desks[name].inbox.clear()
        self._unbegun.discard(name)
        self._down.add(name)
        self.deaths[name] += 1

    def _revive(self, name: str) -> None:
        """Make an actor and bind it; another time, let it begin."""
        if name in self._down:
            self._down.discard(name)
            self._unbegun.add(name)
            self.desks[name].actor = self._factories[name]()
            return
        actor = self.desks[name].actor
        assert actor is not None
        self._unbegun.discard(name)
        try:
            actor.begin()
        except Dies:
            self.kill(name)

    def _replace(self, name: str) -> None:
        """A worker hangs in its handler: another takes its name and its address."""
        self._busy.discard(name)
        self.desks[name].actor = None
        self.desks[name].inbox.clear()
        self._down.add(name)

    # -- the end -------------------------------------------------------------------------------------------------------

    def settled(self, ids: Sequence[str]) -> bool:
        """Every one of these tasks is in a final state, and nothing is left in this node's hands."""
        if self.asking() or self._open or self.pool.keys() or self.pool.asking:
            return False
        statuses = self.store.statuses(ids)
        return len(statuses) == len(ids) and all(status in TERMINAL for status in statuses.values())

    def run_until_settled(self, ids: Sequence[str], most: int = 200_000) -> None:
        """Let things happen until all are settled; the last of it without deaths."""
        for n in range(most):
            if n % 50 == 0 and self.settled(ids):
                return
            if n == most // 10:
                self.kills = 0.0
            self.step()
        unfinished = {name: status for name, status in self.store.statuses(ids).items() if status not in TERMINAL}
        raise AssertionError(f"after {most} steps: {unfinished}, pool {self.pool.keys()}, asks {len(self._asks)}")


def led(house: House) -> Code:
    """What the store says to a sweep by the present leader: how sound everything is."""
    house.kills = 0.0
    while house.store.term().owner is None:
        house.step()
    term = house.store.term()
    [moved] = house.store.execute([v.Sweep(leader=term.owner or "", epoch=term.epoch)])
    assert isinstance(moved, v.Moved)
    assert moved.count == 0, "something was in limbo"
    return moved.code

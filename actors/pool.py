"""What this node runs now: claimed tasks, the channels that workers take them from, and outcomes on their way to the
store.

Shared by SchedulerActor (puts runs in), the runners (take them out, end them) and QueueActor (settles them). It
outlives each of them, so that none of it is lost when one is restarted. Whatever is in it can be found in the store
as well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from queue import Empty, SimpleQueue

from msgspec import Struct

from actors.channel import Channel
from actors.messages import Address, FindWork, OutcomesReady
from storage.verbs import Group
from taskqueue.core.events import Event
from taskqueue.core.task import Cause, Task
from taskqueue.handlers import Handler

Key = tuple[str, int]

BRISK = 100.0
"""Microseconds of mean run time below which handing over between threads costs more than the work."""


class Returned(Struct, frozen=True):
    """The handler returned; `result` is JSON, None where it is not kept."""

    result: bytes | None


class Raised(Struct, frozen=True):
    """The handler failed. `delay`: the backoff it asked for, microseconds; `final`: no retry."""

    type: str
    message: str
    cause: Cause = Cause.ERROR
    delay: int | None = None
    final: bool = False


class Snoozed(Struct, frozen=True):
    """The handler wants to run again later."""

    delay: int


class Unfinished(Struct, frozen=True):
    """The run did not happen or was given up by the node: it goes back uncharged."""


class Dropped(Struct, frozen=True):
    """Nothing is to be said to the store: it knows already (the task was cancelled)."""


Ending = Returned | Raised | Snoozed | Unfinished | Dropped


class Run:
    """One claimed task on its way through this node."""

    __slots__ = (
        "abandoned",
        "arrived",
        "cancelled",
        "deadline",
        "ended",
        "ending",
        "finished",
        "handler",
        "interrupt",
        "key",
        "note",
        "revoked",
        "started",
        "task",
        "timed_out",
        "worker",
    )

    def __init__(self, task: Task, handler: Handler, arrived: int) -> None:
        self.task = task
        self.handler = handler
        self.key: Key = (task.id, task.fence)
        self.worker = ""
        self.arrived = arrived
        self.started: int | None = None
        self.finished: int | None = None
        self.deadline = 0
        self.timed_out = False
        self.revoked = False
        self.abandoned = False
        self.cancelled = threading.Event() if handler.takes_ctx else None
        self.ended = False
        self.ending: Ending | None = None
        self.note: tuple[float, str] | None = None
        self.interrupt: Callable[[], None] | None = None

    @property
    def owner(self) -> str:
        """The incarnation that it was claimed for, which need not be the present one any more."""
        return self.task.owner or ""

    @property
    def kind(self) -> str:
        """Which channel it goes through: the isolation of its handler."""
        return self.handler.isolation


class Standing(Struct, frozen=True):
    """The next claim of a scheduler that found nothing: it goes to the store right behind the next submit."""

    request: int
    groups: tuple[Group, ...]
    may: Callable[[], bool]
    """Is it (still) allowed to claim?"""


class Pool:
    """State: runs not yet settled, how many of each kind have not ended, endings not yet confirmed by the store, and
    the claim that is under way or stands by.
    """

    def __init__(self, channels: Mapping[str, Channel], queue: Address) -> None:
        self.channels = channels
        self._queue = queue
        self._lock = threading.Lock()
        self._runs: dict[Key, Run] = {}
        self._busy: dict[str, int] = {}
        self._busy_by_handler: dict[str, int] = {}
        self._pace: dict[str, float] = {}
        self._outbox: SimpleQueue[Run] = SimpleQueue()
        self._called = False
        self.started: dict[Key, Run] = {}
        self.noted: set[Key] = set()
        self.unsettled: dict[Key, tuple[Event, int]] = {}
        """Endings on their way to the store, and when they were last sent (monotonic)."""
        self.request = 0
        self.groups: tuple[Group, ...] = ()
        self.asking = False
        """The last claim (`request`, `groups`) was sent, and its answer has not come."""
        self.owner = ""
        """The incarnation for which the last claim was made."""
        self._standing: Standing | None = None
        self._suspects = 0

    # -- SchedulerActor ------------------------------------------------------------------------------------------------

    def add(self, run: Run) -> bool:
        """A claimed task arrives; False where it is here already (a repeated answer)."""
        with self._lock:
            if run.key in self._runs:
                return False
            self._runs[run.key] = run
            self._busy[run.kind] = self._busy.get(run.kind, 0) + 1
            name = run.handler.name
            self._busy_by_handler[name] = self._busy_by_handler.get(name, 0) + 1
            self._suspects += run.task.solo
        return True

    def busy(self, kind: str) -> int:
        """Runs of this kind that have not ended (waiting in the channel or running)."""
        return self._busy.get(kind, 0)

    def busy_with(self, handler: str) -> int:
        """Runs of this handler that have not ended."""
        return self._busy_by_handler.get(handler, 0)

    def solo(self) -> bool:
        """A suspect runs: nothing else may begin beside it."""
        return self._suspects > 0

    def idle(self) -> bool:
        """Nothing is claimed and unended."""
        return not any(self._busy.values())

    def run(self, key: Key) -> Run | None:
        """The run, until the store has confirmed its end."""
        return self._runs.get(key)

    def keys(self) -> set[Key]:
        """Every (task, fence) that this node knows of."""
        with self._lock:
            return set(self._runs)

    def running(self) -> list[Run]:
        """Runs whose handler has begun and not ended."""
        return list(self.started.values())

    def unended(self) -> list[Run]:
        """Every run that has not ended, wherever it is."""
        with self._lock:
            return [run for run in self._runs.values() if not run.ended]

    def unstarted(self) -> Iterator[Run]:
        """Take every run that waits in a channel."""
        for channel in self.channels.values():
            while (run := channel.take()) is not None:
                yield run

    def lasting(self, kind: str, since: int) -> int:
        """How many runs of this kind are under way since `since` or longer."""
        return sum(run.kind == kind and run.started is not None and run.started <= since for run in self.running())

    def waiting_since(self, kind: str) -> int | None:
        """When the run came that has waited longest in the channel of this kind; None where none waits."""
        return min((run.arrived for run in self.unended() if run.kind == kind and run.started is None), default=None)

    def slowed(self, kind: str, span: int) -> None:
        """Runs of this kind have turned out to take so long (microseconds), though they have not ended yet."""
        with self._lock:
            self._pace[kind] = max(self._pace.get(kind, 0.0), float(span))

    def pace(self, kind: str) -> float | None:
        """Recent mean run time of this kind, in microseconds; None while unknown."""
        return self._pace.get(kind)

    def brisk(self, kind: str) -> bool:
        """Runs of this kind are so short that one thread does them faster than several that take turns."""
        pace = self._pace.get(kind)
        return pace is not None and pace < BRISK

    def leave(self, standing: Standing) -> None:
        """This claim stands by. From now on `request`, `groups` and `asking` change when QueueActor sends it."""
        with self._lock:
            self._standing = standing

    def withdraw(self) -> None:
        """No claim stands by any more. To be called before looking whether one is under way: it may have gone."""
        with self._lock:
            self._standing = None

    def claim(self, reply_to: Address) -> FindWork:
        """The claim under way."""
        return FindWork(owner=self.owner, request=self.request, groups=self.groups, reply_to=reply_to)

    # -- runners -------------------------------------------------------------------------------------------------------

    def begin(self, run: Run, worker: str, now: int) -> bool:
        """The handler is about to begin; False where the run was ended meanwhile (cancelled, given back)."""
        with self._lock:
            if run.ended:
                return False
            run.worker = worker
            run.started = now
            run.deadline = now + run.task.timeout
            self.started[run.key] = run
        return True

    def end(self, run: Run, ending: Ending, now: int = 0, *, abandon: bool = False) -> bool:
        """The run has ended, this way; False where it had ended before (its late result is refused).

        `abandon`: its handler has not, and whoever waits for it is left behind with it.
        """
        with self._lock:
            if run.ended:
                return False
            run.ended = True
            run.ending = ending
            run.abandoned = abandon
            self.started.pop(run.key, None)
            self._busy[run.kind] -= 1
            self._busy_by_handler[run.handler.name] -= 1
            self._suspects -= run.task.solo
            if now and run.started is not None:
                run.finished = now
                took = float(now - run.started)
                before = self._pace.get(run.kind)
                self._pace[run.kind] = took if before is None else before + (took - before) * 0.05
        self._outbox.put(run)
        self.call()
        return True

    def report(self, run: Run, fraction: float, note: str) -> None:
        """What a handler says of itself; the last word within a short while reaches the store."""
        run.note = (fraction, note)
        self.noted.add(run.key)

    # -- QueueActor ----------------------------------------------------------------------------------------------------

    def call(self) -> None:
        """Tell QueueActor to look, unless it has been told and has not looked yet."""
        if not self._called:
            self._called = True
            if not self._queue.tell(OutcomesReady()):
                self._called = False

    def send_along(self, reply_to: Address) -> FindWork | None:
        """The claim that stood by is under way from now on; None where none did, or none may be made."""
        with self._lock:
            standing, self._standing = self._standing, None
            if standing is None or not standing.may():
                return None
            self.request, self.groups, self.asking = standing.request, standing.groups, True
            return self.claim(reply_to)

    def endings(self) -> list[Run]:
        """The runs that ended since the last look."""
        self._called = False
        taken = []
        while True:
            try:
                taken.append(self._outbox.get_nowait())
            except Empty:
                return taken

    def orphans(self) -> list[Run]:
        """Runs that have ended, and nothing of it is on its way to the store: an earlier QueueActor died with it."""
        with self._lock:
            return [run for key, run in self._runs.items() if run.ended and key not in self.unsettled]

    def notes(self) -> list[Run]:
        """Runs with something new to say."""
        keys = [self.noted.pop() for _ in range(len(self.noted))]
        return [run for key in keys if (run := self._runs.get(key)) is not None and not run.ended]

    def settle(self, key: Key) -> None:
        """The store has confirmed the end (or knows nothing of the run)."""
        self.unsettled.pop(key, None)
        with self._lock:
            self._runs.pop(key, None)

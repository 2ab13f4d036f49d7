"""Restarts actors that died of a bug, within a budget; beyond it, the node ends so that its own supervisor sees it.

Runs in the main thread (`tend`). Death notices, requests to stop and requests to replace a stuck worker come in
through one queue, which signal handlers may use as well.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue

import pykka
from msgspec import Struct

from actors.base import NodeActor, OnDeath
from actors.handle import Handle
from taskqueue.core.clock import SECOND, Clock

log = logging.getLogger("taskqueue.supervisor")

BUDGET = 5
WINDOW = 60 * SECOND

ATTENTION = 0.5
"""Seconds that a signal may have to wait."""

Factory = Callable[[OnDeath], NodeActor]
"""Makes an actor that is not launched yet."""


class Died(Struct, frozen=True):
    """An actor ended by an exception; `made`: the how manyth of its name it was."""

    name: str
    made: int
    error: BaseException


class Stuck(Struct, frozen=True):
    """A worker does not come back from its handler: leave it behind and start another in its place."""

    name: str


class StopAsked(Struct, frozen=True):
    """Somebody wants the node to stop. `failed`: because it cannot go on; `message` says why. `refused`: its
    surroundings do not let it begin.
    """

    failed: bool
    message: str
    refused: bool = False


class Supervisor:
    """Owns the handles and how each actor is made."""

    def __init__(
        self, clock: Clock, *, restarts: bool = True, on_restart: Callable[[str], None] = lambda _: None
    ) -> None:
        self._clock = clock
        self._restarts = restarts
        self._factories: dict[str, Factory] = {}
        self._made: dict[str, int] = {}
        self._recent: deque[int] = deque(maxlen=BUDGET)
        self._events: SimpleQueue[Died | Stuck | StopAsked] = SimpleQueue()
        self.handles: dict[str, Handle] = {}
        self._on_restart = on_restart

    def handle(self, name: str) -> Handle:
        """The address of the actor `name`, which need not exist yet."""
        return self.handles.setdefault(name, Handle(name))

    def start(self, name: str, factory: Factory) -> None:
        """Make the actor and bind it to its handle."""
        self._factories[name] = factory
        self._make(name)

    def stop(self, names: Iterable[str], timeout: float) -> list[str]:
        """Let these actors finish their inboxes and end; those that did not within `timeout` seconds, all together."""
        deadline = self._clock.monotonic() + round(timeout * SECOND)
        asked = [(name, ref.stop(block=False)) for name in names if (ref := self.handles[name].ref) is not None]
        late = []
        for name, stopped in asked:
            try:
                stopped.get(timeout=max(0, deadline - self._clock.monotonic()) / SECOND)
            except pykka.Timeout:
                late.append(name)
        return late

    def stuck(self, name: str) -> None:
        """Any thread: replace the worker."""
        self._events.put(Stuck(name))

    def ask_stop(self, message: str, *, failed: bool = False, refused: bool = False) -> None:
        """Any thread, also a signal handler: end `tend`."""
        self._events.put(StopAsked(failed or refused, message, refused))

    def wait(self, seconds: float) -> StopAsked | None:
        """Handle what happens for `seconds`; the request to stop, if one came."""
        deadline = self._clock.monotonic() + round(seconds * SECOND)
        while (left := deadline - self._clock.monotonic()) > 0:
            try:
                event = self._events.get(timeout=left / SECOND)
            except Empty:
                return None
            if (asked := self._take(event)) is not None:
                return asked
        return None

    def tend(self) -> StopAsked:
        """Handle what happens until somebody asks to stop."""
        while (asked := self.wait(ATTENTION)) is None:
            pass  # a signal that the kernel gave to another thread is acted upon when this one comes to itself
        return asked

    def _take(self, event: Died | Stuck | StopAsked) -> StopAsked | None:
        if isinstance(event, StopAsked):
            return event
        if isinstance(event, Stuck):
            log.warning("a handler did not end at its time-out: %s is left behind and replaced", event.name)
            self._make(event.name)
            return None
        if event.made != self._made[event.name]:
            log.warning("a worker left behind, once %s, died: %r", event.name, event.error)
            return None
        if not self._restarts:
            log.error("actor %s died and is not restarted: %r", event.name, event.error)
            return None
        now = self._clock.monotonic()
        if len(self._recent) == BUDGET and now - self._recent[0] < WINDOW:
            return StopAsked(
                True, f"actor {event.name} died, the {BUDGET + 1}th death within a minute: {event.error!r}"
            )
        self._recent.append(now)
        self._on_restart(event.name)
        log.error("actor %s died and is restarted: %r", event.name, event.error)
        self._make(event.name)
        return None

    def _make(self, name: str) -> None:
        made = self._made[name] = self._made.get(name, 0) + 1
        actor = self._factories[name](lambda error: self._events.put(Died(name, made, error)))
        self.handle(name).bind(actor.actor_ref)
        actor.launch()

"""Threads that wait for work on behalf of workers from outside. They are called when there may be some in their lanes;
not every call is heard (work may come by another node), so they also look by themselves from time to time.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue

from actors.messages import Address, Message, Wake


class Caller:
    """One who waits, and for which lanes (queues `("*",)`: any)."""

    def __init__(self, queues: tuple[str, ...], handlers: tuple[str, ...]) -> None:
        self._queues = frozenset(queues)
        self._handlers = frozenset(handlers)
        self._bell: SimpleQueue[None] = SimpleQueue()

    def wants(self, queue: str, handler: str) -> bool:
        """Might work of this lane be for it? An empty name stands for any."""
        mine = not queue or "*" in self._queues or queue in self._queues
        return mine and (not handler or handler in self._handlers)

    def ring(self) -> None:
        """There may be work."""
        self._bell.put(None)

    def wait(self, seconds: float) -> None:
        """Until it is called, or for so long. What it was called before that is over then, too."""
        try:
            self._bell.get(timeout=seconds)
            while True:
                self._bell.get_nowait()
        except Empty:
            pass


class Callers:
    """State: all who wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[Caller] = set()

    def join(self, queues: tuple[str, ...], handlers: tuple[str, ...]) -> Caller:
        """Wait for work in these lanes; `leave` afterwards."""
        caller = Caller(queues, handlers)
        with self._lock:
            self._waiting.add(caller)
        return caller

    def leave(self, caller: Caller) -> None:
        """Wait no more."""
        with self._lock:
            self._waiting.discard(caller)

    def call(self, queue: str = "", handler: str = "") -> None:
        """There may be work in a lane; an empty name stands for any."""
        if not self._waiting:
            return
        with self._lock:
            for caller in self._waiting:
                if caller.wants(queue, handler):
                    caller.ring()


class Announcer:
    """An address that lets those who wait know as well when somebody is told that there may be work."""

    def __init__(self, address: Address, callers: Callers) -> None:
        self._address = address
        self._callers = callers

    def tell(self, message: Message) -> bool:
        if isinstance(message, Wake):
            self._callers.call()
        return self._address.tell(message)

"""The one timer of a node: a thread that tells actors that their time has come."""

from __future__ import annotations

import heapq
import threading
from itertools import count
from typing import Protocol

from actors.messages import Address, Message
from taskqueue.core.clock import SECOND, Clock


class Ticker(Protocol):
    """What actors and the composition root need of time passing. Spans are microseconds."""

    def every(self, interval: int, address: Address, message: Message) -> None:
        """Tell again and again; a tick that comes late is not made up for."""

    def after(self, delay: int, address: Address, message: Message) -> None:
        """Tell once."""


class ThreadTicker:
    """A heap of moments on the monotonic clock, and a thread that sleeps until the first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._order = count()
        self._heap: list[tuple[int, int, int, Address, Message]] = []
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No tick comes after this returns."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def every(self, interval: int, address: Address, message: Message) -> None:
        self._add(interval, interval, address, message)

    def after(self, delay: int, address: Address, message: Message) -> None:
        self._add(delay, 0, address, message)

    def _add(self, delay: int, interval: int, address: Address, message: Message) -> None:
        with self._changed:
            moment = self._clock.monotonic() + max(0, delay)
            heapq.heappush(self._heap, (moment, next(self._order), interval, address, message))
            if self._heap[0][0] == moment:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                now = self._clock.monotonic()
                while not self._stopped and (not self._heap or self._heap[0][0] > now):
                    self._changed.wait((self._heap[0][0] - now) / SECOND if self._heap else None)
                    now = self._clock.monotonic()
                if self._stopped:
                    return
                _, _, interval, address, message = heapq.heappop(self._heap)
                if interval:
                    heapq.heappush(self._heap, (now + interval, next(self._order), interval, address, message))
            address.tell(message)

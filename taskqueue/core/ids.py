"""Where ids come from: UUIDv7 for tasks, so that ids sort by their time of birth, or a plain count for tests."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Protocol

from taskqueue.core.clock import Clock


class Ids(Protocol):
    """A source of names that never repeat."""

    def new(self) -> str:
        """A new id of `[A-Za-z0-9_-]{1,64}`."""


STOCK = 64
"""For so many ids random bytes are fetched at once: a fetch gives up Python's lock, which others then hold for long."""


class UuidIds:
    """UUID version 7 (RFC 9562): 48 bits of milliseconds, then a 12-bit count within the millisecond, then 62 random
    bits.

    The count makes ids of one source strictly increasing, also when the clock stands still or goes back. A process that
    was forked does not go on with the random bytes of the other.
    """

    def __init__(self, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random = random_bytes
        self._lock = threading.Lock()
        self._last = 0
        self._stock = b""
        self._used = 0
        self._process = 0

    def new(self) -> str:
        with self._lock:
            if self._used == len(self._stock) or self._process != os.getpid():
                self._stock, self._used, self._process = self._random(8 * STOCK), 0, os.getpid()
            tail = int.from_bytes(self._stock[self._used : self._used + 8], "big") & 0x3FFF_FFFF_FFFF_FFFF
            self._used += 8
            self._last = head = max(self._clock.now() // 1_000 << 12, self._last + 1)
        value = (head >> 12) << 80 | 0x7 << 76 | (head & 0xFFF) << 64 | 0x2 << 62 | tail
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class CountingIds:
    """`prefix1`, `prefix2`, …: for tests and simulations, where the same run must give the same ids."""

    def __init__(self, prefix: str = "id") -> None:
        self._prefix = prefix
        self._count = 0

    def new(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count}"

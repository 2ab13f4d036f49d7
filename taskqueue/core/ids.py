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
        self._tails: list[str] = []
        self._generation = -1

    def new(self) -> str:
        with self._lock:
            if not self._tails or self._generation != _generation:
                self._fetch()
            tail = self._tails.pop()
            self._last = head = max(self._clock.now() // 1_000 << 12, self._last + 1)
        text = f"{head:015x}"
        return f"{text[:8]}-{text[8:12]}-7{text[12:]}-{tail}"

    def _fetch(self) -> None:
        text = self._random(8 * STOCK).hex()
        starts = range(0, len(text), 16)
        self._tails = [f"{_VARIANT[text[at]]}{text[at + 1 : at + 4]}-{text[at + 4 : at + 16]}" for at in starts]
        self._generation = _generation


_generation = 0
"""Of this process: how many forks lie between it and the first."""


def _forked() -> None:
    global _generation  # noqa: PLW0603 - a fork is the whole process's
    _generation += 1


os.register_at_fork(after_in_child=_forked)

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The first digit of the last half: two random bits below `10`."""


class CountingIds:
    """`prefix1`, `prefix2`, …: for tests and simulations, where the same run must give the same ids."""

    def __init__(self, prefix: str = "id") -> None:
        self._prefix = prefix
        self._count = 0

    def new(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count}"

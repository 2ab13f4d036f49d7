"""How long a failed task waits before its next attempt."""

from __future__ import annotations

from collections.abc import Callable

from taskqueue.core.config import Backoff


def delay(backoff: Backoff, n: int, random: Callable[[], float]) -> int:
    """Microseconds before retry `n` (1 is the first): `base * factor ** (n - 1)`, at most `max`, give or take `jitter`.

    Args:
        random: gives a number in [0, 1), as `random.random` does. The spread keeps tasks that failed together (when a
            service was down, say) from coming back together.

    Raises:
        ValueError: `n` is less than 1.
    """
    if n < 1:
        raise ValueError(f"retries are counted from 1, got {n}")
    if backoff.base == 0:
        return 0  # else 0 × infinity, further down
    try:
        grown = min(backoff.base * backoff.factor ** (n - 1), backoff.max)
    except OverflowError:
        grown = backoff.max
    spread = backoff.jitter * (2 * random() - 1)
    return max(0, int(grown * (1 + spread)))

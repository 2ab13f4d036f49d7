"""Statistics as counters by minute: what a store can add up for many nodes, and what is read from them.

A tally is a flat map of names to counts: `submitted`, `completed`, `failed`, `dead`, `wait:<bucket>`, and by handler
`completed@<handler>`, `failed@<handler>`, `run@<handler>:<bucket>`, where a bucket is a power of the fourth root of
two, in microseconds: a percentile read from it is at most 19 % too high. `pending` is a gauge: the last word counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from taskqueue.core.clock import MILLISECOND, MINUTE

Counts = Mapping[str, int]


def minute(at: int) -> int:
    """The minute that holds the moment `at`, as a moment."""
    return at - at % MINUTE


def bucket(span: int) -> int:
    """The number of the smallest bucket that holds a span of so many microseconds."""
    return math.ceil(4 * math.log2(span)) if span > 1 else 0


def ceiling(number: int) -> float:
    """The largest span in a bucket, microseconds."""
    return float(2 ** (number / 4))


def percentiles(buckets: Mapping[int, int]) -> dict[str, float] | None:
    """p50, p95 and p99 in milliseconds; None where nothing was counted."""
    total = sum(buckets.values())
    if not total:
        return None
    found: dict[str, float] = {}
    wanted = [("p50", 0.50), ("p95", 0.95), ("p99", 0.99)]
    seen = 0
    for number in sorted(buckets):
        seen += buckets[number]
        while wanted and seen >= wanted[0][1] * total:
            found[wanted.pop(0)[0]] = round(ceiling(number) / MILLISECOND, 3)
    return found


def histogram(counts: Counts, prefix: str) -> dict[int, int]:
    """The buckets of the histogram `prefix` (`wait`, or `run@<handler>`)."""
    start = prefix + ":"
    ends = ((name[len(start) :], count) for name, count in counts.items() if name.startswith(start))
    return {int(end): count for end, count in ends if end.isdigit()}  # a handler's own name may hold a colon


def total(tallies: Iterable[Counts]) -> Counter[str]:
    """All added up."""
    counter: Counter[str] = Counter()
    for counts in tallies:
        counter.update(counts)
    return counter


def handlers(counts: Counts) -> list[str]:
    """Which handlers it speaks of, by name."""
    return sorted({name.split("@", 1)[1] for name in counts if name.startswith(("completed@", "failed@"))})

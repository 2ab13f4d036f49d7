"""What the tallies in the store say: rates and percentiles of the last minutes, and a point for each minute before.
Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from taskqueue.core import tally
from taskqueue.core.clock import MINUTE, SECOND
from taskqueue.core.views import HandlerStats, Point, Span, Stats

RECENT = 5
"""How many minutes `now` speaks of, the one that runs included."""


def statistics(tallies: Mapping[int, Mapping[str, int]], minutes: int, now: int) -> Stats:
    """The statistics at `now`; `tallies` by minute, as a store has them."""
    current = tally.minute(now)
    first = current - (RECENT - 1) * MINUTE
    recent = tally.total(counts for minute, counts in tallies.items() if first <= minute <= current)
    seconds = max(1.0, (now - first) / SECOND)
    handlers = tally.handlers(recent)
    runs: Counter[int] = Counter()
    for name in handlers:
        runs.update(tally.histogram(recent, f"run@{name}"))
    return Stats(
        submitted_per_second=round(recent["submitted"] / seconds, 3),
        finished_per_second=round((recent["completed"] + recent["failed"]) / seconds, 3),
        wait=_span(tally.histogram(recent, "wait")),
        run=_span(runs),
        handlers=tuple(
            HandlerStats(
                handler=name,
                completed=recent[f"completed@{name}"],
                failed=recent[f"failed@{name}"],
                run=_span(tally.histogram(recent, f"run@{name}")),
            )
            for name in handlers
        ),
        series=tuple(
            _point(minute, tallies.get(minute, {}))
            for minute in range(current - (minutes - 1) * MINUTE, current + 1, MINUTE)
        ),
    )


def _point(minute: int, counts: Mapping[str, int]) -> Point:
    wait = tally.percentiles(tally.histogram(counts, "wait"))
    return Point(
        at=minute,
        submitted=counts.get("submitted", 0),
        completed=counts.get("completed", 0),
        failed=counts.get("failed", 0),
        dead_lettered=counts.get("dead", 0),
        pending=counts.get("pending"),
        wait_p95=None if wait is None else wait["p95"],
    )


def _span(buckets: Mapping[int, int]) -> Span | None:
    found = tally.percentiles(buckets)
    return None if found is None else Span(**found)

"""Statistics over REST: the last minutes together, and each of those before."""

from __future__ import annotations

from api.calls import Answer, Call, integer
from api.schemas import Shape
from api.words import Time
from taskqueue.core.fields import Readers
from taskqueue.core.times import format_time
from taskqueue.core.views import Span, Stats

SHOWN = 60
MOST_SHOWN = 1_440
"""Minutes."""

STATS_QUERY: Readers = {"minutes": ("minutes", integer(1, MOST_SHOWN))}


class SpanShape(Shape):
    """Percentiles, milliseconds; null where nothing was counted."""

    p50: float | None
    p95: float | None
    p99: float | None


class HandlerStatsShape(Shape):
    """A handler in the last minutes."""

    handler: str
    completed: int
    failed: int
    run_ms: SpanShape


class NowShape(Shape):
    """The last minutes."""

    submitted_per_second: float
    finished_per_second: float
    wait_ms: SpanShape
    run_ms: SpanShape
    by_handler: list[HandlerStatsShape]


class PointShape(Shape):
    """One minute. `pending`: null where nobody has looked."""

    at: Time
    submitted: int
    completed: int
    failed: int
    dead_lettered: int
    pending: int | None
    wait_p95_ms: float | None


class StatsShape(Shape):
    """The last minutes together, and each minute for itself."""

    now: NowShape
    series: list[PointShape]


def show(call: Call) -> Answer:
    """Rates and percentiles of the last five minutes, and a point for each of the last `minutes`."""
    return Answer(_shape(call.gateway.stats(call.query.get("minutes", SHOWN))))


def _shape(stats: Stats) -> StatsShape:
    return StatsShape(
        now=NowShape(
            submitted_per_second=stats.submitted_per_second,
            finished_per_second=stats.finished_per_second,
            wait_ms=_span(stats.wait),
            run_ms=_span(stats.run),
            by_handler=[
                HandlerStatsShape(
                    handler=one.handler, completed=one.completed, failed=one.failed, run_ms=_span(one.run)
                )
                for one in stats.handlers
            ],
        ),
        series=[
            PointShape(
                at=format_time(point.at),
                submitted=point.submitted,
                completed=point.completed,
                failed=point.failed,
                dead_lettered=point.dead_lettered,
                pending=point.pending,
                wait_p95_ms=point.wait_p95,
            )
            for point in stats.series
        ],
    )


def _span(span: Span | None) -> SpanShape:
    return SpanShape(None, None, None) if span is None else SpanShape(span.p50, span.p95, span.p99)

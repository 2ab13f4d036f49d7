"""How times and spans look outside: RFC 3339 in UTC with milliseconds; `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"7d"`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from taskqueue.core.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND

LONGEST = 3650 * DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_SPAN = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)", re.ASCII)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_EARLIEST = 0
_LATEST = 253_402_300_799 * SECOND  # 9999-12-31T23:59:59Z


def parse_span(value: object) -> int:
    """Microseconds of a duration: a string with a unit, or a number of seconds.

    Raises:
        ValueError: with a sentence that says what is allowed.
    """
    if isinstance(value, str):
        match = _SPAN.fullmatch(value)
        if match is None:
            raise ValueError('expected a duration such as "500ms", "30s", "5m", "2h" or "7d", or a number of seconds')
        span = round(float(match[1]) * _UNITS[match[2]])
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value <= LONGEST / SECOND:
            raise ValueError("expected a duration between 0 and 3650 days")
        span = round(value * SECOND)
    else:
        raise ValueError('expected a duration such as "30s", or a number of seconds')
    if not 0 <= span <= LONGEST:
        raise ValueError("expected a duration between 0 and 3650 days")
    return span


def format_span(span: int) -> str:
    """The shortest exact form: `format_span(90 * SECOND) == "90s"`, and `parse_span` reads it back."""
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND)):
        if span and span % size == 0 and (unit in "ds" or span // size < 100):
            return f"{span // size}{unit}"
    if not span:
        return "0s"
    return f"{span / MILLISECOND:.3f}".rstrip("0").rstrip(".") + "ms"


def parse_time(text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 time with an offset.

    Raises:
        ValueError: with a sentence that says what is allowed.
    """
    if _TIME.fullmatch(text) is None:
        raise ValueError('expected a time in RFC 3339 with an offset, such as "2026-12-01T08:00:00Z"')
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise ValueError(f"no such time: {error}") from None
    micros = (moment - _EPOCH) // timedelta(microseconds=1)
    if not _EARLIEST <= micros <= _LATEST:
        raise ValueError("expected a time between 1970 and 9999")
    return micros


def format_time(micros: int) -> str:
    """RFC 3339, UTC, milliseconds (rounded down)."""
    moment = _EPOCH + timedelta(milliseconds=micros // MILLISECOND)
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"  # several times as fast as strftime

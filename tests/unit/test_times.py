"""Durations and moments, from and to text."""

from __future__ import annotations

import pytest

from taskqueue.core.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from taskqueue.core.times import LONGEST, format_span, format_time, parse_span, parse_time

SPANS = [
    ("500ms", 500 * MILLISECOND),
    ("30s", 30 * SECOND),
    ("5m", 5 * MINUTE),
    ("2h", 2 * HOUR),
    ("7d", 7 * DAY),
    ("1.5s", 1_500_000),
    ("0s", 0),
    ("0.001ms", 1),
    ("3650d", LONGEST),
    (0, 0),
    (30, 30 * SECOND),
    (0.25, 250_000),
    (315_360_000, LONGEST),
]


@pytest.mark.parametrize(("given", "span"), SPANS)
def test_durations(given, span):
    assert parse_span(given) == span


@pytest.mark.parametrize(
    "given",
    [
        "",
        "5",
        "s",
        "5 s",
        "-5s",
        "5S",
        "5w",
        "1e3s",
        "5s ",
        "5s\n",
        "٥s",
        "3651d",
        "9" * 12 + "d",
        -1,
        3.2e8,
        float("nan"),
    ],
)
def test_what_is_no_duration_says_what_is(given):
    with pytest.raises(ValueError, match="expected a duration"):
        parse_span(given)


@pytest.mark.parametrize("given", [True, None, [], {}, b"5s"])
def test_other_kinds_of_value_are_no_durations(given):
    with pytest.raises(ValueError, match="or a number of seconds"):
        parse_span(given)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (0, "0s"),
        (1, "0.001ms"),
        (1_500, "1.5ms"),
        (500 * MILLISECOND, "500ms"),
        (90 * SECOND, "90s"),
        (5 * MINUTE, "5m"),
        (99 * MINUTE, "99m"),
        (100 * MINUTE, "6000s"),
        (2 * HOUR, "2h"),
        (7 * DAY, "7d"),
    ],
)
def test_a_duration_is_shown_short(span, text):
    assert format_span(span) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-12-01T08:00:00Z", "2026-12-01T08:00:00.000Z"),
        ("2026-12-01t08:00:00z", "2026-12-01T08:00:00.000Z"),
        ("2026-12-01 08:00:00+01:00", "2026-12-01T07:00:00.000Z"),
        ("2026-12-01T08:00:00.1234567-00:30", "2026-12-01T08:30:00.123Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"),
    ],
)
def test_moments(text, shown):
    assert format_time(parse_time(text)) == shown


def test_milliseconds_are_rounded_down():
    assert format_time(1_999) == "1970-01-01T00:00:00.001Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01T08:00:00",
        "2026-12-01T08:00Z",
        "2026-12-01",
        "20261201T080000Z",
        "2026-12-01T08:00:00+0100",
        "2026-12-01T08:00:00.Z",
        "2026-12-01T08:00:00Z\n",
        "",
    ],
)
def test_what_has_another_form_is_no_moment(text):
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_time(text)


@pytest.mark.parametrize(
    "text", ["2026-02-29T08:00:00Z", "2026-13-01T08:00:00Z", "2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z"]
)
def test_days_that_never_were(text):
    with pytest.raises(ValueError, match="no such time"):
        parse_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59.5Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
    ],
)
def test_moments_out_of_range(text):
    with pytest.raises(ValueError, match="between 1970 and 9999"):
        parse_time(text)

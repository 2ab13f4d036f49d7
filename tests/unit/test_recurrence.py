"""Cron expressions, zones and intervals: what is refused, when what is taken is due, and how it is counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskqueue.core import recurrence
from taskqueue.core.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from taskqueue.core.cron import read_cron
from taskqueue.core.recurrence import Recurrence, parse, read_every
from taskqueue.core.times import format_time, parse_time
from taskqueue.core.zones import LAST_YEAR, Stretch, read_zone, stretches

DOC = Path(__file__).parents[2] / "docs" / "schedules.md"
YEAR = 365 * DAY
START = parse_time("2026-11-24T05:00:00Z")  # a Tuesday


def due(cron: str, start: str, limit: int = 3, timezone: str = "UTC") -> list[str]:
    found = parse(cron=cron, timezone=timezone).due(parse_time(start), limit=limit)
    return [format_time(moment).removesuffix(":00.000Z").removesuffix(".000Z") for moment in found]


# -- cron expressions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "first"),
    [
        ("*/5 * * * *", ["2026-11-24T05:05", "2026-11-24T05:10"]),
        ("*/20 * * * * *", ["2026-11-24T05:00:20", "2026-11-24T05:00:40"]),
        ("30 0 6 * * *", ["2026-11-24T06:00:30", "2026-11-25T06:00:30"]),
        ("0 9 * JAN MON", ["2027-01-04T09:00", "2027-01-11T09:00"]),
        ("0 9 * jan mon", ["2027-01-04T09:00", "2027-01-11T09:00"]),
        ("0 9-17/4 * * *", ["2026-11-24T09:00", "2026-11-24T13:00"]),
        ("5/25 7 * * *", ["2026-11-24T07:05", "2026-11-24T07:30"]),
        ("5 7-7/1 * * *", ["2026-11-24T07:05", "2026-11-25T07:05"]),  # a range of one, from 7 to 7
        ("5-05/2,50 7 * * mon-MON/2", ["2026-11-30T07:05", "2026-11-30T07:50"]),
        ("0 0 L * *", ["2026-11-30T00:00", "2026-12-31T00:00"]),
        ("0 0 LW * *", ["2026-11-30T00:00", "2026-12-31T00:00"]),
        ("0 0 * * 5L", ["2026-11-27T00:00", "2026-12-25T00:00"]),
        ("0 0 * * MON#2", ["2026-12-14T00:00", "2027-01-11T00:00"]),
        ("0 0 * * 0", ["2026-11-29T00:00", "2026-12-06T00:00"]),
        ("0 0 * * 7", ["2026-11-29T00:00", "2026-12-06T00:00"]),
        ("0 9 13 * FRI", ["2026-11-27T09:00", "2026-12-04T09:00"]),  # either day
        ("0 9 */2 * FRI", ["2026-11-27T09:00", "2026-12-11T09:00"]),  # both
        ("0 0 31 2 SUN", ["2027-02-07T00:00", "2027-02-14T00:00"]),  # no such day, but such a weekday
        ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 * 2 MON#5", ["2044-02-29T00:00", "2072-02-29T00:00"]),
        ("@hourly", ["2026-11-24T06:00", "2026-11-24T07:00"]),
        ("@Hourly", ["2026-11-24T06:00", "2026-11-24T07:00"]),
        ("@daily", ["2026-11-25T00:00", "2026-11-26T00:00"]),
        ("@midnight", ["2026-11-25T00:00", "2026-11-26T00:00"]),
        ("@weekly", ["2026-11-29T00:00", "2026-12-06T00:00"]),
        ("@monthly", ["2026-12-01T00:00", "2027-01-01T00:00"]),
        ("@yearly", ["2027-01-01T00:00", "2028-01-01T00:00"]),
        ("@annually", ["2027-01-01T00:00", "2028-01-01T00:00"]),
    ],
)
def test_an_expression_is_due(cron: str, first: list[str]) -> None:
    assert read_cron(cron) == cron
    assert due(cron, "2026-11-24T05:00:00Z", 2) == first


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        (None, "expected a cron expression"),
        (5, "expected a cron expression"),
        ("", "expected five fields (minute hour day-of-month month day-of-week), six with seconds first, or @hourly,"),
        ("* * * *", "expected five fields"),
        ("* * * * * * *", "expected five fields"),
        ("@reboot", "expected five fields"),
        ("0 0 * * ＭＯＮ", "expected five fields"),
        ("0," * 200 + "0 * * * *", "expected five fields"),
        ("60 * * * *", "the minute field cannot be read: 60"),
        ("60 * * * * *", "the second field cannot be read: 60"),
        ("* 24 * * *", "the hour field cannot be read: 24"),
        ("* * 32 * *", "the day-of-month field cannot be read: 32"),
        ("* * ? * *", "the day-of-month field cannot be read: ?"),
        ("* * * 13 *", "the month field cannot be read: 13"),
        ("* * * * MONDAY", "the day-of-week field cannot be read: MONDAY"),
        ("*/0 * * * *", "the minute field cannot be read: */0"),
        ("5-1 * * * *", "the minute field cannot be read: 5-1"),
        ("5-5-5/1 * * * *", "the minute field cannot be read: 5-5-5/1"),
        ("5-5/0 * * * *", "the minute field cannot be read: 5-5/0"),
        ("* * L-L/2 * *", "the day-of-month field cannot be read: L-L/2"),
        ("H * * * *", "the minute field cannot be read: H"),
        ("0 0 31 2 *", "never due: there is no such date"),
        ("0 0 30 FEB *", "never due: there is no such date"),
        ("0 0 31 4,6,9,11 *", "never due: there is no such date"),
        ("0 0 0 31 2 *", "never due: there is no such date"),
        ("0 0 */31 1 1#2", "never due: there is no such date"),  # the first is never a second Monday
    ],
)
def test_an_expression_is_refused(cron: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read_cron(cron)


def test_a_due_time_is_strictly_later() -> None:
    hourly = parse(cron="@hourly")
    assert hourly.next(START) == START + HOUR
    assert hourly.next(START - 1) == START
    assert hourly.next(START + 1) == START + HOUR


def test_time_ends() -> None:
    end = parse_time(f"{LAST_YEAR}-01-01T00:00:00Z")
    for cron in ("@daily", "@hourly"):
        assert parse(cron=cron).next(end - DAY - 1) == end - DAY
        assert parse(cron=cron).next(end + DAY) is None
    assert parse(cron="@yearly").due(end - 2 * YEAR) == (end - YEAR,)
    assert parse(cron="@yearly").count(end - 2 * YEAR, end + 9 * YEAR) == 1


def test_hours_that_a_zone_always_skips_are_never_due() -> None:
    # A wildcard hour that only midnight matches, on the day on which Beirut's clocks go from midnight to one.
    assert parse(cron="30 */24 25-31 3 */7", timezone="Asia/Beirut").next(START) is None
    assert parse(cron="30 0 25-31 3 */7", timezone="Asia/Beirut").next(START) == parse_time("2027-03-27T22:00:00Z")


# -- zones -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_a_zone_is_known(name: str) -> None:
    assert read_zone(name) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "expected the name of a time zone"),
        ("Europe/Berln", 'did you mean "Europe/Berlin"?'),
        ("europe/berlin", 'did you mean "Europe/Berlin"?'),
        ("Mars/Olympus_Mons_Base", 'expected a name such as "Europe/Berlin" or "UTC"'),
        ("../../etc/passwd", "no time zone has this name"),
        ("localtime", "no time zone has this name"),
        ("x" * 1_000_000, "no time zone has this name"),
        ("", "no time zone has this name"),
    ],
)
def test_a_zone_is_refused(name: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read_zone(name)


def test_the_first_stretch_holds_the_instant() -> None:
    change = parse_time("2026-10-25T01:00:00Z") // SECOND
    before, after, *_ = stretches("Europe/Berlin", change - 1)
    assert (before.end, before.offset, after.begin, after.offset) == (change, 7200, change, 3600)
    assert next(stretches("Europe/Berlin", change)) == after


@pytest.mark.parametrize("cron", ["*/10 0 * * *", "*/10 * * * *", "30 0,1 * * *"])
def test_a_year_may_end_while_an_hour_is_repeated(cron: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # No zone does this; but where a year ends its stretch ends, whatever the clocks do.
    hour = HOUR // SECOND
    whole = [Stretch(0, hour, hour), Stretch(hour, 9 * hour, 0)]
    parts = [whole[0], Stretch(hour, hour + 600, 0), Stretch(hour + 600, 9 * hour, 0)]
    schedule = recurrence.Cron(cron, "Nowhere")
    answers = []
    for made in (whole, parts):

        def fake(_: str, instant: int, made: list[Stretch] = made) -> Iterator[Stretch]:
            return (each for each in made if each.end > instant)

        monkeypatch.setattr(recurrence, "stretches", fake)
        answers.append((schedule.due(-1), schedule.count(-1, 9 * HOUR)))
    assert answers[0] == answers[1]
    assert len(answers[0][0]) == answers[0][1]


# -- intervals ---------------------------------------------------------------------------------------------------------


def test_an_interval_is_reckoned_from_its_anchor() -> None:
    interval = parse(every=90 * SECOND, anchor=START)
    assert interval.next(START - YEAR) == START + 90 * SECOND
    assert interval.due(START, limit=3) == (START + 90 * SECOND, START + 180 * SECOND, START + 270 * SECOND)
    assert interval.next(START + 90 * SECOND - 1) == START + 90 * SECOND
    assert interval.next(START + YEAR) == START + YEAR + 90 * SECOND - YEAR % (90 * SECOND)


@pytest.mark.parametrize(("text", "span"), [("100ms", 100 * MILLISECOND), (2, 2 * SECOND), ("3650d", 3650 * DAY)])
def test_an_interval_is_read(text: object, span: int) -> None:
    assert read_every(text) == span


@pytest.mark.parametrize("text", ["0s", 0, "99ms", "-5s", -1, "soon", None, True, "3651d"])
def test_an_interval_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        read_every(text)


@pytest.mark.parametrize("given", [{}, {"cron": "@daily", "every": SECOND}])
def test_there_is_one_of_cron_and_every(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="give either cron or every"):
        parse(**given)  # type: ignore[arg-type]


# -- counting ----------------------------------------------------------------------------------------------------------

CRONS = st.sampled_from(
    ["*/7 * * * *", "0 * * * *", "13 */2 * * *", "30 1,2,3 * * *", "15 2 * * *", "0 0 * * *", "*/20 59 1-2 * * *"]
)
PLACES = ["UTC", "Europe/Berlin", "Asia/Beirut", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca"]
SOME_SPAN = st.integers(0, YEAR)
RECURRENCES = st.one_of(
    st.builds(lambda cron, zone: parse(cron=cron, timezone=zone), CRONS, st.sampled_from(PLACES)),
    st.builds(lambda every, back: parse(every=every, anchor=START - back), st.integers(5 * MINUTE, DAY), SOME_SPAN),
)
MOMENTS = st.integers(START - 300 * DAY, START + 300 * DAY)
SPANS = st.integers(-HOUR, 3 * DAY)


@settings(deadline=None)
@given(RECURRENCES, MOMENTS, SPANS)
def test_what_is_counted_is_what_is_due(rule: Recurrence, after: int, span: int) -> None:
    found = rule.due(after, after + span)
    assert rule.count(after, after + span) == len(found)
    assert list(found) == sorted(set(found))
    assert all(after < each <= after + span for each in found)


@settings(deadline=None)
@given(RECURRENCES, MOMENTS, SPANS, st.integers(0, 20))
def test_the_latest_are_the_last(rule: Recurrence, after: int, span: int, limit: int) -> None:
    everything = rule.due(after, after + span)
    assert rule.latest(after, after + span, limit) == everything[max(0, len(everything) - limit) :]
    assert rule.due(after, after + span, limit) == everything[:limit]


def test_a_year_of_seconds_is_counted_at_once() -> None:
    seconds = parse(cron="* * * * * *", timezone="Europe/Berlin")
    assert seconds.count(START, START + YEAR) == YEAR // SECOND
    assert seconds.latest(START, START + YEAR, 2) == (START + YEAR - SECOND, START + YEAR)
    within = parse(cron="* * 2 * * *", timezone="Europe/Berlin")  # fixed: one for the skipped hour, 23 hours later
    assert within.count(START, START + YEAR) == 364 * 3600 + 1


# -- documentation -----------------------------------------------------------------------------------------------------

ROW = re.compile(r"\| `(.+?)` \| (UTC|\w+/\w+) \| (\d{4}-\d\d-\d\d)[^|]* \| ([^|]+) \|")
ROWS = ROW.findall(DOC.read_text(encoding="utf-8"))


def test_the_documentation_has_examples_of_both_zones() -> None:
    assert {"Europe/Berlin", "America/New_York"} <= {zone for _, zone, _, _ in ROWS}
    assert len(ROWS) >= 16


@pytest.mark.parametrize(("cron", "zone", "date", "times"), ROWS)
def test_the_documentation_is_right(cron: str, zone: str, date: str, times: str) -> None:
    place = ZoneInfo(zone)
    midnight, four = (datetime.fromisoformat(f"{date}T{hour}:00").replace(tzinfo=place) for hour in ("00", "04"))
    found = parse(cron=cron, timezone=zone).due(*(int(each.timestamp()) * SECOND - 1 for each in (midnight, four)))
    shown = [datetime.fromtimestamp(each / SECOND, place).isoformat() for each in found]
    assert shown == [f"{date}T{time[:5]}:00{time[5:]}" for time in times.split(", ")]

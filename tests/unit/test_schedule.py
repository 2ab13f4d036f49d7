"""Schedules: what users may state, how it is kept and changed, and the tasks that due times make."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from taskqueue.core.clock import DAY, HOUR, MINUTE, SECOND
from taskqueue.core.config import Config
from taskqueue.core.errors import InvalidInput, Malformed, TooLarge
from taskqueue.core.names import is_task_id
from taskqueue.core.schedule import (
    Misfire,
    Overlap,
    Owner,
    Spec,
    drafts,
    parse_schedule,
    revise,
    tick_id,
)
from taskqueue.core.submission import parse_submission
from taskqueue.core.times import parse_time
from taskqueue.core.views import Declaration

NOW = parse_time("2026-11-24T05:00:00Z")
MINUTELY = Spec(handler="h", payload=b"1", cron="* * * * *")


def read(**body: Any) -> tuple[str | None, Spec, bool]:
    return parse_schedule(msgspec.json.encode({"payload": 1, **body}), max_payload=1000, anchor=NOW)


def refused(body: bytes | dict[str, Any]) -> dict[str, str]:
    sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
    with pytest.raises(InvalidInput) as caught:
        parse_schedule(sent, max_payload=1000, anchor=NOW)
    return dict(caught.value.errors)


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_schedule_in_few_words() -> None:
    assert read(cron="@daily") == (None, Spec(handler="echo", payload=b"1", cron="@daily", anchor=NOW), False)


def test_a_schedule_in_all_words() -> None:
    body = b"""{"id": "every:so.often", "handler": "mail.send", "payload": {"to": "a"},
        "every": "90s", "misfire": "runAll", "parameters": {"tags": ["x"], "timeout": "30s", "priority": 7.0},
        "timezone": "Europe/Berlin", "overlap": "skip", "paused": true}"""
    given_id, spec, paused = parse_schedule(body, max_payload=1000, anchor=NOW + 999, owner=Owner.CODE)
    assert (given_id, paused) == ("every:so.often", True)
    assert spec == Spec(
        handler="mail.send",
        payload=b'{"to": "a"}',
        parameters=b'{"priority":7,"tags":["x"],"timeout":"30s"}',
        every=90 * SECOND,
        timezone="Europe/Berlin",
        misfire=Misfire.RUN_ALL,
        overlap=Overlap.SKIP,
        anchor=NOW,
        owner=Owner.CODE,
    )
    assert spec.recurrence().next(NOW) == NOW + 90 * SECOND


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("cron", "0 0 31 2 *", "never due: there is no such date"),
        ("cron", "61 * * * *", "the minute field cannot be read: 61"),
        ("cron", None, "expected a cron expression"),
        ("timezone", "Europe/Berln", 'did you mean "Europe/Berlin"?'),
        ("timezone", None, "expected the name of a time zone"),
        ("misfire", "never", "expected one of skip, runOnce, runAll"),
        ("overlap", "queue", "expected one of allow, skip"),
        ("paused", "yes", "expected true or false"),
        ("id", "a b", "expected a name"),
        ("handler", "", "expected a name"),
        ("payload", msgspec.UNSET, "required"),
        ("parameters", [], "expected an object"),
        ("every", "1h", "give either cron or every"),
        ("cron", msgspec.UNSET, "give either cron or every"),
        ("evry", "1h", "unknown field"),
    ],
)
def test_a_wrong_field(field: str, value: object, message: str) -> None:
    body = {"payload": 1, "cron": "@daily", field: value}
    errors = refused({name: each for name, each in body.items() if each is not msgspec.UNSET})
    [(path, said)] = errors.items()
    assert path == ("$.cron" if message.startswith("give either") else f"$.{field}")
    assert message in said


@pytest.mark.parametrize("every", ["0s", 0, -5, "-1s", "50ms", "x", None, []])
def test_a_wrong_interval(every: object) -> None:
    assert list(refused({"payload": 1, "every": every})) == ["$.every"]


@pytest.mark.parametrize("name", ["delay", "runAt", "expiresAt", "idempotencyKey"])
def test_a_parameter_that_belongs_to_one_task(name: str) -> None:
    errors = refused({"payload": 1, "every": "1s", "parameters": {name: "nonsense"}})
    assert errors == {f"$.parameters.{name}": "not for schedules: each due time has its own"}


def test_all_that_is_wrong_is_told() -> None:
    wrong = {"every": "0s", "timezone": "X", "parameters": {"timeout": 0, "delay": "1s", "color": 1}, "paused": 1}
    assert set(refused(wrong)) == {
        "$.every",
        "$.timezone",
        "$.paused",
        "$.payload",
        "$.parameters.timeout",
        "$.parameters.delay",
        "$.parameters.color",
    }


def test_times_that_a_zone_always_skips() -> None:
    errors = refused({"payload": 1, "cron": "30 */24 25-31 3 */7", "timezone": "Asia/Beirut"})
    assert errors == {"$.cron": "never due in Asia/Beirut: its clocks skip all such times"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'{"payload": "\xff", "every": 1}',
        b'{"payload": NaN}',
        b'{"payload": "\\ud800"}',
        b'{"payload":' + b"[" * 33 + b"]" * 33 + b"}",
    ],
)
def test_no_json(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_schedule(body, max_payload=1000, anchor=NOW)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"'])
def test_no_object(body: bytes) -> None:
    assert list(refused(body)) == ["$"]


def test_a_payload_may_be_too_large() -> None:
    with pytest.raises(TooLarge):
        read(cron="@daily", payload="x" * 1000)


# -- keeping -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        MINUTELY,
        Spec(
            handler="h",
            payload=b'{"a": [1,\n2]}',
            parameters=b'{"tags":["x"]}',
            every=5,
            misfire=Misfire.SKIP,
            overlap=Overlap.SKIP,
            anchor=NOW,
            owner=Owner.CODE,
        ),
    ],
)
def test_a_spec_is_written_and_read(spec: Spec) -> None:
    assert Spec.decode(spec.encode()) == spec
    assert msgspec.json.decode(spec.encode())["payload"] == msgspec.json.decode(spec.payload)


def test_a_spec_of_a_newer_version_is_read() -> None:
    stored = msgspec.json.decode(MINUTELY.encode()) | {"jitter": 5}
    assert Spec.decode(msgspec.json.encode(stored)) == MINUTELY


def test_a_change_that_leaves_the_times() -> None:
    old = Spec(handler="h", payload=b"1", every=HOUR, anchor=NOW - 10 * DAY)
    new = Spec(handler="h", payload=b"2", every=HOUR, anchor=NOW)
    assert revise(old, NOW - MINUTE, new, NOW) == (replace(new, anchor=NOW - 10 * DAY), NOW - MINUTE)
    assert revise(old, NOW - MINUTE, replace(old, anchor=NOW), NOW) == (old, NOW - MINUTE)


@pytest.mark.parametrize(
    "changes", [{"every": 2 * HOUR}, {"every": None, "cron": "@hourly"}, {"timezone": "Europe/Berlin"}]
)
def test_a_change_of_the_times(changes: dict[str, Any]) -> None:
    old = Spec(handler="h", payload=b"1", every=HOUR, anchor=NOW - DAY)
    new = replace(old, anchor=NOW, **changes)
    assert revise(old, NOW - MINUTE, new, NOW) == (new, NOW)


# -- ticks -------------------------------------------------------------------------------------------------------------


def test_the_id_of_a_tick() -> None:
    digest = sha256(b"nightly 3 1795496400000").hexdigest()
    assert tick_id("nightly", 3, 1_795_496_400_000_000) == "tick-" + digest[:40]
    assert is_task_id(tick_id("x" * 128, 3, NOW))
    assert len({tick_id(name, n, NOW + due) for name in "ab" for n in (1, 2) for due in (0, 1000)}) == 8


def test_drafts_of_due_times() -> None:
    _, spec, _ = read(handler="h", cron="@daily", parameters={"priority": "high", "timeout": "30s", "tags": ["x"]})
    declared = Declaration(name="h", queue="mail", timeout=1, retries=7)
    first, second = drafts(spec, "s", 2, (NOW, NOW + DAY), declaration=declared, config=Config())
    assert (first.handler, first.queue, first.payload, first.priority) == ("h", "mail", b"1", 7)
    assert (first.timeout, first.retries, first.tags, first.delay, first.key) == (30 * SECOND, 7, ("x",), 0, None)
    assert (first.id, first.run_at, first.schedule) == (tick_id("s", 2, NOW), NOW, "s")
    assert second == replace(first, id=tick_id("s", 2, NOW + DAY), run_at=NOW + DAY)


def test_a_tick_is_a_submit_of_the_same_body() -> None:
    _, spec, _ = read(handler="h", every="1s", parameters={"timeout": 30.0})
    body = b'{"parameters": {"timeout": 30}, "payload": 1, "handler": "h"}'
    assert spec.submission() == parse_submission(body, max_payload=1000)

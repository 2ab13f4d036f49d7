"""What must hold for every text that a client can send."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskqueue.core import names
from taskqueue.core.clock import ManualClock
from taskqueue.core.errors import InvalidInput, TooLarge
from taskqueue.core.ids import UuidIds
from taskqueue.core.strictjson import NESTING, decode, too_deep
from taskqueue.core.submission import parse_submission
from taskqueue.core.times import LONGEST, format_span, format_time, parse_span, parse_time

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def digest(payload: str) -> bytes:
    return parse_submission(('{"payload":' + payload + "}").encode(), max_payload=1_000_000).digest


def shuffled(value: Any, draw: Any) -> Any:
    """The same value with its keys in another order and some integers written as floats."""
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        return {key: shuffled(value[key], draw) for key in keys}
    if isinstance(value, list):
        return [shuffled(one, draw) for one in value]
    if type(value) is int and abs(value) < 2**53 and draw(st.booleans()):
        return float(value)
    return value


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def strict(value: Any) -> Any:
    """A value in which true and 1 differ, but 1 and 1.0 do not."""
    if isinstance(value, dict):
        return ("object", frozenset((key, strict(one)) for key, one in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(strict, value)))
    return (isinstance(value, bool), value)


@given(VALUES, st.data())
def test_how_a_body_is_written_does_not_matter(value, data):
    other = json.dumps(
        shuffled(value, data.draw), ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.none() | st.just(1))
    )
    assert digest(json.dumps(value)) == digest(other)


@given(VALUES, VALUES)
def test_digests_are_equal_exactly_where_bodies_are(one, other):
    assert (digest(json.dumps(one)) == digest(json.dumps(other))) is (strict(one) == strict(other))


@given(VALUES)
def test_a_payload_is_kept_as_it_was_sent(value):
    text = json.dumps(value)
    found = parse_submission(('{"payload": ' + text + " }").encode(), max_payload=1_000_000)
    assert found.payload == text.encode()
    assert json.loads(found.payload) == value


@given(VALUES, st.integers(0, 6))
def test_depth_is_counted_exactly(value, levels):
    assert too_deep(json.dumps(value).encode(), levels) is (depth(value) > levels)


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\0truefalsn1.eE- ', max_size=100).map(str.encode))
def test_any_bytes_are_read_as_json_is_or_refused(text):
    try:
        ours = decode(text)
    except InvalidInput:
        ours = None
    if ours is not None:
        assert json.loads(text) == ours
        assert depth(ours) <= NESTING


FIELDS = st.sampled_from(
    [
        "priority",
        "timeout",
        "queue",
        "retries",
        "delay",
        "runAt",
        "expiresAt",
        "tags",
        "idempotencyKey",
        "keepResult",
        "x",
    ]
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "payload": VALUES,
        "handler": VALUES | st.text(string.ascii_letters, min_size=1),
        "id": VALUES | st.text(string.ascii_letters, min_size=1),
        "parameters": VALUES | st.dictionaries(FIELDS, VALUES | st.sampled_from(["5s", "high", ["a"], 5, True])),
    },
)


@given(BODIES, st.none() | st.text())
def test_any_body_is_a_submission_or_told_what_is_wrong(body, key):
    try:
        found = parse_submission(json.dumps(body).encode(), max_payload=100, header_key=key)
    except InvalidInput as error:
        problems = error.errors
    except TooLarge:
        assert len(json.dumps(body["payload"])) > 100
        return
    else:
        problems = ()
        assert names.is_name(found.handler)
        assert found.id is None or names.is_task_id(found.id)
        assert found.parameters.priority in {None, *range(10)}
        assert found.parameters.timeout is None or 0 < found.parameters.timeout <= LONGEST
    assert all(message for _, message in problems)
    assert all(path.startswith("$") or path == "Idempotency-Key" for path, _ in problems)


@given(st.integers(0, LONGEST))
def test_spans_survive_the_way_out_and_in(span):
    assert parse_span(format_span(span)) == span


@given(st.integers(0, 253_402_300_799_000_000))
def test_moments_survive_to_the_millisecond(moment):
    assert parse_time(format_time(moment)) == moment - moment % 1_000


@given(st.text() | st.floats() | st.integers())
def test_anything_is_a_span_or_a_value_error(value):
    try:
        span = parse_span(value)
    except ValueError:
        return
    assert 0 <= span <= LONGEST


@given(
    st.text()
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})", fullmatch=True)
)
def test_anything_is_a_moment_or_a_value_error(text):
    try:
        moment = parse_time(text)
    except ValueError:
        return
    assert moment >= 0


@given(st.lists(st.integers(-(10**9), 10**9), max_size=50))
def test_ids_grow_whatever_the_clock_does(jumps):
    clock = ManualClock()
    source = UuidIds(clock, bytes)
    made = [source.new()]
    for jump in jumps:
        clock.jump(jump)
        made.append(source.new())
    assert made == sorted(set(made))
    assert all(map(names.is_task_id, made))


@pytest.mark.parametrize("reader", [names.read_name, names.read_task_id, names.read_key])
@given(value=st.text() | VALUES)
def test_a_name_is_what_its_pattern_says_or_a_value_error(reader, value):
    try:
        assert reader(value) == value
    except ValueError:
        return
    assert isinstance(value, str)
    assert 1 <= len(value) <= 255

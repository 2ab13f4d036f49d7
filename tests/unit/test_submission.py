"""From a client's bytes to a draft."""

from __future__ import annotations

import json
from enum import StrEnum
from zlib import crc32

import msgspec
import pytest

from taskqueue.core import fields
from taskqueue.core.clock import MINUTE, SECOND
from taskqueue.core.config import Config
from taskqueue.core.errors import InvalidInput, Malformed, TooLarge
from taskqueue.core.strictjson import canonical, decode, decoder, too_deep
from taskqueue.core.submission import Parameters, Submission, fill, parse_submission
from taskqueue.core.task import Draft
from taskqueue.core.views import Declaration


def parse(text: bytes | str, **options: object) -> Submission:
    raw = text.encode() if isinstance(text, str) else text
    return parse_submission(raw, **{"max_payload": 1_000, **options})


def test_what_is_not_said_is_none():
    found = parse('{"payload": null}')
    assert (found.handler, found.payload, found.id) == ("echo", b"null", None)
    assert found.parameters == Parameters()
    assert len(found.digest) == 16


def test_all_that_can_be_said():
    found = parse(
        json.dumps(
            {
                "id": "a-1",
                "handler": "h",
                "payload": [1],
                "parameters": {
                    "priority": "critical",
                    "timeout": "30s",
                    "queue": "q",
                    "retries": 0,
                    "delay": 1.5,
                    "expiresAt": "1970-01-01T00:00:01Z",
                    "tags": ["b", "a", "b"],
                    "idempotencyKey": "k",
                    "keepResult": False,
                },
            }
        )
    )
    assert found.id == "a-1"
    assert found.parameters == Parameters(
        priority=9,
        timeout=30 * SECOND,
        queue="q",
        retries=0,
        delay=1_500_000,
        expires_at=SECOND,
        tags=("b", "a"),
        idempotency_key="k",
        keep_result=False,
    )
    assert parse('{"payload":1,"parameters":{"runAt":"1970-01-01T00:00:01Z"}}').parameters.run_at == SECOND


@pytest.mark.parametrize(
    ("name", "priority"), [("low", 1), ("normal", 4), ("high", 7), ("critical", 9), (0, 0), (9, 9)]
)
def test_priorities(name, priority):
    assert parse(json.dumps({"payload": 1, "parameters": {"priority": name}})).parameters.priority == priority


def test_a_part_of_a_larger_text_is_taken_too():
    (item,) = msgspec.json.decode(b'[{"payload": "x"}]', type=list[msgspec.Raw])
    assert parse_submission(item, max_payload=3).payload == b'"x"'


SAME = [
    ('{"payload": {"a": 1, "b": [2, "é"]}}', '{ "payload" : {"b":[2.0,"\\u00e9"],"a":1e0} }'),
    ('{"payload": 1}', '{"payload": 1, "parameters": {}}'),
    ('{"payload": 1}', '{"payload": 1, "handler": "echo"}'),
    ('{"payload": 1}', '{"payload": 1, "id": "x"}'),
    ('{"payload": 1}', '{"payload": 1, "parameters": {"idempotencyKey": "k"}}'),
    ('{"payload": 0}', '{"payload": -0.0}'),
    ('{"payload": 1e30}', '{"payload": 1000000000000000019884624838656}'),
    ('{"payload": 1, "parameters": {"retries": 5}}', '{"payload": 1, "parameters": {"retries": 5.0}}'),
]
DIFFERENT = [
    ('{"payload": 1}', '{"payload": true}'),
    ('{"payload": 0}', '{"payload": false}'),
    ('{"payload": 0}', '{"payload": null}'),
    ('{"payload": ""}', '{"payload": null}'),
    ('{"payload": 1}', '{"payload": "1"}'),
    ('{"payload": [1, 2]}', '{"payload": [2, 1]}'),
    ('{"payload": {}}', '{"payload": []}'),
    ('{"payload": 1.5}', '{"payload": 1.6}'),
    ('{"payload": 9007199254740993}', '{"payload": 9007199254740992}'),
    ('{"payload": 1}', '{"payload": 1, "handler": "other"}'),
    ('{"payload": 1}', '{"payload": 1, "parameters": {"priority": 4}}'),
    ('{"payload": ["echo", {}]}', '{"payload": "echo", "parameters": {}}'),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_bodies_have_equal_digests(one, other):
    assert parse(one).digest == parse(other).digest


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_bodies_have_other_digests(one, other):
    assert parse(one).digest != parse(other).digest


def test_the_header_s_key_counts_as_the_key():
    assert parse('{"payload": 1}', header_key="k").parameters.idempotency_key == "k"
    assert parse('{"payload": 1}', header_key="k").digest == parse('{"payload": 1}').digest
    both = '{"payload": 1, "parameters": {"idempotencyKey": "k"}}'
    assert parse(both, header_key="k").parameters.idempotency_key == "k"
    with pytest.raises(InvalidInput) as caught:
        parse(both, header_key="other")
    assert caught.value.errors == (("$.parameters.idempotencyKey", "differs from the Idempotency-Key header"),)
    with pytest.raises(InvalidInput) as caught:
        parse('{"payload": 1}', header_key="")
    assert caught.value.errors[0][0] == "Idempotency-Key"


def test_all_that_is_wrong_is_told():
    with pytest.raises(InvalidInput) as caught:
        parse('{"handler": 5, "id": "", "parameters": {"tags": ["", "b", 1], "nope": 1}}')
    assert [path for path, _ in caught.value.errors] == [
        "$.handler",
        "$.id",
        "$.payload",
        "$.parameters.tags[0]",
        "$.parameters.tags[2]",
        "$.parameters.nope",
    ]
    assert str(caught.value).startswith("$.handler: expected a name")


def test_a_wrong_number_inside_the_payload_has_its_path():
    with pytest.raises(InvalidInput) as caught:
        parse('{"payload": [0, 1e999]}')
    assert caught.value.errors == (("$.payload[1]", "number out of range"),)


def test_a_number_that_no_number_can_hold_is_told_with_its_place_among_the_parameters() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_submission(b'{"payload": 1, "parameters": {"priority": ' + b"9" * 5_000 + b"}}", max_payload=100)
    [(path, message)] = caught.value.errors
    assert path.startswith("$.parameters")
    assert "out of range" in message


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"delay": 1, "runAt": "2026-12-01T08:00:00Z"}, ("$.parameters.delay", "give either delay or runAt")),
        ({"timeout": 0}, ("$.parameters.timeout", "expected a duration above 0")),
        ({"tags": 5}, ("$.parameters.tags", "expected a list")),
        ({"tags": ["a"] * 21}, ("$.parameters.tags", "expected at most 20 items")),
        ({"keepResult": 1}, ("$.parameters.keepResult", "expected true or false")),
        (None, ("$.parameters", "expected an object")),
    ],
)
def test_parameters_that_cannot_be(parameters, complaint):
    with pytest.raises(InvalidInput) as caught:
        parse(json.dumps({"payload": 1, "parameters": parameters}))
    assert caught.value.errors == (complaint,)


@pytest.mark.parametrize("text", [b"", b"{", b'{"payload": "\xff"}', b'{"payload": \xff}', b'{"\xff": 1}', b"[" * 50])
def test_what_is_no_json_is_malformed(text):
    with pytest.raises(Malformed):
        parse(text)


def test_a_payload_may_have_its_limit_of_bytes():
    assert parse('{"payload": "12345678"}', max_payload=10).payload == b'"12345678"'
    with pytest.raises(TooLarge, match="11 bytes; at most 10"):
        parse('{"payload": "123456789"}', max_payload=10)


# -- the draft ---------------------------------------------------------------------------------------------------------

CONFIG = Config(task_timeout=7 * MINUTE, retry_count=11)
DECLARED = Declaration(name="h", queue="dq", priority=2, timeout=3 * SECOND, retries=0, keep_result=False)


def test_where_nobody_says_anything_the_configuration_does():
    found = parse('{"payload": [1]}')
    assert fill(found, "t", None, CONFIG) == Draft(
        id="t",
        handler="echo",
        queue="default",
        payload=b"[1]",
        checksum=crc32(b"[1]"),
        digest=found.digest,
        priority=4,
        timeout=7 * MINUTE,
        retries=11,
    )


def test_a_declaration_goes_before_the_configuration():
    draft = fill(parse('{"payload": 1}'), "t", DECLARED, CONFIG)
    assert (draft.queue, draft.priority, draft.timeout, draft.retries, draft.keep_result) == (
        "dq",
        2,
        3 * SECOND,
        0,
        False,
    )


def test_the_task_goes_before_its_declaration():
    said = {"queue": "q", "priority": 0, "timeout": 1, "retries": 0, "keepResult": True, "delay": 2, "tags": ["a"]}
    said |= {"expiresAt": "2030-01-01T00:00:00Z", "idempotencyKey": "k"}
    draft = fill(parse(json.dumps({"payload": 1, "parameters": said})), "t", DECLARED, CONFIG)
    assert (draft.queue, draft.priority, draft.timeout, draft.retries, draft.keep_result) == ("q", 0, SECOND, 0, True)
    assert (draft.delay, draft.tags, draft.key, draft.run_at) == (2 * SECOND, ("a",), "k", None)
    assert draft.expires_at is not None


# -- the tools beneath -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "levels", "deep"),
    [
        (b"1", 0, False),
        (b"[]", 0, True),
        (b"[[]]", 1, True),
        (b"[[]]", 2, False),
        (b'[{"a":[1]},[[]],{}]', 3, False),
        (b'[{"a":[1]},[[]],{}]', 2, True),
        (b"[]" * 50, 1, False),
        (b'["[[[[", "\\"[[[["]', 1, False),
        (b'["\\\\", [[]]]', 2, True),
        (b'["[[[[', 1, True),
        (b"]]]][", 0, True),
    ],
)
def test_too_deep(text, levels, deep):
    assert too_deep(text, levels) is deep


def test_counting_levels_of_a_hostile_text_is_quick():
    for text in (b"[" * 1_000_000, b'"\\' * 500_000 + b"[" * 100, b"[]" * 500_000, b'[{"' * 300_000):
        too_deep(text)


def test_decode_says_where():
    class Shape(msgspec.Struct, forbid_unknown_fields=True):
        a: int
        b: list[int] = []

    shape = decoder(Shape)
    for text, path, message in [
        (b"{}", "$.a", "required"),
        (b'{"a": 1, "x": 1}', "$.x", "unknown field"),
        (b'{"a": "1"}', "$.a", "expected `int`, got `str`"),
        (b'{"a": 1, "b": [1, null]}', "$.b[1]", "expected `int`, got `null`"),
        (b"[]", "$", "expected `object`, got `array`"),
        (b'{"a": 1, "' + b"x" * 100 + b'": 1}', "$." + "x" * 64 + "…", "unknown field"),
    ]:
        with pytest.raises(InvalidInput) as caught:
            decode(text, shape)
        assert caught.value.errors == ((path, message),)


def test_brackets_in_what_is_only_skimmed_end_in_malformed():
    with pytest.raises(Malformed, match="nested deeper"):
        decode(b"[" * 100_000, decoder(list[msgspec.Raw]), levels=100_000)


def test_canonical_text():
    assert canonical({"b": [1, None], "a": "é"}) == '{"a":"é","b":[1,null]}'.encode()


def test_reading_an_object():
    readers = {"runAt": ("run_at", fields.or_null(fields.read_time)), "n": ("n", fields.read_retries)}
    assert fields.read_object({"runAt": None, "n": 5}, readers) == {"run_at": None, "n": 5}
    with pytest.raises(InvalidInput) as caught:
        fields.read_object({"runAt": 5}, readers, ".", required=("n",))
    assert [path for path, _ in caught.value.errors] == [".n", ".runAt"]
    with pytest.raises(InvalidInput) as caught:
        fields.read_object([], readers)
    assert caught.value.errors == (("$", "expected an object"),)


def test_a_flood_of_problems_is_cut():
    with pytest.raises(InvalidInput) as caught:
        fields.read_object({f"x{n}": 1 for n in range(1_000)}, {})
    assert len(caught.value.errors) == fields.MOST_PROBLEMS
    with pytest.raises(InvalidInput) as caught:
        fields.read_list([None] * 1_000, fields.read_time, 1_000)
    assert len(caught.value.errors) == fields.MOST_PROBLEMS


def test_one_of():
    class Colour(StrEnum):
        RED = "red"
        BLUE = "blue"

    read = fields.one_of(Colour)
    assert read("red") is Colour.RED
    for value in ("green", None, ["red"], 5):
        with pytest.raises(ValueError, match="expected one of red, blue"):
            read(value)

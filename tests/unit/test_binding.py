"""From payloads to arguments: what each kind of annotation takes, and where a wrong payload is told to be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

import pytest
from msgspec import Meta, Struct

from taskqueue import TaskContext
from taskqueue.binding import Binding
from taskqueue.core.errors import ConfigError, InvalidInput

if TYPE_CHECKING:
    from nowhere import OnlyForTheTypeChecker


class Colour(Enum):
    RED = "red"


class Person(TypedDict):
    name: str
    age: NotRequired[int]


@dataclass
class Point:
    x: int
    y: int = 0


class Box(Struct, forbid_unknown_fields=True):
    size: int
    inside: Box | None = None


class Custom:
    pass


class Picky(Struct):
    n: int

    def __post_init__(self) -> None:
        if self.n > 1:
            raise ValueError("too many")
        if self.n < 0:
            raise KeyError("negative")


def bind(function: Callable[..., Any], payload: object) -> dict[str, Any]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Binding("x", function).bind(raw)


def wrong(function: Callable[..., Any], payload: object) -> tuple[str, str]:
    with pytest.raises(InvalidInput) as caught:
        bind(function, payload)
    ((path, message),) = caught.value.errors
    return path, message


def send(to: str, subject: str = "hi", *, copies: int = 1) -> None: ...


def test_an_object_fills_the_parameters_by_name() -> None:
    assert bind(send, {"copies": 3, "to": "a"}) == {"to": "a", "copies": 3}


def test_what_the_payload_leaves_out_keeps_the_functions_own_default() -> None:
    box: list[int] = []

    def collecting(into: list[int] = box) -> list[int]:
        return into

    assert collecting(**bind(collecting, {})) is box


@pytest.mark.parametrize(
    ("payload", "path", "message"),
    [
        ({}, "$.payload.to", "required"),
        ({"to": 5}, "$.payload.to", "expected `str`, got `int`"),
        ({"to": None}, "$.payload.to", "expected `str`, got `null`"),
        ({"to": "a", "copies": "3"}, "$.payload.copies", "expected `int`, got `str`"),
        ({"to": "a", "copies": 1.5}, "$.payload.copies", "expected `int`, got `float`"),
        ({"to": "a", "copies": True}, "$.payload.copies", "expected `int`, got `bool`"),
        ({"to": "a", "cc": 1}, "$.payload.cc", "unknown field"),
        ({"to": "a", "x" * 9999: 1}, "$.payload." + "x" * 64 + "…", "unknown field"),
        ({"to": "a", "ctx": 1}, "$.payload.ctx", "unknown field"),
        ("a", "$.payload", "expected `object`, got `str`"),
        (["a"], "$.payload", "expected `object`, got `array`"),
        (None, "$.payload", "expected `object`, got `null`"),
        (b'{"to": "\xff"}', "$.payload", "not UTF-8"),
        (b'{"to"', "$.payload", "DecodeError: Input data was truncated"),
    ],
)
def test_a_wrong_payload_is_told_with_its_path(payload: object, path: str, message: str) -> None:
    assert wrong(send, payload) == (path, message)


def test_a_single_parameter_called_payload_gets_it_whole() -> None:
    def whole(payload: Any) -> None: ...

    def numbers(payload: list[int], ctx: TaskContext) -> None: ...

    assert bind(whole, {"payload": 1}) == {"payload": {"payload": 1}}
    assert bind(whole, None) == {"payload": None}
    assert bind(numbers, [1, 2]) == {"payload": [1, 2]}
    assert wrong(numbers, [1, "2"]) == ("$.payload[1]", "expected `int`, got `str`")


def test_payload_beside_others_is_a_field_like_any() -> None:
    def both(payload: int, other: int) -> None: ...

    assert bind(both, {"payload": 1, "other": 2}) == {"payload": 1, "other": 2}


def test_without_parameters_nothing_is_wanted() -> None:
    def nothing() -> None: ...

    def context_only(ctx: TaskContext) -> None: ...

    for function in (nothing, context_only):
        assert bind(function, None) == bind(function, {}) == bind(function, b" null ") == {}
        assert wrong(function, {"a": 1}) == ("$.payload.a", "unknown field")
        assert wrong(function, 0) == ("$.payload", "expected `object`, got `int`")


def test_further_fields_go_to_double_star() -> None:
    def some(first: int, **rest: int) -> None: ...

    def anything(**rest: Any) -> None: ...

    def with_context(ctx: TaskContext, **rest: Any) -> None: ...

    assert bind(some, {"first": 1, "b": 2, "c": 3}) == {"first": 1, "b": 2, "c": 3}
    assert wrong(some, {"first": 1, "b": "2"}) == ("$.payload.b", "expected `int`, got `str`")
    assert wrong(some, {"first": "1"}) == ("$.payload.first", "expected `int`, got `str`")
    assert wrong(some, {"b": 1}) == ("$.payload.first", "required")
    assert bind(anything, {"ctx": 1}) == {"ctx": 1}
    assert wrong(anything, None) == ("$.payload", "expected `object`, got `null`")
    assert wrong(with_context, {"ctx": 1}) == ("$.payload.ctx", "unknown field")


def test_values_are_converted_as_the_annotations_say() -> None:
    def typed(  # noqa: PLR0917 - one of each
        at: datetime,
        key: UUID,
        colour: Colour,
        raw: bytes,
        person: Person,
        point: Point,
        box: Box,
        mode: Literal["a", "b"],
        few: Annotated[int, Meta(ge=1, le=3)],
        real: float,
        pair: tuple[int, str],
        free,  # type: ignore[no-untyped-def]
        thing: object,
        maybe: int | None = None,
    ) -> None: ...

    payload = {
        "at": "2026-12-01T08:00:00Z",
        "key": "12345678-1234-5678-1234-567812345678",
        "colour": "red",
        "raw": "aGk=",
        "person": {"name": "Ada"},
        "point": {"x": 1},
        "box": {"size": 1, "inside": {"size": 2}},
        "mode": "b",
        "few": 3,
        "real": 1,
        "pair": [1, "x"],
        "free": {"any": [1]},
        "thing": [None],
        "maybe": 5,
    }
    assert bind(typed, payload) == {
        **payload,
        "at": datetime(2026, 12, 1, 8, tzinfo=UTC),
        "key": UUID(int=0x12345678_1234_5678_1234_567812345678),
        "colour": Colour.RED,
        "raw": b"hi",
        "point": Point(1),
        "box": Box(1, Box(2)),
        "real": 1.0,
        "pair": (1, "x"),
    }
    assert wrong(typed, {**payload, "few": 4}) == ("$.payload.few", "expected `int` <= 3")
    assert wrong(typed, {**payload, "colour": "blue"}) == ("$.payload.colour", "invalid enum value 'blue'")
    assert wrong(typed, {**payload, "point": {}}) == ("$.payload.point.x", "required")
    assert wrong(typed, {**payload, "box": {"size": 1, "inside": {"size": 2, "z": 0}}}) == (
        "$.payload.box.inside.z",
        "unknown field",
    )


def test_a_type_that_refuses_is_heard() -> None:
    def picky(of: Picky) -> None: ...

    assert wrong(picky, {"of": {"n": 2}}) == ("$.payload.of", "too many")
    assert wrong(picky, {"of": {"n": -1}}) == ("$.payload", "KeyError: 'negative'")


def test_a_wrong_key_is_placed_like_a_wrong_value() -> None:
    def counts(of: dict[int, int]) -> None: ...

    assert bind(counts, {"of": {"1": 2}}) == {"of": {1: 2}}
    assert wrong(counts, {"of": {"a": 2}}) == ("$.payload.of", "expected `int`, got `str`")
    assert wrong(counts, {"of": {"1": "b"}}) == ("$.payload.of[...]", "expected `int`, got `str`")


def test_endless_nesting_is_refused() -> None:
    def whole(payload: Any) -> None: ...

    assert wrong(whole, b"[" * 100_000 + b"]" * 100_000) == ("$.payload", "nested too deeply")


def test_the_context_is_known_by_its_name_alone() -> None:
    def plain(ctx) -> None: ...  # type: ignore[no-untyped-def]

    def typed(*, ctx: TaskContext | None = None) -> None: ...

    def unresolvable(ctx: OnlyForTheTypeChecker) -> None: ...

    assert [Binding("x", function).takes_ctx for function in (plain, typed, unresolvable, send)] == [True] * 3 + [False]


def starred(*args: int) -> None: ...


def positional(a: int, /) -> None: ...


def custom(a: int, b: Custom) -> None: ...


def customs(b: list[Custom]) -> None: ...


def unknown(b: OnlyForTheTypeChecker) -> None: ...


def ambiguous(b: bytes | str) -> None: ...


def other_name(context: TaskContext) -> None: ...


def called(b: Callable[[], int]) -> None: ...


@pytest.mark.parametrize(
    ("function", "parameter", "reason"),
    [
        (starred, "args", "by name"),
        (positional, "a", "by name"),
        (custom, "b", "Custom"),
        (customs, "b", "Custom"),
        (unknown, "b", "OnlyForTheTypeChecker"),
        (ambiguous, "b", "bytes | str"),
        (other_name, "context", 'a parameter named "ctx"'),
        (called, "b", "Callable"),
    ],
)
def test_what_no_json_can_fill_is_refused_at_declaration(
    function: Callable[..., Any], parameter: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Binding("x", function)
    message = str(caught.value)
    assert message.startswith(f'@task("x"): parameter "{parameter}": ')
    assert reason in message
    assert message.isprintable()


def schema_of(function: Callable[..., Any]) -> Any:
    return json.loads(Binding("x", function).schema)


def test_the_schema_says_what_is_taken() -> None:
    assert schema_of(send) == {
        "type": "object",
        "properties": {
            "to": {"type": "string"},
            "subject": {"type": "string", "default": "hi"},
            "copies": {"type": "integer", "default": 1},
        },
        "required": ["to"],
        "additionalProperties": False,
    }


def test_the_schema_of_the_unusual() -> None:
    def nothing(ctx: TaskContext) -> None: ...

    def open_(**rest: Any) -> None: ...

    def whole(payload: list[int]) -> None: ...

    def nested(box: Box, odd: Any = Custom()) -> None: ...  # noqa: B008 - a default that JSON cannot hold

    assert schema_of(nothing) == {"type": ["object", "null"], "properties": {}, "additionalProperties": False}
    assert schema_of(open_) == {"type": "object", "properties": {}}
    assert schema_of(whole) == {"type": "array", "items": {"type": "integer"}}
    described = schema_of(nested)
    assert described["properties"] == {"box": {"$ref": "#/$defs/Box"}, "odd": {}}
    assert described["$defs"]["Box"]["required"] == ["size"]


def test_whose_classes_a_payload_is_made_of_is_known():
    def plain(a: int, b: list[str], c: dict[str, Any], d: datetime, e: str | None = None) -> None: ...
    def boxed(box: Box) -> None: ...
    def many(payload: list[Point]) -> None: ...
    def rest(**more: Colour) -> None: ...
    def bare(payload) -> None: ...

    assert [Binding("it", one).own for one in (plain, bare)] == [False, False]
    assert [Binding("it", one).own for one in (boxed, many)] == [True, True]
    assert Binding("it", rest).own

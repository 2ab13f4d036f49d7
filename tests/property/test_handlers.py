"""Payloads against signatures: what fits comes through unchanged, and only InvalidInput says that one does not."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskqueue.binding import Binding
from taskqueue.core.errors import InvalidInput
from taskqueue.handlers import encode_result

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
TYPES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**53), 2**53),
    str: TEXTS,
    bool: st.booleans(),
    list[int]: st.lists(st.integers(-9, 9), max_size=4),
    dict[str, int]: st.dictionaries(TEXTS, st.integers(-9, 9), max_size=4),
    int | None: st.none() | st.integers(-9, 9),
    Any: JSON,
}
FIELDS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "payload", "self"]), st.sampled_from(list(TYPES)), st.booleans()),
    unique_by=lambda field: field[0],
    min_size=2,
    max_size=5,
)


def function_of(fields: list[tuple[str, Any, bool]]) -> Any:
    """A function with these keyword parameters: (name, annotation, has a default)."""

    def function(**arguments: Any) -> Any:
        return arguments

    kind = inspect.Parameter.KEYWORD_ONLY
    empty = inspect.Parameter.empty
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind, annotation=hint, default=9 if has else empty) for name, hint, has in fields]
    )
    return function


@given(st.data(), FIELDS)
def test_what_fits_comes_through_unchanged(data: st.DataObject, fields: list[tuple[str, Any, bool]]) -> None:
    payload = {
        name: data.draw(TYPES[hint]) for name, hint, has in fields if not has or data.draw(st.booleans(), label=name)
    }
    assert Binding("x", function_of(fields)).bind(json.dumps(payload).encode()) == payload


@given(JSON, FIELDS)
def test_whatever_comes_is_taken_or_refused_with_a_path(payload: Any, fields: list[tuple[str, Any, bool]]) -> None:
    required = {name for name, _, has in fields if not has}
    fits = isinstance(payload, dict) and required <= set(payload) <= {name for name, _, _ in fields}
    try:
        bound = Binding("x", function_of(fields)).bind(json.dumps(payload).encode())
    except InvalidInput as error:
        bound = None
        paths = [path for path, _ in error.errors]
        assert all(path.startswith("$.payload") for path in paths)
    if not fits:
        assert bound is None


@given(JSON)
def test_a_payload_taken_whole_and_returned_is_the_same(payload: Any) -> None:
    def whole(payload: Any) -> Any:
        return payload

    arguments = Binding("x", whole).bind(json.dumps(payload).encode())
    assert json.loads(encode_result(whole(**arguments))) == payload


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_a_field_that_nobody_wants_is_named(name: str) -> None:
    def nothing() -> None: ...

    raw = json.dumps({name: 1}).encode()
    with pytest.raises(InvalidInput) as caught:
        Binding("x", nothing).bind(raw)
    assert caught.value.errors == ((f"$.payload.{name}", "unknown field"),)

"""Sorts of values in the configuration: how each is read from JSON or text, checked, and shown again. Pure.

A value that a kind cannot take raises `Wrong` with a sentence that says what is allowed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from taskqueue.core.clock import MILLISECOND, SECOND
from taskqueue.core.times import format_span, parse_span


class Wrong(ValueError):
    """A value that its key cannot take; `path` leads from the key to the bad part (`.base`)."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class Kind(Struct, frozen=True):
    """One sort of value: `read` takes what JSON gives, `text` makes that of a flag's text, `show` is the way back."""

    read: Callable[[Any], Any]
    text: Callable[[str], Any] = str
    show: Callable[[Any], Any] = lambda value: value


def expect(right: bool, allowed: str, value: object) -> None:
    """Raise `Wrong` unless `right`."""
    if not right:
        raise Wrong(f"expected {allowed}, got {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else shown[:57] + "…"


def nearest(name: str, known: Mapping[str, object]) -> str:
    """The known name that looks most like `name`."""
    from difflib import get_close_matches

    folded = {key.casefold(): key for key in known}
    return folded[get_close_matches(name.casefold(), folded, n=1, cutoff=0.0)[0]]


def json_or_text(text: str) -> Any:
    """The JSON value that the text is; where it is none, the text, for the check to refuse."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _number(text: str) -> Any:
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII) else text


def integer(low: int, high: int) -> Kind:
    """A whole number of a range; not a float, not a boolean."""

    def read(value: Any) -> int:
        right = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        expect(right, f"an integer from {low} to {high}", value)
        return int(value)

    return Kind(read, _number)


def number(low: float, high: float) -> Kind:
    """A number of a range."""

    def read(value: Any) -> float:
        right = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        expect(right, f"a number from {low:g} to {high:g}", value)
        return float(value)

    return Kind(read, json_or_text)


def switch() -> Kind:
    """True or false."""

    def read(value: Any) -> bool:
        expect(isinstance(value, bool), "true or false", value)
        return bool(value)

    return Kind(read, json_or_text)


def word(pattern: str, allowed: str) -> Kind:
    """A text that `pattern` matches as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def read(value: Any) -> str:
        expect(isinstance(value, str) and compiled.fullmatch(value) is not None, allowed, value)
        return str(value)

    return Kind(read)


def path() -> Kind:
    """A path that the file system and JSON can both hold."""

    def read(value: Any) -> str:
        expect(isinstance(value, str) and re.fullmatch(r"[^\0\ud800-\udfff]+", value) is not None, "a path", value)
        return str(value)

    return Kind(read)


def span(low: int = 0) -> Kind:
    """A duration, held as microseconds; `low` is the shortest."""

    def read(value: Any) -> int:
        try:
            micros = parse_span(value)
        except ValueError as error:
            raise Wrong(f"{error}, got {_shown(value)}") from None
        expect(micros >= low, f"a duration of at least {show_span(low)}", value)
        return micros

    return Kind(read, json_or_text, show_span)


def show_span(micros: int) -> str | float:
    """A span as `parse_span` reads it back, exactly."""
    return format_span(micros) if micros % MILLISECOND == 0 else micros / SECOND


def nullable(kind: Kind, empty: Any = None) -> Kind:
    """The kind, or null (as text: nothing), which is held as `empty`."""
    return Kind(
        lambda value: empty if value is None else kind.read(value),
        lambda text: kind.text(text) if text else None,
        lambda value: None if value == empty else kind.show(value),
    )


def several(kind: Kind, allowed: str, least: int = 0) -> Kind:
    """A list, held as a tuple without repeats; as text with commas between, or JSON."""

    def read(value: Any) -> tuple[Any, ...]:
        expect(isinstance(value, list), allowed, value)
        if len(value) < least:
            raise Wrong(f"expected {allowed}, got {'an empty one' if not value else f'one of {len(value)}'}")
        items = []
        for index, item in enumerate(value):
            try:
                items.append(kind.read(item))
            except Wrong as error:
                raise Wrong(str(error), f"[{index}]{error.path}") from None
        return tuple(dict.fromkeys(items))

    def text(given: str) -> Any:
        if given.lstrip().startswith("["):
            return json_or_text(given)
        return [part.strip() for part in given.split(",") if part.strip()]

    return Kind(read, text, list)


def section(default: Struct, kinds: Mapping[str, tuple[str, Kind]]) -> Kind:
    """An object; what it leaves out is as in `default`. `kinds`: key -> (attribute, kind)."""

    def read(value: Any) -> Any:
        expect(isinstance(value, dict), f"an object of {', '.join(kinds)}", value)
        changes = {}
        for key, item in value.items():
            if key not in kinds:
                raise Wrong(f"unknown key; did you mean {nearest(key, kinds)}?", f".{key}")
            field, kind = kinds[key]
            try:
                changes[field] = kind.read(item)
            except Wrong as error:
                raise Wrong(str(error), f".{key}{error.path}") from None
        return msgspec.structs.replace(default, **changes)

    def show(value: Any) -> Any:
        return {key: kind.show(getattr(value, field)) for key, (field, kind) in kinds.items()}

    return Kind(read, json_or_text, show)

"""Reading objects from strangers field by field, so that all that is wrong is told at once.

A reader takes a JSON value and gives ours. It raises ValueError with one sentence, or, where it looks into the value,
`InvalidInput` with paths that begin at the value (`[3]`, `.handler`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from taskqueue.core import names
from taskqueue.core.errors import InvalidInput
from taskqueue.core.strictjson import member
from taskqueue.core.task import PRIORITIES
from taskqueue.core.times import parse_span, parse_time

Reader = Callable[[Any], Any]
Readers = Mapping[str, tuple[str, Reader]]
Problems = list[tuple[str, str]]
Kind = TypeVar("Kind", bound=StrEnum)

MOST_RETRIES = 1_000
MOST_TAGS = 20
MOST_PROBLEMS = 50


def read_object(given: object, readers: Readers, prefix: str = "$.", *, required: Sequence[str] = ()) -> dict[str, Any]:
    """What the readers made of the fields, under our names (`{"runAt": ("run_at", read_time)}`).

    `prefix` stands before each field's name in a path.

    Raises:
        InvalidInput: something is wrong with at least one field; all are told, up to `MOST_PROBLEMS`.
    """
    if not isinstance(given, dict):
        raise InvalidInput([(prefix[:-1], "expected an object")])
    values: dict[str, Any] = {}
    problems: Problems = [(prefix + name, "required") for name in required if name not in given]
    for name, value in given.items():
        if len(problems) >= MOST_PROBLEMS:
            break
        known = readers.get(name)
        if known is None:
            known_ones = f"known are {', '.join(readers)}" if readers else "there are none here"
            problems.append((member(prefix, name), f"unknown field; {known_ones}"))
            continue
        try:
            values[known[0]] = known[1](value)
        except ValueError as error:
            problems.append((member(prefix, name), str(error)))
        except InvalidInput as error:
            problems.extend((member(prefix, name) + inner, message) for inner, message in error.errors)
    if problems:
        raise InvalidInput(problems)
    return values


def read_list(value: object, reader: Reader, most: int) -> tuple[Any, ...]:
    """A list of at most `most` values, each read by `reader`."""
    if not isinstance(value, list):
        raise ValueError("expected a list")
    if len(value) > most:
        raise ValueError(f"expected at most {most:,} items")
    items = []
    problems: Problems = []
    for index, item in enumerate(value):
        if len(problems) >= MOST_PROBLEMS:
            break
        try:
            items.append(reader(item))
        except ValueError as error:
            problems.append((f"[{index}]", str(error)))
    if problems:
        raise InvalidInput(problems)
    return tuple(items)


def read_priority(value: object) -> int:
    """A priority by its name or its number."""
    if isinstance(value, str) and value in PRIORITIES:
        return PRIORITIES[value]
    if type(value) is int and 0 <= value <= 9:
        return value
    raise ValueError(f"expected {', '.join(PRIORITIES)} or an integer from 0 to 9")


def read_timeout(value: object) -> int:
    """A span above 0."""
    span = parse_span(value)
    if span == 0:
        raise ValueError("expected a duration above 0")
    return span


def read_time(value: object) -> int:
    """A moment, microseconds since the epoch."""
    if not isinstance(value, str):
        raise ValueError('expected a time in RFC 3339 with an offset, such as "2026-12-01T08:00:00Z"')
    return parse_time(value)


def read_retries(value: object) -> int:
    """How many retries."""
    if type(value) is int and 0 <= value <= MOST_RETRIES:
        return value
    raise ValueError(f"expected an integer from 0 to {MOST_RETRIES:,}")


def read_tags(value: object) -> tuple[str, ...]:
    """Tags, each once, in the order given."""
    return tuple(dict.fromkeys(read_list(value, names.read_name, MOST_TAGS)))


def read_bool(value: object) -> bool:
    """true or false."""
    if isinstance(value, bool):
        return value
    raise ValueError("expected true or false")


def one_of(kind: type[Kind]) -> Callable[[object], Kind]:
    """A reader of one of the enumeration's values."""

    def read(value: object) -> Kind:
        try:
            return kind(value)  # type: ignore[arg-type]  # whatever is no member is refused
        except ValueError:
            raise ValueError(f"expected one of {', '.join(kind)}") from None

    return read


def or_null(reader: Reader) -> Reader:
    """A reader that lets null pass."""

    def read(value: object) -> Any:
        return None if value is None else reader(value)

    return read

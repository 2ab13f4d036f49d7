"""From a call in Python to the body of a submit, and from many bodies to batches. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from taskqueue.client.results import Returns
from taskqueue.client.steps import Item
from taskqueue.core import strictjson
from taskqueue.core.errors import InvalidInput
from taskqueue.core.ids import Ids
from taskqueue.remote import Remote

R = TypeVar("R")

BATCH_TASKS = 1_000
BATCH_BYTES = 4 * 1024 * 1024
"""A batch ends with the body that makes it so large; a node's own limits are larger by default."""

Moment = datetime | str
Span = float | str | timedelta

_NAMES = {
    "priority": "priority",
    "timeout": "timeout",
    "queue": "queue",
    "retries": "retries",
    "delay": "delay",
    "run_at": "runAt",
    "expires_at": "expiresAt",
    "tags": "tags",
    "idempotency_key": "idempotencyKey",
    "keep_result": "keepResult",
}


class Body(msgspec.Struct, Generic[R], frozen=True):
    """A submit that is not sent yet: `Body(handler, payload, parameters)`, or from `.body(…)` of a `@task` function.

    `parameters` are those of the REST API; `returns` says what the result is read as, `function` whose it is.
    """

    handler: str
    payload: Any
    parameters: Mapping[str, Any] = {}
    id: str | None = None
    returns: Returns[R] | None = None
    function: Remote[Any, Any] | None = None


Submittable = Body[Any] | Mapping[str, Any]
"""What `submit_many` takes: a body, or a mapping as the REST API takes it."""


def parameters_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a submit from options in Python's words and types; None: not said.

    Raises:
        TypeError: there is no such option.
        InvalidInput: a time has no offset.
    """
    said: dict[str, Any] = {}
    for name, value in options.items():
        if name not in _NAMES:
            raise TypeError(f"unknown option {name!r}; there are: {', '.join(_NAMES)}, id")
        if value is not None:
            said[_NAMES[name]] = _plain(_NAMES[name], value)
    return said


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidInput([(f"$.parameters.{name}", "expected a time with an offset, as datetime.now(UTC) has")])
        return value.astimezone(UTC).isoformat()
    if name == "tags" and isinstance(value, str):
        raise InvalidInput([("$.parameters.tags", "expected a list")])
    return list(value) if name == "tags" and isinstance(value, Sequence) else value


def item_of(body: Submittable, ids: Ids) -> Item:
    """The JSON of a body, with an id of its own if it has none.

    Raises:
        InvalidInput: it is none, or JSON has no form for it.
    """
    fields: dict[str, Any]
    if isinstance(body, Body):
        fields = {"handler": body.handler, "payload": body.payload}
        if body.parameters:
            fields["parameters"] = body.parameters
        if body.id is not None:
            fields["id"] = body.id
    elif isinstance(body, Mapping):
        fields = {**body}
    else:
        raise InvalidInput([("$", f"expected a mapping or a Body, got {type(body).__name__}")])
    task_id = fields.setdefault("id", ids.new())
    try:
        text = strictjson.encode(fields)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput([(_guilty(fields), f"cannot be written as JSON: {error}")]) from None
    return Item(task_id if isinstance(task_id, str) else "", text)


def _guilty(fields: Mapping[str, Any]) -> str:
    """The path of what JSON has no form for."""
    for name, value in fields.items():
        try:
            strictjson.encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError):
            return f"$.{name}" if isinstance(name, str) else "$"
    return "$"


class Batch:
    """Bodies on their way, in order: of each its item, which `make` makes, or what was wrong with it before that."""

    def __init__(self, make: Callable[[Submittable], Item]) -> None:
        self.entries: list[Item | InvalidInput] = []
        self.returns: list[Returns[Any] | None] = []
        self.size = 0
        self._make = make

    def add(self, body: Submittable) -> None:
        """Take one more."""
        try:
            item = self._make(body)
        except InvalidInput as error:
            self.entries.append(error)
        else:
            self.size += len(item.body)
            self.entries.append(item)
        self.returns.append(body.returns if isinstance(body, Body) else None)

    @property
    def full(self) -> bool:
        """It is time to send it."""
        return len(self.entries) >= BATCH_TASKS or self.size >= BATCH_BYTES

    @property
    def items(self) -> list[Item]:
        """What is to be sent."""
        return [entry for entry in self.entries if isinstance(entry, Item)]

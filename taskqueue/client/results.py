"""What a result is read as: JSON into the type that a handler is annotated to return."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, cast

import msgspec

from taskqueue.errors import BadResult

R_co = TypeVar("R_co", covariant=True)


class Returns(Generic[R_co]):
    """Reads results as one type. The annotation is looked at when the first result is there, not before."""

    def __init__(self, type: Callable[[], Any]) -> None:
        self._type = type
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def read(self, task_id: str, result: bytes) -> R_co:
        """Raises BadResult."""
        try:
            if self._decoder is None:
                self._decoder = msgspec.json.Decoder(self._type())
            return cast("R_co", self._decoder.decode(result))
        except Exception as error:  # evaluating an annotation, or making a type of the user's, runs the user's code
            raise BadResult(task_id, str(error) or type(error).__name__) from error


ANYTHING: Returns[Any] = Returns(lambda: Any)


def returned_by(function: Callable[..., Any]) -> Returns[Any]:
    """What `function` returns, by its annotation; anything where it has none."""

    def look() -> Any:
        annotation = getattr(function, "__annotations__", {}).get("return", Any)
        holder = SimpleNamespace(__annotations__={"it": annotation})
        scope = getattr(inspect.unwrap(function), "__globals__", {})
        kind = typing.get_type_hints(holder, globalns=scope, include_extras=True)["it"]
        return Any if kind is object else kind

    return Returns(look)

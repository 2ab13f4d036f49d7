"""From a handler's signature to its payload: which JSON it takes, its JSON Schema, and the arguments that it makes.

An object fills the parameters by name, strictly: no text becomes a number, only what JSON has no type for (times,
UUIDs, enums, bytes as base64) is read from text. Unknown fields are refused, unless there is a `**` parameter to take
them. A single parameter called `payload` takes the whole payload. `ctx` is the node's to fill. All is checked when a
handler is declared, so that a wrong signature stops the start and not a task.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, Union

import msgspec
from msgspec import UNSET, UnsetType

from taskqueue.context import TaskContext
from taskqueue.core.errors import ConfigError, InvalidInput
from taskqueue.core.strictjson import garbled, member, placed

ROOT = "$.payload"


class Binding:
    """How a payload becomes the arguments of one function.

    Attributes:
        takes_ctx: the function has a parameter `ctx`.
        whole: its only other parameter is `payload`, which gets the whole payload.
        schema: JSON Schema of the payload.
        own: classes of the user's are made of it, so that `bind` may run code of theirs.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        """Raises ConfigError where a parameter cannot be filled from JSON; `name` is the handler's, for the message."""
        parameters = dict(inspect.signature(function).parameters)
        self.takes_ctx = parameters.pop("ctx", None) is not None
        hints = {key: _hint(name, function, parameter) for key, parameter in parameters.items()}
        self._rest: tuple[Any] | None = None
        for key, parameter in list(parameters.items()):
            if parameter.kind is parameter.VAR_KEYWORD:
                self._rest = (hints.pop(key),)
                del parameters[key]
        self.whole = list(parameters) == ["payload"] and self._rest is None
        if self.whole:
            described = msgspec.json.schema(hints["payload"])
            self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(hints["payload"])
        else:
            described = _describe(parameters, hints, open_=self._rest is not None)
            self._shape = msgspec.defstruct(
                "Payload",
                [
                    (key, hints[key]) if parameter.default is parameter.empty else (key, _maybe(hints[key]), UNSET)
                    for key, parameter in parameters.items()
                ],
                kw_only=True,
                forbid_unknown_fields=True,
            )
            self._decoder = msgspec.json.Decoder(self._shape if self._rest is None else dict[str, Any])
        self._names = tuple(parameters)
        self._empty = not parameters and self._rest is None
        rest = {} if self._rest is None else msgspec.json.schema(self._rest[0])
        self.own = "$defs" in {**described, **rest}
        self.schema = json.dumps(described, separators=(",", ":")).encode()

    def bind(self, payload: bytes) -> dict[str, Any]:
        """The keyword arguments that this payload (JSON) makes; what it leaves out keeps the function's own default.

        Raises:
            InvalidInput: with the path of what is wrong, from `$.payload` on.
        """
        if self._empty and payload.strip() == b"null":
            return {}
        value = _guarded(lambda: self._decoder.decode(payload))
        if self.whole:
            return {"payload": value}
        if self._rest is None:
            return self._filled(value)
        known = {key: value.pop(key) for key in self._names if key in value}
        if self.takes_ctx and "ctx" in value:
            raise InvalidInput([(f"{ROOT}.ctx", "unknown field")])
        arguments = self._filled(_guarded(lambda: msgspec.convert(known, self._shape, str_keys=True)))
        (kind,) = self._rest
        for key, item in value.items():
            arguments[key] = _guarded(partial(msgspec.convert, item, kind, str_keys=True), member(f"{ROOT}.", key))
        return arguments

    def _filled(self, shape: Any) -> dict[str, Any]:
        values = ((key, getattr(shape, key)) for key in self._names)
        return {key: value for key, value in values if value is not UNSET}


# -- at declaration ----------------------------------------------------------------------------------------------------


def _hint(name: str, function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The type that JSON for this parameter has to have."""
    where = f'@task("{name}"): parameter "{parameter.name}"'
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
        raise ConfigError(f"{where}: a payload fills parameters by name, not positional-only ones or *args")
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return Any
    try:
        holder = SimpleNamespace(__annotations__={"it": annotation})
        scope = getattr(inspect.unwrap(function), "__globals__", {})
        annotation = typing.get_type_hints(holder, globalns=scope, include_extras=True)["it"]
        if annotation is TaskContext:
            raise TypeError('the context is given to a parameter named "ctx"')
        if annotation is object:
            return Any
        msgspec.json.schema(annotation)
        msgspec.json.Decoder(annotation)
    except Exception as error:  # evaluating an annotation runs the user's code, so anything may come
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise ConfigError(f"{where}: the annotation cannot be read from JSON: {reason}") from error
    return annotation


def _maybe(hint: Any) -> Any:
    return Union[hint, UnsetType]  # noqa: UP007 - `|` does not take every hint (a forward reference, say)


def _describe(parameters: dict[str, inspect.Parameter], hints: dict[str, Any], *, open_: bool) -> dict[str, Any]:
    """JSON Schema of an object with these parameters."""
    types = [hints[key] for key in parameters]
    shapes, definitions = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    properties = {}
    for (key, parameter), shape in zip(parameters.items(), shapes, strict=True):
        properties[key] = {**shape, **_default(parameter)}
    required = [key for key, parameter in parameters.items() if parameter.default is parameter.empty]
    kind = "object" if parameters or open_ else ["object", "null"]
    described: dict[str, Any] = {"type": kind, "properties": properties}
    if required:
        described["required"] = required
    if not open_:
        described["additionalProperties"] = False
    if definitions:
        described["$defs"] = definitions
    return described


def _default(parameter: inspect.Parameter) -> dict[str, Any]:
    """The default, where there is one that JSON can hold."""
    if parameter.default is parameter.empty:
        return {}
    try:
        return {"default": json.loads(msgspec.json.encode(parameter.default))}
    except (TypeError, ValueError, RecursionError):
        return {}


# -- at a payload ------------------------------------------------------------------------------------------------------


def _guarded(read: Callable[[], Any], root: str = ROOT) -> Any:
    try:
        return read()
    except msgspec.ValidationError as error:
        path, message = placed(str(error))
        raise InvalidInput([(root + path[1:], message)]) from None
    except RecursionError:
        raise InvalidInput([(root, "nested too deeply")]) from None
    except Exception as error:  # malformed JSON, or whatever a type of the user's raises while it is made
        said = "not UTF-8" if garbled(error) else f"{type(error).__name__}: {error}"
        raise InvalidInput([(root, said)]) from error

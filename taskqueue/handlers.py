"""`@task`: from a function to a `Handler`.

There is no registry: `modules.py` finds the handlers in the namespaces of modules. Whatever is wrong with a
declaration, or names a feature that is not built yet, is a `ConfigError` while its module is imported.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import FunctionType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

import msgspec

from taskqueue.binding import Binding
from taskqueue.context import Span
from taskqueue.core.config import Backoff
from taskqueue.core.errors import ConfigError, InvalidInput
from taskqueue.core.fields import read_bool, read_priority, read_retries, read_timeout
from taskqueue.core.kinds import integer
from taskqueue.core.names import read_name
from taskqueue.core.options import backoff as backoff_kind
from taskqueue.core.views import Declaration
from taskqueue.remote import Remote

if TYPE_CHECKING:
    from taskqueue.core.schedule import Spec  # at run time only where a schedule is declared: it costs an import

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")



@dataclass(frozen=True, slots=True)
class Handler:
    """A function that processes tasks of one kind, with what it declares of them; None: not declared.

    Attributes:
        function: the plain function; it is called with what `bind` makes, and with `ctx` if `takes_ctx`.
        isolation: `thread`, or `async` for a coroutine function.
        timeout: microseconds.
        max_running: how many of it a node runs at a time.
        schema: JSON Schema of its payload.
        place: where it is written, `file:line`.
        schedule: the schedule that stands beside it, if one does.
    """

    name: str
    function: Callable[..., Any]
    isolation: str
    queue: str | None
    priority: int | None
    timeout: int | None
    retries: int | None
    keep_result: bool | None
    backoff: Backoff | None
    max_running: int | None
    binding: Binding
    place: str
    schedule: Spec | None = None

    @property
    def takes_ctx(self) -> bool:
        """The function wants a `TaskContext`."""
        return self.binding.takes_ctx

    @property
    def schema(self) -> bytes:
        return self.binding.schema

    def bind(self, payload: bytes) -> dict[str, Any]:
        """Keyword arguments from a payload. Raises InvalidInput with paths from `$.payload` on."""
        return self.binding.bind(payload)

    def declaration(self) -> Declaration:
        """What the node tells the store of it."""
        return Declaration(
            name=self.name,
            isolation=self.isolation,
            queue=self.queue,
            priority=self.priority,
            timeout=self.timeout,
            retries=self.retries,
            keep_result=self.keep_result,
            scheduled=self.schedule is not None,
            schema=self.schema,
        )


class TaskFunction(Remote[P, R_co]):
    """A function under `@task`: still called as it was; submitted by `.remote(…)`; with a `handler` for the node."""

    def __init__(self, function: Callable[P, R_co], handler: Handler) -> None:
        self.handler = handler
        self._function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<task {self.handler.name}>"


class Decorator(Protocol):
    """What `@task(…)` with options gives."""

    def __call__(self, function: Callable[P, R], /) -> TaskFunction[P, R]: ...


@overload
def task(name: Callable[P, R], /) -> TaskFunction[P, R]: ...


@overload
def task(
    name: str | None = None,
    *,
    queue: str | None = None,
    priority: int | str | None = None,
    timeout: Span | None = None,
    retries: int | None = None,
    keep_result: bool | None = None,
    backoff: Backoff | Mapping[str, Any] | None = None,
    isolation: str | None = None,
    max_running: int | None = None,
    every: Span | None = None,
    cron: str | None = None,
    timezone: str | None = None,
    misfire: str | None = None,
    overlap: str | None = None,
    memory: int | str | None = None,
    cpu: int | None = None,
    files: int | None = None,
) -> Decorator: ...


def task(name: Any = None, **options: Any) -> Any:
    """Make a function a handler: `@task`, or `@task("email.send", retries=5, timeout="30s", priority="high")`.

    Args:
        name: the handler's name; without one it is the function's module and qualified name (`myapp.tasks.send`). A
            function in the module that is run itself is named `__main__.send`, so name it where that matters.
        queue: the queue of tasks that name none.
        priority: `low`, `normal`, `high`, `critical` or 0 to 9.
        timeout: how long an attempt may take.
        retries: attempts after the first, 0 to 1000.
        keep_result: whether the result is stored.
        backoff: `{"base": "1s", "factor": 2, "max": "10m", "jitter": 0.2}`, or parts of it.
        isolation: `thread`; `async` is implied by `async def`. `process` is not available in this version.
        max_running: how many of it a node runs at a time.
        every, cron, timezone, misfire, overlap: a schedule of the handler's name, whose tasks have the payload `{}` (or
            `null`); see docs/schedules.md.
        memory, cpu, files: not available in this version.

    Raises:
        ConfigError: something of this is wrong, or the function's parameters cannot be filled from JSON.
    """
    if callable(name):
        return TaskFunction(name, _declare(name, None, {}))
    return lambda function: TaskFunction(function, _declare(function, name, options))


def encode_result(value: object) -> bytes:
    """The JSON of what a handler returned. NaN and Infinity become null: the work is done, and failing would repeat it.

    Raises:
        TypeError: JSON has no form for it.
    """
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TypeError(f"a result of type {type(value).__name__} cannot be written as JSON: {error}") from error


# -- declaring ---------------------------------------------------------------------------------------------------------

_READERS: dict[str, Callable[[Any], Any]] = {
    "queue": read_name,
    "priority": read_priority,
    "timeout": lambda value: read_timeout(value.total_seconds() if isinstance(value, timedelta) else value),
    "retries": read_retries,
    "keep_result": read_bool,
    "backoff": lambda value: value if isinstance(value, Backoff) else backoff_kind().read(dict(value)),
    "max_running": integer(1, 10_000).read,
}
_UNBUILT = ("memory", "cpu", "files")
_SCHEDULE = ("every", "cron", "timezone", "misfire", "overlap")


def _declare(function: Any, name: str | None, options: Mapping[str, Any]) -> Handler:
    if not isinstance(function, FunctionType):
        raise ConfigError(f"@task: expected a function, got {type(function).__name__}")
    if name is None:
        name = f"{function.__module__}.{function.__qualname__}"
    where = f"@task({name!r})".replace("'", '"')
    try:
        read_name(name)
    except ValueError as error:
        raise ConfigError(f"{where}: name: {error}") from None
    given = {key: value for key, value in options.items() if value is not None}
    isolation = _isolation(where, function, given.pop("isolation", None))
    timing = {key: given.pop(key) for key in _SCHEDULE if key in given}
    values = dict.fromkeys(_READERS)
    for key, value in given.items():
        if key in _UNBUILT:
            raise ConfigError(f"{where}: {key}={value!r}: not available in this version")
        if key not in _READERS:
            known = ", ".join((*_READERS, "isolation", *_SCHEDULE))
            raise ConfigError(f"{where}: {key}: unknown option; there are: {known}")
        try:
            values[key] = _READERS[key](value)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{where}: {key}{getattr(error, 'path', '')}: {error}") from None
    code = function.__code__
    binding = Binding(name, function)
    return Handler(
        name=name,
        function=function,
        isolation=isolation,
        binding=binding,
        schedule=_scheduled(where, name, binding, timing) if timing else None,
        place=f"{code.co_filename}:{code.co_firstlineno}",
        **values,
    )


def _scheduled(where: str, name: str, binding: Binding, timing: dict[str, Any]) -> Spec:
    """The schedule that stands beside a handler."""
    from taskqueue.core.schedule import Owner, parse_schedule

    payload = next((payload for payload in (b"{}", b"null") if _takes(binding, payload)), None)
    if payload is None:
        raise ConfigError(f"{where}: a schedule gives no payload, so every parameter needs a default")
    every = timing.get("every")
    if isinstance(every, timedelta):
        timing = {**timing, "every": every.total_seconds()}
    try:
        body = msgspec.json.encode({"handler": name, "payload": msgspec.Raw(payload), **timing})
        _, spec, _ = parse_schedule(body, max_payload=len(payload), anchor=0, owner=Owner.CODE)
    except InvalidInput as error:
        path, message = error.errors[0]
        raise ConfigError(f"{where}: {path.removeprefix('$.')}: {message}") from None
    except TypeError as error:
        raise ConfigError(f"{where}: {', '.join(timing)}: {error}") from None
    return spec


def _takes(binding: Binding, payload: bytes) -> bool:
    try:
        binding.bind(payload)
    except InvalidInput:
        return False
    return True


def _isolation(where: str, function: FunctionType, wished: Any) -> str:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(f"{where}: a generator has no result to store; return a value")
    fitting = "async" if inspect.iscoroutinefunction(function) else "thread"
    if wished == "process":
        raise ConfigError(f'{where}: isolation="process": not available in this version')
    if wished not in (None, fitting):
        kind = "an async def" if fitting == "async" else "a plain function"
        raise ConfigError(f'{where}: isolation={wished!r}: {kind} runs as "{fitting}"')
    return fitting

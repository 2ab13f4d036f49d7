"""How a function under `@task` is submitted instead of called: `.remote(…)`, `.options(…).remote(…)`, `.body(…)`.

The client is loaded at the first submit, so that declaring handlers costs nothing of it. `P` are the function's
parameters and `T` what it returns, or what its coroutine does.
"""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack, overload

import msgspec

from taskqueue.core import strictjson
from taskqueue.core.errors import InvalidInput

if TYPE_CHECKING:
    from taskqueue.client.bodies import Body
    from taskqueue.client.client import Client, Options
    from taskqueue.client.refs import TaskRef
    from taskqueue.client.results import Returns
    from taskqueue.handlers import Handler

    class RemoteOptions(Options, total=False):
        """What a submit can say of its task, and by which client it goes."""

        client: Client | None

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class Remote(Generic[P, R_co]):
    """What `TaskFunction` is beside a function."""

    handler: Handler
    _signature: inspect.Signature | None = None
    _returns: Returns[Any] | None = None

    @overload
    def remote(self: Remote[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> TaskRef[T]: ...

    @overload
    def remote(self: Remote[P, T], *args: P.args, **kwargs: P.kwargs) -> TaskRef[T]: ...

    def remote(self, *args: Any, **kwargs: Any) -> TaskRef[Any]:
        """Submit a task with these arguments (all but `ctx`), by the present client; see `taskqueue.connect`.

        Raises:
            TypeError: the function has no such parameters.
            InvalidInput: an argument does not fit its annotation, or has no form in JSON.
            QueueFull, Unavailable, Conflict, …: see `Client.submit`.
        """
        return Prepared[Any, Any](self, {}).remote(*args, **kwargs)

    @overload
    async def remote_async(
        self: Remote[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> TaskRef[T]: ...

    @overload
    async def remote_async(self: Remote[P, T], *args: P.args, **kwargs: P.kwargs) -> TaskRef[T]: ...

    async def remote_async(self, *args: Any, **kwargs: Any) -> TaskRef[Any]:
        """`remote`, for an event loop."""
        return await Prepared[Any, Any](self, {}).remote_async(*args, **kwargs)

    @overload
    def body(self: Remote[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> Body[T]: ...

    @overload
    def body(self: Remote[P, T], *args: P.args, **kwargs: P.kwargs) -> Body[T]: ...

    def body(self, *args: Any, **kwargs: Any) -> Body[Any]:
        """What `remote` would submit, for `Client.submit_many`. Raises TypeError, InvalidInput."""
        return Prepared[Any, Any](self, {}).body(*args, **kwargs)

    @overload
    def options(
        self: Remote[P, Coroutine[Any, Any, T]], **options: Unpack[RemoteOptions]
    ) -> Prepared[P, T]: ...

    @overload
    def options(self: Remote[P, T], **options: Unpack[RemoteOptions]) -> Prepared[P, T]: ...

    def options(self, **options: Any) -> Prepared[Any, Any]:
        """The same function, with what is to be said of its tasks: `options(priority="low", delay="5m").remote(…)`.

        Raises:
            TypeError: there is no such option.
            InvalidInput: a time has no offset.
        """
        return Prepared(self, options)

    def payload(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> msgspec.Raw:
        """The payload that makes these arguments, checked as the node will. Raises TypeError, InvalidInput."""
        if self._signature is None:
            whole = inspect.signature(self.handler.function)
            self._signature = whole.replace(
                parameters=[one for name, one in whole.parameters.items() if name != "ctx"]
            )
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.handler.name}: {error}") from None
        values: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if self._signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                values |= value
            else:
                values[name] = value
        payload = values["payload"] if self.handler.binding.whole else values
        try:
            text = strictjson.encode(payload)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidInput([("$.payload", f"cannot be written as JSON: {error}")]) from None
        self.handler.bind(text)
        return msgspec.Raw(text)

    @property
    def returns(self) -> Returns[Any]:
        """How results are read."""
        if self._returns is None:
            from taskqueue.client.results import returned_by

            self._returns = returned_by(self.handler.function)
        return self._returns


class Prepared(Generic[P, T]):
    """A function under `@task` with options. See the methods of `Remote`."""

    def __init__(self, function: Remote[Any, Any], options: dict[str, Any]) -> None:
        from taskqueue.client.bodies import parameters_of

        given = dict(options)
        self._client: Client | None = given.pop("client", None)
        self._id: str | None = given.pop("id", None)
        self._parameters = parameters_of(given)
        self._function = function

    def remote(self, *args: P.args, **kwargs: P.kwargs) -> TaskRef[T]:
        """See `Remote.remote`."""
        return self._by().send(self.body(*args, **kwargs))

    async def remote_async(self, *args: P.args, **kwargs: P.kwargs) -> TaskRef[T]:
        """See `Remote.remote_async`."""
        return await self._by().send_async(self.body(*args, **kwargs))

    def body(self, *args: P.args, **kwargs: P.kwargs) -> Body[T]:
        """See `Remote.body`."""
        from taskqueue.client.bodies import Body

        function = self._function
        payload = function.payload(args, kwargs)
        return Body(function.handler.name, payload, self._parameters, self._id, function.returns, function)

    def _by(self) -> Client:
        from taskqueue.client.ambient import current

        return self._client if self._client is not None else current()

"""The door to a node over REST, with httpx2: pooled connections, TLS, and an asynchronous twin without threads.

State: a client of httpx2 for each process, and one for each event loop (its connections belong to that loop, and are
closed with it). Trouble on the way is `Later`: nobody knows, and the same again is harmless.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from msgspec import Struct

from taskqueue.client import answers
from taskqueue.client.answers import Reply
from taskqueue.client.steps import Cancel, Later, Look, LookAll, Pause, Send, Step
from taskqueue.core.errors import ConfigError, NotFound, Unavailable
from taskqueue.core.names import is_task_id
from taskqueue.core.task import TERMINAL
from taskqueue.errors import BadAnswer

if TYPE_CHECKING:
    import httpx2

CONNECT = 5.0
"""Seconds that a connection may take to be made."""

ANSWER = 15.0
"""Seconds that an answer may take beside what it was asked to wait: a node answers for certain within ten."""

CONNECTIONS = 64
LOOKS_AT_ONCE = 16


class Request(Struct, frozen=True):
    """One request over HTTP. `within`: seconds for its answer."""

    method: str
    path: str
    body: bytes | None
    within: float


class Unreached(Unavailable):
    """No connection could be made, so nothing was sent."""


class RestDoor:
    """See the module, and `steps.Door`."""

    def __init__(self, url: str, token: str | None = None) -> None:
        import httpx2  # 100 ms; who never submits never waits for it

        self._httpx2 = httpx2
        try:
            base = httpx2.URL(url.rstrip("/"))
        except (httpx2.InvalidURL, TypeError, ValueError) as error:
            raise ConfigError(f"{url}: no URL: {error}") from None
        if not base.host or base.query or base.fragment or base.userinfo:
            raise ConfigError("expected a URL such as http://localhost:8080; a token is given as `token`")
        if base.port is not None and not 0 < base.port < 1 << 16:
            raise ConfigError(f"{url}: expected a port from 1 to 65535")
        plain = isinstance(token, str) and token.isascii() and token.isprintable() and token.strip() == token != ""
        if token is not None and not plain:
            raise ConfigError("token: expected printable ASCII characters")
        self.url = str(base)
        headers = {"Content-Type": "application/json", "Accept": "application/json, application/problem+json"}
        self._settings: dict[str, Any] = {
            "base_url": base,
            "headers": headers if token is None else {**headers, "Authorization": f"Bearer {token}"},
            "verify": base.scheme == "https",  # 20 ms of a TLS context that nobody needs; redirects are not followed
            "limits": httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        }
        self._lock = threading.Lock()
        self._pid = 0
        self._blocking: httpx2.Client | None = None
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = WeakKeyDictionary()

    def now(self) -> float:
        """See `Door.now`."""
        return time.monotonic()

    # -- blocking ----------------------------------------------------------------------------------------------------

    def do(self, step: Step) -> Any:
        """See `Door.do`."""
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        if isinstance(step, LookAll):
            return self._look_all(step)
        request = _request(step)
        try:
            reply = self._client().request(**self._arguments(request))
        except self._httpx2.RequestError as error:
            return self._trouble(step, error)
        return _answer(step, _reply(reply))

    def _look_all(self, step: LookAll) -> set[str] | Later:
        end, ended = self.now() + step.within, set[str]()
        for task_id in step.ids:
            left = end - self.now()
            if left <= 0 or len(ended) >= step.wanted:
                break
            look = self.do(Look(task_id, 0, left))
            if isinstance(look, Later):
                return ended or look
            if look.status in TERMINAL:
                ended.add(task_id)
        return ended

    def exchange(self, request: Request) -> Reply:
        """One request of any kind, once.

        Raises:
            Unreached: nobody is there.
            Unavailable: there is no answer; whether it took effect is unknown.
            BadAnswer: what answers does not speak HTTP as a node does.
        """
        try:
            return _reply(self._client().request(**self._arguments(request)))
        except self._httpx2.TransportError as error:
            raise self._away(error) from None
        except self._httpx2.RequestError as error:
            raise BadAnswer(f"{self.url}: {error}") from None

    def _client(self) -> httpx2.Client:
        with self._lock:
            if self._blocking is None or self._pid != os.getpid():
                # After a fork the parent's connections are the parent's; they are not even closed here.
                self._pid = os.getpid()
                self._blocking = self._httpx2.Client(**self._settings)
            return self._blocking

    def close(self) -> None:
        """See `Door.close`."""
        with self._lock:
            client, self._blocking = self._blocking, None
        if client is not None and self._pid == os.getpid():
            client.close()

    # -- in an event loop --------------------------------------------------------------------------------------------

    async def do_async(self, step: Step) -> Any:
        """See `Door.do_async`."""
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        if isinstance(step, LookAll):
            return await self._look_all_async(step)
        request = _request(step)
        try:
            reply = await (await self._client_async()).request(**self._arguments(request))
        except self._httpx2.RequestError as error:
            return self._trouble(step, error)
        return _answer(step, _reply(reply))

    async def _look_all_async(self, step: LookAll) -> set[str] | Later:
        end, ended, left = self.now() + step.within, set[str](), list(step.ids)
        while left and len(ended) < step.wanted and end > self.now():
            some, left = left[:LOOKS_AT_ONCE], left[LOOKS_AT_ONCE:]
            within = end - self.now()
            looks = await asyncio.gather(*(self.do_async(Look(task_id, 0, within)) for task_id in some))
            for task_id, look in zip(some, looks, strict=True):
                if isinstance(look, Later):
                    return ended or look
                if look.status in TERMINAL:
                    ended.add(task_id)
        return ended

    async def _client_async(self) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        known = self._loops.get(loop)
        if known is None:
            client = self._httpx2.AsyncClient(**self._settings)
            known = self._loops[loop] = _Loop(client, lambda: self._loops.pop(loop, None))
            await known.begin()
        return known.client

    async def close_async(self) -> None:
        """See `Door.close_async`."""
        known = self._loops.get(asyncio.get_running_loop())
        if known is not None:
            await known.end()
        self.close()

    # -- both --------------------------------------------------------------------------------------------------------

    def _arguments(self, request: Request) -> dict[str, Any]:
        timeout = self._httpx2.Timeout(request.within, connect=min(CONNECT, request.within))
        return {"method": request.method, "url": request.path, "content": request.body, "timeout": timeout}

    def _trouble(self, step: Step, error: Exception) -> Any:
        """No answer, or half of one."""
        text = str(self._away(error))
        if isinstance(step, Send):
            later: list[Any] = [Later(Unavailable(text, task_id=item.id)) for item in step.items]
            return later
        return Later(Unavailable(text, task_id=getattr(step, "id", None)))

    def _away(self, error: Exception) -> Unavailable:
        """What no answer, or half of one, is said as. Raises ConfigError where there can be none."""
        if isinstance(error, self._httpx2.UnsupportedProtocol):
            raise ConfigError(f"{self.url}: {error}") from None
        kind = Unreached if isinstance(error, self._httpx2.ConnectError | self._httpx2.ConnectTimeout) else Unavailable
        return kind(f"{self.url} does not answer: {str(error) or type(error).__name__}")


class _Loop:
    """The connections of one event loop. An event loop closes its asynchronous generators when it ends: so it does
    these, in a `finally`.
    """

    def __init__(self, client: httpx2.AsyncClient, forget: Callable[[], object]) -> None:
        self.client = client
        self._forget = forget
        self._keeper = self._keep()

    async def _keep(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._forget()
            await self.client.aclose()

    async def begin(self) -> None:
        await anext(self._keeper)

    async def end(self) -> None:
        await self._keeper.aclose()


# -- requests and answers ----------------------------------------------------------------------------------------------


def _request(step: Step) -> Request:
    if isinstance(step, Send):
        if len(step.items) == 1:
            return Request("POST", "/api/tasks", step.items[0].body, min(step.within, ANSWER))
        body = b'{"tasks":[' + b",".join(item.body for item in step.items) + b"]}"
        return Request("POST", "/api/tasks/batch", body, min(step.within, ANSWER))
    assert isinstance(step, Look | Cancel)
    if not is_task_id(step.id):
        raise NotFound(f"no task has the id {step.id!r}")
    if isinstance(step, Cancel):
        return Request("POST", f"/api/tasks/{step.id}/cancel", None, min(step.within, ANSWER))
    query = f"?wait={step.wait:.3f}s" if step.wait >= 0.001 else ""
    return Request("GET", f"/api/tasks/{step.id}{query}", None, min(step.within, ANSWER) + step.wait)


def _reply(reply: httpx2.Response) -> Reply:
    headers: Mapping[str, str] = reply.headers
    return Reply(reply.status_code, reply.content, headers.get("Retry-After"), headers.get("Date"))


def _answer(step: Step, reply: Reply) -> Any:
    if isinstance(step, Send):
        if len(step.items) == 1:
            return [answers.submitted(reply, step.items[0])]
        return answers.all_submitted(reply, list(step.items))
    return answers.shown(reply) if isinstance(step, Look) else answers.cancelled(reply)


"""Requests that need no thread: the loop begins them itself, and sends their answers as these come.

A thread for each would do nothing but wait for the store, and waking it costs more than the work does. State: what is
to be begun, what is awaited and since when, whose answers are there. All of it runs in the loop's thread, but `_ready`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import falcon
import msgspec
from waitress.task import WSGITask

from api.channel import Channel
from api.errors import MEDIA_TYPE, internal
from api.headers import COMMON, DEFAULTS
from api.later import LATER, Later, Reply
from taskqueue.core.clock import Clock

SHORT = 16 * 1024
"""Bytes of the longest body that the loop takes the time to read."""


class Soon:
    """See the module. `application` is WSGI; `to_pool` gives a connection's request to a thread; `wake` has the loop
    go round once more, from any thread."""

    def __init__(
        self, application: Any, clock: Clock, to_pool: Callable[[Channel], None], wake: Callable[[], None]
    ) -> None:
        self._application = application
        self._clock = clock
        self._to_pool = to_pool
        self._wake = wake
        self._waking = threading.Lock()
        self._woken = False
        self._closed = False
        self._fresh: deque[Channel] = deque()
        self._there: deque[Later] = deque()
        self._awaited: dict[Later, tuple[Channel, Any, int]] = {}

    def __len__(self) -> int:
        """How many are on their way."""
        return len(self._fresh) + len(self._awaited)

    def add(self, channel: Channel) -> None:
        """Have its first request begun by `begin`."""
        self._fresh.append(channel)

    def begin(self) -> None:
        """Begin what is there."""
        while self._fresh:
            self._begin(self._fresh.popleft())

    def _begin(self, channel: Channel) -> None:
        request = channel.requests[0]
        environ = WSGITask(channel, request).get_environment()
        later = environ[LATER] = Later(self._ready)
        try:
            reply = _answered(self._application, environ)
        except Exception as error:
            reply = _bug(error)
        if later.declined:
            request.get_body_stream().seek(0)
            self._to_pool(channel)
        elif later.promised:
            self._awaited[later] = (channel, request, self._clock.monotonic() + later.within)
        else:
            channel.reply(request, reply)

    def _ready(self, later: Later) -> None:
        """The answer is there. Called in any thread, even when the loop is gone: then there is nothing to wake."""
        self._there.append(later)
        with self._waking:
            if not (self._woken or self._closed):
                self._woken = True
                self._wake()

    def settle(self) -> None:
        """Send the answers that are there."""
        self._woken = False  # before it is looked what is there: what comes after that wakes once more
        while self._there:
            self._finish(self._there.popleft())
        self.begin()

    def give_up(self, now: int) -> None:
        """Answer those that have waited for too long, with what there is to say then."""
        for later, (_, _, until) in list(self._awaited.items()):
            if now >= until:
                self._finish(later)
        self.begin()

    def close(self) -> None:
        """Answer what is awaited, with what there is to say now, and wake nobody any more."""
        for later in list(self._awaited):
            self._finish(later)
        with self._waking:
            self._closed = True

    def _finish(self, later: Later) -> None:
        awaited = self._awaited.pop(later, None)
        if awaited is None:
            return  # given up
        channel, request, _ = awaited
        try:
            reply = later.reply()
        except Exception as error:
            reply = _bug(error)
        channel.reply(request, reply)


def _answered(application: Any, environ: dict[str, Any]) -> Reply:
    """What a WSGI application answers; it does not stream."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> None:
        begun.append((status, headers))

    body = b"".join(application(environ, start_response))
    return Reply(*begun[-1], body)


def _bug(error: Exception) -> Reply:
    problem = internal(error)
    headers = [("Content-Type", MEDIA_TYPE), *COMMON.items(), *DEFAULTS.items()]
    return Reply(falcon.code_to_http_status(problem.status), headers, msgspec.json.encode(problem))

"""The HTTP server: waitress with the edges that a public door needs. It runs in a thread of its own.

State: the listening socket, the connections, a pool of threads that answer, and a small one (the porch) for probes and
refusals, so that neither waits behind work. A connection that gives its request too slowly, or takes its answer too
slowly, is cut; where too many requests wait, the next is refused with 503. Errors of HTTP itself are problems, too.
When the loop dies, `alive` is False.
"""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher
from waitress.utilities import Error

from api.errors import MEDIA_TYPE, headers_of, plain
from taskqueue.core.clock import MINUTE, SECOND, Clock, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError

PROBES = frozenset({"/healthz", "/readyz"})
PORCH_THREADS = 2
SLACK = 64 * 1024
"""Bytes over `max_body` that are read all the same, so that the application can say by how much it was too much."""


class Limits(Struct, frozen=True, kw_only=True):
    """What one client may take of the server. Spans in microseconds, sizes in bytes.

    Attributes:
        max_body: longest body of any request.
        waiting: requests that may wait for a thread.
        patience: how long a request may take to arrive, plus the time that its bytes need at `slowest`.
        slowest: bytes a second that a client has to send, or to take, at least.
        idle: how long a connection may rest, or an answer may lie untaken.
    """

    max_body: int
    max_header: int = 16 * 1024
    connections: int = 1_000
    waiting: int = 512
    patience: int = 10 * SECOND
    slowest: int = 16 * 1024
    idle: int = 1 * MINUTE


def limits_of(config: Config) -> Limits:
    """The limits that a node's configuration gives."""
    return Limits(max_body=config.max_batch_bytes)


class Server:
    """Serves `app` on the configured address (port 0: a free one, see `port`) from `start` to `stop`."""

    def __init__(self, app: Any, config: Config, *, limits: Limits | None = None, clock: Clock | None = None) -> None:
        """Takes the port; nobody is answered yet. Raises ConfigError where that cannot be."""
        limits = limits or limits_of(config)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of every request that waits at all
        self._socket = _bind(config.api_host, config.api_port)
        self.port: int = self._socket.getsockname()[1]
        self._map: dict[int, Any] = {}
        self._host = config.api_host
        self._threads = config.api_threads
        self._listener = _Listener(app, self._map, self._socket, limits=limits, clock=clock or SystemClock())
        self._loop = threading.Thread(target=self._listener.run, name="api", daemon=True)

    @property
    def alive(self) -> bool:
        """Does the loop run?"""
        return self._loop.is_alive()

    def start(self) -> None:
        """Answer from now on. Raises ConfigError where another process began to listen on the port meanwhile."""
        try:
            self._listener.accept_connections()
        except OSError as error:
            wasyncore.close_all(self._map)
            raise _taken(self._host, self.port, error) from None
        self._listener.pool.set_thread_count(self._threads)
        self._listener.porch.set_thread_count(PORCH_THREADS)
        self._loop.start()

    def stop(self, grace: int = 5 * SECOND) -> bool:
        """Take no new connection, answer what is here within `grace` microseconds, then end all threads.

        True where everything was answered and every thread ended.
        """
        seconds = grace / SECOND
        listener = self._listener
        idle = not self.alive
        if self.alive:
            listener.trigger.pull_trigger(listener.leave)
            idle = listener.idle.wait(seconds)
        for dispatcher in (listener.pool, listener.porch):
            dispatcher.shutdown(cancel_pending=True, timeout=seconds if idle else 0.1)
        if self.alive:
            listener.trigger.pull_trigger(lambda: wasyncore.close_all(self._map))
            self._loop.join(seconds)
        else:
            wasyncore.close_all(self._map)
        return idle and not self.alive and not listener.pool.threads


def _bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigError(f"apiHost: {host!r} is no address of this machine: {error.strerror}") from None
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _taken(host, port, error) from None
    return bound


def _taken(host: str, port: int, error: OSError) -> ConfigError:
    why = error.strerror or error
    return ConfigError(f"apiPort: cannot listen on {host}:{port}: {why}; use another port, or 0 for a free one")


def _adjustments(bound: socket.socket, limits: Limits) -> Adjustments:
    chosen = Adjustments(
        sockets=[bound],
        ident="taskqueue",
        max_request_body_size=limits.max_body + SLACK,
        max_request_header_size=limits.max_header,
        connection_limit=limits.connections,
        asyncore_use_poll=True,  # select() ends at 1,024 descriptors
        clear_untrusted_proxy_headers=True,
        log_socket_errors=False,  # clients go away; that is their business
    )
    # Given by name they would be cut to whole seconds.
    chosen.channel_timeout = limits.idle / SECOND
    chosen.cleanup_interval = chosen.asyncore_loop_timeout = min(1.0, limits.patience / SECOND / 4)
    return chosen


class _Refused(Error):  # type: ignore[misc]  # waitress has no types
    """Too much is waiting."""

    code = HTTPStatus.SERVICE_UNAVAILABLE.value
    reason = HTTPStatus.SERVICE_UNAVAILABLE.phrase


class _ProblemTask(ErrorTask):  # type: ignore[misc]
    """What waitress itself refuses, as a problem."""

    def execute(self) -> None:
        error = self.request.error
        problem = plain(error.code, error.body)
        body = msgspec.json.encode(problem)
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend(
            [
                ("Content-Type", MEDIA_TYPE),
                ("X-Content-Type-Options", "nosniff"),
                ("Cache-Control", "no-store"),
                *headers_of(problem).items(),
            ]
        )
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that knows since when it is being waited for."""

    error_task_class = _ProblemTask
    reading: Any = None
    since = 0
    untaken: tuple[int, int] | None = None

    def received(self, data: bytes) -> Any:
        result = super().received(data)
        if self.request is not self.reading:
            self.reading, self.since = self.request, self.server.clock.monotonic()
        return result

    def too_slow(self, now: int, limits: Limits) -> bool:
        """Does the client give its request, or take its answer, slower than it may?"""
        return self._gives_slowly(now, limits) or self._takes_slowly(now, limits)

    def _gives_slowly(self, now: int, limits: Limits) -> bool:
        request = self.request
        if request is None:
            return False
        if self.requests:
            self.since = now  # it cannot go on before the one ahead of it is answered
            return False
        size = request.header_bytes_received + request.body_bytes_received
        return bool(now - self.since > limits.patience + size * SECOND // limits.slowest)

    def _takes_slowly(self, now: int, limits: Limits) -> bool:
        left = self.total_outbufs_len
        if not left:
            self.untaken = None
        elif self.untaken is None:
            self.untaken = (now, left)
        elif now - self.untaken[0] >= limits.idle:
            since, before = self.untaken
            self.untaken = (now, left)
            return bool(before - left < (now - since) * limits.slowest // SECOND)
        return False


class _Listener(TcpWSGIServer):  # type: ignore[misc]
    """The listening socket, and the housekeeping among its connections. All of it runs in the loop's thread, but
    `add_task`, which any thread calls."""

    channel_class = _Channel

    def __init__(self, app: Any, map: dict[int, Any], bound: socket.socket, *, limits: Limits, clock: Clock) -> None:
        sockinfo = (bound.family, bound.type, bound.proto, bound.getsockname())
        self.pool, self.porch = ThreadedTaskDispatcher(), ThreadedTaskDispatcher()
        super().__init__(app, map, False, bound, self.pool, _adjustments(bound, limits), sockinfo, bind_socket=False)
        self.idle = threading.Event()
        self.clock = clock
        self._limits = limits
        self._rounds_left: int | None = None

    def add_task(self, channel: _Channel) -> None:
        """Give the connection's first request to a thread: probes and refusals to the porch, all else to the pool."""
        request = channel.requests[0]
        if getattr(request, "path", None) in PROBES:
            self.porch.add_task(channel)
        elif len(self.pool.queue) >= self._limits.waiting and not channel.total_outbufs_len:
            # With an answer still to be taken, the porch might have to wait for the client.
            request.error = _Refused("Too many requests are waiting; try again")
            self.porch.add_task(channel)
        else:
            self.pool.add_task(channel)

    def maintenance(self, now: float) -> None:
        """Cut what is too slow. Closing it here would take the loop down: it is marked, and its socket made to tell."""
        super().maintenance(now)
        moment = self.clock.monotonic()
        for channel in self.active_channels.values():
            if channel.too_slow(moment, self._limits):
                channel.will_close = True
                with suppress(OSError):  # gone by itself meanwhile
                    channel.socket.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        """Begin to end: let in who knocked already, then nobody."""
        before = -1
        while before != len(self.active_channels):
            before = len(self.active_channels)
            self.handle_accept()
        self.accepting = False
        with suppress(OSError):  # macOS refuses it for a socket that listens; who knocks there waits in the backlog
            self.socket.shutdown(socket.SHUT_RDWR)
        self._rounds_left = 1

    def readable(self) -> bool:
        """Called once a round of the loop."""
        wanted = super().readable()
        if self._rounds_left is None:
            return bool(wanted)
        if self._rounds_left:
            # What has arrived is read in this round; only the next can tell who is idle.
            self._rounds_left -= 1
            self.pull_trigger()
        else:
            self._dismiss()
        return False

    def _dismiss(self) -> None:
        """Close the connections that have nothing to do, and tell when none is left."""
        busy = False
        for channel in self.active_channels.values():
            if channel.requests or channel.request is not None or channel.total_outbufs_len:
                busy = True
            else:
                channel.will_close = True
        if not busy:
            self.idle.set()

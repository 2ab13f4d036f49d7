"""waitress with the edges that a public door needs: the listening socket, its connections, and who answers them.

State: the connections, a pool of threads that answer, and a small one (the porch) for probes and refusals, so that
neither waits behind work. A connection that gives its request too slowly, or takes its answer too slowly, is cut; where
too many requests wait, the next is refused with 503. Errors of HTTP itself are problems, too.
"""

from __future__ import annotations

import ctypes
import logging
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher
from waitress.utilities import Error

from api.errors import MEDIA_TYPE, headers_of, plain
from api.headers import COMMON, DEFAULTS
from taskqueue.core.clock import MILLISECOND, MINUTE, SECOND, Clock

_LOG = logging.getLogger("taskqueue.api")
PROBES = frozenset({"/healthz", "/readyz"})
_SO_ATTACH_FILTER = 26

NO_ROUTE = "none"
"""Where what never came to a route is counted: no HTTP, too large, too slow, too many at a time."""

SLACK = 64 * 1024
"""Bytes over `max_body` that are read all the same, so that the application can say by how much it was too much."""


class Limits(Struct, frozen=True, kw_only=True):
    """What one client may take of the server. Spans in microseconds, sizes in bytes.

    Attributes:
        max_body: longest body of any request.
        per_address: connections from one address, so that no client by itself can keep all others out.
        waiting: requests that may wait for a thread.
        patience: how long a request may take to arrive, plus the time that its bytes need at `slowest`.
        slowest: bytes a second that a client has to send, or to take, at least.
        idle: how long a connection may rest, or an answer may lie untaken.
        farewell: how long a connection has to be silent before the end of the server closes it.
    """

    max_body: int
    max_header: int = 16 * 1024
    connections: int = 1_000
    per_address: int = 500
    waiting: int = 512
    patience: int = 10 * SECOND
    slowest: int = 16 * 1024
    idle: int = 1 * MINUTE
    farewell: int = 100 * MILLISECOND


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
        self.channel.server.refused(error.code)
        problem = plain(error.code, error.body)
        body = msgspec.json.encode(problem)
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend(
            [
                ("Content-Type", MEDIA_TYPE),
                *COMMON.items(),
                *DEFAULTS.items(),
                *headers_of(problem).items(),
            ]
        )
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Takes every target that is no address for a bad request; waitress lets what `urllib` says of some of them out."""

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            raise ParsingError(f"Bad URI: {error}") from error


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that knows since when it is being waited for."""

    error_task_class = _ProblemTask
    parser_class = _Parser
    reading: Any = None
    since = 0
    untaken: tuple[int, int] | None = None
    counted = False

    def received(self, data: bytes) -> Any:
        result = super().received(data)
        if self.request is not self.reading:
            self.reading, self.since = self.request, self.server.clock.monotonic()
        return result

    def check_client_disconnected(self) -> bool:
        """Asked by the thread that works for it: has the client closed its side? The loop does not look while it waits
        for the answer.
        """
        if not self.connected:
            return True
        try:
            return not self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def handle_close(self) -> None:
        """Also let go of a body that never came to its end: large ones lie in a file."""
        super().handle_close()
        if self.request is not None:
            self.request.close()

    def close(self) -> None:
        """What the end of the server calls; waitress would leave the buffers open."""
        self.handle_close()

    def gives_slowly(self, now: int, limits: Limits) -> bool:
        """Does the client give its request slower than it may?"""
        request = self.request
        if request is None:
            return False
        if self.requests:
            self.since = now  # it cannot go on before the one ahead of it is answered
            return False
        size = request.header_bytes_received + request.body_bytes_received
        return bool(now - self.since > limits.patience + size * SECOND // limits.slowest)

    def takes_slowly(self, now: int, limits: Limits) -> bool:
        """Does it take its answer slower than it may?"""
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


def _deafen(listening: socket.socket) -> None:
    """Have the kernel drop every further attempt to connect, so that none gets in between the last accept and the end,
    only to be reset. Whoever tries again, as TCP does after a second, is refused by then.

    Linux (socket(7), SO_ATTACH_FILTER): a filter of one instruction, "keep 0 bytes". Elsewhere that gap stays.
    """
    if not sys.platform.startswith("linux"):
        return
    program = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))
    with suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program)))


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """The listening socket, and the housekeeping among its connections. All of it runs in the loop's thread, but
    `add_task`, which any thread calls."""

    channel_class = _Channel

    def __init__(
        self,
        app: Any,
        map: dict[int, Any],
        bound: socket.socket,
        *,
        limits: Limits,
        clock: Clock,
        refused: Callable[[int], None],
    ) -> None:
        sockinfo = (bound.family, bound.type, bound.proto, bound.getsockname())
        self.pool, self.porch = ThreadedTaskDispatcher(), ThreadedTaskDispatcher()
        super().__init__(app, map, False, bound, self.pool, _adjustments(bound, limits), sockinfo, bind_socket=False)
        self.idle = threading.Event()
        self._pause = threading.Event()
        self.clock = clock
        self.refused = refused
        self._limits = limits
        self._leaving = False
        self._complained = -MINUTE

    def accept(self) -> tuple[socket.socket, Any] | None:
        """The next connection; one too many of its address is closed at once."""
        accepted: tuple[socket.socket, Any] | None = super().accept()
        if accepted is None or len(self.active_channels) < self._limits.per_address:
            return accepted
        address = accepted[1][0]
        if sum(one.addr[0] == address for one in self.active_channels.values()) < self._limits.per_address:
            return accepted
        accepted[0].close()
        now = self.clock.monotonic()
        if now - self._complained >= MINUTE:
            self._complained = now
            _LOG.warning("%s has %d connections and gets no more", address, self._limits.per_address)
        return None

    def add_task(self, channel: _Channel) -> None:
        """Give the connection's first request to a thread: probes and refusals to the porch, all else to the pool."""
        request = channel.requests[0]
        if self._leaving:
            request.headers["CONNECTION"] = "close"  # as if the client had asked for it: this answer is the last
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
            gives = channel.gives_slowly(moment, self._limits)
            if gives or channel.takes_slowly(moment, self._limits):
                if gives and not channel.counted:
                    channel.counted = True
                    self.refused(HTTPStatus.REQUEST_TIMEOUT.value)
                channel.will_close = True
                with suppress(OSError):  # gone by itself meanwhile
                    channel.socket.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        """Begin to end: let in who knocked already, then nobody."""
        _deafen(self.socket)
        before = -1
        while before != len(self.active_channels):
            before = len(self.active_channels)
            self.handle_accept()
        self.accepting = False
        with suppress(OSError):  # macOS refuses it for a socket that listens; who knocks there waits in the backlog
            self.socket.shutdown(socket.SHUT_RDWR)
        self._leaving = True

    def readable(self) -> bool:
        """Called once a round of the loop."""
        wanted = super().readable()
        if self._leaving:
            self._dismiss()
        return bool(wanted) and not self._leaving

    def _dismiss(self) -> None:
        """Close the connections that have nothing to do and have been silent for a while (a request may be on its way),
        and tell when none is left."""
        busy = False
        silent = time.time() - self._limits.farewell / SECOND  # by waitress' own clock
        for channel in self.active_channels.values():
            if channel.requests or channel.request is not None or channel.total_outbufs_len:
                busy = True
            elif channel.last_activity <= silent:
                channel.will_close = True
            else:
                busy = True
                self._pause.wait(0.002)
                self.pull_trigger()  # another round, to look again
        if not busy:
            self.idle.set()

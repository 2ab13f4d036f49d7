"""waitress with the edges that a public door needs: the listening socket, its connections, and who answers them.

State: the connections, a pool of threads that answer, a small one (the porch) for probes and refusals, so that
neither waits behind work, and what needs no thread (`soon`). A connection that gives its request too slowly, or takes
its answer too slowly, is cut; where too many requests wait, the next is refused with 503. Errors of HTTP itself are
problems, too.
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

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import Error

from api.channel import Channel
from api.limits import Limits
from api.soon import SHORT, Soon
from taskqueue.core.clock import MINUTE, SECOND, Clock

_LOG = logging.getLogger("taskqueue.api")
PROBES = frozenset({"/healthz", "/readyz"})
_SO_ATTACH_FILTER = 26

NO_ROUTE = "none"
"""Where what never came to a route is counted: no HTTP, too large, too slow, too many at a time."""

SLACK = 64 * 1024
"""Bytes over `max_body` that are read all the same, so that the application can say by how much it was too much."""


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

    channel_class = Channel

    def __init__(
        self,
        app: Any,
        map: dict[int, Any],
        bound: socket.socket,
        *,
        limits: Limits,
        clock: Clock,
        refused: Callable[[int], None],
        soon: frozenset[str],
    ) -> None:
        sockinfo = (bound.family, bound.type, bound.proto, bound.getsockname())
        self.pool, self.porch = ThreadedTaskDispatcher(), ThreadedTaskDispatcher()
        super().__init__(app, map, False, bound, self.pool, _adjustments(bound, limits), sockinfo, bind_socket=False)
        self.idle = threading.Event()
        self._pause = threading.Event()
        self.clock = clock
        self.refused = refused
        self.soon = Soon(self.application, clock, self.pool.add_task, self.trigger.pull_trigger)
        self._soon = soon
        self._thread: int | None = None
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

    def add_task(self, channel: Channel) -> None:
        """Give the connection's first request to a thread: probes and refusals to the porch, all else to the pool; what
        needs none to the loop, if that is who calls."""
        request = channel.requests[0]
        self.last_word(request)
        soon = self._needs_no_thread(channel, request)
        if getattr(request, "path", None) in PROBES:
            self.porch.add_task(channel)
        elif len(self.soon if soon else self.pool.queue) >= self._limits.waiting and not channel.total_outbufs_len:
            # With an answer still to be taken, the porch might have to wait for the client.
            request.error = _Refused("Too many requests are waiting; try again")
            self.porch.add_task(channel)
        elif soon:
            self.soon.add(channel)
        else:
            self.pool.add_task(channel)

    def _needs_no_thread(self, channel: Channel, request: Any) -> bool:
        return (
            not request.error
            and request.command == "POST"
            and request.path in self._soon
            and request.body_bytes_received <= SHORT
            and not channel.total_outbufs_len  # or the loop would wait for the client to take it
            and self._thread == threading.get_ident()
        )

    def last_word(self, request: Any) -> None:
        """Make this answer its connection's last, as if the client had asked for it, where the server is to end."""
        if self._leaving:
            request.headers["CONNECTION"] = "close"

    def run(self) -> None:
        """The loop."""
        self._thread = threading.get_ident()
        super().run()

    def pull_trigger(self) -> None:
        """Have the loop look again. It does so anyway where it is the one who calls."""
        if self._thread != threading.get_ident():
            super().pull_trigger()

    def maintenance(self, now: float) -> None:
        """Cut what is too slow. Closing it here would take the loop down: it is marked, and its socket made to tell."""
        super().maintenance(now)
        moment = self.clock.monotonic()
        self.soon.give_up(moment)
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
        """Called once a round of the loop, before any connection is asked."""
        self.soon.settle()
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
                self.trigger.pull_trigger()  # another round, to look again
        if not busy:
            self.idle.set()

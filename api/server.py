"""The HTTP server: it takes the port, starts the threads, ends in good order. Between lies `listener`.

State: the bound socket and the loop's thread. When the loop dies, `alive` is False.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

from waitress import wasyncore

from api.auth import warn_of
from api.limits import Limits
from api.listener import Listener
from taskqueue.core.clock import SECOND, Clock, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError

PORCH_THREADS = 2


def limits_of(config: Config) -> Limits:
    """The limits that a node's configuration gives."""
    return Limits(max_body=config.max_batch_bytes)


class Server:
    """Serves `app` on the configured address (port 0: a free one, see `port`) from `start` to `stop`."""

    def __init__(
        self,
        app: Any,
        config: Config,
        *,
        limits: Limits | None = None,
        clock: Clock | None = None,
        refused: Callable[[int], None] = lambda _: None,
        soon: frozenset[str] = frozenset(),
    ) -> None:
        """Takes the port; nobody is answered yet. Raises ConfigError where that cannot be.

        `refused` is told the status of each request that never comes to `app`, also of one that is cut. To a short POST
        to one of the paths in `soon`, `app` may promise an answer (see `later`); it does not wait there.
        """
        limits = limits or limits_of(config)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of every request that waits at all
        self._socket = _bind(config.api_host, config.api_port)
        self.port: int = self._socket.getsockname()[1]
        self._map: dict[int, Any] = {}
        self._config = config
        self._host = config.api_host
        self._threads = config.api_threads
        self._listener = Listener(
            app, self._map, self._socket, limits=limits, clock=clock or SystemClock(), refused=refused, soon=soon
        )
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
        warn_of(self._config)
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
            listener.trigger.pull_trigger(self._close)
            self._loop.join(seconds)
        else:
            self._close()
        return idle and not self.alive and not listener.pool.threads


    def _close(self) -> None:
        self._listener.soon.close()
        wasyncore.close_all(self._map)


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

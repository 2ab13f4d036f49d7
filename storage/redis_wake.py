"""Hints that there is work: a thread that listens on the namespace's channel.

State: the thread and its connection. Nothing depends on a hint: one that is lost costs a poll interval. Where the
connection breaks it is made anew, and one empty hint stands for what may have been missed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from redis import exceptions as rx

from storage.connection import ATTEMPT, Dialer, Wire, waits
from storage.keys import WAKE

log = logging.getLogger(__name__)

LISTEN = 0.5
"""Seconds after which the thread looks whether it is to end."""


class Subscription:
    """Calls `on_hint` from a thread of its own until it is closed."""

    def __init__(self, dialer: Dialer, prefix: str, on_hint: Callable[[str], None]) -> None:
        self._dialer = dialer
        self._channel = prefix + WAKE
        self._on_hint = on_hint
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="redis-hints")
        self._thread.start()

    def close(self) -> None:
        """End the thread. Idempotent."""
        self._closed.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        wait = waits()
        while not self._closed.is_set():
            try:
                wire = self._dialer.dial("hints")
            except (rx.RedisError, OSError) as error:
                log.debug("no hints: %s", error)
                self._closed.wait(wait())
                continue
            try:
                wire.send_command("SUBSCRIBE", self._channel)
                wire.read_response(timeout=ATTEMPT)
                wait = waits()
                self._on_hint("")
                self._listen(wire)
            except (rx.RedisError, OSError) as error:
                log.debug("hints are interrupted: %s", error)
                self._closed.wait(wait())
            finally:
                wire.disconnect()

    def _listen(self, wire: Wire) -> None:
        epoch = self._dialer.epoch
        while not self._closed.is_set() and epoch == self._dialer.epoch:
            if wire.can_read(timeout=LISTEN):
                message = wire.read_response()
                if message[0] == b"message":
                    self._on_hint(message[2].decode())

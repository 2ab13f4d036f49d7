"""Calls of scripts over connections that come and go: one connection for writing in order, a pool for reading.

State: the connection, what the server was when it was made, and whether it is away. A lost answer is no failure yet:
the same call is repeated (it is made so that it may be) until `OPERATION` seconds are over; then its outcome is unknown
and the verbs of the call are answered with `StoreUnavailable`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from redis import exceptions as rx

from storage.connection import Cure, Dialer, Wire, cure, waits
from storage.keys import fixed, prefix
from storage.redis_calls import Call
from storage.redis_checks import Facts, inspect, load
from storage.redis_dataset import Datasets
from storage.scripts import scripts
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError, StoreError, StoreFull, StoreUnavailable

log = logging.getLogger(__name__)

OPERATION = 5.0
"""Seconds within which a call is tried again."""

LOOK_AGAIN = 60.0
"""Seconds after which a server that works is looked at once more."""

SHORT = 1.0
"""The same, while the server is known to be away: so long as it is, nobody waits for it in a queue."""

REPLICATION = 1_000
"""Milliseconds that an acknowledgement waits for the replicas."""

TROUBLE = (rx.RedisError, OSError)


class Commands:
    """How calls are written down. `stamp` is the time that they get: empty for the server's own."""

    def __init__(self, namespace: str, stamp: Callable[[], str]) -> None:
        self.prefix = prefix(namespace)
        self.aging = 0
        self._keys = tuple(key.encode() for key in fixed(namespace))
        self._stamp = stamp

    @property
    def mark(self) -> tuple[Any, ...]:
        """A write, and nothing else. WAIT counts the replicas that have the last write of this very connection; after a
        mark that is all that was written before, by whomever: an answer may rest on what others wrote.
        """
        return ("HSET", self._keys[0], "marked", "1")

    def of(self, call: Call) -> tuple[Any, ...]:
        """The command of a call."""
        head = ("EVALSHA", scripts()[call.lua].sha, len(self._keys), *self._keys)
        return (*head, self.prefix, self._stamp(), self.aging, call.name, call.blob, *call.texts)

    def all_of(self, call: Call) -> Sequence[tuple[Any, ...]]:
        """The same, and what is read beside it."""
        return (self.of(call), ("HGETALL", self.prefix + call.beside)) if call.beside else (self.of(call),)


def exchange(wire: Wire, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The answers to some commands in one round trip; an error answer is in its place. What is not a whole answer is
    missing at the end, and after it stands the trouble that cut it off.
    """
    packed = [part for command in commands for part in wire.pack_command(*command)]
    replies: list[Any] = []
    try:
        wire.send_packed_command([b"".join(packed)], check_health=False)
        while len(replies) < len(commands):
            try:
                replies.append(wire.read_response())
            except rx.ResponseError as error:
                replies.append(error)
    except TROUBLE as error:
        replies.append(error)
    return replies


class Writer:
    """One connection, used by one thread at a time; calls are done in order."""

    def __init__(self, dialer: Dialer, config: Config, commands: Commands, name: str, datasets: Datasets) -> None:
        self._dialer = dialer
        self._config = config
        self._commands = commands
        self._name = name
        self._wire: Wire | None = None
        self._epoch = 0
        self._away = False
        self._closed = threading.Event()
        self.facts: Facts | None = None
        self._datasets = datasets
        self._looked_at = 0.0
        self.refused: str | None = None
        """Why the server that answers must not be used."""

    def connect(self) -> Wire:
        """The connection, made if there is none; what is behind it is looked at then, and again every minute. Raises
        ConfigError, or what redis-py raises.
        """
        if self._wire is not None and self._epoch == self._dialer.epoch:
            wire = self._wire
            if time.monotonic() - self._looked_at < LOOK_AGAIN:
                return wire
        else:
            self.drop()
            wire = self._dialer.dial(self._name)
        try:
            self._look(wire)
        except BaseException:
            wire.disconnect()
            self._wire = None
            raise
        self._wire, self._epoch = wire, self._dialer.epoch
        return wire

    def look_soon(self) -> None:
        """Look before the next call: something seems to be another than it was."""
        self._looked_at = 0.0

    def _look(self, wire: Wire) -> None:
        self._looked_at = time.monotonic()
        try:
            facts = inspect(wire, self._config)
        except ConfigError as error:
            self.refused = str(error)
            raise
        self.refused = None
        self.facts = facts
        self._commands.aging = facts.aging
        self._datasets.found(facts.dataset)

    def drop(self) -> None:
        """Let go of the connection."""
        if self._wire is not None:
            self._wire.disconnect()
            self._wire = None

    def close(self) -> None:
        """Let go, and cut short who waits to try again."""
        self._closed.set()
        self.drop()

    def run(self, calls: Sequence[Call], done: Callable[[Call, Any], None]) -> None:
        """Do calls in order. `done` is told each one's answer, which is a StoreError where it was not done."""
        deadline = time.monotonic() + (SHORT if self._away else OPERATION)
        wait = waits()
        left = list(calls)
        while True:
            trouble = self._attempt(left, done)
            if trouble is None:
                self._away = False
                return
            delay = wait()
            if time.monotonic() + delay > deadline or self._closed.wait(delay):
                break
        self._away = True
        for call in left:
            done(call, StoreUnavailable(f"Redis at {self._dialer.address} cannot be reached: {trouble}"))

    def _attempt(self, left: list[Call], done: Callable[[Call, Any], None]) -> Exception | None:
        """Try each of the calls that are left once, and take away those that are through; why some are not."""
        try:
            wire = self.connect()
        except (*TROUBLE, ConfigError) as error:
            self._dialer.epoch += 1
            return error
        for call in left:
            call.sent += 1
        commands = [command for call in left for command in self._commands.all_of(call)]
        calls = len(commands)
        if self._config.redis_wait_replicas:
            commands += (self._commands.mark, ("WAIT", self._config.redis_wait_replicas, REPLICATION))
        replies = exchange(wire, commands)
        if len(replies) < len(commands) or isinstance(replies[-1], rx.ConnectionError | rx.TimeoutError | OSError):
            self.drop()
        if self._config.redis_wait_replicas and len(replies) <= calls:
            self._mend(wire, Cure.REDISCOVER)
            lost: Exception = replies[-1]  # done, but nobody knows where: the same again
            return lost
        short = self._too_few(replies, calls)
        trouble: Exception | None = None
        asked = list(left)
        for call, reply in zip(asked, _joined(asked, replies), strict=False):
            settled = settle(reply)
            if isinstance(settled, Cure):
                trouble = reply
                self._mend(wire, settled)
            else:
                left.remove(call)
                done(call, settled if isinstance(settled, StoreError) else short or reply)
        last: Exception | None = replies[-1] if left else None
        return trouble or last

    def _too_few(self, replies: list[Any], calls: int) -> StoreError | None:
        """Unless enough replicas have what was written: the outcome is unknown, whatever this server says."""
        wanted = self._config.redis_wait_replicas
        if not wanted:
            return None
        marked, have = [*replies[calls:], None, None][:2]
        if not (isinstance(marked, int) and isinstance(have, int)):
            have = 0
        if have >= wanted:
            return None
        return StoreUnavailable(f"{have} of {wanted} replicas have acknowledged it: whether it lasts is unknown")

    def _mend(self, wire: Wire, how: Cure) -> None:
        if how is Cure.RELOAD and self._wire is wire:
            try:
                load(wire)
            except TROUBLE:
                self.drop()
        elif how is Cure.REDISCOVER:
            self.drop()
            self._dialer.epoch += 1


def _joined(calls: Sequence[Call], replies: Sequence[Any]) -> Iterator[Any]:
    """One answer a call: what was read beside it is put to its end, and is in its place where that is an error."""
    each = iter(replies)
    for call, reply in zip(calls, each, strict=False):
        more = next(each, None) if call.beside else None
        if call.beside and not isinstance(reply, Exception):
            yield more if isinstance(more, Exception) else [*reply, more]
        else:
            yield reply


def settle(reply: Any) -> Any:
    """An answer, a StoreError that is final, or a Cure after which the same is to be tried again."""
    if not isinstance(reply, Exception):
        return reply
    how = cure(reply)
    if how is Cure.FULL:
        return StoreFull("no room to write: Redis has reached its maxmemory")
    if how is Cure.DENIED:
        return StoreUnavailable(f"Redis denies it: {reply}")
    if how is Cure.WRONG:
        log.error("a script failed: %s", reply)
        return StoreError(f"Redis refused it: {reply}")
    return how


class Pool:
    """Connections for reading, one for each read that ever ran at the same time. Any thread may read."""

    def __init__(self, dialer: Dialer, commands: Commands) -> None:
        self._dialer = dialer
        self._commands = commands
        self._free: deque[tuple[int, Wire]] = deque()
        self._away = False
        self._closed = threading.Event()

    def call(self, call: Call) -> Any:
        """The answer of one script that only reads. Raises StoreError."""
        return self.ask([self._commands.of(call)])[0]

    def ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The answers to commands that only read. Raises StoreError."""
        deadline = time.monotonic() + (SHORT if self._away else OPERATION)
        wait = waits()
        while True:
            replies, trouble = self._attempt(commands)
            if trouble is None:
                self._away = False
                return replies
            delay = wait()
            if time.monotonic() + delay > deadline or self._closed.wait(delay):
                self._away = True
                raise StoreUnavailable(f"Redis at {self._dialer.address} cannot be reached: {trouble}")

    def _attempt(self, commands: Sequence[tuple[Any, ...]]) -> tuple[list[Any], Exception | None]:
        epoch = self._dialer.epoch
        try:
            wire = self._take()
        except TROUBLE as error:
            return [], error
        replies = exchange(wire, commands)
        for reply in replies:
            settled = settle(reply)
            if isinstance(settled, StoreError):
                self._give(epoch, wire)
                raise settled
            if isinstance(settled, Cure):
                if settled is Cure.RELOAD:
                    try:
                        load(wire)
                    except TROUBLE:
                        wire.disconnect()
                        return [], reply
                    self._give(epoch, wire)
                elif settled is Cure.AGAIN:
                    self._give(epoch, wire)
                else:
                    wire.disconnect()
                return [], reply
        self._give(epoch, wire)
        return replies, None

    def _take(self) -> Wire:
        while True:
            try:
                epoch, wire = self._free.pop()
            except IndexError:
                return self._dialer.dial("reads")
            if epoch == self._dialer.epoch:
                return wire
            wire.disconnect()

    def _give(self, epoch: int, wire: Wire) -> None:
        if self._closed.is_set() or not wire.is_connected:
            wire.disconnect()
        else:
            self._free.append((epoch, wire))

    def close(self) -> None:
        """Close every connection."""
        self._closed.set()
        while self._free:
            self._free.pop()[1].disconnect()

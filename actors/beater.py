"""How heartbeats travel: beside everything else, so that a slow store or a busy queue never looks like a dead node.

HealthActor decides when to beat and what an answer means; a Beater carries the beat and tells the answer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

from msgspec import Struct

from actors.messages import Address, Write, Written
from storage.verbs import Beat, Beaten
from taskqueue.core.errors import StoreError

log = logging.getLogger("taskqueue.health")


class Beater(Protocol):
    """Carries one beat after the other. Never blocks who sends."""

    def send(self, beat: Beat, reply_to: Address, ticket: object) -> None:
        """Take it to the store; answered with `Written`, if the answer comes. A newer one may go in its place."""


class StorageBeater:
    """By way of the StorageActor: for a node that is alone, where a beat only fetches orders."""

    def __init__(self, storage: Address) -> None:
        self._storage = storage

    def send(self, beat: Beat, reply_to: Address, ticket: object) -> None:
        self._storage.tell(Write(verbs=(beat,), reply_to=reply_to, ticket=ticket))


class _Letter(Struct, frozen=True):
    beat: Beat
    reply_to: Address
    ticket: object


class ThreadBeater:
    """On a thread of its own, by way of a connection of its own: `beat` is the store's door for that, and may block."""

    def __init__(self, beat: Callable[[Beat], Beaten | StoreError]) -> None:
        self._beat = beat
        self._box: SimpleQueue[_Letter | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="beater", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """End after the beat that is under way, if that ends within `seconds`; it is left behind else."""
        self._box.put(None)
        self._thread.join(seconds)

    def send(self, beat: Beat, reply_to: Address, ticket: object) -> None:
        self._box.put(_Letter(beat, reply_to, ticket))

    def _run(self) -> None:
        while (letter := self._newest()) is not None:
            result: Beaten | StoreError
            try:
                result = self._beat(letter.beat)
            except Exception as error:
                log.exception("a heartbeat failed")
                result = StoreError(f"the heartbeat failed: {error}")
            letter.reply_to.tell(Written(results=(result,), ticket=letter.ticket))

    def _newest(self) -> _Letter | None:
        """Wait for the next; of several that piled up behind a slow one only the last says anything new."""
        letter = self._box.get()
        while letter is not None:
            try:
                letter = self._box.get_nowait()
            except Empty:
                break
        return letter

"""A stable address for an actor that may be restarted behind it."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

import pykka

from actors.messages import Message


class Handle:
    """Tells whoever is bound to it now. A message that reaches nobody is lost, and the sender is told so: whatever
    matters can be rebuilt from the store."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._ref: pykka.ActorRef[Any] | None = None

    def bind(self, ref: pykka.ActorRef[Any]) -> None:
        """From now on messages go to `ref`."""
        self._ref = ref

    @property
    def ref(self) -> pykka.ActorRef[Any] | None:
        """Who is behind it, for the supervisor."""
        return self._ref

    @property
    def alive(self) -> bool:
        """Is anybody there to read?"""
        return self._ref is not None and self._ref.is_alive()

    @property
    def waiting(self) -> int:
        """How many messages wait in its inbox."""
        inbox = None if self._ref is None else self._ref.actor_inbox
        return inbox.qsize() if isinstance(inbox, SimpleQueue) else 0

    def tell(self, message: Message) -> bool:
        ref = self._ref
        if ref is None:
            return False
        try:
            ref.tell(message)
        except pykka.ActorDeadError:
            return False
        return True

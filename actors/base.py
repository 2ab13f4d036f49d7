"""What all actors of a node share: a fast inbox, receivers by message type, and a death that is reported.

An actor that was never started is a plain object: `on_receive(message)` may be called on it, single-threaded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Any

import pykka

from actors.messages import Message

log = logging.getLogger("taskqueue.actors")

OnDeath = Callable[[BaseException], None]


class NodeActor(pykka.ThreadingActor):
    """An actor that tells and is told, and never waits for another."""

    use_daemon_thread = (
        True  # a handler stuck in C must not keep the process from ending; the node stops the others itself
    )

    def __init__(self, on_death: OnDeath) -> None:
        super().__init__()
        self._on_death = on_death
        self._receivers: dict[type[Message], Callable[[Any], None]] = self.receivers()

    @staticmethod
    def _create_actor_inbox() -> Any:
        return SimpleQueue()

    def launch(self) -> None:
        """Begin, and take messages, in a thread of its own. Pykka's `start` makes and launches in one step; here an
        actor is bound to its address in between, so that no answer to what it asks as it begins gets lost.
        """
        pykka.ActorRegistry.register(self.actor_ref)
        self._start_actor_loop()

    def receivers(self) -> dict[type[Message], Callable[[Any], None]]:
        """Which method takes which message."""
        raise NotImplementedError

    def begin(self) -> None:
        """Called once in the actor's own thread, before its first message."""

    def on_start(self) -> None:
        try:
            _contained(self.begin)
        except Exception as error:
            self._on_death(error)  # pykka calls no hook when on_start fails
            raise

    def on_receive(self, message: Message) -> None:
        receiver = self._receivers.get(type(message))
        if receiver is None:
            raise TypeError(f"{type(self).__name__} does not know the message {type(message).__name__}")
        try:  # as in `_contained`; here for speed: each message comes this way
            receiver(message)
        except Exception:
            raise
        except BaseException as error:
            raise _as_exception(error) from error

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._on_death(exception_value or RuntimeError("died without a reason"))


def _contained(step: Callable[..., None], *given: Message) -> None:
    """Do a step; what is no `Exception` becomes one: pykka would stop every actor of the process, and tell nobody."""
    try:
        step(*given)
    except Exception:
        raise
    except BaseException as error:
        raise _as_exception(error) from error


def _as_exception(error: BaseException) -> RuntimeError:
    return RuntimeError(f"{type(error).__name__} in an actor: {error}")

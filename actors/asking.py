"""How a thread asks an actor, and the only place that waits for an answer: always for a bounded time."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue

from actors.messages import Address, Message, Replied
from storage.store import Result
from taskqueue.core import errors

ANSWER_WITHIN = 10.0
"""Seconds that a thread waits for the actors; then the outcome is unknown."""

Results = tuple[Result | errors.StoreError, ...]


class Waiter:
    """An address for one answer to one thread."""

    def __init__(self) -> None:
        self._box: SimpleQueue[Message] = SimpleQueue()

    def tell(self, message: Message) -> bool:
        self._box.put(message)
        return True

    def wait(self, seconds: float) -> Message | None:
        """The answer, or None when it did not come in time."""
        try:
            return self._box.get(timeout=seconds)
        except Empty:
            return None


def ask(address: Address, message: Callable[[Waiter], Message]) -> Results:
    """The results of what QueueActor was asked. Raises Unavailable where none was done, or what became of them is
    unknown.
    """
    waiter = Waiter()
    return answered(waiter if address.tell(message(waiter)) else None, ANSWER_WITHIN)


def answered(waiter: Waiter | None, seconds: float) -> Results:
    """The same of what was asked before; None where nobody heard it."""
    if waiter is None:
        raise errors.Unavailable("the queue's actor is down")
    reply = waiter.wait(seconds)
    if not isinstance(reply, Replied):
        raise errors.Unavailable(unknown())
    failed = next((result for result in reply.results if isinstance(result, errors.StoreError)), None)
    if failed is not None and all(isinstance(result, errors.StoreError) for result in reply.results):
        raise errors.Unavailable(str(failed))
    return reply.results


def unknown() -> str:
    """What to say where no answer came."""
    return f"no answer within {ANSWER_WITHIN:g} s; the outcome is unknown"

"""An answer that comes later than the request is read: nobody waits for it, so no thread is held.

A server that can wait so puts a `Later` into the WSGI environment, under `LATER`; a responder may promise an answer to
it. Where there is none, as with any other server, a responder waits itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

LATER = "taskqueue.later"

Ready = Callable[[], None]
"""Called once by whoever has the answer, in any thread; it takes no time."""


class Reply(Struct, frozen=True):
    """A whole answer: status line, headers, body."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class Later:
    """One request's answer. State: what was promised; it begins with nothing.

    Attributes:
        ready: to be called when the promised answer is there.
        declined: this request wants a thread that may wait, and nothing was done yet: it is to be made once more.
        answer: makes the answer, once there is one or `within` has passed.
        within: microseconds that the server waits for `ready`.
        finish: turns the answer into a reply; set by the application, which has its say in every one.
    """

    def __init__(self, ready: Callable[[Later], None]) -> None:
        self.ready: Ready = lambda: ready(self)
        self.declined = False
        self.answer: Callable[[], Any] | None = None
        self.within = 0
        self.finish: Callable[[], Reply] | None = None

    @property
    def open(self) -> bool:
        """Is there no answer yet?"""
        return self.declined or self.answer is not None

    def promise(self, answer: Callable[[], Any], within: int) -> Later:
        """There will be an answer."""
        self.answer, self.within = answer, within
        return self

    def decline(self) -> Later:
        """Not without waiting."""
        self.declined = True
        return self

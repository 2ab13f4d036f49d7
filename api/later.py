"""An answer that comes later than the request is read: nobody waits for it, so no thread is held.

A server that can wait so puts a `Later` into the WSGI environment, under `LATER`; a responder may promise an answer to
it. Where there is none, as with any other server, a responder waits itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

LATER = "taskqueue.later"


class Reply(Struct, frozen=True):
    """A whole answer: status line, headers, body."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class Later:
    """One request's answer. State: what was promised; it begins with nothing.

    Attributes:
        declined: this request wants a thread that may wait, and nothing was done yet: it is to be made once more.
        answer: makes the answer, once there is one or `within` has passed.
        within: microseconds that the server waits for `ready`.
        finish: turns the answer into a reply; set by the application, which has its say in every one.
    """

    def __init__(self, tell: Callable[[Later], None]) -> None:
        self._tell = tell
        self.declined = False
        self.answer: Callable[[], Any] | None = None
        self.within = 0
        self.finish: Callable[[], Reply] | None = None

    def ready(self) -> None:
        """The promised answer is there. Called once, in any thread; it takes no time."""
        self._tell(self)

    @property
    def promised(self) -> bool:
        """Is there an answer to come?"""
        return self.answer is not None

    def promise(self, answer: Callable[[], Any], within: int) -> Later:
        """There will be an answer."""
        self.answer, self.within = answer, within
        return self

    def decline(self) -> Later:
        """Not without waiting."""
        self.declined = True
        return self

    def reply(self) -> Reply:
        """The answer, now. Called once: what it was made of is let go, since the request knows this, too."""
        finish, self.finish, self.answer = self.finish, None, None
        assert finish is not None  # the application set it when it promised
        return finish()

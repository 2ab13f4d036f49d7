"""What a worker from outside asks for and what it gets: a wish for tasks, and for each task a token.

A token says whose run of which task it is: (lease, fence, task). Nothing is kept for it, so any node can answer for it;
that it is the present run's, the store says. Clients are to take it as it is.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256

from msgspec import Struct

from taskqueue.core.clock import HOUR, MINUTE, SECOND
from taskqueue.core.names import TASK_ID_PATTERN
from taskqueue.core.task import Task

MOST_LEASED = 100
"""How many tasks one claim may ask for."""

MOST_NAMES = 100
"""How many queues, and how many handlers."""

LONGEST_WAIT = MINUTE
SHORTEST_LEASE, USUAL_LEASE, LONGEST_LEASE = SECOND, 30 * SECOND, 12 * HOUR

_TOKEN = re.compile(rf"([A-Za-z0-9_-]{{22}})\.([1-9][0-9]{{0,17}})\.({TASK_ID_PATTERN})", re.ASCII)


class Wish(Struct, frozen=True, kw_only=True):
    """What a worker wants: tasks of these handlers in these queues (`("*",)`: all), at most `limit` of them, waited for
    at most so long, under a lease of so long. Spans are microseconds. `request` names the claim for repeats.
    """

    handlers: tuple[str, ...]
    queues: tuple[str, ...] = ("default",)
    limit: int = 1
    wait: int = 0
    lease: int = USUAL_LEASE
    request: str | None = None


class LeaseToken(Struct, frozen=True):
    """One run of a task under a lease."""

    owner: str
    fence: int
    task: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.fence}.{self.task}"


class Grant(Struct, frozen=True):
    """A task for a worker, and the token of its run."""

    token: str
    task: Task


def read_token(text: str) -> LeaseToken | None:
    """The token that a client sends back; None where nobody was given it."""
    match = _TOKEN.fullmatch(text)
    return None if match is None else LeaseToken(match[1], int(match[2]), match[3])


def owner_of(seed: bytes) -> str:
    """The name of a lease, 128 bits of a digest: of what names the request, so that its repeat means the same lease, or
    of something random.
    """
    return urlsafe_b64encode(sha256(seed).digest()[:16]).rstrip(b"=").decode()

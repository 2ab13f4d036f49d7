"""What can happen to a stored task, one frozen record an event.

The same records are the verbs of a store and the content of messages. `op` names one logical operation: whoever repeats
an event after a lost answer repeats the `op` too, and the store answers DUP instead of doing it twice.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType

from taskqueue.core.task import Cause


class Event(Struct, frozen=True, kw_only=True):
    """Something that happens to task `id`."""

    id: str
    op: str = ""


class Owned(Event, frozen=True, kw_only=True):
    """An event that only the present owner may cause: both `owner` (incarnation) and `fence` have to match."""

    owner: str
    fence: int


class Complete(Owned, frozen=True, kw_only=True):
    """The handler returned; `result` is JSON, or None where it is not kept."""

    result: bytes | None = None


class Fail(Owned, frozen=True, kw_only=True):
    """The handler failed. With retries left it waits `delay` microseconds, else (or if `final`) it is dead-lettered.

    `cause` is ERROR, TIMEOUT or DISCARDED.
    """

    type: str
    message: str
    cause: Cause = Cause.ERROR
    delay: int = 0
    final: bool = False


class Release(Owned, frozen=True, kw_only=True):
    """The owner gives it back unfinished; nothing is charged."""


class Snooze(Owned, frozen=True, kw_only=True):
    """The handler asks to run again after `delay` microseconds; nothing is charged."""

    delay: int


class Report(Owned, frozen=True, kw_only=True):
    """Progress of a running handler (the verb `progress`)."""

    fraction: float
    note: str = ""


class Taken(Event, frozen=True, kw_only=True):
    """A claim took it: `node` is the name to show, `request` the number of the claim."""

    owner: str
    node: str
    request: int


class Crash(Event, frozen=True, kw_only=True):
    """Its owner died. After `max_crashes - 1` of them (at least one) it runs solo; a crash while solo convicts it."""

    max_crashes: int


class Corrupt(Event, frozen=True, kw_only=True):
    """It is not what was stored: it is given up before it runs. `unreadable`: what of it cannot be read (for a reader);
    where that is nothing, its payload is not what was submitted.
    """

    unreadable: str = ""


class Promote(Event, frozen=True, kw_only=True):
    """Its time has come."""


class Expire(Event, frozen=True, kw_only=True):
    """`expires_at` passed while it waited."""


class Cancel(Event, frozen=True, kw_only=True):
    """Somebody does not want it any more."""


class Retry(Event, frozen=True, kw_only=True):
    """An operator says: now, not after the backoff."""


class Replay(Event, frozen=True, kw_only=True):
    """An operator starts a finished task anew, with all budgets."""


class Update(Event, frozen=True, kw_only=True):
    """An operator changes a waiting task. `run_at=None` means now; `expires_at=None` means never."""

    priority: int | UnsetType = UNSET
    run_at: int | UnsetType | None = UNSET
    expires_at: int | UnsetType | None = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET


class Delete(Event, frozen=True, kw_only=True):
    """An operator removes a finished task."""


class Prune(Event, frozen=True, kw_only=True):
    """Retention removes a finished task."""


class Code(StrEnum):
    """What a store answers to a verb."""

    OK = "ok"
    DUP = "dup"  # done before, by this very operation
    STALE = "stale"  # owner or fence is not the current one
    REFUSED = "refused"  # the state does not allow it
    NOT_FOUND = "not-found"
    FENCED = "fenced"  # this incarnation was declared dead, or is unknown
    DEPOSED = "deposed"  # this leader's epoch is over
    CONFLICT = "conflict"  # the id exists with another body
    MISMATCH = "mismatch"  # the idempotency key was used with another body
    FULL = "full"  # queueSize reached
    WAITS = "waits"  # nothing wrong: not stored, since another item of the atomic batch was

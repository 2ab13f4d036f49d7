"""One schedule, `s`, for tests of what a store does with it."""

from __future__ import annotations

from typing import Any

from storage import verbs as v
from taskqueue.core.task import Draft
from tests.stores import Driver

EVERY_SECOND, EVERY_MINUTE = b'{"every":"1s"}', b'{"every":"1m"}'


def put(deck: Driver, expect: tuple[int, int] | None = None, **changes: Any) -> Any:
    """The answer to a put: of a new schedule, or of a change of that which the writer saw."""
    fields = {"id": "s", "spec": EVERY_SECOND, "cursor": 100, **changes}
    return deck.do(v.PutSchedule(v.Schedule(**fields), expect))


def tick(deck: Driver, *drafts: Draft, **changes: Any) -> v.Answer:
    """The answer to a tick of the schedule as it was put first."""
    fields = {"schedule": "s", "generation": 1, "cursor": 100, "upto": 200, **changes}
    answer: v.Answer = deck.led(v.Tick, drafts=drafts, **fields)
    return answer


def stored(deck: Driver) -> v.Schedule:
    """The only schedule."""
    [schedule] = deck.store.schedules()
    return schedule

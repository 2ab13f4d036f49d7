"""One task in each state, made by the rules alone, and what happens to it next."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict, replace

from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE, SECOND
from taskqueue.core.events import Code
from taskqueue.core.states import apply, judge
from taskqueue.core.task import Task, born
from tests.factories import draft

T0 = 1_790_000_000 * SECOND
T1 = T0 + MINUTE


def take(task: Task, now: int = T0, owner: str = "a-1") -> Task:
    """The task in the hands of `owner`."""
    return happen(task, ev.Taken(id=task.id, owner=owner, node=owner[0], request=3), now)


def happen(task: Task, event: ev.Event, now: int = T1) -> Task:
    """The task after an event that has to be allowed and must not end it."""
    assert judge(task, event, now) is Code.OK
    after = apply(task, event, now)
    assert after is not None
    return after


def held(task: Task) -> dict[str, Any]:
    return {"id": task.id, "owner": task.owner, "fence": task.fence}


def changed(before: Task, after: Task) -> dict[str, Any]:
    """The fields that differ, as they are now."""
    old = asdict(before)
    return {name: value for name, value in asdict(after).items() if value != old[name]}


NEW = born(draft(), T0)
RUNNING = take(NEW)
FAILURE = {"type": "ValueError", "message": "no"}
FAILED = happen(RUNNING, ev.Fail(**held(RUNNING), **FAILURE, delay=SECOND))
SOLO = replace(NEW, solo=True, crashes=2)
DONE = happen(RUNNING, ev.Complete(**held(RUNNING), result=b"1"))
DEAD = happen(RUNNING, ev.Fail(**held(RUNNING), **FAILURE, final=True))
CANCELLED = happen(NEW, ev.Cancel(id="t1"))
BY_STATUS = {task.status: task for task in (NEW, RUNNING, FAILED, DONE, DEAD, CANCELLED)}

"""A scheduler's claims, as tests that hold it unstarted see and answer them; the runs that come of them."""

from __future__ import annotations

from actors.messages import (
    FindWork,
    Registered,
    RunsEnded,
    WorkFound,
)
from actors.pool import Returned, Run
from actors.scheduler import SchedulerActor
from storage import verbs as v
from taskqueue.core.events import Code
from taskqueue.core.task import Task
from tests.postoffice import Desk

QUEUES = ("default",)
SYNC = v.Group(("echo", "fail"), QUEUES, 2)
ASYNC = v.Group(("sleep",), QUEUES, 3)
CAPPED = v.Group(("capped",), QUEUES, 2)
ALL = {SYNC, ASYNC, CAPPED}
SUSPECTS = v.Group(("echo", "sleep", "fail", "capped"), QUEUES, 1, solo=True)


def asks(desk: Desk) -> FindWork:
    """The one claim that was sent."""
    return desk.queue.one(FindWork)


def answer(
    desk: Desk,
    scheduler: SchedulerActor,
    *tasks: Task,
    next_due: int | None = None,
    solo_since: int | None = None,
    code: Code = Code.OK,
) -> FindWork:
    """Answer the one claim that was sent: each task in the first group that takes its handler; the claim."""
    find = asks(desk)
    fitting = {task.id: next(g for g in find.groups if task.handler in g.handlers) for task in tasks}
    found = tuple(tuple(task for task in tasks if fitting[task.id] is group) for group in find.groups)
    claimed = v.Claimed(code, found, next_due, solo_since)
    scheduler.on_receive(WorkFound(request=find.request, claimed=claimed))
    return find


def idle(desk: Desk, scheduler: SchedulerActor) -> None:
    """A first claim that finds nothing."""
    scheduler.on_receive(Registered())
    answer(desk, scheduler)
    assert desk.queue.mail == []


def end(desk: Desk, scheduler: SchedulerActor, *runs: Run) -> None:
    """These runs end, and the scheduler hears of it."""
    for run in runs:
        assert desk.pool.end(run, Returned(None))
    desk.queue.mail.clear()
    scheduler.on_receive(RunsEnded())


def running(desk: Desk) -> list[Run]:
    """Workers take all that is in the channels and begin."""
    runs = list(desk.pool.unstarted())
    for run in runs:
        assert desk.pool.begin(run, "worker-1", desk.clock.monotonic())
    return runs

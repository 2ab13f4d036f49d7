"""The table of states, and the one function that moves a task along it.

Every backend is held to `TRANSITIONS` and `apply` by the conformance suite; the diagram in `docs/states.md` is made
from them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from taskqueue.core import events as ev
from taskqueue.core.task import (
    HISTORY_LENGTH,
    TERMINAL,
    Attempt,
    Cause,
    Outcome,
    Progress,
    Status,
    Task,
    TaskError,
)

S = Status

TRANSITIONS: dict[str, dict[Status, frozenset[Status]]] = {
    "claim": {S.PENDING: frozenset({S.PROCESSING}), S.FAILED: frozenset({S.PROCESSING})},
    "complete": {S.PROCESSING: frozenset({S.COMPLETED})},
    "fail": {S.PROCESSING: frozenset({S.FAILED, S.DEAD_LETTERED})},
    "crash": {S.PROCESSING: frozenset({S.PENDING, S.DEAD_LETTERED})},
    "release": {S.PROCESSING: frozenset({S.PENDING})},
    "snooze": {S.PROCESSING: frozenset({S.PENDING})},
    "progress": {S.PROCESSING: frozenset({S.PROCESSING})},
    "corrupt": {S.PENDING: frozenset({S.DEAD_LETTERED}), S.FAILED: frozenset({S.DEAD_LETTERED})},
    "promote": {S.PENDING: frozenset({S.PENDING}), S.FAILED: frozenset({S.PENDING})},
    "retry": {S.FAILED: frozenset({S.PENDING})},
    "update": {S.PENDING: frozenset({S.PENDING}), S.FAILED: frozenset({S.FAILED})},
    "cancel": {s: frozenset({S.CANCELLED}) for s in (S.PENDING, S.FAILED, S.PROCESSING)},
    "expire": {S.PENDING: frozenset({S.DEAD_LETTERED}), S.FAILED: frozenset({S.DEAD_LETTERED})},
    "replay": {S.DEAD_LETTERED: frozenset({S.PENDING}), S.CANCELLED: frozenset({S.PENDING})},
    "delete": {s: frozenset() for s in sorted(TERMINAL)},
    "prune": {s: frozenset() for s in sorted(TERMINAL)},
}

VERBS: dict[type[ev.Event], str] = {
    ev.Taken: "claim",
    ev.Complete: "complete",
    ev.Fail: "fail",
    ev.Crash: "crash",
    ev.Release: "release",
    ev.Snooze: "snooze",
    ev.Report: "progress",
    ev.Corrupt: "corrupt",
    ev.Promote: "promote",
    ev.Retry: "retry",
    ev.Update: "update",
    ev.Cancel: "cancel",
    ev.Expire: "expire",
    ev.Replay: "replay",
    ev.Delete: "delete",
    ev.Prune: "prune",
}


def judge(task: Task, event: ev.Event, now: int) -> ev.Code:
    """May `event` happen to `task` at `now`? OK, DUP, STALE or REFUSED; nothing is changed."""
    if event.op and event.op == task.op:
        return ev.Code.DUP
    if isinstance(event, ev.Owned):
        held = task.status is S.PROCESSING and task.owner == event.owner and task.fence == event.fence
        return ev.Code.OK if held else ev.Code.STALE
    if task.status not in TRANSITIONS[VERBS[type(event)]]:
        return ev.Code.REFUSED
    if isinstance(event, ev.Taken) and task.due_at > now:
        return ev.Code.REFUSED
    if isinstance(event, ev.Promote) and not (task.delayed and task.due_at <= now):
        return ev.Code.REFUSED
    if isinstance(event, ev.Expire) and (task.expires_at is None or task.expires_at > now):
        return ev.Code.REFUSED
    return ev.Code.OK


def apply(task: Task, event: ev.Event, now: int) -> Task | None:
    """The task after `event`, which `judge` found OK; None if it is gone.

    `now` is the store's time in microseconds.
    """
    if isinstance(event, ev.Delete | ev.Prune):
        return None
    changes = _EFFECTS[type(event)](task, event, now)
    if event.op:
        changes["op"] = event.op
    return replace(task, **changes)


Changes = dict[str, Any]


def _taken(task: Task, event: ev.Taken, now: int) -> Changes:
    return {
        "status": S.PROCESSING,
        "delayed": False,
        "owner": event.owner,
        "node": event.node,
        "request": event.request,
        "fence": max(task.fence + 1, now),
        "attempt": task.attempt + 1,
        "started_at": now,
        "progress": None,
    }


def _complete(task: Task, event: ev.Complete, now: int) -> Changes:
    return {
        **_ended(task, now, Outcome.COMPLETED),
        "status": S.COMPLETED,
        "finished_at": now,
        "result": event.result if task.keep_result else None,
        "error": None,
        "solo": False,
    }


def _fail(task: Task, event: ev.Fail, now: int) -> Changes:
    error = TaskError(event.type, event.message, event.cause)
    outcome = Outcome.TIMEOUT if event.cause is Cause.TIMEOUT else Outcome.FAILED
    ended = {**_ended(task, now, outcome, error), "error": error}
    if event.final or task.retries_left == 0:
        return {**ended, "status": S.DEAD_LETTERED, "finished_at": now}
    return {
        **ended,
        "status": S.FAILED,
        "retries_left": task.retries_left - 1,
        "due_at": now + event.delay,
        "delayed": True,
    }


def _crash(task: Task, event: ev.Crash, now: int) -> Changes:
    crashes = task.crashes + 1
    error = TaskError("NodeDied", f"node {task.node} died while it held this task", Cause.CRASH)
    ended = {**_ended(task, now, Outcome.CRASHED, error), "crashes": crashes, "error": error}
    if task.solo:
        return {**ended, "status": S.DEAD_LETTERED, "finished_at": now}
    solo = crashes >= max(1, event.max_crashes - 1)
    return {**ended, "status": S.PENDING, "due_at": min(task.due_at, now), "solo": solo}


def _release(task: Task, event: ev.Release, now: int) -> Changes:
    return {
        **_ended(task, now, Outcome.RELEASED),
        "status": S.PENDING,
        "attempt": task.attempt - 1,
        "due_at": min(task.due_at, now),  # it was due when it was claimed, unless the clock was set back since
    }


def _snooze(task: Task, event: ev.Snooze, now: int) -> Changes:
    due = now + event.delay
    return {
        **_ended(task, now, Outcome.SNOOZED),
        "status": S.PENDING,
        "attempt": task.attempt - 1,
        "due_at": due,
        "eligible_at": due,
        "delayed": event.delay > 0,
        "crashes": 0,
        "solo": False,
    }


def _progress(task: Task, event: ev.Report, now: int) -> Changes:
    return {"progress": Progress(event.fraction, event.note, now)}


def _corrupt(task: Task, event: ev.Corrupt, now: int) -> Changes:
    error = TaskError("PayloadCorrupt", "the payload is not what was submitted (checksum differs)", Cause.CORRUPT)
    if event.unreadable:
        error = TaskError("RecordCorrupt", f"what is stored of it cannot be read: {event.unreadable}", Cause.CORRUPT)
    return {"status": S.DEAD_LETTERED, "delayed": False, "finished_at": now, "error": error}


def _promote(task: Task, event: ev.Promote, now: int) -> Changes:
    return {"status": S.PENDING, "delayed": False}


def _retry(task: Task, event: ev.Retry, now: int) -> Changes:
    return {"status": S.PENDING, "delayed": False, "due_at": now}


def _update(task: Task, event: ev.Update, now: int) -> Changes:
    changes: Changes = {}
    if event.priority is not UNSET:
        changes["priority"] = event.priority
    if event.expires_at is not UNSET:
        changes["expires_at"] = event.expires_at
    if event.tags is not UNSET:
        changes["tags"] = event.tags
    if event.run_at is not UNSET:
        due = max(now, event.run_at or 0)
        if task.status is S.FAILED:  # it stays failed until it is promoted, and keeps its rank
            changes.update(due_at=due, delayed=True)
        elif due > now or task.due_at > now:  # who may run already, and still may, keeps its place in line
            changes.update(due_at=due, delayed=due > now, eligible_at=max(task.created_at, due))
    return changes


def _cancel(task: Task, event: ev.Cancel, now: int) -> Changes:
    ended = {}
    if task.status is S.PROCESSING:
        ended = {**_ended(task, now, Outcome.CANCELLED), "attempt": task.attempt - 1}
    return {**ended, "status": S.CANCELLED, "delayed": False, "finished_at": now}


def _expire(task: Task, event: ev.Expire, now: int) -> Changes:
    error = TaskError("Expired", "expiresAt passed while the task waited", Cause.EXPIRED)
    return {"status": S.DEAD_LETTERED, "delayed": False, "finished_at": now, "error": error}


def _replay(task: Task, event: ev.Replay, now: int) -> Changes:
    over = task.expires_at is not None and task.expires_at <= now
    return {
        "status": S.PENDING,
        "generation": task.generation + 1,
        "attempt": 0,
        "retries_left": task.retries,
        "crashes": 0,
        "solo": False,
        "eligible_at": now,
        "due_at": now,
        "expires_at": None if over else task.expires_at,
        "started_at": None,
        "finished_at": None,
        "progress": None,
        "result": None,
        "error": None,
    }


def _ended(task: Task, now: int, outcome: Outcome, error: TaskError | None = None) -> Changes:
    """What every end of an attempt changes: nobody owns it, and the history is longer by one."""
    entry = Attempt(task.attempt, task.generation, task.node or "", task.started_at or now, now, outcome, error)
    return {"owner": None, "history": (*task.history, entry)[-HISTORY_LENGTH:]}


_EFFECTS: dict[type[ev.Event], Callable[[Task, Any, int], Changes]] = {
    ev.Taken: _taken,
    ev.Complete: _complete,
    ev.Fail: _fail,
    ev.Crash: _crash,
    ev.Release: _release,
    ev.Snooze: _snooze,
    ev.Report: _progress,
    ev.Corrupt: _corrupt,
    ev.Promote: _promote,
    ev.Retry: _retry,
    ev.Update: _update,
    ev.Cancel: _cancel,
    ev.Expire: _expire,
    ev.Replay: _replay,
}


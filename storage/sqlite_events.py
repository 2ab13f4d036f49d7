"""What happens to single tasks in the SQLite backend.

State: none of its own. The owner's events (hot) are one guarded read and one update each; all others go through the
core's table: read, judge, apply, write.
"""

from __future__ import annotations

from storage import verbs as v
from storage.sqlite_rows import (
    DELAYED,
    FAILED,
    READY,
    RUNNING,
    SOLO,
    STATUS,
    Row,
    Stored,
    error_columns,
    history,
    inline,
    place_of,
    text,
)
from storage.sqlite_tx import Tx
from taskqueue.core import events as ev
from taskqueue.core.states import apply, judge
from taskqueue.core.task import Cause, Outcome, Place, Task


def complete(tx: Tx, event: ev.Complete) -> v.Answer:
    """The run ended well."""
    row = _current(tx, event)
    if row is None:
        return _stale(tx, event)
    seq, lane, _, _, keep = row
    small = inline(event.result)
    tx.run("complete", seq, event.op, tx.now, small)
    if keep and event.result is not None and small is None:
        tx.run("complete.result", seq, event.result)
    return _moved(tx, lane, Place.COMPLETED.value)


def fail(tx: Tx, event: ev.Fail) -> v.Answer:
    """The run failed."""
    row = _current(tx, event)
    if row is None:
        return _stale(tx, event)
    seq, lane, _, retries_left, _ = row
    outcome = Outcome.TIMEOUT if event.cause is Cause.TIMEOUT else Outcome.FAILED
    said = (event.type, event.message, event.cause.value, outcome.value)
    tx.run("fail", seq, event.op, tx.now, *said, event.delay, event.final)
    return _moved(tx, lane, Place.DEAD.value if event.final or retries_left == 0 else FAILED)


def release(tx: Tx, event: ev.Release) -> v.Answer:
    """The owner gives it back."""
    row = _current(tx, event)
    if row is None:
        return _stale(tx, event)
    seq, lane, solo, _, _ = row
    tx.run("release", seq, event.op, tx.now)
    return _moved(tx, lane, SOLO if solo else READY)


def snooze(tx: Tx, event: ev.Snooze) -> v.Answer:
    """The handler asks to run later."""
    row = _current(tx, event)
    if row is None:
        return _stale(tx, event)
    tx.run("snooze", row[0], event.op, tx.now, event.delay)
    return _moved(tx, row[1], DELAYED if event.delay > 0 else READY)


def progress(tx: Tx, event: ev.Report) -> v.Answer:
    """The handler says how far it is."""
    row = _current(tx, event)
    if row is None:
        return _stale(tx, event)
    tx.run("progress", row[0], event.op, text((float(event.fraction), event.note, tx.now)))
    return _moved(tx, row[1], RUNNING)


def _current(tx: Tx, event: ev.Owned) -> Row | None:
    """The row of a task that the event's owner holds under its fence."""
    return tx.one("event.current", event.id, event.op, event.owner, event.fence)


def _moved(tx: Tx, lane: int, place: str) -> v.Answer:
    """The answer to an event that took a running task to `place`."""
    tx.lanes.move(lane, RUNNING, place)
    return v.Answer(ev.Code.OK, STATUS[place])


def _stale(tx: Tx, event: ev.Owned) -> v.Answer:
    """The answer to an event whose task is not found, or not its owner's, or that was done before."""
    row = tx.one("event.state", event.id)
    if row is None:
        return v.Answer(ev.Code.NOT_FOUND)
    op, place = row
    return v.Answer(ev.Code.DUP if event.op and event.op == op else ev.Code.STALE, STATUS[place])


def operate(tx: Tx, event: ev.Event) -> v.Answer:
    """An operator's event: cancel, retry, replay, update, delete."""
    before = tx.task(event.id)
    if before is None:
        return v.Answer(ev.Code.NOT_FOUND)
    task = before.task
    code = judge(task, event, tx.now)
    if code is not ev.Code.OK:
        return v.Answer(code, task.status, task)
    if isinstance(event, ev.Cancel) and task.owner is not None:
        tx.run("member.order_cancel", task.owner, task.id, task.fence)
    after = change(tx, before, event) or task
    return v.Answer(code, after.status, after)


def change(tx: Tx, before: Stored, event: ev.Event) -> Task | None:
    """Let `event`, which is allowed, happen to a stored task; the task after it, None where it is gone."""
    seq, lane, place, task, _ = before
    after = apply(task, event, tx.now)
    tx.lanes.enter(lane, place, by=-1)
    if after is None:
        tx.run("event.delete", seq)
        return None
    if after.priority != task.priority:
        lane = tx.lanes.find(after.queue, after.handler, after.priority).id
    place = place_of(after)
    tx.lanes.enter(lane, place, (after.eligible_at, after.id))
    tx.run(
        "event.put", seq, lane, place, text(after.tags), after.eligible_at, after.due_at, after.expires_at,
        after.retries_left, after.solo, after.attempt, after.crashes, after.generation, after.owner, after.op,
        after.started_at, after.finished_at,
        after.progress and text((after.progress.fraction, after.progress.note, after.progress.at)),
        *error_columns(after.error), history(after),
    )  # fmt: skip
    for tag in {*task.tags} - {*after.tags}:
        tx.run("event.untag", tag, seq)
    for tag in {*after.tags} - {*task.tags}:
        tx.run("submit.tag", tag, seq)
    return after

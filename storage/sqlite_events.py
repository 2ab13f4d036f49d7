"""What happens to single tasks in the SQLite backend.

State: none of its own. The owner's events (hot) are one guarded statement each; all others go through the core's table:
read, judge, apply, write. A statement that finds no row changed nothing, and the row is then asked why.
"""

from __future__ import annotations

from storage import verbs as v
from storage.sqlite_rows import (
    RUNNING,
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
from taskqueue.core.task import Cause, Outcome, Task


def complete(tx: Tx, event: ev.Complete) -> v.Answer:
    """The run ended well."""
    small = inline(event.result)
    row = tx.one("complete", event.id, event.op, event.owner, event.fence, tx.now, small)
    if row is not None and event.result is not None and small is None and row[3]:
        tx.run("complete.result", row[2], event.result)
    return _answer(tx, event, row)


def fail(tx: Tx, event: ev.Fail) -> v.Answer:
    """The run failed."""
    outcome = Outcome.TIMEOUT if event.cause is Cause.TIMEOUT else Outcome.FAILED
    row = tx.one(
        "fail", event.id, event.op, event.owner, event.fence, tx.now, event.type, event.message, event.cause.value,
        outcome.value, event.delay, event.final,
    )  # fmt: skip
    return _answer(tx, event, row)


def release(tx: Tx, event: ev.Release) -> v.Answer:
    """The owner gives it back."""
    return _answer(tx, event, tx.one("release", event.id, event.op, event.owner, event.fence, tx.now))


def snooze(tx: Tx, event: ev.Snooze) -> v.Answer:
    """The handler asks to run later."""
    return _answer(tx, event, tx.one("snooze", event.id, event.op, event.owner, event.fence, tx.now, event.delay))


def progress(tx: Tx, event: ev.Report) -> v.Answer:
    """The handler says how far it is."""
    said = text((float(event.fraction), event.note, tx.now))
    return _answer(tx, event, tx.one("progress", event.id, event.op, event.owner, event.fence, said))


def _answer(tx: Tx, event: ev.Owned, row: Row | None) -> v.Answer:
    """The answer to a hot event whose statement gave `row` (place, lane, …), or none."""
    if row is not None:
        place, lane = row[:2]
        tx.lanes.move(lane, RUNNING, place)
        return v.Answer(ev.Code.OK, STATUS[place])
    state = tx.one("event.state", event.id)
    if state is None:
        return v.Answer(ev.Code.NOT_FOUND)
    op, place = state
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
    seq, lane, place, task = before
    after = apply(task, event, tx.now)
    tx.lanes.enter(lane, place, -1)
    if after is None:
        tx.run("event.delete", seq)
        return None
    if after.priority != task.priority:
        lane = tx.lanes.find(after.queue, after.handler, after.priority).id
    place = place_of(after)
    tx.lanes.enter(lane, place)
    result = inline(after.result)
    tx.run(
        "event.put", seq, lane, place, text(after.tags), after.eligible_at, after.due_at, after.expires_at,
        after.retries_left, after.solo, after.attempt, after.crashes, after.generation, after.owner, after.op,
        after.started_at, after.finished_at,
        after.progress and text((after.progress.fraction, after.progress.note, after.progress.at)),
        result, *error_columns(after.error), history(after),
    )  # fmt: skip
    if after.result is None and task.result is not None:
        tx.run("event.unresult", seq)
    for tag in {*task.tags} - {*after.tags}:
        tx.run("event.untag", tag, seq)
    for tag in {*after.tags} - {*task.tags}:
        tx.run("submit.tag", tag, seq)
    return after

"""Schedules and paused queues in the SQLite backend.

State: none of its own. A tick's cursor and its tasks are written by one transaction.
"""

from __future__ import annotations

from collections import Counter

from msgspec import json
from msgspec.structs import replace

from storage import verbs as v
from storage.sqlite_rows import Row, text
from storage.sqlite_submit import insert
from storage.sqlite_tx import Tx
from taskqueue.core.events import Code
from taskqueue.core.task import Status

_counts = json.Decoder(dict[str, int])


def schedule(row: Row) -> v.Schedule:
    """A row of the table."""
    schedule_id, spec, cursor, paused, generation, last_run_at, skipped = row
    return v.Schedule(
        id=schedule_id,
        spec=spec,
        cursor=cursor,
        paused=paused == 1,
        generation=generation,
        last_run_at=last_run_at,
        skipped=_counts.decode(skipped),
    )


def put(tx: Tx, verb: v.PutSchedule) -> v.Schedule | v.Answer:
    """Create one, or change the one that the writer saw."""
    new, row = verb.schedule, tx.one("schedule.one", verb.schedule.id)
    old = None if row is None else schedule(row)
    if verb.expect is None:
        if old is not None:
            return v.Answer(Code.CONFLICT)
    elif old is None:
        return v.Answer(Code.NOT_FOUND)
    elif (old.generation, old.cursor) != verb.expect:
        return v.Answer(Code.STALE)
    if old is not None and old.spec == new.spec:
        generation = old.generation
    else:
        ((generation,),) = tx.all("schedule.generation", new.id)
    skipped = text(new.skipped)
    tx.run("schedule.put", new.id, new.spec, new.cursor, new.paused, generation, new.last_run_at, skipped)
    tx.run("schedule.revise")
    return replace(new, generation=generation)


def drop(tx: Tx, verb: v.DropSchedule) -> v.Answer:
    """Delete one; its tasks stay."""
    if not tx.run("schedule.drop", verb.id):
        return v.Answer(Code.NOT_FOUND)
    tx.run("schedule.revise")
    return v.Answer(Code.OK)


def tick(tx: Tx, verb: v.Tick) -> v.Answer:
    """Move its cursor, count what was skipped and store the drafts; of a tick alone the first, if none is under way."""
    row = tx.one("schedule.one", verb.schedule)
    if row is None:
        return v.Answer(Code.NOT_FOUND)
    old = schedule(row)
    drafts = verb.drafts
    if verb.alone:
        drafts = () if tx.one("schedule.busy", verb.schedule) else drafts[:1]
    skipped = Counter(old.skipped) + Counter(verb.skipped) + Counter(overlap=len(verb.drafts) - len(drafts))
    seen = (verb.schedule, verb.generation, verb.cursor, bool(verb.drafts))
    if not tx.run("tick", *seen, verb.upto, tx.now if drafts else None, text(dict(skipped))):
        same = (old.generation, old.cursor) == (verb.generation, verb.cursor)
        return v.Answer(Code.REFUSED if same else Code.STALE)
    made = [insert(tx, draft) for draft in drafts]
    return v.Answer(Code.OK, Status.PENDING if any(made) else None)


def pause(tx: Tx, verb: v.Pause) -> v.Answer:
    """No claims from this queue any more."""
    tx.run("pause", verb.queue)
    tx.lanes.pause(verb.queue, True)
    return v.Answer(Code.OK)


def resume(tx: Tx, verb: v.Resume) -> v.Answer:
    """Claims go on."""
    tx.run("resume", verb.queue)
    tx.lanes.pause(verb.queue, False)
    return v.Answer(Code.OK)

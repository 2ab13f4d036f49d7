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
    """Create or change one. Where nothing changes, the stored one stays as it is, cursor and all."""
    new, row = verb.schedule, tx.one("schedule.one", verb.schedule.id)
    last_run_at, skipped = None, dict[str, int]()
    if row is not None:
        old = schedule(row)
        if verb.create:
            return v.Answer(Code.CONFLICT)
        if (old.spec, old.paused) == (new.spec, new.paused):
            return old
        last_run_at, skipped = old.last_run_at, old.skipped
    ((generation,),) = tx.all("schedule.generation", new.id)
    stored = replace(new, generation=generation, last_run_at=last_run_at, skipped=skipped)
    tx.run("schedule.put", stored.id, stored.spec, stored.cursor, stored.paused, generation, last_run_at, text(skipped))
    return stored


def drop(tx: Tx, verb: v.DropSchedule) -> v.Answer:
    """Delete one; its tasks stay."""
    return v.Answer(Code.OK if tx.run("schedule.drop", verb.id) else Code.NOT_FOUND)


def tick(tx: Tx, verb: v.Tick) -> v.Answer:
    """Move its cursor, count what was skipped and store the drafts."""
    row = tx.one("schedule.one", verb.schedule)
    if row is None:
        return v.Answer(Code.NOT_FOUND)
    old = schedule(row)
    skipped = text(dict(Counter(old.skipped) + Counter(verb.skipped)))
    ran_at = tx.now if verb.drafts else None
    if not tx.run("tick", verb.schedule, verb.generation, verb.cursor, verb.upto, ran_at, skipped):
        same = (old.generation, old.cursor) == (verb.generation, verb.cursor)
        return v.Answer(Code.REFUSED if same else Code.STALE)
    for draft in verb.drafts:
        insert(tx, draft)
    return v.Answer(Code.OK)


def pause(tx: Tx, verb: v.Pause) -> v.Answer:
    """No claims from this queue any more."""
    tx.run("pause", verb.queue)
    tx.lanes.paused.add(verb.queue)
    return v.Answer(Code.OK)


def resume(tx: Tx, verb: v.Resume) -> v.Answer:
    """Claims go on."""
    tx.run("resume", verb.queue)
    tx.lanes.paused.discard(verb.queue)
    return v.Answer(Code.OK)

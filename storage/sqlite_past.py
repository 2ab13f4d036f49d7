"""What the SQLite backend remembers of the past: counts by minute, and who changed what.

State: none of its own. Both are bounded: counts by their age, the audit log by its length.
"""

from __future__ import annotations

from storage import verbs as v
from storage.sqlite_rows import text
from storage.sqlite_tx import Tx
from taskqueue.core.events import Code


def tally(tx: Tx, verb: v.Tally) -> v.Answer:
    """Add to the counts of a minute, and set its gauges."""
    tx.run("tally", verb.minute, text(verb.counts))
    tx.run("tally.gauges", verb.minute, text(verb.gauges))
    return v.Answer(Code.OK)


def note(tx: Tx, verb: v.Note) -> v.Answer:
    """Put an entry at the end of the log; where it is full the oldest goes."""
    tx.run("note", tx.now, verb.token, verb.action, verb.target, verb.count)
    tx.run("note.forget", v.NOTES_KEPT)
    return v.Answer(Code.OK)


def forget(tx: Tx, limit: int) -> bool:
    """Let go of at most `limit` counts of each kind that are older than they are kept; may there be more?"""
    totals = tx.run("tally.forget", 0, tx.now - v.TALLIES_KEPT, limit)
    details = tx.run("tally.forget", 1, tx.now - v.DETAILS_KEPT, limit)
    return limit in (totals, details)

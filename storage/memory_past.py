"""What the memory backend remembers of the past: counts by minute, and who changed what.

State: the counts of each minute, and the newest entries of the audit log with the number of the last one. Not locked:
`MemoryStore` does that.
"""

from __future__ import annotations

import re
from collections import deque
from itertools import islice

from storage import verbs as v
from taskqueue.core.errors import UnknownCursor
from taskqueue.core.events import Code
from taskqueue.core.views import NotePage, NoteView

_CURSOR = re.compile(r"n([0-9]{1,18})", re.ASCII)


class Past:
    """Tallies and notes."""

    def __init__(self) -> None:
        self._tallies: dict[int, dict[str, int]] = {}
        self._notes: deque[NoteView] = deque(maxlen=v.NOTES_KEPT)
        self._noted = 0

    def tally(self, verb: v.Tally) -> v.Answer:
        """Add to the counts of a minute, and set its gauges."""
        if verb.counts or verb.gauges:
            counts = self._tallies.setdefault(verb.minute, {})
            for name, count in verb.counts.items():
                counts[name] = counts.get(name, 0) + count
            counts.update(verb.gauges)
        return v.Answer(Code.OK)

    def tallies(self, since: int) -> dict[int, dict[str, int]]:
        """See `Store.tallies`."""
        return {minute: dict(counts) for minute, counts in sorted(self._tallies.items()) if minute >= since}

    def note(self, verb: v.Note, now: int) -> v.Answer:
        """Put an entry at the end of the log; where it is full the oldest goes."""
        self._noted += 1
        self._notes.append(NoteView(now, verb.token, verb.action, verb.target, verb.count))
        return v.Answer(Code.OK)

    def notes(self, limit: int, cursor: str | None) -> NotePage:
        """See `Store.notes`. A cursor is the number of the last entry that was seen; the first ever has number 1."""
        newer = 0
        if cursor is not None:
            match = _CURSOR.fullmatch(cursor)
            if match is None:
                raise UnknownCursor("not a cursor of this store")
            newer = max(0, self._noted - int(match[1]) + 1)
        notes = tuple(islice(reversed(self._notes), newer, newer + limit))
        seen = newer + len(notes)
        return NotePage(notes, f"n{self._noted - seen + 1}" if seen < len(self._notes) else None)

    def forget(self, now: int) -> None:
        """Let go of counts that are older than they are kept."""
        for minute in [minute for minute in self._tallies if minute < now - v.DETAILS_KEPT]:
            counts = self._tallies[minute]
            old = minute < now - v.TALLIES_KEPT
            for name in [name for name in counts if old or "@" in name]:
                del counts[name]
            if not counts:
                del self._tallies[minute]

"""Who changed what, over REST."""

from __future__ import annotations

from api.calls import Answer, Call, integer, read_cursor
from api.schemas import Shape
from api.words import Time
from taskqueue.core.fields import Readers
from taskqueue.core.times import format_time
from taskqueue.core.views import NoteView

SHOWN = 50
MOST_SHOWN = 1_000

AUDIT_QUERY: Readers = {"limit": ("limit", integer(1, MOST_SHOWN)), "cursor": ("cursor", read_cursor)}


class EntryShape(Shape):
    """One change. `token`: the name of who made it, null where no tokens are set. `target`: an id, a name, or, for many
    at once, the filter as JSON. `count`: how many tasks, schedules, queues or nodes it changed.
    """

    at: Time
    token: str | None
    action: str
    target: str
    count: int


class EntryList(Shape):
    """A page of the audit log, newest first."""

    entries: list[EntryShape]
    next_cursor: str | None


def show(call: Call) -> Answer:
    """Who changed what over the API, newest first. Submits are not among it."""
    page = call.gateway.notes(call.query.get("limit", SHOWN), call.query.get("cursor"))
    return Answer(EntryList(entries=[_shape(note) for note in page.notes], next_cursor=page.cursor))


def _shape(note: NoteView) -> EntryShape:
    return EntryShape(
        at=format_time(note.at), token=note.token or None, action=note.action, target=note.target, count=note.count
    )

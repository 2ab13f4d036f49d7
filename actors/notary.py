"""The audit log's pen, a part of QueueActor: what a person changed is noted before the person is answered.

An entry is written only for what took effect, with the number of it, in a commit of its own right after the change: in
the same commit it could not know. A node that dies between the two leaves a change that nobody was told of, and no
entry. State: none; the answer travels with the ticket.
"""

from __future__ import annotations

import logging

from msgspec import Struct
from msgspec.structs import replace

from actors.messages import Address, Replied, Write
from storage import verbs as v
from storage.store import Result
from taskqueue.core import events as ev
from taskqueue.core.errors import StoreError

log = logging.getLogger("taskqueue.audit")


class Noting(Struct, frozen=True):
    """A ticket: an entry of the audit log, and the answer that waits for it."""

    note: v.Note
    reply: Replied
    reply_to: Address


class Notary:
    """See the module. `address` is the actor's own."""

    def __init__(self, address: Address, storage: Address) -> None:
        self._address = address
        self._storage = storage

    def answer(self, reply_to: Address, reply: Replied, note: v.Note | None) -> None:
        """Give the answer, at once or as soon as the note is durable."""
        count = 0 if note is None else sum(map(took_effect, reply.results))
        if note is None or not count:
            reply_to.tell(reply)
            return
        noting = Noting(replace(note, count=count), reply, reply_to)
        if not self._storage.tell(Write(verbs=(noting.note,), reply_to=self._address, ticket=noting)):
            self.noted(noting, StoreError("the store's actor is down"))

    def noted(self, noting: Noting, result: Result | StoreError) -> None:
        """The store has answered. On a full disk tasks can still be deleted; the line in the log then has to do."""
        if isinstance(result, StoreError):
            note = noting.note
            log.error(
                "not in the audit log, since %s: %s %s %s (%d)",
                result,
                note.token or "somebody",
                note.action,
                note.target,
                note.count,
            )
        noting.reply_to.tell(noting.reply)


def took_effect(result: Result | StoreError) -> bool:
    """Did a verb change anything?"""
    if isinstance(result, v.Answer | v.Submitted):
        return result.code is ev.Code.OK
    return isinstance(result, v.Schedule)

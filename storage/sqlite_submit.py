"""How tasks come into the SQLite backend: `submit`, atomic or not.

State: none of its own. Every check of a draft precedes the first write of its verb, so a verb is done or not begun.
"""

from __future__ import annotations

from storage import verbs as v
from storage.sqlite_rows import DELAYED, READY, STATUS, inline, text
from storage.sqlite_tx import Tx
from taskqueue.core.events import Code
from taskqueue.core.task import Draft, Status, first_times


def submit(tx: Tx, verb: v.Submit) -> v.Submitted:
    """Store one."""
    draft = verb.draft
    known = _known(tx, draft)
    if known is not None:
        return known
    full = verb.capacity is not None and tx.lanes.waiting >= verb.capacity
    if not full and insert(tx, draft):
        return v.Submitted(Code.OK, draft.id, Status.PENDING, tx.now)
    twin = _twin(tx, draft)
    assert full or twin is not None  # the id is taken
    if twin is not None and twin.code is Code.DUP:
        _remember(tx, draft)
    return twin or v.Submitted(Code.FULL, draft.id)


def submit_all(tx: Tx, verb: v.SubmitAll) -> tuple[v.Submitted, ...]:
    """Store all or none."""
    new: dict[str, Draft] = {}
    keyed: dict[str, Draft] = {}
    answers = [_admit(tx, draft, new, keyed, verb.capacity) for draft in verb.drafts]
    good = (Code.OK, Code.DUP)
    if any(answer.code not in good for answer in answers):
        return tuple(v.Submitted(Code.WAITS, a.id) if a.code in good else a for a in answers)
    for draft in new.values():
        insert(tx, draft)
    for draft in keyed.values():
        _remember(tx, draft)
    return tuple(answers)


def insert(tx: Tx, draft: Draft) -> bool:
    """Store a draft, whatever its key says; False, and nothing changed, where its id is taken."""
    seq = tx.last + 1
    now = tx.now
    eligible, due = first_times(draft, now)
    place = DELAYED if due > now else READY
    lane = tx.lanes.find(draft.queue, draft.handler, draft.priority).id
    payload = inline(draft.payload)
    tags = text(draft.tags) if draft.tags else "[]"
    if not tx.run(
        "submit", seq, draft.id, lane, place, now, eligible, due, draft.expires_at, draft.timeout, draft.retries,
        draft.keep_result, draft.checksum, draft.digest, tags, draft.key, draft.schedule, payload,
    ):  # fmt: skip
        return False
    tx.last = seq
    tx.lanes.enter(lane, place, (eligible, draft.id))
    if payload is None:
        tx.run("submit.payload", seq, draft.payload)
    for tag in draft.tags:
        tx.run("submit.tag", tag, seq)
    _remember(tx, draft)
    return True


def _remember(tx: Tx, draft: Draft) -> None:
    """From now on its idempotency key stands for it."""
    if draft.key is not None:
        tx.run("submit.key", draft.key, draft.digest, draft.id, tx.now)


def _known(tx: Tx, draft: Draft) -> v.Submitted | None:
    """The answer that its idempotency key gives, if it was used."""
    row = None if draft.key is None else tx.one("submit.known", draft.key, tx.now - v.KEY_LIFETIME)
    if row is None:
        return None
    digest, task, at = row
    if digest != draft.digest:
        return v.Submitted(Code.MISMATCH, draft.id)
    return v.Submitted(Code.DUP, task, Status.PENDING, at)


def _twin(tx: Tx, draft: Draft) -> v.Submitted | None:
    """The answer that a task of the same id gives, if there is one."""
    row = tx.one("submit.twin", draft.id)
    if row is None:
        return None
    digest, place, created_at = row
    if digest != draft.digest:
        return v.Submitted(Code.CONFLICT, draft.id)
    return v.Submitted(Code.DUP, draft.id, STATUS[place], created_at)


def _admit(
    tx: Tx, draft: Draft, new: dict[str, Draft], keyed: dict[str, Draft], capacity: int | None
) -> v.Submitted:
    """The answer to one draft of a batch that has `new` drafts so far, some `keyed`; both grow if it is good."""
    first = keyed.get(draft.key) if draft.key is not None else None
    if first is not None:
        if first.digest != draft.digest:
            return v.Submitted(Code.MISMATCH, draft.id)
        return v.Submitted(Code.DUP, first.id, Status.PENDING, tx.now)
    known = _known(tx, draft)
    if known is not None:
        return known
    twin = _twin(tx, draft)
    if twin is None and draft.id in new:
        same = new[draft.id].digest == draft.digest
        twin = v.Submitted(Code.DUP, draft.id, Status.PENDING, tx.now) if same else v.Submitted(Code.CONFLICT, draft.id)
    if twin is not None:
        if twin.code is Code.DUP and draft.key is not None:
            keyed[draft.key] = draft
        return twin
    if capacity is not None and tx.lanes.waiting + len(new) >= capacity:
        return v.Submitted(Code.FULL, draft.id)
    new[draft.id] = draft
    if draft.key is not None:
        keyed[draft.key] = draft
    return v.Submitted(Code.OK, draft.id, Status.PENDING, tx.now)

"""Who takes part, and who leads, in the SQLite backend.

State: none of its own; a member that is fenced or has left (`gone_at`) stays so for good.
"""

from __future__ import annotations

from storage import verbs as v
from storage.sqlite_rows import STATUS, numbers, text
from storage.sqlite_tx import Tx
from taskqueue.core.events import Code
from taskqueue.core.task import Status


def register(tx: Tx, verb: v.Register) -> v.Answer:
    """A node starts. A repeat by a live incarnation only renews what it says of itself."""
    if verb.alone:
        tx.run("member.fence_others", verb.owner, tx.now)
        tx.run("member.forget_orders")
    known = tx.one("member.state", verb.owner)
    if known is not None and known[1] is not None:
        return v.Answer(Code.FENCED)
    holder = tx.one("member.namesake", verb.owner, verb.node)
    if holder is not None:
        before, beat = verb.instead_of or ("", 0)
        if holder[0] != before or not tx.run("fence", before, beat, tx.now):
            return v.Answer(Code.REFUSED)
        tx.run("member.forget_orders")
    queues, handlers = text(verb.queues), text(verb.handlers)
    tx.run("member.register", verb.owner, verb.node, verb.host, verb.pid, verb.workers, queues, handlers, tx.now)
    return v.Answer(Code.OK)


def beat(tx: Tx, verb: v.Beat) -> v.Beaten:
    """It lives, and has done some of its orders."""
    if not tx.run("member.beat", verb.owner, tx.now, verb.running):
        return v.Beaten(Code.FENCED)
    if verb.done:
        tx.run("member.done", verb.owner, numbers(verb.done))
    orders = tuple(v.Order(*row) for row in tx.all("member.orders", verb.owner))
    return v.Beaten(Code.OK, dict(tx.all("member.beats")), orders, tx.now)


def deregister(tx: Tx, verb: v.Deregister) -> v.Answer:
    """It leaves; not while some task is still in its hands."""
    known = tx.one("member.state", verb.owner)
    if known is None or known[0]:
        return v.Answer(Code.FENCED)
    if tx.one("member.holds", verb.owner):
        return v.Answer(Code.REFUSED)
    if known[2] is not None and not verb.trace:
        tx.run("member.untrace", verb.owner)
    elif tx.run("member.leave", verb.owner, tx.now) and known[2] is None:
        tx.run("member.forget_orders")
    return v.Answer(Code.OK)


def lease(tx: Tx, verb: v.Lease) -> v.Answer:
    """A worker from outside begins a lease, or goes on with it."""
    known = tx.one("member.state", verb.owner)
    if known is not None and known[1] is not None:
        return v.Answer(Code.FENCED)
    if known is not None and known[2] is None:
        return v.Answer(Code.REFUSED)
    tx.run("member.lease", verb.owner, verb.node, verb.ttl, tx.now)
    return v.Answer(Code.OK)


def renew(tx: Tx, verb: v.Renew) -> v.Answer:
    """The holder of a lease lives, and holds this task."""
    if tx.run("member.renew", verb.owner, verb.task, verb.fence, tx.now):
        return v.Answer(Code.OK, Status.PROCESSING)
    known = tx.one("event.state", verb.task)
    return v.Answer(Code.NOT_FOUND) if known is None else v.Answer(Code.STALE, STATUS[known[1]])


def drain(tx: Tx, verb: v.Drain) -> v.Answer:
    """Tell the live incarnation of a node to stop claiming, or to go on."""
    if not tx.run("member.drain", verb.node, verb.on):
        return v.Answer(Code.NOT_FOUND)
    tx.run("member.order_drain", verb.node, "drain" if verb.on else "undrain")
    return v.Answer(Code.OK)


def fence(tx: Tx, verb: v.Fence) -> v.Answer:
    """Declare an incarnation dead, if it has not beaten since."""
    if tx.run("fence", verb.owner, verb.beat, tx.now):
        tx.run("member.forget_orders")
        return v.Answer(Code.OK)
    known = tx.one("member.state", verb.owner)
    if known is None:
        return v.Answer(Code.NOT_FOUND)
    return v.Answer(Code.OK if known[0] else Code.STALE)


def term(tx: Tx) -> v.Term:
    """The present term."""
    row = tx.one("campaign.term")
    assert row is not None  # the schema makes it
    return v.Term(*row)


def campaign(tx: Tx, verb: v.Campaign) -> v.Elected:
    """Become leader, or stay it."""
    won = tx.run("campaign", verb.owner, verb.epoch, verb.beat)
    return v.Elected(Code.OK if won else Code.REFUSED, term(tx))


def resign(tx: Tx, verb: v.Resign) -> v.Answer:
    """Stop leading."""
    return v.Answer(Code.OK if tx.run("resign", verb.owner, verb.epoch) else Code.DEPOSED)

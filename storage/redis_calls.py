"""Which scripts the verbs of one `execute` become, and what the scripts' answers say.

State: none. Runs of equal verbs share a call; events of different tasks may change places for it, since none of them
touches another. A call may be repeated as it is after a lost answer: its verbs carry their own proof of having been
done (ids, op ids, request numbers), or the call has a name under which its answer is kept.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from storage import redis_rows as rows
from storage import verbs as v
from storage.redis_plain import UNKNOWN, Plain
from storage.redis_rows import LETTER
from storage.store import Verb
from taskqueue.core import events as ev
from taskqueue.core.errors import StoreError

PER_CALL = 250
"""How many verbs share one call at most: enough to write to each lane seldom, few enough for a few milliseconds."""

PER_OPERATION = 100
"""The same of events that are answered with whole tasks."""

MOST_BYTES = 4 << 20
"""No further verb joins a call whose payloads and results have so many bytes together: they take their time, too."""

MOST_DRAFTS = 2_000
"""How many drafts can be stored all or none (a script's arguments have an end)."""

FIRST_TEXT = 6
"""Where in ARGV the texts begin."""

BAD_INPUT = (OverflowError, UnicodeError, StoreError)
"""What is raised for a verb that cannot be written down."""


@dataclass
class Call:
    """One run of a script: what it takes, and which verbs (by their place in the `execute`) it is for."""

    script: str
    blob: bytes
    texts: Sequence[bytes]
    places: Sequence[int]
    verbs: Sequence[Any]
    name: bytes = b""
    beside: str = ""
    """A hash that is read right after it (inside a script that costs much more): the last part of the answer."""
    sent: int = field(default=0)

    @property
    def lua(self) -> str:
        """The name of its script."""
        return "submit" if self.script == "submit_all" else self.script

    @property
    def repeated(self) -> bool:
        """Might it have been done by an earlier try?"""
        return self.sent > 1


def plan(verbs: Sequence[Verb], refused: dict[int, StoreError], held: Plain | None = None) -> list[Call]:
    """The calls for some verbs. What cannot be written down is put into `refused` instead. `held`: what is known of the
    tasks that are held.

    Raises TypeError for what is no verb.
    """
    for verb in verbs:
        if type(verb) not in MAKERS:
            raise TypeError(f"not a verb of a store: {type(verb).__name__}")
    calls: list[Call] = []
    for kind, places in _runs(verbs):
        for some in _portions(kind, places, verbs):
            try:
                calls.append(_call(kind, some, verbs, held))
            except BAD_INPUT:
                calls += _each(kind, some, verbs, refused, held)
    return calls


def _portions(kind: type[Any], places: list[int], verbs: Sequence[Verb]) -> Iterator[list[int]]:
    """Which of these verbs share a call."""
    if kind not in TOGETHER:
        yield from ([place] for place in places)
        return
    most, size_of = (PER_OPERATION if kind in OPERATIONS else PER_CALL), SIZES.get(kind)
    start = size = 0
    for n, place in enumerate(places):
        if n - start == most or size >= MOST_BYTES:
            yield places[start:n]
            start, size = n, 0
        if size_of is not None:
            size += size_of(verbs[place])
    yield places[start:]


def _each(
    kind: type[Any],
    places: Sequence[int],
    verbs: Sequence[Verb],
    refused: dict[int, StoreError],
    held: Plain | None,
) -> Iterator[Call]:
    """A call for each verb by itself, since one of them cannot be written down."""
    for place in places:
        try:
            yield _call(kind, (place,), verbs, held)
        except BAD_INPUT as error:
            refused[place] = StoreError(f"cannot be stored: {error}")


def _runs(verbs: Sequence[Verb]) -> Iterator[tuple[type[Any], list[int]]]:
    """Places of equal verbs that may go together, in an order that does the same as theirs."""
    if set(map(type, verbs)) == {v.Submit}:
        yield v.Submit, list(range(len(verbs)))
        return
    groups: dict[type[Any], list[int]] = {}
    ids: set[str] = set()
    for place, verb in enumerate(verbs):
        kind = type(verb)
        if isinstance(verb, ev.Event):
            if verb.id in ids or not all(issubclass(other, ev.Event) for other in groups):
                yield from groups.items()
                groups, ids = {}, set()
            ids.add(verb.id)
        elif groups and list(groups) != [kind]:
            yield from groups.items()
            groups, ids = {}, set()
        groups.setdefault(kind, []).append(place)
    yield from groups.items()


def _call(kind: type[Any], places: Sequence[int], verbs: Sequence[Verb], held: Plain | None) -> Call:
    """One call for some verbs of one kind: all that share calls, or a single one."""
    script, make = MAKERS[kind]
    texts: list[bytes] = []
    about: list[Any] = [verbs[place] for place in places]
    items = [make(verb, texts) for verb in about]
    if kind is ev.Complete:
        places_of = [UNKNOWN if held is None else held.place(verb) for verb in about]
        items = [one for item, place in zip(items, places_of, strict=True) for one in (*item, *place)]
    name = b"" if kind in TOGETHER or kind in REPEATABLE else secrets.token_hex(8).encode()
    if kind is v.Submit:
        taken: Any = (False, items)
    else:
        taken = items if kind in TOGETHER else items[0]
    return Call(script, rows.pack(taken), texts, places, about, name, BESIDE.get(kind, ""))


# -- what the scripts take ---------------------------------------------------------------------------------------------


def _submit(verb: v.Submit, texts: list[bytes]) -> Any:
    item, text = rows.draft_item(verb.draft, verb.capacity)
    texts.append(text)
    return item


def _drafts(verb: v.SubmitAll | v.Tick, capacity: int | None, texts: list[bytes]) -> list[Any]:
    if len(verb.drafts) > MOST_DRAFTS:
        raise StoreError(f"{len(verb.drafts)} tasks at once are more than {MOST_DRAFTS}")
    made = [rows.draft_item(draft, capacity) for draft in verb.drafts]
    texts += [text for _, text in made]
    return [item for item, _ in made]


def _claim(verb: v.Claim, _: list[bytes]) -> Any:
    room = v.MOST_CLAIMED
    groups = []
    for group in verb.groups:
        n = max(0, min(group.n, room))
        room -= n
        groups.append((n, group.solo, group.handlers, False if group.queues == ("*",) else group.queues))
    return [verb.owner, verb.request, 1, groups]


def _register(verb: v.Register, _: Any) -> tuple[Any, ...]:
    before, beat = verb.instead_of or (False, 0)
    return verb.owner, verb.node, verb.alone, rows.said(verb), before, beat


def _held(verb: ev.Owned) -> tuple[Any, ...]:
    return verb.id, verb.op, verb.owner, str(verb.fence)


def _complete(verb: ev.Complete, texts: list[bytes]) -> Any:
    if verb.result is None:
        return (*_held(verb), False)
    texts.append(verb.result)
    return (*_held(verb), FIRST_TEXT + len(texts) - 1)


def _update(verb: ev.Update, _: list[bytes]) -> Any:
    wish: dict[str, Any] = {}
    for name in ("priority", "run_at", "expires_at"):
        value = getattr(verb, name)
        if value is not UNSET:
            wish[name] = False if value is None else value
    if verb.tags is not UNSET:
        wish["tags"] = "/".join(verb.tags)
    return verb.id, verb.op, wish


def _put_schedule(verb: v.PutSchedule, _: list[bytes]) -> Any:
    new = verb.schedule
    last = False if new.last_run_at is None else new.last_run_at
    expect = verb.expect or False
    return new.id, new.spec.decode(), new.cursor, new.paused, last, rows.flat(new.skipped), expect


def _tick(verb: v.Tick, texts: list[bytes]) -> Any:
    drafts = _drafts(verb, None, texts)
    skipped = rows.flat(verb.skipped)
    term = (verb.leader, verb.epoch)
    return *term, verb.schedule, verb.generation, verb.cursor, verb.upto, verb.alone, skipped, drafts


def _prune(verb: v.PruneOld, _: list[bytes]) -> Any:
    keep = [(LETTER[one.status], one.age, one.count) for one in verb.keep]
    ages = (v.MEMBER_MEMORY, v.TALLIES_KEPT, v.DETAILS_KEPT, v.LEASE_MEMORY)
    return verb.leader, verb.epoch, verb.limit, keep, *ages


Make = Callable[[Any, list[bytes]], Any]

MAKERS: dict[type[Any], tuple[str, Make]] = {
    v.Submit: ("submit", _submit),
    v.SubmitAll: ("submit_all", lambda verb, texts: (True, _drafts(verb, verb.capacity, texts))),
    v.Claim: ("claim", _claim),
    ev.Complete: ("complete", _complete),
    ev.Fail: (
        "fail",
        lambda e, _: (*_held(e), e.type, e.message, e.cause.value, e.delay, e.final),
    ),
    ev.Release: ("release", lambda e, _: _held(e)),
    ev.Snooze: ("snooze", lambda e, _: (*_held(e), e.delay)),
    ev.Report: ("progress", lambda e, _: (*_held(e), e.fraction, e.note)),
    ev.Cancel: ("cancel", lambda e, _: (e.id, e.op)),
    ev.Retry: ("retry", lambda e, _: (e.id, e.op)),
    ev.Replay: ("replay", lambda e, _: (e.id, e.op)),
    ev.Update: ("update", _update),
    ev.Delete: ("delete", lambda e, _: (e.id, e.op)),
    v.Register: ("register", _register),
    v.Beat: ("beat", lambda verb, _: (verb.owner, verb.running, verb.done)),
    v.Deregister: ("deregister", lambda verb, _: (verb.owner, verb.trace)),
    v.Lease: ("lease", lambda verb, _: (verb.owner, verb.node, verb.ttl)),
    v.Renew: ("renew", lambda verb, _: (verb.owner, verb.task, str(verb.fence))),
    v.Drain: ("drain", lambda verb, _: (verb.node, verb.on)),
    v.Campaign: ("campaign", lambda verb, _: (verb.owner, verb.epoch, verb.beat)),
    v.Resign: ("resign", lambda verb, _: (verb.owner, verb.epoch)),
    v.Fence: ("fence", lambda verb, _: (verb.leader, verb.epoch, verb.owner, verb.beat)),
    v.Reap: ("reap", lambda verb, _: (verb.leader, verb.epoch, verb.owner, verb.max_crashes, verb.limit)),
    v.PromoteDue: ("promote", lambda verb, _: (verb.leader, verb.epoch, verb.limit)),
    v.ExpireDue: ("expire", lambda verb, _: (verb.leader, verb.epoch, verb.limit)),
    v.PruneOld: ("prune", _prune),
    v.Sweep: ("sweep", lambda verb, _: (verb.leader, verb.epoch, verb.limit)),
    v.Tick: ("tick", _tick),
    v.PutSchedule: ("put_schedule", _put_schedule),
    v.DropSchedule: ("drop_schedule", lambda verb, _: (verb.id,)),
    v.Tally: ("tally", lambda verb, _: (verb.minute, rows.flat(verb.counts), rows.flat(verb.gauges))),
    v.Note: ("note", lambda verb, _: (verb.token, verb.action, verb.target, verb.count, v.NOTES_KEPT)),
    v.Pause: ("pause", lambda verb, _: (verb.queue,)),
    v.Resume: ("resume", lambda verb, _: (verb.queue,)),
}
"""The script of each verb, and what it takes."""

TOGETHER = frozenset({v.Submit, v.Renew, *(kind for kind in MAKERS if issubclass(kind, ev.Event))})
"""What shares a call."""

OPERATIONS = frozenset({ev.Cancel, ev.Retry, ev.Replay, ev.Update, ev.Delete})
"""What is answered with the whole task."""

SIZES: dict[type[Any], Callable[[Any], int]] = {
    v.Submit: lambda verb: len(verb.draft.payload),
    ev.Complete: lambda event: len(event.result or b""),
}
"""The bytes that travel beside what a verb says."""

BESIDE = {v.Beat: "live"}
"""What is read beside a call."""

REPEATABLE = frozenset({v.SubmitAll, v.Claim, v.Beat, v.Deregister, v.Lease, v.Pause, v.Resume})
"""What is harmless twice without a name; all others that do not share a call get one."""

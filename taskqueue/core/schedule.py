"""Schedules: what a user states, how it is stored, and which of its due times become tasks. Pure.

A schedule's *cursor* is the moment up to which every due time is decided. `decide` takes the due times between the
cursor and now and says which of them fire and how many are skipped, and why; the store moves the cursor and makes the
tasks in one step (`storage.verbs.Tick`). So each due time is exactly one task or one counted skip.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, convert
from msgspec.structs import asdict, replace

from taskqueue.core import fields
from taskqueue.core.clock import MILLISECOND
from taskqueue.core.config import Config
from taskqueue.core.cron import read_cron
from taskqueue.core.errors import InvalidInput, Malformed
from taskqueue.core.names import read_name
from taskqueue.core.recurrence import Recurrence, parse, read_every
from taskqueue.core.strictjson import NESTING, canonical, decode, decoder
from taskqueue.core.submission import DEFAULT_HANDLER, Submission, fill, parse_submission
from taskqueue.core.task import Draft
from taskqueue.core.views import Declaration
from taskqueue.core.zones import read_zone

MOST_FIRED = 1_000
"""So many due times become tasks in one decision, and so many that were missed do with `runAll`."""


class Misfire(StrEnum):
    """What becomes of due times that were missed: older than `misfireGrace` when they are decided."""

    SKIP = "skip"  # none fires
    RUN_ONCE = "runOnce"  # the latest fires
    RUN_ALL = "runAll"  # the latest `MOST_FIRED` fire


class Overlap(StrEnum):
    """What becomes of a due time while an earlier task of its schedule is not finished."""

    ALLOW = "allow"  # it fires
    SKIP = "skip"  # it is skipped (`storage.verbs.Tick.alone`)


class Owner(StrEnum):
    """Who states the schedule."""

    API = "api"
    CODE = "code"


MISFIRE = "misfire"
OVERLAP = "overlap"
PAUSED = "paused"
CHANGED = "changed"
"""Why a due time was skipped: the keys of `skipped`."""


class Spec(Struct, frozen=True, kw_only=True):
    """A schedule as its user states it: what is submitted, and when.

    Attributes:
        payload: a JSON text.
        parameters: the parameters of its tasks, as a submit has them, in canonical JSON.
        cron: an expression in `timezone`; None: `every` is set.
        every: microseconds; None: `cron` is set.
        anchor: the moment of creation, from which intervals are reckoned.
    """

    handler: str
    payload: bytes
    parameters: bytes = b"{}"
    cron: str | None = None
    every: int | None = None
    timezone: str = "UTC"
    misfire: Misfire = Misfire.RUN_ONCE
    overlap: Overlap = Overlap.ALLOW
    anchor: int = 0
    owner: Owner = Owner.API

    def recurrence(self) -> Recurrence:
        """Its due times.

        Raises:
            ValueError: this machine does not know the time zone (any more).
        """
        return parse(cron=self.cron, every=self.every, timezone=self.timezone, anchor=self.anchor)

    def submission(self) -> Submission:
        """What each of its tasks is a submit of."""
        sent = {"handler": self.handler, "payload": Raw(self.payload), "parameters": Raw(self.parameters)}
        return parse_submission(_to_json(sent), max_payload=len(self.payload))

    def encode(self) -> bytes:
        """As a store keeps it: JSON, the same for equal specs."""
        return _to_json(asdict(self) | {name: Raw(getattr(self, name)) for name in _TEXTS})

    @classmethod
    def decode(cls, stored: bytes) -> Spec:
        """What `encode` wrote."""
        parts = _PARTS.decode(stored)
        values = {name: bytes(part) if name in _TEXTS else _PART.decode(part) for name, part in parts.items()}
        return convert(values, cls)


_TEXTS = ("payload", "parameters")  # fields that are JSON themselves
_PARTS = msgspec.json.Decoder(dict[str, Raw])
_PART = msgspec.json.Decoder()
_to_json = msgspec.json.Encoder().encode


class _Body(Struct, forbid_unknown_fields=True):
    """The outer shape; what is inside is read field by field."""

    handler: Any = DEFAULT_HANDLER
    payload: Raw | UnsetType = UNSET
    parameters: Any = UNSET
    id: Any = UNSET
    cron: Any = UNSET
    every: Any = UNSET
    timezone: Any = UNSET
    misfire: Any = UNSET
    overlap: Any = UNSET
    paused: Any = UNSET


_BODY = decoder(_Body)
_OWN: fields.Readers = {
    "id": ("id", read_name),
    "cron": ("cron", read_cron),
    "every": ("every", read_every),
    "timezone": ("timezone", read_zone),
    "misfire": ("misfire", fields.one_of(Misfire)),
    "overlap": ("overlap", fields.one_of(Overlap)),
    "paused": ("paused", fields.read_bool),
}
_OF_ONE_TASK = ("delay", "runAt", "expiresAt", "idempotencyKey")


def parse_schedule(
    body: bytes | Raw, *, max_payload: int, anchor: int, owner: Owner = Owner.API
) -> tuple[str | None, Spec, bool]:
    """Check a schedule as it came in: its id (None: not given), its spec, and whether it is paused.

    `anchor` is the time now; it is cut to milliseconds, as times are shown.

    Raises:
        Malformed: it is no JSON, or its payload nests deeper than 32 levels.
        InvalidInput: it has another shape, or is never due; all that is wrong is told, by path.
        TooLarge: the payload is longer than `max_payload` bytes.
    """
    outer: _Body = decode(bytes(body), _BODY, levels=NESTING + 1)
    problems: fields.Problems = []
    given = {name: value for name in _OWN if (value := getattr(outer, name)) is not UNSET}
    values: dict[str, Any] = {}
    try:
        values = fields.read_object(given, _OWN)
    except InvalidInput as error:
        problems.extend(error.errors)
    if ("cron" in given) == ("every" in given):
        problems.append(("$.cron", "give either cron or every"))
    parameters = {} if outer.parameters is UNSET else outer.parameters
    if isinstance(parameters, dict):
        wrong = [name for name in _OF_ONE_TASK if name in parameters]
        problems.extend((f"$.parameters.{name}", "not for schedules: each due time has its own") for name in wrong)
        parameters = {name: value for name, value in parameters.items() if name not in wrong}
    sent = {"handler": outer.handler, "parameters": parameters}
    if outer.payload is not UNSET:
        sent["payload"] = outer.payload
    try:
        parse_submission(_to_json(sent), max_payload=max_payload)
    except Malformed:
        raise
    except InvalidInput as error:
        problems.extend(error.errors)
    if problems:
        raise InvalidInput(problems)
    given_id, paused = values.pop("id", None), values.pop("paused", False)
    spec = Spec(
        handler=outer.handler,
        payload=bytes(outer.payload),  # type: ignore[arg-type]  # it is set, or parse_submission had refused it
        parameters=canonical(parameters),
        anchor=anchor // MILLISECOND * MILLISECOND,
        owner=owner,
        **values,
    )
    if spec.recurrence().next(spec.anchor) is None:
        raise InvalidInput([("$.cron", f"never due in {spec.timezone}: its clocks skip all such times")])
    return given_id, spec, paused


def revise(old: Spec, cursor: int, new: Spec, now: int) -> tuple[Spec, int]:
    """A change of a schedule: its spec and its cursor from now on.

    Where the due times stay the same, so do anchor and cursor: what is due but not yet decided stays so, and a long
    interval does not begin anew each time that a program which declares it is started. Else the schedule begins anew.
    """
    return (new, now) if retimed(old, new) else (replace(new, anchor=old.anchor), cursor)


def retimed(old: Spec, new: Spec) -> bool:
    """Are the due times others?"""
    return (old.cron, old.every, old.timezone) != (new.cron, new.every, new.timezone)


# -- deciding ----------------------------------------------------------------------------------------------------------


class Decision(Struct, frozen=True):
    """Due times up to `upto` (the new cursor): those that fire, in order, and how many are skipped, by reason.

    Where `upto` is before the time at which was decided, more is due: decide again from there.
    """

    upto: int
    due: tuple[int, ...] = ()
    skipped: dict[str, int] = {}


def decide(
    spec: Spec, recurrence: Recurrence, cursor: int, now: int, misfire_grace: int, *, paused: bool = False
) -> Decision:
    """What becomes of the due times later than `cursor` and not later than `now`: each fires or is counted as skipped.

    A due time no older than `misfire_grace` fires; of the older ones the misfire rule decides. Where `overlap` is
    `skip`, only the first of all these can fire, and whether it does is up to the store, which knows if an earlier task
    of the schedule is not finished. While the schedule is paused nothing fires. After the clock was set back nothing is
    decided until it has passed the cursor again.
    """
    if now <= cursor:
        return Decision(cursor)
    if paused:
        return Decision(now, (), _counts({PAUSED: recurrence.count(cursor, now)}))
    edge = max(cursor, now - misfire_grace - 1)
    missed = recurrence.count(cursor, edge)
    late = recurrence.latest(cursor, edge, _KEPT[spec.misfire]) if missed else ()
    fresh = recurrence.count(edge, now)
    skipped = {MISFIRE: missed - len(late)}
    if spec.overlap is Overlap.SKIP:
        due = (late or recurrence.due(edge, now, min(fresh, 1)))[:1]
        skipped[OVERLAP] = len(late) + fresh - len(due)
        return Decision(now, due, _counts(skipped))
    # All that is skipped is earlier than all that fires, so what is too much can wait for the next decision.
    due = late + recurrence.due(edge, now, min(fresh, MOST_FIRED - len(late)))
    upto = now if len(due) == len(late) + fresh else due[-1]
    return Decision(upto, due, _counts(skipped))


_KEPT = {Misfire.SKIP: 0, Misfire.RUN_ONCE: 1, Misfire.RUN_ALL: MOST_FIRED}


def _counts(skipped: dict[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in skipped.items() if count}


def tick_id(schedule: str, generation: int, due: int) -> str:
    """The id of the task that a due time makes: the same on every node, so that there is one task at most."""
    return "tick-" + sha256(f"{schedule} {generation} {due // MILLISECOND}".encode()).hexdigest()[:40]


def drafts(
    spec: Spec, id: str, generation: int, due: tuple[int, ...], *, declaration: Declaration | None, config: Config
) -> tuple[Draft, ...]:
    """The tasks of due times, each to run at its time."""
    model = fill(spec.submission(), "", declaration, config)
    return tuple(replace(model, id=tick_id(id, generation, each), run_at=each, schedule=id) for each in due)


# -- for those who look ------------------------------------------------------------------------------------------------


class ScheduleView(Struct, frozen=True, kw_only=True):
    """A schedule as it is seen. `paused`: it does not fire; `orphaned`: because no live node declares it any more.

    `next_run_at`: None while it does not fire, or where it is never due again. `skipped`: counts by reason.
    """

    id: str
    spec: Spec
    paused: bool
    orphaned: bool
    next_run_at: int | None
    last_run_at: int | None
    skipped: dict[str, int]

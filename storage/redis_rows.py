"""From the records of the core to what the scripts of the Redis backend take, and from their answers back.

State: none. Text travels as MessagePack strings; what may be no UTF-8 (payloads, results, digests) travels beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import json, msgpack

from storage import verbs as v
from taskqueue.core.errors import StoreError
from taskqueue.core.task import HISTORY_LENGTH, Attempt, Cause, Draft, Outcome, Progress, Status, Task, TaskError
from taskqueue.core.views import Declaration, LeaseView, Member, NoteView

LETTER = {
    Status.PENDING: "P",
    Status.PROCESSING: "R",
    Status.COMPLETED: "C",
    Status.FAILED: "F",
    Status.DEAD_LETTERED: "D",
    Status.CANCELLED: "X",
}
STATUS = {letter.encode(): status for status, letter in LETTER.items()}

_OUTCOME = {
    "c": Outcome.COMPLETED,
    "f": Outcome.FAILED,
    "t": Outcome.TIMEOUT,
    "x": Outcome.CRASHED,
    "r": Outcome.RELEASED,
    "s": Outcome.SNOOZED,
    "k": Outcome.CANCELLED,
}

Row = Sequence[Any]
Fields = dict[bytes, Any]

UNREADABLE = (ValueError, TypeError, LookupError)
"""What reading raises where something else stands in Redis than was stored: somebody has edited it."""

pack = msgpack.Encoder().encode
_unpack = msgpack.Decoder().decode
_strings = json.Decoder(tuple[str, ...]).decode
_declarations = json.Decoder(tuple[Declaration, ...]).decode


def damaged(what: str, error: Exception) -> StoreError:
    """Why something cannot be answered."""
    return StoreError(f"holds something else than was stored, which cannot be read ({what}: {error!r})")


def pairs(flat: Row) -> Fields:
    """A hash as Redis gives it."""
    each = iter(flat)
    return dict(zip(each, each, strict=True))


def flat(mapping: dict[str, int]) -> list[str | int]:
    """A map as the scripts take it."""
    return [part for item in mapping.items() for part in item]


def draft_item(draft: Draft, capacity: int | None) -> tuple[tuple[Any, ...], bytes]:
    """A draft as `lib_birth.lua` reads it, and the text that goes beside it."""
    digest = draft.digest.decode("latin-1")  # MessagePack strings are text
    size = len(digest.encode())
    item = (
        draft.id,
        f"{draft.queue}/{draft.handler}",
        f"{draft.priority}/{draft.checksum}/{draft.timeout}/{draft.retries}/{size}/{digest}",
        digest,
        draft.priority,
        draft.keep_result,
        "/".join(draft.tags) if draft.tags else None,
        draft.delay,
        draft.run_at,
        draft.expires_at,
        draft.key,
        draft.schedule,
        capacity,
    )
    return item, draft.payload


def task(fields: Fields, payload: bytes | None, result: bytes | None = None) -> Task:
    """A task's hash with its bodies. What is `unreadable` of it is left out."""
    try:
        return _task(fields, payload, result)
    except UNREADABLE:
        damaged = unreadable(fields)
        return _task({key: value for key, value in fields.items() if key not in damaged}, payload, result)


def near(fields: Fields) -> bytes:
    """A payload that stands in its task's hash; empty where it does not."""
    return b"".join(fields.get(piece, b"") for piece in _PIECES)


def unreadable(fields: Fields) -> dict[bytes, str]:
    """The fields that hold more than a plain value, and cannot be read: what a reader calls them."""
    damaged = {}
    for key, (name, read) in _WRITTEN.items():
        if key in fields:
            try:
                read(fields[key])
            except UNREADABLE:
                damaged[key] = name
    return damaged


_BORN = (b"pri", b"sum", b"to", b"ret", b"dig")
"""What `new` says in tasks up to schema 3, by the names that each had for itself before; one of its own counts more."""


def _task(fields: Fields, payload: bytes | None, result: bytes | None) -> Task:
    if b"new" in fields:
        fields = dict(zip(_BORN, fields[b"new"].split(b"/", 4), strict=True)) | fields
    get = fields.get
    queue, handler = fields[b"ln"].decode().split("/", 1)
    status = STATUS[fields[b"st"]]
    retries = int(fields[b"ret"])
    created_at = int(fields[b"at"])
    eligible_at = int(get(b"el", created_at))
    owner, node, key, schedule, tags = get(b"own"), get(b"nod"), get(b"key"), get(b"sch"), get(b"tag")
    history, progress, cause = get(b"his"), get(b"pro"), get(b"cau")
    past = () if history is None else _history(history)
    attempt, generation = int(get(b"att", 0)), int(get(b"gen", 1))
    started_at = _number(get(b"beg", get(b"fe")))
    finished_at = _number(get(b"fin"))
    if status is Status.COMPLETED:  # its last attempt is plain, so it is not written down
        ended = Attempt(attempt, generation, _text(node or b""), started_at or 0, finished_at or 0, Outcome.COMPLETED)
        past = (*past, ended)[-HISTORY_LENGTH:]
    return Task(
        id=_text(fields[b"id"]),
        handler=handler,
        queue=queue,
        payload=payload or near(fields),
        checksum=int(fields[b"sum"]),
        digest=_digest(fields[b"dig"]),
        priority=int(fields[b"pri"]),
        timeout=int(fields[b"to"]),
        retries=retries,
        keep_result=b"keep" not in fields,
        tags=() if tags is None else tuple(tags.decode().split("/")),
        key=None if key is None else key.decode(),
        schedule=None if schedule is None else schedule.decode(),
        created_at=created_at,
        eligible_at=eligible_at,
        due_at=int(get(b"due", eligible_at)),
        expires_at=_number(get(b"exp")),
        retries_left=int(get(b"left", retries)),
        status=status,
        delayed=b"del" in fields,
        solo=b"solo" in fields,
        attempt=attempt,
        crashes=int(get(b"cr", 0)),
        generation=generation,
        fence=int(get(b"fe", 0)),
        owner=_text(owner) if owner is not None and status is Status.PROCESSING else None,
        node=None if node is None else _text(node),
        request=int(get(b"req", 0)),
        op=_text(get(b"op", b"")),
        started_at=started_at,
        finished_at=finished_at,
        progress=None if progress is None else _progress(progress),
        result=result,
        error=None if cause is None else TaskError(get(b"err", b"").decode(), get(b"msg", b"").decode(), _CAUSE[cause]),
        history=past,
    )


_PIECES = (b"pay", b"pay2", b"pay3")

FAR, _NEAR, _KEPT = b"-.~", b"=:+", b"=-"
"""Marks: the payload has a key of its own; it has none; a task that was born without a hash keeps its result."""

Run = tuple[str, bytes, int, bytes]
"""A claim: owner, name of the node, number, and the store's time of it."""


def first_run(birth: bytes, task_id: bytes, body: bytes | None, run: Run) -> tuple[Task, bytes]:
    """A task that was claimed just now for the first time, and that has nothing but what every task has: most are so.
    Beside it, its number of creation. `birth`: the text that `lib_birth.lua` made of it; `body`: its payload, where it
    does not stand in there. What is `UNREADABLE` is raised.
    """
    owner, node, request, now = run
    queue, handler, number, at, priority, checksum, timeout, retries, size, rest = birth.split(b"/", 9)
    born, left, started, digest_end = int(at), int(retries), int(now), int(size)
    task = Task(
        id=task_id.decode(),
        handler=handler.decode(),
        queue=queue[1:].decode(),
        payload=body or rest[digest_end:],
        checksum=int(checksum),
        digest=_digest(rest[:digest_end]),
        priority=int(priority),
        timeout=int(timeout),
        retries=left,
        keep_result=queue[:1] in _KEPT,
        tags=(),
        key=None,
        schedule=None,
        created_at=born,
        eligible_at=born,
        due_at=born,
        expires_at=None,
        retries_left=left,
        status=Status.PROCESSING,
        attempt=1,
        fence=started,
        owner=owner,
        node=node.decode(),
        request=request,
        started_at=started,
    )
    return task, number


def _digest(text: bytes) -> bytes:
    """As it was before it became text. One that somebody has damaged is another, and nobody's end."""
    return text.decode("utf-8", "replace").encode("latin-1", "replace")


def born(birth: bytes | None) -> Fields:
    """What the text of a task says, by the names that its script has for it; nothing where it has none."""
    if birth is None:
        return {}
    mark, names = birth[:1], (b"no", b"at", b"pri", b"sum", b"to", b"ret")
    queue, handler, *numbers, size, rest = birth.split(b"/", 9)
    fields: Fields = dict(zip(names, numbers, strict=True))
    fields |= {b"ln": queue[1:] + b"/" + handler, b"st": b"P", b"dig": rest[: int(size)]}
    if mark in b":.":
        fields[b"keep"] = b"0"
    return fields | {b"pay": rest[int(size) :]} if mark in _NEAR else fields


_CAUSE = {cause.value.encode(): cause for cause in Cause}


def shown(row: Row) -> Task:
    """What `shown` in `lib_task.lua` answers."""
    return task(pairs(row[0]), row[1], row[2])


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


def _number(value: bytes | int | None) -> int | None:
    return int(value) if value else None


def _progress(packed: bytes) -> Progress:
    fraction, note, at = _unpack(packed)
    return Progress(float(fraction), note, at)


def _history(stored: bytes) -> tuple[Attempt, ...]:
    count = stored[0]
    head = bytes([0x90 | count]) if count < 16 else bytes([0xDC, 0, count])  # what makes an array of the entries
    return tuple(map(_attempt, _unpack(head + stored[1:])))


def _attempt(entry: Row) -> Attempt:
    number, generation, node, started_at, finished_at, outcome, *error = entry
    trouble = TaskError(error[0], error[1], Cause(error[2])) if error else None
    return Attempt(number, generation, node, started_at, finished_at, _OUTCOME[outcome], trouble)

_WRITTEN: dict[bytes, tuple[str, Callable[[bytes], Any]]] = {
    b"his": ("history", _history),
    b"pro": ("progress", _progress),
    b"tag": ("tags", bytes.decode),
    b"cau": ("cause", _CAUSE.__getitem__),
    b"err": ("error", bytes.decode),
    b"msg": ("error", bytes.decode),
}


# -- members, schedules, the past --------------------------------------------------------------------------------------


def said(verb: v.Register) -> list[Any]:
    """What a node says of itself, as fields of its hash."""
    return [
        *("host", verb.host, "pid", verb.pid, "workers", verb.workers),
        *("queues", json.encode(verb.queues).decode(), "handlers", json.encode(verb.handlers).decode()),
    ]


def member(owner: bytes, row: Row) -> Member:
    """An incarnation. What of it is missing or cannot be read is empty or 0: nobody else's row has to wait for it."""
    fields = pairs(row)

    def read(name: bytes, how: Callable[[Any], Any], empty: Any) -> Any:
        try:
            return how(fields[name])
        except UNREADABLE:
            return empty

    return Member(
        owner=owner.decode("utf-8", "replace"),
        node=read(b"node", bytes.decode, ""),
        host=read(b"host", bytes.decode, ""),
        pid=read(b"pid", int, 0),
        workers=read(b"workers", int, 0),
        queues=read(b"queues", _strings, ()),
        handlers=read(b"handlers", _declarations, ()),
        started_at=read(b"beg", int, 0),
        beat=read(b"beat", int, 0),
        beat_at=read(b"seen", int, 0),
        running=read(b"running", int, 0),
        fenced=b"fenced" in fields,
        draining=b"draining" in fields,
        left=b"gone" in fields and b"fenced" not in fields,
    )


def lease(owner: bytes, node: bytes | None, ttl: bytes, beat: bytes | None, fenced: bytes | None) -> LeaseView:
    """A lease. What of it is missing or cannot be read is empty or 0, so that it is over soon."""
    return LeaseView(
        owner=owner.decode("utf-8", "replace"),
        node=(node or b"").decode("utf-8", "replace"),
        ttl=_whole(ttl),
        beat=_whole(beat),
        fenced=fenced is not None,
    )


def _whole(text: bytes | None) -> int:
    try:
        return int(text or 0)
    except UNREADABLE:
        return 0


def order(number: bytes, text: bytes) -> v.Order:
    """An order as it stands in the hash of its node's orders."""
    kind, *run = text.decode().split(" ")
    return v.Order(int(number), kind, run[0], int(run[1])) if run else v.Order(int(number), kind)


def schedule(name: bytes, row: Row) -> v.Schedule:
    """A schedule's hash."""
    fields = pairs(row)
    skips = ((key, count) for key, count in fields.items() if key.startswith(b"skip/"))
    return v.Schedule(
        id=name.decode(),
        spec=fields[b"spec"],
        cursor=int(fields[b"cursor"]),
        paused=b"paused" in fields,
        generation=int(fields[b"gen"]),
        last_run_at=_number(fields.get(b"last")),
        skipped={key[5:].decode(): int(count) for key, count in skips},
    )


def note(entry: bytes) -> NoteView:
    """An entry of the audit log."""
    return NoteView(*_unpack(entry))


def cells(flat_counts: Row) -> Iterable[tuple[str, str, Status, int]]:
    """The hash of counts: (queue, handler, state, count)."""
    for cell, count in pairs(flat_counts).items():
        letter, queue, handler = cell.decode().split("/", 2)
        yield queue, handler, STATUS[letter.encode()], int(count)

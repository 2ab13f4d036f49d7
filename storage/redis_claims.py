"""What a claim handed out, as the core's records, and what became of damaged tasks among it.

State: none. A script does not reckon checksums, so a damaged payload is found here: the task is given up as if it had
not been handed out, and the claim goes on for as many as were damaged. Payloads of more than 64 KiB are fetched one by
one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any
from zlib import crc32

from msgspec.structs import replace

from storage import redis_rows as rows
from storage import verbs as v
from storage.redis_calls import FIRST_TEXT, Call
from storage.redis_plain import Plain
from taskqueue.core.errors import StoreError
from taskqueue.core.events import Code
from taskqueue.core.task import Cause, Task, rank

log = logging.getLogger("taskqueue.storage")

Run = Callable[[Call], Any]
"""Does one call now; answers what its script says, or a StoreError."""

Fetch = Callable[[Sequence[str]], list[bytes | None]]
"""The payloads of some tasks."""

_BEFORE = (b"fe", b"att", b"beg", b"nod", b"req")


def claimed(call: Call, reply: Any, run: Run, fetch: Fetch, *, aging: int, held: Plain) -> v.Claimed | StoreError:
    """The answer to a claim; `held` is told what was handed out."""
    verb: v.Claim = call.verbs[0]
    parts: list[list[Task]] = [[] for _ in verb.groups]
    given_up: list[v.GivenUp] = []
    step = 1
    while True:
        code = Code(reply[0].decode())
        if code is not Code.OK:
            return v.Claimed(code)
        now, due, since, node, again, groups, expired = reply[1:]
        for task_id, lane in zip(expired[::2], expired[1::2], strict=True):
            given_up.append(v.GivenUp(task_id.decode(), lane.decode().partition("/")[2], Cause.EXPIRED))
        if again:
            tasks = [rows.shown(row) for row in groups]
            good = [task for task in tasks if intact(task)]
            spoilt = [task for task in tasks if not intact(task)]
            if not isinstance(_give_up([_waited(task) for task in spoilt], (), run), StoreError):
                given_up += map(_corrupt, spoilt)
            return v.Claimed(code, _regroup(verb, good, aging), _number(due), _number(since), tuple(given_up))
        damaged: list[Any] = []
        spoilt = []
        texts: list[bytes] = []
        missing = list(verb.groups)
        for n, group in enumerate(groups):
            before = len(damaged)
            for task, number, fields, lost in _read((verb.owner, node, verb.request, now), group, fetch):
                if intact(task) and not lost:
                    parts[n].append(task)
                    held.handed_out(task, number)
                else:
                    log.error("task %s is damaged and given up: %s", task.id, said(lost) or "its payload")
                    damaged.append(_as_it_was(task, fields, texts, lost))
                    spoilt.append(task)
            missing[n] = replace(verb.groups[n], n=len(damaged) - before)
        missing = _all_missing(verb, missing) if groups and any(groups[0]) and not parts[0] else missing
        if not damaged:
            return v.Claimed(code, tuple(map(tuple, parts)), _number(due), _number(since), tuple(given_up))
        done = _give_up(damaged, texts, run)
        if isinstance(done, StoreError):
            return done
        given_up += map(_corrupt, spoilt)
        step += 1
        wanted = [(g.n, g.solo, g.handlers, False if g.queues == ("*",) else g.queues) for g in missing]
        reply = run(Call("claim", rows.pack((verb.owner, verb.request, step, wanted)), (), (), ()))
        if isinstance(reply, StoreError):
            return reply


def _all_missing(verb: v.Claim, missing: list[v.Group]) -> list[v.Group]:
    """What is missing where all that came for the first group was damaged: beside suspects the others got nothing."""
    return [missing[0], *verb.groups[1:]] if verb.groups[0].solo else missing


def intact(task: Task) -> bool:
    """Is its payload what was submitted?"""
    return crc32(task.payload) == task.checksum


def _corrupt(task: Task) -> v.GivenUp:
    return v.GivenUp(task.id, task.handler, Cause.CORRUPT)


def _give_up(damaged: Sequence[Any], texts: Sequence[bytes], run: Run) -> Any:
    return run(Call("corrupt", rows.pack(damaged), texts, (), ())) if damaged else None


def _run(task: Task) -> tuple[str, str, str]:
    return task.id, task.owner or "", str(task.fence)


def _waited(task: Task) -> tuple[Any, ...]:
    """What `corrupt.lua` takes of a damaged task of which nobody knows any more what it was before."""
    return *_run(task), str(task.fence), task.attempt - 1 or False, "", False, False, False, False, ()


Read = tuple[Task, bytes, rows.Fields, dict[bytes, str]]
"""A task, its number, the fields that it had before its claim (none where it was never run), and what of it is lost."""


def _read(run: rows.Run, group: Any, fetch: Fetch) -> Iterator[Read]:
    """The tasks of a group."""
    plain, others, far = group or ((), (), ())
    each, bodies = iter(plain), iter(far)
    quick: Iterator[Read] = (
        (*rows.first_run(birth, task_id, next(bodies) if birth[:1] in rows.FAR else None, run), {}, {})
        for birth, task_id in zip(each, each, strict=True)
    )
    for row, place in _rows(others, fetch):
        yield from islice(quick, place)
        yield _again(run, *row)
    yield from quick


Other = tuple[rows.Fields, bytes, bytes, bytes | None]
"""Fields before the claim, id, fence, payload."""


def _rows(others: Any, fetch: Fetch) -> Iterator[tuple[Other, int]]:
    """What is no plain task of a group, and how many plain ones come between it and the one before it."""
    each = iter(others)
    found = [
        (place, rows.born(birth) | rows.pairs(flat), *rest)
        for place, birth, flat, *rest in zip(*[each] * 6, strict=True)
    ]
    large = [task_id.decode() for _, fields, task_id, _, body in found if body is None and b"big" in fields]
    bodies = dict(zip(large, fetch(large), strict=True)) if large else {}
    done = 0
    for place, fields, task_id, fence, body in found:
        yield (fields, task_id, fence, body or bodies.get(task_id.decode())), place - done
        done = place


def _again(
    run: rows.Run, before: rows.Fields, task_id: bytes, fence: bytes, body: bytes | None
) -> Read:
    owner, node, request, now = run
    lost = rows.unreadable(before)
    fields = before | {b"id": task_id, b"st": b"R", b"own": owner, b"nod": node, b"req": request, b"fe": fence}
    fields |= {b"att": int(before.get(b"att", 0)) + 1, b"beg": now}
    fields.pop(b"pro", None)
    return rows.task(fields, body), before[b"no"], before, lost


def said(lost: dict[bytes, str]) -> str:
    """What of a task cannot be read, for a reader."""
    return ", ".join(dict.fromkeys(lost.values()))


def _as_it_was(task: Task, fields: rows.Fields, texts: list[bytes], lost: dict[bytes, str]) -> tuple[Any, ...]:
    """What `corrupt.lua` takes of a damaged task; `texts` gets what cannot stand among it."""
    before = [fields[field].decode() if field in fields else False for field in _BEFORE]
    progress = FIRST_TEXT + len(texts) if b"pro" in fields and b"pro" not in lost else False
    texts += [fields[b"pro"]] if progress else []
    return *_run(task), *before, progress, said(lost) or False, tuple(key.decode() for key in lost)


def _regroup(verb: v.Claim, held: list[Task], aging: int) -> tuple[tuple[Task, ...], ...]:
    """What is still held of a claim, each task in the first group that it fits into."""
    groups: list[list[Task]] = [[] for _ in verb.groups]
    for task in sorted(held, key=lambda task: (rank(task.priority, task.eligible_at, aging), task.id)):
        if groups:
            fitting = (n for n, group in enumerate(verb.groups) if _fits(task, group, len(groups[n])))
            groups[next(fitting, 0)].append(task)
    return tuple(map(tuple, groups))


def _fits(task: Task, group: v.Group, filled: int) -> bool:
    """Might `group`, which has `filled` tasks so far, have taken it?"""
    queue = group.queues == ("*",) or task.queue in group.queues
    return queue and task.handler in group.handlers and task.solo is group.solo and filled < group.n


def _number(text: bytes | None) -> int | None:
    return None if text is None else int(text)

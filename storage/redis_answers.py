"""What the scripts of the Redis backend answer, as the results that a store gives.

State: none. Claims are not here: they may need more than one call (`redis_claims`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from storage import redis_rows as rows
from storage import verbs as v
from storage.redis_calls import MAKERS, Call
from storage.redis_rows import STATUS
from storage.store import Result
from taskqueue.core.events import Code
from taskqueue.core.task import Status, Task

Answers = Callable[[Call, Any], Sequence[Result]]


def results(call: Call, reply: Any) -> Iterator[tuple[int, Result]]:
    """The answers to the verbs of a call, by their places in the `execute`."""
    return zip(call.places, ANSWERS[call.script](call, reply), strict=True)


_CODES: dict[bytes, Code] = {code.encode(): code for code in Code}


def _code(reply: Any) -> Code:
    return _CODES[reply[0]]


def _submitted(call: Call, reply: Any) -> list[v.Submitted]:
    groups = (verb.drafts if isinstance(verb, v.SubmitAll) else (verb.draft,) for verb in call.verbs)
    drafts = [draft for group in groups for draft in group]
    if reply[:1] == [b"ok"]:
        created = int(reply[1])
        return [v.Submitted(Code.OK, draft.id, Status.PENDING, created) for draft in drafts]
    seen = set[str]()
    answers: list[v.Submitted] = []
    for row, draft in zip(reply, drafts, strict=True):
        code = _code(row)
        first = row[1].decode() == draft.id and draft.id not in seen
        if code is Code.DUP and call.repeated and first:
            code = Code.OK  # most likely done by the try whose answer was lost
        seen.add(draft.id)
        if len(row) > 2:
            answers.append(v.Submitted(code, row[1].decode(), STATUS[row[2]], int(row[3])))
        else:
            answers.append(v.Submitted(code, row[1].decode()))
    return answers


def _completed(call: Call, reply: Any) -> Sequence[Result]:
    return [_answer(call, row, STATUS.get(row[1]), None) for row in zip(reply[::2], reply[1::2], strict=True)]


def _hot(call: Call, reply: Any) -> Sequence[Result]:
    return [_answer(call, row, STATUS[row[1]] if row[1:] else None, None) for row in reply]


def _cold(call: Call, reply: Any) -> Sequence[Result]:
    tasks = [rows.shown(row[1]) if row[1:] else None for row in reply]
    return [_answer(call, row, task.status if task else None, task) for row, task in zip(reply, tasks, strict=True)]


def _answer(call: Call, row: Any, status: Status | None, task: Task | None) -> v.Answer:
    code = _code(row)
    if call.repeated and (code is Code.DUP or (code is Code.NOT_FOUND and call.script == "delete")):
        code = Code.OK
    return v.Answer(code, status, task)


def _plain(_: Call, reply: Any) -> Sequence[Result]:
    return [v.Answer(_code(reply))]


def _beaten(_: Call, reply: Any) -> Sequence[Result]:
    if not reply[2:]:
        return [v.Beaten(_code(reply))]
    beats = {owner.decode(): int(beat) for owner, beat in rows.pairs(reply[3]).items()}
    orders = sorted((rows.order(*item) for item in rows.pairs(reply[1]).items()), key=lambda order: order.number)
    return [v.Beaten(_code(reply), beats, tuple(orders), int(reply[2]))]


def _elected(_: Call, reply: Any) -> Sequence[Result]:
    return [v.Elected(_code(reply), term(*reply[1]))]


def term(owner: bytes | None, epoch: int, beat: int) -> v.Term:
    """Who leads."""
    return v.Term(owner.decode() if owner else None, int(epoch), int(beat))


def _moved(_: Call, reply: Any) -> Sequence[Result]:
    if not reply[1:]:
        return [v.Moved(_code(reply))]
    ids = tuple(task_id.decode() for task_id in reply[2] or ())
    return [v.Moved(_code(reply), reply[1], ids, reply[3] == 1)]


def _ticked(_: Call, reply: Any) -> Sequence[Result]:
    return [v.Answer(_code(reply), Status.PENDING if reply[1:] and reply[1] else None)]


def _stored(call: Call, reply: Any) -> Sequence[Result]:
    if not reply[1:]:
        return [v.Answer(_code(reply))]
    new: v.Schedule = call.verbs[0].schedule
    return [
        v.Schedule(
            id=new.id,
            spec=new.spec,
            cursor=new.cursor,
            paused=new.paused,
            generation=int(reply[1]),
            last_run_at=new.last_run_at,
            skipped=dict(new.skipped),
        )
    ]


ANSWERS: dict[str, Answers] = {
    **dict.fromkeys((script for script, _ in MAKERS.values()), _plain),
    "submit": _submitted,
    "submit_all": lambda call, reply: [tuple(_submitted(call, reply))],
    **dict.fromkeys(("fail", "release", "snooze", "progress", "renew"), _hot),
    "complete": _completed,
    **dict.fromkeys(("cancel", "retry", "replay", "update", "delete"), _cold),
    "beat": _beaten,
    "campaign": _elected,
    **dict.fromkeys(("reap", "promote", "expire", "prune", "sweep"), _moved),
    "tick": _ticked,
    "put_schedule": _stored,
}
"""By script."""

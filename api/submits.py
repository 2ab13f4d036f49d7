"""Submitting over REST: one task, or a batch of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import UNSET, Raw, Struct, UnsetType

from api.calls import Answer, Call
from api.errors import Problem, problem_of
from api.later import Later
from api.schemas import Created
from api.settings import ENVELOPE
from taskqueue.core.errors import Bystander, Conflict, InvalidInput, Malformed, TaskqueueError
from taskqueue.core.fields import Readers
from taskqueue.core.strictjson import decode, decoder
from taskqueue.core.submission import KEY_HEADER, Submission, parse_submission
from taskqueue.core.times import format_time
from taskqueue.core.views import Receipt

MOST_IN_BATCH = 10_000
MOST_IN_ATOMIC_BATCH = 1_000


class Item(Struct, frozen=True, kw_only=True):
    """The answer to one task of a batch."""

    status: int
    id: str | UnsetType = UNSET
    error: Problem | UnsetType = UNSET


class Items(Struct, frozen=True):
    """The answer to a batch, in its order."""

    items: list[Item]


class _Conflicts(Conflict):
    """Why an atomic batch was not stored, task by task."""

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in errors))
        self.errors = tuple(errors)


class _Batch(Struct, forbid_unknown_fields=True):
    tasks: list[Raw]


_BATCH = decoder(_Batch)


def _read_flag(value: object) -> bool:
    if value in ("true", "false"):
        return value == "true"
    raise ValueError("expected true or false")


BATCH_QUERY: Readers = {"atomic": ("atomic", _read_flag)}


def submit(call: Call) -> Answer | Later:
    """Submit one task: 201 once it is stored, 200 where the same was stored before."""
    limit = call.settings.max_payload_bytes
    submission = parse_submission(call.body(limit + ENVELOPE), max_payload=limit, header_key=call.header(KEY_HEADER))
    later = call.later
    if later is None:
        (receipt,) = call.gateway.submit([submission])
        return _created(receipt)
    awaited = call.gateway.submit_soon(submission, later.ready)
    return later.decline() if awaited is None else later.promise(lambda: _created(awaited.receipt()), awaited.within)


def _created(receipt: Receipt) -> Answer:
    if receipt.error is not None:
        raise receipt.error
    created = Created(id=receipt.id, status=receipt.status, created_at=format_time(receipt.created_at))
    return Answer(created, 200 if receipt.repeat else 201, {"Location": f"/api/tasks/{receipt.id}"})


def submit_batch(call: Call) -> Answer:
    """Submit up to 10,000 tasks, each for itself, or all or none; the answer has an item for each, in order."""
    atomic = call.query.get("atomic", False)
    if call.header(KEY_HEADER) is not None:
        raise InvalidInput([(KEY_HEADER, "cannot stand for a batch; give each task its own idempotencyKey")])
    body = call.body(call.settings.max_batch_bytes)
    # Nesting is counted task by task; only what is hopeless fails here.
    batch: _Batch = decode(body, _BATCH, levels=len(body))
    most = MOST_IN_ATOMIC_BATCH if atomic else MOST_IN_BATCH
    if not 1 <= len(batch.tasks) <= most:
        raise InvalidInput([("$.tasks", f"expected 1 to {most:,} tasks")])
    parsed: list[Submission | TaskqueueError] = []
    good = _parsed(batch.tasks, call.settings.max_payload_bytes, parsed)
    if atomic:
        good = iter(list(good))
        _raise_for_all(parsed)
    receipts = call.gateway.submit(good, atomic=atomic)
    if atomic:
        _raise_for_all([receipt.error for receipt in receipts])
    left = iter(receipts)
    return Answer(
        Items([_item(next(left)) if isinstance(one, Submission) else _wrong(one) for one in parsed]), status=207
    )


def _parsed(texts: Iterable[Raw], max_payload: int, parsed: list[Submission | TaskqueueError]) -> Iterator[Submission]:
    """Those that are right, as they are read; `parsed` gets all, in order."""
    for text in texts:
        try:
            submission = parse_submission(text, max_payload=max_payload)
        except TaskqueueError as error:
            parsed.append(error)
        else:
            parsed.append(submission)
            yield submission


def _item(receipt: Receipt) -> Item:
    if receipt.error is not None:
        return _wrong(receipt.error)
    return Item(status=200 if receipt.repeat else 201, id=receipt.id)


def _wrong(error: TaskqueueError) -> Item:
    problem = problem_of(error)
    return Item(status=problem.status, id=problem.id, error=problem)


def _raise_for_all(outcomes: Sequence[object]) -> None:
    """Raise one error for an atomic batch, if anything is wrong with any of its tasks; paths say which ones."""
    wrong = [(index, one) for index, one in enumerate(outcomes) if isinstance(one, TaskqueueError)]
    if not wrong:
        return
    guilty = [(index, error) for index, error in wrong if not isinstance(error, Bystander)] or wrong
    unfit = [(index, error) for index, error in guilty if isinstance(error, InvalidInput)]
    other = next((error for _, error in guilty if not isinstance(error, InvalidInput | Conflict)), None)
    malformed = next(((index, error) for index, error in unfit if isinstance(error, Malformed)), None)
    if malformed:
        raise Malformed(f"$.tasks[{malformed[0]}]: {malformed[1].errors[0][1]}")
    if unfit:
        raise InvalidInput(
            [(f"$.tasks[{index}]{path[1:]}", message) for index, error in unfit for path, message in error.errors]
        )
    if other:
        raise other
    raise _Conflicts([(f"$.tasks[{index}]", str(error)) for index, error in guilty])

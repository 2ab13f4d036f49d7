"""From a node's answers over HTTP to what a flow wants to know. Pure.

What is no answer of a node (a proxy's page, another service) is told apart, so that nobody takes it for a task's state.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Raw, Struct

from taskqueue.client.steps import Failure, Item, Later, Outcome, Refused, State, Taken, TooBig
from taskqueue.core.errors import (
    Conflict,
    InvalidInput,
    Malformed,
    NotFound,
    QueueFull,
    TaskqueueError,
    TooLarge,
    Unavailable,
)
from taskqueue.core.task import Status
from taskqueue.errors import AccessDenied, BadAnswer

AWAY = frozenset({408, 502, 503, 504})
"""What a node, or a proxy before it, answers while it cannot say: the same again."""

LONGEST_AFTER = 60.0

_KINDS: dict[int, type[TaskqueueError]] = {404: NotFound, 409: Conflict, 413: TooLarge}


class Reply(Struct, frozen=True):
    """One answer over HTTP. `after`: the text of Retry-After; `date`: that of Date."""

    status: int
    body: bytes
    after: str | None = None
    date: str | None = None


class _Wrong(Struct):
    path: str = "$"
    message: str = ""


class _Problem(Struct):
    title: str = ""
    status: int = 0
    detail: str = ""
    errors: list[_Wrong] = []
    id: str | None = None


class _Created(Struct):
    id: str


class _Item(Struct):
    status: int
    id: str | None = None
    error: _Problem | None = None


class _Items(Struct):
    items: list[_Item]


class _Parameters(Struct, rename="camel"):
    keep_result: bool = True


class _Task(Struct):
    status: Status
    result: Raw
    error: Failure | None
    parameters: _Parameters = msgspec.field(default_factory=_Parameters)


_CREATED = msgspec.json.Decoder(_Created)
_ITEMS = msgspec.json.Decoder(_Items)
_TASK = msgspec.json.Decoder(_Task)
_PROBLEM = msgspec.json.Decoder(_Problem)


def submitted(reply: Reply, item: Item) -> Outcome:
    """What became of one submit."""
    if reply.status in (HTTPStatus.OK, HTTPStatus.CREATED):
        return Taken(_read(_CREATED, reply).id)
    problem = _problem(reply)
    return _outcome(reply.status, problem, item.id, after=_after(reply))


def all_submitted(reply: Reply, items: list[Item]) -> list[Outcome] | TooBig:
    """What became of a batch."""
    if reply.status == HTTPStatus.MULTI_STATUS:
        answers = _read(_ITEMS, reply).items
        if len(answers) != len(items):
            raise BadAnswer(f"{len(answers)} answers to {len(items)} tasks")
        return [_one(answer, item) for answer, item in zip(answers, items, strict=True)]
    problem = _problem(reply)
    if reply.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return TooBig(TooLarge(problem.detail))
    return [_outcome(reply.status, problem, item.id, after=_after(reply)) for item in items]


def _one(answer: _Item, item: Item) -> Outcome:
    if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED) and answer.id is not None:
        return Taken(answer.id)
    return _outcome(answer.status, answer.error or _Problem(detail=f"status {answer.status}"), item.id)


def shown(reply: Reply) -> State | Later:
    """A task. Raises NotFound."""
    if reply.status != HTTPStatus.OK:
        return _not_done(reply)
    task = _read(_TASK, reply)

    return State(task.status, bytes(task.result), task.error, task.parameters.keep_result)


def cancelled(reply: Reply) -> Later | None:
    """What became of a cancel. Raises NotFound, Conflict."""
    return None if reply.status == HTTPStatus.OK else _not_done(reply)


def _not_done(reply: Reply) -> Later:
    outcome = _outcome(reply.status, _problem(reply), None, after=_after(reply))
    if isinstance(outcome, Refused):
        raise outcome.error
    assert isinstance(outcome, Later)
    return outcome


def _outcome(status: int, problem: _Problem, task_id: str | None, after: float | None = None) -> Outcome:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Later(QueueFull(problem.detail), after)
    if status in AWAY:
        return Later(Unavailable(problem.detail, task_id=problem.id or task_id), after)
    return Refused(_error(status, problem))


def refusal(reply: Reply) -> TaskqueueError:
    """What a refused request is to be raised as. Raises BadAnswer where it is no node's."""
    outcome = _outcome(reply.status, _problem(reply), None)
    assert not isinstance(outcome, Taken)  # that is no refusal
    return outcome.error


def _error(status: int, problem: _Problem) -> TaskqueueError:
    if status == HTTPStatus.BAD_REQUEST:
        return Malformed(problem.detail)
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return InvalidInput([(one.path, one.message) for one in problem.errors] or [("$", problem.detail)])
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AccessDenied(problem.detail)
    return _KINDS.get(status, BadAnswer)(problem.detail)


def _problem(reply: Reply) -> _Problem:
    """What a refusal says. Raises BadAnswer where it is no node's; what is away may answer anything."""
    try:
        problem = _PROBLEM.decode(reply.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = _Problem()
    if not problem.detail and reply.status not in AWAY | {429}:
        raise BadAnswer(f"HTTP {reply.status}, and it is no answer of a node: {_excerpt(reply.body)}")
    return problem if problem.detail else _Problem(detail=f"HTTP {reply.status}: {_excerpt(reply.body)}")


def _read(decoder: msgspec.json.Decoder[Any], reply: Reply) -> Any:
    try:
        return decoder.decode(reply.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise BadAnswer(f"HTTP {reply.status}, and it is no answer of a node: {_excerpt(reply.body)}") from None


def _excerpt(body: bytes) -> str:
    return repr(body[:100].decode("utf-8", "replace")) if body else "it is empty"


def _after(reply: Reply) -> float | None:
    """Seconds to wait; a date is not understood, and counts as not said."""
    text = (reply.after or "").strip()
    return min(float(text), LONGEST_AFTER) if text.isascii() and text.isdigit() and len(text) < 9 else None

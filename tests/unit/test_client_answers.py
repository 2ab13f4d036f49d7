"""What a client makes of each answer that can come over HTTP, also of those that are no node's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskqueue.client import answers
from taskqueue.client.answers import Reply
from taskqueue.client.steps import Item, Later, Refused, State, Taken, TooBig
from taskqueue.core.task import Status
from taskqueue.errors import (
    AccessDenied,
    BadAnswer,
    Conflict,
    InvalidInput,
    Malformed,
    NotFound,
    QueueFull,
    TaskqueueError,
    TooLarge,
    Unavailable,
)

ITEM = Item("t1", b"{}")


def problem(status: int, **more: Any) -> bytes:
    return json.dumps({"title": "x", "status": status, "detail": f"says {status}", **more}).encode()


@pytest.mark.parametrize("status", [200, 201])
def test_a_task_that_is_stored_or_was_before(status: int) -> None:
    assert answers.submitted(Reply(status, b'{"id": "t9", "status": "pending", "createdAt": ""}'), ITEM) == Taken("t9")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Malformed),
        (401, AccessDenied),
        (403, AccessDenied),
        (404, NotFound),
        (409, Conflict),
        (413, TooLarge),
        (421, BadAnswer),
        (422, InvalidInput),
        (500, BadAnswer),
    ],
)
def test_what_is_refused_for_good(status: int, kind: type[TaskqueueError]) -> None:
    outcome = answers.submitted(Reply(status, problem(status)), ITEM)
    assert isinstance(outcome, Refused)
    assert type(outcome.error) is kind
    assert f"says {status}" in str(outcome.error)


def test_what_is_wrong_keeps_its_paths() -> None:
    body = problem(422, errors=[{"path": "$.a", "message": "no"}, {"path": "$.b", "message": "nor this"}])
    outcome = answers.submitted(Reply(422, body), ITEM)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error, InvalidInput)
    assert outcome.error.errors == (("$.a", "no"), ("$.b", "nor this"))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(408, Unavailable), (429, QueueFull), (502, Unavailable), (503, Unavailable), (504, Unavailable)],
)
@pytest.mark.parametrize("body", [None, b"<html>nginx</html>", b""])
def test_what_helps_is_the_same_later(status: int, kind: type[TaskqueueError], body: bytes | None) -> None:
    outcome = answers.submitted(Reply(status, problem(status) if body is None else body, "2"), ITEM)
    assert isinstance(outcome, Later)
    assert type(outcome.error) is kind
    assert outcome.after == 2
    if isinstance(outcome.error, Unavailable):
        assert outcome.error.task_id == "t1"


@pytest.mark.parametrize(
    ("text", "after"),
    [("7", 7.0), (" 7 ", 7.0), ("100000", 60.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("", None)],
)
def test_how_long_to_wait(text: str, after: float | None) -> None:
    outcome = answers.submitted(Reply(503, problem(503), text), ITEM)
    assert isinstance(outcome, Later)
    assert outcome.after == after


@pytest.mark.parametrize("status", [200, 201, 302, 404, 500])
@pytest.mark.parametrize("body", [b"<html>hello</html>", b"", b"{}", b"\xff", b'{"detail": 5}'])
def test_what_is_no_nodes_answer_is_told_apart(status: int, body: bytes) -> None:
    with pytest.raises(BadAnswer, match=f"HTTP {status}, and it is no answer of a node"):
        answers.submitted(Reply(status, body), ITEM)


def test_a_batch_is_answered_one_by_one() -> None:
    body = {
        "items": [
            {"status": 201, "id": "a"},
            {"status": 422, "error": json.loads(problem(422, errors=[{"path": "$.payload", "message": "required"}]))},
            {"status": 429, "error": json.loads(problem(429))},
            {"status": 503, "id": "d", "error": json.loads(problem(503, id="d"))},
            {"status": 200, "id": "e"},
        ]
    }
    items = [Item(name, b"") for name in "abcde"]
    outcomes = answers.all_submitted(Reply(207, json.dumps(body).encode()), items)
    assert isinstance(outcomes, list)
    assert [type(outcome) for outcome in outcomes] == [Taken, Refused, Later, Later, Taken]
    away = outcomes[3]
    assert isinstance(away, Later)
    assert isinstance(away.error, Unavailable)
    assert away.error.task_id == "d"


def test_a_batch_that_is_too_large_as_a_whole() -> None:
    assert isinstance(answers.all_submitted(Reply(413, problem(413)), [ITEM, ITEM]), TooBig)


def test_a_batch_that_nobody_answers_is_unknown_in_all_its_parts() -> None:
    outcomes = answers.all_submitted(Reply(503, b"", "1"), [Item("a", b""), Item("b", b"")])
    assert isinstance(outcomes, list)
    assert [outcome.error.task_id for outcome in outcomes if isinstance(outcome, Later)] == ["a", "b"]  # type: ignore[attr-defined]


def test_an_answer_with_another_number_of_items_is_none() -> None:
    with pytest.raises(BadAnswer, match="1 answers to 2 tasks"):
        answers.all_submitted(Reply(207, b'{"items": [{"status": 201, "id": "a"}]}'), [ITEM, ITEM])


def test_a_task() -> None:
    task = {
        "id": "t",
        "status": "completed",
        "result": {"a": 1},
        "error": None,
        "parameters": {"keepResult": True},
        "new": 1,
    }
    assert answers.shown(Reply(200, json.dumps(task).encode())) == State(Status.COMPLETED, b'{"a": 1}')
    failed = {**task, "status": "failed", "result": None, "error": {"type": "E", "message": "m", "cause": "error"}}
    state = answers.shown(Reply(200, json.dumps(failed).encode()))
    assert isinstance(state, State)
    assert state.result == b"null"
    assert state.error is not None
    assert state.error.message == "m"


def test_a_task_that_is_not_there_or_cannot_be_seen_now() -> None:
    with pytest.raises(NotFound):
        answers.shown(Reply(404, problem(404)))
    assert isinstance(answers.shown(Reply(503, problem(503))), Later)


def test_a_cancel() -> None:
    assert answers.cancelled(Reply(200, b"{}")) is None
    with pytest.raises(Conflict):
        answers.cancelled(Reply(409, problem(409)))

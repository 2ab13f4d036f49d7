"""Every error as RFC 9457 `application/problem+json`. One table says which of our errors has which status."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import falcon
import msgspec
from msgspec import UNSET, Struct, UnsetType

from taskqueue.core import errors

RETRY_AFTER = "1"
"""Seconds after which a full queue or an absent store is worth another try."""
MEDIA_TYPE = "application/problem+json"

_LOG = logging.getLogger("taskqueue.api")


class FieldProblem(Struct, frozen=True):
    """What is wrong with one field; `path` begins with `$` (body), `?` (query), or is the name of a header."""

    path: str
    message: str


class Problem(Struct, frozen=True, kw_only=True):
    """The body of an error. `id`: where the outcome is unknown, a repeat with this id is safe."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] | UnsetType = UNSET
    id: str | UnsetType = UNSET


TABLE: dict[type[errors.TaskqueueError], tuple[int, str, str]] = {
    errors.Malformed: (400, "malformed", "The body cannot be read"),
    errors.InvalidInput: (422, "invalid", "The content is wrong"),
    errors.TooLarge: (413, "too-large", "Too large"),
    errors.NotFound: (404, "not-found", "There is no such thing"),
    errors.Conflict: (409, "conflict", "The present state does not allow this"),
    errors.QueueFull: (429, "queue-full", "Too many tasks are waiting"),
    errors.Unavailable: (503, "unavailable", "The store does not answer"),
    errors.StoreError: (503, "store", "The store cannot do this now"),
}


def problem_of(error: errors.TaskqueueError) -> Problem:
    """What a client is told of one of our errors; anything that the table does not know is an internal one."""
    for kind in type(error).__mro__:
        if kind in TABLE:
            status, slug, title = TABLE[kind]
            break
    else:
        return internal(error)
    wrong = tuple(FieldProblem(path, message) for path, message in getattr(error, "errors", ()))
    detail = f"{len(wrong)} things are wrong" if len(wrong) > 1 else str(error)
    if status == HTTPStatus.BAD_REQUEST:
        detail, wrong = wrong[0].message, ()
    return Problem(
        type=f"urn:taskqueue:{slug}",
        title=title,
        status=status,
        detail=detail,
        errors=wrong or UNSET,
        id=getattr(error, "task_id", None) or UNSET,
    )


def internal(error: BaseException) -> Problem:
    """A bug of ours: all of it goes into the log, nothing of it to the client."""
    _LOG.error("a request failed", exc_info=error)
    return plain(HTTPStatus.INTERNAL_SERVER_ERROR, "A bug in taskqueue; the node's log says more")


def plain(status: int, detail: str) -> Problem:
    """A problem that HTTP itself has a name for."""
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)


def headers_of(problem: Problem) -> dict[str, str]:
    """The headers that go with a problem."""
    retry = problem.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    return {"Retry-After": RETRY_AFTER} if retry else {}


def install(app: falcon.App[Any, Any]) -> None:
    """Make `app` answer every error as a problem."""

    def on_http(_req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: dict[str, Any]) -> None:
        detail = error.description or _DETAILS.get(error.status_code, HTTPStatus(error.status_code).description)
        _write(resp, plain(error.status_code, detail), dict(error.headers or {}))

    def on_any(_req: falcon.Request, resp: falcon.Response, error: Exception, _params: dict[str, Any]) -> None:
        write(resp, error)

    app.add_error_handler(Exception, on_any)
    app.add_error_handler(falcon.HTTPError, on_http)


def write(resp: falcon.Response, error: Exception) -> None:
    """Make an error that is not HTTP's own the answer."""
    _write(resp, problem_of(error) if isinstance(error, errors.TaskqueueError) else internal(error), {})


_DETAILS = {404: "There is nothing at this path", 405: "This path does not take this method"}


def _write(resp: falcon.Response, problem: Problem, headers: dict[str, str]) -> None:
    resp.status = problem.status
    resp.set_headers({**headers, **headers_of(problem)})
    resp.content_type = MEDIA_TYPE
    resp.data = msgspec.json.encode(problem)

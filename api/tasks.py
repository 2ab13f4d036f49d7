"""Tasks over REST: look, change, act, in ones and in many; dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from api.calls import Answer, Call, integer, read_cursor
from api.schemas import Count, DeadList, task_list, task_shape
from taskqueue.core.clock import MINUTE, SECOND
from taskqueue.core.errors import InvalidInput
from taskqueue.core.events import Update
from taskqueue.core.fields import (
    Readers,
    one_of,
    or_null,
    read_bool,
    read_list,
    read_object,
    read_priority,
    read_tags,
    read_time,
)
from taskqueue.core.names import read_name, read_task_id
from taskqueue.core.task import Cause, Status
from taskqueue.core.times import format_time, parse_span
from taskqueue.core.views import Filter

MOST_IDS = 10_000
MOST_LISTED = 1_000
LISTED = 50
LONGEST_WAIT = MINUTE


class Action(StrEnum):
    """What an operator can do with many tasks at a time."""

    CANCEL = "cancel"
    RETRY = "retry"
    REPLAY = "replay"
    DELETE = "delete"


# -- what may be asked -------------------------------------------------------------------------------------------------


def _read_wait(value: object) -> int:
    plain = isinstance(value, str) and value.isascii() and value.replace(".", "", 1).isdigit()
    span = parse_span(f"{value}s" if plain else value)
    if span > LONGEST_WAIT:
        raise ValueError("expected a duration of at most 60s")
    return span


_PAGE: Readers = {
    "handler": ("handler", read_name),
    "queue": ("queue", read_name),
    "tag": ("tag", read_name),
    "schedule": ("schedule", read_name),
    "limit": ("limit", integer(1, MOST_LISTED)),
    "cursor": ("cursor", read_cursor),
}
LIST_QUERY: Readers = {"status": ("status", one_of(Status)), **_PAGE}
DEAD_QUERY: Readers = {"cause": ("cause", one_of(Cause)), **_PAGE}
SHOW_QUERY: Readers = {"wait": ("wait", _read_wait)}

_CHANGES: Readers = {
    "priority": ("priority", read_priority),
    "runAt": ("run_at", or_null(read_time)),
    "expiresAt": ("expires_at", or_null(read_time)),
    "tags": ("tags", read_tags),
}
_FILTER: Readers = {
    "status": ("status", one_of(Status)),
    "handler": ("handler", read_name),
    "queue": ("queue", read_name),
    "tag": ("tag", read_name),
    "cause": ("cause", one_of(Cause)),
    "before": ("before", read_time),
    "ids": ("ids", lambda value: read_list(value, read_task_id, MOST_IDS)),
}
_BULK: Readers = {
    "action": ("action", one_of(Action)),
    "filter": ("filter", lambda value: read_object(value, _FILTER, ".")),
    "dryRun": ("dry_run", read_bool),
}


# -- looking -----------------------------------------------------------------------------------------------------------


def list_tasks(call: Call) -> Answer:
    """A page of tasks, newest first."""
    page = call.gateway.find(*_page(call.query))
    return Answer(task_list(page.tasks, page.cursor))


def dead_letters(call: Call) -> Answer:
    """A page of dead letters, and how many there are by handler and cause."""
    page = call.gateway.find(*_page({**call.query, "status": Status.DEAD_LETTERED}))
    shown = task_list(page.tasks, page.cursor)
    return Answer(DeadList(tasks=shown.tasks, next_cursor=shown.next_cursor, counts=tuple(call.gateway.dead())))


def _page(query: Mapping[str, Any]) -> tuple[Filter, int, str | None]:
    """What `find` wants, from a checked query."""
    rest = dict(query)
    limit, cursor = rest.pop("limit", LISTED), rest.pop("cursor", None)
    return Filter(**rest), limit, cursor


def show(call: Call) -> Answer:
    """One task, whole; with `wait`, once it is finished or the time is up."""
    wait = call.query.get("wait", 0)
    name = call.path["id"]
    return Answer(task_shape(call.gateway.wait(name, wait / SECOND) if wait else call.gateway.get(name)))


# -- changing ----------------------------------------------------------------------------------------------------------


def update(call: Call) -> Answer:
    """Change priority, times or tags of a task that waits."""
    changes = read_object(call.json(), _CHANGES)
    if not changes:
        raise InvalidInput([("$", f"expected at least one of {', '.join(_CHANGES)}")])
    return Answer(task_shape(call.gateway.update(Update(id=call.path["id"], **changes), by=call.by)))


def delete(call: Call) -> Answer:
    """Delete a finished task."""
    call.gateway.act(Action.DELETE, call.path["id"], by=call.by)
    return Answer(status=204)


def cancel(call: Call) -> Answer:
    """Cancel a task that is not finished. A running handler is told, and its result is refused."""
    return _act(call, Action.CANCEL)


def retry(call: Call) -> Answer:
    """Run a failed task now, not after its backoff."""
    return _act(call, Action.RETRY)


def replay(call: Call) -> Answer:
    """Start a dead-lettered or cancelled task anew, with all its tries; its history is kept."""
    return _act(call, Action.REPLAY)


def _act(call: Call, action: Action) -> Answer:
    task = call.gateway.act(action, call.path["id"], by=call.by)
    return Answer(None if task is None else task_shape(task))


def bulk(call: Call) -> Answer:
    """Cancel, retry, replay or delete all tasks that match; what comes in meanwhile is left alone."""
    asked = read_object(call.json(), _BULK, required=("action", "filter"))
    wanted = {"before": call.clock.now(), **asked["filter"]}
    ids = wanted.pop("ids", None)
    count = call.gateway.bulk(
        asked["action"],
        Filter(**wanted),
        ids,
        dry_run=asked.get("dry_run", False),
        by=call.by,
        target=_target(asked["filter"], ids),
    )
    return Answer(Count(count=count))


def _target(given: Mapping[str, Any], ids: tuple[str, ...] | None) -> str:
    """A filter as the audit log shows it: what was given, ids only by their number."""
    shown = {name: value for name, value in given.items() if name not in ("before", "ids")}
    if "before" in given:
        shown["before"] = format_time(given["before"])
    if ids is not None:
        shown["ids"] = len(ids)
    return msgspec.json.encode(shown).decode()

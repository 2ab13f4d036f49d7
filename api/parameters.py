"""What stands in paths, queries and headers, as types: one name means the same wherever it stands. For the description
only; what comes in is read by the readers of each route.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from api.words import Key, Name, TaskId
from taskqueue.core.task import Cause, Status

_WAIT = r"^([0-9]|[1-5][0-9])(\.[0-9]{1,6})?s?$|^60s?$|^[0-9]{1,4}(\.[0-9]{1,6})?ms$|^[01]m$"


class Parameter(Struct, frozen=True):
    """One of them. `format` and the like go into its type."""

    type: Any
    says: str
    example: Any = None


QUERY = {
    "status": Parameter(Status, "Only tasks in this state.", "failed"),
    "handler": Parameter(Name, "Only tasks of this handler.", "email.send"),
    "queue": Parameter(Name, "Only tasks of this queue.", "default"),
    "tag": Parameter(Name, "Only tasks with this tag.", "welcome"),
    "schedule": Parameter(Name, "Only tasks that this schedule made.", "nightly"),
    "cause": Parameter(Cause, "Only those that were given up for this.", "timeout"),
    "limit": Parameter(Annotated[int, Meta(ge=1, le=1_000)], "How many at most; else 50.", 100),
    "cursor": Parameter(
        Annotated[str, Meta(min_length=1, max_length=1_000, extra_json_schema={"format": "cursor"})],
        "`nextCursor` of the page before: go on from there.",
    ),
    "atomic": Parameter(bool, "All or none; up to 1,000 tasks. A wrong one then refuses the whole batch.", True),
    "wait": Parameter(
        Annotated[str, Meta(pattern=_WAIT)],
        "Answer once the task is finished, or after so long, up to 60s: with a unit, or seconds. Where too many wait, "
        "the answer comes at once.",
        "20s",
    ),
    "count": Parameter(Annotated[int, Meta(ge=1, le=100)], "How many; else 5.", 3),
    "minutes": Parameter(Annotated[int, Meta(ge=1, le=1_440)], "How far back the series goes; else 60.", 15),
}

PATH = {
    "task_id": Parameter(TaskId, "The task's id."),
    "name": Parameter(Name, "Its id or name."),
    "token": Parameter(Annotated[str, Meta(min_length=1)], "The token of a run, as the claim answered it."),
    "path": Parameter(Annotated[str, Meta(min_length=1)], "The file's name."),
}
"""By the converter in the path."""

HEADERS = {
    "Idempotency-Key": Parameter(Key, "The same as `idempotencyKey`; where both are given they have to be the same."),
}

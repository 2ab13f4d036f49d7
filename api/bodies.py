"""What is sent in bodies, as types: for the description only. What comes in is read by `taskqueue.core` (`submission`,
`schedule`) and by the endpoints, field by field, so that all that is wrong is told at once.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from api.words import (
    Cron,
    Every,
    Key,
    LeaseSpan,
    Name,
    QueueName,
    Retries,
    Span,
    Tags,
    TaskId,
    Time,
    Timeout,
    Wait,
    Zone,
)
from taskqueue.core.leases import MOST_LEASED, MOST_NAMES
from taskqueue.core.schedule import Misfire, Overlap
from taskqueue.core.task import PRIORITIES, Cause, Status

Wish = Annotated[
    Literal["low", "normal", "high", "critical"] | Annotated[int, Meta(ge=0, le=9)],
    Meta(description=", ".join(f"{name} is {number}" for name, number in PRIORITIES.items()) + "; higher runs first."),
]


class Body(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What is sent. Unknown fields are refused."""


class ScheduleParameters(Body):
    """How each task is to be run. What is left out, the handler's declaration says, else the configuration."""

    priority: Wish | UnsetType = UNSET
    timeout: Annotated[Timeout, Meta(description="How long an attempt may take.")] | UnsetType = UNSET
    queue: Annotated[Name, Meta(description="The queue; else default.")] | UnsetType = UNSET
    retries: Annotated[Retries, Meta(description="Retries after the first attempt.")] | UnsetType = UNSET
    tags: Annotated[Tags, Meta(description="Names to find it by.")] | UnsetType = UNSET
    keep_result: Annotated[bool, Meta(description="Keep what the handler returns; else true.")] | UnsetType = UNSET


class TaskParameters(ScheduleParameters):
    """The same, and what belongs to one task only. Give either `delay` or `runAt`."""

    delay: Annotated[Span, Meta(description="Run it so much later.")] | UnsetType = UNSET
    run_at: Annotated[Time, Meta(description="Run it then; RFC 3339 with an offset.")] | UnsetType = UNSET
    expires_at: Annotated[Time, Meta(description="What still waits then is dead-lettered.")] | UnsetType = UNSET
    idempotency_key: (
        Annotated[Key, Meta(description="The same key and body within 24 h is the same task.")] | UnsetType
    ) = UNSET


class Submit(Body):
    """One task to be done."""

    payload: Annotated[Any, Meta(description="Any JSON value: what the handler gets.")]
    handler: Annotated[Name, Meta(description="Who processes it; else echo.")] | UnsetType = UNSET
    parameters: (
        Annotated[TaskParameters, Meta(extra_json_schema={"not": {"required": ["delay", "runAt"]}})] | UnsetType
    ) = UNSET
    id: (
        Annotated[TaskId, Meta(description="Its id, so that sending it again is safe; else one is made.")] | UnsetType
    ) = UNSET


class Batch(Body):
    """Many tasks. Each stands for itself: what is wrong with one is told in its item of the answer; with `?atomic=true`
    all are stored or none.
    """

    tasks: Annotated[list[Submit], Meta(min_length=1, max_length=10_000)]


class Update(Body):
    """What is to change of a waiting task."""

    priority: Wish | UnsetType = UNSET
    run_at: Annotated[Time | None, Meta(description="When it may run; null: now.")] | UnsetType = UNSET
    expires_at: Annotated[Time | None, Meta(description="When it is given up; null: never.")] | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


class Which(Body):
    """Which tasks: those that meet all that is given. Nothing given: all."""

    status: Status | UnsetType = UNSET
    handler: Name | UnsetType = UNSET
    queue: Name | UnsetType = UNSET
    tag: Name | UnsetType = UNSET
    cause: Annotated[Cause, Meta(description="Why it was given up, or failed last.")] | UnsetType = UNSET
    before: Annotated[Time, Meta(description="Created then or before; else now.")] | UnsetType = UNSET
    ids: Annotated[list[TaskId], Meta(max_length=10_000, description="Only these.")] | UnsetType = UNSET


class Bulk(Body):
    """The same for many tasks. Those whose state does not allow it are left alone."""

    action: Literal["cancel", "retry", "replay", "delete"]
    filter: Which
    dry_run: Annotated[bool, Meta(description="Count only, do nothing.")] | UnsetType = UNSET


class ScheduleChange(Body):
    """When tasks are made, and which; what is left out has its default. Give either `cron` or `every`."""

    payload: Annotated[Any, Meta(description="Any JSON value: what the handler gets each time.")]
    handler: Annotated[Name, Meta(description="Who processes it; else echo.")] | UnsetType = UNSET
    parameters: ScheduleParameters | UnsetType = UNSET
    cron: Cron | UnsetType = UNSET
    every: Every | UnsetType = UNSET
    timezone: Zone | UnsetType = UNSET
    misfire: Annotated[Misfire, Meta(description="What becomes of times that were missed.")] | UnsetType = UNSET
    overlap: Annotated[Overlap, Meta(description="What if the task before is not finished.")] | UnsetType = UNSET
    paused: bool | UnsetType = UNSET


class NewSchedule(ScheduleChange):
    """When tasks are made, and which. Give either `cron` or `every`."""

    id: Annotated[Name, Meta(description="Its id; else one is made.")] | UnsetType = UNSET


class Claim(Body):
    """What a worker can run."""

    handlers: Annotated[list[Name], Meta(min_length=1, max_length=MOST_NAMES, description="What it can run.")]
    queues: (
        Annotated[list[QueueName], Meta(min_length=1, max_length=MOST_NAMES, description="From which; else default.")]
        | UnsetType
    ) = UNSET
    limit: Annotated[int, Meta(ge=1, le=MOST_LEASED, description="How many at most; else 1.")] | UnsetType = UNSET
    wait: Annotated[Wait, Meta(description="How long to wait for some, up to 60s; else not.")] | UnsetType = UNSET
    lease: (
        Annotated[LeaseSpan, Meta(description="How long it may be silent, 1s to 12h; else 30s.")] | UnsetType
    ) = UNSET
    request_id: (
        Annotated[Name, Meta(description="Its name, unique to it: so a repeat gets what it got, not more.")] | UnsetType
    ) = UNSET


class Completion(Body):
    """How a run ended."""

    result: Annotated[Any, Meta(description="Any JSON value; else null.")] = UNSET


class Failure(Body):
    """What went wrong; longer texts are cut."""

    message: str
    type: Annotated[str, Meta(description="Its kind, such as an exception's class; else Error.")] | UnsetType = UNSET


class Failed(Body):
    """How a run ended."""

    error: Failure
    retry: Annotated[bool, Meta(description="false: never again, it is a dead letter.")] | UnsetType = UNSET


EITHER = {"oneOf": [{"required": ["cron"]}, {"required": ["every"]}]}

SUBMIT = Annotated[
    Submit,
    Meta(
        examples=[
            {"payload": {"hello": "world"}},
            {
                "handler": "email.send",
                "payload": {"to": "a@example.com"},
                "parameters": {"priority": "high", "timeout": "30s", "retries": 5, "tags": ["welcome"]},
            },
        ]
    ),
]
BATCH = Annotated[Batch, Meta(examples=[{"tasks": [{"payload": 1}, {"payload": 2}]}])]
UPDATE = Annotated[
    Update, Meta(extra_json_schema={"minProperties": 1}, examples=[{"priority": "critical", "runAt": None}])
]
BULK = Annotated[
    Bulk,
    Meta(examples=[{"action": "replay", "filter": {"status": "dead-lettered", "cause": "timeout"}, "dryRun": True}]),
]
SCHEDULE = Annotated[
    NewSchedule,
    Meta(
        extra_json_schema=EITHER,
        examples=[{"id": "nightly", "payload": {}, "cron": "0 3 * * *", "timezone": "Europe/Berlin"}],
    ),
]
CLAIM = Annotated[
    Claim, Meta(examples=[{"handlers": ["thumbnail"], "limit": 1, "wait": "20s", "lease": "30s", "requestId": "w1-1"}])
]
COMPLETION = Annotated[Completion, Meta(examples=[{"result": {"width": 120}}])]
FAILED = Annotated[Failed, Meta(examples=[{"error": {"type": "IOError", "message": "no space"}, "retry": True}])]
CHANGED = Annotated[
    ScheduleChange, Meta(extra_json_schema=EITHER, examples=[{"payload": {}, "every": "30s", "overlap": "skip"}])
]

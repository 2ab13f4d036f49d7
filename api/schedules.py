"""Schedules over REST."""

from __future__ import annotations

from msgspec import Raw

from api.calls import Answer, Call, integer
from api.schemas import Shape, shown, task_shape
from api.settings import ENVELOPE
from api.words import Name, Shown, Time
from taskqueue.core.errors import InvalidInput
from taskqueue.core.fields import Readers
from taskqueue.core.schedule import Misfire, Overlap, Owner, ScheduleView, Spec, parse_schedule
from taskqueue.core.times import format_span, format_time

PREVIEWED = 5
MOST_PREVIEWED = 100

PREVIEW_QUERY: Readers = {"count": ("count", integer(1, MOST_PREVIEWED))}


class ScheduleShape(Shape):
    """A schedule. `orphaned`: it stood in code, and no live node declares it any more. `skipped`: due times that made
    no task, by reason.
    """

    id: Name
    handler: Name
    payload: Raw
    parameters: Raw
    cron: str | None
    every: Shown | None
    timezone: str
    misfire: Misfire
    overlap: Overlap
    paused: bool
    orphaned: bool
    owner: Owner
    next_run_at: Time | None
    last_run_at: Time | None
    skipped: dict[str, int]


class ScheduleList(Shape):
    """Every schedule, by id."""

    schedules: list[ScheduleShape]


class Preview(Shape):
    """The next due times."""

    times: list[Time]


def list_schedules(call: Call) -> Answer:
    """Every schedule, by id."""
    return Answer(ScheduleList(schedules=[_shape(view) for view in call.gateway.schedules.all()]))


def show(call: Call) -> Answer:
    """One schedule."""
    return Answer(_shape(call.gateway.schedules.one(call.path["id"])))


def create(call: Call) -> Answer:
    """Make a schedule; 409 where its id exists."""
    schedule_id, spec, paused = _read(call)
    view = call.gateway.schedules.create(schedule_id, spec, paused, by=call.by)
    return Answer(_shape(view), 201, {"Location": f"/api/schedules/{view.id}"})


def put(call: Call) -> Answer:
    """Make the schedule of this id, or replace it whole: what is left out has its default."""
    schedule_id = call.path["id"]
    given, spec, paused = _read(call)
    if given not in (None, schedule_id):
        raise InvalidInput([("$.id", f"expected {schedule_id}, as in the path, or nothing")])
    view, new = call.gateway.schedules.put(schedule_id, spec, paused, by=call.by)
    return Answer(_shape(view), 201, {"Location": f"/api/schedules/{view.id}"}) if new else Answer(_shape(view))


def delete(call: Call) -> Answer:
    """Delete a schedule; the tasks that it made stay."""
    call.gateway.schedules.delete(call.path["id"], by=call.by)
    return Answer(status=204)


def pause(call: Call) -> Answer:
    """Pause a schedule: what is due from now on is skipped."""
    return Answer(_shape(call.gateway.schedules.pause(call.path["id"], by=call.by)))


def resume(call: Call) -> Answer:
    """Resume a schedule: what is due from now on makes tasks."""
    return Answer(_shape(call.gateway.schedules.resume(call.path["id"], by=call.by)))


def trigger(call: Call) -> Answer:
    """Make its task now, beside its due times; also while it is paused."""
    return Answer(task_shape(call.gateway.schedules.trigger(call.path["id"], by=call.by)))


def preview(call: Call) -> Answer:
    """The next due times of a schedule."""
    times = call.gateway.schedules.preview(call.path["id"], call.query.get("count", PREVIEWED))
    return Answer(Preview(times=[format_time(moment) for moment in times]))


def _read(call: Call) -> tuple[str | None, Spec, bool]:
    limit = call.settings.max_payload_bytes
    return parse_schedule(call.body(limit + ENVELOPE), max_payload=limit, anchor=call.clock.now())


def _shape(view: ScheduleView) -> ScheduleShape:
    spec = view.spec
    return ScheduleShape(
        id=view.id,
        handler=spec.handler,
        payload=shown(spec.payload),
        parameters=shown(spec.parameters),
        cron=spec.cron,
        every=None if spec.every is None else format_span(spec.every),
        timezone=spec.timezone,
        misfire=spec.misfire,
        overlap=spec.overlap,
        paused=view.paused,
        orphaned=view.orphaned,
        owner=spec.owner,
        next_run_at=None if view.next_run_at is None else format_time(view.next_run_at),
        last_run_at=None if view.last_run_at is None else format_time(view.last_run_at),
        skipped=view.skipped,
    )

"""Schedules through the unstarted LeaderActor and StorageActor: alarms, restarts, refusals, changes, summer time."""

from __future__ import annotations

from typing import Any

import pytest

from actors.messages import FireDue, LookAtSchedules, Message, SchedulesChanged, Wake, Written
from actors.meter import Meter
from actors.timetable import RETRY
from storage import verbs as v
from taskqueue import task
from taskqueue.core.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from taskqueue.core.errors import StoreError, StoreFull
from taskqueue.core.events import Code
from taskqueue.core.schedule import Misfire, Overlap, Owner, Spec
from taskqueue.core.times import format_time, parse_time
from tests.clockwork import Clockwork
from tests.postoffice import HANDLERS


@pytest.fixture
def work() -> Clockwork:
    return Clockwork()


def submitted(meter: Meter) -> int:
    return meter.take().get("submitted", 0)


def test_due_times_become_tasks(work: Clockwork) -> None:
    made = work.make("s", every=MINUTE)
    work.pass_time(5 * MINUTE, SECOND)
    assert work.due("s") == [made.cursor + n * MINUTE for n in range(1, 6)]
    assert {one.handler for one in work.tasks()} == {"echo"}
    assert submitted(work.desk.meter) == 5


def test_the_alarm_is_set_for_what_is_due_within_a_second(work: Clockwork) -> None:
    work.make("s", every=MINUTE)
    assert work.desk.ticker.alarms == []
    work.clock.advance(MINUTE - 300 * MILLISECOND)
    work.keep_house()
    [(delay, _, message)] = work.desk.ticker.alarms
    assert 300 * MILLISECOND <= delay <= 302 * MILLISECOND
    assert message == FireDue()
    work.keep_house()
    assert len(work.desk.ticker.alarms) == 1, "one is enough"
    work.clock.advance(delay)
    work.fire()
    assert len(work.due("s")) == 1


def test_a_task_of_a_schedule_wakes_the_scheduler(work: Clockwork) -> None:
    woken: list[Message] = []
    work.desk.scheduler.tell = lambda message: woken.append(message) or True  # type: ignore[method-assign]
    work.make("s", every=MINUTE)
    work.pass_time(MINUTE, MINUTE)
    assert Wake() in woken


def test_a_new_leader_goes_on_where_the_old_one_was(work: Clockwork) -> None:
    made = work.make("s", every=MINUTE)
    for _ in range(5):
        work.pass_time(MINUTE, SECOND)
        work.start()
    assert work.due("s") == [made.cursor + n * MINUTE for n in range(1, 6)]


@pytest.mark.parametrize(
    ("misfire", "made", "missed"), [(Misfire.SKIP, 1, 9), (Misfire.RUN_ONCE, 2, 8), (Misfire.RUN_ALL, 10, 0)]
)
def test_what_was_missed_follows_the_rule(work: Clockwork, misfire: Misfire, made: int, missed: int) -> None:
    start = work.make("s", every=MINUTE, misfire=misfire).cursor
    work.clock.advance(10 * MINUTE + SECOND)
    work.start()
    assert work.due("s") == [start + n * MINUTE for n in range(11 - made, 11)]
    assert work.stored("s").skipped == ({"misfire": missed} if missed else {})


def test_overlap_skips_while_an_earlier_task_is_there(work: Clockwork) -> None:
    start = work.make("s", every=MINUTE, overlap=Overlap.SKIP).cursor
    work.pass_time(3 * MINUTE, SECOND)
    work.finish()
    work.pass_time(2 * MINUTE, SECOND)
    assert work.due("s") == [start + MINUTE, start + 4 * MINUTE]
    assert work.stored("s").skipped == {"overlap": 3}
    assert submitted(work.desk.meter) == 2, "what was skipped is not counted as a task"


def test_a_pause_is_counted_and_its_end_is_exact(work: Clockwork) -> None:
    start = work.make("s", every=MINUTE).cursor
    work.pass_time(MINUTE, SECOND)
    work.schedules.pause("s")
    work.changed()
    work.pass_time(5 * MINUTE + 30 * SECOND, SECOND)
    assert work.schedules.one("s").skipped == {"paused": 5}, "also before the leader has looked"
    work.schedules.resume("s")
    work.changed()
    work.pass_time(MINUTE, SECOND)
    assert work.due("s") == [start + MINUTE, start + 7 * MINUTE]
    assert work.stored("s").skipped == {"paused": 5}


def test_a_change_counts_what_it_overtakes(work: Clockwork) -> None:
    start = work.make("s", every=MINUTE).cursor
    work.clock.advance(3 * MINUTE)
    spec = Spec(handler="echo", payload=b"1", every=HOUR, anchor=work.clock.now())
    work.schedules.put("s", spec, False)
    work.changed()
    work.pass_time(HOUR, MINUTE)
    assert work.due("s") == [start + 3 * MINUTE + HOUR]
    assert work.stored("s").skipped == {"changed": 3}


def test_a_change_of_a_paused_one_counts_the_pause(work: Clockwork) -> None:
    start = work.make("s", every=MINUTE).cursor
    work.schedules.pause("s")
    work.clock.advance(3 * MINUTE)
    work.schedules.put("s", Spec(handler="fail", payload=b"{}", every=MINUTE, anchor=work.clock.now()), False)
    work.changed()
    work.pass_time(MINUTE, SECOND)
    assert work.due("s") == [start + 4 * MINUTE]
    assert work.stored("s").skipped == {"paused": 3}


def test_a_change_that_leaves_the_times_leaves_what_is_due(work: Clockwork) -> None:
    start = work.make("s", every=MINUTE, misfire=Misfire.RUN_ALL).cursor
    work.clock.advance(MINUTE + 30 * SECOND)
    spec = Spec(handler="fail", payload=b"{}", every=MINUTE, anchor=work.clock.now())
    work.schedules.put("s", spec, False)
    work.changed()
    work.pass_time(MINUTE, SECOND)
    assert work.due("s") == [start + MINUTE, start + 2 * MINUTE]
    assert {one.handler for one in work.tasks()} == {"fail"}


def test_deleted_and_made_anew_it_makes_other_tasks(work: Clockwork) -> None:
    work.make("s", every=MINUTE)
    work.pass_time(MINUTE, SECOND)
    work.schedules.delete("s")
    work.clock.jump(-MINUTE)
    work.make("s", every=MINUTE)
    work.pass_time(MINUTE, SECOND)
    assert len({one.id for one in work.tasks()}) == 2


@pytest.mark.parametrize("way", [-HOUR, HOUR])
def test_a_clock_set_by_an_hour_doubles_and_loses_nothing(work: Clockwork, way: int) -> None:
    names = {misfire.value: work.make(misfire.value, every=MINUTE, misfire=misfire).cursor for misfire in Misfire}
    work.make("cron", cron="*/7 * * * *")
    work.pass_time(20 * MINUTE, SECOND)
    work.clock.jump(way)
    work.pass_time(2 * HOUR, 7 * SECOND)
    for name in (*names, "cron"):
        stored = work.stored(name)
        due = Spec.decode(stored.spec).recurrence().due(names.get(name, names["skip"]), stored.cursor)
        made = work.due(name)
        assert len(made) == len(set(made))
        assert set(made) <= set(due)
        assert len(made) + sum(stored.skipped.values()) == len(due)
        assert len(due) >= (140 if name != "cron" else 20) - 60


def test_a_store_that_cannot_is_asked_again(work: Clockwork) -> None:
    """Its disk is full for a while: nothing is lost, and the leader does not run in circles."""
    work.make("s", every=MINUTE)
    execute, refused = work.store.execute, []

    def full(verbs: Any) -> list[Any]:
        refused.extend(verb for verb in verbs if isinstance(verb, v.Tick))
        return [StoreFull("no room to write")] * len(verbs)

    work.store.execute = full  # type: ignore[method-assign]
    work.pass_time(MINUTE + 10 * SECOND, SECOND)
    assert 5 <= len(refused) <= 11
    work.store.execute = execute  # type: ignore[method-assign]
    work.pass_time(2 * RETRY, SECOND)
    assert len(work.due("s")) == 1


def test_thousands_of_changes_are_not_thousands_of_looks(work: Clockwork) -> None:
    for number in range(500):
        work.schedules.create(f"s{number}", Spec(handler="echo", payload=b"1", every=HOUR), False)
    work.changed()
    looks = []
    schedules = work.store.schedules
    work.store.schedules = lambda: looks.append(1) or schedules()  # type: ignore[func-returns-value, method-assign]
    for _ in range(100):
        work.schedules.pause("s1")
        work.schedules.resume("s1")
        work.clock.advance(MILLISECOND)
        work.changed()
    assert 1 <= len(looks) <= 2
    [*_, (delay, _, message)] = work.desk.ticker.alarms
    assert message == SchedulesChanged()
    work.clock.advance(delay)
    work.changed()
    assert len(looks) <= 3


# -- in code -----------------------------------------------------------------------------------------------------------


@task("sweep", every="1m")
def sweep() -> None:
    """A handler with a schedule beside it."""


def test_one_in_code_fires_while_somebody_declares_it() -> None:
    work = Clockwork(handlers={**HANDLERS, "sweep": sweep.handler})
    spec = Spec(handler="sweep", payload=b"{}", every=MINUTE, owner=Owner.CODE, anchor=work.clock.now())
    work.schedules.declare("sweep", spec)
    work.changed()
    work.pass_time(3 * MINUTE, SECOND)
    assert len(work.due("sweep")) == 3


def test_one_that_nobody_declares_is_counted_as_paused(work: Clockwork) -> None:
    spec = Spec(handler="sweep", payload=b"{}", every=MINUTE, owner=Owner.CODE, anchor=work.clock.now())
    work.schedules.declare("sweep", spec)
    work.changed()
    work.pass_time(3 * HOUR, MINUTE)
    assert work.due("sweep") == []
    view = work.schedules.one("sweep")
    assert (view.paused, view.orphaned, view.skipped) == (True, True, {"paused": 180})


def test_declaring_the_same_again_changes_nothing_and_keeps_a_pause(work: Clockwork) -> None:
    spec = Spec(handler="sweep", payload=b"{}", every=MINUTE, owner=Owner.CODE, anchor=work.clock.now())
    work.schedules.declare("sweep", spec)
    work.schedules.pause("sweep")
    before, revision = work.stored("sweep"), work.store.revision()
    work.clock.advance(10 * SECOND)
    later = Spec(handler="sweep", payload=b"{}", every=MINUTE, owner=Owner.CODE, anchor=work.clock.now())
    work.schedules.declare("sweep", later)
    assert (work.stored("sweep"), work.store.revision()) == (before, revision)


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [Code.STALE, Code.REFUSED, Code.NOT_FOUND])
def test_a_tick_that_is_refused_makes_it_read_them_anew(work: Clockwork, code: Code) -> None:
    work.make("s", every=MINUTE)
    work.post.clear()
    work.clock.advance(MINUTE)
    firing = work.leader._firing
    [tick] = firing._timetable.ticks("me", 1, work.clock.now())
    work.leader.on_receive(Written(results=(v.Answer(code),), ticket=tick))
    looks = [message for _, message in work.post if isinstance(message, LookAtSchedules)]
    assert [look.revision for look in looks] == [None]


def test_a_tick_that_was_not_done_is_said(work: Clockwork, caplog: pytest.LogCaptureFixture) -> None:
    work.make("s", every=MINUTE)
    work.clock.advance(MINUTE)
    [tick] = work.leader._firing._timetable.ticks("me", 1, work.clock.now())
    work.leader.on_receive(Written(results=(StoreError("cannot"),), ticket=tick))
    assert "a tick of schedule s was not done: cannot" in caplog.text


# -- summer time -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "day", "expected"),
    [
        ("30 2 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]),
        ("30 2 * * *", "2026-10-24T12:00:00Z", ["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]),
        ("0 */12 * * *", "2026-10-24T12:00:00Z", [
            "2026-10-24T22:00:00.000Z",
            "2026-10-25T11:00:00.000Z",
            "2026-10-25T23:00:00.000Z",
            "2026-10-26T11:00:00.000Z",
        ]),
    ],
)  # fmt: skip
def test_the_nights_when_clocks_are_set(work: Clockwork, cron: str, day: str, expected: list[str]) -> None:
    work.clock.jump(parse_time(day) - work.clock.now())
    work.make("s", cron=cron, timezone="Europe/Berlin")
    work.pass_time(2 * DAY, 20 * SECOND)
    assert [format_time(moment) for moment in work.due("s")] == expected
    assert work.stored("s").skipped == {}

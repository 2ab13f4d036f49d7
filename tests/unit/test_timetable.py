"""The leader's timetable alone: what is due when, and what happens to ticks that are lost, late or refused."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from actors.timetable import ANSWER_WITHIN, IDLE_LOOK, ORPHAN_LOOK, RETRY, TICKS_AT_ONCE, Timetable
from storage import verbs as v
from taskqueue.core import schedule as core
from taskqueue.core.clock import HOUR, MINUTE, SECOND
from taskqueue.core.config import Config
from taskqueue.core.errors import InvalidInput
from taskqueue.core.schedule import Owner, Spec
from taskqueue.core.times import parse_time
from taskqueue.core.views import Declaration

NOW = parse_time("2026-11-24T05:00:00Z")


def stored(id: str = "s", *, paused: bool = False, cursor: int = NOW, generation: int = 1, **fields: Any) -> v.Schedule:
    spec = Spec(**{"handler": "echo", "payload": b"1", "anchor": NOW, "every": MINUTE, **fields})
    return v.Schedule(id=id, spec=spec.encode(), cursor=cursor, paused=paused, generation=generation)


def table(*schedules: v.Schedule, declared: dict[str, Declaration] | None = None) -> Timetable:
    made = Timetable(Config())
    made.declare(declared or {}, NOW)
    made.load(schedules, 1, NOW)
    return made


def ticks(made: Timetable, now: int) -> list[v.Tick]:
    return made.ticks("me", 3, now)


def test_nothing_is_due_before_its_time() -> None:
    made = table(stored())
    assert made.next() == NOW + MINUTE
    assert ticks(made, NOW + MINUTE - 1) == []


def test_a_due_time_is_one_tick_with_its_task() -> None:
    made = table(stored())
    [tick] = ticks(made, NOW + MINUTE)
    assert (tick.leader, tick.epoch, tick.schedule, tick.generation) == ("me", 3, "s", 1)
    assert (tick.cursor, tick.upto, tick.skipped, tick.alone) == (NOW, NOW + MINUTE, {}, False)
    [draft] = tick.drafts
    assert (draft.handler, draft.payload, draft.run_at, draft.schedule) == ("echo", b"1", NOW + MINUTE, "s")
    assert ticks(made, NOW + MINUTE) == [], "it is on its way"
    made.settled(tick, True, NOW + MINUTE)
    assert made.next() == NOW + 2 * MINUTE


def test_what_its_handler_declares_is_in_the_task() -> None:
    declared = {"echo": Declaration(name="echo", queue="mail", retries=7)}
    [tick] = ticks(table(stored(), declared=declared), NOW + MINUTE)
    assert (tick.drafts[0].queue, tick.drafts[0].retries) == ("mail", 7)


def test_a_tick_that_was_not_done_is_asked_again() -> None:
    made = table(stored())
    [tick] = ticks(made, NOW + MINUTE)
    made.settled(tick, False, NOW + MINUTE)
    assert made.next() == NOW + MINUTE + RETRY
    [again] = ticks(made, NOW + MINUTE + RETRY)
    assert (again.cursor, again.drafts) == (tick.cursor, tick.drafts)


def test_a_tick_whose_answer_is_lost_is_asked_again() -> None:
    made = table(stored())
    [tick] = ticks(made, NOW + MINUTE)
    assert ticks(made, NOW + MINUTE + ANSWER_WITHIN - 1) == []
    [again] = ticks(made, NOW + MINUTE + ANSWER_WITHIN)
    assert (again.cursor, again.drafts[0].id) == (tick.cursor, tick.drafts[0].id)


def test_an_answer_to_what_is_another_by_now_changes_nothing() -> None:
    made = table(stored())
    [tick] = ticks(made, NOW + MINUTE)
    made.load([stored(generation=2, every=HOUR)], 2, NOW + MINUTE)
    made.settled(tick, True, NOW + MINUTE)
    assert made.next() == NOW + HOUR
    made.settled(replace(tick, schedule="gone"), True, NOW + MINUTE)
    made = table(stored())
    [tick] = ticks(made, NOW + MINUTE)
    made.load([stored(cursor=NOW + 5 * MINUTE)], 2, NOW + MINUTE)
    made.settled(tick, True, NOW + MINUTE)
    assert made.next() == NOW + 6 * MINUTE


def test_a_tick_on_its_way_is_not_sent_again_because_others_have_changed() -> None:
    made = table(stored("a"), stored("b", every=HOUR))
    assert [tick.schedule for tick in ticks(made, NOW + MINUTE)] == ["a"]
    made.load([stored("a"), stored("b", generation=2, every=2 * HOUR)], 2, NOW + MINUTE)
    assert ticks(made, NOW + MINUTE) == []


def test_what_has_gone_does_not_fire() -> None:
    made = table(stored("a"), stored("b"))
    made.load([stored("b")], 2, NOW)
    assert [tick.schedule for tick in ticks(made, NOW + MINUTE)] == ["b"]
    assert len(made) == 1


def test_so_many_at_once() -> None:
    made = table(*(stored(f"s{number}") for number in range(TICKS_AT_ONCE + 5)))
    first = ticks(made, NOW + MINUTE)
    assert len(first) == TICKS_AT_ONCE
    assert made.next() == NOW + MINUTE, "the others want to be looked at now"
    assert len(ticks(made, NOW + MINUTE)) == 5


def test_a_paused_one_is_counted_now_and_then() -> None:
    made = table(stored(paused=True))
    assert made.next() == NOW + IDLE_LOOK
    [tick] = ticks(made, NOW + IDLE_LOOK)
    assert (tick.drafts, tick.skipped) == ((), {"paused": IDLE_LOOK // MINUTE})


def test_a_schedule_in_code_fires_only_while_it_is_declared() -> None:
    made = table(stored("sweep", owner=Owner.CODE), declared={"sweep": Declaration(name="sweep", scheduled=True)})
    [tick] = ticks(made, NOW + MINUTE)
    made.settled(tick, True, NOW + MINUTE)
    made.declare({}, NOW + 2 * MINUTE)
    [tick] = ticks(made, NOW + 2 * MINUTE)
    assert (tick.drafts, tick.skipped) == ((), {"paused": 1})
    made.settled(tick, True, NOW + 2 * MINUTE)
    made.declare({"sweep": Declaration(name="sweep", scheduled=True)}, NOW + 2 * MINUTE)
    assert ticks(made, NOW + 2 * MINUTE) == []
    [tick] = ticks(made, NOW + 3 * MINUTE)
    assert (len(tick.drafts), tick.skipped) == (1, {})


@pytest.mark.parametrize("reloaded", [False, True])
def test_what_was_due_while_nobody_declared_it_stays_paused_when_somebody_does(reloaded: bool) -> None:
    """It was shown as skipped, so no rule for what was missed may make tasks of it."""
    schedule = stored("sweep", owner=Owner.CODE, misfire=core.Misfire.RUN_ALL)
    made = table(schedule)
    made.declare({"sweep": Declaration(name="sweep", scheduled=True)}, NOW + 10 * MINUTE)
    if reloaded:  # who declares it has also changed it, but not its times
        spec = replace(Spec.decode(schedule.spec), payload=b"2")
        made.load([replace(schedule, spec=spec.encode(), generation=2)], 2, NOW + 10 * MINUTE)
    [tick] = ticks(made, NOW + 11 * MINUTE)
    assert (tick.upto, tick.drafts, tick.skipped) == (NOW + 10 * MINUTE, (), {"paused": 10})
    made.settled(tick, True, NOW + 11 * MINUTE)
    [tick] = ticks(made, NOW + 11 * MINUTE)
    assert (len(tick.drafts), tick.skipped) == (1, {})


def test_one_that_nobody_declares_is_counted_every_minute() -> None:
    """The next process may declare it, and does not know since when nobody did."""
    made = table(stored("sweep", owner=Owner.CODE))
    assert made.next() == NOW + ORPHAN_LOOK
    [tick] = ticks(made, NOW + ORPHAN_LOOK)
    assert (tick.drafts, tick.skipped) == ((), {"paused": ORPHAN_LOOK // MINUTE})


def test_until_it_is_known_who_declares_what_nothing_fires() -> None:
    made = Timetable(Config())
    made.load([stored(), stored("sweep", owner=Owner.CODE)], 1, NOW)
    assert made.next() is None
    assert ticks(made, NOW + HOUR) == []
    made.declare({"sweep": Declaration(name="sweep", scheduled=True)}, NOW + HOUR)
    assert sorted(tick.schedule for tick in ticks(made, NOW + HOUR)) == ["s", "sweep"]


def test_declarations_that_come_and_go_leave_one_look_each() -> None:
    one = {"sweep": Declaration(name="sweep", scheduled=True)}
    made = table(stored("sweep", owner=Owner.CODE))
    for _ in range(10):
        made.declare(one, NOW)
        made.declare({}, NOW)
    assert ticks(made, NOW) == []
    assert ticks(made, NOW) == []
    assert made.next() == NOW + ORPHAN_LOOK


@pytest.mark.parametrize("way", [-HOUR, HOUR])
def test_a_clock_that_jumps_doubles_nothing(way: int) -> None:
    made = table(stored(misfire=core.Misfire.RUN_ALL))
    due: list[int] = []
    now = NOW
    for second in range(3 * 60 * 60):
        now += SECOND + (way if second == 4_000 else 0)
        for tick in ticks(made, now):
            due += [draft.run_at or 0 for draft in tick.drafts]
            made.settled(tick, True, now)
    assert due == list(range(NOW + MINUTE, due[-1] + 1, MINUTE))
    assert due[-1] == max(now, NOW + 4_000 * SECOND) // MINUTE * MINUTE


def test_what_cannot_be_read_is_said_and_stops_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    lost = stored("lost", every=None, cron="@hourly", timezone="Atlantis/Capital")
    made = table(v.Schedule(id="torn", spec=b"{", cursor=NOW), lost, stored("good"))
    assert [tick.schedule for tick in ticks(made, NOW + MINUTE)] == ["good"]
    assert [record.getMessage().split()[1] for record in caplog.records] == ["torn", "lost"]


def test_what_makes_no_task_is_said_once_and_stops_nobody_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = table(stored("bad"), stored("good", every=2 * MINUTE))

    def refuse(*given: Any, **named: Any) -> Any:
        if given[1] == "bad":
            raise InvalidInput([("$.parameters.queue", "no")])
        return core.drafts(*given, **named)

    monkeypatch.setattr("actors.timetable.drafts", refuse)
    assert ticks(made, NOW + MINUTE) == []
    assert [tick.schedule for tick in ticks(made, NOW + 2 * MINUTE)] == ["good"]
    assert [record.getMessage() for record in caplog.records] == [
        "schedule bad cannot make its task: $.parameters.queue: no"
    ]

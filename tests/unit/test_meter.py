"""What is counted: the meter, its metrics, the tally that goes to the store, and the statistics read from it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from actors.metrics import OTHER, Metrics
from actors.statistics import RECENT, statistics
from actors.watchers import Rates
from api.app import ROUTES
from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core import tally
from taskqueue.core.clock import HOUR, MILLISECOND, MINUTE, SECOND
from taskqueue.core.task import Cause, Status, TaskError
from taskqueue.core.views import QueueStats, QueueView
from tests.postoffice import Desk, claimed

NOW = 1_790_000_000 * SECOND


@pytest.fixture
def desk() -> Desk:
    return Desk()


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by its name and its labels' values, in the order of their names; creation times left out."""
    families = text_string_to_metric_families(metrics.text().decode())
    found = [one for family in families for one in family.samples]
    return {
        (one.name, tuple(value for _, value in sorted(one.labels.items()))): one.value
        for one in found
        if not one.name.endswith("_created")
    }


def ended(desk: Desk, event: ev.Event, status: Status | None, *, took: int = 8 * MILLISECOND, **changes: Any) -> None:
    run = desk.begun(**changes)
    run.finished = (run.started or 0) + took
    desk.meter.ended([(run, event, status)])
    desk.pool.settle(run.key)


def owned(kind: type[Any], **fields: Any) -> Any:
    return kind(id="t1", op="1", owner="me-1", fence=7, **fields)


def failure(cause: Cause = Cause.ERROR) -> ev.Event:
    event: ev.Event = owned(ev.Fail, type="E", message="no", cause=cause)
    return event


# -- what happened ---------------------------------------------------------------------------------------------------


def test_what_ends_is_counted_by_how_it_ended(desk: Desk) -> None:
    ended(desk, owned(ev.Complete, result=None), Status.COMPLETED)
    ended(desk, failure(), Status.FAILED)
    ended(desk, failure(Cause.TIMEOUT), Status.FAILED)
    ended(desk, failure(), Status.DEAD_LETTERED)
    ended(desk, owned(ev.Snooze, delay=SECOND), Status.PENDING)
    ended(desk, owned(ev.Release), Status.PENDING)
    shown = samples(desk.meter.metrics)
    outcomes = {labels[1]: n for (name, labels), n in shown.items() if name == "taskqueue_tasks_finished_total"}
    assert outcomes == {"completed": 1, "failed": 2, "timeout": 1, "snoozed": 1, "released": 1}
    assert shown["taskqueue_retries_total", ()] == 2
    assert shown["taskqueue_dead_letters_total", ("error", "echo")] == 1
    assert shown["taskqueue_run_seconds_count", ("echo",)] == 6
    assert shown["taskqueue_run_seconds_sum", ("echo",)] == pytest.approx(0.048)
    counts = desk.meter.take()
    told = {name: count for name, count in counts.items() if ":" not in name}
    assert told == {"completed": 1, "failed": 3, "dead": 1, "completed@echo": 1, "failed@echo": 3}
    assert counts[f"run@echo:{tally.bucket(8 * MILLISECOND)}"] == 6


def test_what_goes_back_is_not_among_the_finished_of_its_queue(desk: Desk) -> None:
    """As in the statistics: a node that gives back what it claimed ahead has done nothing."""
    desk.clock.advance(MINUTE)
    before = desk.meter.rates.of("default")
    ended(desk, owned(ev.Release), Status.PENDING)
    ended(desk, owned(ev.Snooze, delay=SECOND), Status.PENDING)
    assert desk.meter.rates.of("default") == before
    ended(desk, failure(), Status.FAILED)
    ended(desk, owned(ev.Complete, result=None), Status.COMPLETED)
    assert desk.meter.rates.of("default") == (0.0, 2 / 60)


def test_what_never_began_has_no_times(desk: Desk) -> None:
    run = desk.begun()
    run.started = None
    desk.meter.ended([(run, owned(ev.Release), Status.PENDING)])
    assert ("taskqueue_run_seconds_count", ("echo",)) not in samples(desk.meter.metrics)
    assert desk.meter.take() == {}


def test_waiting_is_from_when_it_was_due_to_when_it_began(desk: Desk) -> None:
    run = desk.begun()
    run.arrived, run.started, run.finished = 1_000_000, 1_500_000, 1_500_100
    run.task = claimed(run_at=desk.clock.now())
    desk.meter.ended([(run, owned(ev.Complete, result=None), Status.COMPLETED)])
    assert samples(desk.meter.metrics)["taskqueue_wait_seconds_sum", ("echo",)] == pytest.approx(0.5)


def test_what_others_gave_up_is_counted_once(desk: Desk) -> None:
    error = TaskError("Expired", "too late", Cause.EXPIRED)
    dead = replace(claimed(), status=Status.DEAD_LETTERED, error=error)
    desk.meter.dead((dead, replace(dead, status=Status.PENDING, error=None)))
    assert samples(desk.meter.metrics)["taskqueue_dead_letters_total", ("expired", "echo")] == 1
    assert desk.meter.take() == {"dead": 1}


def test_what_the_store_did_not_take_goes_with_the_next(desk: Desk) -> None:
    desk.meter.submitted("default", "echo")
    taken = desk.meter.take()
    desk.meter.submitted("default", "echo")
    desk.meter.give_back(taken)
    assert desk.meter.take() == {"submitted": 2}
    assert desk.meter.take() == {}


class Yielding(Counter[str]):
    """Lets others go first between reading a count and writing it."""

    def __getitem__(self, key: str) -> int:
        value: int = self.get(key, 0)
        time.sleep(0)  # gives the interpreter away
        return value


def test_no_count_is_lost_between_threads(desk: Desk) -> None:
    desk.meter._counts = Yielding()

    def count() -> None:
        for number in range(1_000):
            desk.meter.submitted(f"q{number}", "echo")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.meter.take() == {"submitted": 4_000}
    assert samples(desk.meter.metrics)["taskqueue_tasks_submitted_total", ("echo", OTHER)] == 4_000


# -- labels ----------------------------------------------------------------------------------------------------------


def test_no_label_takes_what_a_client_invents() -> None:
    metrics = Metrics(["echo"], ["default"])
    for number in range(10_000):
        metrics.submitted(f"queue-{number}", f"handler-{number}")
        metrics.dead(f"handler-{number}", "expired")
    views = [
        QueueView(name=f"queue-{n}", paused=False, counts={Status.PENDING: 2}, oldest=NOW - n * SECOND, lanes=())
        for n in range(1_000)
    ]
    metrics.look(
        [QueueStats(view=view, submitted_per_second=0, finished_per_second=0, unserved=()) for view in views], NOW
    )
    shown = samples(metrics)
    labels = {value for (name, values) in shown for value in values if "seconds" not in name and "batch" not in name}
    assert labels == {OTHER, "expired", "pending"}
    assert shown["taskqueue_tasks_submitted_total", (OTHER, OTHER)] == 10_000
    assert shown["taskqueue_tasks", (OTHER, "pending")] == 2_000
    assert shown["taskqueue_oldest_waiting_seconds", (OTHER,)] == 999


def test_what_live_nodes_declare_has_its_name() -> None:
    metrics = Metrics([], [])
    metrics.declare(["mail.send"], ["mail"])
    metrics.submitted("mail", "mail.send")
    assert samples(metrics)["taskqueue_tasks_submitted_total", ("mail.send", "mail")] == 1


def test_what_has_gone_is_shown_no_more() -> None:
    metrics = Metrics([], ["a"])
    view = QueueView(name="a", paused=False, counts={Status.PENDING: 2}, oldest=None, lanes=())
    metrics.look([QueueStats(view=view, submitted_per_second=0, finished_per_second=0, unserved=())], NOW)
    assert ("taskqueue_tasks", ("a", "pending")) in samples(metrics)
    metrics.look([], NOW)
    assert ("taskqueue_tasks", ("a", "pending")) not in samples(metrics)


def test_the_verb_of_a_commit_is_one_of_the_contract() -> None:
    metrics = Metrics([], [])
    report = owned(ev.Report, fraction=0.5, note="")
    verbs = [v.SubmitAll((), 1), v.PromoteDue(leader="a", epoch=1), v.Tally(0, {}), report]
    for verb in verbs:
        metrics.wrote(verb, 3, 2_000)
    labels = {values[0] for (name, values) in samples(metrics) if name == "taskqueue_store_seconds_count"}
    assert labels == {"submit", "promote", "tally", "progress"}
    assert samples(metrics)["taskqueue_store_batch_sum", ()] == 12


def test_a_label_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look one up costs more than to count: every further answer of a route and status has it at hand."""
    looked_up: list[tuple[Any, ...]] = []
    labels = MetricWrapperBase.labels

    def counted(self: Any, *values: Any, **named: Any) -> Any:
        looked_up.append(values)
        return labels(self, *values, **named)

    metrics = Metrics([], [])
    monkeypatch.setattr(MetricWrapperBase, "labels", counted)
    for _ in range(3):
        for status in (200, 404):
            metrics.answered(ROUTES[0].template, status)
    assert len(looked_up) <= 2


# -- tallies and statistics --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("span", [0, 1, 2, 3, 999, 1_000, 123_456, 10**9])
def test_a_span_is_in_the_smallest_bucket_that_holds_it(span: int) -> None:
    number = tally.bucket(span)
    assert span <= tally.ceiling(number) * 1.000001
    assert number == 0 or tally.ceiling(number - 1) < span
    assert span == 0 or tally.ceiling(number) <= max(1, span) * 2**0.25 * 1.000001


def test_percentiles() -> None:
    assert tally.percentiles({}) is None
    found = tally.percentiles({0: 50, 4: 45, 8: 4, 12: 1})
    assert found == {"p50": 0.001, "p95": 0.002, "p99": 0.004}


def test_a_handler_s_name_may_look_like_anothers() -> None:
    counts = {"run@a:3": 1, "run@a:b:3": 2, "run@ab:3": 4, "run@a:7:3": 8}
    assert tally.histogram(counts, "run@a") == {3: 1}
    assert tally.histogram(counts, "run@a:b") == {3: 2}
    assert tally.histogram(counts, "run@a:7") == {3: 8}


def test_now_is_the_last_minutes_and_the_series_all() -> None:
    current = tally.minute(NOW)
    old, recent = current - RECENT * MINUTE, current - (RECENT - 1) * MINUTE
    counts = {"submitted": 260, "completed": 130, "failed": 26, "completed@a": 130, "failed@b": 26}
    tallies = {old: counts | {"pending": 4}, recent: counts | {"dead": 2}, current: {"pending": 9, "wait:0": 1}}
    stats = statistics(tallies, 7, NOW)
    assert (stats.submitted_per_second, stats.finished_per_second) == (1.0, 0.6)
    assert [(one.handler, one.completed, one.failed) for one in stats.handlers] == [("a", 130, 0), ("b", 0, 26)]
    assert [(point.at - current) // MINUTE for point in stats.series] == [-6, -5, -4, -3, -2, -1, 0]
    assert [point.submitted for point in stats.series] == [0, 260, 260, 0, 0, 0, 0]
    assert [point.pending for point in stats.series] == [None, 4, None, None, None, None, 9]
    assert (stats.series[2].dead_lettered, stats.series[-1].wait_p95) == (2, 0.001)


def test_rates_are_those_of_the_last_minute(desk: Desk) -> None:
    rates = Rates(desk.clock)
    desk.clock.advance(MINUTE)
    for _ in range(30):
        rates.submitted("a")
        rates.finished("b")
    assert (rates.of("a"), rates.of("b"), rates.of("c")) == ((0.5, 0.0), (0.0, 0.5), (0.0, 0.0))
    desk.clock.advance(MINUTE)
    assert rates.of("a") == (0.0, 0.0)


def test_minutes_that_lie_ahead_are_not_among_the_last_ones() -> None:
    """The clock was set back: what was counted before stands under minutes that are still to come."""
    present = tally.minute(NOW)
    tallies = {present + HOUR: {"submitted": 900, "completed": 900, "completed@echo": 900, "wait:40": 900}}
    stats = statistics(tallies, 5, NOW)
    assert (stats.submitted_per_second, stats.finished_per_second) == (0, 0)
    assert (stats.wait, stats.handlers) == (None, ())

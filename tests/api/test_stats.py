"""Statistics and metrics over REST: their shapes."""

from __future__ import annotations

from storage import verbs as v
from taskqueue.core.clock import MINUTE
from taskqueue.core.tally import minute

NONE = {"p50": None, "p95": None, "p99": None}


def test_the_shape_when_nothing_has_happened(api):
    answer = api.get("/api/stats", query_string="minutes=1")
    assert answer.json == {
        "now": {"submittedPerSecond": 0.0, "finishedPerSecond": 0.0, "waitMs": NONE, "runMs": NONE, "byHandler": []},
        "series": [
            {
                "at": "2026-09-21T14:13:00.000Z",
                "submitted": 0,
                "completed": 0,
                "failed": 0,
                "deadLettered": 0,
                "pending": None,
                "waitP95Ms": None,
            }
        ],
    }


def test_what_was_counted(api):
    counts = {
        "submitted": 26,
        "completed": 10,
        "failed": 3,
        "dead": 1,
        "wait:40": 9,
        "wait:80": 1,
        "completed@echo": 10,
        "failed@echo": 3,
        "run@echo:40": 13,
    }
    before = minute(api.clock.now()) - MINUTE
    api.gateway.store.execute([v.Tally(before, counts, {"pending": 13})])
    shown = api.get("/api/stats").json
    now = shown["now"]
    # Four whole minutes and 20 s of the present one.
    assert (now["submittedPerSecond"], now["finishedPerSecond"]) == (0.1, 0.05)
    assert now["waitMs"] == {"p50": 1.024, "p95": 1048.576, "p99": 1048.576}
    assert now["runMs"] == {"p50": 1.024, "p95": 1.024, "p99": 1.024}
    assert now["byHandler"] == [{"handler": "echo", "completed": 10, "failed": 3, "runMs": now["runMs"]}]
    assert len(shown["series"]) == 60
    assert shown["series"][-2] == {
        "at": "2026-09-21T14:12:00.000Z",
        "submitted": 26,
        "completed": 10,
        "failed": 3,
        "deadLettered": 1,
        "pending": 13,
        "waitP95Ms": 1048.576,
    }


def test_the_longest_history_is_a_day(api):
    series = api.get("/api/stats", query_string="minutes=1440").json["series"]
    times = [point["at"] for point in series]
    assert (len(times), times[0], times[-1]) == (1_440, "2026-09-20T14:14:00.000Z", "2026-09-21T14:13:00.000Z")
    assert times == sorted(set(times))


def test_metrics_are_text(api):
    answer = api.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text == "taskqueue_leader 1.0\n"

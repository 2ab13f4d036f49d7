"""The figures of a run add up to what was done: metrics, statistics and the store's own counts say the same."""

from __future__ import annotations

from collections import Counter
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.clients import Client, until
from tests.processes import Nodes


def scrape(client: Client) -> dict[str, Counter[tuple[str, ...]]]:
    """Values by name and labels (in the order of their names)."""
    reply = client.get("/metrics")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found: dict[str, Counter[tuple[str, ...]]] = {}
    for family in text_string_to_metric_families(reply.raw.decode()):
        for one in family.samples:
            labels = tuple(value for _, value in sorted(one.labels.items()))
            found.setdefault(one.name, Counter())[labels] = int(one.value)
    return found


def submit(client: Client, count: int, **body: Any) -> None:
    reply = client.post("/api/tasks/batch", {"tasks": [{"payload": {}, **body}] * count})
    assert {item["status"] for item in reply.json["items"]} == {201}


def test_they_add_up_and_outlive_a_restart(nodes: Nodes) -> None:
    node = nodes(backoff={"base": "10ms", "factor": 1, "max": "10ms", "jitter": 0})
    client = node.start()
    submit(client, 300, handler="echo")
    submit(client, 40, handler="fail", payload={"message": "no"}, parameters={"retries": 2})
    submit(client, 7, handler="echo", parameters={"delay": "1h", "expiresAt": "2020-01-01T00:00:00Z"})  # the leader's
    submit(client, 5, handler="echo", parameters={"expiresAt": "2020-01-01T00:00:00Z"})  # given up by a claim
    for number in range(20):  # what a client invents
        submit(client, 1, handler=f"invented-{number}", parameters={"queue": f"invented-{number}"})
        client.get(f"/api/invented-{number}")
    assert client.get("/", **{"q": "x" * 17_000}).status == 431
    client.post("/api/schedules", {"id": "s", "payload": None, "every": "100ms"})
    until(lambda: len(client.tasks(schedule="s", status="completed")) >= 3, 15, "the schedule fires")
    client.post("/api/schedules/s/pause")

    def done() -> bool:
        counts = client.counts()
        return counts["processing"] == counts["failed"] == 0 and counts["pending"] == 20

    until(done, 30, "all that can run has run")
    ticks = len(client.tasks(schedule="s"))
    counts = client.counts()
    assert (counts["completed"], counts["dead-lettered"], counts["pending"]) == (300 + ticks, 52, 20)

    until(lambda: sum(scrape(client)["taskqueue_dead_letters_total"].values()) == 52, 10, "all are counted")
    shown = scrape(client)
    assert shown["taskqueue_tasks_submitted_total"] == {
        ("echo", "default"): 312 + ticks,
        ("fail", "default"): 40,
        ("other", "other"): 20,
    }
    assert shown["taskqueue_tasks_finished_total"] == {("echo", "completed"): 300 + ticks, ("fail", "failed"): 120}
    assert shown["taskqueue_retries_total"] == {(): 80}
    assert shown["taskqueue_dead_letters_total"] == {("error", "fail"): 40, ("expired", "echo"): 12}
    stored = Counter(dict.fromkeys(counts, 0))
    for (queue, state), value in shown["taskqueue_tasks"].items():
        assert queue in ("default", "other")
        stored[state] += value
    assert stored == counts
    assert shown["taskqueue_run_seconds_count"] == {("echo",): 300 + ticks, ("fail",): 120}
    assert shown["taskqueue_wait_seconds_count"] == shown["taskqueue_run_seconds_count"]
    assert shown["taskqueue_in_flight"] == {(): 0}
    assert shown["taskqueue_leader"] == {(): 1}
    assert shown["taskqueue_http_requests_total"]["other", "404"] == 20
    assert shown["taskqueue_http_requests_total"]["none", "431"] == 1
    assert shown["taskqueue_http_requests_total"]["/api/tasks/batch", "207"] == 24
    assert set(shown["taskqueue_actor_inbox"]) >= {("leader",), ("queue",), ("storage",)}
    assert not any("invented" in label for labels in shown.values() for key in labels for label in key)

    assert node.end().code == 0
    stats = node.start().get("/api/stats").json
    sums = Counter(dict.fromkeys(("submitted", "completed", "failed", "deadLettered"), 0))
    for point in stats["series"]:
        sums.update({name: point[name] for name in sums})
    assert sums == {
        "submitted": 372 + ticks,
        "completed": 300 + ticks,
        "failed": 120,
        "deadLettered": 52,
    }
    shown_by = {one["handler"]: (one["completed"], one["failed"]) for one in stats["now"]["byHandler"]}
    assert shown_by == {"echo": (300 + ticks, 0), "fail": (0, 120)}
    assert 0 < stats["now"]["runMs"]["p50"] <= stats["now"]["runMs"]["p99"]


def test_rates_and_ages_of_the_queues(nodes: Nodes) -> None:
    client = nodes().start()
    submit(client, 30, handler="echo")
    submit(client, 2, handler="nobody-serves-it")
    until(lambda: client.counts()["completed"] == 30, 15, "they ran")
    (queue,) = client.get("/api/queues").json["queues"]
    assert queue["submittedPerSecond"] > 0
    assert queue["finishedPerSecond"] > 0
    assert (queue["pending"], queue["unserved"]) == (2, ["nobody-serves-it"])
    until(lambda: client.get("/api/queues").json["queues"][0]["oldestAge"] > 0.2, 10, "it grows older")

"""The wall clock is set by an hour under a node at work, either way: each due time is one task or one counted skip, and
the log says it.
"""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from taskqueue.core.clock import HOUR, SECOND, SystemClock
from tests.clients import Client, until
from tests.running import Running

EVERY = 10
RULES = ("skip", "runOnce", "runAll")


class Settable(SystemClock):
    """The machine's clock, and how far it was set."""

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead


class Chores:
    """A schedule of each rule for what is missed, due every ten seconds."""

    def __init__(self, client: Client, clock: Settable) -> None:
        self.client = client
        self.clock = clock
        self.begin = {rule: self._make(rule) for rule in RULES}

    def _make(self, rule: str) -> float:
        body = {"id": rule, "payload": None, "every": f"{EVERY}s", "misfire": rule}
        reply = self.client.post("/api/schedules", body)
        assert reply.status == 201
        return seconds(reply.json["nextRunAt"]) - EVERY

    def due(self, rule: str) -> int:
        """How many due times there have been, by the clock as it is now."""
        return int((self.clock.now() / SECOND - self.begin[rule]) / EVERY + 1e-6)

    def made(self, rule: str) -> list[float]:
        """When its tasks were due, in order."""
        return sorted(seconds(task["runAt"]) for task in self.client.tasks(schedule=rule))

    def decided(self, rule: str) -> int:
        shown: dict[str, Any] = self.client.get(f"/api/schedules/{rule}").json
        return len(self.made(rule)) + sum(shown["skipped"].values())

    def settle(self) -> None:
        """Wait until every due time is decided."""
        for rule in RULES:
            until(lambda rule=rule: self.decided(rule) >= self.due(rule), 30, f"{rule} is up to date")  # type: ignore[misc]

    def check(self) -> None:
        for rule in RULES:
            before = self.due(rule)
            decided = self.decided(rule)
            assert before <= decided <= self.due(rule), rule
            made = self.made(rule)
            assert len(set(made)) == len(made), "none is doubled"
            numbers = [(at - self.begin[rule]) / EVERY for at in made]
            assert numbers == pytest.approx([round(number) for number in numbers]), "tasks say when they were due"


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def jumps(caplog: pytest.LogCaptureFixture) -> int:
    return sum(getattr(record, "event", None) == "clock_jump" for record in caplog.records)


@pytest.mark.parametrize("way", [(HOUR, -HOUR, 2 * HOUR), (-HOUR, 2 * HOUR)], ids=["ahead first", "back first"])
def test_a_clock_that_is_set_by_an_hour(tmp_path: Path, caplog: pytest.LogCaptureFixture, way: tuple[int, ...]) -> None:
    caplog.set_level(logging.WARNING, logger="taskqueue")
    clock = Settable()
    with Running(tmp_path, clock=clock) as node:
        chores = Chores(node.client, clock)
        for number, step in enumerate(way, 1):
            clock.ahead += step
            until(lambda number=number: jumps(caplog) >= number, 30, "the log says it")  # type: ignore[misc]
            chores.settle()
            if step > 0:
                chores.check()
        node.client.settled()
        most, least = len(chores.made("runAll")), len(chores.made("skip"))
        assert most >= sum(way) // HOUR * 3600 // EVERY, "every one of the hour that was missed"
        assert least < most / 10, "none of them"
        assert least <= len(chores.made("runOnce")) <= least + len(way)
        assert node.asked is None, "the node is well"

"""The simulator itself: a seed is one story, and who breaks a law is told so, with what happened before."""

from __future__ import annotations

import pytest

from actors.metrics import Metrics
from taskqueue.core.task import Task
from tests.postoffice import HANDLERS
from tests.simulation.broken import Broken
from tests.simulation.law import Law
from tests.simulation.plan import KINDS
from tests.simulation.runs import run, tell
from tests.simulation.world import World


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(HANDLERS, ("default",))


def test_the_same_seed_is_the_same_story(metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", logger="taskqueue")
    stories = []
    for _ in range(2):
        world = World(5, metrics, kind="nodes", told=True)
        world.run()
        assert world.story is not None
        stories.append((world.happened, world.seen, world.story.of()))
    assert stories[0] == stories[1]
    assert stories[0][0] > 500


@pytest.mark.parametrize("kind", [kind for kind, _ in KINDS])
def test_of_each_kind_there_is_a_run(kind: str) -> None:
    seen = run(range(3), kind)
    assert (seen.runs, seen.kinds[kind], seen.failed) == (3, 3, [])
    assert seen.met["claims"] > 30


def test_one_node_is_enough() -> None:
    assert run(range(5), "nodes", nodes=1).failed == []


def test_a_broken_law_is_told_with_the_story_of_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def starts(_: Law, task: Task) -> None:
        if task.id == "t3":
            raise Broken("X1", "nobody may start this", task.id)

    monkeypatch.setattr(Law, "starts", starts)
    seen = run(range(1), "calm")
    assert seen.failed == [(0, "Broken X1: nobody may start this")]
    story = tell(0, "calm")
    assert story.startswith("seed 0, calm")
    assert story.endswith("X1: nobody may start this")
    lines = [line.split()[1:] for line in story.splitlines() if line.split()[1] == "t3"]
    words = [words[1] for words in lines]
    assert words[0] == "Submit"
    assert {*words} <= {"Submit", "is", "PromoteDue", "Claim"}
    assert "Claim" in words
    assert not any(line.split()[1] == "t4" for line in story.splitlines())

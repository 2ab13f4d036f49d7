"""status, audit, top, bench, completion."""

from __future__ import annotations

from taskqueue.cli import output
from taskqueue.cli.top import screen
from tests.cli.conftest import Call
from tests.clients import Client


def test_the_deployment_in_one_look(cli: Call) -> None:
    lines = {line.split("  ")[0]: line for line in cli("status").out.splitlines()}
    assert lines["mode"].endswith("standalone")
    assert lines["leader"].endswith("cli-node (term 1)")
    assert "dead-lettered" in lines
    answer = cli("status", "--json").json
    assert (answer["mode"], answer["durability"]) == ("standalone", "full")


def test_who_changed_what(cli: Call) -> None:
    """With tokens: see test_access.py."""
    cli("submit", "echo", "1", "--delay", "1h", "--id", "audited")
    cli("cancel", "audited")
    line = cli("audit").out.splitlines()[1].split()
    assert line[2:] == ["-", "cancel", "audited", "1"]
    newest = cli("audit", "--json").json["entries"][0]
    assert (newest["token"], newest["target"]) == (None, "audited")


SPAN = {"p50": 1.0, "p95": 2.5, "p99": None}
NOW = {
    "submittedPerSecond": 1234.5,
    "finishedPerSecond": 1.0,
    "waitMs": SPAN,
    "runMs": SPAN,
    "byHandler": [
        {"handler": "quick", "completed": 5, "failed": 0, "runMs": {**SPAN, "p95": 0.5}},
        {"handler": "slow", "completed": 1200, "failed": 3, "runMs": {**SPAN, "p95": 65_000.0}},
        {"handler": "unseen", "completed": 0, "failed": 0, "runMs": {"p50": None, "p95": None, "p99": None}},
    ],
}


def test_top_looks_once_where_nobody_watches(cli: Call) -> None:
    cli("submit", "fail", "{}", "--retries", "0", "--queue", "seen", "--wait")
    said = cli("top")
    assert said.code == 0
    for words in ("/s in", "last 5 minutes", "seen", "cli-node", "dead letters of"):
        assert words in said.out
    assert [*cli("top", "--json").json] == ["status", "stats", "queues", "nodes", "deadLetters"]


def test_top_begins_with_what_is_slow_and_what_is_late(cli: Call) -> None:
    cli("submit", "echo", "1", "--wait")
    seen = cli("top", "--json").json
    late = {**seen["queues"][0], "name": "late", "oldestAge": 90.0, "unserved": ["gone"]}
    idle = {**seen["queues"][0], "name": "idle", "oldestAge": None, "unserved": []}
    console = output.console()
    with console.capture() as captured:
        console.print(*screen({**seen, "stats": {"now": NOW}, "queues": [idle, late]}, "it is away"), sep="\n")
    lines = captured.get().splitlines()
    words = [line.split() for line in lines]
    assert lines[0].strip() == "it is away"
    first = [line[0] for line in words if line]
    assert first.index("slow") < first.index("quick") < first.index("unseen")
    assert first.index("late") < first.index("idle")
    assert ["slow", "1,200", "3", "1.0ms", "65.0s", "-"] in words
    assert "1,234.5/s" in captured.get()


def test_a_measurement_counts_and_cleans_up(cli: Call, node: Client) -> None:
    before = node.counts()
    said = cli("bench", "--tasks", "300", "--batch", "100", "--singles", "3", "--queue", "measured")
    assert said.code == 0
    assert "300, 300 completed in 300 runs" in said.out
    assert "It tells two settings apart, not two products." in said.out
    seen = cli("bench", "--tasks", "5", "--singles", "1", "--json").json
    assert (seen["tasks"], seen["completed"], seen["attempts"]) == (5, 5, 5)
    assert seen["finishedPerSecond"] > 0
    assert 0 < seen["submitMs"]["p50"] <= seen["roundTripMs"]["p50"]
    assert node.counts() == before


def test_a_measurement_that_stands_still_gives_up_and_cleans_up(cli: Call, node: Client) -> None:
    before = node.counts()["pending"]
    cli("queue", "pause", "stuck")
    said = cli("bench", "--tasks", "5", "--singles", "1", "--queue", "stuck", "--patience", "50ms")
    cli("queue", "resume", "stuck")
    assert (said.code, said.out) == (1, "")
    assert "no progress" in said.err
    assert "stuck" in said.err
    assert node.counts()["pending"] == before
    assert node.tasks(queue="stuck") == []


def test_shells_learn_to_complete(cli: Call) -> None:
    for shell in ("bash", "zsh", "fish"):
        said = cli("completion", shell)
        assert said.code == 0
        assert f"_TASKQUEUE_COMPLETE={shell}_complete" in said.out
    words = {"_TASKQUEUE_COMPLETE": "bash_complete", "COMP_WORDS": "taskqueue li", "COMP_CWORD": "1"}
    assert cli(env=words).out == "plain,list\n"
    words |= {"COMP_WORDS": "taskqueue list --status dead", "COMP_CWORD": "3"}
    assert cli(env=words).out == "plain,dead-lettered\n"
    for line, offered in (("node --port 1 --w", ["--workers"]), ("backup x --", ["--config", "--data-dir", "--help"])):
        words |= {"COMP_WORDS": f"taskqueue {line}", "COMP_CWORD": str(len(line.split()))}
        assert cli(env=words).out.splitlines() == [f"plain,{flag}" for flag in offered]

"""submit, list, show, cancel, retry, replay, delete: for people and for programs."""

from __future__ import annotations

import json
import time
from datetime import datetime

import pytest

from tests.cli.conftest import Call, Canned, called
from tests.clients import Client


def test_a_submit_prints_the_id(cli: Call, node: Client) -> None:
    said = cli("submit", "echo", '{"a": [1, "ü"]}', "--queue", "q1", "--priority", "high", "--tag", "t1", "--tag", "t2")
    assert (said.code, said.err) == (0, "")
    task = node.finished(said.out.strip())
    assert (task["payload"], task["queue"], task["priority"], task["tags"]) == ({"a": [1, "ü"]}, "q1", 7, ["t1", "t2"])


def test_every_parameter_is_sent(cli: Call, node: Client) -> None:
    options = ["--timeout", "30s", "--retries", "5", "--run-at", "2036-12-01T08:00:00Z", "--no-keep-result"]
    options += ["--expires-at", "2037-01-01T00:00:00Z", "--id", "all-of-them", "--idempotency-key", "key all"]
    assert cli("submit", "echo", "1", *options).out == "all-of-them\n"
    sent = node.task("all-of-them")["parameters"]
    assert (sent["timeout"], sent["retries"], sent["keepResult"]) == ("30s", 5, False)
    assert (sent["runAt"], sent["expiresAt"]) == ("2036-12-01T08:00:00.000Z", "2037-01-01T00:00:00.000Z")
    assert sent["idempotencyKey"] == "key all"
    again = cli("submit", "echo", "1", *[o for o in options if o not in ("--id", "all-of-them")])
    assert again.out == "all-of-them\n", "the key is known, whatever the id"
    assert cli("submit", "echo", "2", "--id", "delayed", "--delay", "3600").code == 0
    assert node.task("delayed")["status"] == "pending"


def test_json_is_the_answer_of_the_api(cli: Call, node: Client) -> None:
    created = cli("submit", "echo", "null", "--json").json
    assert [*created] == ["id", "status", "createdAt"]
    shown = cli("show", created["id"], "--json", "--wait", "20s")
    assert shown.json == node.task(created["id"])
    assert cli("--json", "show", created["id"]).out == shown.out, "the option may stand before the command"


def test_waiting_prints_the_result(cli: Call) -> None:
    said = cli("submit", "echo", "-", "--wait", input=b'{"from": "stdin"}')
    assert (said.code, json.loads(said.out)) == (0, {"from": "stdin"})
    whole = cli("submit", "echo", "7", "--wait", "--json").json
    assert (whole["status"], whole["result"]) == ("completed", 7)


def test_waiting_for_what_has_no_result_exits_1(cli: Call) -> None:
    said = cli("submit", "fail", '{"message": "no luck"}', "--retries", "0", "--wait", "--id", "luckless")
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines() == [
        "taskqueue: task luckless is dead-lettered (error): RuntimeError: no luck",
        "hint: taskqueue show luckless",
    ]
    late = cli("submit", "echo", "1", "--delay", "1h", "--wait", "--within", "50ms", "--id", "later")
    assert late.code == 1
    assert "later is pending" in late.err


def test_waiting_for_a_handler_that_nobody_serves_is_said_to_be_so(cli: Call) -> None:
    said = cli("submit", "ecko", "1", "--wait", "--within", "50ms", "--id", "mistyped")
    assert said.code == 1
    assert said.err.splitlines()[0].startswith("no node serves ecko now: it waits")
    assert "no node serves" not in cli("submit", "echo", "1", "--wait").err


def test_a_list_is_filtered_and_paged(cli: Call, node: Client) -> None:
    ids = [cli("submit", "echo", str(n), "--tag", "paged", "--wait", "--json").json["id"] for n in range(5)]
    said = cli("list", "--tag", "paged", "--status", "completed")
    lines = said.out.splitlines()
    assert lines[0].split() == [
        "id",
        "status",
        "handler",
        "queue",
        "prio",
        "attempt",
        "created",
        "(UTC)",
        "error",
        "or",
        "note",
    ]
    assert [line.split()[0] for line in lines[1:]] == ids[::-1]
    assert said.err == ""
    first = cli("list", "--tag", "paged", "--limit", "2", "--json").json
    assert [task["id"] for task in first["tasks"]] == ids[:2:-1]
    rest = cli("list", "--tag", "paged", "--cursor", first["nextCursor"], "--json").json
    assert [task["id"] for task in rest["tasks"]] == ids[2::-1]
    assert rest["nextCursor"] is None
    assert f"--cursor {first['nextCursor']}" in cli("list", "--tag", "paged", "--limit", "2").err
    pages = cli("list", "--tag", "paged", "--all", "--json").out.splitlines()
    assert [task["id"] for page in pages for task in json.loads(page)["tasks"]] == ids[::-1]
    none = cli("list", "--tag", "nobody")
    assert (none.code, none.out, none.err) == (0, "", "none\n")


def test_a_task_is_shown_with_its_attempts(cli: Call) -> None:
    cli("submit", "fail", '{"message": "alas"}', "--id", "shown", "--retries", "0", "--tag", "mark", "--wait")
    said = cli("show", "shown")
    assert said.code == 0
    lines = {line.split("  ")[0]: line for line in said.out.splitlines()}
    assert "dead-lettered" in lines["status"]
    assert '{"message":"alas"}' in lines["payload"]
    assert "error: RuntimeError: alas" in lines["error"]
    assert "mark" in lines["tags"]
    attempt = said.out.splitlines()[-1].split()
    assert (attempt[0], attempt[2], attempt[3]) == ("1", "failed", "cli-node")


def test_one_of_several_is_missing(cli: Call) -> None:
    cli("submit", "echo", "1", "--id", "there", "--wait")
    said = cli("show", "missing", "there", "--json")
    assert (said.code, said.json["id"]) == (1, "there")
    assert said.err.startswith("taskqueue: ")
    assert "missing" in said.err


def test_what_strangers_write_moves_no_cursor(cli: Call) -> None:
    nasty = "\x1b[31mred\x1b[0m\nnew line \u202eright [bold]no markup[/bold] <b>é😀"
    cli("submit", "fail", json.dumps({"message": nasty}), "--id", "nasty", "--retries", "0", "--wait")
    for said in (cli("list", "--limit", "1000"), cli("show", "nasty"), cli("submit", "echo", "1", "--id", "nasty")):
        text = said.out + said.err
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "[bold]no markup[/bold] <b>é😀" in cli("show", "nasty").out
    assert "\\x1b[31mred" in cli("show", "nasty").out


# -- acting ------------------------------------------------------------------------------------------------------------


def test_the_life_of_a_task_by_hand(cli: Call, node: Client) -> None:
    cli("submit", "fail", "{}", "--id", "steered", "--retries", "1")
    node.reaches("steered", "failed")
    assert cli("retry", "steered").out == "steered set to run now\n"
    node.reaches("steered", "dead-lettered")
    assert cli("replay", "steered", "--json").json["generation"] == 2
    node.reaches("steered", "failed")
    assert cli("cancel", "steered").out == "steered cancelled\n"
    refused = cli("cancel", "steered")
    assert (refused.code, refused.out) == (1, "")
    assert len(refused.err.splitlines()) == 2
    assert cli("delete", "steered").out == "steered deleted\n"
    gone = cli("delete", "steered")
    assert gone.code == 1
    assert "no task" in gone.err


def test_what_does_not_go_stops_no_other(cli: Call, node: Client) -> None:
    for name in ("first", "third"):
        cli("submit", "echo", "1", "--delay", "1h", "--id", name)
    said = cli("cancel", "-", input="first\nsecond third\n")
    assert said.code == 1
    assert said.out.splitlines() == ["first cancelled", "third cancelled"]
    assert "second" in said.err


@pytest.fixture
def waiting(cli: Call) -> str:
    """A tag with three tasks that wait."""
    tag = "waiting"
    for _ in range(3):
        assert cli("submit", "echo", "1", "--delay", "1h", "--tag", tag).code == 0
    return tag


def test_many_are_counted_and_asked_for(cli: Call, node: Client, waiting: str) -> None:
    assert cli("cancel", "--all", "--tag", waiting, "--dry-run").out == "3 tasks would be cancelled\n"
    assert cli("cancel", "--all", "--tag", waiting, "--dry-run", "--json").json == {"count": 3}
    no = cli("cancel", "--all", "--tag", waiting, input="n\n")
    assert (no.code, no.out) == (1, "")
    assert "cancel 3 tasks? [y/N]" in no.err
    nobody = cli("cancel", "--all", "--tag", waiting, input="")
    assert nobody.code == 2
    assert "--yes" in nobody.err
    assert {task["status"] for task in node.tasks(tag=waiting)} == {"pending"}
    yes = cli("cancel", "--all", "--tag", waiting, input="y\n")
    assert (yes.code, yes.out) == (0, "3 tasks cancelled\n")
    assert cli("delete", "--all", "--tag", waiting, "--yes", "--json").json == {"count": 3}
    assert node.tasks(tag=waiting) == []


def test_what_comes_after_the_count_is_left_alone(canned: Canned) -> None:
    canned.says("/api/tasks/bulk", 200, {"count": 7})
    before = time.time()
    assert called("cancel", "--all", "--tag", "t", input="y\n", url=canned.url).out == "7 tasks cancelled\n"
    count, act = canned.bodies
    assert count == {"action": "cancel", "filter": {"tag": "t"}, "dryRun": True}
    until_then = datetime.fromisoformat(act["filter"].pop("before")).timestamp()
    assert act == {"action": "cancel", "filter": {"tag": "t"}}
    assert before <= until_then <= time.time() + 1.1, "the second in which the server counted, whole"


def test_a_time_before_is_the_last_word(cli: Call, node: Client, waiting: str) -> None:
    said = cli("cancel", "--all", "--tag", waiting, "--before", "2020-01-01T00:00:00Z", "--yes")
    assert said.out == "0 tasks cancelled\n"
    assert cli("cancel", "--all", "--tag", waiting, "--handler", "echo", "--status", "pending", "--yes").code == 0

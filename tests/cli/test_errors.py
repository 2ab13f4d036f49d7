"""What goes wrong is one line and a hint on stderr, an exit code, and no traceback."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from taskqueue.cli.local import FLAGS
from taskqueue.core.settings import load
from tests.cli.conftest import Call, Canned, Said, called

PROBLEM = {"type": "about:blank", "title": "t", "status": 0, "detail": "so it is"}


def one_line_and_a_hint(said: Said, code: int) -> str:
    """What was said, where it was said as it has to be."""
    assert said.code == code, said
    assert said.out == ""
    line, hint = said.err.splitlines()
    assert line.startswith("taskqueue: ")
    assert hint.startswith("hint: ")
    return line.removeprefix("taskqueue: ")


WRONG = [
    (["nonsense"], "there is no command 'nonsense'"),
    (["lits"], "did you mean list?"),
    (["dead", "bury"], "there is no command 'bury'"),
    (["schedule", "lst"], "did you mean list?"),
    (["list", "--nope"], "--nope"),
    (["list", "extra"], "extra"),
    (["list", "--status", "done"], "--status"),
    (["list", "--limit", "0"], "--limit"),
    (["list", "--limit", "1001"], "--limit"),
    (["list", "--queue", "a b"], "expected a name"),
    (["list", "--cursor", "x"], "?cursor"),
    (["show"], "ID"),
    (["show", "a/b"], "expected an id"),
    (["show", "bulk"], "reserved"),
    (["show", "a", "--wait", "soon"], "expected a duration"),
    (["show", "a", "--wait", "61s"], "?wait"),
    (["submit"], "expected HANDLER and JSON"),
    (["submit", "echo"], "expected HANDLER and JSON"),
    (["submit", "echo", "plain text"], "is not JSON"),
    (["submit", "echo", ""], "is not JSON"),
    (["submit", "echo", "NaN"], "is not JSON"),
    (["submit", "echo", "[" * 100_000], "JSON"),
    (["submit", "ec ho", "1"], "expected a name"),
    (["submit", "echo", "1", "--priority", "urgent"], "expected low, normal, high, critical"),
    (["submit", "echo", "1", "--priority", "10"], "--priority"),
    (["submit", "echo", "1", "--timeout", "0s"], "above 0"),
    (["submit", "echo", "1", "--timeout", "5 minutes"], "expected a duration"),
    (["submit", "echo", "1", "--retries", "1001"], "--retries"),
    (["submit", "echo", "1", "--delay", "1s", "--run-at", "2036-12-01T08:00:00Z"], "not both"),
    (["submit", "echo", "1", "--run-at", "tomorrow"], "RFC 3339"),
    (["submit", "echo", "1", "--id", "batch"], "reserved"),
    (["submit", "echo", "1", "--idempotency-key", ""], "printable"),
    (["submit", "echo", "1", "--within", "1s"], "--wait"),
    (["submit", "echo", "1", *[word for n in range(21) for word in ("--tag", f"t{n}")]], "$.parameters.tags"),
    (["submit", "echo", "--from", "/no/such/file"], "--from"),
    (["submit", "echo", "1", "--from", "-"], "JSON is for one task"),
    (["submit", "--from", "-", "--id", "x"], "--id is for one task"),
    (["submit", "--from", "-", "--wait"], "--wait is for one task"),
    (["submit", "sleep", '{"seconds": "long"}'], "$.payload.seconds"),
    (["cancel"], "expected IDs"),
    (["cancel", "--tag", "x"], "--all"),
    (["cancel", "a", "--all"], "not both"),
    (["retry", "a", "b c"], "expected an id"),
    (["replay", "--all", "--before", "yesterday"], "RFC 3339"),
    (["delete", "--all", "--cause", "bad luck"], "--cause"),
    (["dead", "list", "--status", "failed"], "--status"),
    (["dead", "purge", "--handler", "?"], "expected a name"),
    (["schedule", "add", "echo"], "JSON"),
    (["schedule", "add", "echo", "1"], "--cron or --every"),
    (["schedule", "add", "echo", "1", "--cron", "* * * * *", "--every", "1s"], "--cron or --every"),
    (["schedule", "add", "echo", "1", "--cron", "61 * * * *"], "$.cron"),
    (["schedule", "add", "echo", "1", "--cron", "@daily", "--timezone", "Mars/Olympus"], "$.timezone"),
    (["schedule", "add", "echo", "1", "--every", "0s"], "above 0"),
    (["schedule", "add", "echo", "1", "--every", "1s", "--replace"], "--id"),
    (["schedule", "add", "echo", "1", "--every", "1s", "--misfire", "never"], "--misfire"),
    (["schedule", "preview", "x", "--count", "0"], "--count"),
    (["schedule", "pause"], "ID"),
    (["queue", "pause", "a b"], "expected a name"),
    (["queue", "purge"], "NAME"),
    (["nodes", "drain"], "NODE"),
    (["top", "--every", "0"], "--every"),
    (["bench", "--tasks", "0"], "--tasks"),
    (["bench", "--patience", "0"], "above 0"),
    (["doctor", "--port", "70000"], "--port"),
    (["completion", "powershell"], "powershell"),
    (["completion"], "Choose from: bash, zsh, fish"),
    (["--url", "redis://localhost", "status"], "expected the http://"),
    (["status", "--url", "http://user:pw@localhost"], "expected a URL"),
    (["status", "--url", "http://[::1"], "no URL"),
    (["status", "--token", "ümlaut"], "printable ASCII"),
]


@pytest.mark.parametrize(
    ("args", "words"), WRONG, ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else ""
)
def test_wrong_input_exits_2(cli: Call, args: list[str], words: str) -> None:
    assert words in one_line_and_a_hint(cli(*args, input=""), 2)


@pytest.mark.parametrize(
    "args",
    [
        ["show", "nobody"],
        ["cancel", "nobody"],
        ["retry", "nobody"],
        ["replay", "nobody"],
        ["delete", "nobody"],
        ["schedule", "show", "nobody"],
        ["schedule", "preview", "nobody"],
        ["schedule", "trigger", "nobody"],
        ["schedule", "rm", "nobody"],
        ["nodes", "undrain", "nobody"],
    ],
    ids=" ".join,
)
def test_what_is_not_there_exits_1(cli: Call, args: list[str]) -> None:
    assert "nobody" in one_line_and_a_hint(cli(*args), 1)


COMMANDS = [
    *(["status"], ["list"], ["show", "a"], ["submit", "echo", "1"], ["cancel", "a"], ["delete", "--all", "--yes"]),
    *(["dead"], ["dead", "purge"], ["schedule"], ["queue"], ["queue", "purge", "a"], ["nodes"], ["audit"], ["top"]),
    ["bench"],
]


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_nobody_is_there(args: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    said = called(*args, url=f"http://127.0.0.1:{port}")
    assert "does not answer" in one_line_and_a_hint(said, 2)
    assert "`taskqueue node` starts a node" in said.err


ANSWERS = [
    (401, {**PROBLEM, "detail": "no token"}, 1, "no token"),
    (403, {**PROBLEM, "detail": "your role"}, 1, "your role"),
    (429, {**PROBLEM, "detail": "full"}, 1, "full"),
    (503, {**PROBLEM, "detail": "the store is away"}, 2, "the store is away"),
    (500, b"<html>\x1b[31m", 2, "no answer of a node"),
    (200, b"<html>", 2, "not JSON"),
    (200, b"[]", 2, "no object"),
    (200, {"hello": "world"}, 2, "is missing"),
    (302, b"", 2, "no answer of a node"),
]


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer[0]} {answer[3]}")
def test_the_node_says_no(canned: Canned, args: list[str], answer: tuple[int, object, int, str]) -> None:
    status, body, code, words = answer
    canned.says("*", status, body)
    if args == ["bench"]:
        canned.says("/healthz", 200, {})
    said = called(*args, url=canned.url)
    assert words in one_line_and_a_hint(said, code)
    assert "\x1b" not in said.err


def test_a_submit_that_may_have_been_stored_says_how_to_repeat_it(canned: Canned) -> None:
    canned.says("/api/tasks", 503, {**PROBLEM, "detail": "no answer of the store", "id": "t-1"})
    said = called("submit", "echo", "1", "--id", "t-1", url=canned.url)
    assert one_line_and_a_hint(said, 2) == "no answer of the store"
    assert "--id t-1 is safe" in said.err


def test_the_token_is_sent_and_never_said(canned: Canned) -> None:
    canned.says("*", 403, PROBLEM)
    for said in (
        called("status", "--token", "given-secret", url=canned.url, env={"TASKQUEUE_TOKEN": "env-secret"}),
        called("--token", "given-secret", "status", url=canned.url),
        called("status", url=canned.url, env={"TASKQUEUE_TOKEN": "env-secret"}),
        called("status", url=canned.url),
    ):
        assert "secret" not in said.out + said.err
    assert [asked[2] for asked in canned.asked] == ["Bearer given-secret"] * 2 + ["Bearer env-secret", None]


def test_a_url_given_beats_the_environment(canned: Canned) -> None:
    canned.says("/api/queues", 200, {"queues": []})
    assert called("queue", "--url", canned.url, url="http://127.0.0.1:1").code == 0
    assert called("--url", canned.url, "queue", url="http://127.0.0.1:1").code == 0


def test_the_hint_of_a_conflict_leads_to_what_helps(canned: Canned) -> None:
    canned.says("*", 409, {**PROBLEM, "detail": "so it is"})
    for args, hint in (
        (["schedule", "rm", "s1"], "schedule pause s1"),
        (["schedule", "add", "echo", "1", "--every", "1h", "--id", "s1"], "--replace"),
        (["submit", "echo", "1", "--id", "t1"], "taskqueue show"),
        (["cancel", "t1"], "taskqueue show"),
    ):
        said = called(*args, url=canned.url)
        assert one_line_and_a_hint(said, 1) == "so it is"
        assert hint in said.err


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["--confg", "x"], "did you mean --config?"),
        (["node", "--prot=3"], "did you mean --port?"),
        (["--urll", "http://x", "status"], "did you mean --url?"),
        (["node", "--port", "abc"], "taskqueue node --help"),
        (["node", "extra"], "taskqueue node --help"),
        (["-config", "/no/such/file"], None),
        (["--host", "0.0.0.0"], None),
    ],
    ids=str,
)
def test_a_node_with_wrong_flags_has_a_hint_and_no_other(args: list[str], hint: str | None, tmp_path: Path) -> None:
    """A node is started in a process of its own: it would take over the signals of this one."""
    script = "import sys; from taskqueue.cli import main; sys.exit(main(sys.argv[1:]))"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TASKQUEUE_")}
    done = subprocess.run(
        [sys.executable, "-c", script, *args],
        cwd=tmp_path,
        env={**clean, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done
    assert done.stderr.splitlines()[1:] == ([] if hint is None else [f"hint: {hint}"])


def test_the_flags_of_a_node_are_those_that_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(["--help"], {}, lambda _: b"{}")
    assert set(FLAGS["node"]) == set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert set(FLAGS["backup"]) < set(FLAGS["node"])

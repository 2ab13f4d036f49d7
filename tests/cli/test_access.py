"""The command line and the Python client against a node that wants tokens: who may do what, and who is said to have
done it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import taskqueue
from taskqueue.core.access import Role
from taskqueue.errors import AccessDenied, PartlyRefused
from tests.cli.conftest import NODE, Said, called
from tests.cli.test_errors import COMMANDS, one_line_and_a_hint
from tests.clients import Client
from tests.processes import NodeProcess

SECRETS = {role: f"a-secret-of-the-{role}" for role in Role}
TOKENS = [{"name": f"the-{role}", "token": secret, "role": role} for role, secret in SECRETS.items()]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a node with a token for each role is."""
    process = NodeProcess(tmp_path_factory.mktemp("guarded"), {**NODE, "nodeId": "guarded", "apiTokens": TOKENS})
    try:
        yield process.start().url
        assert process.end().code == 0
    finally:
        process.reap()
        print(process.text())


def by(role: Role, url: str, *args: str) -> Said:
    """Call the command with a role's token."""
    return called(*args, url=url, env={"TASKQUEUE_TOKEN": SECRETS[role]})


@pytest.mark.parametrize("token", [None, "nobodys-secret"])
@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_nothing_is_done_for_strangers(url: str, args: list[str], token: str | None) -> None:
    said = called(*args, url=url, env={} if token is None else {"TASKQUEUE_TOKEN": token})
    one_line_and_a_hint(said, 1)
    assert "--token or TASKQUEUE_TOKEN" in said.err
    assert "secret" not in said.err


def test_the_token_is_a_flags_before_it_is_the_environments(url: str) -> None:
    good, bad = SECRETS[Role.VIEWER], "nobodys-secret"
    for args in (["status", "--token", good], ["--token", good, "status"], ["--token", bad, "status", "--token", good]):
        assert called(*args, url=url, env={"TASKQUEUE_TOKEN": bad}).code == 0, args
    assert called("status", "--token", bad, url=url, env={"TASKQUEUE_TOKEN": good}).code == 1


MAY: list[tuple[Role, list[str]]] = [
    *((Role.VIEWER, args) for args in (["status"], ["list"], ["dead"], ["queue"], ["nodes"], ["schedule"], ["top"])),
    (Role.VIEWER, ["doctor"]),
    (Role.SUBMITTER, ["submit", "echo", "1", "--wait"]),
    (Role.OPERATOR, ["cancel", "--all", "--tag", "nobodys", "--yes"]),
    (Role.OPERATOR, ["dead", "replay", "--tag", "nobodys", "--yes"]),
    (Role.OPERATOR, ["queue", "pause", "mail"]),
    (Role.OPERATOR, ["queue", "resume", "mail"]),
    (Role.OPERATOR, ["schedule", "add", "echo", "1", "--id", "hourly", "--every", "1h", "--replace"]),
    (Role.OPERATOR, ["bench", "--tasks", "5", "--singles", "1"]),
    (Role.ADMIN, ["queue", "purge", "mail", "--yes"]),
    (Role.ADMIN, ["nodes", "undrain", "guarded"]),
    (Role.ADMIN, ["audit"]),
]


@pytest.mark.parametrize(("needed", "args"), MAY, ids=[" ".join(args) for _, args in MAY])
def test_who_may(url: str, needed: Role, args: list[str]) -> None:
    for role in Role:
        said = by(role, url, *args)
        if role.covers(needed):
            assert (said.code, said.err.replace("none\n", "")) == (0, ""), role
        elif args != ["bench", "--tasks", "5", "--singles", "1"] or role is not Role.SUBMITTER:
            one_line_and_a_hint(said, 1)
            assert "its role has to allow this" in said.err


def test_who_changed_what(url: str) -> None:
    by(Role.SUBMITTER, url, "submit", "echo", "1", "--delay", "1h", "--id", "mail-1")
    by(Role.OPERATOR, url, "cancel", "mail-1")
    by(Role.OPERATOR, url, "cancel", "mail-1")  # does not go, and changes nothing
    by(Role.ADMIN, url, "nodes", "drain", "guarded")
    by(Role.ADMIN, url, "nodes", "undrain", "guarded")
    heads, *lines = by(Role.ADMIN, url, "audit", "--limit", "3").out.splitlines()
    assert heads.split() == ["at", "(UTC)", "token", "action", "target", "count"]
    assert [line.split()[2:] for line in lines] == [
        ["the-admin", "undrain", "guarded", "1"],
        ["the-admin", "drain", "guarded", "1"],
        ["the-operator", "cancel", "mail-1", "1"],
    ]
    first = by(Role.ADMIN, url, "audit", "--limit", "1", "--json").json
    rest = by(Role.ADMIN, url, "audit", "--limit", "2", "--cursor", first["nextCursor"], "--json").json
    assert [one["action"] for one in rest["entries"]] == ["drain", "cancel"]
    (whole,) = by(Role.ADMIN, url, "audit", "--all", "--json").out.splitlines()
    assert whole.count('"action"') >= 3


def test_a_client_with_a_token_and_without(url: str) -> None:
    with taskqueue.connect(url, token=SECRETS[Role.SUBMITTER], default=False) as queue:
        assert queue.submit("echo", 1).get(timeout=30) == 1
        refs = queue.submit_many({"payload": n} for n in range(3))
        assert taskqueue.get(refs, timeout=30) == [0, 1, 2]
        with pytest.raises(AccessDenied):
            refs[0].cancel()
    for token in ("", "nobodys-secret"):
        with taskqueue.connect(url, token=token or None, default=False) as queue:
            with pytest.raises(AccessDenied):
                queue.submit("echo", 1)
            with pytest.raises(PartlyRefused, match="the rest was not read"):
                queue.submit_many({"payload": n} for n in range(2_000))


def test_doctor_says_that_it_may_not_look(url: str) -> None:
    said = called("doctor", url=url)
    assert said.code == 1
    assert "give a token that may read" in said.out
    assert "ok   ready" in said.out, "what everybody may see is shown"
    assert Client(int(url.rpartition(":")[2])).get("/api/queues").status == 401

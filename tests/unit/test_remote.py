"""From a call of a `@task` function to what is sent; which client it goes by; what an application loads for that."""

from __future__ import annotations

import asyncio
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

import taskqueue
from taskqueue import TaskContext, task, testing
from taskqueue.client import ambient
from taskqueue.client.bodies import Body, item_of
from taskqueue.client.direct import SETTINGS
from taskqueue.core.ids import CountingIds
from taskqueue.errors import ConfigError, InvalidInput


class Address(msgspec.Struct):
    street: str


@task("mail")
def mail(to: str, subject: str = "hi", *, ctx: TaskContext) -> dict[str, str]:
    return {"to": to, "subject": subject}


@task("whole")
def whole(payload: list[int]) -> int:
    return sum(payload)


@task("open")
async def open_(first: int, **rest: str) -> None: ...


@task("typed")
def typed(at: datetime, where: Address, n: int | None = None) -> None: ...


def sent(body: Body[Any]) -> Any:
    return json.loads(item_of(body, CountingIds("t")).body)


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (lambda: mail.body("ada"), {"to": "ada"}),
        (lambda: mail.body(subject="x", to="ada"), {"to": "ada", "subject": "x"}),
        (lambda: whole.body([1, 2]), [1, 2]),
        (lambda: whole.body(payload=[1]), [1]),
        (lambda: open_.body(1), {"first": 1}),
        (lambda: open_.body(first=1, a="x"), {"first": 1, "a": "x"}),
        (
            lambda: typed.body(datetime(2026, 1, 2, tzinfo=UTC), Address("here")),
            {"at": "2026-01-02T00:00:00Z", "where": {"street": "here"}},
        ),
    ],
)
def test_arguments_become_a_payload(body: Callable[[], Body[Any]], payload: Any) -> None:
    assert sent(body())["payload"] == payload


def test_arguments_that_the_function_has_not_are_refused_as_in_a_call() -> None:
    with pytest.raises(TypeError, match="mail: missing a required argument: 'to'"):
        mail.body()
    with pytest.raises(TypeError, match="mail: got an unexpected keyword argument 'cc'"):
        mail.body("ada", cc="bob")
    with pytest.raises(TypeError, match="too many positional arguments"):
        mail.body("ada", "hi", "there")
    with pytest.raises(TypeError, match="unexpected keyword argument 'ctx'"):
        mail.body("ada", ctx=None)  # it is the node's to give


def test_arguments_that_do_not_fit_are_refused_with_their_path_before_anything_is_sent() -> None:
    with pytest.raises(InvalidInput) as caught:
        mail.body(5)
    assert caught.value.errors == (("$.payload.to", "expected `str`, got `int`"),)
    with pytest.raises(InvalidInput) as caught:
        whole.body([1, "2"])
    assert caught.value.errors == (("$.payload[1]", "expected `int`, got `str`"),)
    with pytest.raises(InvalidInput, match=r"\$\.payload: cannot be written as JSON"):
        open_.body(object())


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_no_null(number: float) -> None:
    with pytest.raises(InvalidInput, match=r"^\$\.payload: cannot be written as JSON: Out of range"):
        open_.body([number])
    with pytest.raises(InvalidInput, match=r"^\$\.payload: cannot be written as JSON: Out of range"):
        item_of({"handler": "echo", "payload": {"a": [None, number]}}, CountingIds())


def test_a_null_is_one() -> None:
    assert b"[null,0.5]" in item_of({"payload": [None, 0.5]}, CountingIds()).body
    body = typed.body(datetime(2026, 1, 2, tzinfo=UTC), Address("null"), None)
    assert b'"n":null' in item_of(body, CountingIds()).body


def test_options_are_said_in_pythons_types() -> None:
    tokyo = timezone(timedelta(hours=9))
    body = whole.options(
        priority="high",
        timeout=timedelta(minutes=1),
        delay="5m",
        run_at=None,
        expires_at=datetime(2026, 1, 2, 9, tzinfo=tokyo),
        tags=("a", "b"),
        idempotency_key="k",
        keep_result=False,
        retries=0,
        queue="q",
        id="mine",
    ).body([1])
    assert sent(body) == {
        "handler": "whole",
        "payload": [1],
        "id": "mine",
        "parameters": {
            "priority": "high",
            "timeout": 60.0,
            "delay": "5m",
            "expiresAt": "2026-01-02T00:00:00+00:00",
            "tags": ["a", "b"],
            "idempotencyKey": "k",
            "keepResult": False,
            "retries": 0,
            "queue": "q",
        },
    }


def test_options_that_cannot_be_said() -> None:
    with pytest.raises(TypeError, match="unknown option 'prio'; there are: priority"):
        whole.options(prio=1)
    with pytest.raises(InvalidInput, match=r"\$\.parameters\.runAt: expected a time with an offset"):
        whole.options(run_at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake
    with pytest.raises(InvalidInput, match=r"\$\.parameters\.tags: expected a list"):
        whole.options(tags="urgent")


def test_every_submit_has_an_id_so_that_it_can_be_repeated() -> None:
    ids = CountingIds("t")
    assert [item_of({"payload": 1}, ids).id for _ in range(2)] == ["t1", "t2"]
    assert item_of({"payload": 1, "id": "mine"}, ids).id == "mine"


def test_what_is_no_body() -> None:
    with pytest.raises(InvalidInput, match="expected a mapping or a Body, got list"):
        item_of([], CountingIds())
    with pytest.raises(InvalidInput, match=r"^\$\.parameters: cannot be written as JSON"):
        item_of({"payload": 1, "parameters": {"tags": object()}}, CountingIds())


def test_a_plain_call_runs_the_function_and_sends_nothing() -> None:
    with testing.queue() as queue:
        assert whole([1, 2]) == 3
        assert queue.tasks() == []


# -- which client ------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No client is left over, and none of the environment is taken."""
    monkeypatch.setattr(ambient._ambient, "default", None)
    monkeypatch.delenv("TASKQUEUE_URL", raising=False)
    monkeypatch.delenv("TASKQUEUE_TOKEN", raising=False)


def test_the_last_to_connect_is_the_default_unless_it_will_not() -> None:
    first = taskqueue.connect("http://first:1")
    second = taskqueue.connect("http://second:2")
    third = taskqueue.connect("http://third:3", default=False)
    assert ambient.current() is second
    assert [client.url for client in (first, second, third)] == ["http://first:1", "http://second:2", "http://third:3"]


def test_without_a_connect_the_environment_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ambient.current().url == "http://127.0.0.1:8080"
    monkeypatch.setattr(ambient._ambient, "default", None)
    monkeypatch.setenv("TASKQUEUE_URL", "https://queue.example.com/")
    assert ambient.current().url == "https://queue.example.com"
    assert ambient.current() is ambient.current()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:8080", 'expected a URL such as "http://127.0.0.1:8080"'),
        ("ftp://x", "no scheme 'ftp'; there are: http, https, redis"),
        ("http://", "expected a URL such as http://localhost:8080"),
        ("http://name:secret@host", "a token is given as `token`"),
        ("redis://:s3cret@host:1:2", "redisAddress: expected host:port"),
        ("http://host:port", "no URL"),
        ("http://host:99999", "expected a port from 1 to 65535"),
        (5, "expected a URL such as"),
        (b"http://localhost", "expected a URL such as"),
    ],
)
def test_a_url_that_leads_nowhere(url: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        taskqueue.connect(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("timeout", ["5s", None, True, 0, -1, math.nan])
def test_a_timeout_that_no_client_can_have(timeout: Any) -> None:
    with pytest.raises(ConfigError, match="timeout: expected a number of seconds above 0, got"):
        taskqueue.connect("http://localhost", timeout=timeout)


@pytest.mark.parametrize("timeout", ["5s", True, math.nan])
def test_seconds_are_a_number_wherever_something_is_waited_for(timeout: Any) -> None:
    with testing.queue() as queue:
        ref = whole.remote([1])
        asked = (
            lambda: ref.get(timeout),
            lambda: taskqueue.get([ref], timeout),
            lambda: taskqueue.wait([ref], timeout=timeout),
            lambda: asyncio.run(ref.get_async(timeout)),
            lambda: asyncio.run(taskqueue.get_async([ref], timeout)),
            lambda: asyncio.run(taskqueue.wait_async([ref], timeout=timeout)),
        )
        for ask in asked:
            with pytest.raises(TypeError, match=r"^timeout: expected a number of seconds, got"):
                ask()
        assert queue.run() == 1


def test_what_is_no_ref_is_told_so() -> None:
    wrong: Any = ["01a20de5"]
    for ask in (taskqueue.get, taskqueue.wait):
        with pytest.raises(TypeError, match=r"^refs: expected what `.remote\(\)` or `client.ref\(id\)` gives, got"):
            ask(wrong)


def test_a_wrong_url_of_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKQUEUE_URL", "localhost")
    with pytest.raises(ConfigError, match="TASKQUEUE_URL: expected a URL"):
        ambient.current()


def test_what_belongs_to_the_other_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="a token is for REST"):
        taskqueue.connect("redis://localhost", token="x")
    with pytest.raises(ConfigError, match="settings are for Redis"):
        taskqueue.connect("http://localhost", settings={"namespace": "x"})
    with pytest.raises(ConfigError, match="settings: namespase: no setting of a client; did you mean namespace"):
        taskqueue.connect("redis://localhost", settings={"namespase": "x"})
    with pytest.raises(ConfigError, match="settings: namespace: expected 1 to 32"):
        taskqueue.connect("redis://localhost", settings={"namespace": "NO"})
    with pytest.raises(ConfigError, match="token: expected printable ASCII"):
        taskqueue.connect("http://localhost", token="a\nb")
    no_text: Any = 5
    with pytest.raises(ConfigError, match="token: expected printable ASCII"):
        taskqueue.connect("http://localhost", token=no_text)
    with pytest.raises(ConfigError, match="settings: expected a mapping"):
        taskqueue.connect("redis://localhost", settings=no_text)


def test_every_setting_of_a_client_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
    (listed,) = re.findall(r"^- `settings`, for Redis, are(.*?)\. Their variables", page, re.MULTILINE | re.DOTALL)
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(SETTINGS)


def test_a_client_shows_no_secret() -> None:
    client = taskqueue.connect("redis://:s3cret@localhost:1/2")
    assert "s3cret" not in repr(client)
    assert repr(client) == "<client of redis://localhost:1>"


# -- what is loaded ----------------------------------------------------------------------------------------------------

LOADED = """
import sys, threading
import taskqueue
@taskqueue.task("x")
def x(n: int) -> int: return n
rooms = ("storage", "actors", "api", "cluster", "httpx2", "redis", "pykka", "falcon", "asyncio")
print([name for name in sys.modules if name.split(".")[0] in rooms or name.startswith("taskqueue.client")])
taskqueue.connect("http://127.0.0.1:1", timeout=0.1)
try:
    x.remote(1)
except taskqueue.errors.Unavailable as error:
    print(error.task_id is not None)
rooms = ("storage", "actors", "api", "cluster", "redis", "pykka", "falcon")
print([name for name in sys.modules if name.split(".")[0] in rooms], threading.active_count())
"""


def test_an_application_that_submits_loads_nothing_else_and_starts_no_thread() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["[]", "True", "[] 1"]

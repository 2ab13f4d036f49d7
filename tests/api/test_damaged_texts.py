"""A stored text that was damaged is shown as far as it can be, and never makes an answer that cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND
from tests.factories import draft

DAMAGED = [
    (b'{"a" 1}', '{"a" 1}'),
    (b'{"a":"\xff"}', '{"a":"\\xff"}'),
    (b'"\xc3("', '"\\xc3("'),
    (b'"\xed\xa0\x80"', '"\\xed\\xa0\\x80"'),  # half a surrogate pair
    (rb'"\ud800"', r'"\ud800"'),
    (b'["a\nb"]', '["a\nb"]'),
    (rb'"\q"', r'"\q"'),
    (b"01", "01"),
    (b"1.", "1."),
    (b"NaN", "NaN"),
    (b"tru\x00", "tru\0"),
    (b"1 2", "1 2"),
    (b"", ""),
    (b"\xef\xbb\xbf1", "\ufeff1"),
    (b"[" * 100_000, "[" * 100_000),
]
WHOLE = [
    b"123456789012345678901234567890",
    b"1.0",
    b"-0",
    b"-0.0",
    b"1E+2",
    b"1e999",
    b"0.1000000000000000055511151231257827",
    rb'"\u00e9\ud83d\ude00\/"',
    '"é😀"'.encode(),
    b' { "b" : [ 1 , null ],\t"a":true } ',
    b"[" * 100 + b"]" * 100,
]


def put(api: Any, name: str, payload: bytes, result: bytes) -> None:
    """A task that has completed, with these texts in the store."""
    api.gateway.store.execute([v.Submit(draft(name, payload=payload))])
    api.gateway.run(name, ev.Complete(id="", owner="", fence=0, result=result))


@pytest.mark.parametrize(("stored", "shown"), DAMAGED, ids=range(len(DAMAGED)))
def test_what_is_no_json_is_shown_as_a_string(api: Any, stored: bytes, shown: str) -> None:
    put(api, "payload", stored, b"1")
    put(api, "result", b"2", stored)
    put(api, "good", b"3", b"4")
    tasks = json.loads(api.get("/api/tasks").content.decode())["tasks"]
    assert [(task["payload"], task["result"]) for task in tasks] == [(3, 4), (2, shown), (shown, 1)]
    assert json.loads(api.get("/api/tasks/payload").content.decode())["payload"] == shown


def test_a_dead_letters_page_can_be_read(api: Any) -> None:
    api.gateway.store.execute([v.Submit(draft("bad", payload=b"{\xff}", retries=0))])
    api.gateway.run("bad", ev.Fail(id="", owner="", fence=0, type="E", message="", delay=SECOND))
    (task,) = json.loads(api.get("/api/dead-letters").content.decode())["tasks"]
    assert task["payload"] == "{\\xff}"


@pytest.mark.parametrize("stored", WHOLE, ids=range(len(WHOLE)))
def test_what_is_json_is_shown_byte_for_byte(api: Any, stored: bytes) -> None:
    put(api, "t", stored, stored)
    answer = api.get("/api/tasks/t").content
    assert b'"payload":' + stored + b',"parameters":' in answer
    assert b'"result":' + stored + b',"error":' in answer

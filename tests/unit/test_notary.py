"""The audit log's pen: what is noted, how much of it, and that nobody is answered before."""

from __future__ import annotations

import logging

import pytest

from actors.messages import Admit, Operate, Replied, Write
from actors.queue import QueueActor
from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.config import Config
from taskqueue.core.errors import StoreError, StoreFull
from taskqueue.core.events import Code
from tests.factories import draft
from tests.postoffice import Desk

NOTE = v.Note("boss", "cancel", "all")


@pytest.fixture
def desk() -> Desk:
    return Desk(Config())


@pytest.fixture
def queue(desk: Desk) -> QueueActor:
    return desk.queue_actor()


def cancels(desk: Desk, n: int) -> Operate:
    return Operate(verbs=tuple(ev.Cancel(id=f"t{i}") for i in range(n)), reply_to=desk.reply, note=NOTE)


def test_what_took_effect_is_noted_before_the_answer(desk: Desk, queue: QueueActor) -> None:
    queue.on_receive(cancels(desk, 3))
    answers = (v.Answer(Code.OK), v.Answer(Code.REFUSED), v.Answer(Code.OK))
    desk.written(queue.on_receive, *answers)
    assert desk.reply.all(Replied) == []
    noted = desk.written(queue.on_receive, v.Answer(Code.OK))
    assert noted.verbs == (v.Note("boss", "cancel", "all", 2),)
    assert desk.reply.one(Replied).results == answers


REFUSED = [v.Answer(code) for code in (Code.REFUSED, Code.NOT_FOUND, Code.DUP, Code.STALE)]


@pytest.mark.parametrize("result", [*REFUSED, StoreFull("no")])
def test_what_had_no_effect_is_not(desk: Desk, queue: QueueActor, result: v.Answer | StoreError) -> None:
    queue.on_receive(cancels(desk, 1))
    desk.written(queue.on_receive, result)
    assert desk.reply.one(Replied).results == (result,)
    assert desk.storage.all(Write) == []


@pytest.mark.parametrize("result", [v.Submitted(Code.OK, "a"), v.Schedule(id="s", spec=b"{}", cursor=0)])
def test_a_trigger_and_a_schedule_are_noted_too(desk: Desk, queue: QueueActor, result: object) -> None:
    if isinstance(result, v.Submitted):
        queue.on_receive(Admit(drafts=(draft("a"),), atomic=False, reply_to=desk.reply, note=NOTE))
    else:
        queue.on_receive(Operate(verbs=(v.PutSchedule(result),), reply_to=desk.reply, note=NOTE))  # type: ignore[arg-type]
    desk.written(queue.on_receive, result)
    assert desk.written(queue.on_receive, v.Answer(Code.OK)).verbs == (NOTE,)
    assert desk.reply.one(Replied).results == (result,)


def test_on_a_full_disk_the_change_is_told_and_stands_in_the_log(
    desk: Desk, queue: QueueActor, caplog: pytest.LogCaptureFixture
) -> None:
    queue.on_receive(cancels(desk, 1))
    desk.written(queue.on_receive, v.Answer(Code.OK))
    with caplog.at_level(logging.ERROR):
        desk.written(queue.on_receive, StoreFull("no room to write"))
    assert desk.reply.one(Replied).results == (v.Answer(Code.OK),)
    assert "not in the audit log, since no room to write: boss cancel all (1)" in caplog.text

"""QueueActor and workers from outside: what they ask is written as it is, how their runs end is told and counted."""

from __future__ import annotations

import logging

import pytest
from msgspec.structs import replace

from actors.callers import Announcer, Callers
from actors.messages import Admit, Lend, Replied, RunOverdue, RunsEnded, SchedulesChanged, Wake, Write
from actors.queue import QueueActor
from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND
from taskqueue.core.errors import StoreUnavailable
from taskqueue.core.events import Code
from taskqueue.core.task import Cause, Status
from tests.factories import draft
from tests.postoffice import Box, Desk, claimed

COMPLETE = ev.Complete(id="t1", op="c7", owner="w", fence=7)
FAIL = ev.Fail(id="t1", op="f7", owner="w", fence=7, type="E", message="no", delay=3 * SECOND)
RELEASE = ev.Release(id="t1", op="r7", owner="w", fence=7)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def queue(desk: Desk) -> QueueActor:
    return desk.queue_actor()


def ends(desk: Desk, queue: QueueActor, event: ev.Event, code: Code, status: Status | None) -> list[object]:
    """A worker ends its run, and this is the store's answer; what it is told."""
    queue.on_receive(Lend(verbs=(event, v.Deregister("w")), reply_to=desk.reply, task=replace(claimed(), owner="w")))
    assert desk.written(queue.on_receive, v.Answer(code, status), v.Answer(Code.OK)).verbs[0] == event
    return list(desk.reply.one(Replied).results)


def test_what_a_worker_asks_is_written_as_it_is_and_answered(desk: Desk, queue: QueueActor) -> None:
    verbs = (v.Lease("w", "http", SECOND), v.Claim("w", 1, ()), v.Deregister("w", trace=False))
    queue.on_receive(Lend(verbs=verbs, reply_to=desk.reply))
    results = (v.Answer(Code.OK), v.Claimed(Code.OK), v.Answer(Code.REFUSED))
    assert desk.written(queue.on_receive, *results).verbs == verbs
    assert desk.reply.one(Replied).results == results
    assert (desk.scheduler.mail, desk.health.mail, desk.meter.take()) == ([], [], {})


def test_without_a_storage_actor_a_worker_is_refused_at_once(desk: Desk, queue: QueueActor) -> None:
    desk.storage.deaf = True
    queue.on_receive(Lend(verbs=(COMPLETE,), reply_to=desk.reply))
    (result,) = desk.reply.one(Replied).results
    assert "actor is down" in str(result)


def test_a_completed_run_is_counted_and_rings(desk: Desk, queue: QueueActor) -> None:
    bell = desk.watchers.watch("t1")
    assert ends(desk, queue, COMPLETE, Code.OK, Status.COMPLETED) == [
        v.Answer(Code.OK, Status.COMPLETED),
        v.Answer(Code.OK),
    ]
    assert bell.get_nowait() is None
    counts = desk.meter.take()
    assert (counts["completed"], counts["completed@echo"]) == (1, 1)
    assert sum(n for name, n in counts.items() if name.startswith("run@echo:")) == 1


@pytest.mark.parametrize("code", [Code.DUP, Code.STALE, Code.NOT_FOUND])
def test_what_changed_nothing_is_not_counted(desk: Desk, queue: QueueActor, code: Code) -> None:
    bell = desk.watchers.watch("t1")
    ends(desk, queue, COMPLETE, code, Status.COMPLETED)
    assert bell.empty()
    assert desk.meter.take() == {}


def test_what_the_store_could_not_do_is_told_and_not_counted(desk: Desk, queue: QueueActor) -> None:
    away = StoreUnavailable("away")
    queue.on_receive(Lend(verbs=(COMPLETE, v.Deregister("w")), reply_to=desk.reply, task=claimed()))
    desk.written(queue.on_receive, away, away)
    assert desk.reply.one(Replied).results == (away, away)
    assert desk.meter.take() == {}


def test_a_failed_run_wakes_the_scheduler_for_its_next_try(
    desk: Desk, queue: QueueActor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ends(desk, queue, FAIL, Code.OK, Status.FAILED)
    assert desk.scheduler.one(RunsEnded).wake_in == FAIL.delay
    assert desk.meter.take()["failed@echo"] == 1
    assert "echo runs again in 3 s, after E: no" in caplog.text


def test_a_failed_run_that_is_a_dead_letter_is_counted_as_one(desk: Desk, queue: QueueActor) -> None:
    ends(desk, queue, FAIL, Code.OK, Status.DEAD_LETTERED)
    assert desk.scheduler.mail == []
    assert desk.meter.take()["dead"] == 1


def test_what_is_given_back_is_offered_to_all(desk: Desk, queue: QueueActor) -> None:
    caller = desk.callers.join(("*",), ("echo",))
    ends(desk, queue, RELEASE, Code.OK, Status.PENDING)
    assert desk.scheduler.one(Wake) == Wake()
    assert rung(caller)


def test_what_a_claim_gave_up_is_counted(desk: Desk, queue: QueueActor) -> None:
    bell = desk.watchers.watch("t9")
    queue.on_receive(Lend(verbs=(v.Claim("w", 1, ()),), reply_to=desk.reply))
    given_up = (v.GivenUp("t9", "echo", Cause.EXPIRED),)
    desk.written(queue.on_receive, v.Claimed(Code.OK, given_up=given_up))
    assert (bell.get_nowait(), desk.meter.take()) == (None, {"dead": 1})


def test_a_run_over_its_time_ends_as_timed_out_under_its_own_fence(desk: Desk, queue: QueueActor) -> None:
    task = replace(claimed(timeout=1_500_000, retries=3), owner="w")
    queue.on_receive(RunOverdue(task=task))
    fail, leaves = desk.storage.one(Write).verbs
    assert isinstance(fail, ev.Fail)
    assert (fail.id, fail.owner, fail.fence, fail.op, fail.cause) == ("t1", "w", 7, "t7", Cause.TIMEOUT)
    assert (fail.type, fail.message) == ("TimedOut", "not finished within its time-out of 1.5 s")
    assert (fail.final, fail.delay > 0, leaves) == (False, True, v.Deregister("w"))


# -- those who wait --------------------------------------------------------------------------------------------------


def rung(caller: object) -> bool:
    return not caller._bell.empty()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("queues", "handlers", "lane", "called"),
    [
        (("default",), ("echo",), ("default", "echo"), True),
        (("default",), ("echo", "x"), ("default", "x"), True),
        (("*",), ("echo",), ("mail", "echo"), True),
        (("default",), ("echo",), ("mail", "echo"), False),
        (("default",), ("echo",), ("default", "x"), False),
        (("default",), ("echo",), ("default", ""), True),
        (("default",), ("echo",), ("mail", ""), False),
        (("default",), ("echo",), ("", ""), True),
    ],
)
def test_only_who_might_take_it_is_called(
    queues: tuple[str, ...], handlers: tuple[str, ...], lane: tuple[str, str], called: bool
) -> None:
    callers = Callers()
    caller = callers.join(queues, handlers)
    callers.call(*lane)
    assert rung(caller) is called
    caller.wait(0)
    assert not rung(caller)
    callers.leave(caller)
    callers.call()
    assert not rung(caller)


def test_a_submit_calls_for_its_lane(desk: Desk, queue: QueueActor) -> None:
    mine, other = desk.callers.join(("*",), ("thumb",)), desk.callers.join(("*",), ("other",))
    queue.on_receive(Admit(drafts=(draft("t1", handler="thumb"),), atomic=False, reply_to=desk.reply))
    desk.written(queue.on_receive, v.Submitted(Code.OK, "t1"))
    assert (rung(mine), rung(other)) == (True, False)
    mine.wait(0)
    queue.on_receive(Admit(drafts=(draft("t1", handler="thumb"),), atomic=False, reply_to=desk.reply))
    desk.written(queue.on_receive, v.Submitted(Code.DUP, "t1"))
    assert not rung(mine)


def test_news_of_work_for_the_node_is_news_for_those_outside() -> None:
    callers, box = Callers(), Box()
    caller = callers.join(("default",), ("echo",))
    announcer = Announcer(box, callers)
    assert announcer.tell(SchedulesChanged())
    assert not rung(caller)
    assert announcer.tell(Wake())
    assert rung(caller)
    assert box.mail == [SchedulesChanged(), Wake()]

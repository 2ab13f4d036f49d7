"""QueueActor, unstarted: what goes in, what comes out, and what is sent again."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from actors.messages import (
    Admit,
    CheckUnsettled,
    FindWork,
    Operate,
    OrdersFiled,
    OutcomesReady,
    Replied,
    RunsEnded,
    SchedulesChanged,
    SendTally,
    Wake,
    WorkFound,
    Write,
    Written,
)
from actors.pool import Dropped, Ending, Raised, Returned, Snoozed, Unfinished
from actors.queue import CONFIRM_WITHIN, QueueActor
from storage import verbs as v
from storage.memory import MemoryStore
from taskqueue.core import events as ev
from taskqueue.core.clock import MINUTE, SECOND
from taskqueue.core.config import Backoff, Config
from taskqueue.core.errors import StoreBroken, StoreError, StoreFull
from taskqueue.core.events import Code
from taskqueue.core.tally import minute
from taskqueue.core.task import Cause, Status
from tests.factories import draft
from tests.postoffice import OWNER, Desk, claimed


@pytest.fixture
def desk() -> Desk:
    return Desk(Config(queue_size=10, worker_count=2))


@pytest.fixture
def queue(desk: Desk) -> QueueActor:
    return desk.queue_actor()


def owned(id: str = "t1", fence: int = 7) -> dict[str, Any]:
    """What every verb of an owner carries."""
    return {"id": id, "owner": OWNER, "fence": fence, "op": str(fence)}


def confirm(desk: Desk, queue: QueueActor, *answers: Any) -> Write:
    """The store's answers to the one write under way."""
    return desk.written(queue.on_receive, *answers)


# -- in ----------------------------------------------------------------------------------------------------------------


def test_a_submit_is_written_with_the_size_of_the_queue_and_answered(desk: Desk, queue: QueueActor) -> None:
    drafts = (draft("a"), draft("b"))
    queue.on_receive(Admit(drafts=drafts, atomic=False, reply_to=desk.reply))
    results = (v.Submitted(Code.OK, "a"), v.Submitted(Code.FULL, "b"))
    assert confirm(desk, queue, *results).verbs == (v.Submit(drafts[0], 10), v.Submit(drafts[1], 10))
    assert desk.reply.one(Replied).results == results
    desk.scheduler.one(Wake)
    desk.clock.advance(SECOND)
    assert desk.meter.rates.of("default") == (1.0, 0.0)


def test_an_atomic_batch_is_one_verb_and_its_answers_come_apart(desk: Desk, queue: QueueActor) -> None:
    drafts = (draft("a"), draft("b"))
    queue.on_receive(Admit(drafts=drafts, atomic=True, reply_to=desk.reply))
    results = (v.Submitted(Code.OK, "a"), v.Submitted(Code.OK, "b"))
    assert confirm(desk, queue, results).verbs == (v.SubmitAll(drafts, 10),)
    assert desk.reply.one(Replied).results == results
    desk.clock.advance(SECOND)
    assert desk.meter.rates.of("default") == (2.0, 0.0)


def test_behind_closed_doors_every_task_is_refused_and_nothing_is_written(desk: Desk, queue: QueueActor) -> None:
    desk.doors = False
    queue.on_receive(Admit(drafts=(draft("a"), draft("b")), atomic=False, reply_to=desk.reply))
    results = desk.reply.one(Replied).results
    assert len(results) == 2
    assert all(isinstance(result, StoreError) and "shutting down" in str(result) for result in results)
    assert desk.storage.mail == []


@pytest.mark.parametrize("atomic", [False, True])
def test_without_a_storage_actor_a_submit_is_refused_at_once(desk: Desk, queue: QueueActor, atomic: bool) -> None:
    desk.storage.deaf = True
    queue.on_receive(Admit(drafts=(draft("a"), draft("b")), atomic=atomic, reply_to=desk.reply))
    results = desk.reply.one(Replied).results
    assert len(results) == (1 if atomic else 2)
    assert all(isinstance(result, StoreError) for result in results)


def test_what_a_person_asked_is_done_also_behind_closed_doors(desk: Desk, queue: QueueActor) -> None:
    desk.doors = False
    verbs = (ev.Cancel(id="t1", op="1"), v.Pause("mail"))
    bell = desk.watchers.watch("t1")
    queue.on_receive(Operate(verbs=verbs, reply_to=desk.reply))
    gone = claimed()
    answers = (v.Answer(Code.OK, Status.CANCELLED, replace(gone, status=Status.CANCELLED)), v.Answer(Code.OK))
    assert confirm(desk, queue, *answers).verbs == verbs
    assert desk.reply.one(Replied).results == answers
    assert bell.qsize() == 1
    desk.health.one(OrdersFiled)
    desk.scheduler.one(Wake)


def test_an_operation_that_ends_nothing_rings_no_bell(desk: Desk, queue: QueueActor) -> None:
    bell = desk.watchers.watch("t1")
    queue.on_receive(Operate(verbs=(ev.Retry(id="t1"),), reply_to=desk.reply))
    confirm(desk, queue, v.Answer(Code.OK, Status.PENDING, replace(claimed(), status=Status.PENDING)))
    assert bell.qsize() == 0


def test_a_claim_is_made_and_its_answer_passed_on(desk: Desk, queue: QueueActor) -> None:
    groups = (v.Group(("echo",), ("default",), 3),)
    queue.on_receive(FindWork(owner=OWNER, request=4, groups=groups, reply_to=desk.reply))
    answer = v.Claimed(Code.OK, ((claimed(),),))
    assert confirm(desk, queue, answer).verbs == (v.Claim(OWNER, 4, groups),)
    assert desk.reply.one(WorkFound) == WorkFound(request=4, claimed=answer)


def test_a_claim_that_the_store_could_not_do_is_answered_with_nothing(desk: Desk, queue: QueueActor) -> None:
    queue.on_receive(FindWork(owner=OWNER, request=4, groups=(), reply_to=desk.reply))
    confirm(desk, queue, StoreFull("no room"))
    assert desk.reply.one(WorkFound) == WorkFound(request=4, claimed=None)
    desk.storage.deaf = True
    queue.on_receive(FindWork(owner=OWNER, request=5, groups=(), reply_to=desk.reply))
    assert desk.reply.one(WorkFound) == WorkFound(request=5, claimed=None)


# -- out ---------------------------------------------------------------------------------------------------------------

FAILURE: dict[str, Any] = {"type": "ValueError", "message": "no"}

ENDINGS: list[tuple[Ending, ev.Event, int | None]] = [
    (Returned(b"1"), ev.Complete(**owned(), result=b"1"), None),
    (Returned(None), ev.Complete(**owned(), result=None), None),
    (Snoozed(5 * SECOND), ev.Snooze(**owned(), delay=5 * SECOND), 5 * SECOND),
    (Unfinished(), ev.Release(**owned()), 0),
    (Raised(**FAILURE), ev.Fail(**owned(), **FAILURE, delay=SECOND), SECOND),
    (Raised(**FAILURE, delay=0), ev.Fail(**owned(), **FAILURE, delay=0), 0),
    (Raised(**FAILURE, delay=MINUTE), ev.Fail(**owned(), **FAILURE, delay=MINUTE), MINUTE),
    (
        Raised(**FAILURE, cause=Cause.TIMEOUT),
        ev.Fail(**owned(), **FAILURE, cause=Cause.TIMEOUT, delay=SECOND),
        SECOND,
    ),
    (
        Raised(**FAILURE, cause=Cause.DISCARDED, final=True),
        ev.Fail(**owned(), **FAILURE, cause=Cause.DISCARDED, delay=SECOND, final=True),
        SECOND,
    ),
]


@pytest.mark.parametrize(("ending", "event", "wake_in"), ENDINGS)
def test_an_ending_becomes_the_verb_of_its_transition(
    desk: Desk, queue: QueueActor, ending: Ending, event: ev.Event, wake_in: int | None
) -> None:
    desk.ended(ending)
    queue.on_receive(OutcomesReady())
    assert desk.storage.one(Write).verbs == (event,)
    assert desk.scheduler.one(RunsEnded).wake_in == wake_in
    assert list(desk.pool.unsettled) == [("t1", 7)]


def test_the_backoff_grows_with_the_retries_that_are_spent_and_is_spread_by_chance() -> None:
    desk = Desk(Config(backoff=Backoff(base=SECOND, factor=3.0, jitter=0.5)))
    queue = desk.queue_actor()
    desk.chance = 0.0
    desk.ended(Raised(**FAILURE), "first", retries=3)
    desk.ended(Raised(**FAILURE), "last", retries=3, retries_left=1)
    queue.on_receive(OutcomesReady())
    delays = [verb.delay for verb in desk.storage.one(Write).verbs if isinstance(verb, ev.Fail)]
    assert delays == [SECOND // 2, 9 * SECOND // 2]
    assert desk.scheduler.one(RunsEnded).wake_in == SECOND // 2


@pytest.mark.parametrize(
    ("status", "event", "said"),
    [
        (Status.FAILED, "retry", "echo runs again in 1.5 s, after TimedOut: too slow"),
        (Status.DEAD_LETTERED, "dead_letter", "echo is a dead letter, after TimedOut: too slow"),
    ],
)
def test_what_became_of_a_failed_run_is_logged_once_it_is_stored(
    status: Status, event: str, said: str, *, desk: Desk, queue: QueueActor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    desk.ended(Raised("TimedOut", "too slow", Cause.TIMEOUT, delay=3 * SECOND // 2))
    queue.on_receive(OutcomesReady())
    assert caplog.records == []
    confirm(desk, queue, v.Answer(Code.OK, status))
    [record] = caplog.records
    assert (record.getMessage(), vars(record)["event"], vars(record)["task"]) == (said, event, "t1")


def test_what_was_dropped_is_settled_without_a_word_to_the_store(desk: Desk, queue: QueueActor) -> None:
    desk.ended(Dropped())
    queue.on_receive(OutcomesReady())
    assert desk.storage.mail == []
    assert desk.pool.keys() == set()
    assert desk.scheduler.one(RunsEnded).wake_in is None


def test_nothing_ended_nothing_said(desk: Desk, queue: QueueActor) -> None:
    queue.on_receive(OutcomesReady())
    assert desk.storage.mail == desk.scheduler.mail == []


def test_what_handlers_say_of_themselves_goes_along_and_is_not_waited_for(desk: Desk, queue: QueueActor) -> None:
    runs = desk.begun("runs")
    desk.pool.report(runs, 0.5, "half")
    desk.ended(Returned(None), "ends")
    queue.on_receive(OutcomesReady())
    write = confirm(desk, queue, v.Answer(Code.OK, Status.COMPLETED), v.Answer(Code.STALE))
    report = ev.Report(id="runs", owner=OWNER, fence=7, fraction=0.5, note="half")
    assert write.verbs == (ev.Complete(**owned("ends")), report)
    assert desk.pool.keys() == {runs.key}


@pytest.mark.parametrize("code", [Code.OK, Code.DUP, Code.STALE, Code.NOT_FOUND])
def test_every_answer_of_the_store_settles_an_outcome(desk: Desk, queue: QueueActor, code: Code) -> None:
    bell = desk.watchers.watch("t1")
    desk.ended(Returned(None))
    queue.on_receive(OutcomesReady())
    confirm(desk, queue, v.Answer(code, Status.CANCELLED if code is Code.STALE else Status.COMPLETED))
    assert desk.pool.unsettled == {}
    assert desk.pool.keys() == set()
    assert bell.qsize() == 1


def test_a_task_that_will_run_again_rings_no_bell(desk: Desk, queue: QueueActor) -> None:
    bell = desk.watchers.watch("t1")
    desk.ended(Raised(**FAILURE))
    queue.on_receive(OutcomesReady())
    confirm(desk, queue, v.Answer(Code.OK, Status.FAILED))
    assert bell.qsize() == 0


@pytest.mark.parametrize("error", [StoreFull("no room"), StoreBroken("EIO"), StoreError("?")])
def test_what_the_store_could_not_take_is_sent_again(desk: Desk, queue: QueueActor, error: StoreError) -> None:
    done, full = desk.ended(Returned(None), "done"), desk.ended(Returned(None), "full")
    queue.on_receive(OutcomesReady())
    confirm(desk, queue, v.Answer(Code.OK, Status.COMPLETED), error)
    assert desk.pool.keys() == {full.key} != {done.key}
    desk.clock.advance(CONFIRM_WITHIN - 1)
    queue.on_receive(CheckUnsettled())
    assert desk.storage.mail == []
    desk.clock.advance(1)
    queue.on_receive(CheckUnsettled())
    assert confirm(desk, queue, v.Answer(Code.OK, Status.COMPLETED)).verbs == (ev.Complete(**owned("full")),)
    assert desk.pool.keys() == set()


def test_what_is_not_confirmed_is_sent_again_every_time_with_the_same_op_and_delay(
    desk: Desk, queue: QueueActor
) -> None:
    desk.ended(Raised(**FAILURE))
    queue.on_receive(OutcomesReady())
    first = desk.storage.one(Write)
    desk.chance = 0.9
    for _ in range(2):
        desk.clock.advance(CONFIRM_WITHIN)
        queue.on_receive(CheckUnsettled())
        assert desk.storage.one(Write).verbs == first.verbs
        queue.on_receive(CheckUnsettled())
        assert desk.storage.mail == []


def test_a_late_answer_to_what_was_settled_meanwhile_changes_nothing(desk: Desk, queue: QueueActor) -> None:
    desk.ended(Returned(None))
    queue.on_receive(OutcomesReady())
    first = desk.storage.one(Write)
    desk.clock.advance(CONFIRM_WITHIN)
    queue.on_receive(CheckUnsettled())
    confirm(desk, queue, v.Answer(Code.DUP, Status.COMPLETED))
    queue.on_receive(Written(results=(v.Answer(Code.OK, Status.COMPLETED),), ticket=first.ticket))
    assert desk.pool.keys() == set()


# -- when one dies -----------------------------------------------------------------------------------------------------


def test_a_successor_sends_what_its_predecessor_left_in_the_pool(desk: Desk) -> None:
    """Endings not looked at, endings looked at and not sent, endings sent and not confirmed: each as it was."""
    predecessor = desk.queue_actor()
    desk.ended(Snoozed(SECOND), "sent")
    predecessor.on_receive(OutcomesReady())
    sent = desk.storage.one(Write)
    desk.ended(Returned(b"2"), "looked-at")
    desk.pool.endings()  # and died
    desk.ended(Returned(b"3"), "waits")
    runs = desk.begun("runs")

    desk.queue_actor().begin()
    writes = desk.storage.all(Write)
    assert [verb for write in writes for verb in write.verbs] == [
        *sent.verbs,
        ev.Complete(**owned("waits"), result=b"3"),
        ev.Complete(**owned("looked-at"), result=b"2"),
    ]
    assert runs.key not in desk.pool.unsettled


@pytest.mark.parametrize("asking", [False, True])
def test_a_successor_lets_a_claim_under_way_be_asked_again(desk: Desk, asking: bool) -> None:
    desk.pool.request, desk.pool.asking = 4, asking
    desk.queue_actor().begin()
    again = [WorkFound(request=4, claimed=None), Wake()]
    assert desk.scheduler.mail == (again if asking else [])


def test_a_run_that_ends_while_a_successor_begins_is_sent_once_and_as_it_ended(desk: Desk) -> None:
    """Its worker has noted the end and not reported it when the successor looks for orphans."""
    queue = desk.queue_actor()
    run = desk.ended(Returned(b"1"))
    [ended] = desk.pool.endings()
    queue.begin()
    assert desk.storage.one(Write).verbs == (ev.Complete(**owned(), result=b"1"),)
    desk.pool._outbox.put(ended)  # the worker goes on
    queue.on_receive(OutcomesReady())
    assert desk.storage.mail == []
    queue.on_receive(CheckUnsettled())
    assert desk.storage.mail == []
    assert list(desk.pool.unsettled) == [run.key]


def test_what_was_counted_goes_to_the_store_and_comes_back_where_it_could_not(desk: Desk, queue: QueueActor) -> None:
    queue.on_receive(SendTally())
    assert desk.storage.mail == []
    desk.meter.submitted("default", "echo")
    queue.on_receive(SendTally())
    tally = v.Tally(minute(desk.clock.now()), {"submitted": 1})
    assert confirm(desk, queue, StoreFull("no room")).verbs == (tally,)
    desk.meter.submitted("default", "echo")
    queue.on_receive(SendTally())
    assert confirm(desk, queue, v.Answer(Code.OK)).verbs == (v.Tally(tally.minute, {"submitted": 2}),)
    queue.on_receive(SendTally())
    assert desk.storage.mail == []


@pytest.mark.parametrize(("verb", "hints"), [(v.DropSchedule("s"), 1), (v.Pause("q"), 0)])
def test_the_leader_hears_of_changed_schedules(desk: Desk, queue: QueueActor, verb: Any, hints: int) -> None:
    queue.on_receive(Operate(verbs=(verb,), reply_to=desk.reply))
    confirm(desk, queue, v.Answer(Code.OK))
    assert len(desk.leader.all(SchedulesChanged)) == hints


def test_the_store_sees_one_completion_where_an_answer_was_lost(desk: Desk) -> None:
    """Against a real store: the repeat of an accepted outcome changes nothing and settles it."""
    store = MemoryStore(desk.clock, MINUTE)
    register = v.Register(
        owner=OWNER, node="me", host="h", pid=1, workers=1, queues=("default",), handlers=(), alone=True
    )
    group = v.Group(("echo",), ("default",), 1)
    *_, found = store.execute([register, v.Submit(draft("t1")), v.Claim(OWNER, 1, (group,))])
    assert isinstance(found, v.Claimed)
    queue = desk.queue_actor()
    desk.ended(Returned(b"1"), fence=found.tasks[0][0].fence)
    queue.on_receive(OutcomesReady())
    store.execute(desk.storage.one(Write).verbs)  # and its answer is lost
    successor = desk.queue_actor()
    successor.begin()
    write = desk.storage.one(Write)
    answers = store.execute(write.verbs)
    assert [answer.code for answer in answers if isinstance(answer, v.Answer)] == [Code.DUP]
    successor.on_receive(Written(results=tuple(answers), ticket=write.ticket))
    assert desk.pool.keys() == set()
    done = store.get("t1")
    assert done is not None
    assert (done.status, done.result, len(done.history)) == (Status.COMPLETED, b"1", 1)


def test_what_ended_while_nobody_could_be_told_is_found_at_the_next_tick(desk: Desk, queue: QueueActor) -> None:
    """The worker told a dead actor; its successor had looked just before, and had not been bound yet."""
    queue.begin()
    desk.queue.deaf = True
    desk.ended(Returned(b"1"))
    desk.queue.deaf = False
    queue.on_receive(CheckUnsettled())
    assert desk.storage.one(Write).verbs == (ev.Complete(**owned(), result=b"1"),)


def test_an_unknown_message_is_a_bug(queue: QueueActor) -> None:
    with pytest.raises(TypeError, match="QueueActor does not know the message Wake"):
        queue.on_receive(Wake())

"""The door between threads and actors: how submits are handed on, and what becomes of them when nobody answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import MagicMock

import pytest

from actors import asking
from actors.callers import Callers
from actors.gateway import NodeGateway
from actors.messages import Admit, Message, Replied
from actors.submits import STEP
from actors.views import Views
from actors.watchers import Watchers
from storage import verbs as v
from storage.memory import open_memory
from taskqueue.core.clock import SECOND, ManualClock, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.errors import InvalidInput, StoreError, Unavailable
from taskqueue.core.events import Code
from taskqueue.core.ids import CountingIds
from taskqueue.core.submission import Submission, parse_submission
from taskqueue.core.task import Status
from taskqueue.handlers import task


@dataclass
class Size:
    width: int


@task("test_gateway.plain")
def plain(n: int) -> None: ...


@task("test_gateway.sized")
def sized(size: Size) -> None: ...


class Queue:
    """Stands for QueueActor's address: keeps what it is told, answers as `answer` says."""

    def __init__(self) -> None:
        self.admits: list[Admit] = []
        self.answer: Callable[[Admit], Any] = accept
        self.down_after: int | None = None

    def tell(self, message: Message) -> bool:
        if self.down_after is not None and len(self.admits) >= self.down_after:
            return False
        assert isinstance(message, Admit)
        self.admits.append(message)
        reply = self.answer(message)
        if reply is not None:
            message.reply_to.tell(reply)
        return True


def accept(admit: Admit) -> Replied:
    return Replied(results=tuple(v.Submitted(Code.OK, draft.id, Status.PENDING, 7) for draft in admit.drafts))


class Rig:
    """A gateway over a queue that answers as told; `away`: another node has declared `elsewhere`."""

    def __init__(self, clock: Any = None) -> None:
        self.clock = clock or ManualClock()
        self.queue = Queue()
        self.store = open_memory(Config(), self.clock)
        nothing = MagicMock(spec=Views)
        self.gateway = NodeGateway(
            config=Config(),
            clock=self.clock,
            ids=CountingIds(),
            store=self.store,
            queue=self.queue,  # type: ignore[arg-type]  # of it, only `tell` is used
            handlers={one.handler.name: one.handler for one in (plain, sized)},
            watchers=Watchers(),
            callers=Callers(),
            views=nothing,
            open_doors=lambda: True,
        )


def bodies(count: int, handler: str = "test_gateway.plain", payload: str = '{"n":1}') -> list[Submission]:
    text = f'{{"handler":"{handler}","payload":{payload}}}'.encode()
    return [parse_submission(text, max_payload=1_000)] * count


def test_a_batch_is_handed_on_piece_by_piece_before_all_of_it_is_read() -> None:
    rig = Rig()
    heard: list[int] = []

    def read() -> Any:
        for submission in bodies(2 * STEP + 1):
            heard.append(len(rig.queue.admits))
            yield submission

    receipts = rig.gateway.submit(read())
    assert [len(admit.drafts) for admit in rig.queue.admits] == [STEP, STEP, 1]
    assert (heard[STEP - 1], heard[STEP], heard[-1]) == (0, 1, 2)
    ids = [draft.id for admit in rig.queue.admits for draft in admit.drafts]
    assert [receipt.id for receipt in receipts] == ids
    assert {(receipt.error, receipt.created_at) for receipt in receipts} == {(None, 7)}


def test_an_atomic_batch_stays_whole() -> None:
    rig = Rig()
    rig.gateway.submit(bodies(STEP + 1), atomic=True)
    [admit] = rig.queue.admits
    assert (admit.atomic, len(admit.drafts)) == (True, STEP + 1)


def test_what_is_wrong_with_one_keeps_its_place_among_the_pieces() -> None:
    rig = Rig()
    [wrong] = bodies(1, payload='{"n":"x"}')
    receipts = rig.gateway.submit([wrong, *bodies(STEP), wrong, *bodies(STEP), wrong])
    assert [len(admit.drafts) for admit in rig.queue.admits] == [STEP, STEP]
    places = [place for place, receipt in enumerate(receipts) if receipt.error is not None]
    assert places == [0, STEP + 1, 2 * STEP + 2]
    assert all(isinstance(receipts[place].error, InvalidInput) for place in places)


def test_pieces_that_fail_do_not_touch_the_others() -> None:
    rig = Rig()
    rig.queue.answer = lambda admit: (
        Replied(results=(StoreError("no room"),) * len(admit.drafts)) if len(rig.queue.admits) == 2 else accept(admit)
    )
    rig.queue.down_after = 3
    errors = [receipt.error for receipt in rig.gateway.submit(bodies(4 * STEP))]
    assert set(errors[:STEP]) == set(errors[2 * STEP : 3 * STEP]) == {None}
    assert {str(error) for error in errors[STEP : 2 * STEP]} == {"no room"}
    assert {str(error) for error in errors[3 * STEP :]} == {"the queue's actor is down"}


def test_pieces_that_nobody_answers_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(asking, "ANSWER_WITHIN", 0.02)
    real = asking.Waiter.wait
    monkeypatch.setattr(asking.Waiter, "wait", lambda self, seconds: (waits.append(seconds), real(self, seconds))[1])
    rig = Rig(SystemClock())
    rig.queue.answer = lambda _: None
    receipts = rig.gateway.submit(bodies(5 * STEP))
    assert all(isinstance(receipt.error, Unavailable) for receipt in receipts)
    assert len(waits) == 5
    assert waits[0] > 0
    assert waits[1:] == [0.0] * 4


def test_one_that_nobody_waits_for_has_its_receipt_when_it_is_ready() -> None:
    rig = Rig()
    rang: list[str] = []
    [submission] = bodies(1)
    awaited = rig.gateway.submit_soon(submission, lambda: rang.append("ready"))
    assert awaited is not None
    assert rang == ["ready"]
    assert (awaited.receipt().error, awaited.receipt().created_at) == (None, 7)


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ({"down_after": 0}, "the queue's actor is down"),
        ({"answer": lambda _: None}, "no answer within 10 s; the outcome is unknown"),
        ({"answer": lambda _: Replied(results=(StoreError("no room"),))}, "no room"),
    ],
)
def test_one_that_nobody_waits_for_and_that_goes_wrong(trouble: dict[str, Any], says: str) -> None:
    rig = Rig()
    for name, value in trouble.items():
        setattr(rig.queue, name, value)
    [submission] = bodies(1)
    awaited = rig.gateway.submit_soon(submission, lambda: None)
    assert awaited is not None
    assert awaited.within == 10 * SECOND
    error = awaited.receipt().error
    assert isinstance(error, Unavailable)
    assert (str(error), error.task_id) == (says, awaited.receipt().id)


def test_what_takes_time_to_begin_is_not_begun() -> None:
    """A look at the store for what other nodes declare; code of the user's own classes."""
    rig = Rig()
    [strange] = bodies(1, handler="elsewhere")
    [own] = bodies(1, "test_gateway.sized", '{"size":{"width":1}}')
    for submission in (strange, own):
        assert rig.gateway.submit_soon(submission, lambda: None) is None
    assert rig.queue.admits == []
    rig.gateway.submit([strange])  # looks
    assert rig.gateway.submit_soon(strange, lambda: None) is not None
    rig.clock.advance(SECOND)
    assert rig.gateway.submit_soon(strange, lambda: None) is None
    [wrong] = bodies(1, payload='{"n":"x"}')
    with pytest.raises(InvalidInput):
        rig.gateway.submit_soon(wrong, lambda: None)


def test_the_clock_is_read_once_for_what_must_not_wait() -> None:
    """Else the look would fall into the moment in which what is known grows too old."""
    rig = Rig()
    [strange] = bodies(1, handler="elsewhere")
    rig.gateway.submit([strange])
    rig.clock.advance(SECOND - 1)
    looks: list[str] = []
    rig.store.members = lambda: looks.append("look") or []  # type: ignore[method-assign,func-returns-value]
    real = rig.clock.monotonic

    def monotonic() -> int:
        now: int = real()
        rig.clock.advance(2)
        return now

    rig.clock.monotonic = monotonic
    assert rig.gateway.submit_soon(strange, lambda: None) is not None
    assert looks == []


def test_a_store_that_goes_away_in_the_middle_of_a_batch_leaves_every_receipt() -> None:
    """What went before may be stored: one error for all would have it sent again under other ids."""
    rig = Rig()
    looks: list[str] = []

    def away() -> Any:
        looks.append("look")
        raise StoreError("away")

    rig.store.members = away  # type: ignore[method-assign]
    strange = bodies(3, handler="elsewhere")
    receipts = rig.gateway.submit([*bodies(STEP), *strange, *bodies(1)])
    assert [str(receipt.error) for receipt in receipts[STEP : STEP + 3]] == ["away"] * 3
    assert {receipt.error for receipt in [*receipts[:STEP], receipts[-1]]} == {None}
    assert looks == ["look"], "it is not asked again for each task"
    with pytest.raises(StoreError, match="away"):
        rig.gateway.submit([*bodies(STEP - 1), *strange])
    assert len(rig.queue.admits) == 2, "nothing of the second was handed on"

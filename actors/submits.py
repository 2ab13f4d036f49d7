"""How tasks come in: what is asked for becomes drafts, which go to QueueActor. A part of the gateway; `api/gateway.py`
says what each method promises. State: what other nodes declared, at most a second old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from actors import asking
from actors.asking import Waiter
from actors.interpreter import give_way
from actors.messages import Address, Admit, Message, Replied
from storage import verbs as v
from storage.receipts import receipt
from storage.store import Store
from taskqueue.core import errors
from taskqueue.core.clock import SECOND, Clock
from taskqueue.core.config import Config
from taskqueue.core.ids import Ids
from taskqueue.core.submission import Submission, fill
from taskqueue.core.task import Draft
from taskqueue.core.views import Declaration, Receipt
from taskqueue.handlers import Handler

STEP = 250
"""So many tasks of a batch are handed on at once: the store takes them while the next are read."""


class _Once:
    """Asks once, and gives the same answer, or raises the same error, from then on."""

    def __init__(self, ask: Callable[[], dict[str, Declaration]]) -> None:
        self._ask = ask
        self._answer: dict[str, Declaration] | errors.StoreError | None = None

    def __call__(self) -> dict[str, Declaration]:
        if self._answer is None:
            try:
                self._answer = self._ask()
            except errors.StoreError as error:
                self._answer = error
        if isinstance(self._answer, errors.StoreError):
            raise self._answer
        return self._answer


class _Awaited:
    """A submit that nobody waits for, and the address for its answer."""

    def __init__(self, draft: Draft, ready: Callable[[], None]) -> None:
        self.draft = draft
        self.within = round(asking.ANSWER_WITHIN * SECOND)
        self._ready = ready
        self._reply: Message | None = None

    def tell(self, message: Message) -> bool:
        self._reply = message
        self._ready()
        return True

    def receipt(self) -> Receipt:
        result = self._reply.results[0] if isinstance(self._reply, Replied) else asking.unknown()
        return receipt(self.draft, result)


class Submits:
    """See the module."""

    def __init__(
        self, *, config: Config, clock: Clock, ids: Ids, store: Store, queue: Address, handlers: Mapping[str, Handler]
    ) -> None:
        self._config = config
        self._clock = clock
        self._ids = ids
        self._store = store
        self._queue = queue
        self._handlers = handlers
        self._declared: tuple[int, dict[str, Declaration]] = (-SECOND, {})

    def submit(
        self, submissions: Iterable[Submission], *, atomic: bool = False, note: v.Note | None = None
    ) -> list[Receipt]:
        elsewhere = _Once(self._elsewhere)
        receipts: list[Receipt | None] = []
        asked: list[tuple[list[Draft], Waiter | None]] = []
        drafts: list[Draft] = []
        for submission in submissions:
            try:
                drafts.append(self._draft(submission, elsewhere))
                receipts.append(None)
            except errors.InvalidInput as error:
                receipts.append(Receipt(id=submission.id or "", error=error))
            except errors.StoreError as error:
                if not asked:
                    raise
                # The first may be stored by now: what became of each has to be told.
                unsure = errors.Unavailable(str(error), task_id=submission.id)
                receipts.append(Receipt(id=submission.id or "", error=unsure))
            if len(drafts) == STEP and not atomic:
                asked.append((drafts, self._admit(drafts, atomic, note)))
                drafts = []
                give_way()
        if atomic and len(drafts) < len(receipts):
            innocent = errors.Bystander("not stored, because another task of this batch was refused")
            spared = iter(drafts)
            return [receipt or Receipt(id=next(spared).id, error=innocent) for receipt in receipts]
        if drafts:
            asked.append((drafts, self._admit(drafts, atomic, note)))
        deadline = self._clock.monotonic() + round(asking.ANSWER_WITHIN * SECOND)
        answers = (one for some, waiter in asked for one in self._admitted(some, waiter, deadline, atomic))
        return [receipt if receipt is not None else next(answers) for receipt in receipts]

    def submit_soon(self, submission: Submission, ready: Callable[[], None]) -> _Awaited | None:
        handler = self._handlers.get(submission.handler)
        at, declared = self._declared
        if handler.binding.own if handler is not None else self._clock.monotonic() - at >= SECOND:
            return None
        awaited = _Awaited(self._draft(submission, lambda: declared), ready)
        if not self._queue.tell(Admit(drafts=(awaited.draft,), atomic=False, reply_to=awaited)):
            awaited.tell(Replied(results=(errors.StoreError("the queue's actor is down"),)))
        return awaited

    def _draft(self, submission: Submission, elsewhere: Callable[[], dict[str, Declaration]]) -> Draft:
        handler = self._handlers.get(submission.handler)
        if handler is not None:
            handler.bind(submission.payload)
        declaration = handler.declaration() if handler is not None else elsewhere().get(submission.handler)
        return fill(submission, submission.id or self._ids.new(), declaration, self._config)

    def _elsewhere(self) -> dict[str, Declaration]:
        """What other nodes declared, at most a second old."""
        at, declared = self._declared
        now = self._clock.monotonic()
        if now - at >= SECOND:
            declared = {one.name: one for member in self._store.members() for one in member.handlers}
            self._declared = (now, declared)
        return declared

    def _admit(self, drafts: list[Draft], atomic: bool, note: v.Note | None) -> Waiter | None:
        waiter = Waiter()
        told = self._queue.tell(Admit(drafts=tuple(drafts), atomic=atomic, reply_to=waiter, note=note))
        return waiter if told else None

    def _admitted(self, drafts: list[Draft], waiter: Waiter | None, deadline: int, atomic: bool) -> list[Receipt]:
        try:
            results = asking.answered(waiter, max(0.0, (deadline - self._clock.monotonic()) / SECOND))
        except errors.Unavailable as error:
            return [Receipt(id=draft.id, error=errors.Unavailable(str(error), task_id=draft.id)) for draft in drafts]
        if atomic and len(results) == 1 and not isinstance(results[0], v.Submitted):
            results = results * len(drafts)
        return [receipt(draft, result) for draft, result in zip(drafts, results, strict=True)]

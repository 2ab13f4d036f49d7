"""The door between threads and actors: the only place that waits for an actor's answer, and always for a bounded time.

Reads go straight to the store, in the calling thread. See `api/gateway.py` for what each method promises; this class
fits that protocol. State: a cap on threads that wait for tasks to finish.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue

from msgspec.structs import replace

from actors.callers import Callers
from actors.handle import Handle
from actors.interpreter import give_way
from actors.leases import Leases
from actors.messages import Admit, Lend, Message, Operate, Replied
from actors.schedules import Schedules
from actors.views import Views
from actors.watchers import Watchers
from storage import verbs as v
from storage.receipts import receipt
from storage.store import Result, Store, Verb
from taskqueue.core import errors
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND, Clock
from taskqueue.core.config import Config
from taskqueue.core.ids import Ids
from taskqueue.core.states import TRANSITIONS, VERBS
from taskqueue.core.submission import Submission, fill
from taskqueue.core.task import TERMINAL, WAITING, Draft, Status, Task
from taskqueue.core.views import DeadCount, Declaration, Filter, Page, Receipt, matches
from taskqueue.handlers import Handler

ANSWER_WITHIN = 10.0
"""Seconds that a thread waits for the actors; then the outcome is unknown."""

ACTIONS: dict[str, type[ev.Cancel] | type[ev.Retry] | type[ev.Replay] | type[ev.Delete]] = {
    "cancel": ev.Cancel,
    "retry": ev.Retry,
    "replay": ev.Replay,
    "delete": ev.Delete,
}
STEP = 250
"""So many tasks of a batch are handed on at once: the store takes them while the next are read."""

BULK_STEP = 500
FIRST_LOOK = 0.02
"""Seconds after which who waits for a task looks whether another node has finished it; then ever more rarely."""


class Waiter:
    """An address for one answer to one thread."""

    def __init__(self) -> None:
        self._box: SimpleQueue[Message] = SimpleQueue()

    def tell(self, message: Message) -> bool:
        self._box.put(message)
        return True

    def wait(self, seconds: float) -> Message | None:
        """The answer, or None when it did not come in time."""
        try:
            return self._box.get(timeout=seconds)
        except Empty:
            return None


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
        self.within = round(ANSWER_WITHIN * SECOND)
        self._ready = ready
        self._reply: Message | None = None

    def tell(self, message: Message) -> bool:
        self._reply = message
        self._ready()
        return True

    def receipt(self) -> Receipt:
        result = self._reply.results[0] if isinstance(self._reply, Replied) else _unknown()
        return receipt(self.draft, result)


class NodeGateway:
    """See the module. What only looks is in `views`, and answered there."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        ids: Ids,
        store: Store,
        queue: Handle,
        handlers: Mapping[str, Handler],
        watchers: Watchers,
        callers: Callers,
        views: Views,
        open_doors: Callable[[], bool],
    ) -> None:
        self._config = config
        self._clock = clock
        self._ids = ids
        self._store = store
        self._queue = queue
        self._handlers = handlers
        self._watchers = watchers
        self._declared: tuple[int, dict[str, Declaration]] = (-SECOND, {})
        self._seats = threading.BoundedSemaphore(max(1, config.api_threads // 2))
        self.queues = views.queues
        self.handlers = views.handlers
        self.status = views.status
        self.nodes = views.nodes
        self.alive = views.alive
        self.ready = views.ready
        self.stats = views.stats
        self.notes = views.notes
        self.metrics = views.metrics
        self.answered = views.answered
        self._live = views.live

        self.schedules = Schedules(
            clock=clock,
            ids=ids,
            store=store,
            handlers=handlers,
            declared=views.scheduled,
            ask=lambda verbs, note: self._ask(_operate(verbs, note)),
            submit=self.submit,
            get=self.get,
        )

        self.leases = Leases(
            config=config,
            clock=clock,
            store=store,
            handlers=handlers,
            callers=callers,
            seats=self._seats,
            ask=lambda verbs, task: self._ask(lambda waiter: Lend(verbs=verbs, task=task, reply_to=waiter)),
            open_doors=open_doors,
        )

    # -- tasks in ------------------------------------------------------------------------------------------------------

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
        deadline = self._clock.monotonic() + round(ANSWER_WITHIN * SECOND)
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
            results = self._reply(waiter, max(0.0, (deadline - self._clock.monotonic()) / SECOND))
        except errors.Unavailable as error:
            return [Receipt(id=draft.id, error=errors.Unavailable(str(error), task_id=draft.id)) for draft in drafts]
        if atomic and len(results) == 1 and not isinstance(results[0], v.Submitted):
            results = results * len(drafts)
        return [receipt(draft, result) for draft, result in zip(drafts, results, strict=True)]

    # -- tasks seen ----------------------------------------------------------------------------------------------------

    def get(self, task_id: str) -> Task:
        task = self._store.get(task_id)
        if task is None:
            raise errors.NotFound(f"no task has the id {task_id}")
        return task

    def wait(self, task_id: str, seconds: float) -> Task:
        task = self.get(task_id)
        if task.status in TERMINAL or not self._seats.acquire(blocking=False):
            return task
        bell = self._watchers.watch(task_id)
        try:
            deadline = self._clock.monotonic() + round(seconds * SECOND)
            longest = self._config.poll_interval / SECOND
            pause = min(longest, FIRST_LOOK) if self._config.cluster_enabled else longest
            while (task := self.get(task_id)).status not in TERMINAL and not self._watchers.closed:
                left = (deadline - self._clock.monotonic()) / SECOND
                if left <= 0:
                    break
                try:
                    bell.get(timeout=min(left, pause * random.uniform(0.5, 1.0)))
                except Empty:
                    pause = min(longest, pause * 1.5)  # it may have finished elsewhere: look again
            return task
        finally:
            self._watchers.leave(task_id, bell)
            self._seats.release()

    def find(self, filter: Filter, limit: int, cursor: str | None) -> Page:
        try:
            return self._store.find(filter, limit, cursor)
        except errors.UnknownCursor:
            raise errors.InvalidInput([("?cursor", "expected a cursor from a page's nextCursor")]) from None

    def dead(self) -> list[DeadCount]:
        return self._store.dead()

    # -- tasks steered -------------------------------------------------------------------------------------------------

    def update(self, change: ev.Update, *, by: str = "") -> Task:
        answer = self._operate(change, v.Note(by, "update", change.id))
        assert answer.task is not None
        return answer.task

    def act(self, action: str, task_id: str, *, by: str = "") -> Task | None:
        answer = self._operate(ACTIONS[action](id=task_id, op=self._ids.new()), v.Note(by, str(action), task_id))
        return None if action == "delete" else answer.task

    def _operate(self, event: ev.Event, note: v.Note) -> v.Answer:
        (answer,) = self._ask(_operate((event,), note))
        assert isinstance(answer, v.Answer)
        if answer.code is ev.Code.NOT_FOUND:
            raise errors.NotFound(f"no task has the id {event.id}")
        if answer.code not in (ev.Code.OK, ev.Code.DUP):
            status = answer.status or (answer.task.status if answer.task else "gone")
            raise errors.Conflict(f"a task that is {status} does not allow {VERBS[type(event)]}")
        return answer

    def bulk(
        self, action: str, filter: Filter, ids: Sequence[str] | None, *, dry_run: bool, by: str = "", target: str = ""
    ) -> int:
        return self._bulk(action, filter, ids, dry_run, v.Note(by, str(action), target))

    def _bulk(self, action: str, filter: Filter, ids: Sequence[str] | None, dry_run: bool, note: v.Note) -> int:
        """Step by step; each step that changed something has its entry in the audit log."""
        allowed = TRANSITIONS[action]
        statuses = [s for s in Status if s in allowed and filter.status in (None, s)]
        done = 0
        for step in self._listed(filter, ids, statuses) if ids is not None else self._found(filter, statuses):
            if dry_run:
                done += len(step)
                continue
            verbs = tuple(ACTIONS[action](id=task_id, op=self._ids.new()) for task_id in step)
            answers = self._ask(_operate(verbs, note))
            done += sum(isinstance(answer, v.Answer) and answer.code is ev.Code.OK for answer in answers)
        return done

    def _found(self, filter: Filter, statuses: Sequence[Status]) -> Iterator[list[str]]:
        for status in statuses:
            cursor: str | None = None
            while True:
                page = self._store.find(replace(filter, status=status), BULK_STEP, cursor)
                if page.tasks:
                    yield [task.id for task in page.tasks]
                cursor = page.cursor
                if cursor is None:
                    break

    def _listed(self, filter: Filter, ids: Sequence[str], statuses: Sequence[Status]) -> Iterator[list[str]]:
        unique = list(dict.fromkeys(ids))
        for start in range(0, len(unique), BULK_STEP):
            tasks = (self._store.get(task_id) for task_id in unique[start : start + BULK_STEP])
            step = [task.id for task in tasks if task is not None and task.status in statuses and matches(filter, task)]
            if step:
                yield step

    # -- queues and nodes ----------------------------------------------------------------------------------------------

    def pause(self, queue: str, *, by: str = "") -> None:
        self._ask(_operate((v.Pause(queue),), v.Note(by, "pause", queue)))

    def resume(self, queue: str, *, by: str = "") -> None:
        self._ask(_operate((v.Resume(queue),), v.Note(by, "resume", queue)))

    def purge(self, queue: str, *, by: str = "") -> int:
        here = Filter(queue=queue, before=self._clock.now())
        note = v.Note(by, "purge", queue)
        return sum(self._bulk("cancel", replace(here, status=status), None, False, note) for status in sorted(WAITING))

    def drain(self, node: str, on: bool, *, by: str = "") -> None:
        (answer,) = self._ask(_operate((v.Drain(node, on),), v.Note(by, "drain" if on else "undrain", node)))
        if isinstance(answer, v.Answer) and answer.code is ev.Code.NOT_FOUND:
            raise errors.NotFound(f"no live node is named {node}")

    def _ask(self, message: Callable[[Waiter], Message]) -> tuple[Result | errors.StoreError, ...]:
        """The results of what QueueActor was asked. Raises Unavailable where one was not done or is unknown."""
        waiter = Waiter()
        return self._reply(waiter if self._queue.tell(message(waiter)) else None, ANSWER_WITHIN)

    def _reply(self, waiter: Waiter | None, seconds: float) -> tuple[Result | errors.StoreError, ...]:
        """The same of what was asked before; None where nobody heard it."""
        if waiter is None:
            raise errors.Unavailable("the queue's actor is down")
        reply = waiter.wait(seconds)
        if not isinstance(reply, Replied):
            raise errors.Unavailable(_unknown())
        failed = next((result for result in reply.results if isinstance(result, errors.StoreError)), None)
        if failed is not None and all(isinstance(result, errors.StoreError) for result in reply.results):
            raise errors.Unavailable(str(failed))
        return reply.results


def _operate(verbs: tuple[Verb, ...], note: v.Note | None) -> Callable[[Waiter], Message]:
    return lambda waiter: Operate(verbs=verbs, reply_to=waiter, note=note)


def _unknown() -> str:
    return f"no answer within {ANSWER_WITHIN:g} s; the outcome is unknown"

"""What workers from outside may do: claim, renew, end. The gateway's part: how long to wait, what an answer means.

Each claim that takes something is a lease, a member of its own in the store, named by the claim's `requestId` (else by
chance); so a repeat finds what it took. The claim, and that nothing of it stays where it took nothing, are one write.
State: none; who waits is in `Callers`.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Mapping

from actors.callers import Callers
from actors.outcomes import backoff
from storage import verbs as v
from storage.store import Result, Store, Verb
from taskqueue.core import errors
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND, Clock
from taskqueue.core.config import Config
from taskqueue.core.leases import Grant, LeaseToken, Wish, owner_of, read_token
from taskqueue.core.task import WAITING, Cause, Status, Task
from taskqueue.handlers import Handler

WORKER = "http"
"""Under this name runs of workers from outside are shown, with that of the token, if any, after a colon."""

Ask = Callable[[tuple[Verb, ...], Task | None], tuple[Result | errors.StoreError, ...]]


class Leases:
    """See the module, and `api/gateway.py`.

    Args:
        seats: how many threads may wait at a time, together with those that wait for tasks to finish.
        ask: has the verbs done; raises Unavailable where none of them was.
    """

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        store: Store,
        handlers: Mapping[str, Handler],
        callers: Callers,
        seats: threading.Semaphore,
        ask: Ask,
        open_doors: Callable[[], bool],
    ) -> None:
        self._config = config
        self._clock = clock
        self._store = store
        self._handlers = handlers
        self._callers = callers
        self._seats = seats
        self._ask = ask
        self._open_doors = open_doors

    # -- claiming ------------------------------------------------------------------------------------------------------

    def claim(self, wish: Wish, *, by: str = "", gone: Callable[[], bool] = lambda: False) -> list[Grant]:
        """See `api.gateway.Leases`."""
        if not self._open_doors():
            raise errors.Unavailable("the node is shutting down")
        seed = os.urandom(16) if wish.request is None else f"{by}\0{wish.request}".encode()
        lease = v.Lease(owner_of(seed), f"{WORKER}:{by}" if by else WORKER, wish.lease)
        if not wish.wait or not self._seats.acquire(blocking=False):
            return self._look(wish, lease)[0]
        caller = self._callers.join(wish.queues, wish.handlers)
        try:
            deadline = self._clock.monotonic() + wish.wait
            grants, due = self._look(wish, lease)
            while True:
                if grants and gone():
                    self._give_back(lease.owner, [grant.task for grant in grants])
                    return []
                left = deadline - self._clock.monotonic()
                if grants or left <= 0:
                    return grants
                pause = self._config.poll_interval * random.uniform(0.5, 1.0)
                if due is not None:
                    pause = min(pause, max(due - self._clock.now(), SECOND // 100))
                caller.wait(min(left, pause) / SECOND)
                if gone() or not self._open_doors():
                    return []
                grants, due = self._look(wish, lease) if self._worth_a_look(wish) else ([], None)
        finally:
            self._callers.leave(caller)
            self._seats.release()

    def _look(self, wish: Wish, lease: v.Lease) -> tuple[list[Grant], int | None]:
        """What there is now, and when the next delayed task is due."""
        groups = (
            v.Group(wish.handlers, wish.queues, 1, solo=True),
            v.Group(wish.handlers, wish.queues, wish.limit),
        )
        claim = v.Claim(lease.owner, 1, groups)
        begun, claimed, _ = self._ask((lease, claim, v.Deregister(lease.owner, trace=False)), None)
        for result in (begun, claimed):
            if isinstance(result, errors.StoreError):
                raise errors.Unavailable(f"{result}; repeat it with its requestId, or wait for the lease to end")
        if isinstance(begun, v.Answer) and begun.code is ev.Code.FENCED:
            raise errors.Conflict("what this requestId has claimed is over; a new claim needs a new one")
        if not isinstance(claimed, v.Claimed) or claimed.code is not ev.Code.OK:
            return [], None  # a repeat of it at another node was over just now
        tasks = self._fitting(lease.owner, [task for part in claimed.tasks for task in part])
        return [Grant(str(LeaseToken(lease.owner, task.fence, task.id)), task) for task in tasks], claimed.next_due

    def _worth_a_look(self, wish: Wish) -> bool:
        """May there be something? To look is to write, and in a file that costs a sync, so there it is read first."""
        return self._config.cluster_enabled or any(
            lane.handler in wish.handlers and any(lane.counts[status] for status in WAITING)
            for queue in self._store.queues()
            if not queue.paused and (queue.name in wish.queues or "*" in wish.queues)
            for lane in queue.lanes
        )

    def _fitting(self, owner: str, tasks: list[Task]) -> list[Task]:
        """As many as one answer may hold; the rest goes back."""
        size = 0
        fitting: list[Task] = []
        surplus: list[Task] = []
        for task in tasks:
            size += len(task.payload)
            (surplus if fitting and size > v.BYTES_PER_PAGE else fitting).append(task)
        if surplus:
            self._give_back(owner, surplus)
        return fitting

    def _give_back(self, owner: str, tasks: list[Task]) -> None:
        back = (ev.Release(id=task.id, op=f"r{task.fence}", owner=owner, fence=task.fence) for task in tasks)
        self._ask((*back, v.Deregister(owner)), None)

    # -- the run -------------------------------------------------------------------------------------------------------

    def renew(self, token: str) -> tuple[str, Status]:
        """See `api.gateway.Leases`."""
        run = self._run(token)
        (answer,) = self._ask((v.Renew(run.owner, run.task, run.fence),), None)
        if isinstance(answer, v.Answer) and answer.code is not ev.Code.OK:
            self._ask((v.Deregister(run.owner),), None)  # it may have been the lease's last: somebody else has ended it
        return self._told(run, answer)

    def complete(self, token: str, result: bytes) -> tuple[str, Status]:
        """See `api.gateway.Leases`."""
        run = self._run(token)
        op = f"c{run.fence}"
        return self._end(run, ev.Complete(id=run.task, op=op, owner=run.owner, fence=run.fence, result=result))

    def fail(self, token: str, type: str, message: str, *, retry: bool) -> tuple[str, Status]:
        """See `api.gateway.Leases`."""
        run = self._run(token)
        task = self._store.get(run.task)
        wait = 0
        if task is not None:
            wait = backoff(task, self._handlers.get(task.handler), self._config, random.random)
        fail = ev.Fail(
            id=run.task,
            op=f"f{run.fence}",
            owner=run.owner,
            fence=run.fence,
            type=type,
            message=message,
            cause=Cause.ERROR if retry else Cause.DISCARDED,
            delay=wait,
            final=not retry,
        )
        return self._end(run, fail, task)

    def release(self, token: str) -> tuple[str, Status]:
        """See `api.gateway.Leases`."""
        run = self._run(token)
        return self._end(run, ev.Release(id=run.task, op=f"r{run.fence}", owner=run.owner, fence=run.fence))

    def _run(self, token: str) -> LeaseToken:
        run = read_token(token)
        if run is None:
            raise errors.Conflict("nobody was given this token")
        return run

    def _end(self, run: LeaseToken, event: ev.Owned, task: Task | None = None) -> tuple[str, Status]:
        """End the run, and the lease with its last one."""
        task = task or self._store.get(run.task)
        if task is not None and (task.owner, task.fence) != (run.owner, run.fence):
            task = None  # it is about another run
        answer, _ = self._ask((event, v.Deregister(run.owner)), task)
        return self._told(run, answer)

    def _told(self, run: LeaseToken, answer: Result | errors.StoreError) -> tuple[str, Status]:
        if isinstance(answer, errors.StoreError):
            raise errors.Unavailable(str(answer))
        assert isinstance(answer, v.Answer)
        if answer.code in (ev.Code.OK, ev.Code.DUP) and answer.status is not None:
            return run.task, answer.status
        state = "gone" if answer.status is None else f"{answer.status} by now"
        if answer.status is Status.PROCESSING:
            state = "in other hands by now, or about to be"
        raise errors.Conflict(f"this run of the task is over: it is {state}")

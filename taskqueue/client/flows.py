"""The rules of a client: what is tried again, when and for how long; when a task counts as ended.

Generators of steps (see `steps.py`) without I/O. Whatever is tried again is harmless twice: a submit has its id, a
cancel looks what became of the task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import random

from taskqueue.client.steps import (
    Cancel,
    Flow,
    Item,
    Later,
    Look,
    LookAll,
    Outcome,
    Pause,
    Refused,
    Send,
    State,
    TooBig,
)
from taskqueue.core.errors import Conflict, TaskqueueError
from taskqueue.core.task import TERMINAL, Status
from taskqueue.errors import NotFinished, QueueFull

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Bounds of the time between two tries where the other side names none, seconds."""

SOON = 0.05
"""Seconds that an answer may take at least, however little time is left."""

FIRST_LOOK, LONGEST_LOOK = 0.02, 0.5
"""The same between two looks at a task that nobody can wait for."""

LONG_POLL = 20.0
"""Seconds that one question after a task's end waits for it."""

LATE = 0.5
"""Seconds beyond a caller's own time in which an answer that is on its way may come."""

AT_ONCE = 1_000
"""So many tasks are looked at with one question at most."""

PATIENCE = 60.0
"""Seconds without any progress after which a client gives up."""

Now = Callable[[], float]


def _pause(tries: int, after: float | None = None) -> float:
    """Seconds until the next try: what was named, or ever longer; spread, so that clients do not come back together."""
    return _spread(tries, FIRST_PAUSE, LONGEST_PAUSE) if after is None else after * (1 + random() / 4)


def _spread(tries: int, first: float, longest: float) -> float:
    bound: float = min(longest, first * 2.0 ** min(tries, 10))
    return bound * (0.5 + random() / 2)


# -- submitting --------------------------------------------------------------------------------------------------------


def submit(item: Item, now: Now, timeout: float) -> Flow[str]:
    """Submit one task; its id. Raises what is wrong with it; QueueFull at once; Unavailable after `timeout`."""
    deadline, tries = now() + timeout, 0
    while True:
        [outcome] = yield Send((item,), max(SOON, deadline - now()))
        if isinstance(outcome, Refused):
            raise outcome.error
        if not isinstance(outcome, Later):
            task_id: str = outcome.id
            return task_id
        pause = _pause(tries, outcome.after)
        tries += 1
        if isinstance(outcome.error, QueueFull) or now() + pause >= deadline:
            raise outcome.error
        yield Pause(pause)


def submit_all(items: Sequence[Item], now: Now, patience: float) -> Flow[list[Outcome]]:
    """Submit one batch; an outcome each, in order. `Later` is the outcome of what was not taken for `patience`."""
    results: dict[int, Outcome] = {}
    left = list(range(len(items)))
    since, tries = now(), 0
    while True:
        try:
            outcomes = yield Send([items[place] for place in left], max(SOON, since + patience - now()))
        except TaskqueueError as error:
            outcomes = [Refused(error)] * len(left)
        if isinstance(outcomes, TooBig):
            if len(items) == 1:
                return [Refused(outcomes.error)]
            half = len(items) // 2
            first = yield from submit_all(items[:half], now, patience)
            return first + (yield from submit_all(items[half:], now, patience))
        results.update(zip(left, outcomes, strict=True))
        again = [place for place in left if isinstance(results[place], Later)]
        if not again:
            break
        if len(again) < len(left):
            since, tries = now(), 0
        named = [one.after for one in results.values() if isinstance(one, Later) and one.after is not None]
        pause = _pause(tries, max(named, default=None))
        tries += 1
        if now() + pause - since > patience:
            break
        yield Pause(pause)
        left = again
    return [results[place] for place in range(len(items))]


# -- waiting -----------------------------------------------------------------------------------------------------------


def ended(task_id: str, now: Now, timeout: float | None, within: float) -> Flow[State]:
    """The task's state once it has ended. Raises NotFinished after `timeout`, NotFound, or why nobody can tell."""
    deadline = None if timeout is None else now() + timeout
    tries, answered = 0, now()
    while True:
        began = now()
        wait = LONG_POLL if deadline is None else max(0.0, min(LONG_POLL, deadline - began))
        rest = within if deadline is None else min(within, deadline - began - wait + LATE)
        state = yield Look(task_id, wait, rest)
        if isinstance(state, State):
            if state.status in TERMINAL:
                return state
            answered = now()
            if deadline is not None and now() >= deadline:
                raise NotFinished(f"task {task_id} is {state.status} after {timeout:g} s", task_id)
            if now() - began > wait / 2:
                tries = 0
                continue  # it has been waited for
        elif now() - answered > PATIENCE or (deadline is not None and now() >= deadline):
            raise state.error
        looked = isinstance(state, State)
        pause = _spread(tries, FIRST_LOOK, LONGEST_LOOK) if looked else _pause(tries, state.after)
        tries += 1
        yield Pause(pause if deadline is None else max(0.0, min(pause, deadline - now())))


def status(task_id: str, now: Now, timeout: float) -> Flow[Status]:
    """The task's state now."""
    deadline, tries = now() + timeout, 0
    while True:
        state = yield Look(task_id, 0, max(SOON, deadline - now()))
        if isinstance(state, State):
            return state.status
        pause = _pause(tries, state.after)
        tries += 1
        if now() + pause >= deadline:
            raise state.error
        yield Pause(pause)


def some_ended(ids: Sequence[str], wanted: int, now: Now, timeout: float | None, within: float) -> Flow[set[str]]:
    """Those that have ended, once there are `wanted` of them or the time is up."""
    deadline = None if timeout is None else now() + timeout
    done: set[str] = set()
    tries, answered = 0, now()
    while True:
        left = [task_id for task_id in ids if task_id not in done]
        for start in range(0, len(left), AT_ONCE):
            rest = within if deadline is None else min(within, deadline - now())
            if len(done) >= wanted:
                break
            found = yield LookAll(left[start : start + AT_ONCE], wanted - len(done), max(SOON, rest))
            if isinstance(found, Later):
                if now() - answered > PATIENCE:
                    raise found.error
                break
            answered = now()
            tries = 0 if found else tries
            done |= found
        if len(done) >= wanted or (deadline is not None and now() >= deadline):
            return done
        pause = _spread(tries, FIRST_LOOK, LONGEST_LOOK)
        tries += 1
        yield Pause(pause if deadline is None else max(0.0, min(pause, deadline - now())))


# -- steering ----------------------------------------------------------------------------------------------------------


def cancel(task_id: str, now: Now, timeout: float) -> Flow[None]:
    """Cancel the task. Raises Conflict where it has ended otherwise, NotFound, Unavailable."""
    deadline, tries = now() + timeout, 0
    while True:
        try:
            answer = yield Cancel(task_id, max(SOON, deadline - now()))
        except Conflict:
            # An earlier try may have done it, and its answer got lost.
            if tries and (yield from status(task_id, now, timeout)) is Status.CANCELLED:
                return
            raise
        if answer is None:
            return
        error = answer.error
        pause = _pause(tries, answer.after)
        tries += 1
        if now() + pause >= deadline:
            raise error
        yield Pause(pause)

"""Watches over what runs: deadlines, workers that do not come back, workers that are all in long runs.

State: none; what runs is in the pool.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.interpreter import LONG
from actors.pool import Dropped, Pool, Run, Unfinished
from actors.runners import timed_out
from taskqueue.core.clock import MILLISECOND, SECOND, Clock
from taskqueue.core.config import GRACE_AFTER_TIMEOUT

STALL, WAITED = 100 * MILLISECOND, 1 * SECOND
"""Where all workers have been in their runs for so long, and for twice as long as runs take of late, or where something
has waited for so long, what waits behind them goes back: others may have room.
"""


class Overseer:
    """See the module. `on_stuck` hears the worker that does not come back, `on_look` whether a thread runs for long."""

    def __init__(
        self,
        *,
        clock: Clock,
        pool: Pool,
        worker_count: int,
        on_stuck: Callable[[str], None],
        on_look: Callable[[bool], None],
    ) -> None:
        self._clock = clock
        self._pool = pool
        self._worker_count = worker_count
        self._on_stuck = on_stuck
        self._on_look = on_look

    def look(self) -> None:
        """Tell handlers that are over their time; leave behind those that were told and go on; call idle workers."""
        now = self._clock.monotonic()
        self._on_look(self._pool.lasting("thread", now - LONG) > 0)
        for run in self._pool.running():
            if now < run.deadline:
                continue
            if not run.timed_out:
                run.timed_out = True
                tell_handler(run)
            elif now >= run.deadline + GRACE_AFTER_TIMEOUT:
                self._leave_behind(run)
        for kind, channel in self._pool.channels.items():
            if channel.empty():
                continue
            if kind == "thread" and self._held_up(kind, now):
                self._pool.slowed(kind, STALL)  # so that no more is claimed ahead at once
                while (waiting := channel.take()) is not None:
                    self._pool.end(waiting, Unfinished())
            else:
                channel.call(self._worker_count)
        if self._pool.noted:
            self._pool.call()

    def _held_up(self, kind: str, now: int) -> bool:
        """Does what waits for a worker of this kind wait in vain?"""
        usual = round(2 * (self._pool.pace(kind) or 0))
        if self._pool.lasting(kind, now - max(STALL, usual)) >= self._worker_count:
            return True
        since = self._pool.waiting_since(kind)
        return since is not None and now - since >= WAITED

    def _leave_behind(self, run: Run) -> None:
        if self._pool.end(run, timed_out(run), abandon=True) and run.kind == "thread":
            self._on_stuck(run.worker)

    def revoke(self, run: Run) -> None:
        """It is nobody's run any more: drop it where it has not begun, else tell its handler."""
        if run.ended:
            return
        run.revoked = True
        if run.started is None:
            self._pool.end(run, Dropped())
        tell_handler(run, throw=run.kind == "async")

    def give_back(self, *, running: bool) -> None:
        """End what has not begun, so that it goes back; with `running` also what has."""
        for run in self._pool.unstarted():
            self._pool.end(run, Unfinished())
        if running:
            for run in self._pool.unended():
                if self._pool.end(run, Unfinished()):
                    tell_handler(run, throw=run.kind == "async")


def tell_handler(run: Run, *, throw: bool = True) -> None:
    """Set its context's flag; with `throw` also throw into it, or cancel it."""
    if run.cancelled is not None:
        run.cancelled.set()
    interrupt = run.interrupt
    if throw and interrupt is not None:
        interrupt()

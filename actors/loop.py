"""Runs handlers as tasks of one event loop, in a thread of its own that the first run starts.

State: the loop, its thread, the runs that are on it. The loop belongs to the node, yet handlers have all of asyncio in
their hands: a SystemExit in a task of theirs, or a `stop`, ends the loop. It then goes on where it was; if it was
closed as well, another takes its place, and what was on it has failed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from actors.pool import Dropped, Ending, Raised, Run, Unfinished
from actors.runners import Desk
from taskqueue.logs import current_task

log = logging.getLogger("taskqueue.handlers")

LAST_WORDS = 0.5
"""Seconds that cancelled coroutines have to clean up when the node ends."""

GONE = Raised("EventLoopClosed", "the event loop that it ran on was closed")
CANCELLED = Raised("CancelledError", "the handler's coroutine was cancelled")


class LoopRunner:
    """See the module. A time-out or a cancel cancels the run's task."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runs: set[Run] = set()
        self._closing = False

    def run(self, run: Run, worker: str) -> None:
        if not self._desk.begin(run, worker):
            return
        with self._lock:
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._serve, name="handlers-loop", daemon=True)
                self._thread.start()
            self._runs.add(run)
            try:
                self._loop.call_soon_threadsafe(self._start, self._loop, run)
            except RuntimeError:  # it was closed just now, and nothing of the run has happened
                self._runs.discard(run)
                self._desk.end(run, Unfinished())

    def close(self) -> None:
        with self._lock:
            self._closing = True
            if self._loop is None or self._thread is None:
                return
            with suppress(RuntimeError):  # a handler closed it, so the thread is about to look anyway
                self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=1.5 * LAST_WORDS)

    # -- in the loop's thread ------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Run the loop until the node closes it; then every handler is cancelled and has a moment to clean up."""
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        while not self._closing:
            if not _turn(loop) and not self._closing:
                loop = self._another(loop)
            elif not self._closing:
                log.error("a handler stopped the event loop of all coroutines: it goes on")
        _last_words(loop)
        loop.close()

    def _another(self, loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
        """A new loop in place of one that is of no use any more; what was on that has failed."""
        log.error("the event loop of all coroutines cannot go on: what ran on it has failed, another begins")
        with suppress(Exception):  # what is left of it
            loop.close()
        with self._lock:
            lost, self._runs = self._runs, set()
            self._loop = loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        for run in lost:
            run.interrupt = None
            self._desk.end(run, GONE)
        return loop

    def _start(self, loop: asyncio.AbstractEventLoop, run: Run) -> None:
        if run.ended or run.timed_out or run.revoked:  # told when there was nothing to interrupt yet
            self._ended(run, Dropped())
            return
        task = loop.create_task(self._handle(run))
        task.add_done_callback(lambda _: self._ended(run, CANCELLED))  # also one that was cancelled before it began
        run.interrupt = lambda: _cancel(loop, task)

    async def _handle(self, run: Run) -> None:
        current_task.set(run.task.id)
        try:
            arguments = self._desk.arguments(run)
            coroutine: Coroutine[Any, Any, object] = run.handler.function(**arguments)
            ending: Ending = self._desk.returned(run, await coroutine)
        except asyncio.CancelledError:
            ending = CANCELLED
        except BaseException as error:
            ending = self._desk.raised(run, error)
        self._ended(run, ending)

    def _ended(self, run: Run, ending: Ending) -> None:
        """It has ended, this way, unless it had before."""
        self._runs.discard(run)
        run.interrupt = None
        self._desk.end(run, Dropped() if run.revoked and ending is CANCELLED else ending)


def _turn(loop: asyncio.AbstractEventLoop) -> bool:
    """Run the loop until it is stopped, by whomever; False where it can never run again."""
    try:
        loop.run_forever()
    except Exception as error:  # asyncio hands those of callbacks to its own handler: this is the loop's
        if not loop.is_closed():
            log.error("the event loop of all coroutines failed", exc_info=error)
        return False
    except BaseException as error:  # SystemExit and KeyboardInterrupt are let out, and end the task that raised them
        log.error("%s in a task that a handler started", type(error).__name__, exc_info=error)
    return not loop.is_closed()


def _last_words(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel whatever is on the loop, and let it clean up; a handler that stops the loop meanwhile shortens nothing."""
    tasks = set() if loop.is_closed() else asyncio.all_tasks(loop)
    if not tasks:
        return

    def gone(task: asyncio.Task[Any]) -> None:
        tasks.discard(task)
        if not tasks:
            loop.stop()

    for task in list(tasks):
        task.add_done_callback(gone)
        task.cancel()
    end = loop.time() + LAST_WORDS
    loop.call_at(end, loop.stop)
    while tasks and loop.time() < end and _turn(loop):
        pass


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(task.cancel)

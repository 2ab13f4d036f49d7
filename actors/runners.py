"""Running a handler: in the worker's own thread, or as a coroutine on an event loop.

A runner turns whatever a handler does (return, raise, hang, ask for another time) into one `Ending` of its run;
nothing that a handler raises passes it. Both kinds can be told to interrupt a run; what a handler makes of that is
its own affair.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from actors.pool import Dropped, Ending, Pool, Raised, Returned, Run, Snoozed
from taskqueue.context import Discard, Retry, Snooze, TaskContext, TimedOut
from taskqueue.core.clock import Clock
from taskqueue.core.errors import InvalidInput
from taskqueue.core.task import Cause
from taskqueue.handlers import encode_result
from taskqueue.logs import current_task

log = logging.getLogger("taskqueue.handlers")

MESSAGE_LIMIT = 10_000


class Runner(Protocol):
    """How a WorkerActor runs what it took."""

    def run(self, run: Run, worker: str) -> None:
        """Run it, or have it run; its ending goes to the pool. Never raises for what a handler does."""

    def close(self) -> None:
        """Let go of threads. Runs that have not ended are left behind."""


class Desk:
    """What both runners do alike: contexts, results, endings."""

    def __init__(self, pool: Pool, clock: Clock, max_result: int) -> None:
        self.pool = pool
        self.clock = clock
        self._max_result = max_result

    def begin(self, run: Run, worker: str) -> bool:
        """Note the start; False where the run ended before it began."""
        return self.pool.begin(run, worker, self.clock.monotonic())

    def arguments(self, run: Run) -> dict[str, Any]:
        """What the handler is called with. Raises InvalidInput for a payload that it does not take."""
        arguments = run.handler.bind(run.task.payload)
        if run.cancelled is not None:
            task = run.task
            arguments["ctx"] = TaskContext(
                task_id=task.id,
                fence=task.fence,
                attempt=task.attempt,
                generation=task.generation,
                deadline=datetime.now(UTC) + timedelta(microseconds=task.timeout),
                report=lambda fraction, note: self.pool.report(run, fraction, note),
                cancel=run.cancelled,
            )
        return arguments

    def returned(self, run: Run, value: object) -> Ending:
        """The ending of a run whose handler returned `value`."""
        if not run.task.keep_result:
            return Returned(None)
        try:
            result = encode_result(value)
        except (TypeError, ValueError, RecursionError) as error:
            return Raised("ResultNotJson", f"the result cannot be written as JSON: {error}")
        if len(result) > self._max_result:
            return Raised("ResultTooLarge", f"the result has {len(result)} bytes, at most {self._max_result} are kept")
        return Returned(result)

    def raised(self, run: Run, error: BaseException) -> Ending:
        """The ending of a run whose handler (or its binding) raised `error`."""
        message = _text(error)
        if run.timed_out or isinstance(error, TimedOut):
            return timed_out(run)
        if isinstance(error, Snooze):
            return Snoozed(error.delay)
        if isinstance(error, Retry):
            return Raised("Retry", message, delay=error.delay)
        if isinstance(error, Discard):
            return Raised("Discard", message, Cause.DISCARDED, final=True)
        if isinstance(error, InvalidInput):
            return Raised("InvalidPayload", message, final=True)
        log.warning(
            "task %s: %s failed: %s: %s", run.task.id, run.handler.name, type(error).__name__, message, exc_info=error
        )
        return Raised(type(error).__name__, message)

    def end(self, run: Run, ending: Ending) -> None:
        """Report the ending."""
        self.pool.end(run, timed_out(run) if run.timed_out else ending, self.clock.monotonic())


def timed_out(run: Run) -> Raised:
    """The ending of a run that had no time left."""
    seconds = run.task.timeout / 1_000_000
    return Raised("TimedOut", f"not finished within its time-out of {seconds:g} s", Cause.TIMEOUT)


class ThreadRunner:
    """Runs a handler in the calling thread: one at a time. A time-out is thrown into the thread as `TimedOut`.

    The exception lands between two bytecodes: a call that blocks in C (a sleep, a socket) ends first. A gate sees to
    it that it is thrown only while the handler runs, and what had been thrown and not landed is withdrawn.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def run(self, run: Run, worker: str) -> None:
        if not self._desk.begin(run, worker):
            return
        token = current_task.set(run.task.id)
        gate = _Gate(threading.get_ident())
        run.interrupt = gate.throw
        try:
            try:
                ending = self._attempt(run)
            finally:
                gate.close()
            if run.timed_out:
                gate.withdraw()
        except TimedOut:  # thrown once at most; it landed after the handler had ended, or in our own lines
            ending = timed_out(run)
        run.interrupt = None
        current_task.reset(token)
        self._desk.end(run, ending)

    def _attempt(self, run: Run) -> Ending:
        try:
            value = run.handler.function(**self._desk.arguments(run))
        except BaseException as error:
            return self._desk.raised(run, error)
        return self._desk.returned(run, value)

    def close(self) -> None:
        """Nothing to let go of."""


class _Gate:
    """Lets a time-out into one thread while its handler runs, and never afterwards."""

    def __init__(self, thread: int) -> None:
        self._thread = ctypes.c_ulong(thread)
        self._lock = threading.Lock()
        self._open = True

    def throw(self) -> None:
        """Any thread: have TimedOut raised in the handler's thread, if the handler still runs."""
        with self._lock:
            if self._open:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(self._thread, ctypes.py_object(TimedOut))

    def close(self) -> None:
        """The handler has ended."""
        with self._lock:
            self._open = False

    def withdraw(self) -> None:
        """Take back what was thrown and has not landed."""
        ctypes.pythonapi.PyThreadState_SetAsyncExc(self._thread, None)


class LoopRunner:
    """Runs handlers as tasks of one event loop, in a thread of its own. A time-out or a cancel cancels the task."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="handlers-loop", daemon=True)
        self._thread.start()

    def run(self, run: Run, worker: str) -> None:
        if not self._desk.begin(run, worker):
            return
        self._loop.call_soon_threadsafe(self._start, run)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _start(self, run: Run) -> None:
        task = self._loop.create_task(self._handle(run))
        run.interrupt = lambda: self._call(task.cancel)

    def _call(self, function: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    async def _handle(self, run: Run) -> None:
        current_task.set(run.task.id)
        try:
            arguments = self._desk.arguments(run)
            coroutine: Coroutine[Any, Any, object] = run.handler.function(**arguments)
            ending = self._desk.returned(run, await coroutine)
        except asyncio.CancelledError:
            ending = Dropped() if run.revoked else Raised("CancelledError", "the handler's coroutine was cancelled")
        except BaseException as error:
            ending = self._desk.raised(run, error)
        finally:
            run.interrupt = None
        self._desk.end(run, ending)


def _text(error: BaseException) -> str:
    """The exception's own words, as far as it has any and they can be stored."""
    try:
        text = str(error)
    except Exception:
        text = "<its text could not be made>"
    return text[:MESSAGE_LIMIT].encode("utf-8", "backslashreplace").decode()

"""Running a handler: in the worker's own thread here, as a coroutine on an event loop in `actors.loop`.

A runner turns whatever a handler does (return, raise, hang, ask for another time) into one `Ending` of its run;
nothing that a handler raises passes it. Both kinds can be told to interrupt a run; what a handler makes of that is
its own affair.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from actors.pool import Ending, Pool, Raised, Returned, Run, Snoozed
from taskqueue.context import Discard, Retry, Snooze, TaskContext, TimedOut
from taskqueue.core.clock import SECOND, Clock
from taskqueue.core.errors import InvalidInput
from taskqueue.core.task import Cause
from taskqueue.handlers import encode_result
from taskqueue.logs import current_task

log = logging.getLogger("taskqueue.handlers")

MESSAGE_LIMIT = 10_000
"""Characters that are kept of what a handler says."""


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
                deadline=datetime.fromtimestamp(self.clock.now() / SECOND, UTC) + timedelta(microseconds=task.timeout),
                report=lambda fraction, note: self.pool.report(run, fraction, _storable(note)),
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
        try:
            return self._judged(run, error)
        except Exception as odd:  # an exception of the user's own making may lack what its base class has
            return Raised(type(error).__name__, f"the exception cannot be read: {_text(odd)}")

    def _judged(self, run: Run, error: BaseException) -> Ending:
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
    seconds = run.task.timeout / SECOND
    return Raised("TimedOut", f"not finished within its time-out of {seconds:g} s", Cause.TIMEOUT)


class ThreadRunner:
    """Runs a handler in the calling thread: one at a time. A time-out is thrown into the thread as `TimedOut`.

    The exception lands between two bytecodes: a call that blocks in C (a sleep, a socket) ends first. A gate sees to
    it that it is thrown only while the handler runs, and what had been thrown and not landed is caught, before
    anything is made of the outcome: our own lines (a log's lock, say) are never hit.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def run(self, run: Run, worker: str) -> None:
        if not self._desk.begin(run, worker):
            return
        token = current_task.set(run.task.id)
        try:
            value = self._call(run)
            ending = self._desk.returned(run, value)
        except BaseException as error:
            ending = self._desk.raised(run, error)
        current_task.reset(token)
        self._desk.end(run, ending)

    def _call(self, run: Run) -> object:
        """What the handler returns. When this has returned or raised, nothing can be thrown any more."""
        gate = _Gate(threading.get_ident())
        try:
            run.interrupt = gate.throw
            return run.handler.function(**self._desk.arguments(run))
        finally:
            run.interrupt = None
            gate.close()

    def close(self) -> None:
        """Nothing to let go of."""


class _Gate:
    """Lets one time-out into one thread while its handler runs, and never afterwards."""

    def __init__(self, thread: int) -> None:
        self._thread = ctypes.c_ulong(thread)
        self._lock = threading.Lock()
        self._open = True

    def throw(self) -> None:
        """Any thread: have TimedOut raised in the handler's thread, once, if the handler still runs."""
        with self._lock:
            if self._open:
                self._open = False
                ctypes.pythonapi.PyThreadState_SetAsyncExc(self._thread, ctypes.py_object(TimedOut))

    def close(self) -> None:
        """The handler has ended. What was thrown and has not landed yet lands in these lines.

        It is not withdrawn (by a NULL): CPython 3.11 would look for an exception at every call from then on.
        """
        with self._lock:
            thrown, self._open = not self._open, False
        if thrown:
            with suppress(TimedOut):
                for _ in range(1_000):  # it lands at the first turn of a loop
                    pass


def _text(error: BaseException) -> str:
    """The exception's own words, as far as it has any."""
    try:
        text = str(error)
    except BaseException:  # also what it raises belongs to the handler
        text = "<its text could not be made>"
    return _storable(text)


def _storable(text: str) -> str:
    """What a store takes: not endless, and no halves of characters (names of files may hold such)."""
    return text[:MESSAGE_LIMIT].encode("utf-8", "backslashreplace").decode()

"""For tests of code that submits: a queue in memory, whose handlers run when the test says so, on a clock it moves.

    with testing.queue(myapp.tasks) as queue:
        signup("ada@example.com")            # calls send_email.options(delay="5m").remote(…)
        queue.advance("5m")
        queue.run()
        assert queue.tasks()[0].status == "completed"

The rules are the real ones: submits are checked as a node does, the store is the one in memory (the reference for all
others), and what a handler returns or raises is judged by a node's own code. What there is not: time-outs, several
workers, and jitter. Inside the `with`, `taskqueue.connect` and `.remote()` lead here, in every thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from taskqueue.client.ambient import override
from taskqueue.handlers import TaskFunction
from taskqueue.testing.memory import Queue, Seen

__all__ = ["Queue", "Seen", "inline", "queue"]


@contextmanager
def queue(*handlers: ModuleType | TaskFunction[Any, Any], **settings: Any) -> Iterator[Queue]:
    """A queue in memory. Tasks run when the test calls `run`, or waits for a result.

    Args:
        handlers: modules or functions under `@task` whose tasks are run. A function that is submitted by `.remote()`
            need not be named.
        settings: of a node's `Config`, such as `queue_size=10` or `retry_count=0`.
    """
    with _opened(Queue(handlers, settings, inline=False)) as opened:
        yield opened


@contextmanager
def inline(*handlers: ModuleType | TaskFunction[Any, Any], **settings: Any) -> Iterator[Queue]:
    """The same, but tasks that are due run inside the submit itself. A failed one waits for its backoff as ever."""
    with _opened(Queue(handlers, settings, inline=True)) as opened:
        yield opened


@contextmanager
def _opened(queue: Queue) -> Iterator[Queue]:
    with override(queue.client):
        yield queue

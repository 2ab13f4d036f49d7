"""What all say and reckon of a run that failed, whoever ran it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND
from taskqueue.core.config import Config
from taskqueue.core.retry import delay
from taskqueue.core.task import Status, Task
from taskqueue.handlers import Handler

log = logging.getLogger("taskqueue.queue")


def backoff(task: Task, handler: Handler | None, config: Config, random: Callable[[], float]) -> int:
    """How long a task that has failed now waits for its next run, microseconds; `handler`: what is known of it here."""
    rule = handler.backoff if handler is not None and handler.backoff is not None else config.backoff
    return delay(rule, task.retries - task.retries_left + 1, random)


def say(task: Task, fail: ev.Fail, status: Status | None) -> None:
    """What became of a task whose run failed, once it is stored."""
    why = f"{fail.type}: {fail.message}"
    if status is Status.DEAD_LETTERED:
        log.warning(
            "%s is a dead letter, after %s", task.handler, why, extra={"event": "dead_letter", "task": task.id}
        )
    else:
        wait = fail.delay / SECOND
        log.info("%s runs again in %g s, after %s", task.handler, wait, why, extra={"event": "retry", "task": task.id})

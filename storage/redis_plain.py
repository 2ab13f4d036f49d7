"""The lanes of plain tasks that this process was handed: with them an end is checked by one look for a whole call.

A plain task has none of the fields that an end has to take care of. What is known here is a hint: the script that ends
a task goes the long way without it, and refuses it where it is wrong.

State: what was handed out and has not ended. A bound keeps out what never ends here.
"""

from __future__ import annotations

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.task import Task

MOST = 20_000
"""How many are remembered at most; a node holds some hundreds."""


class Plain:
    """See the module. Used by the thread that writes."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, int], str] = {}

    def handed_out(self, claimed: v.Claimed) -> None:
        """Remember those that are plain."""
        for tasks in claimed.tasks:
            for task in tasks:
                if plain(task):
                    self._lanes[task.id, task.fence] = f"{task.queue}/{task.handler}"
        if len(self._lanes) > MOST:
            self._lanes.clear()

    def lane(self, end: ev.Complete) -> str | None:
        """The lane of a task that ends, where it is known to be plain."""
        return self._lanes.get((end.id, end.fence))

    def ended(self, event: ev.Owned) -> None:
        """Its run is over."""
        self._lanes.pop((event.id, event.fence), None)


def plain(task: Task) -> bool:
    """Can its end change nothing but what every end changes?"""
    return task.keep_result and task.schedule is None and task.error is None and not task.solo

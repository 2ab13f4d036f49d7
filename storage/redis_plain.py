"""Lanes and numbers of plain tasks that this process was handed: with them one look checks the ends of a whole call.

A plain task has none of the fields that an end has to take care of, or its end brings nothing that they would keep
out. What is known here is a hint: the script that ends a task goes the long way without it, and refuses it where it is
wrong.

State: what was handed out and has not ended. A bound keeps out what never ends here.
"""

from __future__ import annotations

from taskqueue.core import events as ev
from taskqueue.core.task import Task

MOST = 20_000
"""How many are remembered at most; a node holds some hundreds."""

Place = tuple[str | bool, str | bool]
"""Lane and number of creation, each False where it is not known."""

UNKNOWN: Place = (False, False)


class Plain:
    """See the module. Used by the thread that writes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[Place, bool]] = {}

    def handed_out(self, task: Task, number: bytes) -> None:
        """Remember it, if it is plain. `number`: of its creation."""
        if plain(task):
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[task.id, task.fence] = (f"{task.queue}/{task.handler}", number.decode()), task.keep_result

    def place(self, end: ev.Complete) -> Place:
        """Lane and number of a task that ends, where it is known to be plain and its result is one that is kept."""
        place, keeps = self._known.get((end.id, end.fence), (UNKNOWN, True))
        return place if keeps or end.result is None else UNKNOWN

    def ended(self, event: ev.Owned) -> None:
        """Its run is over."""
        self._known.pop((event.id, event.fence), None)


def plain(task: Task) -> bool:
    """Can its end change nothing but what every end changes, where its result is kept or there is none?"""
    return task.schedule is None and task.error is None and not task.solo

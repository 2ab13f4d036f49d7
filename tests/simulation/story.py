"""The story of one run, for a reader: kept only where a seed is run to be looked at, and told by task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import SECOND
from taskqueue.core.events import Code

if TYPE_CHECKING:
    from tests.simulation.server import Change
    from tests.simulation.world import World

MOST_LINES = 400


class Story:
    """State: every line so far, and what it is about."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lines: list[tuple[int, str, str]] = []

    def note(self, subject: str, text: str, *given: Any) -> None:
        """One line about a task (its id), a node (its name), the `store` or the `world`."""
        self._lines.append((self._world.time, subject, text % given if given else text))

    def of(self, *tasks: str) -> str:
        """What happened to these tasks, and around them; everything, where none is named."""
        around = {"world", "store", "term", "fault", *(node.name for node in self._world.nodes)}
        lines = [
            f"{time / SECOND:10.6f}  {subject:<8} {text}"
            for time, subject, text in self._lines
            if not tasks or subject in tasks or subject in around
        ]
        if len(lines) > MOST_LINES:
            lines = [f"  ... {len(lines) - MOST_LINES} lines before", *lines[-MOST_LINES:]]
        return "\n".join(lines)


def tell(world: World, verb: Any, result: Any, changes: Sequence[Change]) -> None:
    """The lines of a verb that was done."""
    note, kind = world.note, type(verb).__name__
    who = getattr(verb, "owner", getattr(verb, "leader", ""))
    code = getattr(result, "code", "")
    renewal = isinstance(verb, v.Campaign) and code is Code.OK and result.term.beat > 1
    for before, after in changes:
        one = after or before
        assert one is not None
        then = f"{before.status} -> " if before else ""
        now = f"{after.status} fence {after.fence} owner {after.owner}" if after else "gone"
        note(one.id, "%s by %s: %s%s", kind, who or "a client", then, now)
    if isinstance(verb, ev.Event) and not changes:
        note(verb.id, "%s by %s fence %s: %s", kind, who or "a client", getattr(verb, "fence", ""), code)
    elif isinstance(verb, v.Register | v.Fence | v.Reap | v.Deregister | v.Campaign | v.Resign) and not renewal:
        note("term" if isinstance(verb, v.Campaign | v.Resign) else "store", "%s: %s", verb, result)

"""The story of one run, for a reader: kept only where a seed is run to be looked at, and told by task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskqueue.core.clock import SECOND

if TYPE_CHECKING:
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

"""Time, chance and all that happens: a heap of moments, and the parts that live in it. One thread, one seed, one story.

A run has two halves. Until `Plan.healed` faults come as the plan says; then all is mended, and what was promised has
to come about. The laws are looked at after every verb that the store did (`law`, `leading`), some of them only at the
end (`ends`).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from actors.metrics import Metrics
from taskqueue.core.clock import MILLISECOND, SECOND
from tests.simulation.broken import Broken
from tests.simulation.clients import Clients
from tests.simulation.ends import Ends
from tests.simulation.law import Law
from tests.simulation.nemesis import Nemesis
from tests.simulation.node import SimNode
from tests.simulation.plan import draw
from tests.simulation.server import Server
from tests.simulation.story import Story
from tests.simulation.whole import sound

SPAN = 30 * SECOND
"""A run takes at least so long."""
PATIENCE = 60 * SECOND
"""After all is mended, everything has to be over within so long; in twice the time, where that takes longer."""


class World:
    """See the module."""

    def __init__(
        self, seed: int, metrics: Metrics, *, kind: str | None = None, nodes: int | None = None, told: bool = False
    ) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.chance = self.random.random
        self.metrics = metrics
        self.plan = draw(self.random, kind, nodes)
        self.time = 0
        self.healed = False
        self.happened = 0
        self.seen: Counter[tuple[str, str | None]] = Counter()
        """How often which verb was answered how."""
        self._events: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self.story = Story(self) if told else None
        self.law = Law(self)
        self.server = Server(self)
        self.nodes = [SimNode(self, f"n{number}") for number in range(1, self.plan.nodes + 1)]
        self.clients = Clients(self)
        self.ends = Ends(self)
        self.nemesis = Nemesis(self)

    def at(self, moment: int, do: Callable[..., None], *given: Any) -> None:
        """Let `do` happen at a moment of true time."""
        self._order += 1
        heapq.heappush(self._events, (moment, self._order, do, given))

    def within(self, span: float) -> int:
        """Some moment within a span from now."""
        return self.time + int(self.chance() * span)

    def note(self, subject: str, text: str, *given: Any) -> None:
        """Something that a reader of the story wants to know."""
        if self.story is not None:
            self.story.note(subject, text, *given)

    def run(self) -> None:
        """All of it. Raises Broken where a law does not hold."""
        for node in self.nodes:
            self.at(self.within(200 * MILLISECOND), node.boot)
        self.clients.begin()
        self.nemesis.begin()
        self.at(self.plan.healed, self._heal)
        latest = self.plan.healed + PATIENCE * (2 if self.plan.patient else 1)
        events, pop = self._events, heapq.heappop
        done = False
        while not done:
            stop = self.time + SECOND
            while events[0][0] <= stop:
                self.time, _, do, given = pop(events)
                self.happened += 1
                do(*given)
            self.time = stop
            done = self._look(latest)
        self.ends.final()

    def _look(self, latest: int) -> bool:
        """A look from outside, each second; is all over?"""
        sound(self)
        self.ends.look()
        if not self.healed:
            return False
        left = self.ends.left()
        if left and self.time > latest:
            late = (latest - self.plan.healed) // SECOND
            raise Broken("L1", f"not over {late} s after all was mended: {'; '.join(left)}")
        return not left and self.time >= SPAN

    def _heal(self) -> None:
        self.note("world", "all is mended")
        self.healed = True
        self.nemesis.heal()
        self.clients.heal()

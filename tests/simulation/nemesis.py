"""Who makes things go wrong: nodes die, stand still or are cut off, actors die, the store goes away, forgets, or has
its clock set. All of it is drawn at the start and spread over the first half of the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from taskqueue.core.clock import HOUR, SECOND
from tests.simulation.plan import LEADER, LEASE

if TYPE_CHECKING:
    from tests.simulation.node import SimNode
    from tests.simulation.world import World


NOTICED = 80 * SECOND
"""So long after all else is mended, a node that does not see what hangs is started anew."""


class Nemesis:
    """State: none; each fault mends itself, and `heal` mends what is left."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._furthest = 0
        self._kinds: dict[str, Callable[[], None]] = {
            "crash": self._crash,
            "die": self._die,
            "pause": self._pause,
            "cut": self._cut,
            "actor": self._actor,
            "blind": self._blind,
            "down": self._down,
            "outage": self._outage,
            "jump": self._jump,
            "wipe": self._wipe,
            "rewind": self._rewind,
            "failover": self._rewind,
        }

    def begin(self) -> None:
        """Draw the faults."""
        world = self._world
        for name, mean in world.plan.faults.items():
            count = int(mean) + (world.chance() < mean % 1)
            if count > 1:
                count = world.random.randrange(count + 1) + 1
            for _ in range(count):
                moment = 2 * SECOND + int(world.chance() * (world.plan.healed - 3 * SECOND))
                world.at(moment, self._kinds[name])

    def heal(self) -> None:
        """All that is broken is mended."""
        world = self._world
        world.server.away = False
        world.server.catch_up()
        world.server.clock.offset = self._furthest  # else what is due may be an hour away
        for node in world.nodes:
            if node.cut:
                node.cut, node.hurt = False, world.time
            if not world.plan.poison:
                node.doomed = None
            node.halting = 0
            node.resume()
            if not node.up:
                world.at(world.within(SECOND), node.boot)

    def _node(self) -> SimNode:
        return self._world.random.choice(self._world.nodes)

    def _note(self, text: str, *given: object) -> None:
        self._world.note("fault", text, *given)

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _crash(self) -> None:
        node = self._node()
        if node.up and not node.paused:
            node.doomed = int(self._world.chance() * 30)
        elif node.up:
            node.kill()

    def _die(self) -> None:
        """For good (until all is mended)."""
        self._node().kill(restart=False)

    def _pause(self) -> None:
        """Rather with something on its way; rather for about as long as others wait until they act."""
        world, node = self._world, self._node()
        leads = [one for one in world.nodes if one.owner == world.law.state.leading.owner]
        if leads and world.chance() < 0.3:
            node = leads[0]
        near = world.random.choice((LEADER, LEASE))
        span = near + int(world.chance() * 2 * SECOND) if world.chance() < 0.5 else int(world.chance() * 2 * LEASE)
        if world.chance() < 0.7:
            node.halting = span
        else:
            node.pause(span)

    def _cut(self) -> None:
        node = self._node()
        self._note("%s is cut off", node.name)
        node.cut = True

        def mend() -> None:
            node.cut = False
            node.hurt = self._world.time

        self._world.at(self._world.within(1.7 * LEASE), mend)

    def _actor(self) -> None:
        node = self._node()
        if node.up and not node.paused:
            name = self._world.random.choice(("queue", "scheduler", "leader", "health"))
            self._note("%s of %s dies", name, node.name)
            node.happen(node.life, node.remake, name)

    def _blind(self) -> None:
        """It looks no more at what it runs, and that hangs: for as long as it lives, nothing there times out. One of
        them at a time, since it loses its workers for good, and somebody has to be left.
        """
        node = self._node()
        if any(one.blind for one in self._world.nodes):
            return
        self._note("%s is blind", node.name)
        node.blind = True
        self._world.at(self._world.plan.healed + NOTICED, self._restart_blind)

    def _restart_blind(self) -> None:
        """Somebody has read in the log what is ended for it."""
        for node in self._world.nodes:
            if node.blind:
                node.kill()

    # -- the store -----------------------------------------------------------------------------------------------------

    def _down(self) -> None:
        self._away(int(self._world.chance() * LEASE))

    def _outage(self) -> None:
        self._away(LEASE + int(self._world.chance() * LEASE // 2))

    def _away(self, span: int) -> None:
        self._note("the store is away for %.1f s", span / SECOND)
        self._world.server.away = True

        def back() -> None:
            self._world.server.away = False

        self._world.at(min(self._world.time + span, self._world.plan.healed), back)

    def _jump(self) -> None:
        clock = self._world.server.clock
        clock.offset += self._world.random.choice((-HOUR, -10 * SECOND, -SECOND, SECOND, 10 * SECOND, HOUR))
        self._furthest = max(self._furthest, clock.offset)
        self._note("the store's clock is set: %.0f s off", clock.offset / SECOND)

    def _wipe(self) -> None:
        self._away(int(self._world.chance() * SECOND))
        self._world.server.wipe()

    def _rewind(self) -> None:
        server = self._world.server
        if server.replica is not None:
            return
        server.lag()
        self._world.at(self._world.within(2 * SECOND), self._take_over)

    def _take_over(self) -> None:
        server = self._world.server
        if server.replica is None:
            return
        if self._world.chance() < 0.7:
            self._away(int(self._world.chance() * SECOND))
            server.failover()
        else:
            server.catch_up()

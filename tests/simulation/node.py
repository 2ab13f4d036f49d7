"""One node of many: its actors unstarted, its clock, its way to the store. It can be paused, killed, and started anew
as another incarnation.

Whatever reaches a node (an answer, a tick, a client) is put down at some actor's desk; then its actors go on, in random
order, until all desks are empty. A node that is to be killed dies between two messages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.base import NodeActor
from actors.messages import Address, Message, WatchRuns
from cluster.incarnation import Incarnation
from cluster.shared import ClusterCoordinator
from taskqueue.core.clock import MILLISECOND, SECOND
from taskqueue.core.ids import CountingIds
from tests.crew import Crew
from tests.postoffice import HANDLERS, registration
from tests.simulation.link import BeatLink, Link
from tests.simulation.scripts import Scripts, Seat
from tests.simulation.server import WorldClock

if TYPE_CHECKING:
    from tests.simulation.world import World

WATCH = 500 * MILLISECOND
"""How often runs are looked at: less often than a node does, for speed."""
RESTART = 1 * SECOND


class SimDesk:
    """A stable address of one node; nobody behind it until an actor is bound."""

    def __init__(self, node: SimNode, name: str) -> None:
        self._node = node
        self.name = name
        self.actor: NodeActor | None = None
        self.inbox: deque[Message] = deque()

    def tell(self, message: Message) -> bool:
        if self.actor is None:
            return False
        if not self.inbox:
            self._node.mail.append(self)
        self.inbox.append(message)
        return True


class SimNode:
    """See the module. `life` counts the starts; what was meant for an earlier one is lost."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.life = 0
        self.up = False
        self.cut = False
        self.paused = False
        self.blind = False
        """Its watch over what it runs does nothing."""
        self.doomed: int | None = None
        """So many messages more, and it dies."""
        self.halting = 0
        """As soon as something is on its way to the store, it stands still for so long."""
        self.mail: list[SimDesk] = []
        self.backlog: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self.me = Incarnation(CountingIds(f"{name}-0-"))
        self.booted = self.hurt = self.since = 0
        """When it started, when something last befell it, and since when it could have asked for work."""
        skew = int((world.chance() * 2 - 1) * world.plan.skew)
        self.clock = WorldClock(world, skew, int(world.chance() * 1_000 * SECOND))
        self.scripts = Scripts(self)

    @property
    def owner(self) -> str:
        """Its present incarnation."""
        return self.me.owner

    # -- coming and going ----------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Start, as a new incarnation."""
        if self.up:
            return
        world = self.world
        self.life += 1
        self.up, self.paused, self.blind, self.doomed, self.halting = True, False, False, None, 0
        self.mail, self.backlog = [], []
        self.booted = self.hurt = self.since = world.time
        self.me = Incarnation(CountingIds(f"{self.name}-{self.life}-"))
        world.note(self.name, "starts as %s", self.owner)
        self.link = Link(self)
        self.desks: dict[str, SimDesk] = {}
        self.scripts.begin()
        config = world.plan.config
        self.crew = crew = Crew(
            self.desk,
            register=registration(HANDLERS, self.owner, self.name, alone=False),
            incarnation=self.me,
            config=config,
            clock=self.clock,
            random=world.chance,
            coordinator=ClusterCoordinator(
                self.me, lease_ttl=config.lease_ttl, leader_ttl=config.leader_ttl, random=world.chance
            ),
            beater=BeatLink(self),
            metrics=world.metrics,
            ticker=self,
            runner=self.scripts,
            on_stuck=self._replace,
            on_refused=self._refused,
            seat=lambda name, channel: Seat(self.scripts, name, channel),
        )
        for name, factory in crew.factories.items():
            self._bind(name, factory())
        for interval, name, message in crew.ticks(WATCH, config.leader_ttl // 10):
            world.at(world.within(interval), self.happen, self.life, self._ring, interval, self.desk(name), message)
        self._go_on()

    def _bind(self, name: str, actor: NodeActor) -> None:
        self.desk(name).actor = actor
        actor.begin()

    def desk(self, name: str) -> Any:
        """The address of this name."""
        if name == "storage":
            return self.link
        found = self.desks.get(name)
        if found is None:
            found = self.desks[name] = SimDesk(self, name)
        return found

    def kill(self, *, restart: bool = True) -> None:
        """The process is gone, and all that was in it."""
        if not self.up:
            return
        self.world.note(self.name, "%s is killed", self.owner)
        self.world.ends.died(self)
        self.up = self.paused = False
        self.life += 1
        self.doomed = None
        self.mail, self.backlog = [], []
        if restart:
            self.world.at(self.world.within(3 * RESTART), self.boot)

    def pause(self, span: int) -> None:
        """The process stands still for a while; time does not."""
        self.halting = 0
        if self.up and not self.paused:
            self.world.note(self.name, "stands still for %d us", span)
            self.paused = True
            self.world.at(self.world.time + span, self._resume, self.life)

    def _resume(self, life: int) -> None:
        if life == self.life:
            self.resume()

    def resume(self) -> None:
        """And goes on, with all that came meanwhile."""
        if self.paused:
            self.world.note(self.name, "goes on")
            self.paused = False
            self.hurt = self.world.time
            backlog, self.backlog = self.backlog, []
            for do, given in backlog:
                self.happen(self.life, do, *given)

    def _refused(self, why: str) -> None:
        """The node was told that it cannot be one: it ends, and whoever started it starts it again."""
        self.world.note(self.name, "%s ends: %s", self.owner, why)
        self.doomed = 0

    def _replace(self, name: str) -> None:
        """A worker hangs in its handler: another takes its name and its address."""
        self.scripts.leave_behind(name)
        self.remake(name)

    def remake(self, name: str) -> None:
        """An actor dies, and its mail with it; another takes its place."""
        self.hurt = self.world.time
        desk = self.desks[name]
        if desk in self.mail:
            self.mail.remove(desk)
        desk.inbox.clear()
        self._bind(name, self.crew.factories[name]())

    # -- what reaches it -----------------------------------------------------------------------------------------------

    def happen(self, life: int, do: Callable[..., None], *given: Any) -> None:
        """Something from outside, meant for one incarnation."""
        if life != self.life or not self.up:
            return
        if self.paused:
            self.backlog.append((do, given))
            return
        do(*given)
        self._go_on()

    def tell(self, name: str, message: Message) -> None:
        """A client's thread tells one of the actors."""
        self.happen(self.life, self.desk(name).tell, message)

    def _go_on(self) -> None:
        mail, chance = self.mail, self.world.chance
        while mail:
            if self.doomed is not None:
                if self.doomed <= 0:
                    self.kill()
                    return
                self.doomed -= 1
            at = int(chance() * len(mail)) if len(mail) > 1 else 0
            desk = mail[at]
            message = desk.inbox.popleft()
            if not desk.inbox:
                mail[at] = mail[-1]
                mail.pop()
            assert desk.actor is not None
            desk.actor.on_receive(message)
        if self.doomed is not None and self.doomed <= 0:
            self.kill()
        elif self.halting and self.link.busy:
            self.pause(self.halting)

    # -- the ticker ----------------------------------------------------------------------------------------------------

    def every(self, interval: int, address: Address, message: Message) -> None:
        self.world.at(self.world.time + interval, self.happen, self.life, self._ring, interval, address, message)

    def after(self, delay: int, address: Address, message: Message) -> None:
        self.world.at(self.world.time + delay, self.happen, self.life, self._ring, 0, address, message)

    def _ring(self, interval: int, address: Address, message: Message) -> None:
        if interval:
            self.every(interval, address, message)
        if not (self.blind and isinstance(message, WatchRuns)):
            address.tell(message)

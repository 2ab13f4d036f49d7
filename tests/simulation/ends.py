"""What has to come about, and what must not happen to who did nothing: L1, L3, L4, L5 (who is cancelled hears of it),
L6 (no node asks without a pause), P1, the cursor of R2, fences of the living (F5), two who think they lead (R3).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from actors.overdue import MARGIN
from taskqueue.core.clock import SECOND
from taskqueue.core.task import TERMINAL, Cause, Status
from tests.simulation.broken import Broken
from tests.simulation.plan import LEADER, LEASE
from tests.simulation.server import EPOCH

if TYPE_CHECKING:
    from tests.simulation.node import SimNode
    from tests.simulation.world import World

AFTER_DEATH = 2 * SECOND
"""A dead node's tasks are free again so long after its lease at the latest (`leaderTtl` more, where it led)."""
RESUMED = 5 * SECOND
"""After all is mended, or it has come in, every idle node claims again within so long."""
TOLD = 8 * SECOND
"""A handler whose task was cancelled is told within so long, where nothing is broken."""
MOST_CLAIMS = 120
"""A node that finds nothing asks for work so often in a second at most."""
UNDECIDED = 8 * SECOND
"""A cursor is not further behind its leader's clock, where nothing is broken (schedules are due every 3 s at least)."""
SEEN = 15 * SECOND
"""Within so long beyond time-out and margin a leader ends what hangs with a living node."""
LATE_TICK = 15 * SECOND
"""What a schedule has made is over so long after its due time, where nothing is broken."""


class Ends:
    """State: which nodes were told by the store that they may go on, and when."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.claimed: dict[str, int] = {}
        """When each incarnation's last claim was accepted."""
        self._claims: Counter[str] = Counter()

    # -- while it runs -------------------------------------------------------------------------------------------------

    def died(self, node: SimNode) -> None:
        """A node was killed; where that is all that befalls, its tasks are soon free."""
        world = self._world
        if world.plan.kind == "death" and any(other.up and other is not node for other in world.nodes):
            led = LEADER + SECOND if world.law.state.leading.owner == node.owner else 0
            journeys = 4 * world.plan.latency  # a look, the fence, its answer, the reap
            world.at(world.time + LEASE + AFTER_DEATH + led + journeys, self._taken_back, node.owner)

    def _taken_back(self, owner: str) -> None:
        held = [name for name, life in self._world.law.state.lives.items() if life.owner == owner]
        if held:
            raise Broken("L3", f"{owner} died and its tasks are not free yet", *held)

    def fenced(self, owner: str, leader: str) -> None:
        """A node was declared dead. Where nothing befell it, that is wrong."""
        for node in self._world.nodes:
            if node.owner == owner and node.up and not node.paused and not node.cut:
                quiet = self._world.time - node.hurt
                if quiet > LEASE + SECOND:
                    raise Broken("F5", f"{leader} declared {owner} dead, to whom nothing happened for {quiet} us")

    def elected(self, owner: str, epoch: int) -> None:
        """Somebody leads from now on: nobody else may think so of itself."""
        world = self._world
        if world.server.line:
            return  # what was forgotten may have been somebody's term
        for node in world.nodes:
            if node.up and not node.paused and node.owner != owner:
                other = node.crew.coordinator.epoch(node.clock.monotonic())
                if other is not None:
                    raise Broken("R3", f"{owner} leads in epoch {epoch}, and {node.owner} thinks it does in {other}")

    def claims(self, owner: str) -> None:
        """A claim was accepted."""
        self.claimed[owner] = self._world.time
        self._claims[owner] += 1

    def cancelled(self, owner: str, task: str, fence: int) -> None:
        """A task was cancelled that `owner` runs."""
        world = self._world
        if world.healed or world.plan.kind == "calm":
            world.at(world.time + TOLD, self._told, owner, task, fence)

    def _told(self, owner: str, task: str, fence: int) -> None:
        for node in self._world.nodes:
            run = node.scripts.open.get((task, fence))
            if node.owner == owner and node.up and run is not None and not run.revoked and not run.ended:
                raise Broken("L5", f"{task} was cancelled, and its handler on {owner} was not told", task)

    def look(self) -> None:
        """From outside, each second. L4: after all is mended idle nodes ask for work. L6: they never ask too often."""
        busy = self._claims.most_common(1)
        if busy and busy[0][1] > MOST_CLAIMS:
            raise Broken("L6", f"{busy[0][0]} claimed {busy[0][1]} times within a second")
        self._claims.clear()
        if not self._world.healed:
            return
        self._overdue()
        now, mended = self._world.time, self._world.plan.healed
        for node in self._world.nodes:
            if not node.up or not node.crew.board.registered:
                since = max(node.booted, mended) + LEASE + LEADER + AFTER_DEATH
                if node.up and now > since + RESUMED:
                    raise Broken("L4", f"{node.owner} is not let in")
                node.since = now
                continue
            if node.crew.board.draining or not node.crew.pool.idle():
                node.since = now
            since = max(node.since, mended, self.claimed.get(node.owner, 0))
            if now - since > RESUMED:
                raise Broken("L4", f"{node.owner} is idle and has not claimed for {now - since} us")

    def _overdue(self) -> None:
        """L1: what hangs is ended by its node, and where that does not, by the leader."""
        world = self._world
        for name, life in world.law.state.lives.items():
            ran = world.time - max(life.taken, world.plan.healed)
            if life.status is Status.PROCESSING and ran > life.draft.timeout + MARGIN + SEEN:
                raise Broken("L1", f"{name} has hung for {ran} us with {life.owner}", name)

    # -- at the end ----------------------------------------------------------------------------------------------------

    def left(self) -> list[str]:
        """What has yet to come about, one line each."""
        world = self._world
        left = []
        wishes = world.clients.left()
        if wishes:
            left.append(f"{wishes} clients wait for an answer")
        now = EPOCH + world.time + world.server.clock.offset
        for name, life in world.law.state.lives.items():
            ticks = life.draft.schedule is not None  # there are always some
            due = life.draft.run_at or 0
            young = ticks and (life.born > world.time - LATE_TICK or due > now - LATE_TICK)
            if life.status not in TERMINAL and not young:
                left.append(f"{name} is {life.status}")
        left += [f"{name} runs on {node.name}" for node in world.nodes for name, _ in sorted(node.scripts.late)]
        left += [f"{node.name} is out" for node in world.nodes if not (node.up and node.crew.board.registered)]
        leading = world.law.state.leading
        for node in world.nodes:
            if node.owner == leading.owner:
                behind = node.clock.now() - UNDECIDED
                plots = leading.plots.items()
                left += [f"{name} is not decided" for name, plot in plots if plot.cursor < behind and not plot.paused]
        return left

    def final(self) -> None:
        """All is over: what has to be true of it."""
        world = self._world
        for name, life in world.law.state.lives.items():
            error = world.server.table.tasks[name].error
            crashed = life.status is Status.DEAD_LETTERED and error is not None and error.cause is Cause.CRASH
            if name in world.clients.poison:
                if not crashed or life.deaths > world.plan.config.max_crashes:
                    raise Broken("P1", f"{name} kills nodes and is {life.status} after {life.deaths} deaths", name)
            elif crashed:
                raise Broken("P1", f"{name} was convicted and is innocent", name)
        if world.plan.kind in ("calm", "outage") and world.law.state.leading.fences:
            raise Broken("F5", f"{world.law.state.leading.fences} nodes were declared dead, and all lived")

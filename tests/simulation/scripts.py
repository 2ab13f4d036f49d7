"""What handlers do: by script, in no time of their own. A WorkerActor whose handler runs looks into an empty channel
until it has ended, as a thread that is in a handler takes nothing else.

The ledger of how handlers ended is the clients', not the node's: it outlives it, as a handler's own traces do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.channel import Channel
from actors.messages import Work
from actors.pool import Dropped, Ending, Raised, Returned, Run, Snoozed
from actors.runners import timed_out
from taskqueue.core.clock import MILLISECOND, SECOND
from taskqueue.core.task import Cause
from tests.simulation.broken import Broken

if TYPE_CHECKING:
    from tests.simulation.node import SimNode

HANG = 6 * SECOND
STUCK = 45 * SECOND
PATIENT = 10 * SECOND
"""What has a longer time-out than this, and keeps no thread, may take so long."""
SNOOZES = 3
"""So often a task may ask for another time."""


class Seat:
    """A channel as one worker sees it."""

    def __init__(self, scripts: Scripts, name: str, channel: Channel) -> None:
        self._scripts = scripts
        self._name = name
        self._channel = channel
        self.call = channel.call

    def take(self) -> Run | None:
        return None if self._name in self._scripts.busy else self._channel.take()

    def empty(self) -> bool:
        return self._name in self._scripts.busy or self._channel.empty()

    def heard(self, worker: str) -> None:
        if self._name not in self._scripts.busy:
            self._channel.heard(worker)


class Scripts:
    """The runner of one node (`actors.runners.Runner`). State: which worker is in a handler, which runs are open."""

    def __init__(self, node: SimNode) -> None:
        self._node = node
        self._world = node.world
        self.busy: dict[str, Run] = {}
        self.open: dict[tuple[str, int], Run] = {}
        self.late: set[tuple[str, int]] = set()
        """What hangs for long, and then ends all the same."""

    def begin(self) -> None:
        """A new incarnation: nothing runs."""
        self.busy, self.open, self.late = {}, {}, set()

    def close(self) -> None:
        """Nothing to let go of."""

    def run(self, run: Run, worker: str) -> None:
        world, node = self._world, self._node
        if not node.crew.pool.begin(run, worker, node.clock.monotonic()):
            return
        self._alone(run)
        world.law.starts(run.task)
        world.note(run.task.id, "its handler starts on %s with fence %d", node.owner, run.task.fence)
        key = (run.task.id, run.task.fence)
        if key in world.clients.ledger:
            raise Broken("F1", f"{run.task.id} was started twice with fence {run.task.fence}", run.task.id)
        world.clients.ledger[key] = ("started", None)
        self.open[key] = run
        if run.kind == "async":
            run.interrupt = lambda: self._interrupted(run)
        else:
            self.busy[worker] = run
        if run.task.id in world.clients.poison:
            node.doomed = int(world.chance() * 6)
            return
        chance = world.chance()
        took = 50 * MILLISECOND if chance < 0.6 else 1 * SECOND if chance < 0.95 or world.healed else HANG
        if run.task.timeout > PATIENT and run.kind == "async":
            took = PATIENT
        if node.blind and not world.healed and world.chance() < 0.5:
            if world.chance() < 0.5:
                return  # it never ends, and nobody there sees it
            took = STUCK  # others end it, and its result comes too late
            self.late.add(key)
        span = PATIENT if run.task.id in world.clients.staying else world.within(took) - world.time
        world.at(world.time + span, node.happen, node.life, self._ends, run, worker)
        if world.chance() < 0.1:
            node.crew.pool.report(run, world.chance(), "so far")

    def _alone(self, run: Run) -> None:
        """P1: beside a suspect nothing runs."""
        others = [one for one in self.open.values() if not one.ended]
        for one in others:
            if one.task.solo or run.task.solo:
                pair = (run.task.id, one.task.id)
                raise Broken("P1", f"{self._node.owner} runs {pair}, and one of them is a suspect", *pair)

    def _interrupted(self, run: Run) -> None:
        self._end(run, timed_out(run) if run.timed_out else Dropped())

    def _ends(self, run: Run, worker: str) -> None:
        self._end(run, self._script(run))
        if self.busy.get(worker) is run:
            del self.busy[worker]
            self._node.desk(worker).tell(Work())

    def _end(self, run: Run, ending: Ending) -> None:
        key = (run.task.id, run.task.fence)
        self.open.pop(key, None)
        self.late.discard(key)
        if run.timed_out:
            ending = timed_out(run)
        elif run.revoked:
            ending = Dropped()
        if not self._node.crew.pool.end(run, ending, self._node.clock.monotonic()):
            return
        self._tell(run, ending)

    def _tell(self, run: Run, ending: Ending) -> None:
        self._world.note(run.task.id, "its handler on %s ends: %s", self._node.owner, ending)
        key = (run.task.id, run.task.fence)
        if isinstance(ending, Returned):
            self._world.clients.ledger[key] = ("returned", ending.result)
        elif isinstance(ending, Raised):
            self._world.clients.ledger[key] = ("failed", None)

    def leave_behind(self, worker: str) -> None:
        """Its handler does not come back: it has timed out, whatever it does later."""
        run = self.busy.pop(worker)
        self.open.pop((run.task.id, run.task.fence), None)
        self._world.clients.ledger[run.task.id, run.task.fence] = ("failed", None)

    def _script(self, run: Run) -> Ending:
        world = self._world
        dice, name = world.chance(), run.task.id
        if dice < 0.15:
            return Raised("ValueError", "no")
        if dice < 0.20:
            return Raised("Retry", "again", delay=world.random.choice((0, 30 * MILLISECOND)))
        if dice < 0.22:
            return Raised("Discard", "", Cause.DISCARDED, final=True)
        if dice < 0.30 and world.clients.snoozed[name] < SNOOZES:
            world.clients.snoozed[name] += 1
            return Snoozed(world.random.choice((0, 300 * MILLISECOND)))
        return Returned(b'"%d"' % run.task.fence)

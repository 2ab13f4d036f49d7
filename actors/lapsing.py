"""LeaderActor's hand for the leases of workers from outside: those that are not renewed are over, and what was run
under them is taken back, as from a dead node; a run that is over its time ends, however often its lease is renewed.

State: since when each lease stands still, until when each run under it may go on, both by this node's monotonic clock;
and who had a run over its time, whose runs are looked at again. A new leader begins with new timers, so it waits
longer, never too short.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.messages import Address, LookAtLeases, LookAtRuns, RunOverdue, RunsSeen
from actors.reaping import EMPTY, LAPSE, Reaping
from cluster.incarnation import Incarnation
from cluster.members import Watch
from storage.store import Verb
from taskqueue.core.clock import SECOND
from taskqueue.core.task import Task
from taskqueue.core.views import LeaseView

STALL = 5 * SECOND
"""A leader that has not looked for longer than that, which it does every second, starts all timers anew."""

OVERTIME = 1 * SECOND
"""So much longer than its time-out a run may take: its worker's own clock began a little later."""

AGAIN = 5 * SECOND
"""A run that was told to be over its time, and is there still after so long, is told again."""


class Lapsing:
    """See the module.

    Args:
        queue: who ends a run that is over its time.
        ask: see `Reaping`.
    """

    def __init__(
        self,
        *,
        incarnation: Incarnation,
        max_crashes: int,
        address: Address,
        storage: Address,
        scheduler: Address,
        queue: Address,
        ask: Callable[[str, Verb, int], None],
    ) -> None:
        self._address = address
        self._storage = storage
        self._queue = queue
        self._watch = Watch(stall=STALL)
        self._ttls: dict[str, int] = {}
        self._runs: dict[str, dict[str, tuple[Task, int]]] = {}
        self._late: set[str] = set()
        self.reaping = Reaping(
            incarnation=incarnation,
            max_crashes=max_crashes,
            lost=self._lost,
            scheduler=scheduler,
            ask=ask,
            duties=(LAPSE, EMPTY),
            dead="the lease %s was not renewed in time and is over",
            taken="took back %d tasks of the lease %s",
        )

    def look(self) -> None:
        """Ask which leases there are."""
        self._storage.tell(LookAtLeases(reply_to=self._address))

    def seen(self, leases: tuple[LeaseView, ...], epoch: int, now: int) -> None:
        """Time them, end what has stood still, empty what was ended, and see to the time of what runs."""
        live = {lease.owner: lease for lease in leases if not lease.fenced}
        if not self._watch.fresh(now):
            self._runs = {}
        self._watch.observe({owner: lease.beat for owner, lease in live.items()}, now)
        self._ttls = {owner: lease.ttl for owner, lease in live.items()}
        self.reaping.fence(epoch, now)
        self.reaping.seen(leases, epoch, now)
        self._runs = {owner: runs for owner, runs in self._runs.items() if owner in live}
        self._late &= self._runs.keys()
        for owner in sorted(live.keys() - self._runs.keys() | self._late):
            self._storage.tell(LookAtRuns(owner=owner, reply_to=self._address))
        for owner, runs in self._runs.items():
            over = {name: task for name, (task, deadline) in runs.items() if now >= deadline}
            for name, task in over.items():
                self._late.add(owner)
                runs[name] = (task, now + AGAIN)
                self._queue.tell(RunOverdue(task=task))

    def runs_seen(self, seen: RunsSeen, now: int) -> None:
        """What a lease holds; nothing is added to it later. The time of what is new here is reckoned from now on."""
        known = self._runs.get(seen.owner, {})
        if seen.owner in self._ttls and seen.tasks:  # else its claim is on its way still, or it is about to end
            self._runs[seen.owner] = {
                task.id: known.get(task.id, (task, now + task.timeout + OVERTIME)) for task in seen.tasks
            }

    def _lost(self, now: int) -> dict[str, int]:
        still = self._watch.still(0, now)
        since = self._watch.since()
        return {owner: beat for owner, beat in still.items() if now - since[owner] >= self._ttls[owner]}

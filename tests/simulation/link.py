"""The way between one node and the store, in StorageActor's place: takes its messages, sends its answers.

Like it, it takes all writes that wait together and does one exchange at a time; unlike it, the exchange is two
moments, and what may befall each is chosen by the plan's chances: see `plan.LINK`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.messages import (
    Address,
    CountsSeen,
    HeldSeen,
    LeasesSeen,
    LookAtCounts,
    LookAtHeld,
    LookAtLeases,
    LookAtMembers,
    LookAtRuns,
    LookAtSchedules,
    LookAtTasks,
    LookAtTerm,
    MembersSeen,
    Message,
    RunsSeen,
    SchedulesSeen,
    TasksSeen,
    TermSeen,
    Write,
    Written,
)
from storage.redis_calls import REPEATABLE, TOGETHER
from storage.store import Store, Verb
from storage.verbs import Beat
from taskqueue.core.clock import SECOND
from taskqueue.core.errors import StoreError, StoreFull, StoreUnavailable

if TYPE_CHECKING:
    from tests.simulation.node import SimNode

GIVEN_UP = 2 * SECOND
"""After so long who asked is told that the outcome is unknown."""
SLOWEST = 4 * SECOND
LATEST = 5 * SECOND
REPLICATION = 1 * SECOND
"""How long an answer waits for the replica."""

REPEATED = TOGETHER | REPEATABLE
"""The verbs that are done anew where a call is repeated; others have their first answer kept for that."""


def _schedules(store: Store, look: LookAtSchedules) -> Message:
    revision = store.revision()
    schedules = None if revision == look.revision else tuple(store.schedules())
    return SchedulesSeen(revision=revision, schedules=schedules)


def _tasks(store: Store, look: LookAtTasks) -> Message:
    return TasksSeen(tasks=tuple(filter(None, map(store.get, look.ids))), ticket=look.ticket)


def _runs(store: Store, look: LookAtRuns) -> Message:
    tasks = (store.get(held.id) for held in store.held(look.owner))
    return RunsSeen(owner=look.owner, tasks=tuple(t for t in tasks if t is not None and t.owner == look.owner))


LOOKS: dict[type[Any], Callable[[Store, Any], Message]] = {
    LookAtMembers: lambda store, _: MembersSeen(members=tuple(store.members())),
    LookAtTerm: lambda store, _: TermSeen(term=store.term()),
    LookAtHeld: lambda store, look: HeldSeen(owner=look.owner, held=tuple(store.held(look.owner))),
    LookAtLeases: lambda store, _: LeasesSeen(leases=tuple(store.leases())),
    LookAtRuns: _runs,
    LookAtSchedules: _schedules,
    LookAtTasks: _tasks,
    LookAtCounts: lambda store, _: CountsSeen(counts=store.counts()),
}


class Link:
    """State: what waits to be asked, and whether something is asked now."""

    def __init__(self, node: SimNode) -> None:
        self._node = node
        self._world = node.world
        self._chance = node.world.chance
        self._latency = node.world.plan.latency
        self._waiting: list[Message] = []
        self._busy = False

    def tell(self, message: Message) -> bool:
        if isinstance(message, LookAtLeases) and not self._world.server.store.leases():
            return True  # an answer that says nothing changes nothing: what else a seed brings is to stay as it was
        self._waiting.append(message)
        if not self._busy:
            self._busy = True
            self._world.at(self._soon(), self._arrive, self._node.life)
        return True

    @property
    def busy(self) -> bool:
        """Is something on its way?"""
        return self._busy

    def _soon(self) -> int:
        return self._world.time + 100 + int(self._chance() * self._latency)

    # -- the exchange --------------------------------------------------------------------------------------------------

    def _arrive(self, life: int) -> None:
        """What waits has reached the store; or has not."""
        if life != self._node.life:
            if self._world.chance() < 0.5:
                return  # it had not left when the node died
        elif self._node.paused and self._world.chance() < 0.7:
            self._node.happen(life, self._arrive, life)  # it had not left when the node stood still: it goes out later
            return
        waiting, self._waiting = self._waiting, []
        writes = [message for message in waiting if type(message) is Write]
        looks = [message for message in waiting if type(message) is not Write]
        fate = self._fate()
        if fate == "plain":
            self._answer(life, writes, self._do(writes), looks, self._soon())
        else:
            self._world.note("fault", "an exchange of %s is %s: %s", self._node.name, fate, _verbs(writes))
            getattr(self, f"_{fate}")(life, writes, looks)

    def _fate(self) -> str:
        if self._world.server.away or self._node.cut:
            if self._world.plan.replicated:  # a failover has forgotten beats as well: with this one it may be too many
                self._node.hurt = self._world.time
            return "lost"
        fates = self._world.plan.fates
        if fates and not self._world.healed:
            dice = self._world.chance()
            for name, chance in fates.items():
                dice -= chance
                if dice < 0:
                    self._node.hurt = self._world.time + LATEST
                    return name
        return "plain"

    def _do(self, writes: list[Write]) -> list[Any]:
        """Have it done; the results, one for each verb."""
        if not writes:
            return []
        server = self._world.server
        verbs = writes[0].verbs if len(writes) == 1 else tuple(verb for write in writes for verb in write.verbs)
        results = server.execute(verbs)
        if self._world.plan.replicated and not server.vouches:
            return [StoreUnavailable("no replica has it")] * len(results)
        return results

    def _answer(
        self,
        life: int,
        writes: list[Write],
        results: list[Any],
        looks: list[Message],
        moment: int,
        *,
        ends: bool = True,
    ) -> None:
        """Tell who asked, at a moment; `ends`: the exchange is over then."""
        store = self._world.server.store
        seen = [(look.reply_to, LOOKS[type(look)](store, look)) for look in looks]  # type: ignore[attr-defined]
        self._world.at(moment, self._node.happen, life, self._tell, writes, results, seen, ends)

    def _tell(self, writes: list[Write], results: list[Any], seen: list[Any], ends: bool) -> None:
        start = 0
        for write in writes:
            end = start + len(write.verbs)
            write.reply_to.tell(Written(results=tuple(results[start:end]), ticket=write.ticket))
            start = end
        for reply_to, message in seen:
            reply_to.tell(message)
        if ends:
            self._end()

    def _end(self) -> None:
        self._busy = False
        if self._waiting:
            self._busy = True
            self._world.at(self._soon(), self._arrive, self._node.life)

    # -- what may befall it --------------------------------------------------------------------------------------------

    def _lost(self, life: int, writes: list[Write], looks: list[Message]) -> None:
        self._answer(life, writes, _unknown(writes), [], self._world.time + GIVEN_UP)

    def _unheard(self, life: int, writes: list[Write], looks: list[Message]) -> None:
        self._do(writes)
        self._lost(life, writes, looks)

    def _again(self, life: int, writes: list[Write], looks: list[Message]) -> None:
        first = self._do(writes)
        self._world.at(self._world.within(GIVEN_UP), self._repeat, life, writes, looks, first)

    def _repeat(self, life: int, writes: list[Write], looks: list[Message], first: list[Any]) -> None:
        """The same calls once more; those that have a name answer as they did at first."""
        if life != self._node.life:
            return
        verbs: list[Verb] = [verb for write in writes for verb in write.verbs]
        second = iter(self._world.server.execute(tuple(verb for verb in verbs if type(verb) in REPEATED)))
        answers = [next(second) if type(verb) in REPEATED else first[n] for n, verb in enumerate(verbs)]
        self._answer(life, writes, answers, looks, self._soon())

    def _late(self, life: int, writes: list[Write], looks: list[Message]) -> None:
        self._lost(life, writes, looks)
        verbs = tuple(verb for write in writes for verb in write.verbs)
        self._world.at(self._world.time + GIVEN_UP + int(self._world.chance() * LATEST), self._belated, verbs)

    def _belated(self, verbs: tuple[Verb, ...]) -> None:
        if not self._world.server.away:
            self._world.server.execute(verbs)

    def _slow(self, life: int, writes: list[Write], looks: list[Message]) -> None:
        if self._world.chance() < 0.5:  # on the way back, else on the way there
            self._answer(life, writes, self._do(writes), looks, self._world.within(SLOWEST))
        else:
            self._world.at(self._world.within(SLOWEST), self._arrived_late, life, writes, looks)

    def _arrived_late(self, life: int, writes: list[Write], looks: list[Message]) -> None:
        if self._world.server.away:
            self._lost(life, writes, looks)
        else:
            self._answer(life, writes, self._do(writes), looks, self._soon())

    def _silent(self, life: int, writes: list[Write], looks: list[Message]) -> None:
        self._do(writes)
        self._world.at(self._soon(), self._node.happen, life, self._end)

    def _twice(self, life: int, writes: list[Write], looks: list[Message]) -> None:
        results = self._do(writes)
        self._answer(life, writes, results, looks, self._soon())
        self._answer(life, writes, results, looks, self._world.within(GIVEN_UP), ends=False)

    def _refused(self, life: int, writes: list[Write], looks: list[Message]) -> None:
        error = StoreFull("no room") if self._world.chance() < 0.5 else StoreError("not done")
        self._answer(life, writes, [error] * len(_unknown(writes)), [], self._soon())

    def _part(self, life: int, writes: list[Write], looks: list[Message]) -> None:
        verbs = tuple(verb for write in writes for verb in write.verbs)
        done = int(self._world.chance() * (len(verbs) + 1))
        results: list[Any] = [*self._world.server.execute(verbs[:done])]
        unknown = [StoreUnavailable("cut off")] * (len(verbs) - done)
        self._answer(life, writes, results + unknown, [], self._world.time + GIVEN_UP)


class BeatLink(Link):
    """The way of heartbeats, beside everything else (`actors.beater.Beater`): of those that wait only the last goes."""

    def send(self, beat: Beat, reply_to: Address, ticket: object) -> None:
        self._waiting.clear()
        self.tell(Write(verbs=(beat,), reply_to=reply_to, ticket=ticket))


def _unknown(writes: list[Write]) -> list[Any]:
    return [StoreUnavailable("not heard of")] * sum(len(write.verbs) for write in writes)


def _verbs(writes: list[Write]) -> str:
    return ", ".join(type(verb).__name__ for write in writes for verb in write.verbs) or "looks"

"""The laws of a single task's steps: who holds it and with which fence (F1, F2, F4), that it ends once (F3), not
before its time (S3), and within its budgets (L2, P1). Each step is taken in the laws' own record too, and both have to
agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.overdue import MARGIN
from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.task import Cause, Status, Task
from tests.simulation.broken import Broken
from tests.simulation.record import ENDED, Life

if TYPE_CHECKING:
    from tests.simulation.record import State
    from tests.simulation.world import World


class Steps:
    """State: every (task, fence) that was granted, by what the store had forgotten then (`Server.line`)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._granted: set[tuple[int, str, int]] = set()

    @property
    def _state(self) -> State:
        return self._world.law.state

    @property
    def _now(self) -> int:
        """The store's time."""
        return self._world.server.clock.now()

    def take(self, verb: Any, life: Life, before: Task, after: Task | None) -> None:
        """One step of a task that was there before."""
        name, kind = before.id, type(verb)
        if after is None:
            state = self._state
            del state.lives[name]
            state.gone.add(name)
            state.ended = {end for end in state.ended if end[0] != name}  # the id is free again
            return
        if isinstance(verb, ev.Owned):
            self._held(verb, life)
        step = _STEPS.get(kind)
        if step is not None:
            step(self, verb, life, after)
        if after.status in ENDED:
            self._ended(name, life)
        life.status = after.status
        told = (after.attempt, after.crashes, after.generation, after.fence, after.owner, after.solo)
        mine = (life.attempt, life.crashes, life.generation, life.fence, life.owner, life.solo)
        if told != mine:
            raise Broken("L2", f"after {kind.__name__} {name} counts {told}, and it is {mine}", name)

    def _ended(self, name: str, life: Life) -> None:
        end = (name, life.generation)
        if end in self._state.ended:
            raise Broken("F3", f"{name} ended twice in generation {life.generation}", name)
        self._state.ended.add(end)

    # -- a claim -------------------------------------------------------------------------------------------------------

    def _claim(self, verb: v.Claim, life: Life, after: Task) -> None:
        if after.status is Status.PROCESSING:
            self._taken(verb, life, after)
        elif after.status is Status.PENDING:
            self._promoted(verb, life, after)
        elif life.draft.expires_at is None or life.draft.expires_at > self._now:
            raise Broken("S1", f"{after.id} was given up by a claim before its time was over", after.id)

    def _promoted(self, _: Any, life: Life, after: Task) -> None:
        if life.due > self._now:
            raise Broken("S3", f"{after.id} was promoted {life.due - self._now} us before its time", after.id)
        life.due = 0

    def _taken(self, verb: v.Claim, life: Life, after: Task) -> None:
        name, line = after.id, self._world.server.line
        if life.owner is not None:
            raise Broken("F2", f"{verb.owner} claimed {name}, which {life.owner} holds", name)
        if after.fence <= life.fence or (line, name, after.fence) in self._granted:
            raise Broken("F1", f"{name} was granted with fence {after.fence} after {life.fence}", name)
        if life.due > self._now:
            raise Broken("S3", f"{name} was claimed {life.due - self._now} us before its time", name)
        if after.owner != verb.owner or not self._state.leading.may_claim(verb.owner):
            raise Broken("F2", f"{verb.owner} claimed {name} and must not claim", name)
        if after.queue in self._state.paused:
            raise Broken("S1", f"{name} was claimed from a paused queue", name)
        self._granted.add((line, name, after.fence))
        life.owner, life.fence, life.request = verb.owner, after.fence, verb.request
        life.attempt += 1
        life.taken = self._world.time

    # -- how a run ends ------------------------------------------------------------------------------------------------

    def _held(self, verb: ev.Owned, life: Life) -> None:
        """F4: only who holds it, with this very fence, and is not dead."""
        what = f"{type(verb).__name__} by {verb.owner} with fence {verb.fence}"
        if life.owner != verb.owner or life.fence != verb.fence:
            raise Broken("F4", f"{what}: {verb.id} is held by {life.owner} with fence {life.fence}", verb.id)
        if self._state.leading.dead(verb.owner):
            raise Broken("F4", f"{what}: it was accepted for {verb.id} from one who is fenced", verb.id)

    def _complete(self, verb: ev.Complete, life: Life, _: Task) -> None:
        said = self._world.clients.ledger.get((verb.id, verb.fence))
        if said != ("returned", verb.result):
            raise Broken("L1", f"{verb.id} completed with fence {verb.fence}, and its handler {said}", verb.id)
        life.owner, life.solo = None, False

    def _fail(self, verb: ev.Fail, life: Life, after: Task) -> None:
        name = verb.id
        said = self._world.clients.ledger.get((name, verb.fence))
        if said is None or said[0] != "failed":
            self._ended_for_its_owner(verb, life, said)
        life.owner = None
        life.failures += 1
        left = life.draft.retries + 1 - life.failures
        if left < 0:
            raise Broken("L2", f"{name} failed {life.failures} times, with {life.draft.retries} retries", name)
        if after.status is Status.FAILED and not left:
            raise Broken("L2", f"{name} has no retry left and waits for one", name)
        if after.status is Status.DEAD_LETTERED and left and not verb.final:
            raise Broken("L2", f"{name} was given up with retries left", name)
        life.due = self._now + verb.delay

    def _ended_for_its_owner(self, verb: ev.Fail, life: Life, said: object) -> None:
        """Its handler has not failed: that may be said of it only by others, and long after its time-out."""
        ran = self._world.time - life.taken
        if verb.cause is not Cause.TIMEOUT or ran < life.draft.timeout + MARGIN:
            why = f"{ran} us after the claim, and its handler {said}"
            raise Broken("L2", f"{verb.id} failed with fence {verb.fence}, {why}", verb.id)
        self._world.seen["ended for its owner", None] += 1

    def _release(self, verb: ev.Release, life: Life, _: Task) -> None:
        life.owner, life.due = None, 0
        life.attempt -= 1

    def _snooze(self, verb: ev.Snooze, life: Life, _: Task) -> None:
        life.owner, life.due = None, self._now + verb.delay if verb.delay else 0
        life.attempt -= 1
        life.crashes, life.solo = 0, False

    def _reap(self, verb: v.Reap, life: Life, after: Task) -> None:
        name = after.id
        if life.owner != verb.owner:
            raise Broken("F4", f"{name} of {life.owner} was reaped with the tasks of {verb.owner}", name)
        if after.status is Status.DEAD_LETTERED and not life.solo:
            raise Broken("P1", f"{name} was convicted of a crash and was not alone", name)
        if after.status is not Status.DEAD_LETTERED and life.solo:
            raise Broken("P1", f"{name} crashed alone and was not convicted", name)
        life.owner, life.due = None, 0
        life.crashes += 1
        life.deaths += 1
        life.solo = life.solo or life.crashes >= max(1, self._world.plan.config.max_crashes - 1)

    # -- operators -----------------------------------------------------------------------------------------------------

    def _cancel(self, _: ev.Cancel, life: Life, after: Task) -> None:
        if life.owner is not None:
            self._world.ends.cancelled(life.owner, after.id, life.fence)
            life.attempt -= 1
        life.owner = None

    def _replay(self, _: ev.Replay, life: Life, __: Task) -> None:
        life.generation += 1
        life.attempt = life.failures = life.crashes = life.deaths = life.due = 0
        life.solo = False

    def _retry(self, _: ev.Retry, life: Life, __: Task) -> None:
        life.due = 0

    def _update(self, _: ev.Update, life: Life, after: Task) -> None:
        life.due = after.due_at if after.delayed else 0


_STEPS: dict[type[Any], Any] = {
    v.Claim: Steps._claim,
    v.PromoteDue: Steps._promoted,
    v.Reap: Steps._reap,
    ev.Complete: Steps._complete,
    ev.Fail: Steps._fail,
    ev.Release: Steps._release,
    ev.Snooze: Steps._snooze,
    ev.Cancel: Steps._cancel,
    ev.Replay: Steps._replay,
    ev.Retry: Steps._retry,
    ev.Update: Steps._update,
}

"""The laws of guarantees.md over single tasks, looked at after every verb from a record of its own (`record`): the store's
answers and changes come in, and nothing of its code is asked what it thinks of them.

Laws: D1-D5, F1-F4, S1, S3, L2, P1, and C1 (a repeated claim answers the same). Those over nodes, terms and schedules are
in `leading`, S2 is in `whole`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

from storage import verbs as v
from storage.store import Verb
from taskqueue.core import events as ev
from taskqueue.core.events import Code
from taskqueue.core.task import Draft, Status, Task
from tests.simulation.broken import Broken
from tests.simulation.record import EDGES, ENDED, Life, State
from tests.simulation.server import EPOCH, Change
from tests.simulation.story import tell

if TYPE_CHECKING:
    from tests.simulation.world import World

class Law:
    """State: the record, and what clients were promised (that does not go back)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.state = State()
        self.sent: dict[str, Draft] = {}
        self.promised: set[str] = set()
        self.granted: set[tuple[int, str, int]] = set()
        self.kept: set[str] = set()
        """Op ids that were acknowledged to operators."""
        self.wiped = 0

    # -- a verb was done -----------------------------------------------------------------------------------------------

    def judge(self, verb: Verb, result: Any, changes: Sequence[Change]) -> None:
        """Raises Broken where this verb, with this result and these changes, breaks a law."""
        kind = type(verb)
        state = self.state
        now = EPOCH + self._world.time + self._world.server.clock.offset
        if self._world.story is not None:
            tell(self._world, verb, result, changes)
        if changes:
            edges = EDGES.get(kind)
            if edges is None:
                raise Broken("S1", f"{kind.__name__} changed tasks", *_names(changes))
            if getattr(result, "code", Code.OK) is not Code.OK:
                raise Broken("F4", f"{kind.__name__} was answered {result.code} and changed tasks", *_names(changes))
            for before, after in changes:
                edge = (before and before.status, after and after.status)
                name = (after or before).id  # type: ignore[union-attr]
                if edge not in edges:
                    raise Broken("S1", f"{kind.__name__} moved {name} from {edge[0]} to {edge[1]}", name)
                if before is None:
                    self._born(verb, after, now)  # type: ignore[arg-type]
                    continue
                life = state.lives.get(name)
                if life is None or life.status is not before.status:
                    raise Broken("S1", f"{name} was changed behind everybody's back", name)
                self._moved(verb, kind, life, before, after, now)
        code = getattr(result, "code", None)
        self._world.seen[kind.__name__, code] += 1
        if kind is v.Claim:
            self._claimed(verb, result, changes)
        elif isinstance(verb, ev.Event):
            self._happened(verb, code, changes)
        elif kind is v.Pause:
            state.paused.add(verb.queue)  # type: ignore[union-attr]
        elif kind is v.Resume:
            state.paused.discard(verb.queue)  # type: ignore[union-attr]
        elif kind is v.Sweep and result.count:
            raise Broken("S2", f"a sweep found {result.count} tasks or counts in limbo")
        state.leading.judge(self._world, verb, result, changes)

    def _happened(self, event: ev.Event, code: Code, changes: Sequence[Change]) -> None:
        """An event from outside was answered. D2: what was done last is not done again, nor refused."""
        life = self.state.lives.get(event.id)
        known = life is not None and event.op != "" and life.op == event.op
        if code is Code.OK and not changes:
            raise Broken("S1", f"{type(event).__name__} of {event.id} was accepted and did nothing", event.id)
        if known and code is not Code.DUP:
            raise Broken("D2", f"{event} was done, and its repeat was answered {code}", event.id)
        if code is Code.OK:
            if not isinstance(event, ev.Owned):
                self.state.done.add(event.op)
            if life is not None and event.op:
                life.op = event.op

    def _born(self, verb: Any, task: Task, now: int) -> None:
        state = self.state
        if type(verb) is v.Tick:
            draft = next(draft for draft in verb.drafts if draft.id == task.id)
            due = state.leading.due_of(verb, draft)
        else:
            known = self.sent.get(task.id)
            if known is None:
                raise Broken("D3", f"{task.id} was stored and nobody sent it", task.id)
            draft = known
            due = draft.run_at or (now + draft.delay if draft.delay else 0)
        if task.id in state.lives or (task.id in state.gone and task.schedule is not None):
            raise Broken("D2", f"{task.id} was made twice", task.id)
        state.lives[task.id] = Life(draft, due if due > now else 0, self._world.time)

    def _moved(self, verb: Any, kind: type[Any], life: Life, before: Task, after: Task | None, now: int) -> None:
        """One step of a task; keeps the record."""
        name = before.id
        if after is None:
            del self.state.lives[name]
            self.state.gone.add(name)
            self.state.ended = {end for end in self.state.ended if end[0] != name}  # the id is free again
            return
        if kind is v.Claim:
            if after.status is Status.PROCESSING:
                self._taken(verb, life, after, now)
            elif after.status is Status.PENDING:
                self._promoted(life, name, now)
            elif not (life.draft.expires_at is not None and life.draft.expires_at <= now):
                raise Broken("S1", f"{name} was given up by a claim before its time was over", name)
        elif isinstance(verb, ev.Owned):
            if life.owner != verb.owner or life.fence != verb.fence:
                held = f"{life.owner} with fence {life.fence}"
                raise Broken(
                    "F4", f"{kind.__name__} by {verb.owner} with fence {verb.fence}: {name} is held by {held}", name
                )
            if self.state.leading.dead(verb.owner):
                raise Broken("F4", f"{kind.__name__} of {name} was accepted from {verb.owner}, who is fenced", name)
            self._owned(verb, kind, life, after, now)
        elif kind is v.Reap:
            if life.owner != verb.owner:
                raise Broken("F4", f"{name} of {life.owner} was reaped with the tasks of {verb.owner}", name)
            self._reaped(life, after, name)
            life.due = 0
        elif kind is ev.Cancel:
            if life.owner is not None:
                self._world.ends.cancelled(life.owner, name, life.fence)
            life.attempt -= life.owner is not None
            life.owner = None
        elif kind is ev.Replay:
            life.generation += 1
            life.attempt = life.failures = life.crashes = life.deaths = 0
            life.solo = False
            life.due = 0
        elif kind is ev.Retry:
            life.due = 0
        elif kind is ev.Update:
            life.due = after.due_at if after.delayed else 0
        elif kind is v.PromoteDue:
            self._promoted(life, name, now)
        if after.status in ENDED:
            end = (name, life.generation)
            if end in self.state.ended:
                raise Broken("F3", f"{name} ended twice in generation {life.generation}", name)
            self.state.ended.add(end)
        life.status = after.status
        told = (after.attempt, after.crashes, after.generation, after.fence, after.owner, after.solo)
        mine = (life.attempt, life.crashes, life.generation, life.fence, life.owner, life.solo)
        if told != mine:
            raise Broken("L2", f"after {kind.__name__} {name} counts {told}, and it is {mine}", name)

    def _promoted(self, life: Life, name: str, now: int) -> None:
        if life.due > now:
            raise Broken("S3", f"{name} was promoted {life.due - now} us before its time", name)
        life.due = 0

    def _taken(self, verb: v.Claim, life: Life, after: Task, now: int) -> None:
        name, line = after.id, self._world.server.line
        if life.owner is not None:
            raise Broken("F2", f"{verb.owner} claimed {name}, which {life.owner} holds", name)
        if after.fence <= life.fence or (line, name, after.fence) in self.granted:
            raise Broken("F1", f"{name} was granted with fence {after.fence} after {life.fence}", name)
        if life.due > now:
            raise Broken("S3", f"{name} was claimed {life.due - now} us before its time", name)
        if after.owner != verb.owner or not self.state.leading.may_claim(verb.owner):
            raise Broken("F2", f"{verb.owner} claimed {name} and must not claim", name)
        if after.queue in self.state.paused:
            raise Broken("S1", f"{name} was claimed from a paused queue", name)
        self.granted.add((line, name, after.fence))
        life.owner, life.fence, life.request = verb.owner, after.fence, verb.request
        life.attempt += 1

    def _owned(self, verb: Any, kind: type[Any], life: Life, after: Task, now: int) -> None:
        name = verb.id
        ledger = self._world.clients.ledger
        if kind is ev.Report:
            return
        life.owner = None
        if kind is ev.Complete:
            said = ledger.get((name, verb.fence))
            if said != ("returned", verb.result):
                raise Broken("L1", f"{name} completed with fence {verb.fence}, and its handler {said}", name)
            life.solo = False
        elif kind is ev.Fail:
            said = ledger.get((name, verb.fence))
            if said is None or said[0] != "failed":
                raise Broken("L2", f"{name} failed with fence {verb.fence}, and its handler {said}", name)
            life.failures += 1
            if life.failures > life.draft.retries + 1:
                raise Broken("L2", f"{name} failed {life.failures} times, with {life.draft.retries} retries", name)
            if after.status is Status.FAILED and life.failures > life.draft.retries:
                raise Broken("L2", f"{name} has no retry left and waits for one", name)
            if after.status is Status.DEAD_LETTERED and not verb.final and life.failures <= life.draft.retries:
                raise Broken("L2", f"{name} was given up with retries left", name)
            life.due = now + verb.delay
        else:
            life.attempt -= 1
            life.due = 0
            if kind is ev.Snooze:
                life.due = now + verb.delay if verb.delay else 0
                life.crashes, life.solo = 0, False

    def _reaped(self, life: Life, after: Task, name: str) -> None:
        most = self._world.plan.config.max_crashes
        life.crashes += 1
        life.deaths += 1
        life.owner = None
        if after.status is Status.DEAD_LETTERED:
            if not life.solo:
                raise Broken("P1", f"{name} was convicted of a crash and was not alone", name)
        elif life.solo:
            raise Broken("P1", f"{name} crashed alone and was not convicted", name)
        life.solo = life.solo or life.crashes >= max(1, most - 1)

    def _claimed(self, verb: Any, claimed: v.Claimed, changes: Sequence[Change]) -> None:
        """C1: a repeat of the last request answers what it still holds of it, and takes nothing."""
        if claimed.code is not Code.OK:
            return
        self._world.ends.claims(verb.owner)
        requests = self.state.requests
        told = {task.id for group in claimed.tasks for task in group}
        held = {
            name
            for name in ({*told, *_names(changes)} if changes else self.state.lives)
            if (life := self.state.lives[name]).owner == verb.owner and life.request == verb.request
        }
        if told != held:
            raise Broken("C1", f"claim {verb.request} of {verb.owner} holds {held} and was told {told}", *told ^ held)
        last = requests.get(verb.owner, 0)
        if verb.request <= last and any(after and after.status is Status.PROCESSING for _, after in changes):
            raise Broken("C1", f"claim {verb.request} of {verb.owner} was repeated and took more", *_names(changes))
        requests[verb.owner] = verb.request

    # -- what others see -----------------------------------------------------------------------------------------------

    def starts(self, task: Task) -> None:
        """A handler begins: it has what was sent."""
        life = self.state.lives.get(task.id)
        sent = self.sent.get(task.id) or (life and life.draft)
        if sent is not None and crc32(task.payload) != sent.checksum:
            raise Broken("D5", f"the handler of {task.id} got another payload than was sent", task.id)

    @property
    def _forgetful(self) -> bool:
        """Has the store lost what it need not keep? Then an answer may tell of something that is gone by now."""
        return self._world.server.line > 0 and not self._world.plan.replicated

    def acknowledged(self, name: str) -> None:
        """A client was told that its task is stored."""
        state = self.state
        if self._forgetful:
            self.promised.add(name)
            return
        if name not in state.lives and name not in state.gone:
            raise Broken("D4", f"{name} was acknowledged and is not stored", name)
        self._vouched("D4", name, lambda then: name in then.lives or name in then.gone)
        self.promised.add(name)

    def obeyed(self, op: str, task: str) -> None:
        """An operator was told that it is done."""
        if self._forgetful:
            return
        if op not in self.state.done:
            raise Broken("D4", f"{op} on {task} was acknowledged and not done", task)
        self._vouched("D4", task, lambda then: op in then.done)
        self.kept.add(op)

    def _vouched(self, law: str, name: str, had: Any) -> None:
        """Where a replica lags, it has to have what is acknowledged: it may be all that is left."""
        if self._world.plan.replicated and self._world.server.replica is not None and not had(self._world.server.then()):
            raise Broken(law, f"{name} was acknowledged, and no replica has it", name)

    # -- the store forgets ---------------------------------------------------------------------------------------------

    def forget_all(self) -> None:
        """The store is empty: what was promised before is exempt, and counted."""
        self.wiped += len(self.promised)
        self.promised.clear()
        self.kept.clear()
        self.state = State()
        self.granted.clear()

    def go_back(self, state: State) -> None:
        """The store has only this still. What was acknowledged with WAIT is among it."""
        lost = {name for name in self.promised if name not in state.lives and name not in state.gone}
        undone = self.kept - state.done
        if self._world.plan.replicated and (lost or undone):
            raise Broken("D1", f"acknowledged and lost: {sorted(lost | undone)}", *lost)
        self.promised -= lost
        self.kept -= undone
        self.wiped += len(lost)
        self.state = state


def _names(changes: Sequence[Change]) -> list[str]:
    return [(after or before).id for before, after in changes]  # type: ignore[union-attr]

"""The laws of what clients and nodes are promised, looked at after every verb from a record of its own (`record`): the
store's answers and changes come in, and nothing of its code is asked what it thinks of them.

Laws: D1-D5, S1, and C1 (a repeated claim answers the same). Those of a single task's steps are in `steps`, those of
nodes, terms and schedules in `leading`, S2 is in `whole`.
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
from tests.simulation.record import EDGES, Life, State
from tests.simulation.server import Change
from tests.simulation.steps import Steps
from tests.simulation.story import tell

if TYPE_CHECKING:
    from tests.simulation.world import World


class Law:
    """State: the record, and what clients were promised (that does not go back)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._steps = Steps(world)
        self.state = State()
        self.sent: dict[str, Draft] = {}
        self.promised: set[str] = set()
        self.kept: set[str] = set()
        """Op ids that were acknowledged to operators."""
        self.wiped = 0

    # -- a verb was done -----------------------------------------------------------------------------------------------

    def judge(self, verb: Verb, result: Any, changes: Sequence[Change]) -> None:
        """Raises Broken where this verb, with this result and these changes, breaks a law."""
        kind = type(verb)
        state = self.state
        if self._world.story is not None:
            tell(self._world, verb, result, changes)
        if changes:
            self._changed(verb, result, changes)
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

    def _changed(self, verb: Verb, result: Any, changes: Sequence[Change]) -> None:
        """S1: only what may change, and only as it may."""
        kind = type(verb)
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
                self._born(verb, after)  # type: ignore[arg-type]
                continue
            life = self.state.lives.get(name)
            if life is None or life.status is not before.status:
                raise Broken("S1", f"{name} was changed behind everybody's back", name)
            self._steps.take(verb, life, before, after)

    def _happened(self, event: ev.Event, code: Code, changes: Sequence[Change]) -> None:
        """An event from outside was answered. D2: what was done last is not done again, nor refused."""
        life = self.state.lives.get(event.id)
        known = life is not None and event.op != "" and life.op == event.op
        if code is Code.OK and not changes:
            raise Broken("S1", f"{type(event).__name__} of {event.id} was accepted and did nothing", event.id)
        if known and code is not Code.DUP:
            raise Broken("D2", f"{event} was done, and its repeat was answered {code}", event.id)
        if known and life is not None and isinstance(event, ev.Complete) and life.by is not ev.Complete:
            raise Broken("D2", f"{event.id} was ended otherwise, and its owner was told that it completed", event.id)
        if code is Code.OK:
            if not isinstance(event, ev.Owned):
                self.state.done.add(event.op)
            if life is not None and event.op:
                life.op, life.by = event.op, type(event)

    def _born(self, verb: Any, task: Task) -> None:
        state, now = self.state, self._world.server.clock.now()
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
        for name in told:
            self._world.clients.claimed(name)

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
        server = self._world.server
        if self._world.plan.replicated and server.replica is not None and not had(server.then()):
            raise Broken(law, f"{name} was acknowledged, and no replica has it", name)

    # -- the store forgets ---------------------------------------------------------------------------------------------

    def forget_all(self) -> None:
        """The store is empty: what was promised before is exempt, and counted."""
        self.wiped += len(self.promised)
        self.promised.clear()
        self.kept.clear()
        self.state = State()
        self._steps = Steps(self._world)

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

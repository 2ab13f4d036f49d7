"""Random lives: a backend and a model made of `judge` and `apply` are driven side by side and compared at each step.

What an operation may do is the model's (`tests/model.py`); what is done is a store's.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec import UNSET

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import HOUR, MINUTE, SECOND, ManualClock
from taskqueue.core.events import Code
from taskqueue.core.task import TERMINAL, Cause, Draft, Place, Status, Task, place
from tests.factories import draft
from tests.model import Model, in_lanes
from tests.stores import BACKENDS, Driver, assert_sound, backends, everything

IDS = st.sampled_from([f"t{n}" for n in range(8)])
HANDLERS = ("x", "y")
QUEUES = ("q1", "q2")
NODES = st.sampled_from("ab")
DELAYS = st.sampled_from([0, 0, SECOND, MINUTE])
DRAFTS = st.builds(
    lambda name, body, **changes: draft(name, digest=body, **changes),
    IDS,
    st.sampled_from([b"one", b"one", b"two"]),
    handler=st.sampled_from(HANDLERS),
    queue=st.sampled_from(QUEUES),
    priority=st.sampled_from([0, 4, 4, 9]),
    retries=st.integers(0, 2),
    keep_result=st.booleans(),
    delay=DELAYS,
    tags=st.sampled_from([(), ("red",), ("red", "blue")]),
    key=st.sampled_from([None, None, "k1", "k2"]),
)
GROUPS = st.lists(
    st.builds(
        v.Group,
        st.sampled_from([HANDLERS, HANDLERS[:1], HANDLERS[1:]]),
        st.sampled_from([("*",), QUEUES[:1], QUEUES]),
        st.integers(0, 3),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


class StoreMachine(RuleBasedStateMachine):
    """Two nodes, of which `a` or one of its later incarnations leads; each incarnation is named by node and number."""

    backend: str

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.store = BACKENDS[self.backend](Path(self.folder.name), self.clock).store
        self.deck = Driver(self.store, self.clock)
        self.model = Model(self.clock)
        self.draining: set[str] = set()
        self.alive: dict[str, str] = {}  # node -> incarnation
        self.last: tuple[v.Claim, tuple[tuple[Task, ...], ...]] | None = None
        self.event: ev.Event | None = None
        self.count = 0

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    # -- rules ---------------------------------------------------------------------------------------------------------

    @initialize()
    def start(self) -> None:
        for node in "ab":
            self.come_back(node)
        self.deck.lead(self.alive["a"])

    def come_back(self, node: str) -> None:
        """A new incarnation of a node."""
        self.count += 1
        self.alive[node] = f"{node}{self.count}"
        assert self.deck.join(self.alive[node], node).code is Code.OK

    @rule(one=DRAFTS, expires=st.sampled_from([None, None, SECOND, HOUR]), capacity=st.sampled_from([None, None, 3]))
    def submit(self, one: Draft, expires: int | None, capacity: int | None) -> None:
        one = Draft(**{**fields(one), "expires_at": expires and self.clock.now() + expires})
        assert self.deck.do(v.Submit(one, capacity)) == self.model.admit(one, capacity)

    @rule(drafts=st.lists(DRAFTS, min_size=2, max_size=4).map(tuple), capacity=st.sampled_from([None, None, 5]))
    def submit_all(self, drafts: tuple[Draft, ...], capacity: int | None) -> None:
        before = dict(self.model.tasks), dict(self.model.keys)
        expected = tuple(self.model.admit(one, capacity) for one in drafts)
        answers = self.deck.do(v.SubmitAll(drafts, capacity))
        if all(answer.code in (Code.OK, Code.DUP) for answer in expected):
            assert answers == expected
        else:
            self.model.tasks, self.model.keys = before
            assert {answer.code for answer in answers} <= {Code.CONFLICT, Code.MISMATCH, Code.FULL, Code.WAITS}
            assert answers[0].code is (Code.WAITS if expected[0].code in (Code.OK, Code.DUP) else expected[0].code)

    @rule(node=NODES, groups=GROUPS)
    def claim(self, node: str, groups: tuple[v.Group, ...]) -> None:
        owner = self.alive[node]
        self.count += 1
        claim = v.Claim(owner, self.count, groups)
        claimed = self.deck.do(claim)
        assert claimed.code is Code.OK
        if node in self.draining:
            assert not any(claimed.tasks)
            return
        self.model.promote()
        expected: tuple[tuple[Task, ...], ...] = ()
        for group in groups:
            alone = expected and groups[0].solo and expected[0]  # nobody runs beside a suspect that was taken first
            expected += (() if alone else self.model.take(group, owner, claim.request),)
        assert claimed.tasks == expected
        self.last = (claim, expected)
        asked_for = [task for task in self.model.tasks.values() if any(in_lanes(task, group) for group in groups)]
        solo = [t.due_at for t in asked_for if place(t) is Place.SOLO and t.queue not in self.model.paused]
        assert claimed.solo_since == min(solo, default=None)
        delayed = [task for task in self.model.tasks.values() if place(task) is Place.DELAYED]
        asked = [task.due_at for task in asked_for if task in delayed]
        if claimed.next_due is None:
            assert not asked
        else:
            assert min(task.due_at for task in delayed) <= claimed.next_due <= min(asked, default=claimed.next_due)

    @rule()
    def repeat_claim(self) -> None:
        assume(self.last is not None)
        assert self.last is not None
        claim, first = self.last
        held = {t.id: t for t in self.model.tasks.values() if (t.owner, t.request) == (claim.owner, claim.request)}
        answer = self.deck.do(claim)
        if claim.owner not in self.alive.values():
            assert answer == v.Claimed(Code.FENCED)
        elif answer.code is not Code.REFUSED:  # an older one: the same node has claimed since
            assert {task.id: task for part in answer.tasks for task in part} == held
            if all(task.id in held for part in first for task in part):
                assert [[t.id for t in part] for part in answer.tasks] == [[t.id for t in part] for part in first]

    @rule(
        task_id=IDS,
        kind=st.sampled_from(["complete", "fail", "fail", "fail-for-good", "release", "snooze", "report"]),
        delay=DELAYS,
        stale=st.sampled_from([None, None, None, None, "owner", "fence"]),
    )
    def end(self, task_id: str, kind: str, delay: int, stale: str | None) -> None:
        task = self.model.tasks.get(task_id)
        owner, fence = (task.owner or "nobody", task.fence) if task else ("nobody", 0)
        held: dict[str, Any] = {
            "id": task_id,
            "op": f"op{self.count}",
            "owner": "other" if stale == "owner" else owner,
            "fence": fence - 1 if stale == "fence" else fence,
        }
        self.count += 1
        self.occur(
            {
                "complete": lambda: ev.Complete(result=b'{"done":true}', **held),
                "fail": lambda: ev.Fail(type="E", message="é", cause=Cause.TIMEOUT, delay=delay, **held),
                "fail-for-good": lambda: ev.Fail(type="E", message="", cause=Cause.DISCARDED, final=True, **held),
                "release": lambda: ev.Release(**held),
                "snooze": lambda: ev.Snooze(delay=delay, **held),
                "report": lambda: ev.Report(fraction=0.5, note="half", **held),
            }[kind]()
        )

    @rule(task_id=IDS, kind=st.sampled_from([ev.Cancel, ev.Retry, ev.Replay, ev.Delete]))
    def operate(self, task_id: str, kind: type[ev.Event]) -> None:
        self.count += 1
        self.occur(kind(id=task_id, op=f"op{self.count}"))

    @rule(
        task_id=IDS,
        priority=st.sampled_from([UNSET, 0, 9]),
        delay=st.sampled_from([UNSET, None, SECOND, MINUTE]),
        expires=st.sampled_from([UNSET, None, SECOND]),
        tags=st.sampled_from([UNSET, (), ("blue",)]),
    )
    def update(self, task_id: str, priority: Any, delay: Any, expires: Any, tags: Any) -> None:
        self.count += 1
        run_at = self.clock.now() + delay if isinstance(delay, int) else delay
        expires_at = self.clock.now() + expires if isinstance(expires, int) else expires
        changes = {"priority": priority, "run_at": run_at, "expires_at": expires_at, "tags": tags}
        self.occur(ev.Update(id=task_id, op=f"op{self.count}", **changes))

    @rule()
    def repeat_event(self) -> None:
        assume(self.event is not None)
        assert self.event is not None
        self.occur(self.event)

    def occur(self, event: ev.Event) -> None:
        """An event from outside, on both sides."""
        self.event = event
        before = self.model.tasks.get(event.id)
        code = self.model.happen(event)
        answer = self.deck.do(event)
        after = self.model.tasks.get(event.id) or before
        assert answer.code is code
        assert answer.status is (after.status if after else None)
        assert answer.task == after or (answer.task is None and isinstance(event, ev.Owned))

    @rule(span=st.sampled_from([1, SECOND, SECOND, MINUTE, 11 * HOUR]))
    def time_passes(self, span: int) -> None:
        self.clock.advance(span)

    @rule(node=NODES, max_crashes=st.sampled_from([1, 2, 3]), reaped=st.booleans())
    def die(self, node: str, max_crashes: int, reaped: bool) -> None:
        """A node dies and starts anew; its tasks are taken back now, or later."""
        owner = self.alive[node]
        self.deck.fence(owner)
        self.model.fenced.add(owner)
        self.draining.discard(node)
        self.come_back(node)
        if node == "a":
            self.deck.lead(self.alive["a"])
        if reaped:
            self.reap(max_crashes)

    @rule(max_crashes=st.sampled_from([1, 2, 3]))
    def reap(self, max_crashes: int) -> None:
        for owner in sorted(self.model.fenced & {task.owner for task in self.model.tasks.values() if task.owner}):
            held = [task.id for task in self.model.tasks.values() if task.owner == owner]
            for task_id in held:
                assert self.model.happen(ev.Crash(id=task_id, max_crashes=max_crashes)) is Code.OK
            moved = self.deck.led(v.Reap, owner=owner, max_crashes=max_crashes)
            dead = {task_id for task_id in held if self.model.tasks[task_id].status is Status.DEAD_LETTERED}
            assert (moved.code, moved.count, set(moved.ids), moved.more) == (Code.OK, len(held), dead, False)

    @rule()
    def promote_due(self) -> None:
        assert self.deck.led(v.PromoteDue) == v.Moved(Code.OK, self.model.promote())

    @rule()
    def expire_due(self) -> None:
        over = {task_id for task_id in list(self.model.tasks) if self.model.happen(ev.Expire(id=task_id)) is Code.OK}
        moved = self.deck.led(v.ExpireDue)
        assert (moved.code, moved.count, set(moved.ids), moved.more) == (Code.OK, len(over), over, False)

    @rule(status=st.sampled_from(sorted(TERMINAL)), age=st.sampled_from([SECOND, 48 * HOUR]), count=st.integers(0, 1))
    def prune(self, status: Status, age: int, count: int) -> None:
        self.clock.advance(1)  # so that no task is exactly as old as may be
        ends = sorted((t.finished_at or 0, t.id) for t in self.model.tasks.values() if t.status is status)
        surplus = max(len(ends) - count, sum(self.clock.now() - end > age for end, _ in ends), 0)
        moved = self.deck.led(v.PruneOld, keep=(v.Keep(status, age, count),))
        assert (moved.code, moved.more) == (Code.OK, False)
        finished = {name: end for end, name in ends}  # of those that ended in the same microsecond any may be first
        assert [finished[name] for name in moved.ids] == [end for end, _ in ends[:surplus]]
        for task_id in moved.ids:
            assert self.model.happen(ev.Prune(id=task_id)) is Code.OK

    @rule(queue=st.sampled_from(QUEUES), on=st.booleans())
    def pause(self, queue: str, on: bool) -> None:
        assert self.deck.do(v.Pause(queue) if on else v.Resume(queue)).code is Code.OK
        (self.model.paused.add if on else self.model.paused.discard)(queue)

    @rule(node=NODES, on=st.booleans())
    def drain(self, node: str, on: bool) -> None:
        assert self.deck.do(v.Drain(node, on)).code is Code.OK
        (self.draining.add if on else self.draining.discard)(node)

    @rule()
    def sweep(self) -> None:
        assert self.deck.led(v.Sweep) == v.Moved(Code.OK, 0)

    # -- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def the_same(self) -> None:
        assert everything(self.store) == list(reversed(self.model.tasks.values()))
        assert {view.name for view in self.store.queues() if view.paused} == self.model.paused
        seen = {(m.node, m.owner, m.draining) for m in self.store.members() if not m.fenced}
        assert seen == {(node, owner, node in self.draining) for node, owner in self.alive.items()}
        assert_sound(self.store)


def fields(one: Draft) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def live(backend: str, lives: int) -> None:
    machine = type(f"{backend.title()}Machine", (StoreMachine,), {"backend": backend})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=lives,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


@pytest.mark.timeout(900)  # a failure takes minutes to be made small
@pytest.mark.parametrize("backend", backends())
def test_random_lives(backend: str) -> None:
    live(backend, {"memory": 60, "sqlite": 20}.get(backend, 15))


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("backend", backends())
def test_many_random_lives(backend: str) -> None:
    live(backend, {"memory": 600, "sqlite": 200}.get(backend, 120))

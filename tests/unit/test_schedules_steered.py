"""How people steer schedules: every change by compare-and-set, again where somebody was faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from actors.schedules import TRIES
from storage import verbs as v
from taskqueue.core.clock import HOUR, MINUTE
from taskqueue.core.errors import Conflict, NotFound, StoreFull, Unavailable
from taskqueue.core.schedule import Owner, Spec
from tests.clockwork import Clockwork


@pytest.fixture
def work() -> Clockwork:
    return Clockwork()


def spec(work: Clockwork, **fields: Any) -> Spec:
    return Spec(**{"handler": "echo", "payload": b"1", "every": MINUTE, "anchor": work.clock.now(), **fields})


def before_each_put(work: Clockwork, act: Callable[[], object], times: int) -> list[int]:
    """Somebody else is faster, so often."""
    execute, done = work.store.execute, [0]

    def faster(verbs: Any) -> Any:
        if done[0] < times and any(isinstance(verb, v.PutSchedule) for verb in verbs):
            done[0] += 1
            act()
        return execute(verbs)

    work.store.execute = faster  # type: ignore[method-assign]
    work.schedules._ask = lambda verbs, _note: tuple(work.store.execute(verbs))
    return done


def moved(work: Clockwork, by: int = 1) -> None:
    """A tick moves the cursor meanwhile."""
    old = work.store._schedules.stored["s"]
    work.store._schedules.stored["s"] = replace(old, cursor=old.cursor + by)


@pytest.mark.parametrize("act", ["pause", "put", "declare"])
def test_who_was_overtaken_looks_again(work: Clockwork, act: str) -> None:
    work.make("s", every=MINUTE)
    done = before_each_put(work, lambda: moved(work), 3)
    new = spec(work, payload=b"2")
    if act == "pause":
        assert work.schedules.pause("s").paused
    elif act == "put":
        assert work.schedules.put("s", new, False)[0].spec.payload == b"2"
    else:
        work.schedules.declare("s", replace(new, owner=Owner.CODE))
    assert done == [3]
    assert work.stored("s").cursor > work.clock.now()


@pytest.mark.parametrize("act", ["pause", "put", "declare"])
def test_who_is_overtaken_for_ever_gives_up(work: Clockwork, act: str) -> None:
    work.make("s", every=MINUTE)
    before_each_put(work, lambda: moved(work), TRIES)
    with pytest.raises(Unavailable, match="changes too fast"):
        {
            "pause": lambda: work.schedules.pause("s"),
            "put": lambda: work.schedules.put("s", spec(work, payload=b"2"), False),
            "declare": lambda: work.schedules.declare("s", spec(work, payload=b"2")),
        }[act]()


def test_a_put_that_finds_it_made_meanwhile_replaces_it(work: Clockwork) -> None:
    other = v.PutSchedule(v.Schedule(id="s", spec=spec(work).encode(), cursor=work.clock.now()))
    execute = work.store.execute
    before_each_put(work, lambda: execute([other]), 1)
    view, new = work.schedules.put("s", spec(work, every=HOUR), False)
    assert (view.spec.every, new) == (HOUR, False)


def test_a_put_that_finds_it_gone_meanwhile_makes_it(work: Clockwork) -> None:
    work.make("s", every=MINUTE)
    execute = work.store.execute
    before_each_put(work, lambda: execute([v.DropSchedule("s")]), 1)
    view, new = work.schedules.put("s", spec(work, every=HOUR), False)
    assert (view.spec.every, new) == (HOUR, True)


def test_one_that_goes_meanwhile_is_not_found(work: Clockwork) -> None:
    work.make("s", every=MINUTE)
    find = work.schedules._find

    def find_and_drop(name: str) -> v.Schedule:
        found = find(name)
        work.store.execute([v.DropSchedule(name)])
        return found

    work.schedules._find = find_and_drop  # type: ignore[method-assign]
    with pytest.raises(NotFound):
        work.schedules.delete("s")


def test_a_store_that_cannot_is_said(work: Clockwork) -> None:
    work.make("s", every=MINUTE)
    work.schedules._ask = lambda verbs, _note: (StoreFull("no room to write"),) * len(verbs)
    for act in (work.schedules.pause, lambda name: work.schedules.put(name, spec(work, every=HOUR), False)):
        with pytest.raises(Unavailable, match="no room to write"):
            act("s")


def test_a_schedule_in_code_takes_over_one_that_was_made_by_hand(work: Clockwork) -> None:
    start = work.make("sweep", every=MINUTE).cursor
    work.schedules.declare("sweep", spec(work, payload=b"{}", owner=Owner.CODE))
    work.declared = frozenset({"sweep"})
    view = work.schedules.one("sweep")
    assert (view.spec.owner, view.spec.anchor, work.stored("sweep").cursor) == (Owner.CODE, start, start)
    with pytest.raises(Conflict):
        work.schedules.delete("sweep")


def test_declared_with_other_times_it_begins_anew_and_counts_what_was_due(work: Clockwork) -> None:
    work.schedules.declare("sweep", spec(work, owner=Owner.CODE))
    work.clock.advance(5 * MINUTE)
    work.schedules.declare("sweep", spec(work, every=HOUR, owner=Owner.CODE))
    stored = work.stored("sweep")
    assert (stored.cursor, stored.skipped, stored.generation) == (work.clock.now(), {"changed": 5}, 2)

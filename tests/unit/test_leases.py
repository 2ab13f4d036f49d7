"""The gateway's part of leases, on a store in memory: whom a claim is for, what becomes of it, what tokens are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from storage import verbs as v
from storage.store import Result, Verb
from taskqueue.core.clock import SECOND, ManualClock
from taskqueue.core.errors import Conflict, StoreError, StoreUnavailable, Unavailable
from taskqueue.core.leases import LeaseToken, Wish, owner_of, read_token
from taskqueue.core.task import Status
from tests.factories import draft
from tests.fakes import FakeGateway

WISH = Wish(handlers=("echo",))


@pytest.fixture
def gateway() -> FakeGateway:
    gateway = FakeGateway(ManualClock())
    gateway.store.execute([v.Submit(draft("t1"))])
    return gateway


def test_what_was_claimed_for_a_client_that_is_gone_goes_back(gateway: FakeGateway) -> None:
    wish = Wish(handlers=("echo",), wait=SECOND)
    assert gateway.leases.claim(wish, gone=lambda: True) == []
    task = gateway.get("t1")
    assert (task.status, task.attempt, task.crashes, task.history[-1].outcome) == (Status.PENDING, 0, 0, "released")
    assert gateway.store.leases() == []
    (grant,) = gateway.leases.claim(wish, gone=lambda: False)
    assert grant.task.id == "t1"


def test_who_waits_writes_only_where_there_may_be_something(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = Wish(handlers=("echo",), wait=SECOND)
    looks: list[v.Claim] = []
    execute = gateway.store.execute

    def seen(verbs: Sequence[Verb]) -> list[Result | StoreError]:
        looks.extend(verb for verb in verbs if isinstance(verb, v.Claim))
        return execute(verbs)

    gateway.store.execute([v.Pause("default"), v.Submit(draft("t2", handler="another"))])
    monkeypatch.setattr(gateway.store, "execute", seen)
    turns = iter([False, False, False, True])
    monkeypatch.setattr("actors.callers.Caller.wait", lambda *_: None)
    assert gateway.leases.claim(wish, gone=lambda: next(turns)) == []
    assert len(looks) == 1, "the first, for nobody can know before"
    monkeypatch.setattr("actors.callers.Caller.wait", lambda *_: execute([v.Resume("default")]))
    (grant,) = gateway.leases.claim(wish)
    assert (grant.task.id, len(looks)) == ("t1", 3)


def test_behind_closed_doors_nothing_is_claimed_and_all_may_end(gateway: FakeGateway) -> None:
    (grant,) = gateway.leases.claim(WISH)
    gateway.doors = False
    with pytest.raises(Unavailable, match="shutting down"):
        gateway.leases.claim(WISH)
    assert gateway.leases.complete(grant.token, b"1") == ("t1", Status.COMPLETED)


def test_a_claim_whose_outcome_is_unknown_is_no_empty_one(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = gateway.store.execute
    monkeypatch.setattr(
        gateway.store,
        "execute",
        lambda verbs: [StoreUnavailable("away") if isinstance(verb, v.Claim) else execute([verb])[0] for verb in verbs],
    )
    with pytest.raises(Unavailable, match="away; repeat it with its requestId"):
        gateway.leases.claim(WISH)


def test_the_last_end_of_a_claim_ends_its_lease(gateway: FakeGateway) -> None:
    gateway.store.execute([v.Submit(draft("t2"))])
    first, second = gateway.leases.claim(Wish(handlers=("echo",), limit=2))
    gateway.leases.release(first.token)
    assert len(gateway.store.leases()) == 1
    gateway.leases.fail(second.token, "E", "no", retry=False)
    assert gateway.store.leases() == []


def test_a_run_that_somebody_else_has_ended_ends_its_lease_when_it_is_heard_of(gateway: FakeGateway) -> None:
    (grant,) = gateway.leases.claim(WISH)
    gateway.act("cancel", "t1")
    assert len(gateway.store.leases()) == 1
    with pytest.raises(Conflict, match="cancelled"):
        gateway.leases.renew(grant.token)
    assert gateway.store.leases() == []


def test_two_ends_of_one_run_are_not_one(gateway: FakeGateway) -> None:
    (grant,) = gateway.leases.claim(WISH)
    for _ in range(2):
        assert gateway.leases.complete(grant.token, b"1") == ("t1", Status.COMPLETED)
    with pytest.raises(Conflict):
        gateway.leases.fail(grant.token, "E", "no", retry=True)


def test_tokens_say_whose_run_it_is() -> None:
    token = LeaseToken(owner_of(b"seed"), 1_795_530_172_365_897, "a-task_1")
    assert read_token(str(token)) == token
    assert owner_of(b"seed") != owner_of(b"seeds")
    zero = str(token).replace(".", ".0", 1)
    for text in ("", "x", f"{token}\n", f"{token}!", str(token).replace(".", "/"), f"-1{token}", str(token)[1:], zero):
        assert read_token(text) is None

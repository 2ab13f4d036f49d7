"""StorageActor, unstarted: one commit for all writes that wait, and to each sender its own answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pykka._envelope import Envelope

from actors.messages import HeldSeen, LookAtHeld, LookAtMembers, MembersSeen, Message, Wake, Write, Written
from actors.storage import MOST_VERBS, StorageActor
from storage import verbs as v
from storage.memory import MemoryStore
from storage.store import Result, Verb
from taskqueue.core.clock import MINUTE, ManualClock
from taskqueue.core.errors import StoreBroken, StoreError, StoreFull
from taskqueue.core.events import Code
from taskqueue.core.views import Held
from tests.factories import draft
from tests.postoffice import OWNER, Box, never, registration


class CountedStore(MemoryStore):
    """Keeps what each `execute` was given; fails if told so."""

    def __init__(self) -> None:
        super().__init__(ManualClock(), MINUTE)
        self.commits: list[list[Verb]] = []
        self.fails: Exception | None = None
        self.full = False

    def execute(self, verbs: Sequence[Verb]) -> list[Result | StoreError]:
        self.commits.append(list(verbs))
        if self.fails is not None:
            raise self.fails
        if self.full:
            return [StoreFull("no room") if isinstance(verb, v.Submit) else self._one(verb) for verb in verbs]
        return super().execute(verbs)

    def _one(self, verb: Verb) -> Result | StoreError:
        [result] = super().execute([verb])
        return result


@pytest.fixture
def store() -> CountedStore:
    return CountedStore()


@pytest.fixture
def broken() -> list[str]:
    return []


@pytest.fixture
def storage(store: CountedStore, broken: list[str]) -> StorageActor:
    return StorageActor(
        never, store=store, clock=ManualClock(), on_broken=broken.append, on_written=lambda *_: None
    )


def waits(storage: StorageActor, *messages: Any) -> None:
    """Messages in the inbox behind the one that is handled."""
    for message in messages:
        storage.actor_inbox.put(Envelope(message))


def inbox(storage: StorageActor) -> list[Message]:
    messages = []
    while not storage.actor_inbox.empty():
        messages.append(storage.actor_inbox.get().message)
    return messages


def submits(*ids: str) -> tuple[v.Submit, ...]:
    return tuple(v.Submit(draft(name)) for name in ids)


def test_a_write_is_answered_with_its_ticket_when_it_is_done(store: CountedStore, storage: StorageActor) -> None:
    sender = Box()
    storage.on_receive(Write(verbs=submits("a", "b"), reply_to=sender, ticket="mine"))
    written = sender.one(Written)
    assert written.ticket == "mine"
    assert [result.id for result in written.results if isinstance(result, v.Submitted)] == ["a", "b"]
    assert store.get("a") is not None


def test_all_writes_that_wait_are_one_commit_and_each_gets_its_own_answers(
    store: CountedStore, storage: StorageActor
) -> None:
    first, second, third = Box(), Box(), Box()
    waits(
        storage,
        Write(verbs=(), reply_to=second, ticket=2),
        Write(verbs=(v.Pause("q"), *submits("c")), reply_to=third, ticket=3),
    )
    storage.on_receive(Write(verbs=submits("a", "b"), reply_to=first, ticket=1))
    assert store.commits == [[*submits("a", "b"), v.Pause("q"), *submits("c")]]
    assert [r.id for r in first.one(Written).results if isinstance(r, v.Submitted)] == ["a", "b"]
    assert second.one(Written) == Written(results=(), ticket=2)
    paused, submitted = third.one(Written).results
    assert paused == v.Answer(Code.OK)
    assert isinstance(submitted, v.Submitted)
    assert submitted.id == "c"


def test_what_is_no_write_keeps_its_order_for_its_own_turn(store: CountedStore, storage: StorageActor) -> None:
    members, held = LookAtMembers(reply_to=Box()), LookAtHeld(owner=OWNER, reply_to=Box())
    write = Write(verbs=submits("b"), reply_to=Box())
    waits(storage, members, write, held)
    storage.on_receive(Write(verbs=submits("a"), reply_to=Box()))
    assert [len(commit) for commit in store.commits] == [2]
    assert inbox(storage) == [members, held]


def test_a_commit_does_not_grow_without_end(store: CountedStore, storage: StorageActor) -> None:
    sender = Box()
    half = MOST_VERBS // 2
    writes = [
        Write(verbs=tuple(v.Pause(f"q{n}") for n in range(half)), reply_to=sender, ticket=ticket)
        for ticket in range(4)
    ]
    waits(storage, *writes[1:])
    storage.on_receive(writes[0])
    assert [len(commit) for commit in store.commits] == [MOST_VERBS]
    assert [written.ticket for written in sender.all(Written)] == [0, 1]
    assert inbox(storage) == writes[2:]


def test_a_larger_write_goes_in_whole_and_alone(store: CountedStore, storage: StorageActor) -> None:
    waits(storage, Write(verbs=submits("a"), reply_to=Box()))
    storage.on_receive(Write(verbs=(v.Pause("q"),) * (MOST_VERBS + 1), reply_to=Box()))
    assert [len(commit) for commit in store.commits] == [MOST_VERBS + 1]
    assert len(inbox(storage)) == 1


def test_what_there_was_no_room_for_is_told_and_the_rest_is_done(
    store: CountedStore, storage: StorageActor, broken: list[str]
) -> None:
    store.full = True
    first, second = Box(), Box()
    waits(storage, Write(verbs=(v.Pause("q"),), reply_to=second))
    storage.on_receive(Write(verbs=submits("a"), reply_to=first))
    assert isinstance(first.one(Written).results[0], StoreFull)
    assert second.one(Written).results == (v.Answer(Code.OK),)
    assert broken == []


def test_a_broken_store_is_told_to_the_node_and_to_every_sender(
    store: CountedStore, storage: StorageActor, broken: list[str]
) -> None:
    store.fails = StoreBroken("EIO")
    first, second = Box(), Box()
    waits(storage, Write(verbs=submits("b", "c"), reply_to=second, ticket=2))
    storage.on_receive(Write(verbs=submits("a"), reply_to=first, ticket=1))
    assert broken == ["EIO"]
    for sender, count in ((first, 1), (second, 2)):
        results = sender.one(Written).results
        assert len(results) == count
        assert all(isinstance(result, StoreBroken) for result in results)


def test_a_bug_in_the_store_is_not_taken_for_an_answer(store: CountedStore, storage: StorageActor) -> None:
    store.fails = ZeroDivisionError()
    sender = Box()
    with pytest.raises(ZeroDivisionError):
        storage.on_receive(Write(verbs=submits("a"), reply_to=sender))
    assert sender.mail == []


def test_it_looks_at_members_and_at_what_one_of_them_holds(store: CountedStore, storage: StorageActor) -> None:
    group = v.Group(("echo",), ("default",), 1)
    store.execute([registration(), *submits("a"), v.Claim(OWNER, 1, (group,))])
    sender = Box()
    storage.on_receive(LookAtMembers(reply_to=sender))
    assert [member.owner for member in sender.one(MembersSeen).members] == [OWNER]
    storage.on_receive(LookAtHeld(owner=OWNER, reply_to=sender))
    task = store.get("a")
    assert task is not None
    assert sender.one(HeldSeen).held == (Held("a", task.fence),)


def test_a_look_that_fails_is_not_answered_and_kills_nobody(
    store: CountedStore, storage: StorageActor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise StoreError("cannot be read: disk I/O error")

    monkeypatch.setattr(store, "members", fails)
    monkeypatch.setattr(store, "held", fails)
    sender = Box()
    storage.on_receive(LookAtMembers(reply_to=sender))
    storage.on_receive(LookAtHeld(owner=OWNER, reply_to=sender))
    assert sender.mail == []
    assert caplog.messages == ["not answered, since the store cannot be read: disk I/O error"] * 2


def test_an_unknown_message_is_a_bug(storage: StorageActor) -> None:
    with pytest.raises(TypeError, match="StorageActor does not know the message Wake"):
        storage.on_receive(Wake())

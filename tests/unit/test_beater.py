"""How beats travel: by way of the StorageActor, or on a thread of their own that may be slow and never blocks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from actors.beater import StorageBeater, ThreadBeater
from actors.messages import Message, Write, Written
from storage.verbs import Beat, Beaten
from taskqueue.core.errors import StoreError, StoreUnavailable
from taskqueue.core.events import Code
from tests.postoffice import Box

WITHIN = 20.0


class Post:
    """An address that another thread may wait at."""

    def __init__(self) -> None:
        self.box: SimpleQueue[Message] = SimpleQueue()

    def tell(self, message: Message) -> bool:
        self.box.put(message)
        return True

    def next(self) -> Message:
        return self.box.get(timeout=WITHIN)


class Door:
    """A store's door for beats: answers what it is given, once the test lets it."""

    def __init__(self) -> None:
        self.came: SimpleQueue[Beat] = SimpleQueue()
        self.answers: SimpleQueue[Beaten | StoreError | Exception] = SimpleQueue()

    def __call__(self, beat: Beat) -> Beaten | StoreError:
        self.came.put(beat)
        answer = self.answers.get(timeout=WITHIN)
        if isinstance(answer, Exception) and not isinstance(answer, StoreError):
            raise answer
        return answer


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def beater(door: Door) -> Iterator[ThreadBeater]:
    beater = ThreadBeater(door)
    beater.start()
    yield beater
    beater.stop(WITHIN)
    assert "beater" not in {thread.name for thread in threading.enumerate()}


def test_alone_it_goes_with_the_writes() -> None:
    storage, reply = Box(), Box()
    StorageBeater(storage).send(Beat("me", 3), reply, "t")
    assert storage.one(Write) == Write(verbs=(Beat("me", 3),), reply_to=reply, ticket="t")


def test_the_answer_comes_with_its_ticket(door: Door, beater: ThreadBeater) -> None:
    post = Post()
    for n, answer in enumerate((Beaten(Code.OK, {"me": 1}), StoreUnavailable("away"))):
        door.answers.put(answer)
        beater.send(Beat("me", n), post, n)
        assert post.next() == Written(results=(answer,), ticket=n)


def test_of_those_that_pile_up_behind_a_slow_one_the_newest_goes(door: Door, beater: ThreadBeater) -> None:
    post = Post()
    beater.send(Beat("me", 1), post, 1)
    assert door.came.get(timeout=WITHIN).running == 1
    for n in (2, 3, 4):
        beater.send(Beat("me", n), post, n)  # returns at once, though the store hangs
    door.answers.put(Beaten(Code.OK))
    door.answers.put(Beaten(Code.OK))
    assert [post.next(), post.next()] == [Written(results=(Beaten(Code.OK),), ticket=n) for n in (1, 4)]
    assert door.came.get(timeout=WITHIN).running == 4


def test_a_bug_in_the_store_does_not_end_the_beating(
    door: Door, beater: ThreadBeater, caplog: pytest.LogCaptureFixture
) -> None:
    post = Post()
    door.answers.put(ZeroDivisionError("a bug"))
    beater.send(Beat("me"), post, 1)
    failed = post.next()
    assert isinstance(failed, Written)
    assert isinstance(failed.results[0], StoreError)
    assert "ZeroDivisionError" in caplog.text
    door.answers.put(Beaten(Code.OK))
    beater.send(Beat("me"), post, 2)
    assert post.next() == Written(results=(Beaten(Code.OK),), ticket=2)

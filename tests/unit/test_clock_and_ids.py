"""Clocks and sources of ids."""

from __future__ import annotations

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from taskqueue.core.clock import DAY, HOUR, MINUTE, SECOND, FollowingClock, ManualClock, SystemClock
from taskqueue.core.ids import CountingIds, UuidIds
from taskqueue.core.names import is_task_id


def zeros(count: int) -> bytes:
    return bytes(count)



def test_a_clock_that_follows_another_goes_by_what_it_hears() -> None:
    own = ManualClock()
    clock = FollowingClock(own)
    assert clock.now() == own.now()
    clock.heard(own.now() - HOUR, clock.monotonic(), clock.monotonic())
    assert clock.now() == own.now() - HOUR
    own.advance(MINUTE)
    assert clock.now() == own.now() - HOUR
    own.jump(DAY)  # somebody sets this machine's clock
    assert clock.now() == own.now() - HOUR - DAY


def test_a_clock_that_follows_another_does_not_tremble_with_slow_answers() -> None:
    own = ManualClock()
    clock = FollowingClock(own)
    for way in (0, 3 * SECOND, SECOND, 10 * SECOND):  # how long the answer was on its way
        sent = clock.monotonic()
        said = own.now()
        own.advance(way)
        clock.heard(said, sent, clock.monotonic())
        assert clock.now() == own.now()
    sent = clock.monotonic()
    own.advance(SECOND)
    clock.heard(own.now() + MINUTE, sent, clock.monotonic())
    assert clock.now() == own.now() + MINUTE, "a whole second is uncertain, and the nearest that can be is taken"


def test_the_system_clock_is_the_machine_s():
    clock = SystemClock()
    before, wall, after = time.time_ns() // 1_000, clock.now(), time.time_ns() // 1_000
    assert before <= wall <= after
    first, second = clock.monotonic(), clock.monotonic()
    assert first <= second
    assert abs(time.monotonic_ns() // 1_000 - second) < SECOND


def test_a_manual_clock_moves_only_by_hand():
    clock = ManualClock(5)
    assert (clock.now(), clock.monotonic()) == (5, 0)
    clock.advance(10)
    assert (clock.now(), clock.monotonic()) == (15, 10)
    clock.jump(-7)
    assert (clock.now(), clock.monotonic()) == (8, 10)


def test_a_uuid_is_version_7_and_holds_its_time_of_birth():
    clock = ManualClock()
    made = uuid.UUID(UuidIds(clock, zeros).new())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == clock.now() // 1_000


@pytest.mark.parametrize("step", [0, -10 * SECOND, SECOND])
def test_ids_of_one_source_grow_whatever_the_clock_does(step):
    clock = ManualClock()
    source = UuidIds(clock, zeros)
    made = []
    for _ in range(10_000):  # more than the 4,096 of one millisecond
        made.append(source.new())
        clock.jump(step)
    assert all(one < other for one, other in pairwise(made))


def test_random_bits_tell_two_sources_apart():
    clock = ManualClock()
    ones = UuidIds(clock, lambda count: b"\xff" * count).new()
    assert ones != UuidIds(clock, zeros).new()
    assert uuid.UUID(ones).variant == uuid.RFC_4122


def test_a_forked_process_takes_random_bits_of_its_own():
    source = UuidIds(ManualClock(), os.urandom)
    source.new()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, source.new().encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as theirs:
        its, mine = theirs.read(), source.new()
    assert os.waitpid(child, 0)[1] == 0
    assert its[:18] == mine[:18], "the same clock, the same count"
    assert its[18:] != mine[18:]


def test_all_random_bits_are_used():
    source = UuidIds(ManualClock(), os.urandom)
    tails = [uuid.UUID(source.new()).int & 0x3FFF_FFFF_FFFF_FFFF for _ in range(1_000)]
    assert len(set(tails)) == 1_000
    for bit in range(62):
        assert 300 < sum(tail >> bit & 1 for tail in tails) < 700, bit


def test_many_threads_get_different_ids():
    source = UuidIds(ManualClock(), zeros)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: source.new(), range(2_000)))
    assert len(set(made)) == 2_000
    assert all(map(is_task_id, made))


def test_counting_ids_are_the_same_every_time():
    source = CountingIds("t")
    assert [source.new(), source.new()] == ["t1", "t2"]
    assert CountingIds().new() == "id1"

"""All actors of a node together, single-threaded, in random order, with random deaths: what is submitted ends, once.

A seed that fails is run again by its number: `pytest tests/unit/test_actor_house.py -k "[17]"`.
"""

from __future__ import annotations

import logging

import pytest

from actors.pool import Raised, Returned
from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.clock import MILLISECOND, MINUTE, SECOND
from taskqueue.core.events import Code
from taskqueue.core.task import Status
from tests.factories import draft
from tests.house import House, led
from tests.postoffice import OWNER

TASKS = 25


def stock(house: House) -> list[str]:
    """Submit tasks of all kinds; cancel one in eight; drain the node for a while; their ids."""
    chance, ids = house.random, []
    for n in range(TASKS):
        handler = chance.choice(("echo", "echo", "sleep", "capped"))
        delay = chance.choice((0, 0, 0, 200 * MILLISECOND))
        expires_at = chance.choice((None,) * 9 + (house.clock.now() + SECOND,))
        ids.append(f"t{n}")
        house.submit(
            draft(
                ids[-1],
                handler=handler,
                retries=chance.randrange(4),
                timeout=2 * SECOND,
                delay=delay,
                priority=chance.randrange(10),
                expires_at=expires_at,
            )
        )
        if chance.random() < 0.12:
            house.operate(ev.Cancel(id=chance.choice(ids), op=f"cancel-{n}"))
    if chance.random() < 0.3:
        house.operate(v.Drain("me", True))
        while house.asking():
            house.step()
        house.operate(v.Drain("me", False))
    return ids


def check(house: House, ids: list[str]) -> None:
    """What has to hold at the end, whatever happened."""
    assert house.refused == []
    assert max(house.starts.values(), default=0) <= 1, "a claim was run twice"
    for name in ids:
        task = house.store.get(name)
        assert task is not None
        mine = {fence: ending for (owned, fence), ending in house.endings.items() if owned == name}
        failures = [ending for ending in mine.values() if isinstance(ending, Raised)]
        successes = [fence for fence, ending in mine.items() if isinstance(ending, Returned)]
        assert len(failures) <= task.retries + 1
        assert task.attempt <= task.retries + 1
        assert task.crashes == 0
        if task.status is Status.COMPLETED:
            assert successes == [task.fence], "completed by one run, which returned"
            assert task.result == b'"%d"' % task.fence
        else:
            assert not successes or task.status is Status.CANCELLED, f"a result was lost: {task}"
    assert house.store.held(OWNER) == []
    assert (house.pool.idle(), house.pool.running(), house.pool.unsettled) == (True, [], {})
    assert all(channel.empty() for channel in house.pool.channels.values())
    assert led(house) is Code.OK


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="taskqueue")


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_submitted_ends_once(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    house = House(seed)
    ids = stock(house)
    house.run_until_settled(ids)
    check(house, ids)
    assert caplog.messages == []
    assert house.clock.monotonic() < MINUTE


@pytest.mark.parametrize("seed", range(100, 180))
def test_whatever_is_submitted_ends_once_also_when_actors_die(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    house = House(seed, kills=(0.003, 0.01, 0.03, 0.1)[seed % 4])
    ids = stock(house)
    house.run_until_settled(ids)
    check(house, ids)
    assert caplog.messages == []


def test_the_same_seed_is_the_same_life() -> None:
    lives = []
    for _ in range(2):
        house = House(7, kills=0.02)
        house.run_until_settled(stock(house))
        lives.append((house.clock.now(), house.deaths, house.endings))
    assert lives[0] == lives[1]
    assert lives[0][1].total() > 0

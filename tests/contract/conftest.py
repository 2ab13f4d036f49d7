"""Each test of this folder is run on every backend: one store on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.store import Store
from taskqueue.core.clock import ManualClock
from tests.stores import BACKENDS, Driver, Memory, Sqlite, assert_sound, backends


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=backends())
def backend(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Memory | Sqlite]:
    """A backend, opened empty; whatever a test does to it, it has to be sound at the end."""
    backend = BACKENDS[request.param](tmp_path, clock)
    yield backend
    assert_sound(backend.store)
    backend.store.close()


@pytest.fixture
def store(backend: Memory | Sqlite) -> Store:
    return backend.store


@pytest.fixture
def deck(store: Store, clock: ManualClock) -> Driver:
    """A driver with two nodes, `a` and `b`, of which `a` leads."""
    deck = Driver(store, clock)
    deck.join("a")
    deck.join("b")
    deck.lead("a")
    return deck

"""Other people's stores: any distribution that is installed can bring one, by an entry point."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from storage import verbs as v
from storage.memory import MemoryStore
from storage.store import open_store
from taskqueue.core.clock import ManualClock
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError
from taskqueue.core.events import Code
from tests.factories import draft

MODULE = """
from storage.memory import MemoryStore


class TheirStore(MemoryStore):
    durability = "replicated"


def open_theirs(config, clock):
    store = TheirStore(clock, config.priority_aging)
    store.opened_with = config
    return store
"""


@pytest.fixture
def their_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution `their-store` on the import path, as pip would have left it there."""
    (tmp_path / "their_store.py").write_text(MODULE)
    info = tmp_path / "their_store-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-store\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[taskqueue.stores]\ntheirs = their_store:open_theirs\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "their_store", raising=False)


@pytest.mark.usefixtures("their_distribution")
def test_a_store_of_others_is_opened_by_its_name(clock: ManualClock) -> None:
    config = Config(storage="theirs")
    store = open_store(config, clock)
    assert type(store).__module__ == "their_store"
    assert store.durability == "replicated"
    assert getattr(store, "opened_with") is config  # noqa: B009  the protocol has no such attribute
    [answer] = store.execute([v.Submit(draft())])
    assert isinstance(answer, v.Submitted)
    assert answer.code is Code.OK
    store.close()


def test_ours_are_found_the_same_way(clock: ManualClock) -> None:
    store = open_store(Config(storage="memory"), clock)
    assert isinstance(store, MemoryStore)
    store.close()


@pytest.mark.usefixtures("their_distribution")
def test_an_unknown_name_is_told_what_there_is(clock: ManualClock) -> None:
    with pytest.raises(ConfigError, match=r"'mangodb'.*memory, .*theirs"):
        open_store(Config(storage="mangodb"), clock)

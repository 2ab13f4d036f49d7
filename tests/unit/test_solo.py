"""The stand-alone coordinator: it wins at the second try at the latest, and never has to renew."""

from __future__ import annotations

import pytest

from cluster.solo import SoloCoordinator
from storage.memory import MemoryStore
from storage.verbs import Campaign, Elected, Resign, Term
from taskqueue.core.clock import MINUTE, ManualClock
from taskqueue.core.events import Code
from tests.postoffice import registration


def test_what_a_node_may_take_for_granted_that_is_alone() -> None:
    solo = SoloCoordinator("me-1")
    assert (solo.mode, solo.alone, solo.beats_locally) == ("standalone", True, True)


def test_it_campaigns_until_it_has_won_and_then_no_more() -> None:
    solo = SoloCoordinator("me-1")
    assert solo.campaign(0) == solo.campaign(5) == Campaign("me-1", 0, 0)
    assert solo.epoch(5) is None
    solo.elected(Elected(Code.REFUSED, Term("old", 7, 3)), 5, 6)
    assert solo.epoch(6) is None
    assert solo.campaign(6) == Campaign("me-1", 7, 3)
    solo.elected(Elected(Code.OK, Term("me-1", 8, 1)), 6, 7)
    assert solo.epoch(7) == solo.epoch(10**12) == 8
    assert solo.campaign(10**12) is None


def test_once_it_has_resigned_it_would_have_to_win_again() -> None:
    solo = SoloCoordinator("me-1")
    solo.elected(Elected(Code.OK, Term("me-1", 8, 1)), 0, 0)
    solo.resigned()
    assert solo.epoch(1) is None
    assert solo.campaign(1) == Campaign("me-1", 8, 1)


@pytest.mark.parametrize("left_in_order", [False, True])
def test_on_a_real_store_each_start_leads_in_a_new_epoch(left_in_order: bool) -> None:
    store = MemoryStore(ManualClock(), MINUTE)
    for start in range(1, 6):
        owner = f"me-{start}"
        solo = SoloCoordinator(owner)
        store.execute([registration(owner=owner, node=owner)])
        tries = 0
        while (campaign := solo.campaign(0)) is not None:
            [answer] = store.execute([campaign])
            assert isinstance(answer, Elected)
            solo.elected(answer, 0, 0)
            tries += 1
        assert tries <= 2
        assert solo.epoch(0) == start
        assert store.term().owner == owner
        if left_in_order:
            store.execute([Resign(owner, start)])
            solo.resigned()
            assert store.term().owner is None

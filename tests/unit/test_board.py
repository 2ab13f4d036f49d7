"""What a node may do by what it knows of itself: claim and lead only while nobody can take it for dead."""

from __future__ import annotations

import pytest

from actors.board import Board, Snapshot
from cluster.members import Liveness
from taskqueue.core.clock import SECOND
from taskqueue.core.config import Config


def board(**changes: object) -> Board:
    made = Board(Config(heartbeat_interval=SECOND, lease_ttl=15 * SECOND), 0, 0)
    made.registered = True
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("changes", "trusted", "claims"),
    [
        ({}, True, True),
        ({"registered": False}, False, False),
        ({"draining": True}, True, False),
        ({"closing": True}, True, False),
        ({"trusted_until": 10}, False, False),
        ({"trusted_until": 11}, True, True),
        ({"trusted_until": 11, "registered": False}, False, False),
    ],
)
def test_who_may_lead_and_who_may_claim(changes: dict[str, object], trusted: bool, claims: bool) -> None:
    one = board(**changes)
    assert (one.trusted(10), one.may_claim(10)) == (trusted, claims)


def test_whom_it_knows_is_whom_it_has_timed() -> None:
    one = board()
    assert not one.knows("a")
    assert one.liveness("a", 0) is Liveness.DEAD
    one.snapshot = Snapshot(at=0, since={"a": 0})
    assert (one.knows("a"), one.knows("b")) == (True, False)
    assert [one.liveness("a", now * SECOND) for now in (3, 4, 16)] == [Liveness.ALIVE, Liveness.LATE, Liveness.DEAD]

"""What the laws know of tasks: a record of their own, and which verb may move a task from where to where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from storage import verbs as v
from taskqueue.core import events as ev
from taskqueue.core.task import Draft, Status
from tests.simulation.leading import Leading

S = Status
P, R, C, F, D, X = S.PENDING, S.PROCESSING, S.COMPLETED, S.FAILED, S.DEAD_LETTERED, S.CANCELLED
ENDED = {C, D, X}

EDGES: dict[type[Any], set[tuple[Status | None, Status | None]]] = {
    v.Submit: {(None, P)},
    v.SubmitAll: {(None, P)},
    v.Tick: {(None, P)},
    v.Claim: {(P, P), (F, P), (P, R), (P, D)},
    v.PromoteDue: {(P, P), (F, P)},
    v.ExpireDue: {(P, D), (F, D)},
    v.Reap: {(R, P), (R, D)},
    v.PruneOld: {(C, None), (D, None), (X, None)},
    ev.Complete: {(R, C)},
    ev.Fail: {(R, F), (R, D)},
    ev.Release: {(R, P)},
    ev.Snooze: {(R, P)},
    ev.Report: {(R, R)},
    ev.Cancel: {(P, X), (F, X), (R, X)},
    ev.Retry: {(F, P)},
    ev.Replay: {(D, P), (X, P)},
    ev.Update: {(P, P), (F, F)},
    ev.Delete: {(C, None), (D, None), (X, None)},
}
"""S1: which verb may move a task from where to where (None: it is not there)."""


@dataclass(slots=True)
class Life:
    """What is known of one task; `due`: no claim before it, by the store's time; 0 once it has come, or was let pass.
    `born`, `taken`: true time, when it was stored and when it was last claimed. `op` names what happened last, `by` is
    what that was.
    """

    draft: Draft
    due: int
    born: int
    status: Status = P
    generation: int = 1
    fence: int = 0
    owner: str | None = None
    request: int = 0
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    deaths: int = 0
    solo: bool = False
    taken: int = 0
    op: str = ""
    by: type[Any] | None = None


@dataclass
class State:
    """All that a replica may lack: it goes back with the store."""

    lives: dict[str, Life] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    ended: set[tuple[str, int]] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    """Op ids of what operators asked for and the store accepted."""
    paused: set[str] = field(default_factory=set)
    requests: dict[str, int] = field(default_factory=dict)
    leading: Leading = field(default_factory=Leading)

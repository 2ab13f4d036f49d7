"""What a seed stands for: how many nodes, what is submitted, which faults come how often. Drawn before the run."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from taskqueue.core.clock import HOUR, MILLISECOND, SECOND
from taskqueue.core.config import Backoff, Config

LEASE = 6 * SECOND
LEADER = 4 * SECOND
PLENTY = 1_000
"""`max_crashes` of runs that are not about poison: no innocent is convicted for what the nemesis does."""


class Plan(NamedTuple):
    """Spans are microseconds; `fates` are chances of one exchange with the store, `faults` are mean numbers."""

    kind: str
    nodes: int
    tasks: int
    schedules: int
    healed: int
    config: Config
    replicated: bool
    skew: int
    latency: int
    fates: dict[str, float]
    faults: dict[str, float]
    poison: int

    @property
    def patient(self) -> bool:
        """Does what was promised take longer here: nodes die of poison still, or a task is timed by others?"""
        return self.poison > 0 or self.kind == "hung"


LINK = {
    "lost": 0.01,  # the request never arrives
    "unheard": 0.02,  # done, and the answer is lost
    "again": 0.02,  # done, and done again by who did not hear the answer
    "late": 0.01,  # given up by who asked, and done later all the same
    "slow": 0.03,  # takes up to four seconds
    "silent": 0.003,  # done; who would have told died with it
    "twice": 0.02,  # told twice
    "refused": 0.01,  # an error, nothing done
    "part": 0.01,  # the first few done, the rest unknown
}
NODES = {"crash": 2.0, "pause": 1.5, "actor": 3.0}
CUTS = {"cut": 1.5}
STORE = {"down": 1.0, "jump": 1.0}

KINDS: tuple[tuple[str, float], ...] = (
    ("calm", 0.06),
    ("links", 0.18),
    ("nodes", 0.18),
    ("store", 0.14),
    ("failover", 0.10),
    ("weak", 0.08),
    ("poison", 0.08),
    ("death", 0.05),
    ("outage", 0.05),
    ("storm", 0.08),
    ("hung", 0.04),
)


def draw(random: Random, kind: str | None = None, nodes: int | None = None) -> Plan:
    """The plan of a run; of this kind and with so many nodes, where that is asked for."""
    kinds = [name for name, _ in KINDS]
    kind = kind or random.choices(kinds, [weight for _, weight in KINDS])[0]
    fates, faults = _faults(kind)
    if kind in ("storm", "links", "nodes"):
        harsh = random.choice((0.5, 1.0, 1.0, 3.0))
        fates = {name: chance * harsh for name, chance in fates.items()}
    number = 3 if kind in ("death", "outage") else random.choice((2, 3, 3, 3, 4))
    skew = random.choice((0, 20 * SECOND, HOUR))
    return Plan(
        kind=kind,
        nodes=nodes or number,
        tasks=random.randrange(12, 28),
        schedules=0 if skew == HOUR else random.choice((0, 1, 2)),
        healed=16 * SECOND,
        config=Config(
            worker_count=2,
            async_concurrency=3,
            lease_ttl=LEASE,
            leader_ttl=LEADER,
            task_timeout=2 * SECOND,
            backoff=Backoff(base=50 * MILLISECOND, max=SECOND),
            max_crashes=3 if kind == "poison" else PLENTY,
            misfire_grace=random.choice((2, 60)) * SECOND,
        ),
        replicated=kind == "failover",
        skew=skew,
        latency=random.choice((3, 3, 100, 400)) * MILLISECOND,
        fates=fates,
        faults=faults,
        poison=random.choice((1, 2)) if kind == "poison" else 0,
    )


def _faults(kind: str) -> tuple[dict[str, float], dict[str, float]]:
    match kind:
        case "links":
            return LINK, CUTS
        case "nodes":
            return {"slow": 0.02}, NODES
        case "store":
            return {"slow": 0.02}, STORE
        case "failover":
            return {"unheard": 0.01}, {"failover": 1.5, "crash": 0.5}
        case "weak":
            return {}, {"wipe": 0.7, "rewind": 1.0, "crash": 0.5}
        case "death":
            return {}, {"die": 1.0}
        case "outage":
            return {}, {"outage": 1.0}
        case "hung":
            return {"slow": 0.02}, {"blind": 1.5}
        case "storm":
            return LINK, {**NODES, **CUTS, **STORE}
        case _:
            return {}, {}

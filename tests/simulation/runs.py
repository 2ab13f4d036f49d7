"""Running seeds, and what was seen in them: a simulator that meets no faults proves nothing."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from dataclasses import dataclass, field

from actors.metrics import Metrics
from taskqueue.core.events import Code
from tests.postoffice import HANDLERS
from tests.simulation.broken import Broken
from tests.simulation.world import World

BETWEEN_SWEEPS = 50_000
"""So many new objects until Python looks for garbage: a run makes many, and most live as long as it does."""
LONGEST = 400
"""So many characters of a reason are shown."""


@dataclass
class Seen:
    """What a number of runs have met: `kinds` of plans, verbs with their answers, which seeds failed, and why."""

    runs: int = 0
    events: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    failed: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        """Take in another's."""
        self.runs += other.runs
        self.events += other.events
        self.kinds += other.kinds
        self.answers += other.answers
        self.failed += other.failed

    @property
    def met(self) -> dict[str, int]:
        """What there has to be some of."""
        answers = self.answers
        outcomes = ("Complete", "Fail", "Release", "Snooze")
        return {
            "claims": answers["Claim", Code.OK],
            "nodes declared dead": answers["Fence", Code.OK],
            "fences refused by a beat": answers["Fence", Code.STALE],
            "beats of the dead": answers["Beat", Code.FENCED],
            "terms": answers["Campaign", Code.OK],
            "lost elections": answers["Campaign", Code.REFUSED],
            "verbs of deposed leaders": sum(n for (_, code), n in answers.items() if code is Code.DEPOSED),
            "outcomes refused": sum(answers[name, Code.STALE] for name in outcomes),
            "outcomes repeated": sum(answers[name, Code.DUP] for name in outcomes),
            "submits repeated": answers["Submit", Code.DUP],
            "operators' repeats": sum(answers[name, Code.DUP] for name in ("Cancel", "Retry", "Replay")),
            "ended for their owner": answers["ended for its owner", None],
            "ticks": answers["Tick", Code.OK],
            "stale ticks": answers["Tick", Code.STALE],
        }

    def text(self) -> str:
        """For a reader."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        met = ", ".join(f"{count} {what}" for what, count in self.met.items())
        return f"{kinds}\n{self.events // max(1, self.runs)} events a seed; {met}"


def run(seeds: range, kind: str | None = None, nodes: int | None = None, first: bool = False) -> Seen:
    """Run seeds; all of one kind of plan or with so many nodes, where that is given; `first`: until one fails."""
    metrics = Metrics(HANDLERS, ("default",))
    seen = Seen()
    level = logging.root.manager.disable
    thresholds = gc.get_threshold()
    logging.disable(logging.CRITICAL)
    gc.set_threshold(BETWEEN_SWEEPS, *thresholds[1:])
    gc.freeze()  # the modules need no look
    try:
        for seed in seeds:
            world = World(seed, metrics, kind=kind, nodes=nodes)
            try:
                world.run()
            except Exception as error:
                seen.failed.append((seed, f"{type(error).__name__} {error}"[:LONGEST]))
            seen.runs += 1
            seen.kinds[world.plan.kind] += 1
            seen.events += world.happened
            seen.answers += world.seen
            if first and seen.failed:
                break
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        logging.disable(level)
    return seen


def tell(seed: int, kind: str | None = None, nodes: int | None = None) -> str:
    """The story of a seed, as far as it is about what broke."""
    world = World(seed, Metrics(HANDLERS, ("default",)), kind=kind, nodes=nodes, told=True)
    assert world.story is not None
    head = f"seed {seed}, {world.plan.kind}, {len(world.nodes)} nodes"
    try:
        world.run()
    except Broken as broken:
        return f"{head}\n{world.story.of(*broken.tasks)}\n{broken}"
    except Exception as error:
        return f"{head}\n{world.story.of()}\n{error!r}"
    return f"{head}: nothing is broken"

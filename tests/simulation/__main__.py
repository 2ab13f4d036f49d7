"""`python -m tests.simulation --seeds 0:1000`: run seeds, say how many a second, and tell the story of each that fails."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from actors.metrics import Metrics
from tests.postoffice import HANDLERS
from tests.simulation.broken import Broken
from tests.simulation.world import World

CHUNK = 50


def run(
    seeds: range, kind: str | None = None, nodes: int | None = None, first: bool = False
) -> tuple[Counter[str], list[tuple[int, str]]]:
    """Run seeds; how many there were of each kind, and which failed, with the reason."""
    logging.disable(logging.CRITICAL)
    metrics = Metrics(HANDLERS, ("default",))
    kinds: Counter[str] = Counter()
    failed = []
    for seed in seeds:
        world = World(seed, metrics, kind=kind, nodes=nodes)
        kinds[world.plan.kind] += 1
        try:
            world.run()
        except Exception as error:
            failed.append((seed, f"{type(error).__name__} {error}"))
        kinds["events"] += world.happened
        if failed and first:
            break
    return kinds, failed


def tell(seed: int, kind: str | None = None, nodes: int | None = None) -> str:
    """The story of a seed, as far as it is about what broke."""
    world = World(seed, Metrics(HANDLERS, ("default",)), kind=kind, nodes=nodes, told=True)
    assert world.story is not None
    head = f"seed {seed}, {world.plan.kind}, {world.plan.nodes} nodes"
    try:
        world.run()
    except Broken as broken:
        return f"{head}\n{world.story.of(*broken.tasks)}\n{broken}"
    except Exception as error:
        return f"{head}\n{world.story.of()}\n{error!r}"
    return f"{head}: nothing is broken"


def main() -> int:
    """The exit code: 1 where any seed fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0:200", help="from:to, or one seed")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--kind", help="all runs of this kind of plan")
    parser.add_argument("--nodes", type=int, help="all runs with so many nodes")
    parser.add_argument("--story", action="store_true", help="tell the story of each seed that fails")
    parser.add_argument("--first", action="store_true", help="stop at the first that fails")
    args = parser.parse_args()
    first, _, last = args.seeds.partition(":")
    seeds = range(int(first), int(last or int(first) + 1))
    logging.disable(logging.CRITICAL)
    began = time.perf_counter()
    chunks = [range(at, min(at + CHUNK, seeds.stop)) for at in range(seeds.start, seeds.stop, CHUNK)]
    if args.jobs > 1:
        with ProcessPoolExecutor(args.jobs) as pool:
            outcomes = list(pool.map(run, chunks, [args.kind] * len(chunks), [args.nodes] * len(chunks)))
    else:
        outcomes = []
        for chunk in chunks:
            outcomes.append(run(chunk, args.kind, args.nodes, args.first))
            if args.first and outcomes[-1][1]:
                break
    took = time.perf_counter() - began
    kinds = sum((kinds for kinds, _ in outcomes), Counter())
    failed = [one for _, some in outcomes for one in some]
    events = kinds.pop("events")
    print(f"{len(seeds)} seeds in {took:.1f} s: {len(seeds) / took:.0f} seeds/s, {events // len(seeds)} events a seed")
    print(", ".join(f"{count} {name}" for name, count in sorted(kinds.items())))
    for seed, why in failed[:20]:
        print(f"seed {seed}: {why[:300]}")
        print(f"  again: PYTHONHASHSEED=0 python -m tests.simulation --seeds {seed} --story" + (f" --kind {args.kind}" if args.kind else ""))
    if args.story:
        for seed, _ in failed[:1]:
            print(tell(seed, args.kind, args.nodes))
    print(f"{len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if "PYTHONHASHSEED" not in os.environ:  # some order in the code under test follows the hashes of texts
        os.execve(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"})
    sys.exit(main())

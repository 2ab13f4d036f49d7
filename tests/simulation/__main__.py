"""`python -m tests.simulation --seeds 0:1000`: run seeds, say how many a second, tell the story of one that fails."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

from tests.simulation.runs import Seen, run, tell

CHUNK = 50


def main() -> int:
    """The exit code: 1 where any seed fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0:200", help="from:to, or one seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--kind", help="all runs of this kind of plan")
    parser.add_argument("--nodes", type=int, help="all runs with so many nodes")
    parser.add_argument("--story", action="store_true", help="tell the story of the first seed that fails")
    parser.add_argument("--first", action="store_true", help="stop at the first that fails")
    args = parser.parse_args()
    first, _, last = args.seeds.partition(":")
    seeds = range(int(first), int(last or int(first) + 1))
    began = time.perf_counter()
    seen = Seen()
    chunks = [range(at, min(at + CHUNK, seeds.stop)) for at in range(seeds.start, seeds.stop, CHUNK)]
    with ProcessPoolExecutor(args.jobs) if args.jobs > 1 else _Here() as pool:
        for part in pool.map(run, chunks, repeat(args.kind), repeat(args.nodes), repeat(args.first)):
            seen.add(part)
            if args.first and part.failed:
                break
    took = time.perf_counter() - began
    print(f"{seen.runs} seeds in {took:.1f} s: {seen.runs / took:.0f} seeds/s")
    print(seen.text())
    options = f" --kind {args.kind}" if args.kind else ""
    options += f" --nodes {args.nodes}" if args.nodes else ""
    for seed, why in seen.failed:
        print(f"seed {seed}: {why}")
        print(f"  again: PYTHONHASHSEED=0 python -m tests.simulation --seeds {seed} --story{options}")
    if args.story and seen.failed:
        print(tell(seen.failed[0][0], args.kind, args.nodes))
    print(f"{len(seen.failed)} failed")
    return 1 if seen.failed else 0


class _Here:
    """One process is enough."""

    map = staticmethod(map)

    def __enter__(self) -> _Here:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


if __name__ == "__main__":
    if "PYTHONHASHSEED" not in os.environ:  # some order in the code under test follows the hashes of texts
        command = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, "PYTHONHASHSEED": "0"})
    sys.exit(main())

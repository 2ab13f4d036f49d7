"""Three nodes in processes of their own over one Redis server, under load, and all that is seen of them: the evidence
that the cluster's checker judges.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from storage import verbs as v
from storage.redis import RedisStore
from taskqueue.core.clock import SECOND, SystemClock
from taskqueue.core.config import Config
from taskqueue.core.schedule import Spec, tick_id
from tests.clients import REFUSED, Client, Reply, until
from tests.faults.checker import Evidence, Submit
from tests.faults.cluster_checker import (
    ClusterEvidence,
    ClusterLeast,
    Glance,
    Recovery,
    Stop,
    Ticks,
    check,
)
from tests.faults.ledger import Mark, Reader
from tests.faults.load import KeyedLoad, Load
from tests.processes import NodeProcess, Nodes
from tests.redis_server import RedisServer
from tests.stores import assert_sound

HERE = str(Path(__file__).parent)
ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")
LEASE, LEADER, GRACE = 2.0, 1.5, 2.0
RECOVERED = LEASE + 2.0
"""What is promised for the tasks of a dead node, seconds; a busy machine gets `LEEWAY` more."""
LEEWAY = 4.0

CLUSTER: dict[str, Any] = {
    "clusterEnabled": True,
    "leaseTtl": LEASE,
    "leaderTtl": LEADER,
    "heartbeatInterval": 0.3,
    "pollInterval": 0.25,
    "shutdownGrace": GRACE,
    "maxCrashes": 1000,
    "workerCount": 4,
    "asyncConcurrency": 12,
    "queueSize": 150,
    "appDir": HERE,
    "handlers": ["workload"],
    "misfireGrace": 60,
    "retention": {"completed": {"age": "1h"}},
}
FULL: dict[str, Any] = {"asyncConcurrency": 40, "queueSize": 600, "pause": 0.02}
"""For a run with as much work as the nodes can do."""

EVERY = 0.5
"""Seconds between two due times of the run's schedule."""


class Fleet:
    """The nodes and their clients. `address`: where the nodes find Redis, if not at the server itself; `judge`: the
    same for the checks at the end; `pause`: seconds between two requests of a client; `env`: further variables for
    single nodes, by number.
    """

    def __init__(
        self,
        nodes: Nodes,
        folder: Path,
        server: RedisServer,
        *,
        address: str | None = None,
        judge: str | None = None,
        count: int = 3,
        pause: float = 0.1,
        env: Mapping[int, Mapping[str, str]] = {},
        **config: Any,
    ) -> None:
        self.judge = Config(redis_address=judge or server.url)
        self.ledger = Reader(folder / "ledger")
        self.random = random.Random()
        settings = {**CLUSTER, "redisAddress": address or server.url, **config}
        self.nodes: list[NodeProcess] = [
            nodes(f"n{n}", env={"LEDGER": str(folder / "ledger"), **env.get(n, {})}, nodeId=f"n{n}", **settings)
            for n in range(1, count + 1)
        ]
        self.clients: dict[NodeProcess, Client] = {}
        self.load = Load(checked=0.2, pause=pause)
        self.keyed = KeyedLoad(pause=pause)
        self.in_flight: list[int] = []
        self.zombies: set[int] = set()
        self.recoveries: list[Recovery] = []
        self.stops: list[Stop] = []
        self.glances: set[Glance] = set()
        self.between = 0
        self.final: dict[str, dict[str, Any]] = {}

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def start(self, *, count_on: NodeProcess | None = None) -> None:
        """Start every node, then the clients and the schedule. `count_on`: a node that will live."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            self.clients[node] = node.ready()
        self.schedule(count_on)
        self.send()
        client = self.clients[count_on or self.nodes[0]]
        until(lambda: client.counts()["processing"] >= 15, 30, "work is under way")

    def schedule(self, at: NodeProcess | None = None) -> None:
        """Make the schedule of the run."""
        spec = {"handler": "load.sync", "payload": {"seconds": 0}, "every": EVERY, "misfire": "runAll"}
        client = self.clients[at] if at is not None else self.client
        made = until(lambda: _made(client, {"id": "beat", **spec}), 30, "the schedule is made")
        assert made.status == 201, made

    @property
    def client(self) -> Client:
        """Of some node that runs."""
        return next(client for node, client in self.clients.items() if node.alive)

    def send(self) -> None:
        """The clients go on with the nodes that there are now."""
        there = [client for node, client in self.clients.items() if node.alive]
        if there:
            self.load.send_to(*there)
            self.keyed.send_to(*there)

    def restart(self, node: NodeProcess) -> None:
        """Start it again."""
        node.launch()
        self.clients[node] = node.ready()
        self.send()

    def look(self) -> dict[str, Any]:
        """The status as some node shows it; remembers who leads."""
        for node, client in list(self.clients.items()):
            if not node.alive:
                continue
            with suppress(*REFUSED):
                status: dict[str, Any] = client.get("/api/cluster/status").json
                if status.get("leader") is not None:
                    self.glances.add(Glance(status["term"], status["leader"]))
                return status
        return {}

    def leader(self) -> NodeProcess:
        """The node that leads, once one that runs does."""

        def leads() -> NodeProcess | None:
            name = self.look().get("leader")
            return next((node for node in self.nodes if node.alive and node.config["nodeId"] == name), None)

        found = until(leads, 30, "somebody leads")
        assert found is not None
        return found

    # -- faults --------------------------------------------------------------------------------------------------------

    def marks_of(self, node: NodeProcess) -> list[Mark]:
        """What the handlers of a node have done."""
        return [mark for mark in self.ledger.read() if mark.pid == node.pid]

    def runs_at(self, node: NodeProcess) -> dict[str, int]:
        """Tasks that a node's handlers have begun and not ended, with their fences, by the ledger."""
        begun: dict[str, int] = {}
        for mark in self.marks_of(node):
            if mark.phase == "start":
                begun[mark.task] = mark.fence
            else:
                begun.pop(mark.task, None)
        return begun

    def kill(self, node: NodeProcess) -> dict[str, int]:
        """End a node at once; what it had begun."""
        node.send(signal.SIGSTOP)  # so that nothing ends between the look and the death
        held = self.runs_at(node)
        node.kill()
        self.in_flight.append(len(held))
        self.send()
        return held

    def recovered(self, held: Mapping[str, int], since: float) -> None:
        """Wait until all that a dead node held has begun elsewhere, and note how long that took. `since`: monotonic."""
        waiting = dict(held)
        deadline = since + RECOVERED + LEEWAY + 20
        while waiting and time.monotonic() < deadline:
            for mark in self.ledger.read():
                if mark.phase == "start" and mark.fence > waiting.get(mark.task, mark.fence):
                    del waiting[mark.task]
                    self.recoveries.append(Recovery(mark.task, time.monotonic() - since))
            threading.Event().wait(0.05)
        self.recoveries += [Recovery(task, None) for task in waiting if not self._over(task)]

    def _over(self, task: str) -> bool:
        """Ended before the death, though the mark of it did not come."""
        return bool(self.client.task(task)["status"] in ("completed", "dead-lettered", "cancelled"))

    def freeze(self, node: NodeProcess) -> None:
        """The process stands still until `thaw`."""
        self.zombies.add(node.pid)
        os.kill(node.pid, signal.SIGSTOP)

    def thaw(self, node: NodeProcess) -> None:
        """It goes on, and does not know that it stood still."""
        os.kill(node.pid, signal.SIGCONT)

    def stop(self, node: NodeProcess) -> None:
        """Ask a node to stop; note how that went."""
        began = time.monotonic()
        ended = node.end(signal.SIGTERM, GRACE + 30)
        took = time.monotonic() - began
        owners = {one["node"] for one in self.client.tasks(status="processing") if one["node"] is not None}
        held = sum(name == node.config["nodeId"] for name in owners)
        self.stops.append(Stop(node.config["nodeId"], ended.code, took, GRACE + 2.0 + LEEWAY, held))
        self.send()

    # -- the end -------------------------------------------------------------------------------------------------------

    def finish(self, least: ClusterLeast, *, lost: frozenset[str] = frozenset(), within: float = 90.0) -> None:
        """Let everything finish, gather what was seen and judge it. `lost`: what may be gone with its server."""
        self.send()
        until(lambda: self._worked(least, lost), 60, "enough is done for a judgement")
        self.keyed.stop()
        self.load.stop()
        client = self.client
        until(lambda: len(client.tasks(schedule="beat")) >= least.ticks, 30, "the schedule fires")
        ticks = self._ticks(client)
        client.settled(within)
        self.look()
        final = self.final = {task["id"]: task for task in client.tasks()}
        counts = client.counts()
        for node in self.nodes:
            if node.alive:
                node.send(signal.SIGTERM)
        for node in self.nodes:
            if node.alive:
                assert node.ended(30).code == 0, node.text()
        submits = [one for one in self.load.submits() if one.task not in lost]
        submits += [Submit(task, True) for task in {one.task for one in self.keyed.answers} - lost]
        submits += [Submit(task, True) for task, one in final.items() if one["schedule"] is not None]
        submits += [Submit(task, None) for task in lost]
        marks = [mark for mark in self.ledger.read() if mark.task not in lost or mark.task in final]
        seen = ClusterEvidence(
            tasks=Evidence(
                submits=submits,
                ledger=marks,
                final=final,
                takeovers=[],
                in_flight=self.in_flight,
                between=self.between,
                zombies=frozenset(self.zombies),
            ),
            sums=self.load.sums,
            keyed=[one for one in self.keyed.answers if one.task not in lost],
            recoveries=self.recoveries,
            recover_within=RECOVERED + LEEWAY,
            ticks=ticks,
            stops=self.stops,
            glances=sorted(self.glances),
            counts=counts,
            repaired=self._swept(),
        )
        self._say(seen)
        assert self.load.mistakes + self.keyed.mistakes == []
        wrong = check(seen, least)
        assert not wrong, "\n".join(wrong[:40])

    def _worked(self, least: ClusterLeast, lost: frozenset[str]) -> bool:
        """Have the clients been acknowledged what they have to be at least, and has as much been begun?"""
        taken = sum(stored is True and task not in lost for task, stored in self.load.outcomes.copy().items())
        begun = sum(mark.phase == "start" and mark.task not in lost for mark in self.ledger.read())
        return taken >= least.tasks.submits and begun >= least.claims

    def abandon(self) -> None:
        """Let go of the clients, however the run went."""
        for node in self.nodes:
            node.reap()
        self.load.stop()
        self.keyed.abandon()

    def _ticks(self, client: Client) -> list[Ticks]:
        """Pause the schedule and say what it has decided."""
        shown = client.post("/api/schedules/beat/pause")
        assert shown.status == 200, shown
        store = self._store()
        try:
            [schedule] = [one for one in store.schedules() if one.id == "beat"]
        finally:
            store.close()
        anchor, every = Spec.decode(schedule.spec).anchor, round(EVERY * SECOND)
        dues = range(anchor + every, schedule.cursor + 1, every)
        ids = [tick_id("beat", schedule.generation, due) for due in dues]
        return [Ticks("beat", ids, sum(schedule.skipped.values()))]

    def _store(self) -> RedisStore:
        return RedisStore(self.judge, SystemClock(), patience=5)

    def _swept(self) -> int:
        """Lead for a moment, now that nobody else does, and sweep: how much there was to repair."""
        store = self._store()
        try:
            assert_sound(store)
            me = v.Register(owner="judge", node="judge", host="h", pid=1, workers=0, queues=(), handlers=())
            store.execute([me])
            term = v.Term(None, 0, 0)
            while True:
                [elected] = store.execute([v.Campaign("judge", term.epoch, term.beat)])
                assert isinstance(elected, v.Elected)
                term = elected.term
                if term.owner == "judge":
                    break
            [moved] = store.execute([v.Sweep(leader="judge", epoch=term.epoch, limit=100_000)])
            assert isinstance(moved, v.Moved)
            return moved.count
        finally:
            store.close()

    def _say(self, seen: ClusterEvidence) -> None:
        tasks = seen.tasks
        outcomes = [stored for _, stored in tasks.submits]
        worst = max((one.seconds or 0.0 for one in seen.recoveries), default=0.0)
        print(
            f"{len(tasks.in_flight)} kills with {tasks.in_flight} in flight, {len(tasks.zombies)} frozen, "
            f"{len(seen.stops)} stops; of {len(outcomes)} tasks {outcomes.count(True)} acknowledged, "
            f"{outcomes.count(False)} refused, {outcomes.count(None)} unknown; "
            f"{len(seen.recoveries)} recovered, the last after {worst:.1f} s; "
            f"terms {sorted({one.term for one in seen.glances})}; "
            f"{[(one.schedule, len(one.ids), one.skipped) for one in seen.ticks]} due times and skips"
        )


def _made(client: Client, schedule: dict[str, Any]) -> Reply | None:
    reply = client.post("/api/schedules", schedule)
    return None if reply.status == 503 else reply

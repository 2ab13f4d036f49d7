"""Bugs put into the protocol on purpose: into the actors, the coordinator, the rules and the memory store. Each is a patch of
a copy, in which the simulator has to find the law that is named beside it broken. A patch that does not apply fails too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.mutation.copies import Bug, copied

FOLDERS = ("storage", "taskqueue", "cluster", "actors", "api", "tests/simulation")
STATES, MEMBERS, KEEPING = "taskqueue/core/states.py", "storage/memory_members.py", "storage/memory_keeping.py"
SCHEDULES, CLAIM, QUEUE = "storage/memory_schedules.py", "storage/memory_claim.py", "actors/queue.py"
SCHEDULER = "actors/scheduler.py"


class Where(NamedTuple):
    """Seeds in which it is looked for: all of one kind, where a kind is named."""

    seeds: str
    kind: str = ""


LINKS, NODES, STORM = Where("0:60", "links"), Where("0:60", "nodes"), Where("0:60", "storm")
CALM, POISON, OUTAGE, DEATH = Where("0:30", "calm"), Where("0:40", "poison"), Where("0:30", "outage"), Where("0:30", "death")
WEAK, STORE, FAILOVER = Where("0:60", "weak"), Where("0:60", "store"), Where("0:60", "failover")

BUGS: tuple[tuple[Bug, Where], ...] = (
    (Bug("any fence will do", STATES, "task.owner == event.owner and task.fence == event.fence", "task.owner == event.owner", "F4"), STORM),
    (Bug("any owner will do", STATES, "task.owner == event.owner and task.fence == event.fence", "task.fence >= event.fence", "F4"), NODES),
    (Bug("a zombie is heard", "storage/memory.py", "and self._members.fenced(event.owner)", "and False", "F4"), NODES),
    (Bug("op ids are not compared", STATES, "if event.op and event.op == task.op:", "if False:", "D2"), LINKS),
    (Bug("epochs are not compared", MEMBERS, "(self.term.owner, self.term.epoch) == (owner, epoch)", "True", "R3"), NODES),
    (Bug("whoever comes last leads", MEMBERS, "elif (term.epoch, term.beat) == (verb.epoch, verb.beat):", "elif term.epoch == verb.epoch:", "R3"), STORM),
    (Bug("a beat does not save", MEMBERS, "if seat.member.beat != beat:", "if False:", "F5"), NODES),
    (Bug("the living are reaped", KEEPING, "if not self._members.fenced(verb.owner):", "if False:", "F5"), NODES),
    (Bug("a claim takes more when it is repeated", CLAIM, "if verb.request == seat.request:", "if False:", "C1"), LINKS),
    (Bug("a submit is acknowledged before it is stored", QUEUE, "        capacity = self._config.queue_size\n", '        capacity = self._config.queue_size\n        admit.reply_to.tell(Replied(results=tuple(v.Submitted(ev.Code.OK, d.id) for d in admit.drafts)))\n', "D4"), CALM),
    (Bug("a cancel is acknowledged before it is stored", QUEUE, "        self._write(operate.verbs, _Asked", "        operate.reply_to.tell(Replied(results=tuple(v.Answer(ev.Code.OK) for _ in operate.verbs)))\n        self._write(operate.verbs, _Asked", "D4"), CALM),
    (Bug("a cancel is told to nobody", "storage/memory.py", "if isinstance(event, ev.Cancel) and task.owner is not None:", "if False:", "L5"), Where("0:150", "calm")),
    (Bug("a tick needs no cursor", SCHEDULES, "(schedule.generation, schedule.cursor) != (verb.generation, verb.cursor)", "schedule.generation != verb.generation", "R1"), LINKS),
    (Bug("a tick needs no generation", SCHEDULES, "(schedule.generation, schedule.cursor) != (verb.generation, verb.cursor)", "schedule.cursor != verb.cursor", "R1"), Where("0:300", "links")),
    (Bug("a tick runs when the leader's clock says so", "taskqueue/core/schedule.py", "run_at=each, schedule=id", "run_at=None, schedule=id", "S3"), CALM),
    (Bug("due is what a client's clock says", CLAIM, "self._table.promote(v.PROMOTED_PER_CLAIM, now)", "self._table.promote(v.PROMOTED_PER_CLAIM, now + 1_000_000)", "S3"), CALM),
    (Bug("a release costs an attempt", STATES, '        "status": S.PENDING,\n        "attempt": task.attempt - 1,\n        "due_at": now,', '        "status": S.PENDING,\n        "due_at": now,', "L2"), LINKS),
    (Bug("a fence is used again", STATES, '"fence": max(task.fence + 1, now)', '"fence": task.fence or now', "F1"), NODES),
    (Bug("a death is no crash", STATES, "crashes = task.crashes + 1", "crashes = task.crashes", "L2"), NODES),
    (Bug("who died often enough is convicted", STATES, "    if task.solo:\n        return {**ended", "    if crashes >= event.max_crashes:\n        return {**ended", "P1"), POISON),
    (Bug("others run beside a suspect", SCHEDULER, "        if pool.solo():\n            return {}\n", "", "P1"), POISON),
    (Bug("a leader is one for ever", "cluster/term.py", "return (now - self.renewed) * whole < ttl * part", "return True", "R3"), NODES),
    (Bug("who looked away goes on with its timers", "cluster/members.py", "known = self._seen if self.fresh(now) else {}", "known = self._seen", "F5"), OUTAGE),
    (Bug("a late answer is done twice", "actors/pool.py", "            if run.key in self._runs:\n                return False\n", "", "F1"), LINKS),
    (Bug("a lost outcome is not sent again", QUEUE, "        self._send_again(CONFIRM_WITHIN)\n", "", "L1"), LINKS),
    (Bug("a claim that was lost is not asked again", SCHEDULER, "if self._asked_at is not None and now - self._asked_at < ANSWER_WITHIN:", "if True:", "L4"), LINKS),
    (Bug("who is over goes on all the same", "actors/health.py", "        board.rebirths += 1\n        self._me.renew()\n", "        board.rebirths += 1\n", "L4"), NODES),
    (Bug("the dead are not reaped", "actors/reaping.py", "    def _reap(self, owner: str, epoch: int, now: int) -> None:\n", "    def _reap(self, owner: str, epoch: int, now: int) -> None:\n        return\n", "L"), DEATH),
    (Bug("the clock of a node is the store's", SCHEDULER, "            delay = min(SOON << self._early - 1, self._config.poll_interval) if self._early else 0\n", "            delay = 0\n", "L6"), CALM),
    (Bug("a number of revisions comes back", SCHEDULES, "self.revision = max(self.revision + 1, now)", "self.revision += 1", "L1"), Where("480:560", "weak")),
)  # fmt: skip


def simulate(copy: Path, where: Where) -> str:
    """What the simulator says of the copy: it stops at the first seed that fails."""
    command = [sys.executable, "-m", "tests.simulation", "--first", "--seeds", where.seeds]
    if where.kind:
        command += ["--kind", where.kind]
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    run = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode in (0, 1), run.stderr
    return run.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The code and the simulator, to be changed at will."""
    return copied(tmp_path, *FOLDERS)


@pytest.mark.parametrize(("bug", "where"), BUGS, ids=[bug.name for bug, _ in BUGS])
def test_the_simulator_finds(copy: Path, bug: Bug, where: Where) -> None:
    bug.put_into(copy)
    said = simulate(copy, where)
    broken = re.findall(r"^seed \d+: Broken (\w+)", said, re.MULTILINE)
    assert broken, said
    assert broken[0].startswith(bug.test), said

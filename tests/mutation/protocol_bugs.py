"""Bugs of the protocol, in the actors, the coordinator, the rules and the memory store: `test` is the law that has to
be found broken, `seeds` and `kind` say where the simulator looks.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.mutation.copies import Bug, Edit


class Case(NamedTuple):
    """A bug, and in which runs it is looked for (no kind: in all), until the first that finds it; `slow`: not in every
    run of the tests.
    """

    bug: Bug
    kind: str
    seeds: str = "0:400"
    slow: bool = False


STATES, MEMORY, MEMBERS = "taskqueue/core/states.py", "storage/memory.py", "storage/memory_members.py"
SCHEDULES, CLAIM = "storage/memory_schedules.py", "storage/memory_claim.py"
QUEUE, SCHEDULER, HEALTH = "actors/queue.py", "actors/scheduler.py", "actors/health.py"

AS_SEEN = "(schedule.generation, schedule.cursor) != (verb.generation, verb.cursor)"
FENCED = """        if code is ev.Code.OK and isinstance(event, ev.Owned) and self._members.fenced(event.owner):
            code = ev.Code.STALE
"""
ADMIT = "        capacity = self._config.queue_size\n"
OPERATE = "        self._write(operate.verbs, _Asked"
RELEASE = '        "status": S.PENDING,\n        "attempt": task.attempt - 1,\n        "due_at": min(task.due_at, now),'
REVISION = "        self.revision = max(self.revision + 1, now)\n"
REAP = "    def _reap(self, owner: str, epoch: int, now: int) -> None:\n"

OWNERSHIP = (
    Case(
        Bug(
            "whoever says so ends a task",
            MEMORY,
            FENCED,
            "        if isinstance(event, ev.Owned) and task.owner is not None:\n            code = ev.Code.OK\n",
            "F4",
        ),
        "storm",
    ),
    Case(
        Bug("a zombie is heard", MEMORY, FENCED, "", "F4"),
        "nodes",
        "600:1200",
        slow=True,
    ),
    Case(
        Bug("op ids are not compared", STATES, "if event.op and event.op == task.op:", "if False:", "D2"),
        "links",
    ),
    Case(
        Bug("a fence is used again", STATES, '"fence": max(task.fence + 1, now)', '"fence": task.fence or now', "F1"),
        "nodes",
    ),
    Case(
        Bug("a claim takes more when repeated", CLAIM, "if verb.request == seat.request:", "if False:", "C1"),
        "links",
    ),
    Case(
        Bug(
            "a late answer is done twice",
            "actors/pool.py",
            "            if run.key in self._runs:\n                return False\n",
            "",
            "F1",
            (
                Edit(
                    SCHEDULER,
                    "        if found.request != self._pool.request or not self._pool.asking:\n            return\n",
                    "",
                ),
            ),
        ),
        "links",
    ),
)

PROMISES = (
    Case(
        Bug(
            "a submit is acknowledged before it is stored",
            QUEUE,
            ADMIT,
            ADMIT
            + "        done = tuple(v.Submitted(ev.Code.OK, draft.id) for draft in admit.drafts)\n"
            + "        admit.reply_to.tell(Replied(results=done))\n",
            "D4",
        ),
        "calm",
    ),
    Case(
        Bug(
            "a cancel is acknowledged before it is stored",
            QUEUE,
            OPERATE,
            "        done = tuple(v.Answer(ev.Code.OK) for _ in operate.verbs)\n"
            "        operate.reply_to.tell(Replied(results=done))\n" + OPERATE,
            "D4",
        ),
        "calm",
    ),
    Case(
        Bug(
            "a cancel is told to nobody",
            MEMORY,
            "if isinstance(event, ev.Cancel) and task.owner is not None:",
            "if False:",
            "L5",
        ),
        "calm",
    ),
    Case(
        Bug(
            "a cancel that comes before its task is forgotten",
            SCHEDULER,
            "if run.key in self._revoked:",
            "if False:",
            "L5",
        ),
        "calm",
        "0:800",
    ),
    Case(
        Bug(
            "what no replica has is acknowledged",
            "tests/simulation/link.py",
            "if self._world.plan.replicated and not server.vouches:",
            "if False:",
            "D4",
        ),
        "failover",
    ),
)

LEADING = (
    Case(
        Bug("epochs are not compared", MEMBERS, "(self.term.owner, self.term.epoch) == (owner, epoch)", "True", "R3"),
        "nodes",
    ),
    Case(
        Bug(
            "whoever comes last leads",
            MEMBERS,
            "elif (term.epoch, term.beat) == (verb.epoch, verb.beat):",
            "elif term.epoch == verb.epoch:",
            "R3",
        ),
        "storm",
    ),
    Case(
        Bug(
            "a leader is one for ever",
            "cluster/term.py",
            "return (now - self.renewed) * whole < ttl * part",
            "return True",
            "R3",
        ),
        "links",
    ),
    Case(
        Bug("a beat does not save", MEMBERS, "if seat.member.beat != beat:", "if False:", "F5"),
        "nodes",
    ),
    Case(
        Bug(
            "who looked away goes on with its timers",
            "cluster/members.py",
            "known = self._seen if self.fresh(now) else {}",
            "known = self._seen",
            "F5",
        ),
        "outage",
    ),
    Case(
        Bug("the dead are not reaped", "actors/reaping.py", REAP, REAP + "        return\n", "L"),
        "death",
    ),
    Case(
        Bug("who is over goes on all the same", HEALTH, "        self._me.renew()\n", "", "L"),
        "nodes",
    ),
)

TIME = (
    Case(
        Bug("a tick needs no cursor", SCHEDULES, AS_SEEN, "schedule.generation != verb.generation", "R1"),
        "links",
    ),
    Case(
        Bug("a tick needs no generation", SCHEDULES, AS_SEEN, "schedule.cursor != verb.cursor", "R1"),
        "calm",
        "0:900",
        slow=True,
    ),
    Case(
        Bug(
            "a tick runs when the leader's clock says so",
            "taskqueue/core/schedule.py",
            "run_at=each, schedule=id",
            "run_at=None, schedule=id",
            "S3",
        ),
        "calm",
    ),
    Case(
        Bug(
            "due is what another clock says",
            CLAIM,
            "self._table.promote(v.PROMOTED_PER_CLAIM, now)",
            "self._table.promote(v.PROMOTED_PER_CLAIM, now + 1_000_000)",
            "S3",
        ),
        "calm",
    ),
    Case(
        Bug(
            "a node that is ahead asks without a pause",
            SCHEDULER,
            "            delay = min(SOON << self._early - 1, self._config.poll_interval) if self._early else 0\n",
            "            delay = 0\n",
            "L6",
        ),
        "calm",
    ),
    Case(
        Bug(
            "revisions come back",
            SCHEDULES,
            REVISION + "        self.stored",
            "        self.revision += 1\n        self.stored",
            "L1",
            (Edit(SCHEDULES, REVISION + "        return", "        self.revision += 1\n        return"),),
        ),
        "weak",
        "0:3000",
        slow=True,
    ),
)

BUDGETS = (
    Case(
        Bug("a release costs an attempt", STATES, RELEASE, RELEASE.replace(" - 1", ""), "L2"),
        "links",
    ),
    Case(
        Bug("a death is no crash", STATES, "crashes = task.crashes + 1", "crashes = task.crashes", "L2"),
        "nodes",
    ),
    Case(
        Bug(
            "who was there twice is convicted",
            STATES,
            "    if task.solo:\n        return {**ended",
            "    if crashes >= max(1, event.max_crashes - 1):\n        return {**ended",
            "P1",
        ),
        "poison",
    ),
    Case(
        Bug("others run beside a suspect", SCHEDULER, "        if pool.solo():\n            return {}\n", "", "P1"),
        "poison",
    ),
    Case(
        Bug("a lost outcome is not sent again", QUEUE, "        self._send_again(CONFIRM_WITHIN)\n", "", "L1"),
        "links",
    ),
    Case(
        Bug(
            "a claim that was lost is not asked again",
            SCHEDULER,
            "if self._asked_at is not None and now - self._asked_at < ANSWER_WITHIN:",
            "if self._asked_at is not None:",
            "L",
        ),
        "links",
    ),
    Case(
        Bug(
            "what was lost is kept while a claim is under way",
            SCHEDULER,
            "answered = not self._pool.asking or self._pool.request > self._unknown_at",
            "answered = not self._pool.asking",
            "L1",
        ),
        "weak",
        "0:900",
        slow=True,
    ),
    Case(
        Bug(
            "who was emptied is not looked at again",
            "actors/reaping.py",
            "and now - at < AGAIN",
            "",
            "L1",
        ),
        "weak",
        "0:3000",
        slow=True,
    ),
)

OVERDUE = (
    Case(
        Bug("nobody looks for what hangs on a live node", "actors/leader.py", "self._overdue.look(now)", "pass", "L1"),
        "hung",
    ),
    Case(
        Bug(
            "what hangs is ended after the margin alone",
            "actors/overdue.py",
            "one.timeout is not None and now - one.since >= one.timeout + MARGIN",
            "one.timeout is not None and now - one.since >= MARGIN",
            "L2",
        ),
        "hung",
    ),
    Case(
        Bug(
            "what a leader ended is called what its owner's own end is called",
            "actors/overdue.py",
            'op=f"overdue-{fence}",',
            "op=str(fence),",
            "D2",
        ),
        "hung",
    ),
)

CASES = OVERDUE + OWNERSHIP + PROMISES + LEADING + TIME + BUDGETS

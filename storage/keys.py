"""Every key of the Redis backend, and the fields of a task's hash.

All keys of a deployment begin with `{<namespace>}:`, so that a Redis Cluster keeps them in one slot and several
namespaces share a server without touching. What is fixed is handed to every script as KEYS, in the order of `FIXED`;
what bears a name is built inside the scripts. Names of handlers, queues and tags have no `/`, so a lane can be written
`<queue>/<handler>` and a count's cell `<state>/<queue>/<handler>`.
"""

from __future__ import annotations

FIXED = {
    "meta": "hash: dataset, schema, min_reader, aging; last of: born, joined, ordered, noted, revision, led; swept, "
    "scanned; limbo; marked",
    "counts": "hash: cell -> how many tasks",
    "totals": "hash: state -> how many tasks",
    "causes": "hash: <cause>/<handler> -> how many dead letters",
    "lanes": "set: every lane that ever held a task",
    "delayed": "sorted set: tasks that wait for their time, by due time",
    "expiry": "sorted set: waiting tasks that will be over, by that time",
    "paused": "set: queues",
    "solos": "set: lanes in which suspects wait",
    "owners": "set: incarnations that hold a task",
    "members": "sorted set: nodes' incarnations, by order of arrival",
    "nodes": "hash: node -> its live incarnation",
    "live": "hash: a node's live incarnation -> its beats",
    "leases": "set: leases that are not over, or were fenced",
    "lapsed": "sorted set: leases that are over, by when",
    "term": "hash: owner, epoch, beat",
    "schedules": "set: ids",
    "generations": "hash: schedule -> last generation, which outlives the schedule",
    "tallies": "sorted set: minutes that are counted",
    "details": "sorted set: minutes whose counts by handler are still there",
    "notes": "list: the audit log, newest first",
}

NAMED = {
    "born:<id>": "string: what a task was born with, see BIRTH_FIELDS; it never changes",
    "task:<id>": "hash: what else there is to say of it, see TASK_FIELDS; none while it waits as it was born",
    "body:<id>": "string: a payload of more than 192 bytes",
    "result:<id>": "string: a result of more than 192 bytes",
    "key:<idempotency key>": "string: <time> <id> <digest>, for 24 hours",
    "ready:<lane>": "sorted set: claimable tasks, by rank",
    "solo:<lane>": "sorted set: claimable suspects, by rank",
    "since:<lane>": "sorted set: the same, by due time",
    "open:<handler>": "set: queues with claimable tasks of the handler",
    "run:<owner>": "sorted set: `<id>/<fence>/<lane>` of what it holds, by number of creation",
    "list:<cell>": "sorted set: tasks of a lane in a state (but processing), by number of creation",
    "done:<state>": "sorted set: finished tasks, by time of their end",
    "tag:<tag>": "sorted set: tasks, by number of creation",
    "made:<schedule>": "sorted set: its tasks, by number of creation",
    "busy:<schedule>": "sorted set: those of them that are not finished",
    "member:<owner>": "hash: what it said of itself; beg, beat, seen, running, req, step, draining, fenced, gone, ttl",
    "orders:<owner>": "hash: number -> `drain`, `undrain` or `cancel <task> <fence>`",
    "schedule:<id>": "hash: spec, cursor, gen, paused, last, skip/<reason>",
    "tally:<minute>": "hash: name -> count",
    "said:<name>": "string: the answer of a call, for a minute, so that a repeat is harmless",
}

BIRTH_FIELDS = {
    "ln": "lane",
    "no": "number of creation",
    "at": "created_at",
    "pri": "priority",
    "sum": "checksum",
    "to": "timeout",
    "ret": "retries",
    "dig": "digest",
    "pay": "the payload, up to 192 bytes; else in body:<id>",
}
"""A mark: `=` or `-` (the payload is in body:<id>), `:` or `.` if the result is not kept, `+` or `~` if it was born
with a hash (which says what is kept). Then, with a `/` after each, lane, number, created_at, priority, checksum,
timeout, retries, size of the digest; then digest and payload. Scripts answer them among the fields of the task. Up to
schema 3 they stood in its hash: those from `pri` to `dig` as one, `new`, and the payload in pieces of 64 bytes,
`pay`, `pay2` and `pay3`.
"""

TASK_FIELDS = {
    "st": "state: P pending, R processing, C completed, F failed, D dead-lettered, X cancelled; absent: pending",
    "pri": "priority; absent: as it was born",
    "keep": "0: the result is not kept; not here where the text says so",
    "big": "the payload has more than 64 KiB: a claim does not bring it",
    "tag": "tags, joined by /",
    "key": "idempotency key",
    "sch": "schedule",
    "el": "eligible_at; absent: as created_at",
    "due": "due_at; absent: as eligible_at",
    "exp": "expires_at",
    "left": "retries_left; absent: as retries",
    "del": "delayed",
    "solo": "solo",
    "own": "owner of the present or the last run",
    "run": "<fence>/<request>/<node> of the first run, in place of the four below; the attempt is 1",
    "att": "attempt; absent: 0",
    "fe": "fence; absent: 0",
    "req": "request",
    "nod": "node",
    "cr": "crashes; absent: 0",
    "gen": "generation; absent: 1",
    "op": "op",
    "beg": "started_at; absent: as fence; empty: none",
    "fin": "finished_at",
    "pro": "progress: MessagePack of fraction, note, time",
    "out": "result, up to 192 bytes, or its first 64",
    "out2": "its next 64 bytes",
    "out3": "its last bytes",
    "far": "the result is in result:<id>",
    "err": "type of the error",
    "msg": "its message",
    "cau": "its cause",
    "his": "history: a byte with the number of entries, then MessagePack of each; without the end of a completed run",
}

WAKE = "wake"
"""Channel (with the prefix): a lane in which there is work now and was none before."""


def prefix(namespace: str) -> str:
    """What every key of a namespace begins with."""
    return f"{{{namespace}}}:"


def fixed(namespace: str) -> tuple[str, ...]:
    """The keys that every script gets, in the order of `FIXED`."""
    return tuple(prefix(namespace) + name for name in FIXED)

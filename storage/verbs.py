"""The verbs of a store that are not events of one task, and what each answers.

An event of one task (`taskqueue.core.events`) is a verb by itself and answers an `Answer`. Everything here is frozen,
so a verb can be a message, be repeated, and be replayed in a simulation. Spans and times are microseconds.
"""

from __future__ import annotations

from msgspec import Struct

from taskqueue.core.clock import HOUR, MINUTE
from taskqueue.core.events import Code
from taskqueue.core.task import Cause, Draft, Status, Task
from taskqueue.core.views import Declaration

KEY_LIFETIME = 24 * HOUR
"""How long an idempotency key answers for the first submit that used it."""

MEMBER_MEMORY = 1 * HOUR
"""How long a member that is fenced or has left is remembered."""

MOST_CLAIMED = 1_000
"""By one claim, all groups together."""

PROMOTED_PER_CLAIM = 100
"""How many due tasks a claim promotes at most before it takes any."""

EXAMINED_PER_PAGE = 1_000
"""How many entries of an index one page of `find` looks at."""

BYTES_PER_PAGE = 8 * 1024 * 1024
"""A page of `find` ends with the task whose payload and result, added to those before, reach so much."""

LEASE_MEMORY = 1 * MINUTE
"""How long a lease that is over is remembered, so that a claim that comes late once more is told from a new one."""

TALLIES_KEPT = 24 * HOUR
DETAILS_KEPT = 1 * HOUR
"""How long counts by minute are kept, and those of them that are by handler."""

NOTES_KEPT = 10_000
"""How many entries the audit log holds."""


class Answer(Struct, frozen=True):
    """What became of an event: the code, and the task as it is now (None where it is gone or was never there).

    Hot events (complete, fail, release, snooze, progress) bring only `status`, not the whole task.
    """

    code: Code
    status: Status | None = None
    task: Task | None = None


# -- submitting and claiming -------------------------------------------------------------------------------------------


class Submit(Struct, frozen=True):
    """Store one draft. `capacity`: how many tasks may wait; None lets it pass (ticks, replays)."""

    draft: Draft
    capacity: int | None = None


class SubmitAll(Struct, frozen=True):
    """Store all drafts or none; answers a tuple of `Submitted`, in order."""

    drafts: tuple[Draft, ...]
    capacity: int | None = None


class Submitted(Struct, frozen=True):
    """OK: stored. DUP: the same body was stored before. CONFLICT, MISMATCH, FULL, WAITS: nothing was stored.

    `id` is the id of the task that answers this submit (an earlier one, where the idempotency key was known).
    `status` is the state now, or at the first answer where the key answers for it.
    """

    code: Code
    id: str
    status: Status = Status.PENDING
    created_at: int = 0


class Group(Struct, frozen=True):
    """Room for `n` tasks of one kind of capacity. `queues` may be `("*",)`. `solo` asks for a suspect instead."""

    handlers: tuple[str, ...]
    queues: tuple[str, ...]
    n: int
    solo: bool = False


class Claim(Struct, frozen=True):
    """Take what fits into the groups, lowest rank first. `request` grows with each new claim of one `owner`;

    a repeat with the same number answers the same tasks (those it still holds) and takes no new ones. Where the first
    group asks for suspects and gets some, the other groups get nothing: who takes a suspect first runs it alone.
    """

    owner: str
    request: int
    groups: tuple[Group, ...]


class GivenUp(Struct, frozen=True):
    """A task that became a dead letter on the way to a claim, and why: expired, corrupt."""

    id: str
    handler: str
    cause: Cause


class Claimed(Struct, frozen=True):
    """The tasks taken, per group; when the next delayed task of any lane is due; since when a suspect of the groups'
    lanes waits; what was given up on the way (a repeat does not tell it again).

    FENCED: the incarnation is unknown or declared dead. REFUSED: an older request number than the last.
    """

    code: Code
    tasks: tuple[tuple[Task, ...], ...] = ()
    next_due: int | None = None
    solo_since: int | None = None
    given_up: tuple[GivenUp, ...] = ()


# -- members -----------------------------------------------------------------------------------------------------------


class Register(Struct, frozen=True, kw_only=True):
    """A node starts: a new incarnation of `node`. REFUSED while another live incarnation has the name.

    `max_crashes` and `aging` are this deployment's; `alone` says that no other node can live (the file lock proves it):
    every other incarnation is then fenced at once. What they held is reaped by `Reap`. `instead_of` is another live
    incarnation that has the name and the beat count at which it stood still: it is fenced in the same step, unless it
    has beaten since.
    """

    owner: str
    node: str
    host: str
    pid: int
    workers: int
    queues: tuple[str, ...]
    handlers: tuple[Declaration, ...]
    alone: bool = False
    instead_of: tuple[str, int] | None = None


class Beat(Struct, frozen=True):
    """The node lives. `done` are the orders that it has carried out. Answers `Beaten`."""

    owner: str
    running: int = 0
    done: tuple[int, ...] = ()


class Order(Struct, frozen=True):
    """Something a node has to do: `cancel` the run of (task, fence), `drain`, `undrain`."""

    number: int
    kind: str
    task: str = ""
    fence: int = 0


class Beaten(Struct, frozen=True):
    """Every live incarnation's beat count, for timing by the observer's own clock, the orders for this one, and the
    store's time.
    """

    code: Code
    beats: dict[str, int] = {}
    orders: tuple[Order, ...] = ()
    at: int = 0


class Deregister(Struct, frozen=True):
    """The node leaves in good order; it must hold nothing. REFUSED while it does.

    So does a lease; without `trace` it was as if it had never been, unless it is over already.
    """

    owner: str
    trace: bool = True


class Lease(Struct, frozen=True):
    """A worker from outside takes part, for one claim and as long as it renews it: a member that is no node. `node` is
    the name to show in the tasks that it claims, `ttl` is how long it may be silent, microseconds.

    A repeat renews it. FENCED where it is over, REFUSED where `owner` is a node.
    """

    owner: str
    node: str
    ttl: int


class Renew(Struct, frozen=True):
    """The holder of a lease lives, and says so of one of its runs. STALE, with the task's state, where `owner` does not
    hold it under this fence (any more); then nothing is renewed.
    """

    owner: str
    task: str
    fence: int


class Drain(Struct, frozen=True):
    """Tell node `node` to stop claiming (`on`) or to claim again. NOT_FOUND where no live node has the name."""

    node: str
    on: bool = True


# -- the leader's ------------------------------------------------------------------------------------------------------


class Campaign(Struct, frozen=True):
    """Become or stay leader, by compare-and-set: `epoch` and `beat` are what the candidate saw last (0, 0: nobody)."""

    owner: str
    epoch: int
    beat: int


class Term(Struct, frozen=True):
    """Who leads now. `epoch` grows with every new leader, `beat` with every renewal."""

    owner: str | None
    epoch: int
    beat: int


class Elected(Struct, frozen=True):
    """OK: `term` is the candidate's own. REFUSED: somebody else's, as it is now."""

    code: Code
    term: Term


class Resign(Struct, frozen=True):
    """Stop leading. DEPOSED where the epoch is over already."""

    owner: str
    epoch: int


class Led(Struct, frozen=True, kw_only=True):
    """A verb that only the leader may use: DEPOSED where (`leader`, `epoch`) is not the present term."""

    leader: str
    epoch: int


class Fence(Led, frozen=True, kw_only=True):
    """Declare `owner` dead, if its beat count still is `beat` (else STALE). For good: it has to register anew."""

    owner: str
    beat: int


class Reap(Led, frozen=True, kw_only=True):
    """Take back at most `limit` tasks of a fenced incarnation; each counts one crash. REFUSED while it is not fenced.
    """

    owner: str
    max_crashes: int
    limit: int = 100


class PromoteDue(Led, frozen=True, kw_only=True):
    """Move at most `limit` delayed tasks whose time has come into their lanes (the verb `promote`)."""

    limit: int = 100


class ExpireDue(Led, frozen=True, kw_only=True):
    """Dead-letter at most `limit` waiting tasks whose `expires_at` has passed (the verb `expire`)."""

    limit: int = 100


class Keep(Struct, frozen=True):
    """How long finished tasks of one state stay: at most `age` microseconds and at most `count` of them."""

    status: Status
    age: int
    count: int


class PruneOld(Led, frozen=True, kw_only=True):
    """Delete at most `limit` finished tasks (and idempotency keys that are over) beyond what is to be kept (the verb
    `prune`).
    """

    keep: tuple[Keep, ...]
    limit: int = 500


class Sweep(Led, frozen=True, kw_only=True):
    """Look for limbo: a task whose owner is unknown, counts that are off. Repairs and counts; 0 is the healthy
    answer.
    """

    limit: int = 500


class Moved(Struct, frozen=True):
    """How many a leader's verb moved, their ids (where a state became terminal), and whether there may be more."""

    code: Code
    count: int = 0
    ids: tuple[str, ...] = ()
    more: bool = False


# -- schedules ---------------------------------------------------------------------------------------------------------


class Schedule(Struct, frozen=True, kw_only=True):
    """A stored schedule. `spec` is its JSON, opaque to the store; `cursor` is the due time up to which all is decided.

    `generation` is the store's: it grows with every change of `spec` and with every re-creation, and survives deletion.
    """

    id: str
    spec: bytes
    cursor: int
    paused: bool = False
    generation: int = 0
    last_run_at: int | None = None
    skipped: dict[str, int] = {}


class PutSchedule(Struct, frozen=True):
    """Create or change a schedule: all but its generation as given. Answers the stored `Schedule`.

    `expect` is the (generation, cursor) that the writer saw: where it is another by now the answer is STALE (an
    `Answer`), and NOT_FOUND where it is gone. Without `expect` the schedule is created, and CONFLICT where it exists.
    """

    schedule: Schedule
    expect: tuple[int, int] | None = None


class DropSchedule(Struct, frozen=True):
    """Delete a schedule; answers an `Answer`."""

    id: str


class Tick(Led, frozen=True, kw_only=True):
    """Move a schedule's cursor from `cursor` to `upto` and submit `drafts`, in one step; `skipped` are counts by
    reason.

    STALE where cursor or generation is another; REFUSED where it is paused and there are drafts; OK with a status where
    it made a task. A draft whose id exists is not made twice. `alone`: of several drafts only the first is submitted,
    and none where a task of this schedule is not finished yet; each of the others counts as skipped for the reason
    `overlap`.
    """

    schedule: str
    generation: int
    cursor: int
    upto: int
    drafts: tuple[Draft, ...] = ()
    skipped: dict[str, int] = {}
    alone: bool = False


# -- what is remembered of the past ------------------------------------------------------------------------------------


class Tally(Struct, frozen=True):
    """Add counts to those of the minute `minute` (a moment; see `taskqueue.core.tally`); `gauges` replace what was.

    Kept for `TALLIES_KEPT`, what is counted by handler (a name with `@`) for `DETAILS_KEPT`; `PruneOld` forgets the
    rest.
    """

    minute: int
    counts: dict[str, int]
    gauges: dict[str, int] = {}


class Note(Struct, frozen=True):
    """Remember who changed what (the audit log): at most `NOTES_KEPT` of them are kept, the newest."""

    token: str
    action: str
    target: str
    count: int = 1


# -- queues ------------------------------------------------------------------------------------------------------------


class Pause(Struct, frozen=True):
    """No node claims from `queue` any more. Submits go on."""

    queue: str


class Resume(Struct, frozen=True):
    """Claims from `queue` go on."""

    queue: str

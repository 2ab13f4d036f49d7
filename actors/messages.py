"""Every message there is between the actors of a node. Commands are imperative, events are in the past tense.

Whoever wants an answer says where to: `reply_to` is anything with a `tell`. A `ticket` comes back with the answer,
untouched.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from storage.store import Result, Verb
from storage.verbs import Claimed, Group, Note, Schedule, Term
from taskqueue.core.errors import StoreError
from taskqueue.core.task import Draft, Status, Task
from taskqueue.core.views import Held, LeaseView, Member


class Address(Protocol):
    """Where a message can be sent."""

    def tell(self, message: Message) -> bool:
        """Send; False where nobody is there to read it."""


class Message(Struct, frozen=True, kw_only=True):
    """Something that one actor tells another."""


# -- to QueueActor -----------------------------------------------------------------------------------------------------


class Admit(Message, frozen=True, kw_only=True):
    """Store new tasks. Answered with `Replied` (results: one `Submitted` each, or a `StoreError`). `note`: see
    `Operate`.
    """

    drafts: tuple[Draft, ...]
    atomic: bool
    reply_to: Address
    note: Note | None = None


class Operate(Message, frozen=True, kw_only=True):
    """Do what a person asked: operator events, pause, resume, drain. Answered with `Replied`.

    `note` is for the audit log: it is written, with the number of verbs that took effect, before the answer is given,
    and not written where none did.
    """

    verbs: tuple[Verb, ...]
    reply_to: Address
    note: Note | None = None


class FindWork(Message, frozen=True, kw_only=True):
    """Claim tasks for free workers, in the name of the incarnation `owner`. Answered with `WorkFound`."""

    owner: str
    request: int
    groups: tuple[Group, ...]
    reply_to: Address


class Lend(Message, frozen=True, kw_only=True):
    """Do what a worker from outside asked, in the name of its lease. Answered with `Replied`. `task` is the one whose
    run ends by it, as it was just before.
    """

    verbs: tuple[Verb, ...]
    reply_to: Address
    task: Task | None = None


class RunOverdue(Message, frozen=True, kw_only=True):
    """A run under a lease has had its time: end it."""

    task: Task


class OutcomesReady(Message, frozen=True, kw_only=True):
    """Runs have ended: their outcomes wait in the pool."""


class SendTally(Message, frozen=True, kw_only=True):
    """A tick: what was counted goes to the store."""


class CheckUnsettled(Message, frozen=True, kw_only=True):
    """A tick: outcomes that the store has not confirmed for long are sent again."""


class Replied(Message, frozen=True, kw_only=True):
    """What became of an `Admit`, `Operate` or `Lend`."""

    results: tuple[Result | StoreError, ...]


# -- to StorageActor ---------------------------------------------------------------------------------------------------


class Write(Message, frozen=True, kw_only=True):
    """Do verbs on the store. Answered with `Written` once all of them are durable."""

    verbs: tuple[Verb, ...]
    reply_to: Address
    ticket: object = None


class LookAtMembers(Message, frozen=True, kw_only=True):
    """Answered with `MembersSeen`."""

    reply_to: Address


class LookAtTerm(Message, frozen=True, kw_only=True):
    """Who leads? Answered with `TermSeen`."""

    reply_to: Address


class LookAtHeld(Message, frozen=True, kw_only=True):
    """What does the store think that `owner` runs? Answered with `HeldSeen`."""

    owner: str
    reply_to: Address


class LookAtLeases(Message, frozen=True, kw_only=True):
    """Which workers from outside hold something? Answered with `LeasesSeen`."""

    reply_to: Address


class LookAtRuns(Message, frozen=True, kw_only=True):
    """What is run under the lease `owner`? Answered with `RunsSeen`."""

    owner: str
    reply_to: Address


class LookAtSchedules(Message, frozen=True, kw_only=True):
    """Have they changed since `revision`? Answered with `SchedulesSeen`."""

    revision: int | None
    reply_to: Address


class LookAtTasks(Message, frozen=True, kw_only=True):
    """What became of these tasks? Answered with `TasksSeen`, which brings the `ticket` back."""

    ids: tuple[str, ...]
    reply_to: Address
    ticket: object = None


class LookAtCounts(Message, frozen=True, kw_only=True):
    """How many tasks are in which state? Answered with `CountsSeen`."""

    reply_to: Address


class Written(Message, frozen=True, kw_only=True):
    """The store's results, one for each verb, in order; a `StoreError` where a verb was not done."""

    results: tuple[Result | StoreError, ...]
    ticket: object


class MembersSeen(Message, frozen=True, kw_only=True):
    """The store's members."""

    members: tuple[Member, ...]


class TermSeen(Message, frozen=True, kw_only=True):
    """The term as it is now."""

    term: Term


class HeldSeen(Message, frozen=True, kw_only=True):
    """What the store thinks that the incarnation `owner` runs."""

    owner: str
    held: tuple[Held, ...]


class LeasesSeen(Message, frozen=True, kw_only=True):
    """The leases that are not over, or were fenced."""

    leases: tuple[LeaseView, ...]


class RunsSeen(Message, frozen=True, kw_only=True):
    """What is run under the lease `owner`."""

    owner: str
    tasks: tuple[Task, ...]


class SchedulesSeen(Message, frozen=True, kw_only=True):
    """Every schedule; None where none has changed."""

    revision: int
    schedules: tuple[Schedule, ...] | None


class TasksSeen(Message, frozen=True, kw_only=True):
    """Those of the tasks that are there."""

    tasks: tuple[Task, ...]
    ticket: object = None


class CountsSeen(Message, frozen=True, kw_only=True):
    """Tasks by state."""

    counts: dict[Status, int]


# -- to SchedulerActor -------------------------------------------------------------------------------------------------


class Registered(Message, frozen=True, kw_only=True):
    """The store knows this incarnation: claims may begin. Also to LeaderActor."""


class Wake(Message, frozen=True, kw_only=True):
    """There may be work."""


class WorkHinted(Message, frozen=True, kw_only=True):
    """A lane that had none has work: one of `handler`, or any where that is empty."""

    handler: str


class WorkFound(Message, frozen=True, kw_only=True):
    """The answer to claim `request`; None where the store could not answer."""

    request: int
    claimed: Claimed | None


class RunsEnded(Message, frozen=True, kw_only=True):
    """Workers have become free; `wake_in`: in how many microseconds the first of what ended wants to run again, if
    any.
    """

    wake_in: int | None = None


class WatchRuns(Message, frozen=True, kw_only=True):
    """A tick: see to deadlines and to workers that do not come back."""


class Reconcile(Message, frozen=True, kw_only=True):
    """A tick: compare what the store thinks this node runs with what it does run."""


class Revoke(Message, frozen=True, kw_only=True):
    """A task that runs here was cancelled: tell its handler."""

    task: str
    fence: int


class SetClaiming(Message, frozen=True, kw_only=True):
    """Stop claiming (drain, shutdown), or go on."""

    on: bool


class GiveBack(Message, frozen=True, kw_only=True):
    """Shutdown: release what was claimed; with `running`, what still runs, too."""

    running: bool


# -- to WorkerActor ----------------------------------------------------------------------------------------------------


class Work(Message, frozen=True, kw_only=True):
    """Take runs from the channel until it is empty."""


# -- to LeaderActor ----------------------------------------------------------------------------------------------------


class KeepHouse(Message, frozen=True, kw_only=True):
    """A tick: campaign if due; if leading, promote, expire, prune, reap, sweep."""


class FireDue(Message, frozen=True, kw_only=True):
    """A schedule is due."""


class SchedulesChanged(Message, frozen=True, kw_only=True):
    """A hint: somebody put or dropped a schedule."""


class TermOver(Message, frozen=True, kw_only=True):
    """A hint: the leader resigned."""


class StepDown(Message, frozen=True, kw_only=True):
    """Shutdown: resign. Answered with `SteppedDown`."""

    reply_to: Address


class SteppedDown(Message, frozen=True, kw_only=True):
    """The term is given back (or was over)."""


# -- to HealthActor ----------------------------------------------------------------------------------------------------


class TakePulse(Message, frozen=True, kw_only=True):
    """A tick: beat."""


class OrdersFiled(Message, frozen=True, kw_only=True):
    """A hint: the store has orders for this node, so the next beat goes through it at once."""


class Leave(Message, frozen=True, kw_only=True):
    """Shutdown: deregister. Answered with `Left`."""

    reply_to: Address


class Left(Message, frozen=True, kw_only=True):
    """The node is no member any more; `holding` is true where it still holds tasks and therefore stays one."""

    holding: bool

"""What a submit is told of each of its tasks, from what the store answered."""

from __future__ import annotations

from storage import verbs as v
from taskqueue.core import errors
from taskqueue.core import events as ev
from taskqueue.core.task import Draft
from taskqueue.core.views import Receipt


def receipt(draft: Draft, result: object) -> Receipt:
    """The receipt of one draft. A result that is no answer leaves the outcome unknown."""
    if not isinstance(result, v.Submitted):
        return Receipt(id=draft.id, error=errors.Unavailable(str(result), task_id=draft.id))
    if result.code is ev.Code.OK:
        return Receipt(id=result.id, status=result.status, created_at=result.created_at)
    error: errors.TaskqueueError | None = None
    if result.code is ev.Code.CONFLICT:
        error = errors.Conflict(f"a task with the id {draft.id} exists already, with another body")
    elif result.code is ev.Code.MISMATCH:
        error = errors.InvalidInput(
            [("$.parameters.idempotencyKey", "this key was used before, with another body, less than a day ago")]
        )
    elif result.code is ev.Code.FULL:
        error = errors.QueueFull("queueSize tasks are waiting already; try again later")
    elif result.code is ev.Code.WAITS:
        error = errors.Bystander("not stored, because another task of this batch was refused")
    repeat = result.code is ev.Code.DUP
    return Receipt(id=result.id, status=result.status, created_at=result.created_at, repeat=repeat, error=error)

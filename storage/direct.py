"""A store for those who are no node: Python clients that write to a cluster directly, and tests that run handlers.

It speaks of tasks and receipts, so that its users need not know the verbs; they find it under the entry-point group
`taskqueue.direct`. State: the store, and a lock, since `execute` takes one thread at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from storage import verbs as v
from storage.receipts import receipt
from storage.store import Result, Store, Verb, open_store
from taskqueue.core import errors
from taskqueue.core.clock import Clock
from taskqueue.core.config import Config
from taskqueue.core.events import Event
from taskqueue.core.task import Draft, Task
from taskqueue.core.views import Declaration, Receipt

Pour = Callable[[Iterable[v.Submit]], list[Result | errors.StoreError]]


def open_direct(config: Config, clock: Clock) -> Direct:
    """The store that `config.storage` names, for direct use. Unlike a node, it does not wait for a Redis that is away:
    its users have times of their own, and try again.

    Raises:
        ConfigError: it cannot be opened.
        StoreUnavailable: nobody answers.
    """
    if config.storage != "redis":
        return Direct(open_store(config, clock))
    from storage.redis import RedisStore, Unreached

    try:
        return Direct(RedisStore(config, clock, patience=0.0))
    except Unreached as error:
        raise errors.StoreUnavailable(str(error)) from None


class Direct:
    """See the module. Any thread may call any method."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.get = store.get
        self.statuses = store.statuses
        self.find = store.find
        self.close = store.close

    def submit(self, drafts: Iterable[Draft], capacity: int) -> list[Receipt]:
        """Store drafts while fewer than `capacity` tasks wait; one receipt each, in order. Where the store can, it
        begins before the last of them is made.
        """
        made: list[Draft] = []

        def submits() -> Iterator[v.Submit]:
            for draft in drafts:
                made.append(draft)
                yield v.Submit(draft, capacity)

        pour: Pour = getattr(self._store, "pour", None) or (lambda verbs: self._store.execute(list(verbs)))
        with self._lock:
            results = pour(submits())
        return [receipt(draft, result) for draft, result in zip(made, results, strict=True)]

    def happen(self, event: Event) -> v.Answer:
        """Let something happen to a task. Raises StoreError."""
        return self._answer(event)

    def declarations(self) -> dict[str, Declaration]:
        """What nodes declare of their handlers, by name. Raises StoreError."""
        return {one.name: one for member in self._store.members() for one in member.handlers}

    # -- as a node would -----------------------------------------------------------------------------------------------

    def join(self, owner: str, declarations: Sequence[Declaration]) -> None:
        """Be a node that serves these handlers, in every queue."""
        self._answer(
            v.Register(
                owner=owner,
                node=owner,
                host="localhost",
                pid=0,
                workers=1,
                queues=("*",),
                handlers=tuple(declarations),
                alone=True,
            )
        )

    def claim(self, owner: str, request: int, handlers: Sequence[str]) -> Task | None:
        """Take the next task that is due; what is due of those that wait for a time is among them."""
        for solo in (False, True):
            group = v.Group(tuple(handlers), ("*",), 1, solo)
            [result] = self._execute([v.Claim(owner, request * 2 + solo, (group,))])
            assert isinstance(result, v.Claimed)
            if result.tasks and result.tasks[0]:
                return result.tasks[0][0]
        return None

    def _answer(self, verb: Verb) -> v.Answer:
        [result] = self._execute([verb])
        if isinstance(result, errors.StoreError):
            raise result
        assert isinstance(result, v.Answer)
        return result

    def _execute(self, verbs: Sequence[Verb]) -> list[Result | errors.StoreError]:
        with self._lock:
            return self._store.execute(verbs)

"""Those who use the nodes: they submit, cancel, replay, change schedules; ask again, elsewhere, where they hear
nothing; and remember what they were promised.

State: every wish, what handlers did (`ledger`), which tasks kill their node (`poison`), and which wait to be cancelled
(`staying`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from actors.messages import Admit, Message, Operate, Replied
from storage import verbs as v
from storage.store import Verb
from taskqueue.core import events as ev
from taskqueue.core.clock import MILLISECOND, SECOND
from taskqueue.core.events import Code
from taskqueue.core.schedule import Misfire, Overlap, Spec
from taskqueue.core.task import Draft
from tests.factories import draft
from tests.simulation.broken import Broken
from tests.simulation.scripts import PATIENT
from tests.simulation.server import EPOCH

if TYPE_CHECKING:
    from tests.simulation.world import World

PATIENCE = 3 * SECOND
"""How long a client waits for an answer before it asks again."""


LONGEST = 8 * SECOND
"""After this nothing of what was asked before can still come to the store."""


class Wish:
    """One thing that a client wants done; it asks again until it is answered, or gives up."""

    def __init__(self, clients: Clients, make: Callable[[Wish], Message], then: Callable[[Any], bool]) -> None:
        self._clients = clients
        self._make = make
        self._then = then
        self._asked = 0
        self.over = False

    def ask(self) -> None:
        """Ask some node."""
        if self.over:
            return
        world = self._clients.world
        if self._asked >= 3 and not world.healed and world.chance() < 0.2:
            self.over = True  # it will never know
            return
        self._asked += 1
        nodes = [node for node in world.nodes if node.up]
        if nodes:
            node = nodes[int(world.chance() * len(nodes))]
            node.tell("queue", self._make(self))
        world.at(world.time + PATIENCE, self.ask)

    def tell(self, message: Message) -> bool:
        """The node's answer."""
        assert isinstance(message, Replied)
        if not self.over and self._then(message.results[0]):
            self.over = True
        return True


class Clients:
    """See the module."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.wishes: list[Wish] = []
        self.ledger: dict[tuple[str, int], tuple[str, bytes | None]] = {}
        self.snoozed: Counter[str] = Counter()
        self.poison: set[str] = set()
        self._hindering: list[Wish] = []
        self._keys: dict[str, str] = {}
        self._ids: list[str] = []
        self.staying: set[str] = set()
        """Tasks whose handlers stay until they are told to end."""
        self._awaited: dict[str, ev.Event] = {}
        """What is asked once a task is claimed: so that it comes while the claim is on its way to its node."""

    def begin(self) -> None:
        """Spread all wishes over the first half of the run."""
        world, plan = self.world, self.world.plan
        span = plan.healed - 2 * SECOND
        for number in range(plan.tasks):
            world.at(world.within(span), self._submit, f"t{number}", False)
        for number in range(plan.poison):
            world.at(world.within(span // 2), self._submit, f"poison{number}", True)
        for number in range(plan.schedules):
            world.at(world.within(span // 2), self._schedule, f"s{number}")
        if plan.kind != "poison":
            for number in range(plan.tasks // 3):
                world.at(world.within(span), self._operate, number)
        if world.chance() < 0.3:
            world.at(world.within(span), self._pause)
        if world.chance() < 0.2:
            world.at(world.within(span), self._drain)

    def heal(self) -> None:
        """Nothing stays paused or drained."""
        for wish in self._hindering:
            wish.over = True
        self.world.at(self.world.time + LONGEST, self._open)

    def _open(self) -> None:
        """What hindered may have come late: only now is it over for good."""
        self._wish(v.Resume("default"), lambda answer: answer.code is Code.OK)
        for node in self.world.nodes:
            self._wish(v.Drain(node.name, False), lambda answer: answer.code in (Code.OK, Code.NOT_FOUND))

    def left(self) -> int:
        """How many have no answer yet."""
        return sum(not wish.over for wish in self.wishes)

    def claimed(self, name: str) -> None:
        """The store has handed out a task."""
        event = self._awaited.pop(name, None)
        if event is not None:
            self.world.at(self.world.time, self._ask, event)

    # -- wishes --------------------------------------------------------------------------------------------------------

    def _wish(self, verb: Verb, then: Callable[[Any], bool]) -> Wish:
        def answered(result: Any) -> bool:
            return isinstance(result, v.Answer | v.Schedule) and (isinstance(result, v.Schedule) or then(result))

        return self._begin(Wish(self, lambda wish: Operate(verbs=(verb,), reply_to=wish), answered))

    def _begin(self, wish: Wish) -> Wish:
        self.wishes.append(wish)
        wish.ask()
        return wish

    def _submit(self, name: str, poison: bool) -> None:
        choice, chance = self.world.random.choice, self.world.chance
        now = EPOCH + self.world.time
        key = choice(("k1", "k2")) if chance() < 0.1 and not poison else None
        one = draft(
            name,
            handler="echo" if poison else choice(("echo", "echo", "sleep", "capped")),
            retries=self.world.random.randrange(4),
            timeout=choice((2, 2, 30)) * SECOND,
            priority=self.world.random.randrange(10),
            delay=choice((0, 0, 0, 400 * MILLISECOND, 2 * SECOND)),
            expires_at=None if poison else choice((None,) * 9 + (now + 2 * SECOND,)),
            payload=b'{"of":"%s"}' % name.encode(),
            key=key,
        )
        if key is not None:
            one = replace(one, digest=b"the same" if chance() < 0.7 else b"another")
        self._ids.append(name)
        if one.handler == "sleep" and one.timeout > PATIENT and chance() < 0.5:
            cancel = ev.Cancel(id=name, op=f"stop-{name}")
            if chance() < 0.5:
                self._awaited[name] = cancel
                self.staying.add(name)
            else:
                self.world.at(self.world.within(5 * SECOND), self._ask, cancel)
        if poison:
            self.poison.add(name)
        self.world.law.sent[name] = one
        self._begin(
            Wish(
                self,
                lambda wish: Admit(drafts=(one,), atomic=False, reply_to=wish),
                lambda result: self._submitted(one, result),
            )
        )

    def _submitted(self, one: Draft, result: Any) -> bool:
        if not isinstance(result, v.Submitted):
            return False
        if result.code in (Code.OK, Code.DUP):
            twin = self.world.law.sent[result.id]
            if twin is not one and (one.key is None or (twin.key, twin.digest) != (one.key, one.digest)):
                raise Broken("D2", f"{one.id} was answered with {result.id}", one.id, result.id)
            self.world.note(one.id, "is acknowledged (%s, %s)", result.code, result.id)
            self.world.law.acknowledged(result.id)
        return True

    def _operate(self, number: int) -> None:
        if not self._ids:
            return
        choice = self.world.random.choice
        name, op = choice(self._ids), f"op{number}"
        kind: type[ev.Event] = choice((ev.Cancel, ev.Cancel, ev.Cancel, ev.Retry, ev.Replay, ev.Update, ev.Delete))
        self._ask(kind(id=name, op=op) if kind is not ev.Update else ev.Update(id=name, op=op, priority=9))

    def _ask(self, event: ev.Event) -> None:
        self._wish(event, lambda answer: self._obeyed(event.id, event.op, answer))

    def _obeyed(self, name: str, op: str, answer: v.Answer) -> bool:
        if answer.code in (Code.OK, Code.DUP):
            self.world.note(name, "%s is acknowledged (%s)", op, answer.code)
            self.world.law.obeyed(op, name)
        return True

    def _pause(self) -> None:
        self._hindering.append(self._wish(v.Pause("default"), lambda answer: answer.code is Code.OK))
        self.world.at(self.world.within(3 * SECOND), self._wish, v.Resume("default"), lambda _: True)

    def _drain(self) -> None:
        name = self.world.random.choice(self.world.nodes).name
        self._hindering.append(self._wish(v.Drain(name, True), lambda _: True))
        self.world.at(self.world.within(6 * SECOND), self._wish, v.Drain(name, False), lambda _: True)

    # -- schedules -----------------------------------------------------------------------------------------------------

    def _schedule(self, name: str) -> None:
        """Make one, change it a few times, perhaps drop it and make it again."""
        world = self.world
        self._put(name, None)
        for _ in range(world.random.randrange(4)):
            world.at(world.within(world.plan.healed), self._change, name)

    def _spec(self) -> bytes:
        choice = self.world.random.choice
        return Spec(
            handler="echo",
            payload=b"{}",
            every=choice((1, 2, 3)) * SECOND,
            misfire=choice(tuple(Misfire)),
            overlap=choice(tuple(Overlap)),
            anchor=(EPOCH + self.world.time) // MILLISECOND * MILLISECOND,
        ).encode()

    def _put(self, name: str, expect: tuple[int, int] | None, **changes: Any) -> None:
        fields = {"spec": self._spec(), "cursor": EPOCH + self.world.time, **changes}
        self._wish(v.PutSchedule(v.Schedule(id=name, **fields), expect), lambda _: True)

    def _change(self, name: str) -> None:
        stored = self.world.server.store.schedule(name)
        dice = self.world.chance()
        if stored is None:
            self._put(name, None)
        elif dice < 0.2:
            self._wish(v.DropSchedule(name), lambda _: True)
        elif dice < 0.4:
            paused = not stored.paused
            kept = {field: getattr(stored, field) for field in ("spec", "cursor", "skipped", "last_run_at")}
            self._put(name, (stored.generation, stored.cursor), paused=paused, **kept)
        elif dice < 0.8:  # another task at the same times
            spec = replace(Spec.decode(stored.spec), payload=b"%d" % self.world.time).encode()
            self._put(name, (stored.generation, stored.cursor), spec=spec, cursor=stored.cursor)
        else:
            self._put(name, (stored.generation, stored.cursor))

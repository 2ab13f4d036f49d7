"""The laws of guarantees.md over nodes, terms and schedules: R1-R3, F5 (who is fenced, and when), one seat a node.

A part of the laws' record (`law.State`), so it goes back with the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from storage import verbs as v
from storage.store import Verb
from taskqueue.core.events import Code
from taskqueue.core.task import Draft
from tests.simulation.broken import Broken
from tests.simulation.plan import LEASE

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(slots=True)
class Mate:
    """One incarnation: how often it has beaten and when last (true time), and whether it is gone for good."""

    node: str
    beat: int
    at: int
    gone: str = ""
    draining: bool = False


@dataclass(slots=True)
class Plot:
    """One schedule as it has to be: due at `anchor + k * every`."""

    spec: bytes
    generation: int
    cursor: int
    every: int
    anchor: int
    paused: bool


@dataclass
class Leading:
    """State: every incarnation, the term, every schedule, and the generations that there were."""

    mates: dict[str, Mate] = field(default_factory=dict)
    owner: str | None = None
    epoch: int = 0
    beat: int = 0
    plots: dict[str, Plot] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    fences: int = 0

    def may_claim(self, owner: str) -> bool:
        """Is it a member, not fenced, and not draining?"""
        mate = self.mates.get(owner)
        return mate is not None and not mate.gone and not mate.draining

    def dead(self, owner: str) -> bool:
        """Was it declared dead?"""
        mate = self.mates.get(owner)
        return mate is not None and mate.gone == "fenced"

    def judge(self, world: World, verb: Verb, result: Any, changes: Any) -> None:
        """Raises Broken where this verb, with this result, breaks a law."""
        code = getattr(result, "code", None)
        if isinstance(verb, v.Led):
            if code is Code.DEPOSED:
                return
            if (verb.leader, verb.epoch) != (self.owner, self.epoch):
                raise Broken("R3", f"{verb} was done in the term of {self.owner}, epoch {self.epoch}")
        rule = _RULES.get(type(verb))
        if rule is not None:
            rule(self, world, verb, result, changes)

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _register(self, world: World, verb: v.Register, result: v.Answer, _: Any) -> None:
        if result.code is not Code.OK:
            return
        mate = self.mates.get(verb.owner)
        if mate is not None and mate.gone:
            raise Broken("F5", f"{verb.owner} is {mate.gone} and was let in again")
        if verb.alone:
            for other in self.mates.values():
                other.gone = other.gone or "fenced"
        if verb.instead_of is not None:
            self._give_way(world, verb)
        others = [name for name, one in self.mates.items() if one.node == verb.node and not one.gone]
        if others not in ([], [verb.owner]):
            raise Broken("F5", f"{verb.owner} was let in beside {others}, of the same node {verb.node}")
        if mate is None:
            self.mates[verb.owner] = Mate(verb.node, 0, world.time)
        else:
            mate.gone = ""

    def _give_way(self, world: World, verb: v.Register) -> None:
        """Another incarnation of the same node is declared dead by its successor, if it is as that saw it."""
        assert verb.instead_of is not None
        owner, beat = verb.instead_of
        mate = self.mates.get(owner)
        if mate is None or mate.gone or mate.beat != beat:
            return
        if mate.node != verb.node:
            raise Broken("F5", f"{verb.owner} of {verb.node} declared {owner} of {mate.node} dead")
        mate.gone = "fenced"

    def _beat(self, world: World, verb: v.Beat, result: v.Beaten, _: Any) -> None:
        mate = self.mates.get(verb.owner)
        if result.code is not Code.OK:
            return
        if mate is None or mate.gone:
            raise Broken("F5", f"a beat of {verb.owner} was accepted, who is {mate.gone if mate else 'unknown'}")
        mate.beat += 1
        mate.at = world.time
        if result.beats.get(verb.owner) != mate.beat:
            raise Broken("F5", f"{verb.owner} has beaten {mate.beat} times and was told {result.beats}")

    def _fence(self, world: World, verb: v.Fence, result: v.Answer, _: Any) -> None:
        mate = self.mates.get(verb.owner)
        if result.code is not Code.OK or mate is None or mate.gone == "fenced":
            return
        if mate.beat != verb.beat:
            raise Broken("F5", f"{verb.owner} was fenced at beat {verb.beat}, and has beaten {mate.beat} times")
        forgetful = world.server.line and not world.plan.replicated  # a count may have come back, and looks still
        if world.time - mate.at < LEASE and not forgetful:
            raise Broken("F5", f"{verb.owner} was fenced {world.time - mate.at} us after it beat last")
        self.fences += 1
        mate.gone = "fenced"
        world.ends.fenced(verb.owner, verb.leader)

    def _deregister(self, world: World, verb: v.Deregister, result: v.Answer, _: Any) -> None:
        if result.code is Code.OK:
            held = [name for name, life in world.law.state.lives.items() if life.owner == verb.owner]
            if held:
                raise Broken("S2", f"{verb.owner} has left and holds {held}", *held)
            if verb.owner in self.mates:
                self.mates[verb.owner].gone = "left"

    def _reap(self, world: World, verb: v.Reap, result: v.Moved, changes: Any) -> None:
        if changes and not self.dead(verb.owner):
            raise Broken("F5", f"{verb.owner} was reaped and is not fenced")

    def _drain(self, world: World, verb: v.Drain, result: v.Answer, _: Any) -> None:
        for mate in self.mates.values():
            if mate.node == verb.node and not mate.gone:
                mate.draining = verb.on

    # -- the term ------------------------------------------------------------------------------------------------------

    def _campaign(self, world: World, verb: v.Campaign, result: v.Elected, _: Any) -> None:
        term = result.term
        if result.code is not Code.OK:
            return
        if (term.owner, term.epoch) != (self.owner, self.epoch):
            if term.epoch != self.epoch + 1:
                raise Broken("R3", f"epoch {term.epoch} of {term.owner} comes after {self.epoch}")
            if (verb.epoch, verb.beat) != (self.epoch, self.beat):
                raise Broken("R3", f"{verb} won against epoch {self.epoch}, beat {self.beat}: it had not seen that")
            world.ends.elected(term.owner or "", term.epoch)
        if term.owner != verb.owner:
            raise Broken("R3", f"{verb} was won by {term.owner}")
        self.owner, self.epoch, self.beat = term.owner, term.epoch, term.beat

    def _resign(self, world: World, verb: v.Resign, result: v.Answer, _: Any) -> None:
        if result.code is Code.OK:
            if (verb.owner, verb.epoch) != (self.owner, self.epoch):
                raise Broken("R3", f"{verb} ended the term of {self.owner}, epoch {self.epoch}")
            self.owner = None

    # -- schedules -----------------------------------------------------------------------------------------------------

    def _put(self, world: World, verb: v.PutSchedule, result: Any, _: Any) -> None:
        if not isinstance(result, v.Schedule):
            return
        plot = self.plots.get(result.id)
        if verb.expect is None and plot is not None:
            raise Broken("R1", f"{result.id} was made and there is one")
        if verb.expect is not None and (plot is None or (plot.generation, plot.cursor) != verb.expect):
            raise Broken("R1", f"a change of {result.id} was accepted from who had not seen it as it is")
        last = self.generations.get(result.id, 0)
        fresh = plot is None or plot.spec != result.spec
        if result.generation != (last + 1 if fresh else last):
            raise Broken("R1", f"{result.id} has generation {result.generation} after {last} (another: {fresh})")
        self.generations[result.id] = result.generation
        said = msgspec.json.decode(result.spec)
        self.plots[result.id] = Plot(
            result.spec, result.generation, result.cursor, said["every"], said["anchor"], result.paused
        )

    def _drop(self, world: World, verb: v.DropSchedule, result: v.Answer, _: Any) -> None:
        if result.code is Code.OK:
            self.plots.pop(verb.id, None)

    def _tick(self, world: World, verb: v.Tick, result: v.Answer, changes: Any) -> None:
        plot = self.plots.get(verb.schedule)
        if result.code is not Code.OK:
            return
        if plot is None or (plot.generation, plot.cursor) != (verb.generation, verb.cursor):
            raise Broken("R1", f"a tick of {verb.schedule} from {verb.cursor}, generation {verb.generation}: {plot}")
        if plot.paused and verb.drafts:
            raise Broken("R1", f"{verb.schedule} is paused and made tasks")
        due = plot_dues(plot, verb.upto)
        counted = len(verb.drafts) + sum(verb.skipped.values())
        if counted != len(due):
            raise Broken("R2", f"{len(due)} due times of {verb.schedule} and {counted} decisions: {verb}")
        made = [after.id for before, after in changes if before is None]
        wanted = 1 if verb.alone else len(verb.drafts)
        if len(made) > wanted or (not verb.alone and len(made) != wanted):
            raise Broken("R1", f"{len(verb.drafts)} due times of {verb.schedule} and {len(made)} tasks", *made)
        plot.cursor = verb.upto

    def due_of(self, tick: v.Tick, draft: Draft) -> int:
        """The due time that a draft of a tick stands for."""
        plot = self.plots.get(tick.schedule)
        for due in plot_dues(plot, tick.upto) if plot else ():
            text = f"{tick.schedule} {tick.generation} {due // 1_000}"
            if draft.id == "tick-" + sha256(text.encode()).hexdigest()[:40]:
                return due
        raise Broken("D3", f"{draft.id} is no due time of {tick.schedule}", draft.id)


def plot_dues(plot: Plot, upto: int) -> list[int]:
    """Every due time after the cursor and not after `upto`."""
    first = max(0, (plot.cursor - plot.anchor) // plot.every) + 1
    return list(range(plot.anchor + first * plot.every, upto + 1, plot.every))


_RULES: dict[type[Any], Any] = {
    v.Register: Leading._register,
    v.Beat: Leading._beat,
    v.Fence: Leading._fence,
    v.Deregister: Leading._deregister,
    v.Reap: Leading._reap,
    v.Drain: Leading._drain,
    v.Campaign: Leading._campaign,
    v.Resign: Leading._resign,
    v.PutSchedule: Leading._put,
    v.DropSchedule: Leading._drop,
    v.Tick: Leading._tick,
}

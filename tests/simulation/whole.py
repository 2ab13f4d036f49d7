"""The whole store, looked at now and then: S2 (no limbo), and that it holds just what it took (D1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskqueue.core.task import Place, Status, place
from tests.simulation.broken import Broken

if TYPE_CHECKING:
    from tests.simulation.world import World


def sound(world: World) -> None:
    """S2: every task stands in exactly the place that its state says; whoever holds one is known."""
    table = world.server.table
    if table.tasks.keys() != world.law.state.lives.keys():
        odd = table.tasks.keys() ^ world.law.state.lives.keys()
        raise Broken("D1", f"the store's tasks are not those that it took: {sorted(odd)}", *odd)
    places: dict[str, list[Any]] = {}
    for index, entries in table._indexes.items():
        if isinstance(index[0], Place) or index[0] == "finished":
            for _, name in entries:
                places.setdefault(name, []).append(index)
    for name, task in table.tasks.items():
        found = places.pop(name, [])
        if len(found) != 1:
            raise Broken("S2", f"{name} stands in {found}", name)
        index = found[0]
        right = index[1] is task.status if index[0] == "finished" else index[0] is place(task)
        if not right or (index[0] is Place.RUNNING and index[1] != task.owner):
            raise Broken("S2", f"{name}, which is {task.status}, stands in {index}", name)
        if task.status is Status.PROCESSING and task.owner not in world.server.members.seats:
            raise Broken("S2", f"{name} is held by {task.owner}, whom nobody knows", name)
    if places:
        raise Broken("S2", f"in an index, and not there: {sorted(places)}", *places)

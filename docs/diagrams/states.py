"""Writes `docs/states.md` from the table of states: `python docs/diagrams/states.py`. A test holds the page to the
table.
"""

from __future__ import annotations

import sys
from pathlib import Path

from taskqueue.core.states import TRANSITIONS
from taskqueue.core.task import Status

PAGE = Path(__file__).parent.parent / "states.md"

NOTES = {
    "claim": "a node takes it; the fence grows",
    "complete": "the handler returned; only with the current fence",
    "fail": "the handler failed or ran out of time: a retry after its backoff, or, with none left, a dead letter",
    "crash": "its node died; its own budget, see the poison rule in guarantees.md",
    "release": "a node gives it back unfinished; nothing is charged",
    "snooze": "the handler asks to run later; nothing is charged",
    "progress": "the handler says how far it is",
    "corrupt": "its payload is not what was submitted",
    "promote": "its time has come",
    "retry": "an operator says now, not after the backoff",
    "update": "an operator changes priority, runAt, expiresAt or tags",
    "cancel": "nobody wants it any more; a running handler is told, its result is refused",
    "expire": "expiresAt passed while it waited",
    "replay": "an operator starts it anew: generation + 1, all budgets",
    "delete": "an operator removes it",
    "prune": "retention removes it",
}


def page() -> str:
    """The whole page as it should be."""
    arrows = ["    [*] --> pending: submit"]
    rows = ["| submit | – | pending | durable when it is acknowledged |"]
    for event, sources in TRANSITIONS.items():
        targets = sorted({_name(target) for found in sources.values() for target in found}) or ["–"]
        rows.append(f"| {event} | {', '.join(_name(s) for s in sources)} | {', '.join(targets)} | {NOTES[event]} |")
        for source, found in sources.items():
            arrows += [f"    {_word(source)} --> {_word(target)}: {event}" for target in sorted(found)]
            arrows += [] if found else [f"    {_word(source)} --> [*]: {event}"]
    return "\n".join(
        [
            "# States of a task",
            "",
            "Made from `taskqueue/core/states.py` by `docs/diagrams/states.py`. Whatever is not here is refused and",
            "changes nothing. A delayed task is `pending` with a `runAt` to come.",
            "",
            "| event | from | to | note |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "```mermaid",
            "stateDiagram-v2",
            *[f'    state "{status}" as {_word(status)}' for status in Status if "-" in status],
            *arrows,
            "```",
            "",
        ]
    )


def _name(status: Status) -> str:
    return str(status)


def _word(status: Status) -> str:
    return str(status).replace("-", "_")


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE}\n")

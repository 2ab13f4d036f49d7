"""Pages that are made from code say what the code says."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_the_page_of_states_is_what_its_maker_makes_of_the_table() -> None:
    maker = runpy.run_path(str(DOCS / "diagrams" / "states.py"))
    assert (DOCS / "states.md").read_text() == maker["page"](), "run: python docs/diagrams/states.py"

"""Pages that are made from code, or repeat it, say what the code says; and what they point to exists."""

from __future__ import annotations

import ast
import inspect
import json
import re
import runpy
from collections.abc import Iterable
from pathlib import Path
from typing import get_overloads

import pytest

from actors.metrics import Metrics
from api.describe import page
from api.limits import Limits
from api.routes import ROUTES
from storage import verbs as v
from taskqueue.core.config import Config
from taskqueue.core.options import OPTIONS, show
from taskqueue.core.settings import load
from taskqueue.handlers import task
from tests.factories import draft
from tests.sqlite_files import opened

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("bench/*.md")])
CODE = [path for room in ("taskqueue", "storage", "cluster", "actors", "api") for path in (ROOT / room).rglob("*.py")]


def section(page: str, title: str) -> str:
    """The text under a heading, up to the next of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page} has no section {title}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of every row of tables."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def slug(heading: str) -> str:
    """What a link to a heading says, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_page_of_states_is_what_its_maker_makes_of_the_table() -> None:
    maker = runpy.run_path(str(DOCS / "diagrams" / "states.py"))
    assert (DOCS / "states.md").read_text() == maker["page"](), "run: python docs/diagrams/states.py"


def test_the_reference_of_the_command_line_is_what_the_commands_say() -> None:
    maker = runpy.run_path(str(DOCS / "diagrams" / "cli.py"))
    assert (DOCS / "cli.md").read_text() == maker["page"](), "run: python docs/diagrams/cli.py"


def test_every_setting_is_documented_with_its_default() -> None:
    cells = rows(section("operations.md", "Settings"))[2:]
    assert {key: json.loads(default.strip("`")) for key, default, *_ in cells} == show(Config())


def test_every_flag_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(["--help"], {}, lambda _: b"{}")
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    (line,) = re.findall(r"^Flags: .*?\n\n", section("operations.md", "Settings"), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`(--[a-z-]+)`", line)) == flags


def test_every_event_of_the_log_is_documented() -> None:
    said = {event for path in CODE for event in re.findall(r'extra=\{"event": "([\w-]+)"', path.read_text())}
    documented = [cells[0].strip("`") for cells in rows(section("operations.md", "Logs")) if len(cells) == 3][2:]
    assert sorted(documented) == sorted(said)


def test_every_text_to_watch_the_log_for_is_in_the_code() -> None:
    code = "\n".join(path.read_text() for path in CODE)
    texts = [cells[0].strip("`") for cells in rows(section("operations.md", "Logs")) if len(cells) == 2][2:]
    assert len(texts) >= 5
    for part in (part.strip() for text in texts for part in re.split("…|: ", text)):
        assert part in code, part


def test_the_reference_of_the_api_is_what_its_maker_makes_of_the_code() -> None:
    old = (DOCS / "api.md").read_text()
    assert old == page(old), "run: python -m api.describe"


def test_every_route_is_documented() -> None:
    calls = [cells[0].strip("`") for cells in rows((DOCS / "api.md").read_text()) if re.match(r"`[A-Z]+ /", cells[0])]
    routes = [f"{route.method} {re.sub(r':[a-z_]+}', '}', route.path)}" for route in ROUTES]
    assert sorted(calls) == sorted(routes)


def test_every_metric_is_documented_with_its_type_and_labels() -> None:
    registry = Metrics((), ()).registry
    # Labels of a family without children are in no public place.
    labels = {name: one._labelnames for one, names in registry._collector_to_names.items() for name in names}
    counted = {"counter": "_total"}
    made = {
        (one.name + counted.get(one.type, ""), one.type, ", ".join(labels[one.name])) for one in registry.collect()
    }
    documented = rows(section("operations.md", "Metrics"))[2:]
    assert {(name.strip("`"), kind, shown) for name, kind, shown, _ in documented} == made
    assert len(documented) == len(made)


def test_every_option_of_a_handler_is_documented() -> None:
    text = section("handlers.md", "Options")
    _, with_options = get_overloads(task)
    (unavailable,) = re.findall(r"^`memory`.*? are known", text, re.MULTILINE | re.DOTALL)
    listed = [name for cells in rows(text)[3:] for name in re.findall(r"`\w+`", cells[0])]
    names = [*listed, *re.findall(r"`\w+`", unavailable), "`name`"]
    assert sorted(name.strip("`") for name in names) == sorted(inspect.signature(with_options).parameters)


def test_every_promise_names_tests_that_exist() -> None:
    promised = {name for name, _ in rows(section("guarantees.md", "Promises"))[2:]} | {"S-full"}
    shown = rows(section("guarantees.md", "Tests"))[2:]
    assert {name for name, _ in shown} == promised
    for _, test in shown:
        path, name = test.strip("`").split("::")
        assert re.search(rf"^ *def {name}\(", (ROOT / path).read_text(), re.MULTILINE), test


def test_every_decision_is_listed() -> None:
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (DOCS / "decisions" / "README.md").read_text())
    assert listed == sorted(path.name for path in DOCS.glob("decisions/[0-9]*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), target


def test_what_is_said_to_be_unavailable_is() -> None:
    cells = rows(section("operations.md", "Settings"))[2:]
    unavailable = {key for key, option in OPTIONS.items() if option.field is None}
    assert {key for key, *_, meaning in cells if meaning == "not available in this version"} == unavailable


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_json_is_json(page: Path) -> None:
    for text in re.findall(r"^ *```json\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL):
        json.loads(text)


def test_every_exit_code_is_documented() -> None:
    """What the functions return that end a process, and what it is ended with by force."""
    codes: set[int] = set()
    for path in (ROOT / "actors" / "node.py", *(ROOT / "taskqueue" / "cli").glob("*.py")):
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and isinstance(function.returns, ast.Name):
                ends = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
                codes.update(_numbers(ends) if function.returns.id == "int" else ())
            elif isinstance(function, ast.Call) and getattr(function.func, "id", "") == "_end_hard_after":
                codes.update(_numbers(function.args[1:]))
    documented = {int(cells[0]) for cells in rows(section("operations.md", "Exit codes"))[2:]}
    assert documented == codes == {0, 1, 2}


def _numbers(values: Iterable[ast.expr]) -> set[int]:
    """The numbers among some values, also those that a condition chooses from."""
    found: set[int] = set()
    for value in values:
        if isinstance(value, ast.Constant) and type(value.value) is int:
            found.add(value.value)
        elif isinstance(value, ast.IfExp):
            found |= _numbers((value.body, value.orelse))
    return found


def test_every_file_of_the_data_directory_is_documented(tmp_path: Path) -> None:
    """Those of a store at work, of one that was killed, of one whose making was cut off."""
    first = [cells[0] for cells in rows(section("operations.md", "Files"))[2:]]
    listed = re.findall(r"`([\w.-]+)`", " ".join(first))
    with opened(tmp_path) as store:
        store.execute([v.Submit(draft("t1"))])
        there = {file.name for file in tmp_path.iterdir()}
    assert there <= set(listed)
    assert {"taskqueue.db", "taskqueue.db-wal", "taskqueue.db-shm", "LOCK"} <= there
    assert "taskqueue.db.new" in listed


def test_the_limits_of_the_server_are_documented() -> None:
    text = section("operations.md", "Metrics")
    limits = Limits(max_body=0)
    assert f"a head over {limits.max_header // 1024} KiB" in text
    assert f"{limits.waiting} requests wait" in text
    assert f"Connections beyond {limits.connections:,} wait" in text

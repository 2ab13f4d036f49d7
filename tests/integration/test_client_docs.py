"""What docs/client.md and the README show of the Python client does what they say."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import Client
from tests.processes import NodeProcess

ROOT = Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(params=["docs/client.md", "README.md"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Client]]:
    """A folder with the page's handlers as `tasks.py`, and a node that serves them."""
    (tmp_path / "tasks.py").write_text(blocks(request.param, "python")[0])
    node = NodeProcess(tmp_path / "node", {"appDir": str(tmp_path), "handlers": ["tasks"]})
    try:
        yield tmp_path, node.start()
    finally:
        node.reap()


def run(folder: Path, client: Client, script: str) -> str:
    (folder / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-W", "error", "script.py"],
        cwd=folder,
        env={**os.environ, "TASKQUEUE_URL": client.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("place", ["docs/client.md"], indirect=True)
def test_every_block_of_the_page_runs(place: tuple[Path, Client]) -> None:
    folder, client = place
    _, *rest = blocks("docs/client.md", "python")
    script = "\n".join(["from tasks import send_email", *rest, "test_the_mail_goes_out_after_five_minutes()"])
    said = run(folder, client, script.replace("http://127.0.0.1:8080", client.url)).splitlines()
    assert said[0].endswith((" pending", " processing", " completed"))
    result = "{'sent': 'ada@example.com', 'subject': 'hi'}"
    assert said[1:] == [result, "0 $.payload.to: expected `str`, got `int`", result]
    assert client.counts()["cancelled"] == 1
    assert sum(client.counts().values()) == 2 + 2_501 + 1 + 1


@pytest.mark.parametrize("place", ["README.md"], indirect=True)
def test_the_session_of_the_readme_runs(place: tuple[Path, Client]) -> None:
    folder, client = place
    (session,) = blocks("README.md", "pycon")
    examples = doctest.DocTestParser().get_examples(session)
    script = "".join(
        example.source if not example.want else f"print({example.source.strip()})\n" for example in examples
    )
    assert run(folder, client, script) == "".join(example.want for example in examples)

"""The dashboard's files: small, whole, and with no way from data to markup. No browser is needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[2] / "api" / "dashboard"
FILES = sorted(ROOM.iterdir())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
INDEX = (ROOM / "index.html").read_text()

MOST = 150 * 1024

FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc|setHTML"
    r"|\beval\b|new Function|setTimeout\(\s*[\"'`]|javascript:|\.cssText|importScripts"
)
ELSEWHERE = re.compile(r"(?:https?:)?//[\w.-]+\.\w+", re.IGNORECASE)
NAMESPACE = "http://www.w3.org/2000/svg"


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in FILES) <= MOST


def test_the_page_names_every_script_and_none_that_is_not_there() -> None:
    named = set(re.findall(r'(?:src|href)="/dashboard/([^"]+)"', INDEX))
    assert named == {path.name for path in FILES} - {"index.html"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_makes_markup_of_data_or_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text().replace(NAMESPACE, "")
    assert not FORBIDDEN.findall(text)
    assert not ELSEWHERE.findall(text)


def test_the_page_has_no_script_and_no_style_of_its_own() -> None:
    assert not re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", INDEX)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_each_script_says_what_it_is_for(path: Path) -> None:
    assert path.read_text().startswith("// ")
    assert len(path.read_text().splitlines()) <= 300

"""The files that pages are made of: which are served, how, and what a browser is told about them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.files import KINDS, files_of
from api.headers import CSP

ROOMS = [Path(__file__).parents[2] / "api" / name for name in ("dashboard", "reference")]
PAGES = {"/": "dashboard", "/docs": "reference"}


@pytest.mark.parametrize("path", PAGES)
def test_a_page(api, path):
    answer = api.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"] == CSP
    allowed = dict(one.strip().partition(" ")[::2] for one in CSP.split(";"))
    assert {name for name, source in allowed.items() if source != "'none'"} == {
        *("script-src", "style-src", "connect-src", "img-src"),
    }
    assert {*allowed.values()} == {"'none'", "'self'"}
    # What default-src does not cover is said, too.
    assert {"default-src", "frame-ancestors", "base-uri", "form-action"} <= {*allowed}
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", PAGES)
def test_what_the_browser_has_is_not_sent_again(api, path):
    first = api.get(path)
    again = api.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert again.headers["content-security-policy"] == CSP
    assert api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "name", ["", "none.js", "../calls.py", "..%2fcalls.py", "%2e%2e/calls.py", "/etc/passwd", "index.html%00", "."]
)
@pytest.mark.parametrize("folder", ["dashboard", "docs"])
def test_nothing_else_is_served(api, folder, name):
    assert api.get(f"/{folder}/{name}").status_code == 404


def test_only_files_of_known_kinds_are_served(tmp_path):
    room = tmp_path / "room"
    (room / "deep").mkdir(parents=True)
    for name in ("a.html", "a.py", "a.js~", ".secret", "a", "deep/b.css"):
        (room / name).write_text(name)
    (room / "dir.js").mkdir()
    found = files_of(room)
    assert sorted(found) == ["room/a.html", "room/deep/b.css"]
    assert found["room/deep/b.css"].media_type == "text/css; charset=utf-8"
    assert len({file.etag for file in found.values()}) == 2


FILES = [path for room in ROOMS for path in sorted(room.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_file_keeps_to_the_policy(path):
    assert path.suffix in KINDS
    if path.suffix not in (".html", ".svg", ".css", ".js"):
        return
    text = path.read_text()
    away = re.findall(r"""(?:src|href|url\(|import|from)\s*[=(]?\s*["']?(https?:|//)""", text)
    assert not away, "fetched from elsewhere"
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), "a script inside the page"
        assert not re.search(r"<style|\sstyle=|\son\w+=", text), "a style or a handler inside the page"

"""The files that pages for people are made of: those that lay in their folder when the application was made, and only
of the kinds below. They are read once.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from msgspec import Struct

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}


class File(Struct, frozen=True):
    """What is served under one name."""

    text: bytes
    media_type: str
    etag: str


def files_of(*folders: Path) -> dict[str, File]:
    """The files of these folders, by the folder's name and their path in it: `dashboard/app.js`."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in KINDS and path.is_file():
                text = path.read_bytes()
                name = path.relative_to(folder.parent).as_posix()
                found[name] = File(text, KINDS[path.suffix], f'"{sha256(text).hexdigest()[:32]}"')
    return found

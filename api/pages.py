"""Pages for people: the dashboard at `/`, the description at `/docs`, and the files that the two are made of.

Their shells are open: what they show they ask of the API, with a token that the person gives. Nothing is fetched from
elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import falcon

from api.calls import Answer, Call
from api.files import File, files_of
from api.headers import CSP

DASHBOARD = "dashboard"
DOCS = "reference"


def files() -> dict[str, File]:
    """The files of the two pages, which lie beside this module."""
    here = Path(__file__).parent
    return files_of(here / DASHBOARD, here / DOCS)


def dashboard(call: Call) -> Answer:
    """The dashboard: a page that asks for a token and then shows what its role may see."""
    return _file(call, f"{DASHBOARD}/index.html")


def dashboard_file(call: Call) -> Answer:
    """A file of the dashboard."""
    return _file(call, f"{DASHBOARD}/{call.path['file']}")


def docs(call: Call) -> Answer:
    """The description of this API, as a page."""
    return _file(call, f"{DOCS}/index.html")


def docs_file(call: Call) -> Answer:
    """A file of the page of the description."""
    return _file(call, f"{DOCS}/{call.path['file']}")


def _file(call: Call, name: str) -> Answer:
    """A file; 304 without it where the browser has it already. A browser may keep it, but has to ask."""
    file = call.site.files.get(name)
    if file is None:
        raise falcon.HTTPNotFound
    headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Content-Security-Policy": CSP}
    if file.etag in (call.header("If-None-Match") or ""):
        return Answer(status=304, headers=headers)
    return Answer(text=file.text, media_type=file.media_type, headers=headers)

"""The Lua scripts of the Redis backend, put together once from `lua/*.lua`.

State: none. A script is named after its verb; `-- uses: lib, lib_task` names the files that go before it. The fixed
keys become locals (`k_meta` for KEYS[1], and so on). A script that names no file, or one that is not there, raises
ValueError at the first use of any.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files

from msgspec import Struct

from storage.keys import FIXED

_USES = re.compile(r"^-- uses: (.+)$", re.MULTILINE)


class Script(Struct, frozen=True):
    """One script as Redis gets it, and the digest by which it is called."""

    name: str
    text: str
    sha: str


@cache
def scripts() -> dict[str, Script]:
    """Every script by name."""
    texts = {
        file.name.removesuffix(".lua"): file.read_text("utf-8")
        for file in (files("storage") / "lua").iterdir()
        if file.name.endswith(".lua")
    }
    libraries = {name: text for name, text in texts.items() if name.startswith("lib")}
    return {name: _script(name, text, libraries) for name, text in texts.items() if name not in libraries}


def _script(name: str, text: str, libraries: dict[str, str]) -> Script:
    head, _, body = text.partition("\n")
    uses = _USES.search(body)
    wanted = uses[1].split(", ") if uses else []
    if not head.startswith("#!lua") or not wanted or not libraries.keys() >= {*wanted}:
        raise ValueError(f"{name}.lua: begins with {head!r} and uses {wanted}, of {sorted(libraries)}")
    names = ", ".join(f"k_{key}" for key in FIXED)
    keys = ", ".join(f"KEYS[{n}]" for n in range(1, len(FIXED) + 1))
    whole = "\n".join([head, f"local {names} = {keys}", *(libraries[library] for library in wanted), body])
    return Script(name, whole, hashlib.sha1(whole.encode(), usedforsecurity=False).hexdigest())

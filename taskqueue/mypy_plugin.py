"""For mypy: `ctx` is the node's to give, so `.remote(…)`, `.body(…)` and their like do not take it.

`plugins = ["taskqueue.mypy_plugin"]` in mypy's settings. Python's type system has no way to say "these parameters
without that one"; without the plugin mypy asks for `ctx` unless it has a default.
"""

from __future__ import annotations

from collections.abc import Callable

from mypy.plugin import MethodSigContext, Plugin
from mypy.types import FunctionLike

_METHODS = frozenset(
    f"taskqueue.remote.{kind}.{name}" for kind in ("Remote", "Prepared") for name in ("remote", "remote_async", "body")
) | {f"taskqueue.handlers.TaskFunction.{name}" for name in ("remote", "remote_async", "body")}


class WithoutContext(Plugin):
    """See the module."""

    def get_method_signature_hook(self, fullname: str) -> Callable[[MethodSigContext], FunctionLike] | None:
        return _without_ctx if fullname in _METHODS else None


def _without_ctx(context: MethodSigContext) -> FunctionLike:
    signature = context.default_signature
    kept = [place for place, name in enumerate(signature.arg_names) if name != "ctx"]
    return signature.copy_modified(
        arg_types=[signature.arg_types[place] for place in kept],
        arg_kinds=[signature.arg_kinds[place] for place in kept],
        arg_names=[signature.arg_names[place] for place in kept],
    )


def plugin(_version: str) -> type[Plugin]:
    """What mypy calls."""
    return WithoutContext

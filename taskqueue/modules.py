"""From the names of modules to the handlers of a node. What is wrong with a module is a `ConfigError` of one line."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType

from taskqueue.core.errors import ConfigError
from taskqueue.core.text import one_line
from taskqueue.handlers import Handler, TaskFunction
from taskqueue.stopping import StopEarly

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def collect(modules: Iterable[ModuleType]) -> dict[str, Handler]:
    """The handlers in these modules' namespaces, by name.

    Raises:
        ConfigError: two functions have one name.
    """
    found: dict[str, Handler] = {}
    for module in modules:
        for value in vars(module).values():
            if not isinstance(value, TaskFunction):
                continue
            handler = value.handler
            other = found.setdefault(handler.name, handler)
            if other is not handler:
                raise ConfigError(f'two handlers are named "{handler.name}": {other.place} and {handler.place}')
    return found


def import_modules(names: Sequence[str], app_dir: str | None = None) -> list[ModuleType]:
    """Import the modules that hold handlers.

    Args:
        app_dir: a folder (None: the working directory) that goes to the end of the import path.

    Raises:
        ConfigError: one is not there, or raises while it is imported.
    """
    folder = os.path.abspath(app_dir or ".")
    if app_dir is not None and not os.path.isdir(folder):
        raise ConfigError(f"appDir: {app_dir} is no folder")
    if folder not in sys.path:
        sys.path.append(folder)
    return [_import(name, folder) for name in names]


def _import(name: str, folder: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            missing = "" if error.name == name else f", for {name}"
            raise ConfigError(f"handlers: no module named {error.name}{missing} (also looked in {folder})") from None
        raise ConfigError(_blame(name, error)) from error
    except StopEarly:
        raise
    except BaseException as error:  # a module may do anything while it is imported
        raise ConfigError(_blame(name, error)) from error


def _blame(name: str, error: BaseException) -> str:
    """One line that says where the user's module failed: the last line of code that is not ours, nor the importer's."""
    place = ""
    if isinstance(error, SyntaxError):
        place = f"{error.filename}:{error.lineno}: "
        text = error.msg
    else:
        text = " ".join(str(error).split())
        trace = error.__traceback__
        while trace is not None:
            file = trace.tb_frame.f_code.co_filename
            if not file.startswith("<frozen") and not file.startswith(_HERE):
                place = f"{file}:{trace.tb_lineno}: "
            trace = trace.tb_next
    shown = text if isinstance(error, ConfigError) else f"{type(error).__name__}: {text}"
    return one_line(f"handlers: {name}: {place}{shown}")

"""The configuration of a node, read from flags, environment, file and defaults, in this order of precedence.

Pure: what has to be read from outside comes through `read_file`. Every mistake is a `ConfigError` of one line that
names the source, the key, what was wrong and what is allowed. A key whose feature is not built yet is refused by name
when it is set off its default; it is never ignored.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from msgspec import Struct

from taskqueue.core.access import from_files
from taskqueue.core.config import Config
from taskqueue.core.errors import ConfigError
from taskqueue.core.kinds import Wrong, nearest, show_span
from taskqueue.core.options import OPTIONS, show
from taskqueue.core.text import one_line

PREFIX = "TASKQUEUE_"
DEFAULT_FILE = "config.json"

ReadFile = Callable[[str], bytes]

_FLAGS = {
    "--port": ("apiPort", "port of the API; 0 picks a free one"),
    "--host": ("apiHost", "address that the API listens on"),
    "--handlers": ("handlers", "module with handlers; may be given several times"),
    "--app-dir": ("appDir", "folder added to the end of the import path"),
    "--node-id": ("nodeId", "name of this node"),
    "--data-dir": ("dataDir", "folder of the database"),
    "--workers": ("workerCount", "sync handlers at a time"),
    "--log-level": ("logLevel", "debug, info, warning or error"),
    "--log-format": ("logFormat", "text or json"),
}


class Loaded(Struct, frozen=True):
    """What the command line asked for. `print_config`: show the configuration (see `render`) and end."""

    config: Config
    print_config: bool = False


class _Given(Struct, frozen=True):
    """A value from one source, which `source` names in a message."""

    source: str
    value: Any


def load(argv: Sequence[str], environ: Mapping[str, str], read_file: ReadFile) -> Loaded:
    """The effective configuration. `--help` and `--version` print and raise SystemExit(0), as argparse does.

    Args:
        argv: the arguments, without the program's name.
        environ: environment variables; those that begin with `TASKQUEUE_` and name no key are ignored.
        read_file: the bytes of a file; raises OSError.

    Raises:
        ConfigError: one line.
    """
    flags = vars(_parser().parse_args(list(argv)))
    changes = {}
    for given in (_from_file(flags["config"], read_file), _from_environment(environ), _from_flags(flags)):
        for key, item in given.items():  # also what a stronger source overrides has to be right
            value = _read(key, item)
            field = OPTIONS[key].field
            if field is not None:
                changes[field] = value
    if changes.get("cluster_enabled"):
        changes.setdefault("storage", "redis")
    if "api_tokens" in changes:
        changes["api_tokens"] = from_files(changes["api_tokens"], read_file)
    config = Config(**changes)
    _check(config)
    return Loaded(config, flags["print_config"])


def render(config: Config) -> str:
    """The whole configuration as JSON in the keys of `config.json`: what `--print-config` prints."""
    return json.dumps(show(config), indent=2, ensure_ascii=False)


def variable(key: str) -> str:
    """The environment variable of a key: `apiPort` -> `TASKQUEUE_API_PORT`."""
    return PREFIX + "".join("_" + c if c.isupper() else c.upper() for c in key)


# -- sources -----------------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(one_line(f"flags: {message}"))


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"taskqueue {version('taskqueue')}")
        parser.exit(0)


def _parser() -> _Parser:
    parser = _Parser(prog="taskqueue", description="A node of the task queue.", allow_abbrev=False)
    parser.add_argument("-c", "--config", "-config", metavar="FILE", help=f"default: ./{DEFAULT_FILE}, if it is there")
    for flag, (key, text) in _FLAGS.items():
        action = "append" if key == "handlers" else "store"
        parser.add_argument(flag, dest=key, action=action, metavar=flag.rsplit("-", 1)[1].upper(), help=text)
    parser.add_argument("--print-config", action="store_true", help="print the effective configuration and end")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    return parser


def _from_flags(flags: Mapping[str, Any]) -> dict[str, _Given]:
    given = {}
    for flag, (key, _) in _FLAGS.items():
        text = flags[key]
        if text is not None:
            joined = ",".join(text) if isinstance(text, list) else text
            given[key] = _Given(f"flag {flag}: {key}", OPTIONS[key].kind.text(joined))
    return given


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Given]:
    given = {}
    for key, option in OPTIONS.items():
        name = variable(key)
        if name in environ:
            given[key] = _Given(f"environment {name}: {key}", option.kind.text(environ[name]))
    return given


def _from_file(path: str | None, read_file: ReadFile) -> dict[str, _Given]:
    name = path if path is not None else DEFAULT_FILE
    try:
        raw = read_file(name)
    except FileNotFoundError:
        if path is None:
            return {}
        raise ConfigError(one_line(f"{name}: no such file")) from None
    except (OSError, ValueError) as error:  # ValueError: a name with NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(one_line(f"{name}: cannot be read: {reason}")) from None
    values = _parse(name, raw)
    for key in values:
        if key not in OPTIONS:
            raise ConfigError(one_line(f"{name}: {key}: unknown key; did you mean {nearest(key, OPTIONS)}?"))
    return {key: _Given(f"{name}: {key}", value) for key, value in values.items()}


def _parse(name: str, raw: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise Wrong(f"{twice}: given twice")
        return made

    def constant(text: str) -> NoReturn:
        raise Wrong(f"not valid JSON: {text} is not a JSON value")

    try:
        values = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=unique, parse_constant=constant)
    except Wrong as error:
        raise ConfigError(one_line(f"{name}: {error}")) from None
    except (ValueError, RecursionError) as error:  # malformed, not UTF-8, endless digits, endless nesting
        raise ConfigError(one_line(f"{name}: not valid JSON: {error}")) from None
    if not isinstance(values, dict):
        raise ConfigError(one_line(f"{name}: expected a JSON object"))
    return values


# -- values ------------------------------------------------------------------------------------------------------------


def _read(key: str, item: _Given) -> Any:
    option = OPTIONS[key]
    try:
        value = option.kind.read(item.value)
    except Wrong as error:
        raise ConfigError(one_line(f"{item.source}{error.path}: {error}")) from None
    # The value is not repeated: it may be a secret.
    if option.field is None and value != option.default:
        raise ConfigError(one_line(f"{item.source}: not available in this version"))
    return value


def _check(config: Config) -> None:
    """Rules that hold between keys."""
    guarded = bool(config.api_tokens)
    if not (guarded or config.allow_unauthenticated or is_loopback(config.api_host)):
        raise ConfigError(
            f"apiHost: {config.api_host} is not a loopback address; that needs apiTokens, or allowUnauthenticated"
        )
    if "*" in config.allowed_hosts and not guarded:
        raise ConfigError('allowedHosts: "*" lets any web page reach the API; that needs apiTokens')
    if config.heartbeat_interval * 3 > config.lease_ttl:
        beat, lease = show_span(config.heartbeat_interval), show_span(config.lease_ttl)
        raise ConfigError(f"heartbeatInterval: {beat} is more than a third of leaseTtl ({lease})")
    if "*" in config.queues and len(config.queues) > 1:
        raise ConfigError('queues: "*" means all queues and stands alone')
    if config.max_payload_bytes > config.max_batch_bytes:
        raise ConfigError(
            f"maxPayloadBytes: {config.max_payload_bytes} is more than maxBatchBytes ({config.max_batch_bytes})"
        )


def is_loopback(host: str) -> bool:
    """Can only this machine reach what listens there?"""
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"

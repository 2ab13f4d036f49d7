"""What every command that speaks to a node shares: `--url`, `--token`, `--json`, and how its answer is printed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any

import click

from taskqueue.cli import output

if TYPE_CHECKING:
    from taskqueue.cli.api import Answer, Api


class Session:
    """One call of a command. `json`: print what the REST API answers."""

    def __init__(self, url: str | None, token: str | None, json: bool) -> None:
        self._url = url
        self._token = token
        self.json = json

    @property
    def names_node(self) -> bool:
        """Was a node named on the command line?"""
        return self._url is not None

    @cached_property
    def api(self) -> Api:
        """The node. Raises ConfigError."""
        from taskqueue.cli.api import Api  # brings the HTTP client

        made = Api(self._url, self._token)
        click.get_current_context().call_on_close(made.door.close)
        return made

    def answer(self, answer: Answer, render: output.Render) -> None:
        """Print an answer, for programs or, as `render` shows it, for people."""
        if self.json:
            output.raw(answer.raw)
            return
        shown = render(answer.json)
        output.show(*(shown if isinstance(shown, list | tuple) else [shown]))

    def say(self, line: str) -> None:
        """A line for people about what was done; programs have the answer."""
        if not self.json:
            click.echo(line)


def connected(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command that gets a `Session` first. Options before the command's name hold where it has none of its own."""

    @click.option("--json", "as_json", is_flag=True, help="Print the answer of the REST API, for programs")
    @click.option("--token", metavar="TOKEN", help="Token that the node wants  [TASKQUEUE_TOKEN]")
    @click.option("--url", metavar="URL", help="Node to speak to  [TASKQUEUE_URL; default: http://127.0.0.1:8080]")
    @wraps(function)
    def command(url: str | None, token: str | None, as_json: bool, **rest: Any) -> Any:
        ctx = click.get_current_context()
        before = ctx.find_root().params
        session = Session(url or before.get("url"), token or before.get("token"), as_json or bool(before.get("json")))
        return function(session, **rest)

    return command

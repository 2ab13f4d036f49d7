"""What the Flask application leaves to the queue."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from taskqueue import task

Email = Annotated[str, Meta(pattern="^[^@ ]+@[^@ ]+$", max_length=254)]


@task("flask.welcome", retries=5, timeout="30s")
def send_welcome(to: Email) -> dict[str, str]:
    return {"sent": to}  # a real one would speak to a mail server here

"""The smallest useful handler module: `python -m actors.node --app-dir examples --handlers hello.handlers`."""

from __future__ import annotations

from taskqueue import Discard, Retry, TaskContext, task

DOWN_FOR_MAINTENANCE: set[str] = set()


@task("email.send", queue="default", retries=5, timeout="30s", priority="high")
def send_email(to: str, subject: str = "hi", *, ctx: TaskContext) -> dict[str, str]:
    """Pretend to send a mail; a real one would speak to a server here."""
    name, at, host = to.partition("@")
    if not (name and at and host):
        raise Discard(f"{to!r} is no address")  # no retry will help
    if host in DOWN_FOR_MAINTENANCE:
        raise Retry(f"{host} is down", delay="5m")
    ctx.log.info("sending %r", subject)
    ctx.progress(1.0, "sent")
    return {"sent": to, "subject": subject}

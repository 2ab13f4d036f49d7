"""Handlers of the node in the pictures: a small shop's background work, acted out."""

from __future__ import annotations

import threading
from typing import Any

from taskqueue import Discard, TaskContext, task

_NEVER = threading.Event()


def _takes(ctx: TaskContext, seconds: float) -> None:
    """As long as real work would; a cancelled task ends early."""
    steps = max(1, round(seconds / 0.05))
    for step in range(steps):
        if ctx.cancelled:
            raise Discard("not wanted any more")
        _NEVER.wait(0.05)
        if seconds > 1:
            ctx.progress((step + 1) / steps, f"step {step + 1} of {steps}")


@task("email.send", priority="high", retries=2)
def send_email(to: str, subject: str = "Your order", *, ctx: TaskContext) -> dict[str, Any]:
    """An address without a host is no address."""
    if "@" not in to:
        raise Discard(f"{to!r} is no address")
    _takes(ctx, 0.05)
    return {"sent": to, "subject": subject}


@task("invoice.render", retries=1)
def render_invoice(order: int, *, ctx: TaskContext) -> dict[str, Any]:
    """Every seventh template is broken."""
    _takes(ctx, 0.1)
    if order % 7 == 0:
        raise ValueError(f"the template has no field 'vat' (order {order})")
    return {"pages": 1 + order % 3, "bytes": 40_000 + order}


@task("report.build", queue="reports", timeout="10m")
def build_report(month: str, seconds: float = 60.0, *, ctx: TaskContext) -> dict[str, Any]:
    """Takes a while, and says how far it is."""
    _takes(ctx, seconds)
    return {"month": month, "rows": 48_210}


@task("webhook.post", retries=1, timeout="400ms")
def post_webhook(url: str, slow: bool = False, *, ctx: TaskContext) -> dict[str, Any]:
    """Some receivers never answer."""
    _takes(ctx, 2.0 if slow else 0.05)
    return {"status": 200, "url": url}

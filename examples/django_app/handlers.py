"""What the Django application leaves to the queue. A node that serves it needs no Django, as long as this does not."""

from __future__ import annotations

from taskqueue import task


@task("django.ship")
def ship(order: int) -> str:
    return f"order {order} is on its way"

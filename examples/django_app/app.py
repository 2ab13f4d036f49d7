"""A Django application in one file that submits when, and only if, its transaction is committed.

Without `on_commit` a task could run before its row can be seen, or for a row that is rolled back. Should the process
die between commit and submit, there is a row and no task: where that must not be, look for such rows now and then (a
`@task(every="1m")`), and submit each with an `idempotency_key` of its own.
"""

from __future__ import annotations

from functools import partial

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import models, transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django_app.handlers import ship

from taskqueue.errors import QueueFull, Unavailable

if not settings.configured:
    settings.configure(
        SECRET_KEY="only for the example",  # noqa: S106 - it protects nothing here
        ALLOWED_HOSTS=["localhost", "testserver"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        ROOT_URLCONF=__name__,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()


class Order(models.Model):
    item = models.CharField(max_length=100)
    task = models.CharField(max_length=64, default="")

    class Meta:
        app_label = "shop"


def submit(order: Order) -> None:
    """The row is there for all to see: now the task may run. A repeat with the same key makes no second one."""
    order.task = ship.options(idempotency_key=f"order-{order.pk}").remote(order.pk).id
    order.save(update_fields=["task"])


def orders(request: HttpRequest) -> JsonResponse:
    try:
        with transaction.atomic():
            order = Order.objects.create(item=request.POST["item"])
            transaction.on_commit(partial(submit, order))
            if order.item == "unicorn":
                raise LookupError("sold out")  # the row is rolled back, and nothing is submitted
    except LookupError as error:
        return JsonResponse({"error": str(error)}, status=409)
    except (QueueFull, Unavailable) as error:
        return JsonResponse({"order": order.pk, "error": str(error)}, status=503)
    return JsonResponse({"order": order.pk, "task": order.task}, status=202)


urlpatterns = [path("orders", orders)]
application = get_wsgi_application()

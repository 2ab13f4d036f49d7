"""The one table of routes: what comes where, the role that it needs, what does it, and what it takes and answers."""

from __future__ import annotations

from typing import Any

from api import audit, auth, cluster, leases, ops, pages, queues, schedules, stats, submits, tasks
from api.audit import EntryList
from api.auth import WhoAmI
from api.bodies import BATCH, BULK, CHANGED, CLAIM, COMPLETION, FAILED, SCHEDULE, SUBMIT, UPDATE
from api.calls import Route, Text
from api.cluster import DeploymentShape, Draining, NodeList
from api.leases import GrantList, RunShape
from api.ops import PROMETHEUS, HealthShape
from api.queues import HandlerList, Paused, QueueList
from api.schedules import Preview, ScheduleList, ScheduleShape
from api.schemas import Count, Created, DeadList, TaskList, TaskShape
from api.stats import StatsShape
from api.submits import Items
from taskqueue.core.access import Role

METRICS = Text(PROMETHEUS, "This node's metrics.")
PAGE = Text("text/html; charset=utf-8", "A page for people.")
FILE = Text("*/*", "A file of the page.")

VIEWER, SUBMITTER, OPERATOR, ADMIN = Role
OPEN = None

ROUTES = (
    Route(
        "POST",
        "/api/tasks",
        SUBMITTER,
        submits.submit,
        {201: Created, 200: Created},
        headers=("Idempotency-Key",),
        body=SUBMIT,
        problems=(409, 413, 429),
        soon=True,
    ),
    Route("GET", "/api/tasks", VIEWER, tasks.list_tasks, {200: TaskList}, query=tasks.LIST_QUERY),
    Route(
        "POST",
        "/api/tasks/batch",
        SUBMITTER,
        submits.submit_batch,
        {207: Items},
        query=submits.BATCH_QUERY,
        body=BATCH,
        problems=(409, 413, 429),
    ),
    Route("POST", "/api/tasks/bulk", OPERATOR, tasks.bulk, {200: Count}, body=BULK),
    Route(
        "GET",
        "/api/tasks/{id:task_id}",
        VIEWER,
        tasks.show,
        {200: TaskShape},
        query=tasks.SHOW_QUERY,
        problems=(404, 405),
    ),
    Route(
        "PATCH",
        "/api/tasks/{id:task_id}",
        OPERATOR,
        tasks.update,
        {200: TaskShape},
        body=UPDATE,
        problems=(404, 405, 409),
    ),
    Route("DELETE", "/api/tasks/{id:task_id}", OPERATOR, tasks.delete, {204: None}, problems=(404, 405, 409)),
    Route("POST", "/api/tasks/{id:task_id}/cancel", OPERATOR, tasks.cancel, {200: TaskShape}, problems=(404, 409)),
    Route("POST", "/api/tasks/{id:task_id}/retry", OPERATOR, tasks.retry, {200: TaskShape}, problems=(404, 409)),
    Route("POST", "/api/tasks/{id:task_id}/replay", OPERATOR, tasks.replay, {200: TaskShape}, problems=(404, 409)),
    Route("GET", "/api/dead-letters", VIEWER, tasks.dead_letters, {200: DeadList}, query=tasks.DEAD_QUERY),
    Route("GET", "/api/schedules", VIEWER, schedules.list_schedules, {200: ScheduleList}),
    Route(
        "POST", "/api/schedules", OPERATOR, schedules.create, {201: ScheduleShape}, body=SCHEDULE, problems=(409, 413)
    ),
    Route("GET", "/api/schedules/{id:name}", VIEWER, schedules.show, {200: ScheduleShape}, problems=(404,)),
    Route(
        "PUT",
        "/api/schedules/{id:name}",
        OPERATOR,
        schedules.put,
        {201: ScheduleShape, 200: ScheduleShape},
        body=CHANGED,
        problems=(404, 409, 413),
    ),
    Route("DELETE", "/api/schedules/{id:name}", OPERATOR, schedules.delete, {204: None}, problems=(404, 409)),
    Route("POST", "/api/schedules/{id:name}/pause", OPERATOR, schedules.pause, {200: ScheduleShape}, problems=(404,)),
    Route("POST", "/api/schedules/{id:name}/resume", OPERATOR, schedules.resume, {200: ScheduleShape}, problems=(404,)),
    Route(
        "POST",
        "/api/schedules/{id:name}/trigger",
        OPERATOR,
        schedules.trigger,
        {200: TaskShape},
        problems=(404, 409, 429),
    ),
    Route(
        "GET",
        "/api/schedules/{id:name}/preview",
        VIEWER,
        schedules.preview,
        {200: Preview},
        query=schedules.PREVIEW_QUERY,
        problems=(404, 409),
    ),
    Route("GET", "/api/queues", VIEWER, queues.list_queues, {200: QueueList}),
    Route("POST", "/api/queues/{name:name}/pause", OPERATOR, queues.pause, {200: Paused}, problems=(404,)),
    Route("POST", "/api/queues/{name:name}/resume", OPERATOR, queues.resume, {200: Paused}, problems=(404,)),
    Route("POST", "/api/queues/{name:name}/purge", ADMIN, queues.purge, {200: Count}, problems=(404,)),
    Route("GET", "/api/handlers", VIEWER, queues.list_handlers, {200: HandlerList}),
    Route("GET", "/api/cluster/status", VIEWER, cluster.status, {200: DeploymentShape}),
    Route("GET", "/api/cluster/nodes", VIEWER, cluster.nodes, {200: NodeList}),
    Route("POST", "/api/cluster/nodes/{id:name}/drain", ADMIN, cluster.drain, {202: Draining}, problems=(404,)),
    Route("POST", "/api/cluster/nodes/{id:name}/undrain", ADMIN, cluster.undrain, {202: Draining}, problems=(404,)),
    Route("GET", "/api/stats", VIEWER, stats.show, {200: StatsShape}, query=stats.STATS_QUERY),
    Route("GET", "/api/audit", ADMIN, audit.show, {200: EntryList}, query=audit.AUDIT_QUERY),
    Route("GET", "/api/whoami", VIEWER, auth.whoami, {200: WhoAmI}),
    Route("POST", "/api/leases", OPERATOR, leases.claim, {200: GrantList}, body=CLAIM, problems=(409,)),
    Route("POST", "/api/leases/{token:token}/renew", OPERATOR, leases.renew, {200: RunShape}, problems=(409,)),
    Route(
        "POST",
        "/api/leases/{token:token}/complete",
        OPERATOR,
        leases.complete,
        {200: RunShape},
        body=COMPLETION,
        problems=(409, 413),
    ),
    Route(
        "POST",
        "/api/leases/{token:token}/fail",
        OPERATOR,
        leases.fail,
        {200: RunShape},
        body=FAILED,
        problems=(409, 413),
    ),
    Route("POST", "/api/leases/{token:token}/release", OPERATOR, leases.release, {200: RunShape}, problems=(409,)),
    Route("GET", "/metrics", VIEWER, ops.metrics, {200: METRICS}),
    Route("GET", "/healthz", OPEN, ops.alive, {200: HealthShape, 503: HealthShape}),
    Route("GET", "/readyz", OPEN, ops.ready, {200: HealthShape, 503: HealthShape}),
    Route("GET", "/", OPEN, pages.dashboard, {200: PAGE, 304: None}),
    Route("GET", "/dashboard/{file:path}", OPEN, pages.dashboard_file, {200: FILE, 304: None}, problems=(404,)),
    Route("GET", "/openapi.json", VIEWER, ops.openapi, {200: dict[str, Any]}),
    Route("GET", "/docs", OPEN, pages.docs, {200: PAGE, 304: None}),
    Route("GET", "/docs/{file:path}", OPEN, pages.docs_file, {200: FILE, 304: None}, problems=(404,)),
)

SOON = frozenset(route.path for route in ROUTES if route.soon)
"""Where a short POST needs no thread."""

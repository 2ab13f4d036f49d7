"""A node with tokens: who is let in, and what stands in its audit log, also after a restart."""

from __future__ import annotations

from pathlib import Path

from taskqueue.core.access import Role, Token, digest_of
from tests.running import Running

SECRETS = {role: f"secret-of-the-{role}" for role in Role}
TOKENS = tuple(Token(name=f"t-{role}", role=role, digest=digest_of(secret)) for role, secret in SECRETS.items())


def bearer(role: Role) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS[role]}"}


def test_a_node_with_tokens(tmp_path: Path) -> None:
    with Running(tmp_path, api_tokens=TOKENS) as node:
        client = node.client
        assert client.get("/readyz").status == 200
        assert client.get("/").status == 200
        assert client.get("/api/tasks").status == 401
        task = {"handler": "sleep", "payload": {"seconds": 0}, "parameters": {"delay": "1h"}}
        assert client.post("/api/tasks", task, headers=bearer(Role.VIEWER)).status == 403
        name = client.post("/api/tasks", task, headers=bearer(Role.SUBMITTER)).json["id"]
        assert client.post(f"/api/tasks/{name}/cancel", headers=bearer(Role.SUBMITTER)).status == 403
        assert client.post(f"/api/tasks/{name}/cancel", headers=bearer(Role.OPERATOR)).json["status"] == "cancelled"
        assert client.post(f"/api/tasks/{name}/cancel", headers=bearer(Role.OPERATOR)).status == 409
        for _ in range(3):
            client.post("/api/tasks", {**task, "parameters": {"queue": "mail"}}, headers=bearer(Role.SUBMITTER))
        assert client.post("/api/queues/mail/purge", headers=bearer(Role.OPERATOR)).status == 403
        assert client.post("/api/queues/mail/purge", headers=bearer(Role.ADMIN)).json == {"count": 3}
        every = {"id": "s", "payload": {}, "every": "1h"}
        assert client.post("/api/schedules", every, headers=bearer(Role.OPERATOR)).status == 201
        assert client.post("/api/schedules/s/trigger", headers=bearer(Role.OPERATOR)).status == 200
        assert client.post("/api/cluster/nodes/node/drain", headers=bearer(Role.ADMIN)).status == 202
        assert client.send("GET", "/api/audit", headers=bearer(Role.OPERATOR)).status == 403
    with Running(tmp_path, api_tokens=TOKENS) as node:
        answer = node.client.send("GET", "/api/audit", headers=bearer(Role.ADMIN)).json
        assert [(one["token"], one["action"], one["target"], one["count"]) for one in answer["entries"]] == [
            ("t-admin", "drain", "node", 1),
            ("t-operator", "schedule.trigger", "s", 1),
            ("t-operator", "schedule.create", "s", 1),
            ("t-admin", "purge", "mail", 3),
            ("t-operator", "cancel", name, 1),
        ]

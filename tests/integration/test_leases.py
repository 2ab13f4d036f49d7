"""Workers from outside, over HTTP: claims that wait, renewals, ends, deaths; at one node, and in a cluster."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from taskqueue.core.access import Role, Token, digest_of
from taskqueue.core.clock import MINUTE
from tests.clients import Client, Reply, until
from tests.running import Running
from tests.shared import WITHIN, Clusters, clusters

__all__ = ["clusters"]

Grant = dict[str, Any]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Running]:
    """A node that looks for work by itself once a minute only: whoever waits has to be called."""
    with Running(tmp_path / "node", poll_interval=MINUTE) as node:
        yield node


@pytest.fixture
def client(node: Running) -> Client:
    return node.client


def claims(client: Client, *handlers: str, **wish: Any) -> list[Grant]:
    """What a claim gets."""
    reply = client.post("/api/leases", {"handlers": handlers or ["thumb"], **wish})
    assert reply.status == 200, reply
    grants: list[Grant] = reply.json["tasks"]
    return grants


def claimed(client: Client, *handlers: str, **wish: Any) -> Grant:
    """The one task that a claim gets."""
    (grant,) = claims(client, *handlers, **wish)
    return grant


def says(client: Client, grant: Grant, verb: str, body: Any = None) -> Reply:
    """What a worker says of its run."""
    return client.post(f"/api/leases/{grant['token']}/{verb}", body)


def stale(reply: Reply) -> str:
    """The detail of a refusal: the run is over."""
    assert reply.status == 409, reply
    assert reply.headers["content-type"] == "application/problem+json"
    detail: str = reply.json["detail"]
    return detail


# -- one run ---------------------------------------------------------------------------------------------------------


def test_a_task_is_claimed_renewed_and_completed(client: Client) -> None:
    name = client.submit("thumb", {"w": 1}, timeout="40s")
    grant = claimed(client)
    assert grant["task"] == client.task(name)
    assert (grant["task"]["payload"], grant["task"]["parameters"]["timeout"]) == ({"w": 1}, "40s")
    assert (grant["task"]["status"], grant["task"]["node"], grant["task"]["attempt"]) == ("processing", "http", 1)
    assert claims(client) == []
    assert says(client, grant, "renew").json == {"id": name, "status": "processing"}
    assert says(client, grant, "complete", {"result": {"h": 2}}).json == {"id": name, "status": "completed"}
    task = client.task(name)
    assert (task["status"], task["result"], task["history"][0]["node"]) == ("completed", {"h": 2}, "http")
    assert says(client, grant, "complete", {"result": {"h": 2}}).status == 200, "an answer may be lost"
    for verb, body in (("renew", None), ("fail", {"error": {"message": "no"}}), ("release", None)):
        assert stale(says(client, grant, verb, body)) == "this run of the task is over: it is completed by now"


def test_a_run_that_fails_is_retried_by_the_rules_of_its_task(client: Client) -> None:
    name = client.submit("thumb", retries=1)
    grant = claimed(client)
    failed = {"error": {"type": "IOError", "message": "no space"}}
    for _ in range(2):
        assert says(client, grant, "fail", failed).json["status"] in ("failed", "pending")
    task = client.task(name)
    assert (task["error"], task["retriesLeft"]) == ({"type": "IOError", "message": "no space", "cause": "error"}, 0)
    again = claimed(client, wait="20s")
    assert (again["task"]["id"], again["task"]["attempt"]) == (name, 2)
    assert says(client, again, "fail", failed).json == {"id": name, "status": "dead-lettered"}
    assert client.task(name)["error"]["cause"] == "error"


def test_a_run_that_is_not_to_be_retried_is_not(client: Client) -> None:
    name = client.submit("thumb", retries=5)
    body = {"error": {"message": "never"}, "retry": False}
    assert says(client, claimed(client), "fail", body).json == {"id": name, "status": "dead-lettered"}
    assert client.task(name)["error"] == {"type": "Error", "message": "never", "cause": "discarded"}


def test_what_is_released_goes_to_the_next_uncharged(client: Client) -> None:
    name = client.submit("thumb")
    grant = claimed(client)
    for _ in range(2):
        assert says(client, grant, "release").json == {"id": name, "status": "pending"}
    again = claimed(client)
    assert (again["task"]["attempt"], again["task"]["crashes"]) == (1, 0)
    assert again["token"] != grant["token"]
    assert "in other hands" in stale(says(client, grant, "renew"))
    assert says(client, again, "complete", {}).status == 200
    assert client.task(name)["result"] is None


def test_whoever_waits_for_a_task_hears_of_its_end(client: Client) -> None:
    name = client.submit("thumb")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.get, f"/api/tasks/{name}", wait="30s")
        assert says(client, claimed(client), "complete", {"result": 7}).status == 200
        assert waiting.result(WITHIN).json["result"] == 7


def test_a_cancelled_run_is_told_when_it_renews(client: Client) -> None:
    name = client.submit("thumb")
    grant = claimed(client)
    assert client.post(f"/api/tasks/{name}/cancel").status == 200
    assert stale(says(client, grant, "renew")) == "this run of the task is over: it is cancelled by now"
    assert stale(says(client, grant, "complete", {"result": 1}))
    assert client.task(name)["status"] == "cancelled"


def test_a_deleted_task_is_gone_for_its_run(client: Client) -> None:
    name = client.submit("thumb")
    grant = claimed(client)
    client.post(f"/api/tasks/{name}/cancel")
    assert client.send("DELETE", f"/api/tasks/{name}").status == 204
    assert stale(says(client, grant, "complete", {})) == "this run of the task is over: it is gone"


@pytest.mark.parametrize("token", ["x", "%20", "a.b.c", "A" * 22 + ".1.t", "A" * 22 + ".99999999999999999.t", "%C3%A9"])
def test_nobodys_token_is_409(client: Client, token: str) -> None:
    for verb, body in (("renew", None), ("complete", {}), ("fail", {"error": {"message": ""}}), ("release", None)):
        assert stale(client.post(f"/api/leases/{token}/{verb}", body))


def test_a_result_that_is_too_large_is_refused_and_the_run_goes_on(tmp_path: Path) -> None:
    with Running(tmp_path / "node", max_result_bytes=1_000) as node:
        node.client.submit("thumb")
        grant = claimed(node.client)
        assert says(node.client, grant, "complete", {"result": "x" * 1_000}).status == 413
        assert says(node.client, grant, "complete", {"result": "x" * 998}).status == 200


# -- what is claimed -------------------------------------------------------------------------------------------------


def test_a_claim_takes_what_it_names_by_rank(client: Client) -> None:
    client.submit("thumb", id="low", priority="low")
    client.submit("thumb", id="high", priority="high")
    client.submit("other", id="other")
    client.submit("thumb", id="mail", queue="mail")
    assert [one["task"]["id"] for one in claims(client, limit=9)] == ["high", "low"]
    assert [one["task"]["id"] for one in claims(client, "thumb", "other", queues=["mail"])] == ["mail"]
    assert [one["task"]["id"] for one in claims(client, "thumb", "other", queues=["*"], limit=9)] == ["other"]


def test_a_paused_queue_gives_nothing_until_it_is_resumed(client: Client) -> None:
    client.submit("thumb")
    assert client.post("/api/queues/default/pause").status == 200
    assert claims(client) == []
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(claims, client, wait="40s")
        assert client.post("/api/queues/default/resume").status == 200
        assert len(waiting.result(WITHIN)) == 1


def test_a_task_that_is_over_is_given_up_on_the_way(client: Client) -> None:
    name = client.submit("thumb", expiresAt="2020-01-01T00:00:00Z")
    assert claims(client) == []
    assert client.finished(name)["error"]["cause"] == "expired"


def test_the_same_request_gets_the_same_tasks_and_never_more(client: Client) -> None:
    for n in range(4):
        client.submit("thumb", id=f"t{n}")
    first = claims(client, limit=2, requestId="r-1")
    assert claims(client, limit=2, requestId="r-1") == first
    assert says(client, first[0], "complete", {}).status == 200
    assert claims(client, limit=2, requestId="r-1") == first[1:]
    assert len(claims(client, limit=9)) == 2
    assert says(client, first[1], "complete", {}).status == 200
    reply = client.post("/api/leases", {"handlers": ["thumb"], "requestId": "r-1"})
    assert stale(reply) == "what this requestId has claimed is over; a new claim needs a new one"


def test_a_request_that_got_nothing_may_be_repeated(client: Client) -> None:
    assert claims(client, requestId="r-1") == []
    name = client.submit("thumb")
    assert claimed(client, requestId="r-1")["task"]["id"] == name


def test_many_repeats_at_once_are_one_claim(client: Client) -> None:
    for n in range(8):
        client.submit("thumb", id=f"t{n}")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: claims(client, limit=2, requestId="r-1"), range(6)))
    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0]) == 2


def test_each_token_has_its_own_requests_and_shows_its_name(tmp_path: Path) -> None:
    tokens = tuple(Token(name=name, role=Role.OPERATOR, digest=digest_of(name)) for name in ("ann", "bob"))
    with Running(tmp_path / "node", api_tokens=tokens) as node:
        told = {name: {"Authorization": f"Bearer {name}"} for name in ("ann", "bob")}
        for n in range(2):
            body = {"handler": "thumb", "payload": None, "id": f"t{n}"}
            assert node.client.post("/api/tasks", body, headers=told["ann"]).status == 201
        wish = {"handlers": ["thumb"], "requestId": "r-1"}
        shown = {}
        for name in ("ann", "bob"):
            (grant,) = node.client.post("/api/leases", wish, headers=told[name]).json["tasks"]
            shown[grant["task"]["id"]] = grant["task"]["node"]
        assert shown == {"t0": "http:ann", "t1": "http:bob"}


def test_what_one_answer_cannot_hold_goes_back(tmp_path: Path) -> None:
    with Running(tmp_path / "node", max_payload_bytes=6_000_000) as node:
        for n in range(3):
            node.client.submit("thumb", "x" * 5_000_000, id=f"t{n}")
        (grant,) = claims(node.client, limit=3)
        assert node.client.counts()["pending"] == 2
        assert says(node.client, grant, "complete", {}).status == 200
        assert len(claims(node.client, limit=1)) == 1


# -- waiting ---------------------------------------------------------------------------------------------------------


def test_a_claim_that_waits_is_woken_by_a_submit(client: Client) -> None:
    with ThreadPoolExecutor(2) as pool:
        mine = pool.submit(claims, client, wait="50s")
        others = pool.submit(claims, client, "other", wait="50s")
        name = client.submit("thumb")
        (grant,) = mine.result(WITHIN)
        assert grant["task"]["id"] == name
        assert not others.done()
        client.submit("other")
        assert len(others.result(WITHIN)) == 1


def test_a_claim_that_waits_is_woken_when_a_delayed_task_is_due(client: Client) -> None:
    client.submit("thumb", delay="300ms")
    assert len(claims(client, wait="50s")) == 1


def test_a_claim_whose_time_is_up_gets_nothing(client: Client) -> None:
    assert claims(client, wait="50ms") == []


def test_long_polls_leave_threads_for_others(tmp_path: Path) -> None:
    with Running(tmp_path / "node", api_threads=4, poll_interval=MINUTE) as node, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(claims, node.client, wait="50s") for _ in range(2)]
        until(lambda: len(node.node._callers._waiting) == 2, WITHIN, "two wait")
        assert claims(node.client, wait="50s") == [], "at once"
        node.client.submit("thumb")
        node.client.submit("thumb")
        assert [len(one.result(WITHIN)) for one in waiting] == [1, 1]


def test_nothing_is_claimed_for_a_client_that_went_away(node: Running, client: Client) -> None:
    body = b'{"handlers": ["thumb"], "wait": "50s"}'
    head = b"POST /api/leases HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", node.node.port)) as wire:
        wire.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        until(lambda: node.node._callers._waiting, WITHIN, "it waits")
    name = client.submit("thumb")
    until(lambda: not node.node._callers._waiting, WITHIN, "it waits no more")
    task = client.task(name)
    assert (task["status"], task["history"]) == ("pending", [])
    assert claimed(client)["task"]["id"] == name


def test_a_node_that_ends_lets_those_go_who_wait(node: Running, client: Client) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(claims, client, wait="50s")
        until(lambda: node.node._callers._waiting, WITHIN, "it waits")
        node.stop()
        assert waiting.result(WITHIN) == []


# -- dying -----------------------------------------------------------------------------------------------------------


def test_a_worker_that_falls_silent_loses_its_tasks_as_a_dead_node_does(client: Client) -> None:
    name = client.submit("thumb")
    grant = claimed(client, lease="1s")
    again = claimed(client, wait="50s")
    assert (again["task"]["id"], again["task"]["crashes"], again["task"]["attempt"]) == (name, 1, 2)
    assert again["task"]["history"][0]["outcome"] == "crashed"
    for verb, body in (("renew", None), ("complete", {"result": 1}), ("release", None)):
        assert stale(says(client, grant, verb, body))
    assert says(client, again, "complete", {"result": 2}).status == 200
    assert client.task(name)["result"] == 2


def test_one_renewal_keeps_all_tasks_of_a_claim_and_the_leader_leaves_it_alone(client: Client) -> None:
    for n in range(3):
        client.submit("thumb", id=f"t{n}")
    kept = claims(client, limit=2, lease="2s")
    lost = claimed(client, lease="2s")
    stop = threading.Event()

    def renews() -> int:
        count = 0
        while not stop.wait(0.3):
            assert says(client, kept[0], "renew").status == 200
            count += 1
        return count

    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(renews)
        assert claimed(client, wait="50s")["task"]["id"] == lost["task"]["id"]
        stop.set()
        assert renewing.result(WITHIN) > 3
    for grant in kept:
        assert says(client, grant, "complete", {}).status == 200


def test_a_suspect_runs_alone_and_is_convicted_by_its_last_crash(tmp_path: Path) -> None:
    with Running(tmp_path / "node", max_crashes=2, poll_interval=MINUTE) as node:
        client = node.client
        name = client.submit("thumb", id="killer")
        claimed(client, lease="1s")
        client.submit("thumb", id="innocent")
        until(lambda: client.task(name)["crashes"] == 1, WITHIN, "the first worker is dead")
        alone = claimed(client, limit=9, lease="1s")
        assert alone["task"]["id"] == name
        assert claimed(client, limit=9)["task"]["id"] == "innocent"
        task = client.finished(name)
        assert (task["status"], task["error"]["cause"], task["crashes"]) == ("dead-lettered", "crash", 2)


def test_a_run_over_its_time_ends_however_often_it_is_renewed(client: Client) -> None:
    name = client.submit("thumb", timeout="500ms", retries=0)
    grant = claimed(client, lease="1h")
    until(lambda: says(client, grant, "renew").status == 409, WITHIN, "it is over")
    task = client.task(name)
    assert (task["status"], task["error"]["cause"], task["crashes"]) == ("dead-lettered", "timeout", 0)
    assert task["error"]["message"] == "not finished within its time-out of 0.5 s"
    assert task["history"][-1]["outcome"] == "timeout"


def test_a_lease_outlives_the_node_that_gave_it(tmp_path: Path) -> None:
    with Running(tmp_path / "node") as node:
        name = node.client.submit("thumb")
        grant = claimed(node.client, lease="20s")
    with Running(tmp_path / "node") as node:
        assert node.client.task(name)["status"] == "processing"
        assert says(node.client, grant, "renew").status == 200
        assert says(node.client, grant, "complete", {"result": 1}).status == 200
        task = node.client.task(name)
        assert (task["status"], task["crashes"]) == ("completed", 0)


# -- what is seen of it ----------------------------------------------------------------------------------------------


def test_leases_are_no_nodes_and_their_runs_are_counted(client: Client) -> None:
    client.submit("thumb")
    grant = claimed(client)
    assert [one["id"] for one in client.get("/api/cluster/nodes").json["nodes"]] == ["node"]
    status = client.get("/api/cluster/status").json
    assert (status["nodes"]["alive"], status["leader"], status["tasks"]["processing"]) == (1, "node", 1)
    assert says(client, grant, "complete", {}).status == 200
    counted = 'taskqueue_tasks_finished_total{handler="other",outcome="completed"} 1.0'
    until(lambda: counted in client.get("/metrics").raw.decode(), WITHIN, "the run is counted")
    assert client.get("/api/audit").json["entries"] == []


def test_a_store_in_memory_leases_too(tmp_path: Path) -> None:
    with Running(tmp_path / "node", storage="memory", poll_interval=MINUTE) as node:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(claims, node.client, lease="1s", wait="50s")
            name = node.client.submit("thumb")
            (grant,) = waiting.result(WITHIN)
        assert says(node.client, grant, "renew").status == 200
        again = claimed(node.client, wait="50s")
        assert (again["task"]["id"], again["task"]["crashes"]) == (name, 1)


# -- many nodes ------------------------------------------------------------------------------------------------------


def test_any_node_of_a_cluster_answers_for_a_token(clusters: Clusters) -> None:
    cluster = clusters("--appendonly", "yes", pollInterval="30s")
    cluster.start("a", "b")
    a, b = cluster.clients["a"], cluster.clients["b"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(claims, a, wait="50s", lease="1m", requestId="r-1")
        name = b.submit("thumb")
        (grant,) = waiting.result(WITHIN)
    assert claims(b, requestId="r-1", lease="1m") == [grant]
    cluster.nodes["a"].kill()
    assert says(b, grant, "renew").status == 200
    cluster.sees("b", {"a": "dead"})
    assert cluster.leader("b") == "b"
    assert says(b, grant, "complete", {"result": 5}).status == 200
    task = b.task(name)
    assert (task["status"], task["result"], task["crashes"]) == ("completed", 5, 0)


def test_the_leader_of_a_cluster_ends_a_lease_that_another_node_gave(clusters: Clusters) -> None:
    cluster = clusters()
    cluster.start("a", "b")
    leader = cluster.leader("a")
    other = cluster.clients["b" if leader == "a" else "a"]
    name = other.submit("thumb")
    grant = claimed(other, lease="1s")
    again = claimed(other, wait="50s")
    assert (again["task"]["id"], again["task"]["crashes"]) == (name, 1)
    assert stale(says(cluster.clients[leader], grant, "complete", {}))
    assert set(cluster.statuses("a")) == {"a", "b"}



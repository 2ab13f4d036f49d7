"""Every route, every method, every token: who is let in."""

from __future__ import annotations

import re
from typing import Any

import pytest

from api.app import ROUTES
from taskqueue.core.access import Role, Token, digest_of, recognise
from taskqueue.core.config import Config

SECRETS = {role: f"secret-of-the-{role}" for role in Role}
TOKENS = tuple(Token(name=f"t-{role}", role=role, digest=digest_of(secret)) for role, secret in SECRETS.items())
GUARDED = Config(api_tokens=TOKENS)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

OPEN = {"/", "/docs", "/dashboard/{file}", "/docs/{file}", "/healthz", "/readyz"}
SUBMITTERS = {("POST", "/api/tasks"), ("POST", "/api/tasks/batch")}
ADMINS = {
    ("GET", "/api/audit"),
    ("POST", "/api/queues/{name}/purge"),
    ("POST", "/api/cluster/nodes/{id}/drain"),
    ("POST", "/api/cluster/nodes/{id}/undrain"),
}
"""The contract's words on roles; the rest is: GET is for viewers, a change for operators."""


def expected(method: str, template: str) -> Role | None:
    """The role that the contract wants."""
    if template in OPEN:
        return None
    if (method, template) in ADMINS or (method == "HEAD" and ("GET", template) in ADMINS):
        return Role.ADMIN
    if (method, template) in SUBMITTERS:
        return Role.SUBMITTER
    return Role.VIEWER if method in ("GET", "HEAD") else Role.OPERATOR


TAKEN = {(route.method, route.template) for route in ROUTES}
TAKEN |= {("HEAD", template) for method, template in TAKEN if method == "GET"}
TEMPLATES = sorted({template for _, template in TAKEN})


@pytest.fixture(scope="module")
def guarded(api_of):
    return api_of(GUARDED)


def place(template: str) -> str:
    return re.sub(r"\{\w+\}", "index.html" if "{file}" in template else "x-1", template)


def test_every_route_says_who_may_come_and_as_the_contract_does():
    assert {(r.method, r.template): r.role for r in ROUTES} == {
        (r.method, r.template): expected(r.method, r.template) for r in ROUTES
    }


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_method_of_every_route_for_every_token(guarded, template):
    for method in METHODS:
        for secret in (None, "nobody's", "", *SECRETS.values()):
            guarded.gateway.calls.clear()
            body = {} if method in ("POST", "PUT", "PATCH") else None
            answer = guarded.send(method, place(template), body, token=secret)
            judge(answer, method, template, secret, guarded.gateway.calls)


def judge(answer: Any, method: str, template: str, secret: str | None, calls: list[Any]) -> None:
    told = f"{method} {template} with {secret}: {answer.status_code}"
    role = next((role for role, known in SECRETS.items() if known == secret), None)
    if template in OPEN:
        assert answer.status_code not in (401, 403), told
    elif role is None:
        assert answer.status_code == 401, told
        assert answer.headers["www-authenticate"] == 'Bearer realm="taskqueue"'
        assert calls == [], told
    elif (method, template) not in TAKEN:
        assert answer.status_code in (403, 405) or (method == "OPTIONS" and answer.status_code == 200), told
        assert calls == [], told
    elif role.covers(expected(method, template) or Role.VIEWER):
        assert answer.status_code not in (401, 403), told
    else:
        assert answer.status_code == 403, told
        assert calls == [], told


@pytest.mark.parametrize("path", ["/none", "/api", "/api/tasks/a%20b", "/dashboard", "/api/../healthz", "/%00"])
def test_where_there_is_nothing_a_stranger_is_told_so_by_401(guarded, path):
    assert guarded.get(path).status_code == 401
    assert guarded.get(path, token=SECRETS[Role.VIEWER]).status_code == 404


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dTpw",
        f"Basic {SECRETS[Role.ADMIN]}",
        SECRETS[Role.ADMIN],
        f"Bearer {SECRETS[Role.ADMIN]}x",
        f"Bearer {SECRETS[Role.ADMIN][:-1]}",
        f"Bearer {SECRETS[Role.ADMIN].upper()}",
        f"Bearer {digest_of(SECRETS[Role.ADMIN]).hex()}",
        f"Bearer {SECRETS[Role.ADMIN]}, Bearer {SECRETS[Role.ADMIN]}",
        "Bearer \xe9",
        "Bearer " + "a" * 15_000,
    ],
)
def test_what_is_no_token_is_answered_as_if_there_were_none(guarded, header):
    nothing = guarded.get("/api/tasks")
    answer = guarded.get("/api/tasks", headers={"Authorization": header})
    assert (answer.status_code, answer.text) == (401, nothing.text)
    assert answer.headers["www-authenticate"] == nothing.headers["www-authenticate"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_as_http_wants_it(guarded, scheme):
    answer = guarded.get("/api/whoami", headers={"Authorization": f"{scheme} {SECRETS[Role.VIEWER]}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("role", Role)
def test_who_am_i(guarded, role):
    assert guarded.get("/api/whoami", token=SECRETS[role]).json == {"token": f"t-{role}", "role": role.value}


def test_without_tokens_everybody_is_an_admin_without_a_name(api):
    assert api.get("/api/whoami").json == {"token": None, "role": "admin"}
    assert api.get("/api/whoami", token="any").json == {"token": None, "role": "admin"}


ELSEWHERE = [
    {"Origin": "http://evil.example"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:8080"},
]
OURS = [
    {},
    {"Origin": "http://localhost:8080"},
    {"Origin": "HTTP://LOCALHOST:8080"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy.example"},
    {"Sec-Fetch-Site": "none"},
]


@pytest.mark.parametrize("said", ELSEWHERE)
def test_the_page_of_another_site_changes_nothing_where_no_token_is_wanted(api, said):
    headers = {"Host": "localhost:8080", **said}
    for route in ROUTES:
        if route.method == "GET":
            continue
        for path in (place(route.template), "/nothing"):
            assert api.send(route.method, path, headers=headers).status_code == 403
    assert api.gateway.calls == []
    assert api.get("/healthz", headers=headers).status_code == 200, "and reads nothing, since nothing lets it"


@pytest.mark.parametrize("said", OURS)
def test_our_own_page_and_what_is_no_browser_do(api, said):
    assert api.post("/api/queues/mail/pause", headers={"Host": "localhost:8080", **said}).status_code == 200


def test_with_tokens_no_other_page_has_one(guarded):
    headers = {"Host": "localhost", "Origin": "https://console.example", "Sec-Fetch-Site": "cross-site"}
    assert guarded.send("POST", "/api/queues/mail/pause", headers=headers).status_code == 401
    assert guarded.post("/api/queues/mail/pause", token=SECRETS[Role.OPERATOR], headers=headers).status_code == 200


def test_two_live_tokens_of_one_client(api_of):
    both = (
        Token(name="old", role=Role.VIEWER, digest=digest_of("one")),
        Token(name="new", role=Role.VIEWER, digest=digest_of("two")),
    )
    api = api_of(Config(api_tokens=both))
    assert [api.get("/api/whoami", token=secret).json["token"] for secret in ("one", "two")] == ["old", "new"]


def test_every_token_is_compared_whichever_it_is(monkeypatch):
    compared: list[bytes] = []

    def compare(ours: bytes, given: bytes) -> bool:
        assert len(ours) == len(given) == 32
        compared.append(ours)
        return ours == given

    monkeypatch.setattr("taskqueue.core.access.compare_digest", compare)
    for secret in (*SECRETS.values(), "nobody's", ""):
        compared.clear()
        found = recognise(secret, TOKENS)
        assert (found and found.role) == next((role for role, known in SECRETS.items() if known == secret), None)
        assert compared == [token.digest for token in TOKENS]


def test_nothing_is_read_of_a_stranger(guarded):
    answer = guarded.post("/api/tasks", raw=b"{not json", params={"limit": "x"})
    assert answer.status_code == 401


def test_no_answer_and_no_token_shows_a_secret(guarded):
    secret = SECRETS[Role.VIEWER]
    for path in ("/api/whoami", "/api/audit", "/metrics", "/api/cluster/status", "/none"):
        answer = guarded.get(path, token=secret)
        assert secret not in answer.text + str(answer.headers)
    assert all(secret not in repr(token) for token in TOKENS)
    assert secret not in repr(GUARDED)

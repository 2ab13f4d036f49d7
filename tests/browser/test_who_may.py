"""The dashboard of a node with tokens: it asks for one, keeps it in its tab, and shows what its role may use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from api.routes import ROUTES
from tests.browser.chrome import Screen, Screens
from tests.clients import Client
from tests.processes import NodeProcess

ROLES = ("viewer", "submitter", "operator", "admin")
TOKENS = [{"name": f"the-{role}", "token": f"{role}-secret-0123456789", "role": role} for role in ROLES]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A node with a token for each role, a task that waits, a dead letter and a schedule."""
    config: dict[str, Any] = {
        "appDir": str(Path(__file__).parent),
        "handlers": ["scenes"],
        "nodeId": "stage",
        "apiTokens": TOKENS,
        "shutdownGrace": "100ms",
    }
    node = NodeProcess(tmp_path_factory.mktemp("guarded"), config)
    try:
        client = node.start()
        headers = {"Authorization": f"Bearer {TOKENS[3]['token']}"}
        for body in (
            {"id": "waits", "payload": 1, "parameters": {"delay": "2h"}},
            {"id": "dead", "handler": "scene.refuses", "payload": {}},
        ):
            assert client.post("/api/tasks", body, headers=headers).status == 201
        schedule = {"id": "daily", "payload": 1, "every": "1d"}
        assert client.post("/api/schedules", schedule, headers=headers).status == 201
        assert client.send("GET", "/api/tasks/dead?wait=20s", headers=headers).json["status"] == "dead-lettered"
        yield client
        assert node.end().code == 0
    finally:
        node.reap()
        print(node.text())


def sign_in(screen: Screen, token: str) -> None:
    screen.page.get_by_label("Token").fill(token)
    screen.button("Sign in").click()


def test_it_asks_for_a_token_and_keeps_it_in_this_tab(guarded: Client, screens: Screens) -> None:
    screen = screens(guarded.url)
    page = screen.open("queues")
    screen.heading("Sign in")
    expect(page.locator("nav").first).to_be_hidden()
    screen.accessible("html")
    field = page.get_by_label("Token")
    for wrong, said in (
        ("", "Give a token."),
        ("two words", "no spaces"),
        ("no-such-token-0123456789", "does not accept"),
    ):
        sign_in(screen, wrong)
        expect(page.locator(".wrong", has_text=said)).to_be_visible()
        expect(field).to_have_attribute("aria-invalid", "true")
    sign_in(screen, TOKENS[0]["token"])
    screen.heading("Queues")
    expect(page.locator("#who")).to_contain_text("the-viewer")
    page.reload()
    screen.heading("Queues")
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    other = page.context.new_page()
    other.goto(screen.url)
    expect(other.locator("h1")).to_have_text("Sign in")
    other.close()
    screen.button("Sign out").click()
    screen.heading("Sign in")
    assert page.evaluate("sessionStorage.length") == 0
    page.reload()
    screen.heading("Sign in")


SEEN: dict[str, tuple[str, ...]] = {
    "tasks": ("New task",),
    "tasks/waits": ("Cancel", "Change"),
    "tasks/dead": ("Replay", "Delete"),
    "dead": ("Replay dead letters of scene.refuses, discarded", "Delete dead letters of scene.refuses, discarded"),
    "schedules": ("New schedule", "Pause daily", "Trigger daily now"),
    "schedules/daily": ("Pause daily", "Edit", "Delete"),
    "queues": ("Pause default", "Purge default"),
    "cluster": ("Drain stage",),
    "submit": ("Submit task",),
    "new-schedule": ("Make schedule",),
    "schedules/daily?edit=": ("Save schedule",),
}
NEEDS = {"New task": "submitter", "Submit task": "submitter", "Purge default": "admin", "Drain stage": "admin"}
"""All else needs an operator."""


@pytest.mark.parametrize("role", ROLES)
def test_buttons_that_the_role_may_not_use_are_not_shown(guarded: Client, screens: Screens, role: str) -> None:
    screen = screens(guarded.url)
    page = screen.open()
    sign_in(screen, f"{role}-secret-0123456789")
    screen.heading("Overview")
    for place, names in SEEN.items():
        screen.move(place)
        expect(page.locator(f'main[data-page="#/{place}"]')).to_be_visible()
        for name in names:
            there = page.locator("main").get_by_role("button", name=name, exact=True)
            there = there.or_(page.locator("main").get_by_role("link", name=name, exact=True))
            allowed = ROLES.index(role) >= ROLES.index(NEEDS.get(name, "operator"))
            expect(there, f"{name} in {place} for {role}").to_have_count(1 if allowed else 0)
        boxes = page.locator("main table input[type=checkbox]").count()
        assert bool(boxes) == (place == "tasks" and role in ("operator", "admin"))
    expect(page.locator("#nav").get_by_role("link", name="Audit")).to_have_count(1 if role == "admin" else 0)
    if role != "admin":
        screen.move("audit")
        expect(page.locator("main")).to_contain_text("needs the role admin")


def test_who_did_what(guarded: Client, screens: Screens) -> None:
    screen = screens(guarded.url)
    screen.open("queues")
    sign_in(screen, TOKENS[3]["token"])
    screen.button("Pause default").click()
    screen.says("default is paused")
    screen.button("Resume default").click()
    screen.says("default goes on.")
    screen.go("Audit")
    rows = screen.page.locator("tbody tr")
    expect(rows.filter(has_text="the-admin").filter(has_text="pause").first).to_contain_text("default")
    screen.accessible()


@pytest.mark.parametrize("look", [{}, {"dark": True, "phone": True}], ids=["light", "dark, a phone"])
def test_the_description_of_the_api_asks_for_a_token_too(guarded: Client, screens: Screens, look: Any) -> None:
    screen = screens(guarded.url, **look)
    page = screen.page
    page.goto(f"{guarded.url}/docs")
    for token, words in (("тайна 🙂", "only plain characters"), ("nobodys", "Nobody has this token.")):
        page.get_by_label("Token").fill(token)
        screen.button("Show the description").click()
        expect(page.get_by_role("alert")).to_contain_text(words)
    screen.accessible("html")
    page.get_by_label("Token").fill(f" {TOKENS[0]['token']} ")
    page.keyboard.press("Enter")
    expect(page.locator("#contents a[href^='#']")).not_to_have_count(0)
    contents = page.locator("#contents a").all_text_contents()
    for route in ROUTES:
        assert any(route.template in text for text in contents), route.template
    screen.accessible("html", alike="#operations > section")
    screen.fits()
    with page.expect_download() as kept:
        page.locator("#whole").click()
    assert json.loads(kept.value.path().read_text())["openapi"].startswith("3.1")
    assert TOKENS[0]["token"] not in page.url
    page.reload()
    expect(page.locator("#contents a[href^='#']")).not_to_have_count(0)

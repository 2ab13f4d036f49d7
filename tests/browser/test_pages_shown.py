"""Every page of the dashboard against a live node whose tasks hold markup, script and signs of every kind in every
field: shown as text, run by nobody, accessible, and no wider than the window; light and dark, on a desktop and a phone.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.chrome import Screen, Screens
from tests.clients import Client

SHOWN = '<img src=x onerror="hacked=1"><script>hacked=1</script>\'"&amp;</td></pre> 🦄'
HOSTILE = SHOWN + " \u202etxet\u202c \u0000 ${hacked=1}"
"""What is added in the second looks otherwise in JSON: there, what turns the direction of a text is written out."""

LOOKS = {
    "light": {},
    "dark": {"dark": True},
    "phone, light": {"phone": True},
    "phone, dark": {"phone": True, "dark": True},
}
ACCESSIBLE = ["light", "phone, dark"]
"""Where axe looks: each theme and each width once."""

PAGES = ["Overview", "Tasks", "Dead letters", "Schedules", "Queues", "Cluster", "Audit"]
PLACES = {
    "tasks/ends": "Task ends",
    "tasks/fails": "Task fails",
    "tasks/waits": "Task waits",
    "tasks/runs": "Task runs",
    "tasks/later": "Task later",
    "schedules/hostile": "Schedule hostile",
    "schedules/hostile?edit=": "Schedule hostile",
    "new-schedule": "New schedule",
    "submit": "New task",
    "dead?handler=scene.refuses&cause=discarded": "Dead letters",
    "tasks/none": "Not found",
    "nowhere": "Not here",
}


@pytest.fixture(scope="module", autouse=True)
def full(client: Client) -> None:
    """Tasks in every state, a schedule, a paused queue, and something in the audit log."""
    data = {HOSTILE: [HOSTILE, 12345678901234567890, None, True, {"": HOSTILE}]}
    client.submit("scene.ends", {"note": HOSTILE, "result": data}, id="ends", tags=["a.b"], idempotencyKey=SHOWN)
    client.submit("scene.refuses", {"message": HOSTILE}, id="refused")
    client.submit("fail", {"message": HOSTILE}, id="fails", retries=0)
    client.submit("fail", {"message": HOSTILE}, id="waits", retries=3)
    client.submit("scene.runs", {"note": HOSTILE}, id="runs", timeout="1h")
    client.submit("echo", HOSTILE, id="later", delay="2h")
    client.submit("nobody.serves", HOSTILE, id="unserved")
    client.submit("echo", HOSTILE, id="gone", delay="2h")
    client.submit("echo", data, id="many", queue="other")
    assert client.post("/api/tasks/gone/cancel").status == 200
    assert client.post("/api/queues/other/pause").status == 200
    body = {"id": "hostile", "handler": "echo", "payload": data, "cron": "0 8 * * *", "timezone": "Europe/Berlin"}
    assert client.post("/api/schedules", body).status == 201
    for name in ("ends", "refused", "fails"):
        client.finished(name)
    client.reaches("waits", "failed")
    client.reaches("runs", "processing")


def clean(screen: Screen) -> None:
    screen.fits()
    assert screen.page.evaluate("typeof hacked") == "undefined"
    assert screen.page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_holds_what_is_hostile(client: Client, screens: Screens, look: str) -> None:
    screen = screens(client.url, **LOOKS[look])
    screen.open()
    for name in PAGES:
        screen.go(name)
        clean(screen)
    for place, title in PLACES.items():
        screen.move(place)
        screen.heading(title)
        clean(screen)


@pytest.mark.parametrize("look", ACCESSIBLE)
def test_every_page_is_accessible(client: Client, screens: Screens, look: str) -> None:
    screen = screens(client.url, **LOOKS[look])
    screen.open()
    screen.accessible("html")
    for name in PAGES[1:]:
        screen.go(name)
        screen.accessible()


@pytest.mark.parametrize("look", ACCESSIBLE)
def test_every_place_is_accessible(client: Client, screens: Screens, look: str) -> None:
    screen = screens(client.url, **LOOKS[look])
    screen.open()
    for place, title in PLACES.items():
        screen.move(place)
        screen.heading(title)
        screen.accessible()


def test_what_is_hostile_is_shown_as_it_is(screen: Screen) -> None:
    page = screen.open("tasks/ends")
    escaped = SHOWN.replace('"', '\\"')
    expect(page.get_by_role("region", name="Payload")).to_contain_text(escaped)
    expect(page.get_by_role("region", name="Result")).to_contain_text(f'"{escaped}')
    expect(page.get_by_role("region", name="Result")).to_contain_text("12345678901234567890")
    expect(page.get_by_role("region", name="Result")).to_contain_text("\\u202e")
    main = page.locator("main")
    expect(main.locator("dd", has_text=SHOWN).first).to_be_visible()
    screen.open("tasks/fails")
    expect(main.locator(".message", has_text=SHOWN)).to_have_count(2)
    screen.open("tasks/runs")
    expect(main).to_contain_text(f"40 % {SHOWN}")
    screen.open("tasks")
    expect(screen.row("refused")).to_contain_text(f"discarded {SHOWN}")
    screen.open("schedules/hostile")
    expect(page.get_by_role("region", name="Payload")).to_contain_text(escaped)


def test_the_theme_can_be_chosen_and_is_kept(screen: Screen) -> None:
    page = screen.open()
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    screen.button("Dark theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    screen.open()
    assert page.evaluate(ground) == dark
    screen.button("Light theme").click()
    assert page.evaluate(ground) == light


def test_the_keyboard_reaches_everything(screen: Screen) -> None:
    page = screen.open()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    page.locator("#nav").get_by_role("link", name="Queues").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    screen.heading("Queues")
    screen.button("Purge default").wait_for()
    assert page.evaluate("document.activeElement.tagName") == "H1"
    screen.button("Purge default").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Purge default")
    expect(dialog).to_be_visible()
    screen.accessible("dialog")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Purge default"

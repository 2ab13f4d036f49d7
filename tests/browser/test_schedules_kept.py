"""Schedules in the dashboard: made, refused beside the field, looked at, changed, paused, fired and deleted."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.chrome import Screen
from tests.clients import Client


def described(screen: Screen, label: str, words: str) -> None:
    """Returns when the message beside the field holds these words."""
    field = screen.page.get_by_label(label, exact=True)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile(words))


def test_what_is_wrong_is_said_beside_the_field(screen: Screen) -> None:
    page = screen.open("new-schedule")
    screen.button("Make schedule").click()
    described(screen, "Cron", "give either cron or every")
    page.get_by_label("Id", exact=True).fill("no such <id>")
    page.get_by_label("Cron", exact=True).fill("61 * * * *")
    page.get_by_label("Time zone", exact=True).fill("Mars/Olympus")
    page.get_by_label("Parameters", exact=True).fill('{"timeout": -1, "delay": "5s"}')
    screen.button("Make schedule").click()
    described(screen, "Id", "expected")
    described(screen, "Cron", ".")
    described(screen, "Time zone", "Mars/Olympus|zone")
    described(screen, "Parameters", "timeout: expected")
    described(screen, "Parameters", "delay: not for schedules")
    screen.accessible()
    assert page.evaluate("document.activeElement.name") == "id"
    page.get_by_label("Payload", exact=True).fill("'single'")
    screen.button("Make schedule").click()
    described(screen, "Payload", "This is no JSON")
    page.get_by_label("Repeats").select_option("every")
    expect(page.get_by_label("Cron", exact=True)).to_be_hidden()
    page.get_by_label("Payload", exact=True).fill("{}")
    page.get_by_label("Every", exact=True).fill("soon")
    screen.button("Make schedule").click()
    described(screen, "Every", "expected")


def test_the_life_of_a_schedule(client: Client, screen: Screen) -> None:
    page = screen.open("schedules")
    page.get_by_role("link", name="New schedule").click()
    page.get_by_label("Id", exact=True).fill("monday")
    page.get_by_label("Handler", exact=True).fill("echo")
    page.get_by_label("Cron", exact=True).fill("30 8 * * MON")
    page.get_by_label("Time zone", exact=True).fill("Europe/Berlin")
    page.get_by_label("Payload", exact=True).fill('{"n": 12345678901234567890}')
    page.get_by_label("Parameters", exact=True).fill('{"tags": ["weekly"]}')
    screen.button("Make schedule").click()
    screen.heading("Schedule monday")
    expect(page.locator("main")).to_contain_text("It has made no task")
    times = page.locator(".times li time")
    expect(page.locator(".times li")).to_have_count(5)
    shown = [times.nth(n).get_attribute("datetime") for n in range(0, 10, 2)]
    assert shown == client.get("/api/schedules/monday/preview").json["times"]

    screen.button("Trigger monday now").click()
    screen.says("was made.")
    expect(page.locator("tbody tr")).to_have_count(1)
    screen.button("Pause monday").click()
    screen.says("monday is paused")
    expect(page.locator("main")).to_contain_text("these would be skipped")
    assert client.get("/api/schedules/monday").json["paused"]

    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Paused")).to_be_checked()
    page.get_by_label("Cron", exact=True).fill("0 9 * * TUE")
    page.get_by_label("After a gap").select_option("skip")
    screen.button("Save schedule").click()
    screen.says("Schedule monday is saved.")
    expect(page.locator("main .lead")).to_contain_text("0 9 * * TUE")
    kept = client.get("/api/schedules/monday")
    assert b"12345678901234567890" in kept.raw
    assert kept.json["parameters"] == {"tags": ["weekly"]}
    assert (kept.json["misfire"], kept.json["paused"], kept.json["timezone"]) == ("skip", True, "Europe/Berlin")

    screen.go("Schedules")
    screen.button("Resume monday").click()
    screen.says("monday fires again.")
    expect(screen.row("monday").locator(".badge")).to_have_text("active")
    screen.row("monday").get_by_role("link", name="monday").click()
    screen.button("Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete schedule").click()
    screen.says("Schedule monday is deleted.")
    assert client.get("/api/schedules/monday").status == 404


def test_a_form_is_left_alone_while_others_change_things(client: Client, screen: Screen) -> None:
    page = screen.open("new-schedule")
    page.get_by_label("Id", exact=True).fill("half-typed")
    with page.expect_response(lambda answer: "/api/cluster/status" in answer.url):
        client.post("/api/schedules", {"id": "theirs", "payload": 1, "every": "1h"})
    with page.expect_response(lambda answer: "/api/cluster/status" in answer.url):
        pass
    expect(page.get_by_label("Id", exact=True)).to_have_value("half-typed")


@pytest.mark.parametrize("place", ["schedules/none", "schedules/none?edit="])
def test_one_that_is_not_there(screen: Screen, place: str) -> None:
    page = screen.open(place)
    screen.heading("Not found")
    expect(page.locator("main")).to_contain_text("none")

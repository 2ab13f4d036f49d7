"""Tasks in the dashboard: found, looked at, and acted on, in ones and in many."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from playwright.sync_api import Error, Route, expect

from tests.browser.chrome import Screen
from tests.clients import Client, until

MANY = 120


def test_filters_find_and_are_kept_in_the_address(client: Client, screen: Screen) -> None:
    client.submit("echo", 1, id="filter-a", queue="letters", tags=["red"])
    client.submit("scene.refuses", {}, id="filter-b", queue="letters", tags=["red"])
    client.submit("scene.refuses", {}, id="filter-c", queue="parcels", tags=["blue"])
    client.post("/api/schedules", {"id": "filter-s", "payload": 1, "every": "1h"})
    ticked = client.post("/api/schedules/filter-s/trigger").json["id"]
    for name in ("filter-b", "filter-c"):
        client.finished(name)
    page = screen.open("tasks")
    ids = page.locator("tbody th a")

    def shows(*wanted: str) -> None:
        expect(ids).to_have_count(len(wanted))
        assert {link.get_attribute("title") for link in ids.all()} == set(wanted)

    page.get_by_label("Tag", exact=True).fill("red")
    page.keyboard.press("Enter")
    shows("filter-a", "filter-b")
    page.get_by_label("Status").select_option("dead-lettered")
    shows("filter-b")
    assert "tag=red" in page.url
    page.reload()
    shows("filter-b")
    expect(page.get_by_label("Tag", exact=True)).to_have_value("red")
    page.go_back()
    shows("filter-a", "filter-b")
    expect(page.get_by_label("Status")).to_have_value("")
    screen.button("Clear").click()
    page.get_by_label("Queue", exact=True).fill("parcels")
    page.get_by_label("Handler", exact=True).fill("scene.refuses")
    screen.button("Filter").click()
    shows("filter-c")
    screen.button("Clear").click()
    page.get_by_label("Schedule", exact=True).fill("filter-s")
    screen.button("Filter").click()
    shows(ticked)


def test_what_is_typed_while_the_list_loads_stays(screen: Screen) -> None:
    page = screen.open("tasks")
    held: list[Route] = []
    page.route("**/api/tasks?*", lambda route: held.append(route))  # noqa: PLW0108 - playwright wraps no built-in
    page.get_by_label("Queue", exact=True).fill("parcels")
    page.get_by_label("Handler", exact=True).fill("half")  # the queue's change asks for a list, which is held
    until(lambda: page.evaluate("location.hash").endswith("queue=parcels") and held, 20, "the list is asked for")
    page.unroute("**/api/tasks?*")
    for route in held:
        with suppress(Error):  # one that the page gave up
            route.continue_()
    screen.shown()
    expect(page.get_by_label("Queue", exact=True)).to_have_value("parcels")
    expect(page.get_by_label("Handler", exact=True)).to_have_value("half")


def test_what_no_filter_can_be_is_said_beside_it(screen: Screen) -> None:
    page = screen.open("tasks")
    page.get_by_label("Tag", exact=True).fill("<b>")
    screen.button("Filter").click()
    expect(page.get_by_label("Tag", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Tag", exact=True)).to_have_accessible_description(re.compile("Letters, digits"))
    assert "tag" not in page.url


def test_a_task_is_found_by_its_id(client: Client, screen: Screen) -> None:
    client.submit("echo", 1, id="needle")
    page = screen.open("tasks")
    field = page.get_by_label("Find by id")
    for typed, said in (("no such id", "1 to 64 letters"), ("nowhere", "no task with this id")):
        field.fill(typed)
        page.keyboard.press("Enter")
        expect(field).to_have_accessible_description(re.compile(said))
    field.fill("needle")
    page.keyboard.press("Enter")
    screen.heading("Task needle")


def test_a_page_at_a_time(client: Client, screen: Screen) -> None:
    made = [{"id": f"page-{n:03}", "payload": n, "parameters": {"tags": ["paged"]}} for n in range(MANY)]
    assert client.post("/api/tasks/batch", {"tasks": made}).status == 207
    page = screen.open("tasks?tag=paged")
    ids = page.locator("tbody th a")
    seen: list[str] = []
    for size in (50, 50, 20):
        expect(ids).to_have_count(size)
        if seen:
            expect(ids.first).not_to_have_text(seen[-50])
        seen += ids.all_inner_texts()
        if size == 50:
            screen.button("Older").click()
    assert sorted(seen) == [f"page-{n:03}" for n in range(MANY)]
    expect(screen.button("Older")).to_have_count(0)
    screen.button("Newer").click()
    expect(ids.first).to_have_text(seen[50])
    screen.button("Newest").click()
    expect(ids.first).to_have_text(seen[0])


def test_the_life_of_a_task_can_be_read(client: Client, screen: Screen) -> None:
    client.submit("fail", {"message": "first"}, id="life", retries=1)
    client.reaches("life", "failed")
    page = screen.open("tasks/life")
    steps = page.locator(".timeline > li")
    expect(steps).to_have_count(3)
    expect(steps.nth(1)).to_contain_text("Attempt 1")
    expect(steps.nth(1)).to_contain_text("RuntimeError")
    expect(steps.nth(1)).to_contain_text("first")
    expect(steps.nth(2)).to_contain_text(re.compile("Next try in 1 h|Next try in 2 h"))
    screen.button("Retry").click()
    expect(page.locator("main .badge.is-dead-lettered")).to_be_visible()
    expect(steps).to_have_count(3)
    screen.button("Replay").click()
    expect(steps.filter(has_text="Replayed, generation 2")).to_have_count(1)
    expect(steps.filter(has_text="Attempt 1")).to_have_count(2)
    screen.button("Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel task").click()
    expect(page.locator("main .badge.is-cancelled").first).to_be_visible()
    screen.button("Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep as it is").click()
    assert client.get("/api/tasks/life").status == 200
    screen.button("Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete task").click()
    screen.says("The task is deleted.")
    screen.heading("Tasks")
    assert client.get("/api/tasks/life").status == 404


def test_a_running_task_shows_how_far_it_is(client: Client, screen: Screen) -> None:
    client.submit("scene.runs", {"note": "well on"}, id="running", timeout="1h")
    page = screen.open("tasks/running")
    expect(page.locator("main")).to_contain_text("40 % well on")
    screen.button("Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel task").click()
    expect(page.locator(".timeline .badge.is-cancelled").first).to_be_visible()
    client.reaches("running", "cancelled")


def test_a_waiting_task_is_changed(client: Client, screen: Screen) -> None:
    client.submit("echo", 1, id="changed", delay="2h")
    page = screen.open("tasks/changed")
    screen.button("Change").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Priority").fill("urgent")
    dialog.get_by_label("Expires at").fill("tomorrow")
    dialog.get_by_role("button", name="Change task").click()
    expect(dialog.get_by_label("Priority")).to_have_accessible_description(re.compile("expected"))
    expect(dialog.get_by_label("Expires at")).to_have_accessible_description(re.compile("expected"))
    screen.accessible("dialog")
    dialog.get_by_label("Priority").fill("high")
    dialog.get_by_label("Expires at").fill("2099-01-01T00:00:00Z")
    dialog.get_by_label("Tags").fill("one two")
    dialog.get_by_role("button", name="Change task").click()
    screen.says("The task is changed.")
    task = client.task("changed")
    assert (task["priority"], task["tags"], task["expiresAt"]) == (7, ["one", "two"], "2099-01-01T00:00:00.000Z")


def test_a_new_task_by_hand(client: Client, screen: Screen) -> None:
    page = screen.open("tasks")
    page.get_by_role("link", name="New task").click()
    screen.heading("New task")
    page.get_by_label("Payload").fill("{nonsense")
    page.get_by_label("Priority").fill("urgent")
    screen.button("Submit task").click()
    expect(page.get_by_label("Payload")).to_have_accessible_description(re.compile("This is no JSON"))
    page.get_by_label("Handler").fill("scene.refuses")
    page.get_by_label("Payload").fill('{"message": 12345678901234567890}')
    screen.button("Submit task").click()
    expect(page.get_by_label("Priority")).to_have_accessible_description(re.compile("expected"))
    page.get_by_label("Priority").fill("9")
    screen.button("Submit task").click()
    expect(page.get_by_label("Payload")).to_have_accessible_description(re.compile("message: expected `str`"))
    page.get_by_label("Handler").fill("echo")
    page.get_by_label("Id", exact=True).fill("by-hand")
    screen.button("Submit task").click()
    screen.heading("Task by-hand")
    expect(page.get_by_role("region", name="Payload")).to_contain_text("12345678901234567890")
    assert client.finished("by-hand")["priority"] == 9


def test_many_by_filter_are_counted_first(client: Client, screen: Screen) -> None:
    for n in range(3):
        client.submit("echo", n, id=f"crowd-{n}", tags=["crowd"], delay="2h")
    client.finished(client.submit("echo", 3, id="crowd-done", tags=["crowd"]))
    page = screen.open("tasks?tag=crowd")
    dialog = page.get_by_role("dialog")
    screen.button("Cancel all tasks of this filter").click()
    expect(dialog).to_contain_text("3 tasks can be cancelled")
    screen.accessible("dialog")
    dialog.get_by_role("button", name="Keep as they are").click()
    assert client.task("crowd-0")["status"] == "pending"
    screen.button("Cancel all tasks of this filter").click()
    dialog.get_by_role("button", name="Cancel 3 tasks").click()
    screen.says("3 tasks were cancelled.")
    expect(page.locator("tbody .badge.is-cancelled")).to_have_count(3)
    screen.button("Cancel all tasks of this filter").click()
    expect(dialog).to_contain_text("None of them")
    dialog.get_by_role("button", name="Keep as they are").click()


def test_while_it_is_done_nobody_can_keep_things_as_they_are(client: Client, screen: Screen) -> None:
    client.submit("echo", 1, id="slow", tags=["slow"], delay="2h")
    page = screen.open("tasks?tag=slow")
    held: list[Route] = []
    dialog = page.get_by_role("dialog")
    screen.button("Cancel all tasks of this filter").click()
    do = dialog.get_by_role("button", name="Cancel 1 task")
    expect(do).to_be_visible()
    page.route("**/api/tasks/bulk", lambda route: held.append(route))  # noqa: PLW0108 - playwright takes no builtin
    do.click()
    expect(dialog.get_by_role("button", name="Working")).to_be_visible()
    expect(dialog.get_by_role("button", name="Keep as they are")).to_be_disabled()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    held[0].continue_()
    screen.says("1 task was cancelled.")
    expect(dialog).to_have_count(0)


def test_many_that_were_chosen(client: Client, screen: Screen) -> None:
    for n in range(4):
        client.submit("scene.refuses", {}, id=f"pick-{n}", tags=["pick"])
        client.finished(f"pick-{n}")
    page = screen.open("tasks?tag=pick")
    dialog = page.get_by_role("dialog")
    page.get_by_label("Choose pick-1").check()
    page.get_by_label("Choose pick-2").check()
    expect(page.get_by_role("group", name="What to do with the chosen tasks")).to_contain_text("2 chosen")
    expect(page.get_by_label("Choose all on this page")).to_have_js_property("indeterminate", True)
    screen.button("Delete").click()
    dialog.get_by_role("button", name="Delete 2 tasks").click()
    screen.says("2 tasks were deleted.")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_label("Choose all on this page").check()
    screen.button("Replay").click()
    dialog.get_by_role("button", name="Replay 2 tasks").click()
    screen.says("2 tasks were replayed.")
    assert client.finished("pick-0")["generation"] == 2
    assert client.get("/api/tasks/pick-1").status == 404


@pytest.mark.parametrize("verb", ["Replay", "Delete"])
def test_dead_letters_by_group(client: Client, screen: Screen, verb: str) -> None:
    handler = f"nobody.{len(verb)}.{verb[0]}"
    for n in range(2):
        client.submit(handler, {}, id=f"{verb}-{n}", expiresAt="2020-01-01T00:00:00Z")
        client.finished(f"{verb}-{n}")
    page = screen.open("dead")
    group = page.get_by_role("region", name="Dead letters by handler and cause").locator("tr", has_text=handler)
    expect(group).to_contain_text("expired")
    group.get_by_role("link", name=handler).click()
    expect(page.get_by_role("region", name="Dead letters, newest first").locator("tbody tr")).to_have_count(2)
    group.get_by_role("button", name=f"{verb} dead letters of {handler}, expired").click()
    page.get_by_role("dialog").get_by_role("button", name=f"{verb} 2 tasks").click()
    screen.says("2 tasks were")
    if verb == "Delete":
        assert client.get("/api/tasks/Delete-0").status == 404
    else:
        assert client.task("Replay-0")["generation"] == 2

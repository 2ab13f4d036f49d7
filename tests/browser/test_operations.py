"""The deployment in the dashboard: figures over time, queues, nodes, and a node that goes away and comes back."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Request, expect

from tests.browser.chrome import Screen, Screens
from tests.clients import Client, until
from tests.processes import Nodes


def counted(screen: Screen, completed: int) -> None:
    """Returns when the chart of the throughput says that so many completed, in its sentence and in its figures."""
    chart = screen.page.locator("figure", has_text="Throughput")
    said = re.compile(rf"Throughput\. \d+ submits, {completed} completed")
    expect(chart.locator("svg")).to_have_attribute("aria-label", said)
    if chart.locator("details[open]").count() == 0:
        chart.locator("summary").click()
    cells = chart.locator("tbody td:nth-child(2)")
    expect(cells.first).to_be_visible()
    until(lambda: sum(map(int, cells.all_inner_texts())) == completed, 20, f"the figures add up to {completed}")


def test_the_charts_outlive_a_reload_and_the_node(nodes: Nodes, screens: Screens, scenes: dict[str, Any]) -> None:
    node = nodes(**scenes)
    client = node.start()
    for n in range(7):
        client.submit("echo", 1, id=f"echo-{n}")
    client.settled()
    screen = screens(client.url)
    page = screen.open()
    assert node.end().code == 0
    expect(page.locator("#state")).to_have_text("Connection lost")
    expect(page.locator("#banner")).to_contain_text("What you see is from")
    expect(screen.button("Try now")).to_be_visible()
    screen.accessible("html")
    node.config["apiPort"] = client.port
    node.start()
    # It may have tried by itself meanwhile: then the button is gone, and a click on it does no harm.
    screen.page.locator("#banner button").dispatch_event("click")
    expect(page.locator("#state")).to_have_text("Live")
    expect(page.locator("#banner")).to_be_hidden()
    screen.open()
    counted(screen, 7)
    screen.open()
    counted(screen, 7)
    with page.expect_response(lambda answer: "minutes=1440" in answer.url):
        page.get_by_role("link", name="24 hours").click()
    counted(screen, 7)


def test_figures_by_handler(client: Client, screen: Screen) -> None:
    client.submit("fail", {"message": "no"}, id="failed-once", retries=0)
    client.finished("failed-once")
    page = screen.open()
    spans = page.evaluate("import('/dashboard/format.js').then(it => [0, 0.004, 0.0001, 0.5].map(it.span))")
    assert spans == ["0 ms", "4 µs", "1 µs", "0.50 ms"], "what takes time is not shown as none"
    row = page.get_by_role("region", name="Handlers, most failures first").locator("tr", has_text="fail")
    expect(row.locator("td").first).to_have_text("1")
    tile = page.get_by_role("list", name="Tasks by state").get_by_role("link", name="dead letter")
    expect(tile).to_contain_text("1")
    tile.click()
    screen.heading("Dead letters")


def test_a_queue_is_paused_resumed_and_purged(client: Client, screen: Screen) -> None:
    page = screen.open("queues")
    client.submit("echo", 1, id="held", queue="mail", delay="2h")
    screen.button("Pause mail").click()
    screen.says("mail is paused")
    expect(screen.row("mail").locator(".badge")).to_have_text("paused")
    screen.button("Resume mail").click()
    screen.says("mail goes on.")
    dialog = page.get_by_role("dialog")
    screen.button("Purge mail").click()
    expect(dialog).to_contain_text("1 task in this queue waits and is cancelled")
    dialog.get_by_role("button", name="Keep as it is").click()
    assert client.task("held")["status"] == "pending"
    screen.button("Purge mail").click()
    dialog.get_by_role("button", name="Purge mail").click()
    screen.says("1 task of mail was cancelled.")
    assert client.task("held")["status"] == "cancelled"


def test_a_queue_that_nobody_serves_says_so(client: Client, screen: Screen) -> None:
    client.submit("nobody.serves", 1, queue="orphans")
    screen.open("queues")
    expect(screen.row("orphans")).to_contain_text("No live node serves nobody.serves here.")


def test_on_a_phone_no_button_is_out_of_sight(client: Client, screens: Screens) -> None:
    client.submit("nobody.serves.what.has_so_long_a_name", 1, queue="the-letters-of-all-customers")
    client.submit("scene.refuses", {}, id="letter")
    client.finished("letter")
    screen = screens(client.url, phone=True)
    buttons = {"queues": "Pause the-letters-of-all-customers", "dead": "Delete dead letters of scene.refuses"}
    for place, label in buttons.items():
        screen.open(place)
        button = screen.button(label, exact=False).first
        button.scroll_into_view_if_needed()
        expect(button).to_be_in_viewport(ratio=1)
        assert screen.page.evaluate("document.querySelector('.scroll').scrollLeft") == 0


def test_a_node_its_work_and_its_drain(client: Client, screen: Screen) -> None:
    client.submit("scene.runs", {"note": "well on"}, id="at-work", timeout="1h")
    client.reaches("at-work", "processing")
    page = screen.open("cluster")
    card = page.get_by_role("region", name="Node stage")
    expect(card).to_contain_text("leader")
    expect(card).to_contain_text("scene.ends")
    expect(card.get_by_role("link", name="at-work")).to_be_visible()
    expect(page.locator("main")).to_contain_text("standalone")
    screen.button("Drain stage").click()
    page.get_by_role("dialog").get_by_role("button", name="Drain node").click()
    expect(card.locator("h2")).to_contain_text("draining")
    screen.button("Undrain stage").click()
    expect(card.locator("h2")).to_contain_text("alive")
    client.post("/api/tasks/at-work/cancel")
    expect(card.get_by_role("link", name="at-work")).to_have_count(0)


def test_it_is_live_until_it_is_paused(client: Client, screen: Screen) -> None:
    page = screen.open("tasks?tag=live")
    expect(page.locator("main")).to_contain_text("No task fits this filter.")
    client.submit("echo", 1, id="live-1", tags=["live"])
    expect(screen.row("live-1")).to_be_visible()
    screen.button("Pause updates").click()
    expect(page.locator("#state")).to_have_text("Updates paused")
    client.submit("echo", 1, id="live-2", tags=["live"])
    screen.button("Pause updates").click()
    expect(screen.row("live-2")).to_be_visible()


def test_a_hidden_page_asks_seldom_and_a_failing_one_ever_more_seldom(client: Client, screens: Screens) -> None:
    """The page's clock is the test's: it tells how often the page asks, however busy the machine is."""
    screen = screens(client.url)
    page = screen.page
    asked: list[str] = []

    def asks(request: Request) -> None:
        if "/api/cluster/status" in request.url:
            asked.append(request.url)

    def in_a_minute() -> int:
        asked.clear()
        for _ in range(30):
            page.clock.run_for(2_000)
            until(lambda: not page.evaluate("document.documentElement.dataset.asking"), 20, "every call is answered")
        return len(asked)

    page.clock.install()
    page.add_init_script(
        """const real = fetch; let open = 0;
        window.fetch = async (...args) => {
          document.documentElement.dataset.asking = ++open;
          try { return await real(...args); } finally { if (!--open) delete document.documentElement.dataset.asking; }
        };
        window.hide = (on) => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => on });
          document.dispatchEvent(new Event("visibilitychange"));
        };"""
    )
    page.on("request", asks)
    screen.open("queues")
    seen = in_a_minute()
    page.evaluate("hide(true)")
    hidden = in_a_minute()
    asked.clear()
    with page.expect_response(lambda answer: "/api/cluster/status" in answer.url):
        page.evaluate("hide(false)")
    page.context.set_offline(True)
    failing = in_a_minute()
    expect(page.locator("#state")).to_have_text("Connection lost")
    page.context.set_offline(False)  # the browser tells the page
    expect(page.locator("#state")).to_have_text("Live")
    assert seen >= 12
    assert 1 <= hidden <= 3
    assert 2 <= failing <= 8


def test_a_page_of_another_site_changes_nothing(client: Client, screens: Screens) -> None:
    """What needs no preflight: a call without a body, and the form that every page may send anywhere."""
    client.submit("echo", 1, id="stays", delay="2h", queue="elsewhere")
    screen = screens(client.url)
    page = screen.page
    page.goto("about:blank")
    queue_url = f"{client.url}/api/queues/elsewhere"
    page.evaluate("url => fetch(url, { method: 'POST', mode: 'no-cors' }).catch(() => null)", f"{queue_url}/pause")
    with page.expect_response(lambda answer: answer.url.endswith("/purge")) as answered:
        page.evaluate(
            "url => { document.body.innerHTML = `<form method=post action=${url}>`; document.forms[0].submit() }",
            f"{queue_url}/purge",
        )
    assert answered.value.status == 403
    (queue,) = [one for one in client.get("/api/queues").json["queues"] if one["name"] == "elsewhere"]
    assert queue["paused"] is False
    assert client.get("/api/tasks/stays").json["status"] == "pending"
    screen.wrong.clear()  # the browser complains, rightly

"""Debian's Chromium for tests: started once a module, quiet towards the world, and watched while it shows a page.

A `Screen` is a page in a profile of its own. Whatever went wrong in it without being looked for (an error in a script,
a breach of the content policy, a request to elsewhere) fails the test at its end.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect, sync_playwright

WITHIN = 20_000
"""Milliseconds that a test waits for what must come."""

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1360, "height": 900}
PHONE = {"width": 360, "height": 780}

_ANSWERED = re.compile(r"Failed to load resource: (the server responded with a status of|net::ERR_)")

_VIOLATIONS = """async ([part, alike]) => {
  const options = {resultTypes: ["violations"]};
  if (alike === null) return (await axe.run(part, options)).violations;
  const seen = new Set();
  const name = (element) => `${element.tagName}.${element.className}`;
  const place = (element, top) =>
    element === top ? name(top) : `${place(element.parentElement, top)} ${name(element)}`;
  const again = [...document.querySelectorAll(alike)].filter((top) => {
    const before = seen.size;
    for (const element of [top, ...top.querySelectorAll("*")]) {
      const {color, backgroundColor, fontSize, fontWeight} = getComputedStyle(element);
      seen.add([place(element, top), color, backgroundColor, fontSize, fontWeight].join());
    }
    return seen.size === before;
  });
  const all = await axe.run(part, {...options, rules: {"color-contrast": {enabled: false}}});
  const colours = await axe.run({include: [part], exclude: again}, {...options, runOnly: ["color-contrast"]});
  return [...all.violations, ...colours.violations];
}"""

expect.set_options(timeout=WITHIN)


class Screen:
    """One page. `url` is where the node is."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.wrong: list[str] = []
        page.set_default_timeout(WITHIN)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        # That an answer was an error is the page's to show, and the test's to look at.
        if message.type in ("error", "warning") and not _ANSWERED.match(message.text):
            self.wrong.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.url, "about:", "data:")):
            self.wrong.append(f"asked elsewhere: {request.url}")

    def open(self, where: str = "") -> Page:
        """Load the view at this address (what stands behind `#/`) anew, and wait until it has shown something."""
        self.page.goto("about:blank")  # or the browser would only move within the page that it has
        self.page.goto(f"{self.url}/#/{where}")
        self.shown()
        return self.page

    def move(self, where: str) -> None:
        """Go to the view at this address, as a link in the page does."""
        self.page.evaluate("where => { location.hash = `/${where}` }", where)
        self.shown()

    def shown(self) -> None:
        """Returns when the view is there."""
        self.page.wait_for_selector("main:not([aria-busy])")

    def button(self, name: str, *, exact: bool = True) -> Locator:
        """The button that is called so."""
        return self.page.get_by_role("button", name=name, exact=exact)

    def go(self, name: str) -> None:
        """Click in the navigation, and wait for the page of that name."""
        if self.page.locator("#menu").is_visible():
            self.page.locator("#menu").click()
        self.page.locator("#nav").get_by_role("link", name=name).click()
        self.heading(name)
        self.shown()

    def heading(self, text: str) -> None:
        """Returns when the page has this title."""
        expect(self.page.locator("h1")).to_have_text(text)

    def says(self, text: str) -> None:
        """Returns when a message with this text is there."""
        expect(self.page.locator(".toast", has_text=text).first).to_be_visible()

    def row(self, name: str) -> Locator:
        """The row of a table that has this text."""
        return self.page.locator("tbody tr", has_text=name)

    def accessible(self, part: str = "main", alike: str | None = None) -> None:
        """Fails where axe finds something in this part of the page. `alike`: a selector; the colours of what it finds
        are not judged again where every element in it looks like one in those before.
        """
        if self.page.evaluate("typeof axe") == "undefined":
            self.page.evaluate(Axe().axe_script)
        found = self.page.evaluate(_VIOLATIONS, [part, alike])
        nodes = [
            f"{one['id']}: {node['html'][:200]}: {node['failureSummary']}" for one in found for node in one["nodes"]
        ]
        assert not nodes, "\n".join(nodes)

    def fits(self) -> None:
        """Fails where the page is wider than the window."""
        wider = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0, f"{wider} pixels too wide"


Screens = Callable[..., Screen]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser, or a skip."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def screens(chromium: Browser) -> Iterator[Screens]:
    """Makes screens: `screens(url, phone=True, dark=True)`."""
    made: list[Screen] = []

    def make(url: str, *, phone: bool = False, dark: bool = False, **options: Any) -> Screen:
        context = chromium.new_context(
            viewport=PHONE if phone else DESKTOP, color_scheme="dark" if dark else "light", locale="en-GB", **options
        )
        made.append(Screen(context.new_page(), url))
        return made[-1]

    yield make
    for screen in made:
        screen.page.context.close()
    assert [one for screen in made for one in screen.wrong] == []

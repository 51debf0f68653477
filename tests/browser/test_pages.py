"""Every page as a browser shows it: narrow and wide, light and dark, and to who cannot see it."""

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request

from tests.app.web.gallery import STATES
from tests.world import Town

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
WIDTHS = (360, 1280)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
OTHERS = {
    "error": "/a/x",
    "rules": "/p/tv",
    "rules_of_nobody": "/p/nobody",
    "error_in_german": "/a/x?lang=de",
    "rules_in_french": "/p/tv?lang=fr",
}


class Watched:
    """A page that is looked at, and everything that it asks for on the way."""

    def __init__(self, browser: Browser, width: int, scheme: Literal["light", "dark"]) -> None:
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=False
        )
        self.page: Page = self.context.new_page()
        self.asked: list[Request] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request))  # noqa: PLW0108 - it marks what it calls
        self.page.on("console", lambda message: self.said.append(message.text))

    def faults(self) -> list[str]:
        """Give what axe finds; it is run beside the page, where the page's own policy holds not."""
        session = self.context.new_cdp_session(self.page)
        tree = session.send("Page.getFrameTree")
        world = session.send(
            "Page.createIsolatedWorld", {"frameId": tree["frameTree"]["frame"]["id"]}
        )["executionContextId"]
        session.send("Runtime.evaluate", {"expression": AXE, "contextId": world})
        found: Any = session.send(
            "Runtime.evaluate",
            {
                "expression": "axe.run(document).then(each => JSON.stringify(each.violations.map("
                "one => one.id + ': ' + one.nodes.map(node => node.html).join(' | '))))",
                "contextId": world,
                "awaitPromise": True,
                "returnByValue": True,
            },
        )
        return [] if found["result"]["value"] == "[]" else [str(found["result"]["value"])]

    def judge(self, url: str) -> None:
        """Say what must hold of every page, however it is shown."""
        assert [each.url for each in self.asked] == [url], "one request, and none elsewhere"
        assert self.context.cookies() == []
        assert not [each for each in self.said if "404" not in each], "nothing the policy refuses"
        beyond = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert beyond == 0, "nothing is wider than the window"
        assert self.faults() == []


def looked_at(chromium: Browser, url: str, name: str, pictures: Path | None) -> None:
    for width in WIDTHS:
        for scheme in SCHEMES:
            watched = Watched(chromium, width, scheme)
            watched.page.goto(url)
            if pictures is not None:
                path = pictures / f"{name}-{width}-{scheme}.png"
                watched.page.screenshot(path=path, full_page=True)
            watched.judge(url)
            watched.context.close()


@pytest.mark.parametrize("name", STATES)
def test_every_page_of_the_gallery(
    town: Town, address: str, chromium: Browser, pictures: Path | None, name: str
) -> None:
    token = STATES[name].reach(town)
    looked_at(chromium, f"{address}/a/{token}", name, pictures)


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_page(
    town: Town, address: str, chromium: Browser, pictures: Path | None, name: str
) -> None:
    STATES["asked"].reach(town)
    looked_at(chromium, f"{address}{OTHERS[name]}", name, pictures)


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "it"])
def test_the_ask_in_every_language(
    town: Town, address: str, chromium: Browser, pictures: Path | None, language: str
) -> None:
    token = STATES["asked"].reach(town)
    looked_at(chromium, f"{address}/a/{token}?lang={language}", f"asked_{language}", pictures)


def test_the_page_that_stops_reminders(
    town: Town, address: str, chromium: Browser, pictures: Path | None
) -> None:
    token = STATES["asked"].reach(town)
    looked_at(chromium, f"{address}/a/{token}/one-click", "one_click", pictures)


def test_keep_and_cancel_are_the_same_size_and_stand_side_by_side(
    town: Town, address: str, chromium: Browser
) -> None:
    token = STATES["asked"].reach(town)
    for width in WIDTHS:
        watched = Watched(chromium, width, "light")
        watched.page.goto(f"{address}/a/{token}")
        keep, cancel = (
            watched.page.locator(f".choice button[value={word}]") for word in ("keep", "cancel")
        )
        one, other = keep.bounding_box(), cancel.bounding_box()
        assert one is not None
        assert other is not None
        assert (one["width"], one["height"]) == (other["width"], other["height"])
        looks = "each => [getComputedStyle(each).color, getComputedStyle(each).backgroundColor]"
        assert keep.evaluate(looks) == cancel.evaluate(looks)
        watched.context.close()


def test_a_person_answers_in_another_language_with_the_keyboard_alone(
    town: Town, address: str, chromium: Browser
) -> None:
    token = STATES["asked"].reach(town)
    watched = Watched(chromium, 360, "light")
    page = watched.page
    page.goto(f"{address}/a/{token}")
    page.get_by_role("link", name="Deutsch").focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.get_by_role("button", name="Abo behalten").first.focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")

    assert page.url == f"{address}/a/{token}?lang=de"
    assert page.locator("html").get_attribute("lang") == "de"
    assert town.story("ann").count("kept") == 1
    watched.context.close()


def test_a_person_asks_for_a_person(town: Town, address: str, chromium: Browser) -> None:
    token = STATES["suspended"].reach(town)
    watched = Watched(chromium, 360, "dark")
    page = watched.page
    page.goto(f"{address}/a/{token}")
    page.get_by_label("What is it about?").select_option("wrong_charge")
    with page.expect_navigation():
        page.get_by_role("button", name="Let a person look at this").click()

    assert page.get_by_role("heading", name="A person will look at this").is_visible()
    assert page.get_by_role("button", name="Let a person look at this").count() == 0
    watched.context.close()

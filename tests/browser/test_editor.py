"""The policy's editor in a browser: with scripts, without them, and when a session ends."""

from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from app import policy as policies
from app.forecast import Forecaster, Keeper
from app.store import products, versions
from tests.browser.test_console import SCHEMES, WIDTHS, Served, enters, let_in, served
from tests.browser.test_pages import Watched
from tests.world import ACTOR, YEAR, Town, row

__all__ = ["served"]
EDIT = "/console/products/tv/policy/edit"
EXPECTED = (
    "Failed to load resource: the server responded with a status of 401",
    "Failed to load resource: the server responded with a status of 409",
    "Failed to load resource: the server responded with a status of 422",
    # An answer that was on its way when a button led to another page.
    "htmx:afterRequest",
    "htmx:sendAbort",
    "htmx:sendError",
)
RICH = YEAR | {
    "before_renewal": {"intervals": ["year"], "unused_for": "P6M", "ask_ahead": "P45D"},
    "keep_categories": {"invoices": "P10Y"},
    "segments": [
        {"when": {"country": ["FR", "DE"], "interval": ["year"]}, "unused_after": "P6M"},
        {"when": {"plan": ["gold, yearly"]}, "reminders": ["P7D"], "never_used_after": "P1Y6M"},
    ],
    "pace": {"ramp": [10, 100, "1%", "10%", "100%"]},
}


def proposed(town: Town, body: dict[str, object], by: str = ACTOR) -> int:
    with town.database.transaction() as connection:
        number = products.row_of(connection, town.key).id
        written = policies.write(policies.read(body))
        return versions.propose(connection, number, written, by, town.clock.now())


def editing(
    chromium: Browser, served: Served, *, script: bool = True, width: int = 1440
) -> Watched:
    """Open the editor as somebody who is signed in, with or without scripts."""
    watched = Watched(chromium, width, "light")
    if not script:
        watched.context.close()
        watched.context = chromium.new_context(
            viewport={"width": width, "height": 800}, java_script_enabled=False
        )
        watched.page = watched.context.new_page()
    enters(watched, served)
    watched.page.goto(f"{served.address}{EDIT}")
    return watched


def tomorrow(town: Town, **changes: str) -> str:
    """Give how many the policy in force would ask by tomorrow with these changes."""
    body = RICH | changes
    found = Forecaster(town.database, town.clock).forecast("tv", policies.read(body))
    return str(found.proposed.tomorrow)


def newest(town: Town) -> int:
    with town.database.transaction() as connection:
        return versions.newest(connection, town.product.id)


def ended(town: Town) -> None:
    """End every session."""
    with town.database.transaction() as connection:
        connection.execute(text("delete from console_session"))


def look(watched: Watched, name: str, pictures: Path | None) -> None:
    """Take a picture, and say what must hold of every page."""
    if pictures is not None:
        watched.page.screenshot(path=pictures / f"{name}.png", full_page=True)
    page = watched.page
    beyond = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert beyond == 0, "nothing is wider than the window"
    assert [each for each in watched.said if not each.startswith(EXPECTED)] == []
    assert watched.faults() == []


def at_editor(page: Page, served: Served) -> None:
    page.goto(f"{served.address}{EDIT}")


def refused(page: Page, served: Served) -> None:
    at_editor(page, served)
    page.locator("#unused_after").fill("P1X")
    page.get_by_label("Notices a day", exact=True).fill("-3")
    page.locator("#what-if .faults li").nth(1).wait_for()
    page.get_by_role("button", name="Propose this policy").click()
    page.get_by_role("heading", name="This cannot be proposed yet").wait_for()


def stale(page: Page, served: Served) -> None:
    at_editor(page, served)
    page.locator("input[name=seen]").evaluate("each => { each.value = '1' }")
    page.locator("#unused_after").fill("8")
    page.get_by_role("button", name="Propose this policy").click()
    page.get_by_role("heading", name="meanwhile").wait_for()


def typing(page: Page, served: Served) -> None:
    at_editor(page, served)
    page.locator("#unused_after").fill("P2M")
    expect(page.locator("#w-unused_after")).to_have_text("2 months · P2M")


def french(page: Page, served: Served) -> None:
    at_editor(page, served)
    if page.evaluate("document.documentElement.lang") != "fr":
        page.get_by_role("button", name="Français").click()
    page.wait_for_function("document.documentElement?.lang == 'fr'")


def signed_out(page: Page, served: Served) -> None:
    at_editor(page, served)
    page.context.clear_cookies()
    page.get_by_role("button", name="Propose this policy").click()
    page.get_by_role("heading", name="Your session has ended").wait_for()


def new(page: Page, served: Served) -> None:
    page.goto(f"{served.address}/console/products/radio/policy/edit")


def overview(page: Page, served: Served) -> None:
    page.goto(f"{served.address}/console/products/tv/")


STATES = {
    "edit": at_editor,
    "refused": refused,
    "stale": stale,
    "typing": typing,
    "french": french,
    "signed_out": signed_out,
    "new": new,
    "overview": overview,
}


@pytest.fixture
def rich(town: Town, served: Served) -> Served:
    town.put_in_force(RICH)
    for weeks in range(1, 80):
        began = town.clock.now().date() - timedelta(weeks=weeks)
        town.join(row(f"new_{weeks}", started_at=f"{began}T10:00:00Z", country="GB"))
        if weeks % 3 == 0:
            town.use(f"new_{weeks}", began + timedelta(days=weeks))
    proposed(town, RICH | {"unused_after": "P6M"}, "console:eve")
    Keeper(town.database, town.clock).count_apart("tv")
    return served


@pytest.mark.parametrize("state", STATES)
def test_every_state(rich: Served, chromium: Browser, pictures: Path | None, state: str) -> None:
    for width in WIDTHS:
        for scheme in SCHEMES:
            watched = Watched(chromium, width, scheme)
            enters(watched, rich)
            STATES[state](watched.page, rich)
            look(watched, f"{state}-{width}-{scheme}", pictures)
            watched.context.close()


# --- with scripts ----------------------------------------------------------------------------


def test_the_answer_follows_what_is_typed(rich: Served, town: Town, chromium: Browser) -> None:
    watched = editing(chromium, rich)
    page, figure = watched.page, watched.page.locator("#tomorrow")
    expect(figure).to_have_text(tomorrow(town))
    page.locator("#unused_after").fill("P3M")
    expect(figure).to_have_text(tomorrow(town, unused_after="P3M"))
    expect(page.locator("#w-unused_after")).to_have_text("3 months · P3M")
    expect(page.locator("#told")).to_contain_text("people would be asked")
    page.locator("#unused_after").fill("P3X")
    expect(figure).to_have_count(0)
    expect(page.locator("#e-unused_after")).to_contain_text("write a duration from P7D to P10Y")
    expect(page.locator("#unused_after")).to_have_attribute("aria-invalid", "true")
    page.locator("#what-if").get_by_role("link", name="Stopped using").click()
    expect(page.locator("#unused_after")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("P4M")
    expect(figure).to_have_text(tomorrow(town, unused_after="P4M"))
    expect(page.locator("#e-unused_after")).to_be_empty()
    expect(page.locator("#unused_after")).to_have_attribute("aria-invalid", "false")
    assert page.locator("#unused_after").input_value() == "P4M", "the field itself is left alone"
    assert len({tomorrow(town, unused_after=each) for each in ("P3M", "P4M", "P1Y")}) == 3
    assert watched.said == []
    watched.context.close()


def test_a_threshold_is_dragged(rich: Served, town: Town, chromium: Browser) -> None:
    watched = editing(chromium, rich)
    page = watched.page
    slider = page.get_by_role("slider", name="Never used, in months")
    expect(slider).to_be_visible()
    assert slider.input_value() == "12"
    slider.focus()
    for _ in range(9):
        page.keyboard.press("ArrowLeft")
    assert page.locator("#never_used_after").input_value() == "3"
    assert page.locator("[name='never_used_after.unit']").input_value() == "months"
    expect(page.locator("#w-never_used_after")).to_have_text("3 months · P3M")
    expect(page.locator("#tomorrow")).to_have_text(tomorrow(town, never_used_after="P3M"))
    assert tomorrow(town, never_used_after="P3M") != tomorrow(town)
    page.locator("#never_used_after").fill("7")
    assert slider.input_value() == "7"
    watched.context.close()


def test_what_is_switched_off_is_out_of_the_way(rich: Served, chromium: Browser) -> None:
    watched = editing(chromium, rich)
    page = watched.page
    ahead = page.get_by_label("Ask ahead", exact=True)
    expect(ahead).to_be_visible()
    page.get_by_label("Off: Before a renewal").check()
    expect(ahead).to_be_hidden()
    watched.context.close()


def test_pressing_twice_proposes_once(rich: Served, town: Town, chromium: Browser) -> None:
    watched, before = editing(chromium, rich), newest(town)
    page = watched.page
    page.locator("#unused_after").fill("P5M")
    expect(page.locator("#w-unused_after")).to_have_text("5 months · P5M")
    page.get_by_role("button", name="Propose this policy").dblclick()
    page.wait_for_url(f"**/policy/versions/{before + 1}")
    assert newest(town) == before + 1
    page.goto(f"{rich.address}{EDIT}")
    expect(page.locator("#unused_after")).to_have_value("1")
    assert "is here again" not in page.content(), "what was taken does not come back"
    watched.context.close()


def test_a_session_that_ends_while_somebody_types_loses_nothing(
    rich: Served, town: Town, chromium: Browser
) -> None:
    """The answer stays away and says why; they sign in elsewhere, and the form is there again."""
    watched, before = editing(chromium, rich), newest(town)
    page = watched.page
    page.locator("#unused_after").fill("P5M")
    expect(page.locator("#w-unused_after")).to_have_text("5 months · P5M")
    page.get_by_role("button", name="Add a segment").click()
    expect(page.get_by_role("group", name="Segment 3")).to_be_visible()
    ended(town)
    page.locator("#segments-2-when-country").fill("IT")
    expect(page.locator("#lost")).to_be_visible()
    page.get_by_role("button", name="Propose this policy").click()
    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    rich.cookie = let_in(town, "admin")
    enters(watched, rich)
    page.goto(f"{rich.address}{EDIT}")
    expect(page.get_by_role("status").first).to_contain_text("is here again")
    assert page.locator("#unused_after").input_value() == "P5M"
    assert page.locator("#segments-2-when-country").input_value() == "IT"
    assert newest(town) == before
    page.get_by_role("button", name="Propose this policy").click()
    page.wait_for_url(f"**/policy/versions/{before + 1}")
    watched.context.close()


def test_beginning_anew_forgets_what_was_typed(rich: Served, chromium: Browser) -> None:
    watched = editing(chromium, rich)
    page = watched.page
    page.locator("#unused_after").fill("P5M")
    page.goto(f"{rich.address}{EDIT}?months=6")
    expect(page.locator("#unused_after")).to_have_value("6")
    page.goto(f"{rich.address}{EDIT}")
    expect(page.locator("#unused_after")).to_have_value("P5M")
    page.get_by_role("link", name="Begin anew").click()
    expect(page.locator("#unused_after")).to_have_value("1")
    page.goto(f"{rich.address}{EDIT}")
    expect(page.locator("#unused_after")).to_have_value("1")
    watched.context.close()


# --- without -----------------------------------------------------------------------------------


def test_without_scripts_it_does_the_same(rich: Served, town: Town, chromium: Browser) -> None:
    watched, before = editing(chromium, rich, script=False, width=360), newest(town)
    page = watched.page
    assert page.get_by_role("slider").count() == 0
    page.locator("#unused_after").fill("P3M")
    page.keyboard.press("Enter")
    expect(page.locator("#tomorrow")).to_have_text(tomorrow(town, unused_after="P3M"))
    assert page.locator("#unused_after").input_value() == "P3M"
    page.get_by_role("button", name="Add a segment").click()
    page.locator("#segments-2-when-country").fill("IT")
    page.get_by_role("group", name="Segment 3").get_by_role(
        "button", name="Give it its own"
    ).click()
    page.get_by_role("group", name="Segment 3").get_by_label("On no answer").select_option(
        "nothing"
    )
    page.get_by_role("button", name="Propose this policy").click()
    page.wait_for_url(f"**/policy/versions/{before + 1}")
    with town.database.transaction() as connection:
        body = versions.version(connection, town.product.id, before + 1).body
    assert body["segments"][2] == {"when": {"country": ["IT"]}, "on_no_answer": "nothing"}
    watched.context.close()


def test_without_scripts_a_session_that_ended_loses_nothing(
    rich: Served, town: Town, chromium: Browser
) -> None:
    """They are told to sign in elsewhere and to reload: the browser sends the form again."""
    watched, before = editing(chromium, rich, script=False), newest(town)
    page = watched.page
    page.locator("#unused_after").fill("P5M")
    ended(town)
    page.get_by_role("button", name="Propose this policy").click()
    expect(page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    rich.cookie = let_in(town, "admin")
    enters(watched, rich)
    page.reload()
    expect(page.get_by_role("status").first).to_contain_text("is here again")
    assert page.locator("#unused_after").input_value() == "P5M"
    assert newest(town) == before
    page.get_by_role("button", name="Propose this policy").click()
    page.wait_for_url(f"**/policy/versions/{before + 1}")
    watched.context.close()


def test_the_first_page_leads_to_the_threshold_in_three_presses(
    rich: Served, town: Town, chromium: Browser
) -> None:
    watched = Watched(chromium, 360, "light")
    enters(watched, rich)
    page = watched.page
    page.goto(f"{rich.address}/console/products/tv/")
    months6 = tomorrow(town, unused_after="P6M", never_used_after="P6M")
    shown = page.get_by_role("row", name="6 months").first
    expect(shown).to_contain_text(f"{months6} people would be asked")
    page.get_by_label("Unused for").select_option("6")
    page.get_by_role("button", name="Look closer").click()
    expect(page.locator("#unused_after")).to_have_value("6")
    expect(page.locator("#tomorrow")).to_have_text(months6)
    watched.context.close()

"""A page wears the colour of its product, and nothing else may restyle it."""

import re

import pytest
from flask.testing import FlaskClient

from app.colors import HOUSE, shades
from app.store import brands
from app.store.brands import Own
from app.web.style import digest
from tests.probe import asked
from tests.world import Town, row

MAROON = "#8a1538"


@pytest.fixture
def pages(town: Town) -> list[str]:
    """Give the addresses of the pages that belong to a product."""
    town.join(row("ada"))
    asked(town, "ada")
    answer = f"/a/{town.links.answer_token(town.id_of('ada'), 1)}"
    return [answer, f"{answer}/one-click", "/p/tv"]


def wear(town: Town, color: str) -> None:
    with town.database.transaction() as connection:
        brands.write(connection, town.product.id, Own(color))


def sheet_of(browser: FlaskClient, path: str) -> tuple[str, str]:
    """Give the style sheet of a page, and what its headers allow."""
    answer = browser.get(path)
    assert answer.status_code == 200
    found = re.findall(r"<style>(.*?)</style>", answer.get_data(as_text=True), re.DOTALL)
    assert len(found) == 1
    assert "style=" not in answer.get_data(as_text=True)
    return found[0], answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("color", ["", MAROON])
def test_each_page_is_allowed_the_very_sheet_that_it_has(
    town: Town, browser: FlaskClient, pages: list[str], color: str
) -> None:
    wear(town, color)
    for path in pages:
        sheet, allowed = sheet_of(browser, path)
        assert f"style-src {digest(sheet)};" in allowed


def test_buttons_and_links_wear_the_colour_by_day_and_by_night(
    town: Town, browser: FlaskClient, pages: list[str]
) -> None:
    for path in pages:
        assert MAROON not in sheet_of(browser, path)[0]
    wear(town, MAROON)
    worn = shades(MAROON)
    for path in pages:
        sheet = sheet_of(browser, path)[0]
        own = sheet[sheet.rindex("@media (forced-colors: active)") :]
        assert f"--deed: {worn.deed};" in own
        assert f"--link: {worn.dark_link};" in own
        assert f"--on-deed: {worn.on_dark_deed};" in own
        assert HOUSE.deed not in own


def test_keep_and_cancel_stay_alike(town: Town, browser: FlaskClient, pages: list[str]) -> None:
    wear(town, MAROON)
    page = browser.get(pages[0]).get_data(as_text=True)
    choice = page[page.index('class="choice') :].partition("</div>")[0]
    buttons = re.findall(r"<button[^>]*>", choice)
    assert [re.sub(r'value="\w+"', "", each) for each in buttons] == ['<button name="answer" >'] * 2


def test_an_error_belongs_to_no_product_and_wears_ours(browser: FlaskClient, town: Town) -> None:
    wear(town, MAROON)
    assert MAROON not in browser.get("/a/nobody").get_data(as_text=True)

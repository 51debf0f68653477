"""The certificate of an erasure in a browser, and on paper."""

import os
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from tests.app.web.test_certificates import ID, begun, over
from tests.browser.conftest import PICTURES
from tests.world import Town

MOST_PAGES = 2


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1000, "light"), (360, "dark")])
def test_it_fits_whatever_it_is_shown_on(
    town: Town, address: str, chromium: Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    begun(town)
    over(town)
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(f"{address}/c/{ID}?lang=de")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if folder := os.environ.get(PICTURES):
        page.screenshot(path=f"{folder}/certificate-{width}-{scheme}.png", full_page=True)
    page.close()


def test_on_paper_it_is_black_on_white_and_without_what_only_a_screen_needs(
    town: Town, address: str, chromium: Browser, tmp_path: Path
) -> None:
    begun(town)
    over(town)
    page = chromium.new_page(color_scheme="dark")
    page.goto(f"{address}/c/{ID}")
    page.emulate_media(media="print")
    color, back = page.evaluate(
        "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"
    )
    assert (color, back) == ("rgb(0, 0, 0)", "rgb(255, 255, 255)")
    assert not page.locator("nav").is_visible()
    folder = Path(os.environ.get(PICTURES, tmp_path))
    raw = page.pdf(path=str(folder / "certificate.pdf"), format="A4")
    assert 1 <= raw.count(b"/Type /Page\n") <= MOST_PAGES
    page.screenshot(path=str(folder / "certificate-print.png"), full_page=True)
    page.close()

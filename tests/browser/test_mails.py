"""Every mail as a browser shows it: narrow and wide, light and dark, with pictures and without."""

import base64
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from app.world.mail.brief import NOTICES
from app.world.mail.draft import languages
from app.world.mail.logo import CONTENT_ID
from tests.app.world.mail.build import BRAND, brand, written
from tests.app.world.mail.test_own import png
from tests.browser.test_pages import SCHEMES, WIDTHS, Watched

WORN = brand(color="#8a1538", logo=png(), words=(("ask", "en", "Your {plan} list is waiting."),))
TONGUES = [language for language in languages() if language != "en"]


def looked_at(chromium: Browser, html: str, name: str, pictures: Path | None) -> None:
    """Show a mail as a mail program does, and judge it."""
    for width in WIDTHS:
        for scheme in SCHEMES:
            watched = Watched(chromium, width, scheme)
            watched.page.set_content(html)
            if pictures is not None:
                path = pictures / f"mail_{name}-{width}-{scheme}.png"
                watched.page.screenshot(path=path, full_page=True)
            judge(watched)
            watched.context.close()


def judge(watched: Watched) -> None:
    """Say what must hold of every mail."""
    asked = [each.url for each in watched.asked if not each.url.startswith("data:")]
    assert asked == [], "nothing is fetched"
    assert watched.context.cookies() == []
    beyond = watched.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert beyond == 0, "nothing is wider than the window"
    cut = watched.page.evaluate(
        "[...document.querySelectorAll('.answer a')].filter(each =>"
        " each.scrollWidth > each.clientWidth).map(each => each.textContent)"
    )
    assert cut == [], "every word of a button can be read"
    assert watched.faults() == []


@pytest.mark.parametrize("notice", NOTICES)
def test_every_notice(chromium: Browser, pictures: Path | None, notice: str) -> None:
    mail = written(notice=notice, keeps=True, owed=1349)
    looked_at(chromium, mail.html, notice, pictures)


@pytest.mark.parametrize("language", TONGUES)
@pytest.mark.parametrize("notice", ["ask", "suspended", "erasure_warning"])
def test_the_weightiest_in_every_language(
    chromium: Browser, pictures: Path | None, notice: str, language: str
) -> None:
    mail = written(notice=notice, language=language)
    looked_at(chromium, mail.html, f"{notice}_{language}", pictures)


@pytest.mark.parametrize("shown", [True, False])
def test_a_brand_of_its_own(chromium: Browser, pictures: Path | None, *, shown: bool) -> None:
    mail = written(by=WORN)
    picture = "data:image/png;base64," + base64.b64encode(png()).decode()
    html = mail.html.replace(f"cid:{CONTENT_ID}", picture if shown else "data:,")
    looked_at(chromium, html, "worn" if shown else "worn_without_pictures", pictures)


def test_keep_and_cancel_are_alike_in_a_mail(chromium: Browser) -> None:
    for brand_of in (BRAND, WORN):
        for width in WIDTHS:
            watched = Watched(chromium, width, "light")
            watched.page.set_content(written(by=brand_of).html)
            looks = (
                "each => { const style = getComputedStyle(each.parentElement), box ="
                " each.parentElement.getBoundingClientRect(); return [style.backgroundColor,"
                " getComputedStyle(each).color, box.width, box.height] }"
            )
            keep, cancel = (watched.page.locator(".answer a").nth(each) for each in (0, 1))
            assert keep.evaluate(looks) == cancel.evaluate(looks)
            watched.context.close()

"""The HTML part: nothing remote, small, readable in light and dark."""

import re
from itertools import pairwise

import pytest

from app.colors import shades
from app.world.mail.brief import NOTICES
from app.world.mail.draft import languages, source
from tests.app.world.mail.build import BRAND, BRIEF, addresses_in, written

KINDS = pytest.mark.parametrize("notice", NOTICES)
FETCHING = {"img", "link", "script", "iframe", "object", "embed", "video", "audio", "form", "input"}


@KINDS
@pytest.mark.parametrize("language", languages())
def test_nothing_is_fetched_and_links_lead_only_home(notice: str, language: str) -> None:
    mail = written(notice=notice, language=language)
    tags = {name for name, _ in mail.page.tags}
    assert not tags & FETCHING
    assert not re.search(r"url\(|@import|@font-face|background=|srcset=|\bsrc=", mail.html)
    ours = {BRIEF.answer_url, BRIEF.fresh_url, BRAND.support_url, BRAND.app_url}
    assert set(mail.page.links()) <= ours
    assert addresses_in(mail.html) <= ours


@KINDS
@pytest.mark.parametrize("language", languages())
def test_a_notice_is_under_thirty_kilobytes(notice: str, language: str) -> None:
    assert len(written(notice=notice, language=language).raw) < 30_000


@KINDS
def test_a_page_says_its_language_and_direction(notice: str) -> None:
    page = written(notice=notice).page
    html = next(found for tag, found in page.tags if tag == "html")
    assert (html["lang"], html["dir"]) == ("en-GB", "ltr")


@KINDS
@pytest.mark.parametrize("language", languages())
def test_every_language_builds_the_same_page(notice: str, language: str) -> None:
    tags = [tag for tag, _ in written(notice=notice, language=language).page.tags]
    assert tags == [tag for tag, _ in written(notice=notice).page.tags]


@KINDS
def test_headings_go_down_one_step_at_a_time(notice: str) -> None:
    levels = [int(tag[1]) for tag, _ in written(notice=notice).page.tags if tag in ("h1", "h2")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@KINDS
def test_tables_are_layout_and_say_so(notice: str) -> None:
    tables = [found for tag, found in written(notice=notice).page.tags if tag == "table"]
    assert tables
    assert all(table.get("role") == "presentation" for table in tables)


@pytest.mark.parametrize("language", languages())
def test_every_part_says_the_same_words(language: str) -> None:
    mail = written(language=language)
    letter = mail.text.partition("\n-- \n")[0]
    for line in filter(None, letter.split("\n")):
        words = re.sub(r"\s?: https://.*", "", line.removeprefix("- "))
        assert " ".join(words.split()) in mail.words


# --- contrast ------------------------------------------------------------------------------------

# What stands on what: (text, ground), each as (selector, property).
LIGHT = [
    (("body", "color"), (".letter", "background")),
    (("body", "color"), ("ul", "background")),
    ((".brand", "color"), (".page", "background")),
    ((".footer", "color"), (".page", "background")),
    ((".footer a", "color"), (".page", "background")),
    (("li strong", "color"), ("ul", "background")),
    (("a", "color"), (".letter", "background")),
    ((".answer a", "color"), (".answer", "background")),
]


def colors(css: str) -> dict[tuple[str, str], str]:
    """Give the colour that each selector sets, the last one winning."""
    return {
        (selector.strip(), name): color
        for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", css)
        for selector in selectors.split(",")
        for name, color in re.findall(r"(?:^|[;\s])(color|background):\s*(#[0-9a-f]{6})", body)
    }


def contrast(one: str, other: str) -> float:
    """Give the contrast of two colours as WCAG reckons it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    """Give the relative luminance of a colour."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("color", ["", "#8a1538", "#1d4f7c", "#000000"])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("text", "ground"), LIGHT)
def test_words_stand_out_from_their_ground(
    text: tuple[str, str], ground: tuple[str, str], color: str, *, dark: bool
) -> None:
    worn = shades(color)
    style = re.sub(
        r"\{\{ shades\.(\w+) \}\}",
        lambda found: str(getattr(worn, found[1])),
        source("layout.html").partition("<style>")[2].partition("</style>")[0],
    )
    normal, _, at_night = style.partition("@media (prefers-color-scheme: dark) {")
    found = colors(normal) | (colors(at_night.partition("\n}")[0]) if dark else {})
    assert contrast(found[text], found[ground]) >= 4.5

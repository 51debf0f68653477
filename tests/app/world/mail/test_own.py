"""What a product makes its own: a colour, a logo, a sentence; and what it may not."""

import contextlib
import re
import struct
import zlib
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.colors import DARK_SHEET, HOUSE, SHEET, checked, contrast, shades
from app.errors import Refused
from app.world.mail import logo, own
from app.world.mail.brief import NOTICES
from app.world.mail.draft import languages
from app.world.mail.plain import compose_plainly
from tests.app.world.mail.build import BRIEF, COMPOSER, brand, brief, read, written

JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    b"\xff\xc0\x00\x0b\x08\x00\x24\x00\x78\x01\x01\x11\x00\xff\xd9"
)


def png(wide: int = 240, high: int = 72, rest: bytes = b"") -> bytes:
    """Give a PNG of one colour; `rest` makes it larger."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 1, 0, 0, 0, 0))
    rows = zlib.compress((b"\0" + b"\0" * ((wide + 7) // 8)) * high)
    body = chunk(b"IDAT", rows) + (chunk(b"teXt", rest) if rest else b"")
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


# --- colours ---------------------------------------------------------------------------------


def test_contrast_is_what_wcag_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert contrast("#1d4f7c", "#1d4f7c") == pytest.approx(1)


colors = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@given(color=colors)
def test_every_colour_that_is_taken_can_be_read_by_day_and_by_night(color: str) -> None:
    try:
        taken = checked(color)
    except Refused as refused:
        nearest = re.search(r"#[0-9a-f]{6}", refused.mend or "")
        assert nearest
        taken = checked(nearest[0])
    found = shades(taken)
    assert contrast(found.deed, found.on_deed) >= 4.5
    assert contrast(found.deed, SHEET) >= 3
    assert contrast(found.link, SHEET) >= 4.5
    assert contrast(found.dark_deed, found.on_dark_deed) >= 4.5
    assert contrast(found.dark_deed, DARK_SHEET) >= 3
    assert contrast(found.dark_link, DARK_SHEET) >= 4.5


@pytest.mark.parametrize("wrong", ["", "red", "#123", "1d4f7c", "#1d4f7c;", "#gggggg", "url(x)"])
def test_what_is_no_colour_is_refused(wrong: str) -> None:
    with pytest.raises(Refused, match="six digits"):
        checked(wrong)


@pytest.mark.parametrize("pale", ["#ffffff", "#ffcc00", "#1db954"])
def test_a_colour_in_which_nothing_can_be_seen_is_refused_with_the_nearest(pale: str) -> None:
    with pytest.raises(Refused, match="the nearest that does"):
        checked(pale)


def test_a_mail_wears_the_colour_of_the_product_and_ours_where_there_is_none() -> None:
    theirs, ours = written(by=brand(color="#8a1538")).html, written().html
    assert "background: #8a1538" in theirs.replace("background-color", "background")
    assert HOUSE.deed not in theirs
    assert HOUSE.deed in ours


def test_keep_and_cancel_wear_the_same_colour() -> None:
    page = written(by=brand(color="#8a1538")).page
    buttons = page.styles_of("td", "#8a1538")
    assert len(buttons) == 2
    assert buttons[0] == buttons[1]


# --- a logo ----------------------------------------------------------------------------------


@pytest.mark.parametrize("picture", [png(), JPEG])
def test_a_logo_travels_with_the_mail_and_has_a_name_where_pictures_are_off(picture: bytes) -> None:
    ours = brand(logo=logo.checked(picture))
    mail = written(by=ours)
    images = [found for tag, found in mail.page.tags if tag == "img"]
    assert [image["src"] for image in images] == [f"cid:{logo.CONTENT_ID}"]
    assert images[0]["alt"] == ours.name
    assert "height" in images[0]
    parts = [part for part in mail.message.walk() if part.get_content_maintype() == "image"]
    assert [part.get_payload(decode=True) for part in parts] == [picture]
    assert parts[0]["Content-ID"] == f"<{logo.CONTENT_ID}>"
    assert parts[0].get_content_disposition() == "inline"
    assert ours.name in mail.text
    assert not message_from_bytes(mail.raw, policy=policy.default).defects


@pytest.mark.parametrize("notice", NOTICES)
@pytest.mark.parametrize("language", languages())
def test_with_the_largest_logo_a_notice_is_still_under_thirty_kilobytes(
    notice: str, language: str
) -> None:
    biggest = png(rest=b"x" * (logo.LARGEST - len(png()) - 12))
    assert len(biggest) == logo.LARGEST
    ours = brand(logo=logo.checked(biggest))
    assert len(written(by=ours, notice=notice, language=language).raw) < 30_000


def test_with_a_logo_the_fast_way_still_says_what_the_plain_way_says() -> None:
    ours = brand(logo=png(), color="#8a1538", words=(("ask", "en", "Your {plan} waits."),))
    fast = read(COMPOSER.compose(ours, BRIEF))
    slow = read(compose_plainly(COMPOSER, ours, BRIEF))
    assert (fast.text, fast.html) == (slow.text, slow.html)
    shape = [part.get_content_type() for part in fast.message.walk()]
    assert shape == [part.get_content_type() for part in slow.message.walk()]
    assert shape[:3] == ["multipart/alternative", "text/plain", "multipart/related"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (b"", "neither"),
        (b"GIF89a" + b"x" * 100, "neither"),
        (b"<svg onload=alert(1)>", "neither"),
        (png()[:-20], "cut off"),
        (JPEG[:-2], "cut off"),
        (JPEG[:20], "cut off"),
        (png(4000, 10), "4000 by 10"),
        (png(0, 10), "0 by 10"),
        (png(rest=b"x" * 9000), "the most"),
    ],
)
def test_what_is_no_small_picture_is_refused(wrong: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        logo.checked(wrong)


@given(st.binary(max_size=200).map(lambda tail: b"\xff\xd8\xff" + tail + b"\xff\xd9"))
def test_no_jpeg_is_a_stumbling_block(picture: bytes) -> None:
    with contextlib.suppress(Refused):
        assert logo.checked(picture) == picture


# --- a sentence ------------------------------------------------------------------------------


def test_a_sentence_stands_in_both_parts_of_its_notice_and_in_no_other() -> None:
    words = (("ask", "en", "Your {plan} shelf at {brand} is waiting until {answer_by}."),)
    mail = written(by=brand(words=words))
    said = "Your Family shelf at Northlight TV is waiting until Thursday, 1 October 2026."
    assert said in " ".join(mail.text.split())
    assert said in mail.words
    assert "waiting" not in written(by=brand(words=words), notice="reminder").text
    assert "waiting" not in written(by=brand(words=words), language="fr").text


def test_a_sentence_that_states_what_is_not_known_is_left_out() -> None:
    words = (("ask", "en", "You were last here on {last_used_on}, weren't you?"),)
    assert "weren't you" in written(by=brand(words=words)).text
    assert "weren't you" not in written(by=brand(words=words), last_used_on=None).text


@pytest.mark.parametrize(
    "text",
    [
        "**bold** [link](javascript:alert) <b>x</b> # no",
        "Braces {{ like }} these {{% and %}} {{{{ brand }}}}",
        "& < > \" '",
        "- a list",
        "1. a list",
    ],
)
def test_nothing_in_a_sentence_becomes_markup_or_a_template(text: str) -> None:
    plain = written(by=brand(words=(("ask", "en", "Plain words."),))).page.tags
    ours = brand(words=(("ask", "en", own.checked("ask", "en", text)),))
    mail = written(by=ours)
    assert mail.page.tags == plain
    shown = text.replace("{{", "{").replace("}}", "}")
    assert shown in mail.text
    assert " ".join(shown.split()) in mail.words


def test_a_plan_that_looks_like_a_placeholder_stays_what_it_is() -> None:
    words = (("ask", "en", "Your plan: {plan}."),)
    mail = read(COMPOSER.compose(brand(words=words), brief(plan="{brand} {price}")))
    assert "Your plan: {brand} {price}." in mail.text


@pytest.mark.parametrize(
    ("notice", "language", "text", "why"),
    [
        ("poem", "en", "Hello.", "no notice"),
        ("ask", "tlh", "nuqneH", "no language"),
        ("ask", "en", "", "1 to 300"),
        ("ask", "en", " \n\t ", "1 to 300"),
        ("ask", "en", "x" * 301, "1 to 300"),
        ("ask", "en", "Go to https://sale.example now", "leads nowhere"),
        ("ask", "en", "Go to www.sale.example now", "leads nowhere"),
        ("ask", "en", "Write to me@sale.example", "leads nowhere"),
        ("ask", "en", "Card 4111 1111 1111 1111", "a card number"),
        ("ask", "en", "see qZx09xZq", "stands for a fact"),
        ("ask", "en", "{answer_url}", "no placeholder"),
        ("ask", "en", "{brand.key}", "no placeholder"),
        ("ask", "en", "{brand!r}", "no placeholder"),
        ("ask", "en", "{brand:>9999999}", "no placeholder"),
        ("ask", "en", "{}", "no placeholder"),
        ("ask", "en", "{0}", "no placeholder"),
        ("ask", "en", "{brand", "no partner"),
        ("ask", "en", "brand}", "no partner"),
    ],
)
def test_a_sentence_that_may_not_be_is_refused(
    notice: str, language: str, text: str, why: str
) -> None:
    with pytest.raises(Refused, match=why):
        own.checked(notice, language, text)


def test_a_sentence_is_one_line_of_visible_text() -> None:
    assert own.checked("ask", "en", "  two\r\nlines\u202e \x00 ") == "two lines"

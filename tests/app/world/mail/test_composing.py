"""The bytes of a notice: the fast way says what the plain way says, and nothing gets out."""

import re
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.errors import Refused
from app.world.mail.brief import NOTICES, UNASKED
from app.world.mail.compose import Composer
from app.world.mail.plain import compose_plainly
from tests.app.world.mail.build import BRAND, COMPOSER, brand, brief, read, written

NASTY = (
    "Família & Amigos – 4K",  # noqa: RUF001 - as people write it
    "=?utf-8?q?=41?= =20 = ==",
    "<script>alert(1)</script>",
    "</li></ul><a href=https://evil.example>",
    ".leading dot",
    ".\r\n.\r\nMAIL FROM:<x@evil.example>",
    "\u202egnihsihp\u202c \u200fעברית\u200e",  # noqa: RUF001 - Hebrew
    "qZx00xZq qZx09xZq",
    "{{ brand }} {% raw %}",
    "*bold* [link](https://evil.example) `code` # no",
    "--=_reconfirm",
    "From the start",
    "trailing blank \t",
    "👩\u200d👩\u200d👧 family",
    "lone \ud800 surrogate",
    "x" * 700,
    "é" * 400,
    "a b " * 200,
    "\x00\x07\x1b[31m",
)
names = st.one_of(st.sampled_from(NASTY), st.text(max_size=60))
WARNED: dict[object, date] = {"erasure_warning": date(2030, 2, 28)}
"""What is warned of has a date."""
days = st.dates(date(2000, 1, 1), date(2060, 1, 1))
times = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
tails = st.text("abcXYZ019-._~%&=+,;:!$*@/?", max_size=80)
briefs = st.fixed_dictionaries(
    {
        "notice": st.sampled_from(NOTICES),
        "language": st.sampled_from(["en", "en-GB", "en-US", "en-IN", "fr", "fr-CA", "tlh"]),
        "timezone": st.sampled_from(["Europe/London", "Asia/Kolkata", "Pacific/Auckland"]),
        "plan": names,
        "amount": st.integers(0, 10**9),
        "currency": st.sampled_from(["GBP", "EUR", "JPY", "KWD", "RSD", "XYZ"]),
        "interval": st.sampled_from(["day", "week", "month", "year"]),
        "started_on": days,
        "answer_url": tails.map("https://a.example/".__add__),
        "one_click_url": tails.map("https://a.example/".__add__),
        "next_charge": st.none() | times,
        "last_used_on": st.none() | days,
        "answer_by": days,
        "erase_on": st.none() | days,
        "paid_until": st.none() | times,
        "decided_at": times,
        "without_answer": st.sampled_from(["suspend", "cancel_at_period_end", "nothing"]),
        "decided_by": st.sampled_from(["subscriber", "app", "silence"]),
        "reason": st.sampled_from(["never_used", "unused", "before_renewal"]),
        "charged_on": st.lists(days, max_size=8).map(tuple),
        "charged_behind": st.lists(days, max_size=8).map(tuple),
        "stands": st.sampled_from(["active", "suspended", "canceled", "ended"]),
        "final": st.booleans(),
        "keeps": st.booleans(),
        "owed": st.integers(0, 10**6),
        "erased_on": days,
    }
).map(lambda facts: facts | {"erase_on": facts["erase_on"] or WARNED.get(facts["notice"])})


def said(raw: bytes) -> tuple[list[tuple[str, str]], str, str]:
    """Give headers (but for the boundary) and both bodies, decoded."""
    mail = read(raw)
    own = {"content-type", "mime-version", "content-transfer-encoding"}
    headers = {name: str(text) for name, text in mail.message.items() if name.lower() not in own}
    # The newer parser leaves blanks between the encoded words of a name; the older one does not.
    headers["From"] = str(make_header(decode_header(message_from_bytes(raw)["From"])))
    return sorted(headers.items()), mail.text, mail.html


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(facts=briefs)
def test_the_fast_way_says_exactly_what_the_plain_way_says(facts: dict[str, Any]) -> None:
    one = brief(**facts)
    fast = COMPOSER.compose(BRAND, one)
    assert said(fast) == said(compose_plainly(COMPOSER, BRAND, one))
    assert_fit_for_the_wire(fast)


@pytest.mark.parametrize("notice", NOTICES)
@pytest.mark.parametrize("name", NASTY)
def test_no_plan_or_brand_breaks_a_message(name: str, notice: str) -> None:
    # The standard library takes an encoded word in a name for one of its own; ours is tested below.
    ours = brand(name=f"N{name[:20].replace('=?', '')}")
    one = brief(notice=notice, plan=name)
    fast = COMPOSER.compose(ours, one)
    assert said(fast) == said(compose_plainly(COMPOSER, ours, one))
    assert_fit_for_the_wire(fast)


def test_a_name_that_looks_like_an_encoded_word_is_shown_as_it_is() -> None:
    mail = written(by=brand(name="=?utf-8?q?=41?="))
    assert mail.subject == "Do you still want your =?utf-8?q?=41?= subscription?"
    assert "=?utf-8?q?=41?=" in mail.text


def assert_fit_for_the_wire(raw: bytes) -> None:
    """Check line ends, length of lines, and that it is ASCII."""
    lines = raw.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert max(map(len, lines)) <= 998
    assert raw.isascii()
    assert not message_from_bytes(raw, policy=policy.default).defects


@settings(max_examples=50, deadline=None)
@given(plan=names)
@example(plan="<script>alert(1)</script>")
def test_nothing_in_a_plan_becomes_markup(plan: str) -> None:
    plain, nasty = written(plan="Family").page.tags, written(plan=f"P{plan}").page.tags
    assert nasty == plain


def test_marks_that_turn_text_around_are_taken_out_and_joined_emoji_stay() -> None:
    mail = written(plan="\u202eevil\u2066 👩\u200d👧")
    assert "evil 👩\u200d👧" in mail.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", mail.text + mail.html)


# --- headers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("notice", NOTICES)
def test_only_what_comes_unasked_can_be_switched_off_with_one_click(notice: str) -> None:
    mail = written(notice=notice)
    expected = f"<{brief().one_click_url}>" if notice in UNASKED else None
    assert mail.message["List-Unsubscribe"] == expected
    post = "List-Unsubscribe=One-Click" if notice in UNASKED else None
    assert mail.message["List-Unsubscribe-Post"] == post


def test_a_long_one_click_link_is_neither_folded_nor_encoded() -> None:
    url = f"https://my.northlight.example/a/{'t' * 600}/one-click"
    mail = written(one_click_url=url)
    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in mail.head
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in mail.head


@pytest.mark.parametrize("notice", NOTICES)
def test_every_notice_carries_the_headers_it_owes(notice: str) -> None:
    mail = written(notice=notice)
    assert mail.message["From"] == "Northlight TV <care@northlight.example>"
    assert mail.message["Reply-To"] == "help@northlight.example"
    assert mail.message["To"] == "ada@subscribers.example"
    assert mail.message["Date"] == "Tue, 01 Sep 2026 12:00:00 +0000"
    assert mail.message["Message-ID"] == "<n.17.1.ask@northlight.example>"
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["Content-Language"] == "en-GB"
    assert mail.message.get_content_type() == "multipart/alternative"
    kinds = [part.get_content_type() for part in mail.message.iter_parts()]
    assert kinds == ["text/plain", "text/html"]


def test_the_same_brief_makes_the_same_bytes_in_any_process() -> None:
    assert Composer().compose(BRAND, brief()) == Composer().compose(BRAND, brief())


def test_without_a_reply_address_answers_go_to_the_sender() -> None:
    assert written(by=brand(reply_to="")).message["Reply-To"] is None


def test_an_address_beyond_ascii_keeps_its_local_part_and_wires_its_domain() -> None:
    assert b"\r\nTo: zo\xc3\xab@xn--bcher-kva.example\r\n" in written(to="zoë@bücher.example").raw


@pytest.mark.parametrize("field", ["to", "message_id", "one_click_url", "answer_url"])
@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\u2028", "\x00", "\x85"])
def test_a_line_break_in_a_header_is_refused(field: str, break_: str) -> None:
    good = str(getattr(brief(), field))
    for bad in (f"{good}{break_}Bcc: eve@evil.example", f"{break_}{good}", f"{good}{break_}"):
        with pytest.raises(Refused) as refusal:
            COMPOSER.compose(BRAND, brief(**{field: bad}))
        assert "evil" not in str(refusal.value)


@pytest.mark.parametrize("field", ["from_address", "reply_to", "support_url", "app_url"])
def test_a_line_break_in_what_a_brand_says_is_refused(field: str) -> None:
    good = str(getattr(BRAND, field))
    with pytest.raises(Refused):
        COMPOSER.compose(brand(**{field: f"{good}\r\nBcc: eve@evil.example"}), brief())


def test_a_line_break_in_a_name_becomes_a_blank() -> None:
    mail = written(by=brand(name="North\r\nBcc: eve@evil.example\r\n\r\nlight"), plan="A\r\nB")
    assert mail.message["Bcc"] is None
    assert "A B" in mail.text


@pytest.mark.parametrize(
    "to",
    [
        "",
        "ada",
        "ada@",
        "@x.example",
        "a@b@c.example",
        "ada@x.example, eve@x.example",
        "<ada@x.example>",
        "Ada <ada@x.example>",
        '"a b"@x.example',
        "ada@[127.0.0.1]",
        "ada@x..example",
        f"{'a' * 65}@x.example",
        f"a@{'x' * 300}.example",
    ],
)
def test_what_is_not_one_bare_address_is_refused_and_not_repeated(to: str) -> None:
    with pytest.raises(Refused) as refusal:
        COMPOSER.compose(BRAND, brief(to=to))
    assert not to or to not in str(refusal.value).replace("name@example.com", "")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//x.example/a", "https://", "https://a b"])
def test_a_link_that_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        COMPOSER.compose(BRAND, brief(answer_url=url))


# --- what is missing ---------------------------------------------------------------------------


def test_a_product_without_a_sender_says_how_to_give_it_one() -> None:
    with pytest.raises(Refused) as refusal:
        COMPOSER.compose(brand(from_address=""), brief())
    assert "reconfirm product set tv from=" in refusal.value.mend


@pytest.mark.parametrize(("field", "name"), [("from_address", "from"), ("reply_to", "reply_to")])
def test_a_malformed_address_of_the_product_says_how_to_mend_it(field: str, name: str) -> None:
    with pytest.raises(Refused) as refusal:
        COMPOSER.compose(brand(**{field: "nobody"}), brief())
    assert f"reconfirm product set tv {name}=" in refusal.value.mend


@pytest.mark.parametrize("field", ["notice", "interval", "without_answer", "decided_by", "reason"])
def test_a_choice_without_words_is_refused_by_name(field: str) -> None:
    with pytest.raises(Refused, match=field):
        COMPOSER.compose(BRAND, brief(**{field: "fortnightly"}))


@pytest.mark.parametrize(
    ("notice", "field"),
    [("ask", "answer_by"), ("kept", "decided_at"), ("suspended", "decided_at")],
)
def test_a_promise_with_a_gap_does_not_go_out(notice: str, field: str) -> None:
    with pytest.raises(Refused, match=field):
        COMPOSER.compose(BRAND, brief(notice=notice, **{field: None}))


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(Refused, match="time zone"):
        COMPOSER.compose(BRAND, brief(timezone="Mars/Olympus"))


def test_many_edits_of_a_brand_do_not_pile_up() -> None:
    composer = Composer()
    for number in range(300):
        composer._of(brand(name=f"Brand {number}"))
    assert len(composer._built) <= 256


@pytest.mark.parametrize("length", range(70, 82))
@pytest.mark.parametrize("sign", ["-", "=", "&"])
def test_a_link_of_any_length_keeps_every_line_within_bounds(length: int, sign: str) -> None:
    url = "https://a.example/".ljust(length - 1, "x") + sign
    mail = written(answer_url=url)
    assert f"Keep my subscription: {url}\n" in mail.text
    assert mail.page.links().count(url) == 2
    assert max(map(len, mail.raw.partition(b"\r\n\r\n")[2].split(b"\r\n"))) <= 76

"""The fast way means exactly what the plain way means, whatever the facts are."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.errors import Refused
from app.world.mail.brief import NOTICES, Brand, Brief
from app.world.mail.compose import Composer
from app.world.mail.plain import compose_plainly

NASTY = (
    "<script>alert('x')</script>",
    "Familie & Freunde = 2 × 50 %",
    "a=3D=\r\n.\r\nBcc: eve@example.org",
    ".",
    "*Stars* _and_ [links](https://evil.example) `code`",
    "{{ 7 * 7 }} {% raw %}",
    "Кино и музыка на всю семью, круглый год и без рекламы, пожалуйста",
    "=?utf-8?q?fooled?=",
    "qZx03xZq",
    "x" * 2000,
    "\u202egnp.exe",
    "--=_reconfirm--",
)
plans = st.one_of(st.sampled_from(NASTY), st.text(min_size=1, max_size=120))
days = st.none() | st.dates(date(1990, 1, 1), date(2100, 1, 1))
times = st.none() | st.datetimes(
    datetime(1990, 1, 1),  # noqa: DTZ001 - the strategy wants bounds without a zone and adds one
    datetime(2100, 1, 1),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)
facts = st.fixed_dictionaries(
    {
        "notice": st.sampled_from(NOTICES),
        "plan": plans,
        "amount": st.integers(0, 10**9),
        "currency": st.sampled_from(["GBP", "EUR", "JPY", "KWD", "RSD", "INR", "XYZ"]),
        "interval": st.sampled_from(["day", "week", "month", "year"]),
        "language": st.sampled_from(["en", "en-GB", "en-US", "de-DE", "ar", "x", "en-XX", ""]),
        "timezone": st.sampled_from(["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia"]),
        "next_charge": times,
        "last_used_on": days,
        "erase_on": days,
        "paid_until": times,
        "without_answer": st.sampled_from(["suspend", "cancel_at_period_end", "nothing"]),
        "decided_by": st.sampled_from(["subscriber", "app", "silence"]),
        "reason": st.sampled_from(["never_used", "unused", "before_renewal"]),
        "answer_url": st.from_regex(r"https?://[a-z]{1,9}/[!#-&(-;=?-~]{1,300}", fullmatch=True),
        "to": st.from_regex(r"[a-z0-9.+=/-]{1,40}@[a-z]{1,30}\.example", fullmatch=True),
    }
)
names = st.one_of(st.just("Cinema Plus"), st.sampled_from(["Ciné, Plus (TV)", 'A "B" <c@d.e>']))


def parsed(message: bytes) -> EmailMessage:
    read = message_from_bytes(message, policy=SMTP)
    assert isinstance(read, EmailMessage)
    assert not read.defects
    return read


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(facts, names)
@example({"plan": "x" * 2000}, "Cinema Plus")
def test_parses_back_to_what_the_plain_way_builds(
    composer: Composer, brand: Brand, brief: Brief, changed: dict[str, object], name: str
) -> None:
    brand, brief = replace(brand, name=name), replace(brief, **changed)  # type: ignore[arg-type]
    try:
        fast = composer.compose(brand, brief)
    except Refused:  # a plan of nothing but blanks and controls still makes a message
        pytest.fail("a sound brief was refused")
    ours, theirs = parsed(fast), parsed(compose_plainly(composer, brand, brief))
    built_apart = {"Content-Type"}
    assert {k: str(v) for k, v in ours.items() if k not in built_apart} == {
        k: str(v) for k, v in theirs.items() if k not in built_apart
    }
    for kind in ("plain", "html"):
        assert body(ours, kind) == body(theirs, kind)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(facts, names)
def test_lines_are_fit_for_every_relay(
    composer: Composer, brand: Brand, brief: Brief, changed: dict[str, object], name: str
) -> None:
    message = composer.compose(replace(brand, name=name), replace(brief, **changed))  # type: ignore[arg-type]
    assert message.count(b"\r\n") == message.count(b"\n") == message.count(b"\r")
    assert message.isascii()
    head, _, rest = message.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(map(len, rest.split(b"\r\n"))) <= 76
    assert message.count(b"\r\n--=_reconfirm") == 3


def test_nothing_in_a_plan_becomes_markup_or_a_header(
    composer: Composer, brand: Brand, brief: Brief
) -> None:
    for plan in NASTY:
        message = parsed(composer.compose(brand, replace(brief, plan=plan)))
        assert message["Bcc"] is None
        assert "<script" not in body(message, "html")
        assert "evil.example" not in "".join(re.findall(r'href="[^"]*"', body(message, "html")))


def test_headers_are_those_of_the_contract(composer: Composer, brand: Brand, brief: Brief) -> None:
    message = composer.compose(brand, brief)
    head = message.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head == [
        "From: Cinema Plus <subscriptions@cinema.example>",
        "To: ada@example.org",
        "Subject: Do you still want your Cinema Plus subscription?",
        "Date: Tue, 01 Sep 2026 09:00:00 +0000",
        "Message-ID: <1.ask@cinema.example>",
        "Reply-To: help@cinema.example",
        f"List-Unsubscribe: <{brief.one_click_url}>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Auto-Submitted: auto-generated",
        "Content-Language: en-GB",
        "MIME-Version: 1.0",
        'Content-Type: multipart/alternative; boundary="=_reconfirm"',
    ]


@pytest.mark.parametrize("notice", NOTICES)
def test_only_what_comes_unasked_can_be_unsubscribed(
    composer: Composer, brand: Brand, brief: Brief, notice: str
) -> None:
    message = parsed(composer.compose(brand, replace(brief, notice=notice)))
    assert ("List-Unsubscribe" in message) == (notice in {"ask", "reminder"})
    assert ("List-Unsubscribe-Post" in message) == ("List-Unsubscribe" in message)


def test_an_address_beyond_ascii_keeps_its_local_part_and_gets_an_ascii_domain(
    composer: Composer, brand: Brand, brief: Brief
) -> None:
    message = composer.compose(brand, replace(brief, to="zoë@bücher.example"))
    assert "\r\nTo: zoë@xn--bcher-kva.example\r\n".encode() in message


@pytest.mark.parametrize(
    "changed",
    [
        {"to": "ada@example.org\r\nBcc: eve@example.org"},
        {"to": "ada"},
        {"to": ""},
        {"message_id": "1>\r\nX: y"},
        {"message_id": "a b"},
        {"answer_url": "javascript:alert(1)"},
        {"answer_url": 'https://x.example/"onclick="'},
        {"one_click_url": "https://x.example/\r\nX: y"},
        {"one_click_url": ""},
        {"timezone": "Europe/Nowhere"},
        {"timezone": "../../etc/passwd"},
        {"notice": "../layout"},
        {"interval": "decade"},
        {"without_answer": "erase"},
        {"decided_by": "a robot"},
        {"reason": "boredom"},
        {"answer_by": None},
        {"notice": "kept", "decided_at": None},
    ],
)
def test_a_brief_that_cannot_be_kept_is_refused(
    composer: Composer, brand: Brand, brief: Brief, changed: dict[str, object]
) -> None:
    with pytest.raises(Refused) as refused:
        composer.compose(brand, replace(brief, **changed))  # type: ignore[arg-type]
    assert "ada@" not in str(refused.value)
    assert "eve@" not in str(refused.value)


def test_brands_do_not_mix(composer: Composer, brand: Brand, brief: Brief) -> None:
    other = replace(brand, name="Song Plus", support_url="")
    for each, not_this in ((brand, "Song"), (other, "Cinema"), (brand, "Song")):
        assert not_this.encode() not in composer.compose(
            each, replace(brief, answer_url="https://x.example/")
        ).replace(b"cinema", b"")


def test_many_brands_do_not_fill_the_memory(brand: Brand, brief: Brief) -> None:
    composer = Composer()
    composer._built = {replace(brand, key=str(n)): {} for n in range(256)}
    composer.compose(brand, brief)
    assert len(composer._built) == 1

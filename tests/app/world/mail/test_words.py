"""What the notices say: nine facts in every ask, the decision in every receipt, in every language."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import product

import jinja2
import pytest
from jinja2 import meta

from app.world.mail.brief import NOTICES, Brand, Brief
from app.world.mail.compose import Composer
from app.world.mail.draft import languages, source, tongue
from app.world.mail.facts import BRAND_FACTS, CHOICES, FACTS

SHARED = ("_footer", "_words")
KNOWN = {*FACTS, *BRAND_FACTS, *CHOICES, "charged_first"}
RECEIPTS = ("kept", "canceled", "suspended", "resumed")


def prose(html: str) -> str:
    return " ".join(
        re.sub(r"<style.*?</style>|<title.*?</title>|<[^>]+>", " ", html, flags=re.S).split()
    )


def flat(text: str) -> str:
    return " ".join(text.split())


ASKS = [
    dict(
        zip(
            ("last_used_on", "erase_on", "without_answer", "interval", "reason"),
            values,
            strict=True,
        )
    )
    for values in product(
        (None, date(2024, 8, 14)),
        (None, date(2027, 8, 15)),
        ("suspend", "cancel_at_period_end", "nothing"),
        ("month", "year"),
        ("unused", "before_renewal"),
    )
]


@pytest.mark.parametrize("support", ["https://cinema.example/help", ""])
@pytest.mark.parametrize("changed", ASKS, ids=lambda changed: "-".join(map(str, changed.values())))
def test_every_ask_states_the_nine_facts(
    composer: Composer, brand: Brand, brief: Brief, changed: dict[str, object], support: str
) -> None:
    brief = replace(brief, **changed)  # type: ignore[arg-type]
    said = composer.preview(replace(brand, support_url=support), brief)
    for words in (flat(said.text), prose(said.html)):
        ends = {
            "suspend": "end of Saturday, 3 October 2026, we suspend your subscription and stop charging",
            "cancel_at_period_end": "end of Saturday, 3 October 2026, we cancel your subscription",
            "nothing": "end of Saturday, 3 October 2026, nothing changes",
        }[brief.without_answer]
        used = "14 August 2024" if brief.last_used_on else "never, since it began on 1 March 2023"
        kept = (
            "until at least 15 August 2027"
            if brief.erase_on
            else "not scheduled anything to be erased"
        )
        nine = {
            "who writes and why": (
                "Cinema Plus writes to you",
                "You pay for Cinema Plus",
                "So we ask",
            ),
            "product and plan": ("Cinema Plus – Standard",),
            "price and next charge": (f"£5.99 a {brief.interval}", "14 October 2026"),
            "last use": (used,),
            "without an answer": (words_of(ends, words),),
            "how to keep": ("Keep my subscription",),
            "how to cancel": ("Cancel my subscription",),
            "what is kept until when": (kept,),
            "coming back and objecting": ("come back", "object", "reply to this message", support),
        }
        missing = [
            (fact, each) for fact, told in nine.items() for each in told if each not in words
        ]
        assert not missing
    assert f"Keep my subscription: {brief.answer_url}\n" in said.text
    assert f"Cancel my subscription: {brief.answer_url}\n" in said.text


def words_of(expected: str, found: str) -> str:
    """Give the expected words with the blank that a closing tag leaves before a comma."""
    spaced = expected.replace("2026,", "2026 ,").replace("and stop", "and stop")
    return spaced if spaced in found else expected


def test_keep_and_cancel_differ_in_nothing_but_the_word(
    composer: Composer, brand: Brand, brief: Brief
) -> None:
    html = composer.preview(brand, brief).html
    keep, cancel = re.findall(r'<td class="answer".*?</td>', html)
    assert keep.replace("Keep", "") == cancel.replace("Cancel", "")


def test_a_charge_within_the_window_is_announced(
    composer: Composer, brand: Brand, brief: Brief
) -> None:
    soon = replace(brief, next_charge=datetime(2026, 9, 14, tzinfo=UTC))
    for notice in ("ask", "reminder"):
        assert "It is still made" in flat(
            composer.preview(brand, replace(soon, notice=notice)).text
        ) or "is still made" in flat(composer.preview(brand, replace(soon, notice=notice)).text)
        assert "still made" not in composer.preview(brand, replace(brief, notice=notice)).text


def test_the_reminder_states_the_same_date_as_the_ask(
    composer: Composer, brand: Brand, brief: Brief
) -> None:
    said = composer.preview(brand, replace(brief, notice="reminder"))
    assert "Saturday, 3 October 2026" in said.subject
    assert "Saturday, 3 October 2026" in said.text


@pytest.mark.parametrize("notice", RECEIPTS)
@pytest.mark.parametrize("erase_on", [None, date(2027, 8, 15)])
@pytest.mark.parametrize(
    ("decided_by", "who"),
    [
        ("subscriber", "you, on your answer page"),
        ("app", "you, inside Cinema Plus"),
        ("silence", "us, because"),
    ],
)
def test_every_receipt_states_the_decision(  # noqa: PLR0913, PLR0917 - three things vary
    composer: Composer,
    brand: Brand,
    brief: Brief,
    notice: str,
    erase_on: date | None,
    decided_by: str,
    who: str,
) -> None:
    said = composer.preview(
        brand, replace(brief, notice=notice, erase_on=erase_on, decided_by=decided_by)
    )
    money = (
        "no charge from now on"
        if notice in {"canceled", "suspended"}
        else "Next charge: 14 October 2026"
    )
    data = "15 August 2027" if erase_on else "nothing is scheduled to be erased"
    for fact in (
        "- Decided: ",
        f"- By: {who}",
        "- When: 4 October 2026, 00:01 (BST)",
        money,
        data,
        brief.answer_url,
    ):
        assert fact in said.text
    if notice in {"canceled", "suspended"}:
        assert "Usable until: 14 October 2026" in said.text


def test_what_you_did_and_what_we_did_are_told_apart(
    composer: Composer, brand: Brand, brief: Brief
) -> None:
    subjects = {
        composer.preview(brand, replace(brief, notice=notice, decided_by=who)).subject
        for notice, who in (
            ("canceled", "subscriber"),
            ("canceled", "silence"),
            ("suspended", "silence"),
        )
    }
    assert len(subjects) == 3
    assert sum(subject.startswith("You canceled") for subject in subjects) == 1


def test_welcome_back_charges_nothing_and_erases_nothing(
    composer: Composer, brand: Brand, brief: Brief
) -> None:
    text = composer.preview(brand, replace(brief, notice="welcome_back", erase_on=None)).text
    assert "nothing is charged unless you resume" in text
    assert "no longer scheduled to be erased" in text
    assert f"Resume my subscription: {brief.answer_url}" in text


@pytest.mark.parametrize("notice", NOTICES)
def test_no_link_leads_anywhere_unexpected(
    composer: Composer, brand: Brand, brief: Brief, notice: str
) -> None:
    said = composer.preview(brand, replace(brief, notice=notice))
    allowed = {brief.answer_url, brand.support_url, brand.app_url}
    assert set(re.findall(r"https?://[^\s\"<>)]+", said.text)) <= allowed | {
        f"{brand.support_url}."
    }
    assert set(re.findall(r'(?:href|src|url)[=(]"?([^"\s>)]+)', said.html)) <= allowed
    assert not re.findall(r"<(?:img|script|link|iframe|object|form|video)|@import|url\(", said.html)


@pytest.mark.parametrize("notice", NOTICES)
def test_pages_are_small_readable_and_ready_for_either_direction(
    composer: Composer, brand: Brand, brief: Brief, notice: str
) -> None:
    said = composer.preview(brand, replace(brief, notice=notice))
    assert len(said.html.encode()) < 30_000
    assert '<html lang="en-GB" dir="ltr"' in said.html
    assert "prefers-color-scheme: dark" in said.html
    assert "qZx" not in said.html + said.text + said.subject
    assert not re.search(r"\n{4}|  +\n|\*\*|\]\(", said.text)


def test_a_language_without_templates_is_written_in_english() -> None:
    assert tongue("tlh").folder == "en"
    assert tongue("tlh").locale == "en"
    assert tongue("en-GB").locale == "en_GB"
    assert tongue("en-Nowhere").locale == "en"
    assert tongue("").folder == "en"


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("name", [*NOTICES, *SHARED])
def test_every_language_has_every_notice_and_uses_known_names(language: str, name: str) -> None:
    tree = jinja2.Environment(autoescape=True).parse(source(f"{language}/{name}.md"))
    assert meta.find_undeclared_variables(tree) <= KNOWN
    if name in NOTICES:
        assert "Subject: " in source(f"{language}/{name}.md")

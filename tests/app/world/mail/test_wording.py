"""What notices say: nine facts in every ask, receipts that state who decided what and when."""

import itertools
import re
from datetime import date
from importlib.resources import files
from typing import Any

import jinja2
import pytest
from jinja2 import meta, nodes

from app.errors import Refused
from app.world.mail import say
from app.world.mail.brief import NOTICES, UNASKED
from app.world.mail.draft import cut, languages, nearest, source, tongue
from app.world.mail.facts import BRAND_FACTS, CHOICES, COUNTED, FACTS
from app.world.mail.facts import facts as told
from tests.app.world.mail.build import BRAND, BRIEF, COMPOSER, Mail, brand, brief, written

DASH = "\N{EN DASH}"
RECEIPTS = ("kept", "canceled", "suspended", "resumed")
WITHOUT = ("suspend", "cancel_at_period_end", "nothing")
SILENCE = {
    "suspend": "we suspend your subscription and stop charging you",
    "cancel_at_period_end": "we cancel your subscription",
    "nothing": "nothing changes: your subscription goes on, and you are charged as before",
}
Facts = dict[str, Any]
USE: dict[str, Facts] = {
    "never_used": {"last_used_on": None},
    "unused": {},
    "before_renewal": {"interval": "year"},
}


def both(mail: Mail) -> tuple[str, str]:
    """Give the words of both parts, blanks run together."""
    return " ".join(mail.text.split()), mail.words


# --- the ask -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", USE)
@pytest.mark.parametrize("without", WITHOUT)
@pytest.mark.parametrize("erased", [True, False])
@pytest.mark.parametrize("charged", [True, False])
def test_every_ask_states_nine_facts_in_both_parts(
    reason: str, without: str, *, erased: bool, charged: bool
) -> None:
    facts: dict[str, Any] = {"reason": reason, "without_answer": without, **USE[reason]}
    facts |= {} if erased else {"erase_on": None}
    facts |= {} if charged else {"next_charge": None}
    for words in both(written(**facts)):
        assert_who_and_why(words)
        assert f"Subscription: Northlight TV {DASH} Family" in words
        price = "£13.49 a year" if reason == "before_renewal" else "£13.49 a month"
        charge = "20 October 2026" if charged else "no date is set"
        assert f"Price: {price}" in words
        assert f"Next charge: {charge}" in words
        used = "never, since it began on 14 March 2021" if reason == "never_used" else "2 January"
        assert f"Last used: {used}" in words
        assert "by the end of Thursday, 1 October 2026" in words
        assert SILENCE[without] in words
        assert "Keep my subscription" in words
        assert "Cancel my subscription" in words
        assert ("at least 5 August 2027" if erased else "nothing to be erased") in words
        assert "undo your answer, or come back" in words
        assert "if you object" in words


def assert_who_and_why(words: str) -> None:
    """Check that somebody names himself and says why he writes."""
    assert "You pay for Northlight TV" in words
    assert "have not used it" in words
    assert "Northlight TV writes to you because you have a subscription there" in words


def test_an_ask_before_a_renewal_says_so() -> None:
    assert "before it renews on 20 October 2026" in written(reason="before_renewal").text
    assert "before it renews" not in written(reason="unused").text


STILL = "Before that day is over"
RIGHT_AFTER = "right after that day and may still be made"
ONCE, SOME = (date(2026, 9, 15),), (date(2026, 9, 8), date(2026, 9, 22))
DAILY = tuple(date(2026, 9, day) for day in range(2, 31))


@pytest.mark.parametrize("notice", ["ask", "reminder"])
@pytest.mark.parametrize(
    ("days", "told"),
    [
        (ONCE, "£13.49 is still charged on 15 September 2026, unless you cancel first."),
        (
            SOME,
            (
                "£13.49 is still charged on each of these days, unless you cancel first:"
                " 8 September 2026 and 22 September 2026."
            ),
        ),
        (
            DAILY,
            (
                "£13.49 a month is still charged, from 2 September 2026 to 30 September 2026,"
                " unless you cancel first."
            ),
        ),
    ],
)
def test_every_charge_before_the_deadline_is_named(
    notice: str, days: tuple[date, ...], told: str
) -> None:
    for words in both(written(notice=notice, charged_on=days)):
        assert f"{STILL}, {told}" in words
        assert RIGHT_AFTER not in words


@pytest.mark.parametrize("notice", ["ask", "reminder"])
@pytest.mark.parametrize(
    ("days", "told"),
    [
        ((date(2026, 10, 3),), "The charge of 3 October 2026 comes right after"),
        (
            (date(2026, 10, 2), date(2026, 10, 3)),
            "The charges of 2 October 2026 and 3 October 2026 come right after",
        ),
        (
            tuple(date(2026, 10, day) for day in range(2, 9)),
            "The charges from 2 October 2026 on come right after",
        ),
    ],
)
def test_a_charge_before_silence_counts_is_named(
    notice: str, days: tuple[date, ...], told: str
) -> None:
    for words in both(written(notice=notice, charged_behind=days)):
        assert told in words
        assert RIGHT_AFTER in words
        assert STILL not in words


def test_both_are_told_where_money_is_charged_before_and_after() -> None:
    words = both(written(charged_on=ONCE, charged_behind=(date(2026, 10, 3),)))[0]
    assert "unless you cancel first. The charge of 3 October 2026 comes" in words


@pytest.mark.parametrize("notice", ["ask", "reminder"])
def test_no_charge_is_named_where_none_comes_or_none_is_stopped(notice: str) -> None:
    nothing = written(notice=notice, charged_on=SOME, charged_behind=ONCE, without_answer="nothing")
    for mail in (written(notice=notice), nothing):
        assert STILL not in mail.text
        assert RIGHT_AFTER not in mail.text


@pytest.mark.parametrize("days", [{"charged_on": ONCE}, {"charged_behind": ONCE}])
def test_an_ask_is_not_well_before_a_renewal_that_comes_first(days: Facts) -> None:
    assert "before it renews" not in written(reason="before_renewal", **days).text


def test_an_ask_without_a_deadline_promises_none() -> None:
    text = written(answer_by=None, without_answer="nothing").text
    assert "no deadline" in text
    assert "Nothing changes: your subscription goes on" in text


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("notice", ["ask", "reminder"])
def test_keep_and_cancel_are_equals(notice: str, language: str) -> None:
    page = written(notice=notice, language=language).page
    cells = page.styles_of("td", "background: #23405c") or page.styles_of(
        "td", "text-align: center"
    )
    assert len(cells) == 2
    assert cells[0] == cells[1]
    buttons = page.styles_of("a", "display: block")
    assert len(buttons) == 2
    assert buttons[0] == buttons[1]
    assert page.links().count(BRIEF.answer_url) == 2


# --- receipts ----------------------------------------------------------------------------------

DECIDED = {"kept": "keep", "canceled": "cancel", "suspended": "suspend", "resumed": "resume"}
BY = {
    "subscriber": "you, on your answer page",
    "app": "you, inside Northlight TV",
    "silence": "us, because we did not hear from you",
}


@pytest.mark.parametrize("notice", RECEIPTS)
@pytest.mark.parametrize("decided_by", BY)
def test_a_receipt_states_what_was_decided_by_whom_and_when(notice: str, decided_by: str) -> None:
    for words in both(written(notice=notice, decided_by=decided_by)):
        assert f"Decided: {DECIDED[notice]} Northlight TV {DASH} Family" in words
        assert f"By: {BY[decided_by]}" in words
        assert "When: 3 September 2026, 14:05 (BST)" in words
        assert BRIEF.answer_url in words or BRIEF.answer_url in written(notice=notice).html


@pytest.mark.parametrize("notice", ["suspended", "canceled"])
def test_the_end_of_payment_is_told_with_what_stays_usable(notice: str) -> None:
    text = written(notice=notice).text
    assert "no charge from now on" in text
    assert "20 September 2026, the end of the time you paid for" in text
    assert "5 August 2027" in text
    assert "scheduled to be erased" in written(notice=notice, erase_on=None).text


def test_what_you_did_and_what_we_did_are_told_apart() -> None:
    done = [("canceled", "subscriber"), ("canceled", "silence"), ("suspended", "silence")]
    subjects = [written(notice=notice, decided_by=by).subject for notice, by in done]
    assert len(set(subjects)) == len(done)
    assert [subject.startswith("You ") for subject in subjects] == [True, False, False]


def test_coming_back_charges_nobody() -> None:
    text = written(notice="welcome_back").text
    assert "nothing is charged unless you resume" in text
    assert "no longer scheduled to be erased" in text


# --- every language ------------------------------------------------------------------------------


def test_english_is_there_since_all_else_falls_back_to_it() -> None:
    assert "en" in languages()
    assert tongue("tlh-XX").folder == "en"


@pytest.mark.parametrize("language", languages())
def test_each_language_has_every_notice_and_no_other(language: str) -> None:
    folder = files("email_templates").joinpath(language)
    names = {f"{name}.md" for name in (*NOTICES, "_footer", "_words")}
    assert {entry.name for entry in folder.iterdir()} == names
    assert all(folder.joinpath(name).read_text("utf-8").strip() for name in names)


@pytest.mark.parametrize(
    ("wishes", "folder"),
    [
        (("fr-CA", "en"), "fr"),
        (("ja", "fr"), "fr"),
        (("", "not a language", "fr_BE"), "fr"),
        (("ja", "tlh"), "en"),
        ((), "en"),
    ],
)
def test_the_first_wish_there_are_words_in_is_granted(wishes: tuple[str, ...], folder: str) -> None:
    assert nearest(*wishes).folder == folder


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("name", [*NOTICES, "_footer", "_words"])
def test_a_template_uses_the_variables_that_english_uses(language: str, name: str) -> None:
    assert variables_of(f"{language}/{name}.md") == variables_of(f"en/{name}.md")


def variables_of(name: str) -> set[str]:
    """Give what a template asks for, and the phrases it shares with others."""
    parsed = jinja2.Environment(autoescape=True).parse(source(name))
    shared = {one for each in parsed.find_all(nodes.FromImport) for one in each.names}
    macros = {each.name for each in parsed.find_all(nodes.Macro)}
    return meta.find_undeclared_variables(parsed) | {str(each) for each in shared | macros}


@pytest.mark.parametrize("language", [each for each in languages() if each != "en"])
@pytest.mark.parametrize("notice", NOTICES)
@pytest.mark.parametrize("charge", range(8))
def test_every_language_states_in_each_wording_what_english_states(
    language: str, notice: str, charge: int
) -> None:
    charges = CHARGES[charge]
    for choice, lacks in itertools.product(choices_of(notice), LACKS):
        facts = charges | choice | lacks
        if not tellable(notice, facts):
            continue
        assert stated(language=language, notice=notice, **facts) == stated(notice=notice, **facts)


UNASKED_FOR: list[Facts] = [
    {"without_answer": without, "reason": reason}
    for without, reason in itertools.product(WITHOUT, USE)
]
CHARGES: list[Facts] = [
    {"charged_on": before, "charged_behind": behind}
    for before, behind in (
        ((), ()), (ONCE, ()), (SOME, ()), (DAILY, ()),
        ((), ONCE), ((), SOME), ((), DAILY), (SOME, ONCE),
    )
]  # fmt: skip
DECIDED_FOR: list[Facts] = [{"decided_by": decided_by} for decided_by in BY]
ERASED_FOR: list[Facts] = [
    {"stands": stands, "final": final, "keeps": keeps}
    for stands, final, keeps in itertools.product(
        ("suspended", "canceled"), (True, False), (True, False)
    )
]
SORRY_FOR: list[Facts] = [
    {"stands": stands, "owed": owed}
    for stands, owed in itertools.product(("active", "suspended", "canceled", "ended"), (0, 1349))
]


def choices_of(notice: str) -> list[Facts]:
    """Give what picks the wording of a notice."""
    if notice in UNASKED:
        return UNASKED_FOR
    if notice in ("erasure_warning", "erased", "fresh_link"):
        return ERASED_FOR
    return SORRY_FOR if notice == "apology" else DECIDED_FOR


def tellable(notice: str, facts: Facts) -> bool:
    """Say whether a notice can go out with these facts: what it promises has a date."""
    return notice != "erasure_warning" or facts.get("erase_on", True) is not None


LACKS: list[Facts] = [
    {},
    {"plan": ""},
    *({name: None} for name in ("next_charge", "last_used_on", "erase_on", "paid_until")),
    {"answer_by": None, "without_answer": "nothing"},
]


def stated(**facts: Any) -> tuple[list[int], list[int]]:
    """Give which facts a subject and a letter state, by their numbers, and how often."""
    one = brief(**facts)
    spoken = tongue(one.language)
    draft = COMPOSER._skeleton(BRAND, one, spoken, told(one, spoken.locale)).draft
    subject, letter = cut(draft.subject), cut(draft.text)
    return sorted(subject[1::2], key=int), sorted(letter[1::2], key=int)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("notice", NOTICES)
def test_a_template_uses_no_unknown_variable(language: str, notice: str) -> None:
    known = {*FACTS, *BRAND_FACTS, *CHOICES, *COUNTED}
    parsed = jinja2.Environment(autoescape=True).parse(source(f"{language}/{notice}.md"))
    assert meta.find_undeclared_variables(parsed) <= known


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize(("without", "erased"), list(itertools.product(WITHOUT, [True, False])))
def test_every_language_states_the_same_facts(language: str, without: str, *, erased: bool) -> None:
    facts: dict[str, Any] = {} if erased else {"erase_on": None}
    mail = written(language=language, without_answer=without, **facts)
    locale = tongue(language).locale
    days = [BRIEF.last_used_on, BRIEF.erase_on if erased else None, BRIEF.next_charge]
    for words in both(mail):
        assert f"{BRAND.name} {DASH} {BRIEF.plan}" in words
        assert " ".join(say.money(1349, "GBP", locale).split()) in words
        assert BRIEF.answer_by is not None
        assert say.weekday(BRIEF.answer_by, locale) in words
        for day in filter(None, days):
            assert say.day(day, locale) in words


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("notice", NOTICES)
@pytest.mark.parametrize("bare", [True, False])
def test_every_wording_reads_like_a_letter(language: str, notice: str, *, bare: bool) -> None:
    nothing = {"next_charge", "last_used_on", "erase_on", "paid_until"} if bare else set()
    facts: dict[str, Any] = dict.fromkeys(nothing) | ({"plan": ""} if bare else {})
    facts |= {} if tellable(notice, facts) else {"erase_on": BRIEF.erase_on}
    ours = brand(support_url="", app_url="") if bare else BRAND
    for choice, without, charges in itertools.product(choices_of(notice), WITHOUT, CHARGES):
        chosen = {"without_answer": without, **charges, **choice}
        assert_reads_well(written(by=ours, notice=notice, language=language, **facts, **chosen))


@pytest.mark.parametrize("language", languages())
def test_what_is_to_be_erased_without_a_date_is_not_announced(language: str) -> None:
    with pytest.raises(Refused, match="erase_on"):
        written(notice="erasure_warning", language=language, erase_on=None)


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("final", [True, False])
def test_a_warning_states_the_day_and_how_to_keep(language: str, *, final: bool) -> None:
    mail = written(notice="erasure_warning", language=language, final=final)
    assert BRIEF.erase_on is not None
    assert say.day(BRIEF.erase_on, tongue(language).locale) in mail.text
    assert set(mail.page.links()) == {BRIEF.answer_url, BRAND.support_url}


@pytest.mark.parametrize("language", languages())
def test_the_last_message_of_all_leads_to_no_page_of_answers(language: str) -> None:
    mail = written(notice="erased", language=language)
    assert BRIEF.answer_url not in mail.raw.decode()
    assert BRIEF.erased_on is not None
    assert say.day(BRIEF.erased_on, tongue(language).locale) in mail.text


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("stands", ["suspended", "canceled", "ended"])
def test_an_apology_asks_before_it_charges_and_says_what_is_owed(
    language: str, stands: str
) -> None:
    mail = written(notice="apology", language=language, stands=stands, owed=2698)
    owed = " ".join(say.money(2698, "GBP", tongue(language).locale).split())
    assert owed in " ".join(mail.text.split())
    nothing = written(notice="apology", language=language, stands=stands)
    assert owed not in " ".join(nothing.text.split())


def assert_reads_well(mail: Mail) -> None:
    """Check for gaps, leftovers and stray blanks in the text part and the subject."""
    letter, _, small_print = mail.text.partition("\n-- \n")
    assert small_print.strip()
    assert len(mail.subject) <= 78
    for text in (letter, small_print, mail.subject):
        assert not re.search(r"\n{4}", text)
        assert not re.search(r"[^\n-] {2}|[ \t]\n| [.,;:?](\s|$)|\(\)|\*\*|<[^>]*>|qZx|None", text)
    for block in letter.split("\n\n"):
        lines = block.split("\n")
        items = [line for line in lines if line.startswith("- ")]
        assert not items or items == lines


def test_the_text_part_shows_each_address_once_on_a_line_of_its_own() -> None:
    lines = written().text.split("\n")
    assert f"Keep my subscription: {BRIEF.answer_url}" in lines
    assert f"Cancel my subscription: {BRIEF.answer_url}" in lines

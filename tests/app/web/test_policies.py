"""The public page of a product: what it says follows from the policy's fields alone."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import policy as policies
from app.policy import When, knobs
from app.store import tables
from app.web.policies import HELD, OUR_KEYS
from app.web.rules import KNOBS, LIMITS, NOT_TOLD, TOLD, duration
from app.web.words import sentences
from app.world.mail.draft import languages
from tests.app.web.test_showing import LARGEST, Tags, heading_of, without_languages, words_of
from tests.world import YEAR, Town

EVERYTHING: dict[str, Any] = {
    "on_no_answer": "cancel_at_period_end",
    "never_used_after": "P1Y6M",
    "unused_after": "P2Y",
    "before_renewal": {"intervals": ["year"], "unused_for": "P6M", "ask_ahead": "P45D"},
    "answer_within": "P30D",
    "reminders": ["P7D", "P21D"],
    "ask_again_after": "P1Y",
    "when_unreachable": "suspend",
    "erase_after": "P10M",
    "erasure_warnings": ["P60D", "P14D"],
    "keep_categories": {"invoices": "P10Y"},
    "segments": [
        {"when": {"country": ["FR"], "interval": ["year"]}, "unused_after": "P6M"},
        {"when": {"plan": ["<b>gold</b>"], "currency": ["EUR"]}, "on_no_answer": "nothing"},
    ],
    "pace": {"send_between": ["08:30", "21:00"]},
}


def shown(browser: FlaskClient) -> str:
    reply = browser.get("/p/tv")
    assert reply.status_code == 200
    return words_of(reply.text)


def test_the_rules_in_force_are_said_in_words(town: Town, browser: FlaskClient) -> None:
    town.put_in_force(EVERYTHING)

    words = shown(browser)

    for fact in (
        "Never used, for at least 1 year and 6 months",
        "No longer used, for at least 2 years",
        "billed yearly, unused for at least 6 months: asked 45 days before the charge",
        "Time to answer 30 days",
        "Without an answer the subscription is canceled",
        "silence means nothing before the question has been put inside Blue Television",
        "Reminders 7 days and 21 days after the question",
        "8:30 AM to 9:00 PM, where the subscriber lives",
        "data is kept for at least 10 months",
        "60 days and 14 days ahead",
        "invoices: 10 years",
        "Country: France. Billed: yearly.",
        "Plan: <b>gold</b>. Currency: Euro.",
        "No longer used, for at least 6 months",
        "Without an answer nothing changes",
        "in force since September 1, 2024",
    ):
        assert fact in words, fact


def test_its_history_says_what_changed_and_since_when(town: Town, browser: FlaskClient) -> None:
    town.clock.moment = town.clock.moment.replace(year=2025, month=3, day=2)
    town.put_in_force(YEAR | {"answer_within": "P45D"})
    town.clock.moment = town.clock.moment.replace(day=5)
    town.put_in_force(YEAR | {"answer_within": "P45D", "pace": {"ramp": [3, "100%"]}})
    town.clock.moment = town.clock.moment.replace(day=9)
    town.put_in_force(YEAR | {"answer_within": "P45D", "pace": {"notices_per_day": 7}})
    town.clock.moment = town.clock.moment.replace(day=16)
    town.put_in_force(EVERYTHING)

    words = shown(browser)

    history = words[words.index("How the rules have changed") :]
    dates = re.findall(r"Since (\w+ \d+, \d+)", history)
    assert dates == [
        "March 16, 2025",
        "March 9, 2025",
        "March 5, 2025",
        "March 2, 2025",
        "September 1, 2024",
    ]
    assert "Time to answer: 45 days (before: 30 days)" in history
    only = "Only limits have changed that make us ask fewer people at a time, or erase the data"
    assert history.count(only) == 2
    assert "New rules for some. Country: France. Billed: yearly. No longer used" in history
    assert "The first rules." in history


def test_without_rules_in_force_it_says_that_nobody_is_asked(
    town: Town, browser: FlaskClient
) -> None:
    with town.database.transaction() as connection:
        connection.exec_driver_sql("update product set policy_version = null")
        connection.exec_driver_sql("delete from policy")

    assert "nobody is asked" in shown(browser)


@pytest.mark.parametrize("key", ["nothing", "TV", "tv%00", "..", "%ff", "tv'--", "t" * 5000])
def test_a_product_that_is_none_is_the_page_of_any_wrong_link(
    town: Town, browser: FlaskClient, key: str
) -> None:
    del town
    reply = browser.get(f"/p/{key}")

    assert reply.status_code == 404
    assert reply.data == browser.get("/a/x").data
    assert reply.headers["Cache-Control"] == "no-store"


def test_it_may_be_kept_for_minutes_and_is_strict_about_the_rest(
    town: Town, browser: FlaskClient
) -> None:
    del town
    headers = browser.get("/p/tv").headers

    assert headers["Cache-Control"] == "public, max-age=300"
    assert headers["Vary"] == "Accept-Language"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("language", languages())
def test_every_language_says_the_same_on_a_small_page(
    town: Town, browser: FlaskClient, language: str
) -> None:
    town.put_in_force(EVERYTHING)
    english = without_languages(browser.get("/p/tv").text)

    reply = browser.get(f"/p/tv?lang={language}")

    page = without_languages(reply.text)
    assert len(reply.data) < LARGEST
    assert Tags(page).named("html")[0]["lang"] == language
    assert [tag for tag, _ in Tags(page).found] == [tag for tag, _ in Tags(english).found]
    assert (heading_of(page) == heading_of(english)) == (language == "en")
    assert not {"script", "img", "link", "form"} & {tag for tag, _ in Tags(page).found}


def test_however_many_rules_there_are_each_page_is_small_and_none_is_left_out(
    town: Town, browser: FlaskClient
) -> None:
    countries = ["FR", "DE", "IT", "ES", "GB", "US", "JP"]
    for days in range(30, 42):
        groups = [
            {"when": {"country": [each], "plan": [f"plan {n}"]}, "unused_after": f"P{days + n}D"}
            for n in range(14)
            for each in countries
        ]
        town.put_in_force(YEAR | {"segments": groups})
    pages: list[str] = []
    while (reply := browser.get(f"/p/tv?page={len(pages) + 1}")).status_code == 200:
        assert len(reply.data) < LARGEST
        pages.append(reply.text)

    words = " ".join(map(words_of, pages))
    assert len(pages) > 5
    assert words.count("New rules for some.") == 12 * len(countries) * 14
    assert "?page=2" in pages[0]
    assert "Earlier and further rules" not in words_of(pages[-1])


def test_every_knob_is_told_or_is_said_not_to_be() -> None:
    assert TOLD | NOT_TOLD | LIMITS == KNOBS
    assert {"notices_per_day", "ramp"} == LIMITS
    named = {name.removeprefix("knob.") for name in sentences("en") if name.startswith("knob.")}
    assert named == TOLD
    whens = {name.removeprefix("when.") for name in sentences("en") if name.startswith("when.")}
    assert whens == {each.name for each in knobs(When)}


def test_every_column_about_a_subscriber_is_named() -> None:
    columns = {*tables.subscription.columns.keys(), *tables.contact.columns.keys()}
    assert set(HELD) == columns - OUR_KEYS | {"rounds"}
    named = {name.removeprefix("held.") for name in sentences("en") if name.startswith("held.")}
    assert named == set(HELD)


@pytest.mark.parametrize("choice", ["suspend", "cancel_at_period_end", "nothing"])
def test_every_choice_can_be_said(town: Town, browser: FlaskClient, choice: str) -> None:
    bare = {"on_no_answer": choice, "reminders": [], "erasure_warnings": []}
    town.put_in_force(bare)
    assert "Without an answer" in shown(browser)
    warned = {"erasure_warnings": ["P60D", "P14D"], "keep_categories": {}}
    town.put_in_force(bare | warned | {"erase_after": "P1Y"})
    assert "scheduled to be erased" in shown(browser)


@pytest.mark.parametrize(
    ("text", "locale", "said"),
    [
        ("P1Y", "en", "1 year"),
        ("P2Y6M", "fr", "2 ans et 6\N{NO-BREAK SPACE}mois"),
        ("P1Y6M", "es", "1 año y 6 meses"),
        ("P14D", "de", "14 Tage"),
        ("P1M", "es", "1 mes"),
        ("PT36H", "it", "36 ore"),
    ],
)
def test_lengths_of_time_are_said_by_cldr(text: str, locale: str, said: str) -> None:
    assert duration(policies.Period.parse(text), locale) == said

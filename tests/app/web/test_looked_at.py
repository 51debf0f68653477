"""The wish that a person looks, on the page; and the language of a page, chosen in its address."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.message import EmailMessage

import pytest
from flask.testing import FlaskClient

from app.lifecycle.case import Concern
from app.world.mail.draft import languages
from tests.app.web.gallery import NAME, REACHED, STATES, is_looked_at
from tests.app.web.test_showing import LARGEST, SAFE, Tags, answers_on, heading_of, words_of
from tests.probe import rows
from tests.world import Town

NOT_OFFERED = {
    "older_kept",
    "older_returned",
    "older_by_billing",
    "erased_and_looked_at",
    *("erasing", "erasing_on_request", "erasing_and_unreachable", "parting"),
    *(name for name in STATES if name.endswith("before_a_person")),
}
ASK = {"answer": "review", "reason": "wrong_charge"}
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("name", STATES)
def test_a_person_is_offered_wherever_a_case_can_be_looked_at(
    town: Town, browser: FlaskClient, name: str
) -> None:
    page = browser.get(f"/a/{STATES[name].reach(town)}").text

    assert page.count('value="review"') == (name not in NOT_OFFERED)
    options = [str(each["value"]) for each in Tags(page).named("option")]
    # To have their data locked somebody has to have opened a link that was mailed to them.
    offered = [str(each) for each in Concern if each is not Concern.RESTRICTION]
    assert options in ([], offered)


@pytest.mark.parametrize("name", ["asked", "suspended", "canceled", "withdrawn", "unreachable"])
def test_the_page_says_that_it_is_recorded_and_nothing_else_changes(
    town: Town, browser: FlaskClient, name: str
) -> None:
    token = STATES[name].reach(town)
    town.clock.advance(HOUR)
    before, offered = town.case(NAME).round, answers_on(browser.get(f"/a/{token}").text)

    replies = [browser.post(f"/a/{token}", data=ASK) for _ in range(3)]

    after, page = town.case(NAME).round, browser.get(f"/a/{token}").text
    assert {each.headers["Location"] for each in replies} == {f"/a/{token}"}
    assert before is not None
    assert after is not None
    assert after.review_at == town.clock.moment
    assert (after.stage, after.outcome, after.word, after.act) == (
        before.stage,
        before.outcome,
        before.word,
        before.act,
    )
    assert "A person will look at this" in words_of(page)
    assert answers_on(page) == offered
    assert rows(town.database, "select reason, state, round from review") == [
        ("wrong_charge", "open", 1)
    ]
    assert town.story(NAME).count("review_asked") == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("asked_before_a_person", "your subscription is neither stopped nor canceled"),
        ("asked_and_late_before_a_person", "nothing follows from silence"),
        ("silence_before_a_person", "It goes on, and is charged as before."),
        ("told_before_a_person", "was already being told something when you asked"),
        ("chosen_before_a_person", "What you chose stands"),
        ("suspended_before_a_person", "nothing is charged unless you choose to resume"),
        ("kept_before_a_person", "and we do not ask you again"),
        ("paused_before_a_person", "Until they have, everything stays as it is."),
        ("asked_and_looked_at", "they found that everything is as it should be"),
        ("asked_and_looked_at", "we suspend your subscription and stop charging you"),
        ("answered_before_it_could_be_read", "sooner than anybody can read it"),
    ],
)
def test_it_says_honestly_what_holds_meanwhile(
    town: Town, browser: FlaskClient, name: str, says: str
) -> None:
    words = words_of(browser.get(f"/a/{STATES[name].reach(town)}").text)

    assert says in words
    promised = "we suspend your subscription" in words
    assert promised == (name in {"asked_and_looked_at", "answered_before_it_could_be_read"})


def test_silence_suspends_nobody_before_a_person_has_looked_and_three_days_are_over(
    town: Town,
) -> None:
    STATES["silence_before_a_person"].reach(town)
    town.settle()
    town.days_pass(20, at_a_time=5)
    assert (town.stage(NAME), town.acts(NAME)) == ("asked", [])

    is_looked_at(town)
    town.settle()
    town.days_pass(2)
    assert town.acts(NAME) == []

    town.days_pass(4)
    assert (town.stage(NAME), town.acts(NAME)) == ("suspended", ["suspend"])


@pytest.mark.parametrize(
    "form",
    [
        {"answer": "review"},
        {"answer": "review", "reason": "I was charged twice"},
        {"answer": "review", "reason": ["other", "in_use"]},
        {"answer": ["review", "keep"], "reason": "other"},
        {"answer": "cancel", "reason": "wrong_charge"},
    ],
)
def test_what_is_no_code_is_not_taken(
    town: Town,
    browser: FlaskClient,
    everything: Callable[[], dict[str, str]],
    form: dict[str, str | list[str]],
) -> None:
    token = STATES["asked"].reach(town)
    before = everything()

    assert browser.post(f"/a/{token}", data=form).status_code == 400
    assert everything() == before


def test_a_robots_wish_is_withdrawn_from_the_queue(town: Town, browser: FlaskClient) -> None:
    token = STATES["asked"].reach(town)
    town.clock.advance(HOUR)
    for form in (ASK, {"answer": "keep"}, {"answer": "cancel"}):
        browser.post(f"/a/{token}", data=form)
        town.clock.advance(timedelta(seconds=2))

    assert rows(town.database, "select state, done_by from review") == [("withdrawn", None)]
    assert heading_of(browser.get(f"/a/{token}").text) == "What would you like to do?"
    town.clock.advance(HOUR)
    browser.post(f"/a/{token}", data=ASK)
    assert rows(town.database, "select state from review order by id") == [
        ("withdrawn",),
        ("open",),
    ]


# --- the language in the address -------------------------------------------------------------


def test_every_page_offers_every_language_by_its_own_name(town: Town, browser: FlaskClient) -> None:
    token = STATES["asked"].reach(town)

    for path in (f"/a/{token}", f"/a/{token}/one-click", "/a/x", "/p/tv", "/nowhere"):
        nav = re.findall(r"<nav>.*?</nav>", browser.get(path).text, flags=re.DOTALL)[0]
        assert words_of(nav) == "Deutsch English Español Français Italiano"
        assert [each["href"] for each in Tags(nav).named("a")] == [
            f"?lang={each}" for each in languages() if each != "en"
        ]


@pytest.mark.parametrize("language", languages())
def test_a_language_chosen_is_kept_through_answers_and_links(
    town: Town, browser: FlaskClient, language: str
) -> None:
    token = STATES["suspended"].reach(town)
    asked = f"/a/{token}?lang={language}"
    page = browser.get(asked).text
    assert {each["action"] for each in Tags(page).named("form")} == {asked}
    assert f'href="/p/tv?lang={language}"' in page

    answered = browser.post(asked, data={"answer": "keep"})

    assert answered.headers["Location"] == f"{asked}&so=keep-too_late"
    shown = browser.get(answered.headers["Location"])
    assert shown.headers["Content-Language"] == language
    assert 'role="status"' in shown.text
    assert f'href="?lang={"de" if language != "de" else "en"}&amp;so=keep-too_late"' in shown.text
    pressed = browser.post(
        f"/a/{token}/one-click?lang={language}",
        data={"List-Unsubscribe": "One-Click", "from": "page"},
    )
    assert pressed.headers["Location"] == f"/a/{token}/one-click?lang={language}"


@pytest.mark.parametrize("wish", ["xx", "FR", "fr&lang=de", "", "fr-FR", "../fr", "_", "fr%00"])
def test_a_language_that_is_none_is_passed_over(
    town: Town, browser: FlaskClient, wish: str
) -> None:
    token = STATES["asked"].reach(town)

    reply = browser.get(f"/a/{token}?lang={wish}")

    assert reply.data == browser.get(f"/a/{token}").data


def test_who_chooses_their_own_language_keeps_the_dates_of_their_country(
    town: Town, browser: FlaskClient
) -> None:
    token = STATES["asked"].reach(town)
    with town.database.transaction() as connection:
        connection.exec_driver_sql("update contact set locale = 'fr-CA'")

    assert browser.get(f"/a/{token}?lang=fr").headers["Content-Language"] == "fr-CA"
    assert browser.get(f"/a/{token}?lang=en").headers["Content-Language"] == "en"


@pytest.mark.parametrize("name", STATES)
def test_every_page_is_small_in_every_language(town: Town, browser: FlaskClient, name: str) -> None:
    token = STATES[name].reach(town)
    for language in languages():
        for path in (f"/a/{token}", f"/a/{token}/one-click"):
            reply = browser.get(f"{path}?lang={language}")
            assert "Set-Cookie" not in reply.headers
            assert len(reply.data) < LARGEST


# --- who opens everything --------------------------------------------------------------------


def addresses(mail: EmailMessage) -> Iterator[str]:
    """Give every address of ours in a mail: in its text, its HTML and its headers."""
    parts = [
        str(part.get_content()) for part in mail.walk() if part.get_content_maintype() == "text"
    ]
    for text in (*parts, str(mail["List-Unsubscribe"] or "")):
        yield from re.findall(r"http://127\.0\.0\.1:8080(/[^\s\"'<>)]*)", text)


def crawled(browser: FlaskClient, start: set[str]) -> set[str]:
    """Open everything that can be reached from some addresses by any method that only reads."""
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for method in SAFE:
            reply = browser.open(path, method=method)
            assert reply.status_code < 500
        found = {str(each.get("href")) for each in Tags(browser.get(path).text).named("a")}
        found |= {str(each.get("action")) for each in Tags(browser.get(path).text).named("form")}
        for each in found:
            if each.startswith("?"):
                waiting.append(path.partition("?")[0] + each)
            elif each.startswith("/"):
                waiting.append(each)
    return seen


@pytest.mark.parametrize(
    "name", ["asked", "suspended", "canceled", "kept", "asked_before_a_person", "older_kept"]
)
def test_a_scanner_that_opens_everything_it_can_reach_changes_nothing(
    town: Town, browser: FlaskClient, everything: Callable[[], dict[str, str]], name: str
) -> None:
    REACHED.pop(id(STATES[name]), None)  # lived through here, so that its mails are at hand
    token = STATES[name].reach(town)
    start = {each for mail in town.relay.mails() for each in addresses(mail)} | {f"/a/{token}"}
    before = everything()

    seen = crawled(browser, start)

    assert len(seen) > 10
    assert "/p/tv" in seen
    assert everything() == before

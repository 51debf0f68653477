from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.web import create_app
from tests.app.web.gallery import NAME, STATES
from tests.app.web.test_showing import answers_on, heading_of, words_of
from tests.world import Town, row

FORMS = {
    "keep": {"answer": "keep"},
    "in_use": {"answer": "keep", "reason": "in_use"},
    "cancel": {"answer": "cancel"},
    "resume": {"answer": "resume"},
    "undo": {"answer": "undo"},
    "keep_data": {"answer": "keep_data"},
    "review": {"answer": "review", "reason": "other"},
    "erase": {"answer": "erase"},
}


def post(browser: FlaskClient, token: str, form: str) -> TestResponse:
    return browser.post(f"/a/{token}", data=FORMS[form])


def page(browser: FlaskClient, token: str) -> str:
    reply = browser.get(f"/a/{token}")
    assert reply.status_code == 200
    return reply.text


@pytest.mark.parametrize("name", STATES)
def test_every_answer_in_every_state_leads_back_to_the_page_and_repeats_to_the_same_result(
    town: Town, browser: FlaskClient, name: str
) -> None:
    for form in FORMS:
        token = STATES[name].reach(town)
        first = post(browser, token, form)
        shown = page(browser, token)
        second = post(browser, token, form)

        assert {first.status_code, second.status_code} == {303}
        assert first.headers["Location"].partition("?")[0] == f"/a/{token}"
        assert browser.get(second.headers["Location"]).status_code == 200
        assert page(browser, token) == shown


@pytest.mark.parametrize("name", STATES)
def test_every_button_that_is_offered_does_what_it_says(
    town: Town, browser: FlaskClient, name: str
) -> None:
    offered = answers_on(_half_a_minute_later(town, browser, name)[1])

    for answer in offered:
        token, before = _half_a_minute_later(town, browser, name)
        reply = post(browser, token, answer)

        so = "?so=erase-sent" if answer == "erase" else ""
        assert reply.headers["Location"] == f"/a/{token}{so}"  # no sentence that it came too late
        assert browser.get(reply.headers["Location"]).text != before


def _half_a_minute_later(town: Town, browser: FlaskClient, name: str) -> tuple[str, str]:
    token = STATES[name].reach(town)
    town.clock.advance(timedelta(seconds=30))
    return token, page(browser, token)


@pytest.mark.parametrize(
    ("name", "form", "title"),
    [
        ("asked", "keep", "You keep Blue Television"),
        ("asked", "in_use", "You keep Blue Television"),
        ("asked", "cancel", "You chose to cancel"),
        ("asked", "resume", "You keep Blue Television"),
        ("asked_and_late", "keep", "You keep Blue Television"),
        ("silence_queued", "keep", "You keep Blue Television"),
        ("silence_claimed", "keep", "You chose to keep Blue Television"),
        ("silence_claimed", "cancel", "You chose to cancel"),
        ("cancel_resting", "undo", "Do you still want Blue Television?"),
        ("cancel_resting", "keep", "You keep Blue Television"),
        ("cancel_claimed", "undo", "You chose to keep Blue Television"),
        ("suspended", "resume", "You chose to resume"),
        ("suspended", "cancel", "You chose to cancel"),
        ("suspended", "keep", "We have stopped charging you"),
        ("suspended", "keep_data", "We have stopped charging you"),
        ("resume_recorded", "undo", "We have stopped charging you"),
        ("suspended_cancel_resting", "undo", "We have stopped charging you"),
        ("canceled", "resume", "You chose to resume"),
        ("canceled", "undo", "You chose to resume"),
        ("canceled_resume_recorded", "cancel", "Your subscription is canceled"),
        ("ended", "resume", "Your subscription has ended"),
        ("kept", "undo", "Do you still want Blue Television?"),
        ("kept_a_while_ago", "cancel", "You chose to cancel"),
        ("withdrawn", "keep", "You keep Blue Television"),
        ("unreachable", "cancel", "You chose to cancel"),
        ("expired", "keep", "You keep Blue Television"),
        ("older_kept", "cancel", "This question is closed"),
    ],
)
def test_an_answer_has_its_result(
    town: Town, browser: FlaskClient, name: str, form: str, title: str
) -> None:
    token = STATES[name].reach(town)
    town.clock.advance(timedelta(minutes=1))

    reply = browser.post(f"/a/{token}", data=FORMS[form], follow_redirects=True)

    assert heading_of(reply.text) == title


@pytest.mark.parametrize(
    ("name", "form", "sentence"),
    [
        ("suspended", "keep", "Your subscription had already been stopped"),
        ("canceled", "keep", "Your subscription had already been stopped"),
        ("kept_a_while_ago", "undo", "It was too late to undo that."),
        ("ended", "resume", "The time you paid for is over"),
        ("older_kept", "cancel", "This link belongs to an earlier question, so your click"),
        ("older_kept", "keep", "This link belongs to an earlier question, so your click"),
    ],
)
def test_an_answer_that_changes_nothing_is_told_so(
    town: Town, browser: FlaskClient, name: str, form: str, sentence: str
) -> None:
    token = STATES[name].reach(town)
    town.clock.advance(timedelta(minutes=1))

    reply = browser.post(f"/a/{token}", data=FORMS[form], follow_redirects=True)

    assert sentence in words_of(reply.text)


def test_an_older_link_changes_nothing(
    town: Town, browser: FlaskClient, everything: Callable[[], dict[str, str]]
) -> None:
    token = STATES["older_kept"].reach(town)
    before = everything()

    for form in FORMS:
        post(browser, token, form)

    assert everything() == before


def test_an_answer_is_the_subscribers_in_history(town: Town, browser: FlaskClient) -> None:
    token = STATES["asked"].reach(town)

    post(browser, token, "in_use")

    with town.database.transaction() as connection:
        said = connection.exec_driver_sql(
            "select what, why, actor from history where actor = 'subscriber'"
        ).all()
    assert [tuple(each) for each in said] == [("kept", "in_use", "subscriber")]


def test_an_answer_reaches_only_the_subscription_its_link_names(
    town: Town, browser: FlaskClient
) -> None:
    token = STATES["asked"].reach(town)
    town.join(row("bob"))
    before = town.case("bob")

    post(browser, token, "cancel")

    assert town.case("bob") == before


def test_a_cancel_that_rested_is_carried_out_once_and_shown_as_done(
    town: Town, browser: FlaskClient
) -> None:
    token = STATES["asked"].reach(town)
    for _ in range(5):
        post(browser, token, "cancel")
    town.clock.advance(timedelta(minutes=11))
    town.settle()

    assert town.acts(NAME) == ["cancel"]
    assert heading_of(page(browser, token)) == "Your subscription is canceled"


@pytest.mark.parametrize("many", [2, 8])
def test_keep_and_cancel_racing_are_believed_neither_and_both_see_it(town: Town, many: int) -> None:
    token = STATES["asked"].reach(town)
    app = create_app(town.database, town.clock, town.links, base_url="https://reconfirm.example")
    start = Barrier(many)

    def click(form: str) -> int:
        browser = app.test_client(use_cookies=False)
        start.wait()
        return post(browser, token, form).status_code

    with ThreadPoolExecutor(many) as threads:
        codes = list(threads.map(click, ["keep", "cancel"] * (many // 2)))
    town.clock.advance(timedelta(minutes=30))
    after = page(app.test_client(use_cookies=False), token)
    town.deliver()

    assert set(codes) == {303}
    assert town.acts(NAME) == []
    assert heading_of(after) == "Do you still want Blue Television?"


def test_the_same_answer_from_many_windows_counts_once(town: Town) -> None:
    token = STATES["asked"].reach(town)
    app = create_app(town.database, town.clock, town.links, base_url="https://reconfirm.example")

    with ThreadPoolExecutor(8) as threads:
        codes = list(
            threads.map(
                lambda _: post(app.test_client(use_cookies=False), token, "keep").status_code,
                range(8),
            )
        )

    assert set(codes) == {303}
    assert town.story(NAME).count("kept") == 1

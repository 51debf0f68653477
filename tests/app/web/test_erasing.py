"""Erase now: a fresh link by mail, the page behind it, and the request put before a person."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import IntegrityError

from app.engine import reviews
from app.errors import Refused
from app.lifecycle.case import Erasure, Finding, Reach, Undelivered
from app.world.mail.draft import languages
from tests.app.web.gallery import NAME, REACHED, STATES, fresh_token
from tests.app.web.test_showing import LARGEST, SAFE, Tags, answers_on, words_of
from tests.probe import kinds, rows
from tests.world import Town, row

ERASE = {"answer": "erase"}
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
FRESH = "notice.fresh_link"
BROKEN = "This link does not work"


@pytest.fixture
def token(town: Town) -> str:
    """Give the link of somebody suspended, an hour ago."""
    found = STATES["suspended"].reach(town)
    town.clock.advance(HOUR)
    town.relay.sent.clear()
    return found


def pressed(town: Town, browser: FlaskClient, token: str, later: timedelta = MINUTE) -> str:
    """Press the button, let the mail go out, and give the token it brings, a minute later."""
    assert browser.post(f"/a/{token}", data=ERASE).status_code == 303
    town.deliver()
    town.clock.advance(later)
    return fresh_token(town)


def queue(town: Town) -> list[tuple[str, ...]]:
    return [
        (*each,) for each in rows(town.database, "select reason, state from review order by id")
    ]


# --- the button --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["suspended", "canceled", "ended", "suspended_without_erasure"])
def test_the_button_erases_nothing_and_mails_a_link(
    town: Town, browser: FlaskClient, name: str
) -> None:
    token = STATES[name].reach(town)
    town.relay.sent.clear()
    before = town.case(NAME).round

    reply = browser.post(f"/a/{token}", data=ERASE | {"email": "eve@evil.example"})

    shown = browser.get(reply.headers["Location"]).text
    assert "Nothing is erased yet." in words_of(shown)
    assert "subscribers.example" not in shown
    assert kinds(town, NAME)[-1] == FRESH
    after = town.case(NAME).round
    assert before is not None
    assert after is not None
    assert (after.stage, after.word, after.act, after.erase_at) == (
        *(before.stage, before.word, before.act),
        None,
    )
    town.deliver()
    (mail,) = town.relay.mails()
    assert mail["To"] == "ann@subscribers.example"
    assert queue(town) == []


def test_it_goes_out_at_night_and_even_while_a_brake_is_on(
    town: Town, browser: FlaskClient, token: str
) -> None:
    town.clock.set(town.clock.moment.replace(hour=2))
    rows(
        town.database,
        "insert into brake (cause, why, actor, set_at)"
        " values ('person', 'test', 'cli:test', now())",
    )
    browser.post(f"/a/{token}", data=ERASE)
    town.deliver()
    assert len(town.relay.sent) == 1


def test_one_waits_at_a_time_and_three_go_out_in_a_day(
    town: Town, browser: FlaskClient, token: str
) -> None:
    pages = set()
    for _ in range(6):
        for _ in range(3):
            reply = browser.post(f"/a/{token}", data=ERASE)
            pages.add(browser.get(reply.headers["Location"]).data)
            assert kinds(town, NAME).count(FRESH) <= 1
        town.deliver()
        town.clock.advance(HOUR)

    assert len(town.relay.sent) == 3
    assert len({str(each["Message-ID"]) for each in town.relay.mails()}) == 3
    assert len(pages) == 1
    town.clock.advance(timedelta(days=1))
    pressed(town, browser, token)
    assert len(town.relay.sent) == 4


@pytest.mark.parametrize(("reach", "mails"), [(Reach.BOUNCED, 0), (Reach.COMPLAINED, 1)])
def test_nobody_learns_whether_anybody_can_be_written_to(
    town: Town, browser: FlaskClient, token: str, reach: Reach, mails: int
) -> None:
    town.tell(NAME, Undelivered(reach))
    shown = []
    for _ in range(2):
        reply = browser.post(f"/a/{token}", data=ERASE)
        shown.append(
            (
                reply.status_code,
                reply.headers["Location"],
                browser.get(reply.headers["Location"]).text,
            )
        )
        town.deliver()
    with_none = rows(town.database, "update contact set email = null, reach = 'no_address'")

    reply = browser.post(f"/a/{token}", data=ERASE)

    assert with_none == []
    shown.append(
        (reply.status_code, reply.headers["Location"], browser.get(reply.headers["Location"]).text)
    )
    assert len(set(shown)) == 1
    assert "we could not write to you" in words_of(shown[0][2])
    town.deliver()
    assert len(town.relay.sent) == 2 * mails


@pytest.mark.parametrize("name", ["asked", "kept", "resume_recorded", "older_kept"])
def test_where_it_is_not_offered_it_mails_nothing(
    town: Town, browser: FlaskClient, name: str
) -> None:
    token = STATES[name].reach(town)
    assert "erase" not in answers_on(browser.get(f"/a/{token}").text)

    reply = browser.post(f"/a/{token}", data=ERASE)

    assert FRESH not in kinds(town, NAME)
    assert 'role="status"' in browser.get(reply.headers["Location"]).text


# --- the page behind the link --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["suspended", "canceled", "ended"])
def test_the_page_says_what_goes_what_stays_and_that_it_cannot_be_undone(
    town: Town, browser: FlaskClient, everything: Callable[[], dict[str, str]], name: str
) -> None:
    fresh = pressed(town, browser, STATES[name].reach(town))
    before = everything()

    for language in languages():
        reply = browser.get(f"/e/{fresh}?lang={language}")
        assert (reply.status_code, len(reply.data) < LARGEST) == (200, True)
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert [each["value"] for each in Tags(reply.text).named("button")] == ["erase"]
    for method in SAFE:
        assert browser.open(f"/e/{fresh}", method=method, data=ERASE).status_code == 200

    words = words_of(browser.get(f"/e/{fresh}?lang=en").text)
    assert "nobody can bring it back" in words
    assert "Nothing stays that names you." in words
    assert "nothing is charged" in words or "nothing more is charged" in words
    assert everything() == before


def test_what_the_law_makes_the_product_keep_is_said(town: Town, browser: FlaskClient) -> None:
    state = STATES["suspended"]
    REACHED.pop(id(state), None)
    rows(
        town.database,
        "update policy set body = jsonb_set(body, '{keep_categories}', '{\"invoices\": \"P10Y\"}')",
    )
    fresh = pressed(town, browser, state.reach(town))
    REACHED.pop(id(state), None)

    assert "What stays is only what the law" in words_of(browser.get(f"/e/{fresh}").text)
    assert "only what the law makes us keep" in str(town.relay.mails()[-1].get_body(("plain",)))


def test_the_press_puts_it_before_a_person_with_a_day(
    town: Town, browser: FlaskClient, token: str
) -> None:
    fresh = pressed(town, browser, token)

    reply = browser.post(f"/e/{fresh}", data=ERASE)

    assert reply.headers["Location"] == f"/a/{token}"
    words = words_of(browser.get(f"/a/{token}").text)
    assert "You asked us to erase your data" in words
    assert "it begins by itself on October 4, 2024" in words
    assert "is done by November 2, 2024 at the latest" in words
    assert "Your data is kept until" not in words
    assert rows(town.database, "select reason, state, due_on, round from review") == [
        ("erase", "open", date(2024, 11, 2), 1)
    ]
    assert (town.stage(NAME), town.acts(NAME)) == ("suspended", ["suspend"])
    assert town.story(NAME)[-3:] == ["fresh_link_asked", f"{FRESH}_handed_over", "erasure_asked"]
    browser.post(f"/a/{token}", data=ERASE)
    assert FRESH not in kinds(town, NAME)


def test_a_link_is_good_once_for_an_hour_and_until_a_newer_one(
    town: Town, browser: FlaskClient, token: str
) -> None:
    old = pressed(town, browser, token)
    new = pressed(town, browser, token)
    town.join(row("ben"))
    made = town.links.read_fresh(new)
    assert made is not None
    wrong = [
        *(old, token, new[:-1], "x"),
        town.links.fresh_token(town.id_of("ben"), 1, made.made_at),
        town.links.fresh_token(made.subscription, 2, made.made_at),
        town.links.fresh_token(made.subscription, 1, made.made_at + SECOND),
    ]
    pages = {browser.get("/a/x").data}
    for each in wrong:
        for method in ("GET", "POST"):
            reply = browser.open(f"/e/{each}", method=method, data=ERASE)
            assert reply.status_code == 404
            pages.add(reply.data)
    assert browser.get(f"/a/{new}").status_code == 404
    assert queue(town) == []

    town.clock.advance(made.made_at + HOUR - SECOND - town.clock.moment)
    assert browser.get(f"/e/{new}").status_code == 200
    town.clock.advance(SECOND)
    pages |= {browser.open(f"/e/{new}", method=m, data=ERASE).data for m in ("GET", "POST")}
    assert queue(town) == []

    town.clock.advance(timedelta(days=1))
    used = pressed(town, browser, token)
    assert browser.post(f"/e/{used}", data=ERASE).status_code == 303
    pages |= {browser.open(f"/e/{used}", method=m, data=ERASE).data for m in ("GET", "POST")}
    assert queue(town) == [("erase", "open")]
    assert len(pages) == 1
    assert BROKEN in pages.pop().decode()


@pytest.mark.parametrize("form", [{}, {"answer": "keep"}, {"answer": "erase", "reason": "other"}])
def test_a_form_that_is_not_the_pages_own_asks_for_nothing(
    town: Town,
    browser: FlaskClient,
    everything: Callable[[], dict[str, str]],
    token: str,
    form: dict[str, str],
) -> None:
    fresh = pressed(town, browser, token)
    before = everything()

    reply = browser.post(f"/e/{fresh}", data=form)

    assert reply.status_code == 400
    assert "We did not understand that" in reply.text
    assert everything() == before


def test_who_was_resumed_meanwhile_is_told_that_it_has_to_end_first(
    town: Town, browser: FlaskClient, token: str
) -> None:
    fresh = pressed(town, browser, token)
    town.join(row(NAME, status="paused"))
    town.join(row(NAME, status="active", amount=999))

    words = words_of(browser.get(f"/e/{fresh}").text)
    reply = browser.post(f"/e/{fresh}", data=ERASE)

    assert "It has to end first" in words
    assert reply.headers["Location"] == f"/a/{token}?so=erase-too_late"
    assert queue(town) == []


# --- robots --------------------------------------------------------------------------------------


def test_a_press_within_ten_seconds_of_the_mail_is_not_believed_once(
    town: Town, browser: FlaskClient, token: str
) -> None:
    fresh = pressed(town, browser, token, 2 * SECOND)

    for _ in range(3):
        browser.post(f"/e/{fresh}", data=ERASE)
        town.clock.advance(2 * SECOND)

    assert queue(town) == []
    page = browser.get(f"/e/{fresh}").text
    assert "sooner than anybody can read it" in words_of(page)
    town.clock.advance(9 * SECOND)
    assert "sooner than" not in browser.get(f"/e/{fresh}").text
    browser.post(f"/e/{fresh}", data=ERASE)
    assert queue(town) == [("erase", "open")]
    assert town.story(NAME).count("doubted") == 3


def test_a_scanner_that_presses_everything_gets_nothing_erased(
    town: Town, browser: FlaskClient, token: str
) -> None:
    for answer in ("resume", "cancel", "keep_data", "erase", "review"):
        browser.post(f"/a/{token}", data={"answer": answer})
        town.clock.advance(SECOND)
    town.deliver()
    town.clock.advance(SECOND)
    fresh = fresh_token(town)
    for _ in range(3):
        browser.get(f"/e/{fresh}")
        browser.post(f"/e/{fresh}", data=ERASE)
        town.clock.advance(SECOND)

    assert ("erase", "open") not in queue(town)
    assert town.case(NAME).round.erase_at is None  # type: ignore[union-attr]


@pytest.mark.parametrize("erase_first", [True, False])
def test_a_yes_and_a_request_to_erase_within_ten_seconds_are_believed_neither(
    town: Town, browser: FlaskClient, token: str, *, erase_first: bool
) -> None:
    fresh = pressed(town, browser, token)
    both = [(f"/e/{fresh}", ERASE), (f"/a/{token}", {"answer": "resume"})]
    for path, form in both if erase_first else reversed(both):
        browser.post(path, data=form)
        town.clock.advance(3 * SECOND)

    current = town.case(NAME).round
    assert current is not None
    assert (current.erase_at, current.act, current.word) == (None, None, None)
    assert ("erase", "open") not in queue(town)
    town.clock.advance(MINUTE)
    town.settle()
    assert town.acts(NAME) == ["suspend"]


# --- what follows --------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["resume", "keep_data"])
def test_who_resumes_or_keeps_their_data_withdraws_it(
    town: Town, browser: FlaskClient, answer: str
) -> None:
    token = STATES["suspended_to_be_erased"].reach(town)
    town.clock.advance(HOUR)

    browser.post(f"/a/{token}", data={"answer": answer})

    assert queue(town) == [("erase", "withdrawn")]
    assert town.story(NAME).count("erasure_withdrawn") == 1
    assert "You asked us to erase your data" not in browser.get(f"/a/{token}").text


def test_a_look_and_a_request_are_two_entries_and_end_each_by_its_own_code(town: Town) -> None:
    STATES["erased_and_looked_at"].reach(town)
    entries = rows(town.database, "select id, reason from review order by id")
    look, wish = (int(each[0]) for each in entries)

    def end(number: int, code: Finding | Erasure) -> None:
        reviews.finish(town.database, town.clock, town.key, number, code, "cli:eve")

    for number, code in ((look, Erasure.ERASED_BY_HAND), (wish, Finding.PUT_RIGHT)):
        with pytest.raises(Refused):
            end(number, code)
    end(look, Finding.AS_IT_SHOULD_BE)
    assert queue(town) == [("wrong_charge", "done"), ("erase", "open")]
    end(wish, Erasure.ERASED_BY_HAND)
    assert queue(town) == [("wrong_charge", "done"), ("erase", "done")]
    assert town.case(NAME).round.erase_at is None  # type: ignore[union-attr]
    assert town.story(NAME)[-1] == "erasure_settled"


@pytest.mark.parametrize("outcome", Erasure)
def test_the_page_says_what_became_of_it(
    town: Town, browser: FlaskClient, outcome: Erasure
) -> None:
    token = STATES["suspended_to_be_erased"].reach(town)
    (number,) = rows(town.database, "select id from review")[0]
    reviews.finish(town.database, town.clock, town.key, number, outcome, "cli:eve")

    for language in languages():
        page = words_of(browser.get(f"/a/{token}?lang={language}").text)
        assert len(page) > 100
    words = words_of(browser.get(f"/a/{token}").text)
    assert ("a person has carried it out" in words) == (outcome is Erasure.ERASED_BY_HAND)
    assert ("Nothing has been erased." in words) == (outcome is not Erasure.ERASED_BY_HAND)


def test_a_request_keeps_no_bill_running(town: Town, browser: FlaskClient, token: str) -> None:
    fresh = pressed(town, browser, token)
    browser.post(f"/e/{fresh}", data=ERASE)
    charges = town.charges(NAME)
    town.clock.advance(MINUTE)
    browser.post(f"/a/{token}", data={"answer": "cancel"})
    town.clock.advance(11 * MINUTE)
    town.settle()
    town.days_pass(60, at_a_time=10)

    assert town.stage(NAME) == "canceled"
    assert town.charges(NAME) == charges
    assert queue(town) == [("erase", "open")]


def test_no_token_is_kept_anywhere(
    town: Town, browser: FlaskClient, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = pressed(town, browser, token)
    browser.post(f"/e/{fresh}", data=ERASE)

    signature = fresh.partition(".")[2]
    said = capsys.readouterr()
    assert signature not in said.out + said.err
    for table in ("evidence", "wording", "history", "outbox", "fresh_link", "review", "webhook"):
        kept = rows(town.database, f"select t::text from {table} t")  # noqa: S608
        assert not any(fresh in str(each) or signature in str(each) for each in kept)
    (told,) = rows(town.database, f"select told::text from evidence where kind = '{FRESH}'")  # noqa: S608
    assert "[link]" in told[0]


def test_a_request_has_a_day_and_nothing_else_has(town: Town) -> None:
    STATES["suspended_to_be_erased"].reach(town)
    for change in ("due_on = null", "reason = 'other'"):
        with pytest.raises(IntegrityError):
            rows(town.database, f"update review set {change}")  # noqa: S608

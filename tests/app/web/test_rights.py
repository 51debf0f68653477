"""What a person sees of what is held about them, by a link of its own, and what they may ask."""

import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from app.links import Links
from app.store import population
from app.world.mail.draft import languages
from tests.app.web.gallery import NAME, STATES, fresh_token
from tests.app.web.test_showing import SAFE, Tags, without_languages, words_of
from tests.probe import kinds, rows
from tests.world import Town, row

DATA, ERASE = {"answer": "data"}, {"answer": "erase"}
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
LINK = "notice.data_link"
OLD, NEW = "ann@subscribers.example", "ann.other@elsewhere.example"
BROKEN = "This link does not work"


@pytest.fixture
def token(town: Town) -> str:
    """Give the link of somebody suspended, an hour ago."""
    found = STATES["suspended"].reach(town)
    town.clock.advance(HOUR)
    town.relay.sent.clear()
    return found


def opened(town: Town, browser: FlaskClient, token: str, later: timedelta = MINUTE) -> str:
    """Ask for the link, let the mail go out, and give the token it brings, a minute later."""
    assert browser.post(f"/a/{token}/data", data=DATA).status_code == 303
    town.deliver()
    town.clock.advance(later)
    return mailed(town)


def mailed(town: Town) -> str:
    body = town.relay.mails()[-1].get_body(("plain",))
    assert body is not None
    return str(re.findall(r"/d/([\w.~-]+)", str(body.get_content()))[0])


def queue(town: Town) -> list[tuple[str, ...]]:
    return [(*each,) for each in rows(town.database, "select reason, state from review")]


def address_of(town: Town) -> str:
    with town.database.transaction() as connection:
        sid = town.id_of(NAME)
        return population.addresses(connection, [sid])[sid].email


# --- the link ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["asked", "suspended", "kept", "older_kept", "ended"])
def test_it_is_mailed_to_the_address_on_file_at_any_stage(
    town: Town, browser: FlaskClient, name: str
) -> None:
    token = STATES[name].reach(town)
    town.clock.advance(MINUTE)
    town.deliver()
    town.relay.sent.clear()

    reply = browser.post(f"/a/{token}/data", data=DATA | {"email": "eve@evil.example"})
    page = browser.get(reply.headers["Location"]).text

    assert "a message with the link is on its way" in words_of(page)
    assert "subscribers.example" not in page
    town.deliver()
    (mail,) = town.relay.mails()
    assert mail["To"] == OLD
    town.clock.advance(MINUTE)
    assert browser.get(f"/d/{mailed(town)}").status_code == 200


def test_both_kinds_of_link_share_three_a_day(town: Town, browser: FlaskClient, token: str) -> None:
    for path, form in [(f"/a/{token}", ERASE), (f"/a/{token}/data", DATA)] * 3:
        browser.post(path, data=form)
        town.deliver()
        town.clock.advance(MINUTE)
    assert len(town.relay.sent) == 3


def test_asking_shows_nothing_and_a_form_of_another_page_mails_nothing(
    town: Town, browser: FlaskClient, everything: Callable[[], dict[str, str]], token: str
) -> None:
    before = everything()
    for method in SAFE:
        reply = browser.open(f"/a/{token}/data?so=data-sent", method=method, data=DATA)
        assert reply.status_code == 200
        assert OLD not in reply.text
    assert browser.post(f"/a/{token}/data", data={"answer": "keep"}).status_code == 400
    assert everything() == before
    del town


def test_looking_changes_nothing_and_does_not_use_it_up(
    town: Town, browser: FlaskClient, everything: Callable[[], dict[str, str]], token: str
) -> None:
    fresh = opened(town, browser, token)
    before = everything()
    for language in languages():
        for query in ("", "&format=json", "&so=restricted"):
            for method in SAFE:
                reply = browser.open(f"/d/{fresh}?lang={language}{query}", method=method)
                assert reply.status_code == 200
                assert reply.headers["Cache-Control"] == "no-store"
                assert reply.headers["Referrer-Policy"] == "no-referrer"
                assert "Set-Cookie" not in reply.headers
    assert everything() == before


def test_a_link_is_good_for_an_hour_until_a_newer_one_and_for_nothing_else(
    town: Town, browser: FlaskClient, token: str
) -> None:
    old = opened(town, browser, token)
    new = opened(town, browser, token)
    town.join(row("ben"))
    made = town.links.read_data(new)
    assert made is not None
    browser.post(f"/a/{token}", data=ERASE)
    town.deliver()
    town.clock.advance(MINUTE)
    erase = fresh_token(town)
    assert browser.get(f"/d/{new}").status_code == 200
    assert browser.get(f"/e/{erase}").status_code == 200
    wrong = [
        *(old, token, erase, new[:-1], new[::-1], "x"),
        town.links.fresh_token(*made),
        town.links.data_token(town.id_of("ben"), 1, made.made_at),
        town.links.data_token(made.subscription, 2, made.made_at),
        town.links.data_token(made.subscription, 1, made.made_at + SECOND),
        Links(["another" * 8], "http://x").data_token(*made),
    ]
    for each in wrong:
        for method in ("GET", "POST"):
            reply = browser.open(f"/d/{each}", method=method, data={"answer": "restrict"})
            assert reply.status_code == 404, each
            assert OLD not in reply.text
    for method in ("GET", "POST"):
        assert browser.open(f"/e/{new}", method=method, data=ERASE).status_code == 404
    assert queue(town) == []

    town.clock.advance(made.made_at + HOUR - SECOND - town.clock.moment)
    assert browser.get(f"/d/{new}").status_code == 200
    town.clock.advance(SECOND)
    for method in ("GET", "POST"):
        reply = browser.open(f"/d/{new}", method=method, data={"answer": "restrict"})
        assert (reply.status_code, BROKEN in reply.text) == (404, True)


def test_a_link_of_somebody_erased_is_gone(town: Town, browser: FlaskClient, token: str) -> None:
    fresh = opened(town, browser, token)
    rows(town.database, "delete from contact")
    for path in (f"/d/{fresh}", f"/d/{fresh}?format=json", f"/a/{token}/data"):
        reply = browser.get(path)
        assert reply.status_code == 410
        assert OLD not in reply.text
    assert browser.post(f"/d/{fresh}", data={"answer": "restrict"}).status_code == 410


# --- the page ------------------------------------------------------------------------------------


def test_the_page_and_the_file_say_what_is_held_and_nothing_of_a_neighbour(
    town: Town, browser: FlaskClient, token: str
) -> None:
    town.join(row("canary", email="canary@neighbours.example", plan="canary plan"))
    town.settle()
    fresh = opened(town, browser, token)

    page = browser.get(f"/d/{fresh}").text
    as_file = browser.get(f"/d/{fresh}?format=json")
    accepted = browser.get(f"/d/{fresh}", headers={"Accept": "application/json"})

    held = json.loads(as_file.data)
    assert accepted.data == as_file.data
    assert as_file.headers["Content-Disposition"].startswith("attachment")
    assert held["contact"]["email"] == OLD
    assert [each["notice"] for each in held["messages"]][:1] == ["ask"]
    assert held["rounds"][0]["stage"] == "suspended"
    words = words_of(page)
    for fact in (OLD, "Europe/London", "£13.49 a month", "We asked by mail", "no answer"):
        assert fact in words, fact
    for each in held["messages"]:
        assert each["subject"] in words
    assert "canary" not in page + as_file.text
    assert not {tag for tag, _ in Tags(page).found} & {"script", "img", "link", "iframe"}


@pytest.mark.parametrize("language", languages())
def test_the_page_has_the_same_parts_in_every_language(
    town: Town, browser: FlaskClient, token: str, language: str
) -> None:
    fresh = opened(town, browser, token)
    english = Tags(without_languages(browser.get(f"/d/{fresh}?lang=en").text))
    reply = browser.get(f"/d/{fresh}?lang={language}")
    tags = Tags(without_languages(reply.text))
    assert [tag for tag, _ in tags.found] == [tag for tag, _ in english.found]
    assert tags.named("html")[0]["lang"] == language
    assert ("What you can do" in reply.text) == (language == "en")


def test_a_hostile_plan_stays_text(town: Town, browser: FlaskClient) -> None:
    fresh = opened(town, browser, STATES["hostile_plan"].reach(town))
    assert "<script>" not in browser.get(f"/d/{fresh}").text


# --- what they may ask ---------------------------------------------------------------------------


def test_a_lock_holds_is_looked_at_and_can_be_taken_back(
    town: Town, browser: FlaskClient, token: str
) -> None:
    fresh = opened(town, browser, token)
    for _ in range(2):
        reply = browser.post(f"/d/{fresh}", data={"answer": "restrict"})
        assert reply.headers["Location"].endswith("so=restricted")
    words = words_of(browser.get(reply.headers["Location"]).text)
    assert "Your data is locked from now on." in words
    assert town.case(NAME).held
    assert queue(town) == [("restriction", "open")]
    assert town.story(NAME).count("restricted") == 1
    assert rows(town.database, "select reason, set_by from hold") == [("restriction", "subscriber")]

    browser.post(f"/d/{fresh}", data={"answer": "unrestrict"})
    assert not town.case(NAME).held
    assert queue(town) == [("restriction", "open")]
    assert town.story(NAME)[-1] == "unrestricted"


def test_a_lock_that_others_set_is_not_theirs_to_take_back(
    town: Town, browser: FlaskClient, token: str
) -> None:
    fresh = opened(town, browser, token)
    rows(
        town.database,
        "insert into hold (product_id, subscription_id, reason, set_by, set_at, review_on)"
        " select product_id, id, 'restriction', 'cli:eve', now(), now() from subscription",
    )
    assert 'value="unrestrict"' not in browser.get(f"/d/{fresh}").text
    browser.post(f"/d/{fresh}", data={"answer": "unrestrict"})
    assert town.case(NAME).held


def test_an_objection_is_put_before_a_person_and_weighs_more(
    town: Town, browser: FlaskClient
) -> None:
    token = STATES["asked_before_a_person"].reach(town)
    fresh = opened(town, browser, token)
    reply = browser.post(f"/d/{fresh}", data={"answer": "object"})
    assert "that you object" in words_of(browser.get(reply.headers["Location"]).text)
    assert queue(town) == [("objection", "open")]
    assert town.story(NAME)[-1] == "objected"
    town.days_pass(40, 20)
    assert town.stage(NAME) == "asked"


def test_erasing_is_by_its_own_link_only_and_where_nothing_is_charged(
    town: Town, browser: FlaskClient, token: str
) -> None:
    fresh = opened(town, browser, token)
    reply = browser.post(f"/d/{fresh}", data=ERASE)
    assert reply.headers["Location"].endswith("so=erase-sent")
    assert kinds(town, NAME)[-1:] == ["notice.fresh_link"]
    assert town.case(NAME).round.erase_at is None  # type: ignore[union-attr]

    kept = STATES["kept"].reach(town)
    town.clock.advance(MINUTE)
    town.deliver()
    charged = opened(town, browser, kept)
    page = browser.get(f"/d/{charged}").text
    assert "please cancel it first" in words_of(page)
    browser.post(f"/d/{charged}", data=ERASE)
    assert "notice.fresh_link" not in kinds(town, NAME)


def test_a_corrected_address_holds_until_billing_tells_another(
    town: Town, browser: FlaskClient, token: str
) -> None:
    fresh = opened(town, browser, token)
    form = {"answer": "correct", "email": f" {NEW} ", "again": NEW}
    reply = browser.post(f"/d/{fresh}", data=form)

    assert reply.headers["Location"].endswith("so=corrected")
    assert address_of(town) == NEW
    assert town.story(NAME)[-1] == "address_corrected"
    town.join(row(NAME, amount=1400, email=OLD.upper()))
    assert address_of(town) == NEW
    town.join(row(NAME, amount=1401, email="third@subscribers.example"))
    assert address_of(town) == "third@subscribers.example"
    town.join(row(NAME, amount=1402, email=OLD))
    assert address_of(town) == OLD


def test_a_correction_kills_links_to_erase_and_lets_none_go_out_for_three_days(
    town: Town, browser: FlaskClient, token: str
) -> None:
    browser.post(f"/a/{token}", data=ERASE)
    town.deliver()
    town.clock.advance(MINUTE)
    erase = fresh_token(town)
    fresh = opened(town, browser, token)
    assert browser.get(f"/e/{erase}").status_code == 200
    browser.post(f"/d/{fresh}", data={"answer": "correct", "email": NEW, "again": NEW})
    sent = len(town.relay.sent)

    assert browser.get(f"/e/{erase}").status_code == 404
    for path, form in ((f"/a/{token}", ERASE), (f"/a/{token}/data", DATA)):
        pages = browser.post(path, data=form, follow_redirects=True).text
        assert "on its way" in words_of(pages)
    town.deliver()
    assert len(town.relay.sent) == sent
    town.clock.advance(timedelta(days=3))
    opened(town, browser, token)
    assert town.relay.sent[-1][0] == NEW


@pytest.mark.parametrize(
    ("first", "again", "says"),
    [
        (NEW, OLD, "two different addresses"),
        ("", "", "no e-mail address"),
        ("ann", "ann", "no e-mail address"),
        (f"Call me, {NEW}", f"Call me, {NEW}", "no e-mail address"),
        (f"{NEW}\nBcc: eve@evil.example", f"{NEW}\nBcc: eve@evil.example", "no e-mail address"),
        ("a" * 250 + "@elsewhere.example", "a" * 250 + "@elsewhere.example", "no e-mail address"),
        ("4111111111111111@card.example",) * 2 + ("no e-mail address",),
    ],
)
def test_what_is_no_address_changes_nothing_and_is_not_shown_again(  # noqa: PLR0913, PLR0917
    town: Town,
    browser: FlaskClient,
    everything: Callable[[], dict[str, str]],
    token: str,
    first: str,
    again: str,
    says: str,
) -> None:
    fresh = opened(town, browser, token)
    before = everything()
    form = {"answer": "correct", "email": first, "again": again}
    reply = browser.post(f"/d/{fresh}", data=form)
    assert reply.status_code == 400
    assert says in words_of(reply.text)
    assert "elsewhere.example" not in reply.text
    assert everything() == before
    del town


@pytest.mark.parametrize("form", [{}, {"answer": "keep"}, {"answer": ["restrict", "object"]}])
def test_a_form_that_is_not_the_pages_own_asks_for_nothing(
    town: Town,
    browser: FlaskClient,
    everything: Callable[[], dict[str, str]],
    token: str,
    form: dict[str, str],
) -> None:
    fresh = opened(town, browser, token)
    before = everything()
    assert browser.post(f"/d/{fresh}", data=form).status_code == 400
    assert everything() == before
    del town


@pytest.mark.parametrize("answer", ["restrict", "object", "erase", "correct"])
def test_a_press_within_ten_seconds_of_the_mail_is_not_believed(
    town: Town, browser: FlaskClient, token: str, answer: str
) -> None:
    fresh = opened(town, browser, token, 2 * SECOND)
    form = {"answer": answer, "email": NEW, "again": NEW}
    reply = browser.post(f"/d/{fresh}", data=form)
    assert "sooner than anybody can read it" in words_of(
        browser.get(reply.headers["Location"]).text
    )
    assert (queue(town), address_of(town), town.case(NAME).held) == ([], OLD, False)
    assert "notice.fresh_link" not in kinds(town, NAME)


def test_no_address_of_anybody_is_logged(
    town: Town, browser: FlaskClient, token: str, capfd: pytest.CaptureFixture[str]
) -> None:
    fresh = opened(town, browser, token)
    browser.post(f"/d/{fresh}", data={"answer": "correct", "email": NEW, "again": NEW})
    browser.post(f"/d/{fresh}", data={"answer": "correct", "email": "x@y", "again": "x@y"})
    said = "".join(capfd.readouterr())
    assert not re.search(r"@|/d/|/a/", said)

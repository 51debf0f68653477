"""The pages: what they show, what their forms do, and that each deed stands in history."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.errors import QueryCanceled
from sqlalchemy import text, update

from app.forecast import Keeper
from app.lifecycle.case import AskReview, Concern, Verdict
from app.store import funnel, overview, products, tables
from app.store.database import Database
from app.web.console.people import ASKED_BY, DONE, WORDS
from app.web.console.words import FOLDER, languages, sentences
from app.web.words import names_in
from tests.app.web.console.conftest import BASE, ORIGIN, Desk, Things, erased, message, parked
from tests.app.web.console.forms import Sheet
from tests.manifests import hash_of, made
from tests.world import Town, row

TV = "/console/products/tv"
PAGES = (
    f"{TV}/",
    f"{TV}/people",
    f"{TV}/runs",
    f"{TV}/queues",
    f"{TV}/manifests",
    f"{TV}/erasures",
    f"{TV}/targets",
    f"{TV}/holds",
    "/console/",
    "/console/sessions",
)
QUEUES = ("reviews", "unreachable", "parked", "inbox")
LARGEST = 100_000


def asked(town: Town, *names: str) -> None:
    town.join(*(row(name) for name in names))
    town.settle()


def person(desk: Desk, name: str) -> str:
    return f"{TV}/people/{desk.town.id_of(name)}"


# --- what they show ------------------------------------------------------------------------


def test_the_overview_counts_people_and_money(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "PATIENCE", "30s")  # a busy machine is not what this is about
    town = desk.town
    asked(town, "a", "b", "c")
    town.join(row("used", amount="500"))
    town.use("used")
    town.clock.advance(timedelta(hours=1))
    town.answer("a", "keep")
    page = desk.person("viewer").get(f"{TV}/").text
    steps = dict(
        re.findall(r'<th scope="row">([^<]+)<svg.*?<td class="num">([\d,]+)</td>', page, re.DOTALL)
    )
    assert steps["Found unused"] == steps["Asked"] == "3"
    assert steps["Kept it"] == "1"
    assert "£40.47" in page
    assert "£13.49" in page
    assert '<div class="figure">4</div>' in page
    assert "Up to date." in page


def test_the_funnel_is_of_the_days_asked_for(desk: Desk) -> None:
    asked(desk.town, "a")
    who = desk.person("viewer")
    for query, many in (
        ("period=30", 1),
        ("from=2024-09-01&to=2024-09-01", 1),
        ("from=2024-08-01&to=2024-08-31", 0),
        ("from=x&to=2024-08-31", 1),
        ("from=2024-08-31&to=2024-08-01", 1),
        ("from=0001-01-01&to=9999-12-31", 1),
        ("period=99999", 1),
    ):
        page = who.get(f"{TV}/?{query}").text
        assert f'<td class="num">{many}</td>' in page.partition("Asked<svg")[2][:400], query


def test_a_yearly_price_is_told_by_the_month(desk: Desk) -> None:
    desk.town.join(
        row("a", amount="12000", interval="year"), row("b", amount="1000", currency="JPY")
    )
    desk.town.settle()
    now = desk.town.clock.now()
    with desk.town.database.transaction() as connection:
        a_day = timedelta(days=1)
        found = funnel.came(connection, desk.town.product.id, now - a_day, now + a_day, None)
    assert {(each.currency, each.monthly) for each in found} == {("GBP", 1000), ("JPY", 1000)}


def test_what_takes_too_long_is_left_out_and_the_rest_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(desk.town, "a", "b")
    many = '<td class="num">2</td>\n<td class="num">'
    who, tried = desk.person("viewer"), []

    def slow(*_: Any) -> Any:
        tried.append(1)
        raise QueryCanceled

    monkeypatch.setattr(funnel, "came", slow)
    monkeypatch.setattr(overview, "MOST_LINES", 4)
    assert f"{many}takes too long" in who.get(f"{TV}/").text
    monkeypatch.setattr(overview, "MOST_LINES", 3)
    assert f"{many}takes too long" in who.get(f"{TV}/").text
    assert len(tried) == 1, "what is far too much is not even tried"


def test_the_money_of_the_funnel_is_waited_for_a_moment_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, told = desk.town.clock.now(), []
    run = psycopg.Cursor.execute

    def waited(self: Any, query: Any, *rest: Any, **more: Any) -> Any:
        found = run(self, query, *rest, **more)
        if "from history" in query:
            told.append(self.connection.execute("show statement_timeout").fetchone()[0])
        return found

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", waited)
        with desk.town.database.transaction() as connection:
            funnel.came(connection, desk.town.product.id, now, now, None, overview.PATIENCE)
    assert told == [overview.PATIENCE]
    with desk.town.database.transaction() as connection:
        assert connection.exec_driver_sql("show statement_timeout").scalar_one() == "0"


def test_a_new_product_sees_what_is_to_be_done(desk: Desk, database: Database) -> None:
    with database.transaction() as connection:
        products.add(connection, "new", "New", "sandbox", desk.town.clock.now())
    who, page = desk.person("editor"), "/console/products/new/"
    text_of = who.get(page).text
    assert text_of.count('<li class="open">') == 6
    assert "reconfirm import subscriptions new" in text_of
    assert text_of.count("<code>") == 1, "one next step"
    who.post(f"{page}dry-run-read")
    assert who.get(page).text.count('<li class="done">') == 1
    assert "nobody is asked" in text_of


@pytest.mark.parametrize("folds", [0, 1])
def test_the_curve_is_the_whole_base(desk: Desk, folds: int) -> None:
    town = desk.town
    town.join(*(row(f"n{each}") for each in range(3)), row("u"), row("gone", status="canceled"))
    town.join(row("free", amount="0"))
    Keeper(town.database, town.clock).fold(town.key, most=folds)
    town.use("u")
    who = desk.person("viewer")
    told = who.get(f"{TV}/curve.csv")
    assert told.mimetype == "text/csv"
    lines = told.text.splitlines()
    assert lines[0] == "months_unused_at_least,subscribers,of_these_never_used"
    assert lines[1] == "0,4,3"
    assert lines[2] == "1,3,3"
    assert lines[25] == "24,3,3"
    page = who.get(f"{TV}/").text
    assert "Never used it since they began at least 1 year ago: 3 (75%)." in page
    assert page.count("<polyline") == 2


def test_one_finds_people_by_exactly_their_id_or_address(desk: Desk) -> None:
    desk.town.join(row("a"), row("b", email="Shared@x.example"), row("c", email="shared@X.example"))
    who = desk.person("viewer", name="eve")
    assert who.post(f"{TV}/people", who="a").location == person(desk, "a")
    assert who.post(f"{TV}/people", who=" a@subscribers.example ").location == person(desk, "a")
    both = who.post(f"{TV}/people", who="shared@x.example").text
    assert person(desk, "b") in both
    assert person(desk, "c") in both
    for nobody in ("A", "a%", "subscribers.example", "@", "", "\0", "x" * 5000):
        assert "nobody" in who.post(f"{TV}/people", who=nobody).text, nobody
    did = desk.audited()
    assert did[:2] == [
        ("person_looked_up", "by_id", "console:eve"),
        ("person_looked_up", "by_address", "console:eve"),
    ]
    assert len(did) == 4 + 7


def opened(desk: Desk) -> list[str]:
    return [
        who for what, why, who in desk.audited() if (what, why) == ("person_opened", "by_number")
    ]


def test_opening_somebody_is_noted_once_an_hour_for_each_who_does(desk: Desk) -> None:
    desk.town.join(row("a"), row("b"))
    eve = desk.person("viewer", name="eve")
    for _ in range(3):
        eve.get(person(desk, "a"))
        desk.town.clock.advance(timedelta(minutes=19))
    assert opened(desk) == ["console:eve"]
    desk.person("viewer", name="bob").get(person(desk, "a"))
    eve.get(person(desk, "b"))
    assert opened(desk) == ["console:eve", "console:bob", "console:eve"]
    desk.town.clock.advance(timedelta(minutes=3))
    page = eve.get(person(desk, "a")).text
    assert opened(desk)[3:] == ["console:eve"]
    assert "Opened in the console" in page
    desk.person("radio:viewer", name="tom").get(person(desk, "a"))
    desk.stranger().get(person(desk, "a"))
    assert eve.get(f"{TV}/people/999999").status_code == 404
    assert len(opened(desk)) == 4, "who saw nothing opened nothing"


def test_a_person_is_told_in_words_with_every_notice(desk: Desk) -> None:
    asked(desk.town, "a")
    page = desk.person("viewer").get(person(desk, "a")).text
    assert "asked, and has not answered" in page
    assert "Silence counts from" in page
    assert "Found unused: a round begins" in page
    assert "Asked by mail" in page
    assert "never used" in page
    assert "a•••@subscribers.example" in page
    assert "a@subscribers.example" not in page
    assert "[link]" in page, "as it was sent, but for their own link"
    assert "<button" not in page.partition("<main")[2].partition("</main>")[0], (
        "a viewer acts on nothing"
    )


def test_a_page_speaks_french(desk: Desk) -> None:
    asked(desk.town, "a")
    who = desk.person("editor")
    assert who.post("/console/language", language="fr", back=f"{TV}/").location == f"{TV}/"
    for path in (*PAGES, person(desk, "a"), *(f"{TV}/queues?queue={each}" for each in QUEUES)):
        page = who.get(path).text
        assert '<html lang="fr"' in page
        assert "Se déconnecter" in page
    assert who.post("/console/language", language="xx").status_code == 400


def test_without_a_session_the_browser_says_the_language(desk: Desk) -> None:
    for wish, said in (
        ("fr-CA, en;q=0.5", "Connexion"),
        ("tlh, de", "Sign in"),
        ("en-GB", "Sign in"),
    ):
        answer = desk.stranger().client.get(
            "/console/sign-in", base_url=BASE, headers={"Accept-Language": wish}
        )
        assert said in answer.text


# --- what they do --------------------------------------------------------------------------


def test_an_editor_keeps_for_somebody(desk: Desk) -> None:
    asked(desk.town, "a")
    who = desk.person("tv:editor", name="eve")
    assert who.post(f"{person(desk, 'a')}/act", answer="keep", why="phone").location.endswith(
        "so=keep"
    )
    assert desk.town.case("a").round.outcome == "kept"  # type: ignore[union-attr]
    assert ("acted_for_them", "keep_phone", "console:eve") in desk.audited()
    assert ("kept", "said_by_app", "console:eve") in desk.audited()


def test_an_editor_resumes_for_somebody(desk: Desk) -> None:
    asked(desk.town, "a")
    desk.town.days_pass(32)
    assert desk.town.stage("a") == "suspended"
    who = desk.person("editor")
    assert "They resume: charge again" in who.get(person(desk, "a")).text
    who.post(f"{person(desk, 'a')}/act", answer="resume", why="chat")
    desk.town.clock.advance(timedelta(minutes=10))
    desk.town.settle()
    assert desk.town.acts("a") == ["suspend", "resume"]


def offered(page: str) -> list[str]:
    return re.findall(r'<button name="answer" value="([a-z]+)"', page)


def test_an_editor_stops_for_somebody_who_was_asked(desk: Desk) -> None:
    asked(desk.town, "a")
    who, path = desk.person("tv:editor", name="eve"), f"{person(desk, 'a')}/act"
    assert offered(who.get(person(desk, "a")).text) == ["keep", "stop"]
    for _ in range(2):
        assert who.post(path, answer="stop", why="phone").location.endswith("so=stop")
        desk.town.clock.advance(timedelta(seconds=3))
    page = who.get(f"{person(desk, 'a')}?so=stop").text
    assert offered(page) == ["keep"]
    assert "Billing is told to cancel." in page
    assert "stop, by phone" in page
    desk.town.settle()
    assert desk.town.acts("a") == [], "it rests"
    desk.town.clock.advance(timedelta(minutes=10) - timedelta(seconds=6))
    desk.town.settle()
    assert desk.town.acts("a") == ["cancel"], "a second click neither adds to it nor puts it off"
    assert desk.town.stage("a") == "canceled"
    assert offered(who.get(person(desk, "a")).text) == ["resume"]
    assert ("cancel_recorded", "said_by_app", "console:eve") in desk.audited()
    assert ("acted_for_them", "stop_phone", "console:eve") in desk.audited()


def test_an_editor_stops_for_somebody_whom_nobody_asked(desk: Desk) -> None:
    desk.town.join(row("a"))
    who = desk.person("editor")
    assert offered(who.get(person(desk, "a")).text) == ["stop"]
    for _ in range(2):
        assert who.post(f"{person(desk, 'a')}/act", answer="stop", why="mail").status_code == 303
    case = desk.town.case("a").round
    assert case is not None
    assert (case.number, case.why, case.word) == (1, "own_cancel", "cancel")
    desk.town.clock.advance(timedelta(minutes=10))
    desk.town.settle()
    assert desk.town.acts("a") == ["cancel"]


def test_an_editor_stops_what_was_suspended(desk: Desk) -> None:
    asked(desk.town, "a")
    desk.town.days_pass(32)
    who = desk.person("editor")
    assert offered(who.get(person(desk, "a")).text) == ["resume", "stop"]
    who.post(f"{person(desk, 'a')}/act", answer="stop", why="in_person")
    assert offered(who.get(person(desk, "a")).text) == ["resume"]
    desk.town.clock.advance(timedelta(minutes=10))
    desk.town.settle()
    assert desk.town.acts("a") == ["suspend", "cancel"]


def test_a_stop_that_is_kept_within_ten_minutes_never_reaches_billing(desk: Desk) -> None:
    asked(desk.town, "a")
    who, path = desk.person("editor"), f"{person(desk, 'a')}/act"
    who.post(path, answer="stop", why="phone")
    desk.town.clock.advance(timedelta(minutes=5))
    assert who.post(path, answer="keep", why="phone").status_code == 303
    desk.town.days_pass(40)
    assert desk.town.acts("a") == []
    assert desk.town.stage("a") == "active"


def test_two_buttons_within_ten_seconds_are_believed_neither(desk: Desk) -> None:
    asked(desk.town, "a")
    who, path = desk.person("editor"), f"{person(desk, 'a')}/act"
    who.post("/console/language", language="fr")
    who.post(path, answer="stop", why="phone")
    desk.town.clock.advance(timedelta(seconds=5))
    answer = who.post(path, answer="keep", why="phone")
    assert answer.status_code == 409
    assert "contraires sont venues en dix secondes" in answer.text
    assert desk.town.stage("a") == "asked"
    assert offered(who.get(person(desk, "a")).text) == ["keep", "stop"]
    done = [why for what, why, _ in desk.audited() if what == "acted_for_them"]
    assert done == ["stop_phone"]


def test_what_has_ended_at_billing_is_not_stopped(desk: Desk) -> None:
    desk.town.join(row("a", status="canceled"))
    who = desk.person("editor")
    page = who.get(person(desk, "a")).text
    assert offered(page) == []
    assert "there is nothing to do for them" in page
    answer = who.post(f"{person(desk, 'a')}/act", answer="stop", why="phone")
    assert answer.status_code == 409
    assert "That has come to its end already." in answer.text
    assert desk.town.case("a").round is None


def test_every_act_has_its_words_in_every_language() -> None:
    refusals = set(Verdict) - DONE - {Verdict.GO, Verdict.CHECK, Verdict.VOID, Verdict.WAIT}
    wanted = {f"why.{word}_{how}" for word in WORDS for how in ASKED_BY}
    wanted |= {f"{section}.{word}" for word in WORDS for section in ("act", "so")}
    wanted |= {f"refusal.{each}" for each in refusals}
    for language in languages():
        assert wanted - set(sentences(language)) == set(), language


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"answer": "cancel", "why": "phone"},
        {"answer": "keep"},
        {"answer": "keep", "why": "x y"},
    ],
)
def test_only_what_is_offered_is_done_for_somebody(desk: Desk, form: dict[str, str]) -> None:
    asked(desk.town, "a")
    assert desk.person("admin").post(f"{person(desk, 'a')}/act", **form).status_code == 400
    assert desk.town.stage("a") == "asked"


def test_what_does_not_fit_is_refused_in_words(desk: Desk) -> None:
    desk.town.join(row("a"))
    who = desk.person("editor")
    for path, form in (
        ("act", {"answer": "resume", "why": "phone"}),
        ("review", {"why": "other"}),
        ("reviewed", {"finding": "put_right"}),
    ):
        answer = who.post(f"{person(desk, 'a')}/{path}", **form)
        assert answer.status_code == 409, path
        assert "Nothing was done" in answer.text
    assert desk.audited() == []


def test_a_case_is_put_before_a_person_and_looked_at(desk: Desk) -> None:
    asked(desk.town, "a")
    desk.town.clock.advance(timedelta(hours=1))
    who = desk.person("editor", name="eve")
    who.post(f"{person(desk, 'a')}/review", why="wrong_charge")
    assert "A charge looks wrong" in who.get(f"{TV}/queues").text
    page = who.get(person(desk, "a")).text
    assert "until then nothing follows from silence" in page
    who.post(f"{person(desk, 'a')}/reviewed", finding="put_right")
    assert "Nothing waits here." in who.get(f"{TV}/queues").text
    assert [line[:2] for line in desk.audited()] == [
        ("review_asked", "wrong_charge"),
        ("person_opened", "by_number"),
        ("reviewed", "put_right"),
    ]


def test_what_a_subscriber_asked_to_be_looked_at_is_in_the_queue(desk: Desk) -> None:
    asked(desk.town, "a")
    desk.town.clock.advance(timedelta(hours=1))
    desk.person("editor").post(f"{person(desk, 'a')}/review", why=str(Concern.NOT_MINE))
    assert AskReview(1, Concern.NOT_MINE).round == 1
    assert "Not their subscription" in desk.person("viewer").get(f"{TV}/queues").text


def test_pausing_and_lifting(desk: Desk) -> None:
    who = desk.person("editor", name="eve")
    who.post(f"{TV}/pause", why="usage_feed_in_doubt")
    page = who.get(f"{TV}/?so=paused").text
    assert "<p>The usage feed is in doubt</p>" in page
    assert "by console:eve" in page
    assert "Paused." in page
    who.post(f"{TV}/lift", why="mended")
    assert "Lift the stop" not in who.get(f"{TV}/").text
    assert desk.audited() == [
        ("brake_on", "usage_feed_in_doubt", "console:eve"),
        ("brake_off", "mended", "console:eve"),
    ]


def test_a_stop_of_all_products_is_not_theirs_to_lift(desk: Desk, database: Database) -> None:
    with database.transaction() as connection:
        products.set_brake(connection, None, "by_hand", "all", "cli:x", desk.town.clock.now())
    who = desk.person("admin")
    assert "Lift the stop" not in who.get(f"{TV}/").text
    who.post(f"{TV}/lift", why="mended")
    with database.transaction() as connection:
        assert len(products.brakes(connection)) == 1


def test_a_parked_effect_is_tried_again(desk: Desk, things: Things, database: Database) -> None:
    who = desk.person("editor", name="eve")
    page = who.get(f"{TV}/queues?queue=parked").text
    assert "relay refused" in page
    who.post(f"{TV}/queues/parked/{things.effect}")
    with database.transaction() as connection:
        found = connection.execute(text("select state, unknown from outbox")).all()
    assert [tuple(each) for each in found] == [("pending", 0)]
    assert desk.audited() == [("effect_retried", "notice.ask", "console:eve")]
    assert who.post(f"{TV}/queues/parked/{things.effect}").status_code == 409


def test_a_notice_that_may_have_gone_out_twice_goes_no_third_time(
    desk: Desk, things: Things, database: Database
) -> None:
    with database.transaction() as connection:
        connection.execute(update(tables.outbox).values(unknown=2))
    who = desk.person("editor")
    assert "no third copy" in who.get(f"{TV}/queues?queue=parked").text
    assert who.post(f"{TV}/queues/parked/{things.effect}").status_code == 409


def test_an_act_that_billing_refused_is_told_once_more(desk: Desk, database: Database) -> None:
    asked(desk.town, "a")
    desk.town.clock.advance(timedelta(days=32))
    desk.town.hear()
    desk.town.sweep()
    with database.transaction() as connection:
        connection.execute(text("update outbox set state = 'parked', error = 'no'"))
        connection.execute(text("update reconfirmation set act_state = 'parked'"))
        number = connection.scalar(text("select id from outbox where kind = 'billing.suspend'"))
    desk.town.deliver()
    assert desk.town.acts("a") == []
    desk.person("editor").post(f"{TV}/queues/parked/{number}")
    desk.town.deliver()
    assert desk.town.acts("a") == ["suspend"]


def test_a_message_is_taken_in_again(desk: Desk, things: Things) -> None:
    who = desk.person("editor", name="eve")
    assert "not readable" in who.get(f"{TV}/queues?queue=inbox").text
    answer = who.post(f"{TV}/queues/inbox/{things.message}")
    assert answer.location.endswith("so=not_replayed")
    assert desk.audited() == [("message_replayed", "by_hand", "console:eve")]


def test_somebody_confirms_an_address_that_bounced(desk: Desk, database: Database) -> None:
    asked(desk.town, "a")
    with database.transaction() as connection:
        connection.execute(update(tables.contact).values(reach="bounced"))
        connection.execute(
            text(
                "update reconfirmation set outcome = 'unreachable', closed_at = opened_at,"
                " wake_at = null"
            )
        )
    who = desk.person("editor", name="eve")
    assert "mail came back" in who.get(f"{TV}/queues?queue=unreachable").text
    who.post(f"{TV}/queues/unreachable/{desk.town.id_of('a')}")
    assert desk.town.case("a").reach == "ok"
    assert ("address_confirmed", "by_hand", "console:eve") in desk.audited()


def test_a_long_queue_goes_on(desk: Desk) -> None:
    desk.town.join(row("a"))
    for _ in range(51):
        parked(desk.town, "a")
    who = desk.person("viewer")
    page = who.get(f"{TV}/queues?queue=parked").text
    following = re.search(r"after=(\d+)", page)
    assert following is not None
    rest = who.get(f"{TV}/queues?queue=parked&after={following[1]}").text
    assert rest.count("<tr>") == 2
    for odd in ("-1", "x", "9" * 30):
        assert who.get(f"{TV}/queues?queue=parked&after={odd}").status_code == 200


def test_every_deed_stands_in_history(desk: Desk, things: Things) -> None:
    """Each route that does something leaves a line of who did it; the language is one's own."""
    asked(desk.town, "k")
    desk.town.clock.advance(timedelta(hours=1))
    who = desk.person("admin", name="eve")
    filled = Sheet.of(who.get(f"{TV}/policy/edit").text).pairs
    whole = {name: texts[-1] for name, texts in filled.items()}
    deeds = {
        "/console/products/<product>/pause": (f"{TV}/pause", {}),
        "/console/products/<product>/lift": (f"{TV}/lift", {}),
        "/console/products/<product>/dry-run-read": (f"{TV}/dry-run-read", {}),
        "/console/products/<product>/people": (f"{TV}/people", {"who": "nobody"}),
        "/console/products/<product>/people/<int:number>/review": (
            f"{person(desk, 'k')}/review",
            {"why": "other"},
        ),
        "/console/products/<product>/people/<int:number>/reviewed": (
            f"{person(desk, 'k')}/reviewed",
            {"finding": "put_right"},
        ),
        "/console/products/<product>/people/<int:number>/act": (
            f"{person(desk, 'k')}/act",
            {"answer": "keep", "why": "mail"},
        ),
        "/console/products/<product>/queues/parked/<int:number>": (
            f"{TV}/queues/parked/{things.effect}",
            {},
        ),
        "/console/products/<product>/queues/inbox/<int:number>": (
            f"{TV}/queues/inbox/{things.message}",
            {},
        ),
        "/console/products/<product>/queues/unreachable/<int:number>": (
            f"{TV}/queues/unreachable/{things.person}",
            {},
        ),
        "/console/products/<product>/people/<int:number>/hold": (
            f"{person(desk, 'k')}/hold",
            {"reason": "legal"},
        ),
        "/console/products/<product>/holds/<int:number>/review": (
            f"{TV}/holds/{things.hold}/review",
            {"review_on": "2024-12-01"},
        ),
        "/console/products/<product>/holds/<int:number>/release": (
            f"{TV}/holds/{things.hold}/release",
            {},
        ),
        "/console/products/<product>/disputes/<int:number>/seen": (
            f"{TV}/disputes/{things.dispute}/seen",
            {},
        ),
        "/console/products/<product>/manifests/<int:number>/approve": (
            f"{TV}/manifests/{things.manifest}/approve",
            {"hash": hash_of(desk.town, things.manifest)},
        ),
        "/console/products/<product>/manifests/<int:number>/refuse": (
            f"{TV}/manifests/{things.manifest}/refuse",
            {},
        ),
        "/console/products/<product>/erasures/<erasure>/receipts/<int:number>/retry": (
            f"{TV}/erasures/{things.erasure}/receipts/{things.target}/retry",
            {},
        ),
        "/console/sessions/end": ("/console/sessions/end", {"name": "mallory"}),
        "/console/products/<product>/ramp/pause": (f"{TV}/ramp/pause", {"why": "other"}),
        "/console/products/<product>/ramp/resume": (f"{TV}/ramp/resume", {"why": "mended"}),
        "/console/products/<product>/ramp/stop": (f"{TV}/ramp/stop", {"why": "other"}),
        "/console/products/<product>/runs/<int:number>/undo": (
            f"{TV}/runs/{things.run + 1}/undo",
            {},
        ),
        "/console/products/<product>/policy/edit": (
            f"{TV}/policy/edit",
            whole,
        ),
        "/console/sign-out": ("/console/sign-out", {}),
    }
    desk.person("viewer", name="mallory")
    routes = {
        rule.rule
        for rule in desk.app.url_map.iter_rules()
        if rule.rule.startswith("/console") and "POST" in (rule.methods or ())
    }
    elsewhere = {path for path in routes if "/policy/versions/" in path}  # test_versions.py
    elsewhere |= {path for path in routes if path.endswith("/agree")}  # test_runs.py
    rights = ("/restrict", "/object", "/correct", "/erase")
    elsewhere |= {path for path in routes if path.endswith(rights)}  # test_rights.py
    changes_nothing = {
        "/console/products/<product>/policy/what-if",
        "/console/products/<product>/policy/what-if.csv",
    }
    of_oneself = {"/console/language", "/console/enter/<token>"}
    assert routes - set(deeds) - elsewhere == changes_nothing | of_oneself
    for path, form in deeds.values():
        before = len(desk.audited())
        if path.endswith(f"{desk.town.id_of('k')}/act"):
            desk.town.clock.advance(timedelta(minutes=1))
        answer = who.post(path, **form)
        assert answer.status_code in (200, 303), (path, answer.status_code)
        assert len(desk.audited()) > before, path
        assert {actor for _, _, actor in desk.audited()} == {"console:eve"}


def test_a_defect_of_ours_has_a_page_of_the_console(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(*_: object) -> None:
        raise LookupError("ada@subscribers.example")

    monkeypatch.setattr(overview, "standing", breaks)
    page = desk.person("viewer").get(f"{TV}/queues")
    assert page.status_code == 500
    assert "This page did not work" in page.text
    assert "To the console" in page.text
    told = capsys.readouterr().err
    assert "failed: LookupError at" in told
    assert "ada@" not in told + page.text


# --- attacks -------------------------------------------------------------------------------


def test_a_form_without_its_token_or_from_elsewhere_does_nothing(desk: Desk) -> None:
    who, other = desk.person("admin", name="eve"), desk.person("admin", name="mallory")
    here = ORIGIN["Origin"]
    for token, origin in (
        (None, here),
        ("", here),
        (other.csrf, here),
        (who.csrf[:-1], here),
        (f"{who.csrf}é", here),
        (who.csrf, None),
        (who.csrf, "null"),
        (who.csrf, "https://evil.example"),
        (who.csrf, "http://reconfirm.example"),
        (who.csrf, f"{here}.evil.example"),
    ):
        answer = who.client.post(
            f"{TV}/pause",
            base_url=BASE,
            data={} if token is None else {"csrf": token},
            headers={} if origin is None else {"Origin": origin},
        )
        assert answer.status_code == 403, (token, origin)
    assert desk.audited() == []
    assert who.post(f"{TV}/pause").status_code == 303


def test_get_and_head_change_nothing(desk: Desk, things: Things, everything: Any) -> None:
    who = desk.person("admin")
    who.get(f"{TV}/people/{things.person}")  # noted once, and then not for an hour
    before = everything()
    for path in (*PAGES, f"{TV}/people/{things.person}", f"{TV}/curve.csv", "/console/again"):
        assert who.get(path).status_code == 200
        assert who.client.head(path, base_url=BASE).status_code == 200
    assert everything() == before


def test_headers_of_every_page(desk: Desk, things: Things) -> None:
    who = desk.person("viewer")
    for path in (*PAGES, f"{TV}/people/{things.person}", "/console/sign-in", f"{TV}/nothing"):
        headers = who.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["Strict-Transport-Security"]
        assert headers["X-Content-Type-Options"] == "nosniff"


EVIL = "<img src=x onerror=alert(1)>\"'{{7*7}}"


def test_nothing_stored_becomes_html(desk: Desk, database: Database) -> None:
    """Each column with text from outside is filled with an attack, and each page looked at."""
    town = desk.town
    town.join(row("evil"))
    town.settle()
    parked(town, "evil", error=EVIL)
    message(town, reason=EVIL, kind=EVIL)
    now = town.clock.now()
    filled = {
        "product": ("name", "support_url", "from_address"),
        "subscription": ("external_id", "plan", "country"),
        "contact": ("email",),
        "history": ("what", "why", "actor"),
        "wording": ("subject", "text", "html"),
        "inbox": ("source", "message_id", "type", "reason"),
        "outbox": ("error",),
        "console_person": ("name",),
    }
    who = desk.person("admin")
    who.post(f"{TV}/pause")
    with database.transaction() as connection:
        products.set_brake(connection, town.product.id, "x", EVIL, f"cli:{EVIL}", now)
        for table, columns in filled.items():
            for column in columns:
                connection.execute(text(f"update {table} set {column} = :evil"), {"evil": EVIL})  # noqa: S608
        number = connection.scalar(text("select id from subscription"))
        connection.execute(
            text("""insert into review (product_id, subscription_id, round, asked_at, reason, state)
                    values (:product, :who, 1, :at, 'other', 'open')"""),
            {"product": town.product.id, "who": number, "at": now},
        )
    seen = 0
    for path in (
        *PAGES,
        f"{TV}/people/{number}",
        *(f"{TV}/queues?queue={each}" for each in QUEUES),
    ):
        page = who.get(path)
        assert page.status_code == 200, path
        assert "<img" not in page.text, path
        assert "49" not in page.text.partition("&lt;img")[2][:60]
        seen += page.text.count("&lt;img")
    page = who.post(f"{TV}/people", who=EVIL)
    assert "<img" not in page.text
    assert page.status_code == 303, "it is that person's id"
    assert "<img" not in who.post(f"{TV}/people", who=f"{EVIL}@x").text
    assert seen >= 25
    for query in (f"so={EVIL}", f"queue={EVIL}", f"from={EVIL}", f"period={EVIL}", f"after={EVIL}"):
        for path in PAGES:
            assert "<img" not in who.get(f"{path}?{query}").text
    stranger = desk.stranger()
    assert "<img" not in stranger.get(f"/console/sign-in?back={EVIL}").text


def test_whoever_was_erased_is_nowhere(desk: Desk, database: Database) -> None:
    asked(desk.town, "a")
    path, who = person(desk, "a"), desk.person("admin")
    with database.transaction() as connection:
        connection.execute(text("set local role reconfirm_eraser"))
        connection.execute(text("delete from contact"))
    assert who.get(path).status_code == 404
    assert "nobody" in who.post(f"{TV}/people", who="a").text
    assert who.post(f"{path}/act", answer="keep", why="phone").status_code == 404


# --- what they cost ------------------------------------------------------------------------


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    said: list[str] = []
    run = psycopg.Cursor.execute

    def noted(self: Any, query: Any, *rest: Any, **more: Any) -> Any:
        said.append(str(query))
        return run(self, query, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", noted)
        yield said


MOST = {
    "/console/": 3,
    "/console/sessions": 3,
    f"{TV}/": 20,
    f"{TV}/policy": 6,
    f"{TV}/policy/edit": 12,
    f"{TV}/policy/versions/1": 16,
    f"{TV}/policy/versions/1/dry-run": 18,
    f"{TV}/runs": 10,
    f"{TV}/curve.csv": 5,
    f"{TV}/people": 5,
    f"{TV}/queues": 7,
    f"{TV}/manifests": 6,
    f"{TV}/manifests/1": 14,
    f"{TV}/erasures": 6,
    f"{TV}/erasures/era_1": 7,
    f"{TV}/targets": 7,
    f"{TV}/holds": 8,
    "person": 15,
}


def test_a_page_asks_the_database_little_and_is_small(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(desk.town, *(f"p{each}" for each in range(60)))
    for each in range(60):
        parked(desk.town, f"p{each}")
        erased(desk.town, f"p{each}", f"era_{each}")
    made(desk.town, *(f"p{each}" for each in range(60)))
    who = desk.person("admin")
    found = {}
    for path in MOST:
        address = person(desk, "p1") if path == "person" else path
        who.get(address)
        with counted(monkeypatch) as said:
            page = who.get(f"{address}?queue=parked")
        found[path] = (len(said), len(page.data))
    assert {path for path, (many, _) in found.items() if many > MOST[path]} == set(), found
    assert max(size for _, size in found.values()) < LARGEST, found


# --- sentences -----------------------------------------------------------------------------


def test_every_language_says_the_same_things() -> None:
    english = sentences("en")
    assert set(languages()) == {"en", "fr"}
    for language in languages():
        said = {
            name: words
            for name, words in sentences(language).items()
            if not name.startswith(("knob.", "knob_hint."))  # in English they are in policy.py
        }
        assert set(said) == set(english)
        for name, words in said.items():
            assert words.strip(), name
            assert names_in(words) == names_in(english[name]), name


def test_every_sentence_that_templates_name_is_there() -> None:
    folder = FOLDER.joinpath("..", "..", "templates", "console")
    wanted = {
        name
        for each in folder.iterdir()
        if each.name.endswith(".html")
        for name in re.findall(r'say\("([a-z_.]+[a-z])"', each.read_text("utf-8"))
    }
    assert wanted
    assert wanted - set(sentences("en")) == set()

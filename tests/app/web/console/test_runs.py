"""The pages of runs: the ramp as a ladder, what became of a run, and taking one back."""

import csv
import re
from datetime import timedelta

import pytest

from app.lifecycle.case import Reach, Undelivered
from app.links import Links
from app.runs import Runs
from app.store import products
from app.store.database import Database
from app.web import create_app
from app.web.console import Access
from tests.app.web.console.conftest import BASE, Desk
from tests.conftest import KEYS
from tests.probe import asked, fingerprint, suspended
from tests.world import YEAR, MovableClock, Town, row

TV = "/console/products/tv"
RUNS = f"{TV}/runs"
UNDO = "<button>Take this run back</button>"
STEPS = {"pace": {"ramp": [2, "50%", "100%"]}}


@pytest.fixture
def ramped(database: Database, clock: MovableClock, links: Links) -> Desk:
    """Give the console of a product that asks two first; ten are due."""
    town = Town.founded(database, clock, links, "tv", YEAR | STEPS)
    town.join(*(row(f"p{number}") for number in range(10)))
    app = create_app(database, clock, links, base_url=BASE, console=Access(KEYS))
    return Desk(town, app)


def plain(page: str) -> str:
    """Give what a page says, without its marks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def stopped_by_guard(town: Town) -> None:
    with town.database.transaction() as connection:
        number, now = town.product.id, town.clock.now()
        products.set_brake(connection, number, "bounces", "bounced=7 of=90", "guard", now)


# --- the ramp --------------------------------------------------------------------------------


def test_the_ladder_is_read_without_colour(ramped: Desk) -> None:
    who = ramped.person("viewer")
    assert "It begins with the next sweep" in who.get(RUNS).text
    assert "not counted yet" in who.get(RUNS).text
    ramped.town.settle()

    said = plain(who.get(RUNS).text)

    assert "This step is used up." in said
    assert "1 2 here: 2 of 2 asked" in said
    assert "2 50% to come: 5" in said
    assert "The next step may begin on 2 Sep 2024 12:00 (UTC)" in said
    assert "10 people would have been asked at once" in said
    ramped.town.days_pass(1)
    said = plain(ramped.person("viewer", name="next").get(RUNS).text)
    assert "✓ 2 done: 2 asked 2 50% here: 5 of 5 asked" in said
    ramped.town.days_pass(1)
    said = plain(ramped.person("viewer", name="last").get(RUNS).text)
    assert "This step is not used up yet." in said


def test_what_would_stop_it_stands_beside_its_limit(ramped: Desk) -> None:
    ramped.town.settle()
    ramped.town.tell("p0", Undelivered(Reach.BOUNCED))
    stopped_by_guard(ramped.town)

    said = plain(ramped.person("viewer").get(RUNS).text)

    assert "mail came back 1 of 2 (50%) 5%" in said
    assert "complained 0 of 2 (0%) 0.1%" in said
    assert "More of the questions of the last days came back than the policy allows" in said
    assert "by a guard" in said


def test_an_editor_pauses_and_resumes_and_an_approver_stops(ramped: Desk) -> None:
    town, editor = ramped.town, ramped.person("editor", name="eve")
    page = editor.get(RUNS).text
    assert "Pause the ramp" in page
    assert "Stop the ramp" not in page
    assert "Pause the ramp" not in ramped.person("viewer").get(RUNS).text

    editor.post(f"{TV}/ramp/pause", why="wording_in_doubt")

    said = plain(editor.get(f"{RUNS}?so=ramp_paused").text)
    assert "by console:eve: the wording is in doubt." in said
    assert "Paused: nobody new is asked. What is open goes on." in said
    assert not town.sweep().counts["asked"]
    assert "Pause the ramp" not in editor.get(RUNS).text
    editor.post(f"{TV}/ramp/resume", why="mended")
    assert town.sweep().counts["asked"] == 2
    approver = ramped.person("approver", name="ada")
    approver.post(f"{TV}/ramp/stop", why="other")
    assert "Stopped: nobody new is asked under this version." in approver.get(RUNS).text
    assert approver.post(f"{TV}/ramp/resume", why="mended").status_code == 409
    assert ramped.audited() == [
        ("ramp_paused", "wording_in_doubt", "console:eve"),
        ("ramp_resumed", "mended", "console:eve"),
        ("ramp_stopped", "other", "console:ada"),
    ]


@pytest.mark.parametrize("path", ["ramp/stop", "ramp/resume", "runs/1/undo"])
def test_what_is_hard_to_undo_wants_who_proved_themselves_lately(ramped: Desk, path: str) -> None:
    ramped.town.settle()
    who = ramped.person("approver", proved=timedelta(minutes=11))
    before = fingerprint(ramped.town.database)

    reply = who.post(f"{TV}/{path}", why="other")

    assert reply.status_code == 303
    assert reply.location.startswith("/console/again")
    assert fingerprint(ramped.town.database) == before


@pytest.mark.parametrize("act", ["pause", "stop", "resume"])
def test_a_reason_that_the_form_does_not_offer_is_refused(ramped: Desk, act: str) -> None:
    who = ramped.person("approver")
    assert who.post(f"{TV}/ramp/{act}", why="because I say so").status_code == 400
    assert ramped.audited() == []


# --- runs ------------------------------------------------------------------------------------


def test_runs_are_listed_and_written_as_csv(ramped: Desk) -> None:
    town = ramped.town
    assert "No sweep has done anything yet." in ramped.person("viewer").get(RUNS).text
    town.settle()
    town.days_pass(1)
    who = ramped.person("viewer", name="next")

    said = plain(who.get(RUNS).text)
    lines = list(csv.DictReader(who.get(f"{TV}/runs.csv").text.splitlines()))

    assert "Run 2 2 Sep 2024 1 2 5 0 0 0 clock" in said
    assert "Run 1 1 Sep 2024 1 1 2 0 0 0 clock" in said
    assert [(each["number"], each["step"], each["asked"]) for each in lines] == [
        ("2", "2", "5"),
        ("1", "1", "2"),
    ]
    assert {(each["actors"], each["withdrawn"]) for each in lines} == {("clock", "")}


def test_a_long_list_goes_on(desk: Desk) -> None:
    with desk.town.database.transaction() as connection:
        connection.exec_driver_sql(
            "insert into run select p.id, n, date '2024-01-01' + n, 1, null, p.created_at,"
            " p.created_at, '[\"clock\"]', n, 0, 0, 0 from product p, generate_series(1, 31) n"
        )
    who = desk.person("viewer")
    page = who.get(RUNS).text
    assert "?before=2" in page
    rest = who.get(f"{RUNS}?before=2").text
    assert "Run 1<" in rest
    assert "Run 2<" not in rest
    for odd in ("-1", "x", "9" * 30):
        assert who.get(f"{RUNS}?before={odd}").status_code == 200


def test_one_says_what_became_of_it(desk: Desk) -> None:
    town = desk.town
    town.join(*(row(name) for name in ("kept", "quiet", "silent")))
    asked(town, "kept")
    town.clock.advance(timedelta(hours=1))
    town.answer("kept", "keep")
    suspended(town, "quiet")

    said = plain(desk.person("viewer").get(f"{RUNS}/1").text)

    assert "The question went out 3" in said
    assert "Suspended 2" in said
    assert "Kept it 1" in said
    assert "Suspended by silence 2" in said
    assert "Decided themselves 1" in said
    assert "The ramp of policy 1 is stopped" not in said
    assert desk.person("viewer", name="v2").get(f"{RUNS}/9").status_code == 404
    assert desk.person("viewer", name="v3").get(f"{RUNS}/{'9' * 30}").status_code == 404


def test_an_approver_takes_one_back_and_workers_do_it(desk: Desk) -> None:
    town = desk.town
    town.join(*(row(name) for name in ("a", "b", "c")))
    asked(town, "a")
    town.clock.advance(timedelta(hours=1))
    town.answer("c", "keep")
    who = desk.person("approver", name="ada")
    page = plain(who.get(f"{RUNS}/1").text)
    assert "Decided themselves 1" in page
    assert "The ramp of policy 1 is stopped" in page
    assert "Still asked 2" in page
    assert UNDO in who.get(f"{RUNS}/1").text
    assert UNDO not in desk.person("editor").get(f"{RUNS}/1").text

    reply = who.post(f"{RUNS}/1/undo")

    assert reply.location == f"{RUNS}/1?so=run_undone"
    assert town.stage("a") == "asked"
    page = who.get(f"{RUNS}/1?so=run_undone").text
    assert "The run is being taken back" in page
    assert "0 of 2 put right." in page
    assert "Look again" in page
    assert UNDO not in page
    assert "Being taken back" in who.get(RUNS).text
    assert who.post(f"{RUNS}/1/undo").status_code == 409

    Runs(town.database, town.clock).undo("tv", lambda: True)

    page = plain(who.get(f"{RUNS}/1").text)
    assert "Taken back By console:ada" in page
    assert "2 of 2 put right." in page
    assert "Nobody of it is left to put right" in page
    assert "Look again" not in page
    assert ("run_undo_begun", "run_1", "console:ada") in desk.audited()
    assert ("withdrawn", "run_undone", "console:ada") in desk.audited()
    assert "its run was taken back" in who.get(f"{TV}/people/{town.id_of('a')}").text


def test_it_says_that_the_version_in_force_is_paused_too(desk: Desk) -> None:
    desk.town.join(row("a"))
    asked(desk.town, "a")
    desk.town.put_in_force(YEAR)
    said = plain(desk.person("approver").get(f"{RUNS}/1").text)
    assert "The ramp of policy 2, which is in force, is paused until somebody resumes it." in said


def test_it_says_so_where_counting_takes_too_long(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.town.join(row("a"))
    asked(desk.town, "a")
    monkeypatch.setattr("app.store.runs.PATIENCE", "1ms")
    monkeypatch.setattr("app.store.runs.BEGAN", "pg_sleep(0.1) is not null and %(product)s > 0")

    reply = desk.person("approver").get(f"{RUNS}/1")

    assert reply.status_code == 200
    assert "too many to count just now" in reply.text
    assert "Take this run back" not in reply.text


def stopped_by_silence(town: Town, *names: str) -> None:
    town.join(*(row(name, renews_at="2024-09-10T00:00:00Z") for name in names))
    asked(town, *names)
    suspended(town, names[0])
    town.clock.advance(timedelta(hours=12))


def test_whom_it_asked_is_listed_by_how_they_stand_and_taken_as_csv(desk: Desk) -> None:
    town = desk.town
    stopped_by_silence(town, "quiet", "silent")
    town.answer("quiet", "resume")
    who = desk.person("editor")

    page = plain(who.get(f"{RUNS}/1/people").text)
    assert "quiet Decided themselves" in page
    assert "silent Suspended by silence" in page
    some = plain(who.get(f"{RUNS}/1/people?stands=suspended").text)
    assert "quiet Decided" not in some
    assert "silent Suspended by silence" in some
    assert "Nobody stands so." in plain(who.get(f"{RUNS}/1/people?stands=erasing").text)
    last = who.get(f"{RUNS}/1/people?after={2**70}&round=x&stands=bogus")
    assert "Nobody stands so." in plain(last.text)
    told = who.get(f"{RUNS}/1/people.csv")
    table = list(csv.DictReader(told.text.splitlines()))
    assert {each["subscription"]: each["stands"] for each in table} == {
        "quiet": "answered",
        "silent": "suspended",
    }
    assert desk.person("viewer", name="v").get(f"{RUNS}/9/people").status_code == 404


def test_two_people_have_them_resumed_in_the_console(desk: Desk) -> None:
    town = desk.town
    stopped_by_silence(town, "quiet", "silent")
    eve, ada = desk.person("approver", name="eve"), desk.person("approver", name="ada")
    assert "Silence has stopped 2." in plain(eve.get(f"{RUNS}/1").text)

    reply = eve.post(f"{RUNS}/1/undo", how="resume")

    assert reply.location == f"{RUNS}/1?so=run_resume_wanted"
    runs = Runs(town.database, town.clock)
    runs.undo("tv", lambda: True)
    town.deliver()
    assert [town.acts(name) for name in ("quiet", "silent")] == [["suspend"]] * 2
    mine = plain(eve.get(f"{RUNS}/1").text)
    assert "console:eve wants 2 people resumed at once" in mine
    assert "Agree, and resume 2" not in mine
    assert eve.post(f"{RUNS}/1/agree").status_code == 409
    assert "Agree, and resume 2" in plain(ada.get(f"{RUNS}/1").text)
    assert "Agree, and resume 2" not in plain(desk.person("editor").get(f"{RUNS}/1").text)

    assert ada.post(f"{RUNS}/1/agree").location == f"{RUNS}/1?so=run_resume_agreed"
    runs.undo("tv", lambda: True)
    town.deliver()

    assert [sorted(town.acts(name)) for name in ("quiet", "silent")] == [["resume", "suspend"]] * 2
    page = plain(eve.get(f"{RUNS}/1").text)
    assert "console:ada agreed that they are resumed" in page
    assert "Billing is told to resume 2" in page
    assert "2 of 2 put right." in page
    assert ("run_resume_agreed", "run_1", "console:ada") in desk.audited()


def test_they_are_told_where_nothing_else_was_chosen(desk: Desk) -> None:
    town = desk.town
    stopped_by_silence(town, "quiet")
    desk.person("approver").post(f"{RUNS}/1/undo", how="told")
    Runs(town.database, town.clock).undo("tv", lambda: True)
    town.deliver()
    assert "Told that it was a mistake 1" in plain(desk.person("viewer").get(f"{RUNS}/1").text)
    assert town.acts("quiet") == ["suspend"]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_page_is_said_in_every_language(ramped: Desk, language: str) -> None:
    town = ramped.town
    who = ramped.person("admin")
    who.post("/console/language", language=language, back=RUNS)
    pages = [who.get(RUNS).text]
    town.settle()
    pages += [who.get(RUNS).text, who.get(f"{RUNS}/1").text]
    who.post(f"{TV}/ramp/pause", why="other")
    pages.append(who.get(RUNS).text)
    who.post(f"{RUNS}/1/undo")
    pages += [who.get(RUNS).text, who.get(f"{RUNS}/1").text]
    assert all(f'lang="{language}' in each for each in pages)
    french = ["Passage 1" in each for each in pages[1:]]
    assert all(french) is (language == "fr")

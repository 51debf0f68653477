"""Admins of all products see who is signed in, and sign people out."""

import re
from datetime import timedelta

import pytest

from app.store import console as store
from tests.app.web.console.conftest import Desk

SESSIONS, END = "/console/sessions", "/console/sessions/end"


def listed(page: str) -> list[str]:
    return re.findall(r'<th scope="row"[^>]*>([a-z]+)', page)


def test_it_lists_who_is_signed_in(desk: Desk) -> None:
    desk.person("tv:viewer", name="bob")
    desk.person("tv:viewer", name="bob")
    desk.town.clock.advance(timedelta(minutes=20))
    eve = desk.person("admin", name="eve")
    page = eve.get(SESSIONS).text
    assert listed(page) == ["bob", "eve"]
    assert re.findall(r'data-label="Browsers">(\d)<', page) == ["2", "1"]
    assert re.findall(r'data-label="Roles">([^<]*)<', page) == ["tv:viewer", "admin"]
    assert re.findall(r'data-label="Since \(UTC\)">([^<]*)<', page) == [
        "1 Sep 2024 12:00",
        "1 Sep 2024 12:20",
    ]
    assert SESSIONS in eve.get("/console/").text
    desk.town.clock.advance(timedelta(minutes=11))
    assert listed(eve.get(SESSIONS).text) == ["eve"], "whose session has run out is not signed in"


def test_one_person_is_signed_out_everywhere_and_nobody_else(desk: Desk) -> None:
    bobs = [desk.person("viewer", name="bob") for _ in range(2)]
    ann, eve = desk.person("viewer", name="ann"), desk.person("admin", name="eve")
    assert eve.post(END, name="bob").location == f"{SESSIONS}?so=sessions_ended"
    assert [each.get("/console/").status_code for each in bobs] == [303, 303]
    assert ann.get("/console/").status_code == eve.get("/console/").status_code == 200
    assert desk.audited() == [("sessions_ended", "console:bob", "console:eve")]
    eve.post(END, name="bob")
    eve.post(END, name="nobody")
    assert len(desk.audited()) == 1, "there was nobody to sign out"


def test_everybody_is_signed_out_and_each_is_named(desk: Desk) -> None:
    bob, eve = desk.person("viewer", name="bob"), desk.person("admin", name="eve")
    assert eve.post(END, everybody="yes").location == "/console/sign-in"
    assert [each.get("/console/").status_code for each in (bob, eve)] == [303, 303]
    assert desk.audited() == [
        ("sessions_ended", "console:bob", "console:eve"),
        ("sessions_ended", "console:eve", "console:eve"),
    ]


def test_who_ends_their_own_sessions_is_sent_to_sign_in(desk: Desk) -> None:
    bob, eve = desk.person("viewer", name="bob"), desk.person("admin", name="eve")
    assert eve.post(END, name="eve").location == "/console/sign-in"
    assert eve.get("/console/").status_code == 303
    assert bob.get("/console/").status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"name": ""},
        {"everybody": "no"},
        {"name": "bob", "everybody": "yes"},
        {"name": "b" * 65},
    ],
)
def test_a_form_that_says_not_whose_ends_nothing(desk: Desk, form: dict[str, str]) -> None:
    bob = desk.person("viewer", name="bob")
    assert desk.person("admin", name="eve").post(END, **form).status_code == 400
    assert bob.get("/console/").status_code == 200
    assert desk.audited() == []


def test_an_admin_of_one_product_sees_and_ends_nothing(desk: Desk) -> None:
    bob = desk.person("viewer", name="bob")
    tom = desk.person("tv:admin", "approver", name="tom")
    assert SESSIONS not in tom.get("/console/").text
    assert tom.get(SESSIONS).status_code == 403
    assert tom.post(END, name="bob").status_code == 403
    assert bob.get("/console/").status_code == 200


def test_ending_clears_away_what_has_run_out_without_naming_it(desk: Desk) -> None:
    desk.person("viewer", name="bob")
    desk.town.clock.advance(timedelta(minutes=31))
    with desk.town.database.transaction() as connection:
        assert store.end_all(connection, desk.town.clock.wall()) == []
        left = connection.exec_driver_sql("select count(*) from console_session").scalar()
    assert left == 0

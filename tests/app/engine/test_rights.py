"""What people ask for at the desk: erasing where it is charged, and what takes it back."""

from datetime import timedelta

import pytest

from app.engine.rights import Rights, refuse
from app.errors import Conflict, NotFound
from app.lifecycle.case import AddressChanged, Reach, Verdict
from app.lifecycle.erasures import OWN_REST
from app.links import Links
from app.store import population
from app.store.database import Database
from tests.probe import rows
from tests.world import MovableClock, Town, row

DESK = "cli:eve"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    town = Town.founded(database, clock, links)
    town.join(row("ann"))
    return town


@pytest.fixture
def rights(town: Town) -> Rights:
    return Rights(town.database, town.clock)


def wishes(town: Town) -> list[tuple[str, str]]:
    return [(r, s) for r, s in rows(town.database, "select reason, state from review order by id")]


def asked_at(town: Town) -> object:
    current = town.case("ann").round
    return None if current is None else current.erase_at


def test_a_day_is_the_rest_of_ones_own_request() -> None:
    assert timedelta(days=1) == OWN_REST


@pytest.mark.parametrize("asked", [False, True])
def test_what_is_charged_is_not_erased_without_a_cancel(
    town: Town, rights: Rights, *, asked: bool
) -> None:
    if asked:
        town.settle()
    verdict = rights.erase(town.key, town.id_of("ann"), DESK, cancel=False)
    assert verdict is Verdict.TOO_LATE
    with pytest.raises(Conflict, match="--cancel"):
        refuse(verdict)
    assert (wishes(town), asked_at(town), town.acts("ann")) == ([], None, [])


@pytest.mark.parametrize("asked", [False, True])
def test_with_a_cancel_it_stands_until_billing_confirms_and_after(
    town: Town, rights: Rights, *, asked: bool
) -> None:
    if asked:
        town.settle()
    for _ in range(2):
        rights.erase(town.key, town.id_of("ann"), DESK, cancel=True)
    wanted = asked_at(town)
    assert wanted == town.clock.now()
    assert wishes(town) == [("erase", "open")]
    assert town.story("ann").count("erasure_asked") == 1
    town.clock.advance(11 * MINUTE)
    town.settle()
    assert (town.stage("ann"), town.acts("ann")) == ("canceled", ["cancel"])
    assert asked_at(town) == wanted


@pytest.mark.parametrize("word", ["undo", "keep"])
def test_whoever_takes_the_cancel_back_takes_the_request_back(
    town: Town, rights: Rights, word: str
) -> None:
    town.settle()
    rights.erase(town.key, town.id_of("ann"), DESK, cancel=True)
    town.clock.advance(MINUTE)
    town.answer("ann", word)
    assert (asked_at(town), wishes(town)) == (None, [("erase", "withdrawn")])
    assert "erasure_withdrawn" in town.story("ann")
    town.clock.advance(timedelta(days=3))
    town.hear()
    town.settle()
    assert town.acts("ann") == []


def test_where_nothing_is_charged_it_stands_at_once(town: Town, rights: Rights) -> None:
    town.settle()
    town.days_pass(33, 33)
    assert rights.erase(town.key, town.id_of("ann"), DESK, cancel=True) is Verdict.APPLIED
    assert rights.erase(town.key, town.id_of("ann"), DESK, cancel=False) is Verdict.UNCHANGED
    assert town.acts("ann") == ["suspend"], "a suspension need not be canceled"
    assert wishes(town) == [("erase", "open")]
    town.answer("ann", "keep_data")
    assert (asked_at(town), wishes(town)) == (None, [("erase", "withdrawn")])


def test_who_ended_without_a_round_gets_one_for_the_request(town: Town, rights: Rights) -> None:
    town.join(row("ben", status="canceled"))
    assert rights.erase(town.key, town.id_of("ben"), DESK, cancel=False) is Verdict.APPLIED
    assert town.stage("ben") == "canceled"
    assert wishes(town) == [("erase", "open")]


def test_their_own_yes_of_just_now_stands(town: Town, rights: Rights) -> None:
    town.settle()
    town.days_pass(33, 33)
    town.answer("ann", "resume")
    town.clock.advance(timedelta(seconds=5))
    assert rights.erase(town.key, town.id_of("ann"), DESK, cancel=False) is Verdict.DOUBTED
    assert asked_at(town) is None
    town.settle()
    town.clock.advance(MINUTE)
    town.settle()
    assert town.acts("ann") == ["suspend", "resume"]


def test_a_lock_before_anything_was_asked_is_a_hold_alone(town: Town, rights: Rights) -> None:
    assert rights.restrict(town.key, town.id_of("ann"), DESK) is Verdict.APPLIED
    assert rights.restrict(town.key, town.id_of("ann"), DESK) is Verdict.APPLIED
    assert town.case("ann").held
    assert rows(town.database, "select count(*) from hold") == [(1,)]
    with pytest.raises(Conflict):
        rights.object(town.key, town.id_of("ann"), DESK)


def test_a_corrected_address_reaches_who_could_not_be_reached(town: Town, rights: Rights) -> None:
    town.tell("ann", AddressChanged(Reach.NO_ADDRESS))
    rows(town.database, "update contact set email = null")
    assert rights.correct(town.key, town.id_of("ann"), "ann@new.example", DESK) is Verdict.APPLIED
    assert town.case("ann").reach is Reach.OK
    town.join(row("ann", email="", amount=1400))
    with town.database.transaction() as connection:
        sid = town.id_of("ann")
        assert population.addresses(connection, [sid])[sid].email == "ann@new.example"
    assert town.case("ann").reach is Reach.OK
    assert rows(town.database, "select told_email, corrected_at from contact") == [("", None)]


def test_nothing_is_done_for_another_product_or_who_was_erased(town: Town, rights: Rights) -> None:
    Town.founded(town.database, town.clock, town.links, "radio")
    sid = town.id_of("ann")
    for act in (rights.restrict, rights.object, rights.unrestrict):
        with pytest.raises(NotFound):
            act("radio", sid, DESK)
    with pytest.raises(NotFound):
        rights.erase("radio", sid, DESK, cancel=True)
    with pytest.raises(NotFound):
        rights.correct("radio", sid, "eve@evil.example", DESK)
    rows(town.database, "delete from contact")
    with pytest.raises(NotFound):
        rights.erase(town.key, sid, DESK, cancel=True)
    assert (wishes(town), town.case("ann").held) == ([], False)

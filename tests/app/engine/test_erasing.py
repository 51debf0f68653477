"""Erasing from end to end, on a real database: what two people agreed to, and nothing else."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from app.engine.holds import Wanted
from app.engine.holds import add as add_hold
from app.links import Links
from app.manifests import Manifests
from app.store.database import Database
from app.store.holds import Reason
from app.world.erasing import Given, Receipt
from app.world.outcome import Later
from tests.graveyard import PEOPLE, SOON, Graveyard
from tests.probe import brake, goes, lift, listening, mails, rows
from tests.world import MovableClock, Town, row

DAY = timedelta(days=1)


@pytest.fixture
def yard(database: Database, clock: MovableClock, links: Links) -> Graveyard:
    return Graveyard(Town.founded(database, clock, links, policy_json=SOON))


def stage_of(town: Town, sid: int) -> str:
    ((stage,),) = rows(
        town.database,
        "select stage from reconfirmation where subscription_id = :s and latest",
        s=sid,
    )
    return str(stage)


# --- the whole way -----------------------------------------------------------------------------


def test_somebody_who_stays_silent_is_erased_everywhere_in_order(yard: Graveyard) -> None:
    town = yard.town
    crm, billing = yard.holds_data("crm"), yard.holds_data("billing", "sandbox")
    yard.come_due("ada")
    sid = town.id_of("ada")
    number = yard.list_them()
    assert yard.listed(number) == {sid: ("waiting", None)}

    yard.works()
    assert stage_of(town, sid) == "suspended", "nobody agreed to it"

    yard.agree(number)
    yard.works()

    assert stage_of(town, sid) == "erased"
    assert (crm.erased, billing.erased) == ({"ada"}, {"ada"})
    assert mails(town, "ada")[-3:] == ["erasure-warning", "erasure-warning", "erased"]
    assert rows(town.database, "select state from manifest") == [("done",)]
    ((ended, certificate),) = rows(
        town.database, "select ended_at is not null, certificate from erasure"
    )
    assert ended
    assert [each["target"] for each in certificate["certificate"]["targets"]] == ["billing", "crm"]
    assert rows(town.database, "select count(*) from contact") == [(0,)]
    assert rows(town.database, "select no from ledger") == [(1,)]


def test_endpoints_hear_of_the_end_by_the_id_of_the_erasure_alone(yard: Graveyard) -> None:
    listening(yard.town)
    yard.come_due("ada")
    yard.agree(yard.list_them())
    yard.works()
    ((kind, body, erasure),) = rows(
        yard.town.database, "select w.type, w.body, e.id from webhook w cross join erasure e"
    )
    assert kind == "erasure.completed"
    assert json.loads(body)["data"] == {"erasure": erasure}


def test_billings_own_data_goes_last(yard: Graveyard) -> None:
    crm, billing = yard.holds_data("crm"), yard.holds_data("billing", "sandbox")
    crm.answers = [Later("away")]
    yard.come_due("ada")
    yard.agree(yard.list_them())
    yard.works()

    assert (len(crm.told), billing.told) == (1, [])
    goes(yard.town, yard.clock.now() + DAY)
    yard.works()
    assert (len(crm.told), len(billing.told)) == (2, 1)
    assert crm.told[0].key == crm.told[1].key


def test_billing_ends_the_subscription_before_anybody_is_told(yard: Graveyard) -> None:
    crm = yard.holds_data("crm")
    yard.come_due("ada")
    yard.agree(yard.list_them())
    yard.erasing().eraser.once("tv")
    yard.erasing().teller.work("tv", lambda: True)

    assert crm.told == []
    assert yard.town.acts("ada")[-1] == "suspend"
    yard.town.deliver()
    assert yard.town.acts("ada")[-1] == "end"
    yard.works()
    assert crm.erased == {"ada"}


# --- what comes in the last minute -------------------------------------------------------------


def is_used(town: Town) -> None:
    town.use("ada")


def is_resumed(town: Town) -> None:
    town.answer("ada", "resume")


def is_to_be_kept(town: Town) -> None:
    town.answer("ada", "keep_data")


def is_held(town: Town) -> None:
    wanted = Wanted(town.id_of("ada"), Reason.LEGAL)
    add_hold(town.database, town.clock, town.key, wanted, "cli:test")


def is_charged(town: Town) -> None:
    town.join(row("ada", status="active"))


def has_no_address(town: Town) -> None:
    town.join(row("ada", status="paused", email=""))


LAST_MINUTE: dict[str, tuple[Callable[[Town], None], set[str | None]]] = {
    "they use it": (is_used, {"not_scheduled", "used"}),
    "they resume": (is_resumed, {"wanted", "billing_act"}),
    "they keep their data": (is_to_be_kept, {"not_scheduled"}),
    "a hold": (is_held, {"hold"}),
    "billing charges again": (is_charged, {"not_stopped"}),
    "no address any more": (has_no_address, {"not_scheduled"}),
}


@pytest.mark.parametrize("what", LAST_MINUTE)
def test_whatever_comes_before_it_begins_wins_and_is_shown(yard: Graveyard, what: str) -> None:
    happens, why = LAST_MINUTE[what]
    yard.come_due("ada", "bob")
    ada, bob = yard.town.id_of("ada"), yard.town.id_of("bob")
    number = yard.list_them()
    yard.agree(number)
    happens(yard.town)
    yard.erasing().eraser.work("tv", lambda: True)

    listed = yard.listed(number)
    assert listed[ada][0] == "skipped"
    assert listed[ada][1] in why
    assert listed[bob] == ("begun", None)
    assert rows(yard.town.database, "select subscription_id from erasure") == [(bob,)]


# --- who agrees --------------------------------------------------------------------------------


def test_one_person_is_not_enough_however_they_call_themselves(yard: Graveyard) -> None:
    yard.come_due("ada")
    number = yard.list_them()
    yard.agree(number, "cli:ann", "cli:ben", "cli:eve")
    yard.works()
    assert rows(yard.town.database, "select count(*) from erasure") == [(0,)]


def test_who_has_left_since_counts_no_more(yard: Graveyard) -> None:
    yard.come_due("ada")
    number = yard.list_them()
    yard.agree(number)
    rows(yard.town.database, "update console_person set roles = '[]' where name = 'ben'")
    yard.works()
    assert rows(yard.town.database, "select state from manifest") == [("waiting",)]
    assert rows(yard.town.database, "select count(*) from erasure") == [(0,)]


def test_a_manifest_changed_after_it_was_approved_erases_nobody(yard: Graveyard) -> None:
    yard.come_due("ada", "bob")
    number = yard.list_them()
    yard.agree(number)
    rows(
        yard.town.database,
        "delete from manifest_entry where subscription_id = :s",
        s=yard.town.id_of("bob"),
    )
    yard.works()
    assert rows(yard.town.database, "select state, refused_by from manifest") == [
        ("refused", "eraser")
    ]
    assert rows(yard.town.database, "select count(*) from erasure") == [(0,)]


def test_a_refused_manifest_erases_nobody(yard: Graveyard) -> None:
    yard.come_due("ada")
    number = yard.list_them()
    yard.agree(number)
    Manifests(yard.town.database, yard.clock).refuse("tv", number, PEOPLE[0])
    yard.works()
    assert rows(yard.town.database, "select count(*) from erasure") == [(0,)]


def test_an_empty_manifest_is_over_and_erases_nobody(yard: Graveyard) -> None:
    yard.come_due("ada")
    is_held(yard.town)
    yard.list_them()
    assert rows(yard.town.database, "select people, state from manifest") == [(0, "done")]
    yard.works()
    assert rows(yard.town.database, "select count(*) from erasure") == [(0,)]


def test_a_brake_stops_what_was_agreed_to_and_not_what_a_person_wants(yard: Graveyard) -> None:
    yard.come_due("ada", "bob")
    ada, bob = yard.town.id_of("ada"), yard.town.id_of("bob")
    number = yard.list_them()
    yard.agree(number)
    rows(
        yard.town.database,
        "update reconfirmation set erase_at = :at where subscription_id = :s",
        at=yard.clock.now() - 2 * DAY,
        s=bob,
    )
    brake(yard.town)
    yard.works()
    assert (stage_of(yard.town, ada), stage_of(yard.town, bob)) == ("suspended", "erased")

    lift(yard.town)
    goes(yard.town, yard.clock.now() + 4 * DAY)
    yard.works()
    assert stage_of(yard.town, ada) == "erased"


# --- targets -----------------------------------------------------------------------------------


def test_a_target_down_for_a_week_is_told_again_and_nothing_is_reported_before(
    yard: Graveyard,
) -> None:
    crm, shop = yard.holds_data("crm"), yard.holds_data("shop")
    crm.answers = [Later("away")] * 40
    yard.come_due("ada")
    sid = yard.town.id_of("ada")
    yard.agree(yard.list_them())
    for _ in range(7):
        yard.works()
        assert stage_of(yard.town, sid) == "erasing"
        goes(yard.town, yard.clock.now() + DAY)
    crm.answers = []
    goes(yard.town, yard.clock.now() + DAY)
    yard.works()
    assert stage_of(yard.town, sid) == "erased"
    assert len({each.key for each in crm.told}) == 1
    assert len(shop.told) == 1


def test_a_target_that_answers_for_somebody_else_is_not_believed(yard: Graveyard) -> None:
    crm = yard.holds_data("crm")
    crm.answers = [Given(Receipt("era_other", ("profile",), ()))]
    yard.come_due("ada")
    sid = yard.town.id_of("ada")
    yard.agree(yard.list_them())
    yard.works()
    assert stage_of(yard.town, sid) == "erasing"
    assert rows(yard.town.database, "select state from receipt where state = 'given'") == []


# --- crashes and rivals ------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at", range(1, 6))
def test_an_eraser_that_dies_after_any_step_is_gone_on_from(yard: Graveyard, at: int) -> None:
    crm = yard.holds_data("crm")
    yard.come_due("ada")
    sid = yard.town.id_of("ada")
    yard.agree(yard.list_them())
    left = at

    def dies(_: str) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Killed

    erasing = yard.erasing()
    object.__setattr__(erasing.eraser, "after_step", dies)
    for _ in range(6):
        try:
            erasing.work("tv", lambda: True)
        except Killed:
            break
        yard.town.deliver()
    yard.works()

    assert stage_of(yard.town, sid) == "erased"
    assert len(crm.told) == 1
    assert rows(yard.town.database, "select count(*) from ledger") == [(1,)]
    assert mails(yard.town, "ada").count("erased") == 1


def test_a_person_is_erased_on_request_without_manifest_or_warnings(yard: Graveyard) -> None:
    yard.stop("ada")
    sid = yard.town.id_of("ada")
    rows(
        yard.town.database,
        "update reconfirmation set erase_at = :at where subscription_id = :s",
        at=yard.clock.now(),
        s=sid,
    )
    yard.works()
    assert stage_of(yard.town, sid) == "suspended", "it rests a day"
    goes(yard.town, yard.clock.now() + DAY)
    yard.works()
    assert stage_of(yard.town, sid) == "erased"
    assert rows(yard.town.database, "select cause, manifest from erasure") == [("request", None)]


def run(town: Town, statement: str) -> None:
    with town.database.transaction() as connection:
        connection.exec_driver_sql(statement)


def test_the_database_lets_nobody_else_erase(yard: Graveyard) -> None:
    yard.stop("ada")
    with pytest.raises(Exception, match="only the role reconfirm_eraser erases"):
        run(yard.town, "delete from contact")
    with pytest.raises(Exception, match="only the role reconfirm_eraser erases"):
        run(yard.town, "update reconfirmation set stage = 'erasing'")

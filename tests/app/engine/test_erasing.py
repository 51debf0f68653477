"""Erasing from end to end, on a real database: what two people agreed to, and nothing else."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from app.engine import erasing as erasing_engine
from app.engine import wiping
from app.engine.collecting import foresee
from app.engine.effects import Effects, Result
from app.engine.holds import Wanted
from app.engine.holds import add as add_hold
from app.engine.parked import retry
from app.errors import Refused
from app.guards import RESTORED, trip
from app.guards import lift as lift_brake
from app.lifecycle.case import AskErasure, Case, Kind, Lane, RequestErasure, Verdict
from app.lifecycle.erasing import barred_own
from app.links import Links
from app.manifests import Manifests
from app.store.database import Database
from app.store.holds import Reason
from app.store.products import Product
from app.world.erasing import Given, Receipt
from app.world.outcome import Later, No
from tests.graveyard import PEOPLE, SOON, Graveyard
from tests.probe import HOUR, brake, goes, kinds, leases_run_out, lift, listening, mails, rows
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


def test_where_billing_tells_nothing_by_itself_its_word_about_our_act_counts(
    yard: Graveyard,
) -> None:
    yard.come_due("ada", told=False)
    sid = yard.town.id_of("ada")
    assert yard.town.case("ada").subscription.status == "active"
    yard.agree(yard.list_them())
    yard.works()
    assert stage_of(yard.town, sid) == "erased"
    assert yard.town.stages() == {"erased": 1}


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


def test_who_is_resumed_before_billing_was_told_can_do_anything_again(yard: Graveyard) -> None:
    yard.come_due("ada")
    yard.agree(yard.list_them())
    yard.erasing().eraser.once("tv")
    yard.town.join(row("ada", status="active"))
    yard.works()
    assert rows(yard.town.database, "select stopped from erasure") == [("by_billing",)]

    is_held(yard.town)
    assert yard.town.answer("ada", "cancel", None).verdict is Verdict.APPLIED


def test_who_resumes_while_billing_is_away_is_not_ended(yard: Graveyard) -> None:
    town = yard.town
    yard.come_due("ada")
    yard.agree(yard.list_them())
    yard.erasing().eraser.once("tv")
    effects = Effects(town.database, town.clock, town.links)
    _, tasks, _ = effects.claim("tv", Lane.BILLING, 10)
    assert [task.kind for task in tasks] == [Kind.BILLING_END]
    town.join(row("ada", status="active"))
    effects.acknowledge("tv", [Result(task, Later("away")) for task in tasks])
    goes(town, town.clock.now() + DAY)
    yard.works()

    assert "end" not in town.acts("ada")
    assert rows(town.database, "select stopped from erasure") == [("by_billing",)]


def test_who_resumes_while_it_is_not_known_what_billing_did_is_only_read_back(
    yard: Graveyard,
) -> None:
    town = yard.town
    yard.come_due("ada")
    yard.agree(yard.list_them())
    yard.erasing().eraser.once("tv")
    effects = Effects(town.database, town.clock, town.links)
    effects.claim("tv", Lane.BILLING, 10)
    town.join(row("ada", status="active"))
    leases_run_out(town)
    yard.works()
    goes(town, town.clock.now() + DAY)
    yard.works()

    assert "end" not in town.acts("ada")
    assert rows(town.database, "select stopped from erasure") == [("by_billing",)]


def test_what_billing_refuses_to_end_goes_on_once_it_has_ended_there(yard: Graveyard) -> None:
    town, crm = yard.town, yard.holds_data("crm")
    yard.come_due("ada", "bob")
    yard.agree(yard.list_them())
    yard.erasing().eraser.once("tv")
    effects = Effects(town.database, town.clock, town.links)
    _, tasks, _ = effects.claim("tv", Lane.BILLING, 10)
    effects.acknowledge("tv", [Result(task, No("cannot end")) for task in tasks])
    yard.works()
    assert kinds(town, "ada") == [Kind.BILLING_END]
    assert crm.erased == set()

    town.join(row("ada", status="canceled"))
    assert kinds(town, "ada") == []
    rows(town.database, "update subscription set status = 'canceled' where external_id = 'bob'")
    ((number,),) = rows(town.database, "select id from outbox")
    retry(town.database, town.clock, "tv", number, "cli:test")
    yard.works()
    assert crm.erased == {"ada", "bob"}
    assert "end" not in town.acts("ada")
    assert rows(town.database, "select stage from reconfirmation") == [("erased",)] * 2


def test_a_policy_from_before_two_warnings_were_needed_still_holds_and_erases_nobody(
    yard: Graveyard,
) -> None:
    yard.come_due("ada")
    rows(
        yard.town.database,
        """update policy set body = jsonb_set(body, '{erasure_warnings}', '["P30D"]')""",
    )
    rows(yard.town.database, "update reconfirmation set warned = 1, warnings = 1")
    assert yard.town.product.policy is not None
    yard.list_them()
    yard.works()
    assert rows(yard.town.database, "select people from manifest") == [(0,)]


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


def test_who_wanted_it_back_in_vain_can_still_be_erased(yard: Graveyard) -> None:
    yard.stop("ada")
    town, sid = yard.town, yard.town.id_of("ada")
    town.clock.advance(HOUR)
    town.answer("ada", "resume")
    town.join(row("ada", status="canceled"))
    town.clock.advance(HOUR)
    assert town.tell("ada", AskErasure(1)).verdict is Verdict.APPLIED
    goes(town, town.clock.now() + 2 * DAY)
    yard.works()
    assert stage_of(town, sid) == "erased"


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


def test_a_target_that_is_added_meanwhile_is_told_too(yard: Graveyard) -> None:
    yard.holds_data("crm").answers = [Later("away")]
    yard.come_due("ada")
    yard.agree(yard.list_them())
    yard.works()
    lake = yard.holds_data("lake")
    goes(yard.town, yard.clock.now() + DAY)
    yard.works()
    assert lake.erased == {"ada"}
    assert rows(yard.town.database, "select stage from reconfirmation") == [("erased",)]


def test_without_a_policy_in_force_targets_are_told_all_the_same(yard: Graveyard) -> None:
    crm = yard.holds_data("crm")
    yard.town.join(row("ada", status="canceled"))
    sid = yard.town.id_of("ada")
    rows(yard.town.database, "update product set policy_version = null")
    assert yard.town.tell("ada", RequestErasure(), "console:ann").verdict is Verdict.APPLIED
    goes(yard.town, yard.clock.now() + 2 * DAY)
    yard.works()
    assert crm.erased == {"ada"}
    assert stage_of(yard.town, sid) == "erased"


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


# --- a customer with two subscriptions ---------------------------------------------------------


def of_one_customer(yard: Graveyard) -> None:
    """Have two subscriptions of one customer come due."""
    yard.come_due("ada", "bob")
    yard.town.join(*(row(name, status="paused", customer="cus_1") for name in ("ada", "bob")))


def wishes_to_be_erased(yard: Graveyard, name: str) -> None:
    rows(
        yard.town.database,
        "update reconfirmation set erase_at = :at where subscription_id = :s and latest",
        at=yard.clock.now() - 2 * DAY,
        s=yard.town.id_of(name),
    )


def test_a_customer_whose_other_erasure_was_stopped_stays(yard: Graveyard) -> None:
    crm = yard.holds_data("crm")
    of_one_customer(yard)
    yard.agree(yard.list_them())
    yard.erasing().eraser.once("tv")
    yard.town.join(row("bob", status="active", customer="cus_1"))
    yard.works()

    assert crm.erased == {"ada"}
    assert [each.stays for each in crm.told] == [True], "bob goes on, and is the same customer"


def test_a_customer_stays_while_the_other_erasure_may_still_be_stopped(yard: Graveyard) -> None:
    crm = yard.holds_data("crm")
    of_one_customer(yard)
    wishes_to_be_erased(yard, "ada")
    yard.erasing().eraser.once("tv")
    yard.town.deliver()
    wishes_to_be_erased(yard, "bob")
    yard.erasing().eraser.once("tv")
    yard.erasing().teller.work("tv", lambda: True)
    yard.works()

    assert [(each.subscription, each.stays) for each in crm.told] == [("ada", True), ("bob", False)]


# --- one that fails, and the others ------------------------------------------------------------


def test_one_that_cannot_be_wiped_stops_nobody_else(
    yard: Graveyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm = yard.holds_data("crm")
    yard.come_due("ada", "bob", "cid")
    bad = yard.town.id_of("ada")
    yard.agree(yard.list_them())
    wipe = wiping.wipe

    def fails(connection: Connection, product: Product, sid: int, *rest: Any) -> object:
        if sid == bad:
            raise ValueError(sid)
        return wipe(connection, product, sid, *rest)

    monkeypatch.setattr(wiping, "wipe", fails)
    for _ in range(5):
        with suppress(ValueError):
            yard.erasing().work("tv", lambda: True)
        yard.town.deliver()
    with pytest.raises(ValueError, match=str(bad)):
        yard.erasing().work("tv", lambda: True)

    found = [stage_of(yard.town, yard.town.id_of("ada"))]
    assert found == ["erasing"]
    assert rows(yard.town.database, "select count(*) from ledger") == [(2,)]
    assert crm.erased == {"ada", "bob", "cid"}
    monkeypatch.undo()
    yard.works()
    assert rows(yard.town.database, "select count(*) from ledger") == [(3,)]


def test_one_whose_rules_raise_is_passed_over_and_the_others_begin(
    yard: Graveyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.come_due("ada", "bob", "cid")
    bad, bob, cid = (yard.town.id_of(name) for name in ("ada", "bob", "cid"))
    number = yard.list_them()
    yard.agree(number)

    def poisoned(ask: Callable[..., str | None]) -> Callable[..., str | None]:
        def asked(*given: Any) -> str | None:
            case = next(each for each in given if isinstance(each, Case))
            if case.subscription.id == bad:
                raise OverflowError(bad)
            return ask(*given)

        return asked

    for each in ("not_now", "barred_own"):
        monkeypatch.setattr(erasing_engine, each, poisoned(getattr(erasing_engine, each)))
    wishes_to_be_erased(yard, "cid")
    yard.works()

    assert yard.listed(number)[bad] == ("skipped", "rules_failed")
    assert yard.listed(number)[bob] == ("begun", None)
    assert (stage_of(yard.town, bob), stage_of(yard.town, cid)) == ("erased", "erased")


def test_a_wish_whose_rules_raise_stops_no_other_wish(
    yard: Graveyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.stop("ada", "bob")
    bad, bob = yard.town.id_of("ada"), yard.town.id_of("bob")
    for name in ("ada", "bob"):
        wishes_to_be_erased(yard, name)

    def poisoned(case: Case, now: datetime) -> str | None:
        if case.subscription.id == bad:
            raise OverflowError(bad)
        return barred_own(case, now)

    monkeypatch.setattr(erasing_engine, "barred_own", poisoned)
    yard.works()
    assert (stage_of(yard.town, bad), stage_of(yard.town, bob)) == ("suspended", "erased")


def test_a_ledger_that_cannot_be_written_stops_no_telling(yard: Graveyard, tmp_path: Path) -> None:
    crm = yard.holds_data("crm")
    yard.come_due("ada", "bob")
    wishes_to_be_erased(yard, "bob")
    yard.works()
    assert crm.erased == {"bob"}
    yard.agree(yard.list_them())
    erasing = yard.erasing()
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    object.__setattr__(erasing.eraser, "ledger", in_the_way / "ledger")
    for _ in range(4):
        with suppress(Refused):
            erasing.work("tv", lambda: True)
        yard.town.deliver()
    assert crm.erased == {"ada", "bob"}
    with pytest.raises(Refused, match="ledger"):
        erasing.eraser.tidy()


# --- a brake, and what people want -------------------------------------------------------------


def test_what_waits_under_a_brake_is_not_in_the_way_of_a_persons_wish(yard: Graveyard) -> None:
    yard.come_due("ada", "bob", "cid")
    cid = yard.town.id_of("cid")
    yard.agree(yard.list_them())
    yard.erasing().eraser.once("tv")
    rows(
        yard.town.database,
        "update reconfirmation set stage = 'suspended', erasing = null where subscription_id = :s",
        s=cid,
    )
    rows(yard.town.database, "delete from receipt")
    rows(yard.town.database, "delete from erasure where subscription_id = :s", s=cid)
    rows(yard.town.database, "delete from outbox where subscription_id = :s", s=cid)
    rows(
        yard.town.database,
        "update reconfirmation set act = null, act_state = null where subscription_id = :s",
        s=cid,
    )
    yard.town.deliver()
    brake(yard.town)
    yard.clock.advance(DAY)
    wishes_to_be_erased(yard, "cid")
    for _ in range(6):
        eraser = replace(yard.erasing().eraser, batch=2)
        eraser.work("tv", lambda: True)
        yard.town.deliver()
    assert stage_of(yard.town, cid) == "erased"
    assert rows(yard.town.database, "select count(*) from ledger") == [(1,)]


def test_a_wish_in_a_restored_backup_may_have_been_withdrawn_since(yard: Graveyard) -> None:
    yard.stop("ada")
    wishes_to_be_erased(yard, "ada")
    with yard.town.database.transaction() as connection:
        trip(connection, yard.town.product, RESTORED, "restored_backup", yard.clock.now())
    yard.works()
    assert stage_of(yard.town, yard.town.id_of("ada")) == "suspended", "a person looks first"

    with yard.town.database.transaction() as connection:
        lift_brake(connection, yard.town.product.id, "cli:test", "looked_at", yard.clock.now())
    yard.works()
    assert rows(yard.town.database, "select stage from reconfirmation") == [("erased",)]


def test_a_brake_set_among_the_steps_stops_those_that_follow(yard: Graveyard) -> None:
    yard.come_due("ada", "bob")
    yard.agree(yard.list_them())
    yard.erasing().eraser.once("tv")
    yard.town.deliver()
    eraser = replace(yard.erasing().eraser, after_step=lambda _: brake(yard.town))
    eraser.work("tv", lambda: True)

    found = rows(yard.town.database, "select erasing from reconfirmation order by 1")
    assert found == [("parting",), ("telling",)]


def test_an_erasure_stopped_under_a_brake_is_in_nobodys_way(yard: Graveyard) -> None:
    yard.come_due("ada", "bob")
    ada, bob = yard.town.id_of("ada"), yard.town.id_of("bob")
    yard.agree(yard.list_them())
    yard.erasing().eraser.once("tv")
    brake(yard.town)
    yard.town.join(row("ada", status="active"))
    yard.works()
    assert rows(
        yard.town.database, "select stopped from erasure where subscription_id = :s", s=ada
    ) == [("by_billing",)]
    yard.town.join(row("ada", status="canceled"))
    wishes_to_be_erased(yard, "ada")
    yard.works()
    assert (stage_of(yard.town, ada), stage_of(yard.town, bob)) == ("erased", "erasing")


# --- whom a manifest would list ----------------------------------------------------------------


def test_whom_a_manifest_would_list_is_whom_it_lists(yard: Graveyard) -> None:
    yard.come_due("ada", "bob", "cid")
    town = yard.town
    ada, bob, cid = (town.id_of(name) for name in ("ada", "bob", "cid"))
    is_held(town)
    before = rows(town.database, "select count(*) from history")

    seen = foresee(town.database, "tv", town.clock.now(), batch=2)

    assert (seen.people, seen.barred, seen.stopped) == ([bob, cid], {"hold": 1}, None)
    assert rows(town.database, "select count(*) from manifest") == [(0,)]
    assert rows(town.database, "select count(*) from history") == before
    number = yard.list_them()
    assert sorted(yard.listed(number)) == seen.people
    after = foresee(town.database, "tv", town.clock.now())
    assert (after.people, after.barred) == ([], {"hold": 1, "listed": 2})
    assert after.stopped == "made_today"
    assert ada not in seen.people


def test_while_a_brake_is_on_nobody_would_be_listed(yard: Graveyard) -> None:
    yard.come_due("ada")
    brake(yard.town)

    seen = foresee(yard.town.database, "tv", yard.clock.now())

    assert (seen.people, seen.barred, seen.stopped) == ([], {"brake": 1}, "brake")


def test_who_is_beyond_the_cap_of_a_day_waits_for_another(yard: Graveyard) -> None:
    yard.come_due("ada", "bob")
    slow = SOON | {"pace": {"ramp": ["100%"], "notices_per_day": 1}}
    yard.town.put_in_force(slow)

    seen = foresee(yard.town.database, "tv", yard.clock.now())

    assert seen.people == [yard.town.id_of("ada")]
    assert seen.barred == {"over_cap": 1}

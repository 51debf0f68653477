"""What is said of one subscription follows where it stands, in English word for word."""

from datetime import datetime, time, timedelta

import pytest

from app.engine.explain import Explanation, explain
from app.engine.holds import Wanted
from app.engine.holds import add as add_hold
from app.lifecycle.case import AskReview, Concern
from app.links import Links
from app.manifests import Manifests
from app.store.database import Database
from app.store.holds import Reason
from app.world.outcome import Later, No
from tests.graveyard import SOON, Graveyard
from tests.probe import goes, rows
from tests.world import MovableClock, Town, row


def told(town: Town, name: str) -> Explanation:
    with town.database.transaction() as connection:
        return explain(connection, town.product, town.id_of(name), town.clock.now())


def test_what_comes_next_follows_where_somebody_stands(town: Town) -> None:
    town.join(row("a"), row("gone", status="canceled"))
    said = [told(town, "gone").next_step, told(town, "a").next_step]
    town.sweep()
    said.append(told(town, "a").next_step)
    town.settle()
    said.append(told(town, "a").next_step)
    town.clock.advance(timedelta(hours=1))
    town.answer("a", "cancel")
    said.append(told(town, "a").next_step)
    town.answer("a", "undo")
    town.clock.advance(timedelta(days=31))
    town.hear()
    town.sweep()
    said.append(told(town, "a").next_step)
    town.settle()
    said.append(told(town, "a").next_step)
    town.clock.advance(timedelta(hours=1))
    town.answer("a", "resume")
    said.append(told(town, "a").next_step)
    assert said == [
        "nothing: is not to be asked",
        "is looked at again on 2024-09-01",
        "the ask is handed over, or withdrawn after three days",
        "silence counts from 2024-10-01 23:00 UTC",
        "billing is told to cancel",
        "billing is told to suspend",
        "warning 1 of the erasure goes out from 2025-06-21 on",
        "billing is told to resume",
    ]


def test_what_waits_for_a_person_comes_before_silence(town: Town) -> None:
    town.join(row("a"))
    town.settle()
    town.clock.advance(timedelta(hours=1))
    town.tell("a", AskReview(1, Concern.OTHER))
    assert told(town, "a").ahead.code == "looks"
    assert [each.code for each in told(town, "a").blocks] == ["review"]


def test_what_keeps_somebody_from_being_asked_is_said_in_order(town: Town) -> None:
    town.join(row("a", amount="0"), row("gone", status="canceled"), row("mute", email=""))
    assert [each.code for each in told(town, "a").blocks] == ["no_charge"]
    assert told(town, "gone").blocked_by == ["billing says canceled: nothing to ask about"]
    assert told(town, "mute").blocked_by == ["no notice reaches the person: no_address"]
    town.clock.advance(timedelta(days=9))
    silent = told(town, "gone").blocked_by
    assert silent[0].startswith("the feed has been silent since 2024-0")
    assert silent[1:] == ["billing says canceled: nothing to ask about"]


# --- on the way to an erasure ------------------------------------------------------------------


@pytest.fixture
def yard(database: Database, clock: MovableClock, links: Links) -> Graveyard:
    return Graveyard(Town.founded(database, clock, links, policy_json=SOON))


def to_the_day(town: Town, name: str) -> None:
    current = town.case(name).round
    assert current is not None
    assert current.erase_on is not None
    goes(town, datetime.combine(current.erase_on, time(1), town.clock.now().tzinfo))


def test_each_step_of_an_erasure_is_said(yard: Graveyard) -> None:
    town, crm = yard.town, yard.holds_data("crm")
    crm.answers = [Later("away")]

    def now() -> str:
        return told(town, "a").next_step

    yard.stop("a")
    said = [now()]
    yard.warn("a", 1)
    said.append(now())
    yard.warn("a", 1)
    said.append(now())
    to_the_day(town, "a")
    said.append(now())
    number = yard.list_them()
    said.append(now())
    yard.agree(number)
    said.append(now())
    yard.erasing().eraser.once("tv")
    said.append(now())
    town.deliver()
    yard.erasing().teller.work("tv", lambda: True)
    said.append(now())
    goes(town, town.clock.now() + timedelta(days=1))
    yard.erasing().teller.work("tv", lambda: True)
    said.append(now())
    yard.erasing().eraser.once("tv")
    said.append(now())
    town.deliver()
    said.append(now())
    assert [each[:46] for each in said] == [each[:46] for each in STEPS]


STEPS = [
    "warning 1 of the erasure goes out from 2024-11-19 on",
    "warning 2 of the erasure goes out from 2024-11-20 on",
    "data is due to be erased on 2024-12-01",
    "is put on the manifest of a day, which two people approve",
    "is on manifest 1, which waits until two people have approved it",
    "is erased by itself: manifest 1 is approved",
    "is being erased: billing is told to end the subscription for good",
    "is being erased: waits for the receipts of crm",
    "is being erased: every system has given its receipt",
    "is being erased: the last notice goes out, within three days",
    "is being erased: what is left of them here is deleted",
]


def blocks(town: Town, name: str) -> list[str]:
    """Give what is said to stop an erasure; that billing is paused asks nobody anything."""
    return [each.code for each in told(town, name).blocks if each.code != "status"]


def test_what_keeps_somebody_from_being_erased_is_said(yard: Graveyard) -> None:
    town = yard.town
    yard.come_due("a")
    assert blocks(town, "a") == []
    with town.database.transaction() as connection:
        connection.exec_driver_sql("update subscription set status = 'past_due'")
    assert blocks(town, "a") == ["charged_by_billing"]


def test_a_hold_on_who_is_due_is_said_once(yard: Graveyard) -> None:
    yard.come_due("a")
    town = yard.town
    wanted = Wanted(town.id_of("a"), Reason.LEGAL)
    add_hold(town.database, town.clock, town.key, wanted, "cli:test")
    assert blocks(town, "a") == ["hold"]


def test_before_the_day_nothing_blocks_and_then_missing_warnings_do(yard: Graveyard) -> None:
    yard.stop("a")
    town = yard.town
    assert blocks(town, "a") == []
    to_the_day(town, "a")
    assert blocks(town, "a") == ["not_warned"]


def test_who_was_on_a_manifest_that_was_refused_is_left_alone(yard: Graveyard) -> None:
    yard.come_due("a")
    yard.meet()
    number = yard.list_them()
    Manifests(yard.town.database, yard.clock).refuse("tv", number, "console:ann")
    assert blocks(yard.town, "a") == ["refused"]


def test_a_system_that_stopped_is_named(yard: Graveyard) -> None:
    crm = yard.holds_data("crm")
    crm.answers = [No("unknown")]
    yard.come_due("a")
    yard.agree(yard.list_them())
    yard.works()
    assert rows(yard.town.database, "select state from receipt") == [("parked",)]
    (found,) = told(yard.town, "a").blocked_by
    assert found.startswith("crm has stopped without a receipt")

"""Everything held about one, nothing of anybody else, and after an erasure nothing at all."""

from datetime import timedelta
from random import Random
from string import ascii_lowercase
from typing import Any

import msgspec
import pytest

from app import export
from app.engine.rights import Rights
from app.lifecycle.case import Round
from app.links import Links
from app.store import holdings, products, tables
from app.store.database import Database
from app.web.words import sentences
from tests.probe import rows
from tests.world import MovableClock, Town, row

DESK = "cli:canary.clerk"
NOT_OF_ONE = {
    "tombstone": "who was erased: nothing is held of them any more",
    "archive": "read by a role of its own",
    "inbox": "billing's messages as they came: what they told is in the facts",
}
"""Tables with a subscription, or what was one, that an export does not read; and why."""
IN_PARTS = {"contact", "reconfirmation", "evidence"}
"""Tables that are read as parts of others."""
LEFT_OUT = {
    "product_id",
    "subscription_id",
    "id",
    "erasure_id",
    "target_id",
    *("fence", "lease_until", "unknown", "lane"),
    *("sealed_no", "previous_hash", "hash", "ledger_no", "certificate"),
    *("endpoint_id", "message_id", "url", "body", "status"),
    *("actor", "version", "last", "error", "tries", "not_before", "key"),
}
"""Columns that only join or move rows, or are told under another name."""


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    return Town.founded(database, clock, links)


def held_of(town: Town, name: str) -> Any:
    """Give the document of somebody as it is read."""
    with town.database.transaction() as connection:
        product = products.load(connection, town.key)
        words, now = sentences("en"), town.clock.now()
        sid = town.id_of(name)
        held = export.everything(connection, town.links, product, sid, now, words)
    return None if held is None else msgspec.json.decode(msgspec.json.encode(held))


def lives(town: Town, name: str, **facts: Any) -> None:
    """Let somebody be asked, stay silent, lock their data and object by the desk."""
    town.join(row(name, **facts))
    town.settle()
    town.days_pass(33, 33)
    rights = Rights(town.database, town.clock)
    rights.restrict(town.key, town.id_of(name), DESK)
    rights.object(town.key, town.id_of(name), DESK)
    rights.correct(town.key, town.id_of(name), f"{name}@corrected.example", DESK)
    rights.mail_link(town.key, town.id_of(name))


def test_every_table_about_a_subscription_is_in_it_or_named_as_not() -> None:
    about = {
        each.name for each in tables.metadata.sorted_tables if "subscription_id" in each.columns
    }
    assert about - NOT_OF_ONE.keys() - IN_PARTS <= set(holdings.ABOUT)
    assert set(holdings.ABOUT) - about == {"receipt", "look"}
    assert NOT_OF_ONE.keys() <= {each.name for each in tables.metadata.sorted_tables}


@pytest.mark.parametrize("table", sorted(set(holdings.ABOUT) - {"timer", "look", "history"}))
def test_every_column_of_such_a_table_is_told(table: str) -> None:
    shape = {
        "hold": export.shapes.HeldHold,
        "manifest_entry": export.shapes.HeldListing,
        "erasure": export.shapes.HeldErasure,
        "receipt": export.shapes.HeldReceipt,
        "review": export.shapes.HeldReview,
        "fresh_link": export.shapes.HeldLink,
        "ask_listed": export.shapes.HeldQuestion,
        "outbox": export.shapes.HeldWaiting,
        "unexplained": export.shapes.HeldOddity,
        "refund": export.shapes.HeldRefund,
        "webhook": export.shapes.HeldCall,
    }[table]
    columns = set(tables.metadata.tables[table].columns.keys())
    inner = {"absurd", "refunded_before", "first_tried_at"}
    assert columns - LEFT_OUT - inner <= set(shape.__struct_fields__)


def test_every_column_of_a_person_and_of_a_round_is_told() -> None:
    person = {*tables.subscription.columns.keys(), *tables.contact.columns.keys()}
    told = {
        *export.shapes.HeldSubscription.__struct_fields__,
        *export.shapes.HeldContact.__struct_fields__,
    }
    assert person - {"external_id", "product_id", "subscription_id"} <= told
    rounds = set(tables.reconfirmation.columns.keys())
    ours = {"subscription_id", "product_id", "latest", "wake_at"}
    assert rounds - ours == set(Round.__struct_fields__)


@pytest.mark.parametrize("seed", range(2))
def test_it_has_every_fact_of_a_person_and_no_fact_of_their_neighbour(
    town: Town, seed: int
) -> None:
    chance = Random(seed)  # noqa: S311 - anybody will do
    name, plan = ("".join(chance.choices(ascii_lowercase, k=9)) for _ in range(2))
    zone, amount = chance.choice(["Europe/Paris", "Africa/Nairobi"]), chance.randrange(100, 99_999)
    one, other = f"one.{name}", f"canary.{name}"
    family = {"customer": f"family.{name}"}
    lives(town, one, plan=plan, timezone=zone, amount=amount, **family)
    lives(town, other, plan="canary plan", country="DE", amount=amount + 1, **family)

    held = held_of(town, one)

    text = msgspec.json.encode(held).decode()
    for fact in (one, plan, zone, str(amount), f"{one}@corrected.example", family["customer"]):
        assert fact in text, fact
    assert held["contact"]["told_email"] == f"{one}@subscribers.example"
    assert "canary" not in text, "neither a neighbour of the same customer nor who works here"
    assert {"staff", "clock"} <= {each["by"] for each in held["history"]}
    assert {each["reason"] for each in held["reviews"]} == {"restriction"}
    assert held["holds"][0]["set_by"] == "staff"
    assert [each["notice"] for each in held["messages"]][:1] == ["ask"]
    assert held["erasing"]["held"] is True


def test_a_request_to_erase_says_when_it_begins(town: Town) -> None:
    town.join(row("ann"))
    town.settle()
    town.days_pass(33, 33)
    rights = Rights(town.database, town.clock)
    rights.erase(town.key, town.id_of("ann"), DESK, cancel=False)
    erasing = held_of(town, "ann")["erasing"]
    now = town.clock.now()
    assert erasing["asked_at"] == now.isoformat().replace("+00:00", "Z")
    assert erasing["begins_at"].startswith(str((now + timedelta(days=1)).date()))


def test_after_an_erasure_it_says_that_nothing_is_held_and_nothing_else(town: Town) -> None:
    town.join(row("ann"))
    rows(town.database, "delete from contact")
    assert held_of(town, "ann") is None
    said = msgspec.json.decode(msgspec.json.encode(export.nothing(town.product, town.clock.now())))
    assert said.keys() == {"schema", "made_at", "held", "product"}
    assert said["held"] is False


def test_codes_that_occur_are_explained(town: Town) -> None:
    town.join(row("ann"))
    town.settle()
    town.days_pass(33, 33)
    held = held_of(town, "ann")
    assert {each["what"] for each in held["history"]} <= held["words"]["what"].keys()
    assert held["words"]["what"]["asked"] == "Found unused, so a question begins"
    assert "no_answer" in held["words"]["why"]


def test_another_products_number_finds_nothing(town: Town) -> None:
    town.join(row("ann"))
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    with town.database.transaction() as connection:
        product = products.load(connection, radio.key)
        sid, now = town.id_of("ann"), town.clock.now()
        assert export.everything(connection, town.links, product, sid, now, {}) is None

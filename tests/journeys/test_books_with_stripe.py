"""A year at a fake Stripe whose every message is lost: comparing once a day is all we hear."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from app.links import Links
from app.store.database import Database
from app.world.billing import stripe as system
from app.world.connector import Connector, Order, Site
from app.world.hooks import Sender
from app.world.outcome import Done
from jobs.billing import Books
from tests.fakebooks import books_of, kept, result
from tests.fakestripe import FakeStripe
from tests.probe import DAY, rows
from tests.world import ACTOR, MovableClock, Town

PEOPLE = 12


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with FakeStripe(seed=7) as running:
        yield running


@pytest.fixture
def town(database: Database, links: Links, fake: FakeStripe) -> Town:
    clock = MovableClock(datetime.fromtimestamp(fake.now, UTC))
    made = Town.founded(database, clock, links)
    rows(database, "update product set billing = 'stripe'")
    return made


@pytest.fixture
def billing(town: Town, fake: FakeStripe) -> Connector:
    settings = {"api_base": fake.url, "calls_per_second": "100"}
    sender = Sender(town.clock)
    site = Site(
        "tv", town.clock, town.database.engine, sender, key=fake.shop.key, settings=settings
    )
    return system.SYSTEM.connect(site)


def days_pass(town: Town, fake: FakeStripe, books: Books, days: int) -> Counter[str]:
    """Let days pass on both clocks; give what the comparisons found in sum."""
    found: Counter[str] = Counter()
    worker = town.worker()
    worker.connector = books.connector
    for _ in range(0, days, 3):
        fake.advance(3 * DAY)
        town.clock.set(datetime.fromtimestamp(fake.now, UTC))
        town.hear()
        town.sweep()
        worker.until_idle()
        kept(books)
        found += result(town)
    return found


def test_a_year_without_any_message_ends_with_both_sides_equal(
    town: Town, fake: FakeStripe, billing: Connector
) -> None:
    price = fake.shop.price(1349, currency="eur")
    people = [
        fake.shop.subscribe(fake.shop.customer(f"p{number}@subscribers.example"), price)
        for number in range(PEOPLE)
    ]
    books = books_of(town, billing)
    imported = books.run("tv")
    assert imported is not None
    assert imported.counts["new"] == PEOPLE
    users = [each.id for each in people[:4]]
    found: Counter[str] = Counter()
    for _ in range(4):
        found += days_pass(town, fake, books, 90)
        for name in users:
            town.use(name)
    found += days_pass(town, fake, books, 90)
    assert found["renewed"] > PEOPLE
    assert found["repaired"] == found["missing"] == found["unexplained"] == 0, found

    silent = [each.id for each in people[4:]]
    assert {town.stage(name) for name in silent} == {"suspended"}
    assert {town.stage(name) for name in users} == {"active"}
    statuses = dict(rows(town.database, "select external_id, status from subscription"))
    assert {statuses[name] for name in silent} == {"paused"}
    for name in silent:
        (at,) = rows(
            town.database,
            "select at from history where subscription_id = :id and what = 'suspended'",
            id=town.id_of(name),
        )[0]
        assert not fake.shop.charged_after(name, at)
    assert rows(town.database, "select count(*) from refund") == [(0,)]
    assert rows(town.database, "select count(*) from unexplained") == [(0,)]


def test_a_charge_that_stripe_makes_all_the_same_is_given_back_once(
    town: Town, fake: FakeStripe, billing: Connector
) -> None:
    one = fake.shop.subscribe(fake.shop.customer("ada@subscribers.example"), fake.shop.price(1349))
    books = books_of(town, billing)
    books.run("tv")
    days_pass(town, fake, books, 420)
    assert town.stage(one.id) == "suspended"
    ((confirmed,),) = rows(town.database, "select at from history where what = 'suspended'")
    by_hand = Order("tv", one.id, "resume", "by-hand", town.clock.now())
    assert isinstance(billing.carry_out(by_hand), Done)
    for _ in range(11):  # beyond its next renewal, before we hear of anything
        fake.advance(3 * DAY)
    town.clock.set(datetime.fromtimestamp(fake.now, UTC))
    rows(town.database, "update reconciliation set charges_from = began_at")
    kept(books)
    wrong = fake.shop.charged_after(one, confirmed)
    assert wrong
    assert town.story(one.id).count("refund_proposed") == len(wrong)
    for number, amount, state in rows(town.database, "select id, amount, state from refund"):
        assert (amount, state) == (1349, "proposed")
        books.ledger.approve("tv", number, ACTOR)
    kept(books)
    assert set(rows(town.database, "select state, refunded from refund")) == {("made", 1349)}
    given = [each.id for each in fake.shop.charges() if each.refunded]
    assert given == [each.id for each in wrong]

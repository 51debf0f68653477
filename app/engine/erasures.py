"""The way to an erasure that a person wants themselves: a fresh link by mail, and what it asks for.

A fresh link is good for an hour on the wall clock, once, and only while no newer one was made. What
it asks for begins by itself a day later, and stands in the queue of cases with the day by which it
must be done: whatever keeps it from that is then before a person.
"""

from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from app.clock import Clock
from app.engine.door import Batch, open_batch, set_timers
from app.lifecycle.case import AskErasure, AskLink, Kind, Verdict
from app.lifecycle.dates import day_at
from app.links import Fresh
from app.store import freshlinks, population, products, reviews
from app.store.database import Database
from app.store.products import Product

GOOD_FOR = timedelta(hours=1)
A_DAY = timedelta(days=1)
MOST_A_DAY = 3
"""So many fresh links, of any kind, are mailed to one subscription in any 24 hours."""
RESTS_FOR = timedelta(days=3)
"""So long no link goes to an address that was corrected by a link: a mail may have been passed on,
and whoever has it should not come to an erasure in one breath."""
DONE_WITHIN = timedelta(days=30)
"""In this time a request to erase is carried out."""
ACTOR = "subscriber"


def ask_link(
    database: Database, clock: Clock, product_key: str, subscription: int, number: int
) -> Verdict:
    """Mail a fresh link to the address on file, as far as one may go out.

    Whoever presses learns nothing of that: the verdict is the same where one waits already, where
    three have gone out in a day, where the address was just corrected, and where nobody can be
    written to.
    """

    def work(connection: Connection) -> Verdict:
        product, now = products.load(connection, product_key), clock.now()
        batch = open_batch(connection, product, [subscription], now)
        verdict = batch.apply(subscription, AskLink(number)).verdict
        if verdict is not Verdict.APPLIED:
            return verdict
        if may_be_mailed(connection, subscription, Kind.FRESH_LINK, now):
            _write(connection, batch, subscription)
            version = _links(batch, subscription)
            freshlinks.put(connection, subscription, number, version, now)
        return Verdict.APPLIED

    return database.retrying(work, few=True)


def may_be_mailed(connection: Connection, subscription: int, kind: Kind, now: datetime) -> bool:
    """Say whether a link of a kind may be mailed now, as far as that is not the rules' to say."""
    if freshlinks.waits(connection, subscription, kind):
        return False
    if population.corrected_since(connection, subscription, now - RESTS_FOR):
        return False
    return freshlinks.asked_since(connection, subscription, now - A_DAY) < MOST_A_DAY


def _links(batch: Batch, subscription: int) -> int:
    current = batch.cases[subscription].round
    return current.links if current is not None else 0


def is_good(connection: Connection, named: Fresh, wall: datetime) -> bool:
    """Say whether a fresh link can still be used: made within the hour, the newest, not used."""
    if wall >= named.made_at + GOOD_FOR:
        return False
    newest = freshlinks.newest_unused(connection, named.subscription)
    return newest == (named.round, named.made_at)


def request(database: Database, clock: Clock, product_key: str, named: Fresh) -> Verdict | None:
    """Take a request to erase made by a fresh link; None where the link is not good any more.

    The link is used up by a request that is taken, and not by one that is not believed.
    """

    def work(connection: Connection) -> Verdict | None:
        product, now, wall = products.load(connection, product_key), clock.now(), clock.wall()
        subscription = named.subscription
        batch = open_batch(connection, product, [subscription], now)
        if not is_good(connection, named, wall):
            return None
        verdict = batch.apply(subscription, AskErasure(named.round)).verdict
        if verdict is Verdict.APPLIED:
            freshlinks.use(connection, subscription, named.made_at, wall)
            put(connection, product, batch, subscription)
        _write(connection, batch, subscription)
        return verdict

    return database.retrying(work, few=True)


def put(connection: Connection, product: Product, batch: Batch, subscription: int) -> None:
    """Put a request that was taken in the queue, with the day by which it must be done."""
    current = batch.cases[subscription].round
    number = current.number if current is not None else 0
    due = due_on(batch, subscription)
    reviews.put_erasure(connection, product.id, subscription, number, batch.now, due)


def due_on(batch: Batch, subscription: int) -> date:
    """Give the last day on which a request made now is to be carried out, where they live."""
    return day_at(batch.now, batch.cases[subscription].subscription.zone) + DONE_WITHIN


def _write(connection: Connection, batch: Batch, subscription: int) -> None:
    set_timers(batch, [subscription])
    batch.flush(connection, ACTOR)

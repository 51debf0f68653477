"""Bulk intake of usage: only the latest day of each person is kept, and only ever moved forward.

Usage never touches timers: when one comes due, the sweep sees that the person was there. But who is
in a round learns of it at once, in the same transaction, because use ends the round.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection

from app.clock import Clock
from app.engine.door import apply_in
from app.errors import Refused
from app.lifecycle.case import Used
from app.store import population, products
from app.store.database import Database
from app.store.products import Product

SKEW = timedelta(minutes=5)
"""How far a clock elsewhere may be ahead of ours."""
EASTERNMOST = timedelta(hours=14)
"""Where it is tomorrow already: a plain date may be that day's."""
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Told:
    """A batch of usage: the latest day of each subscription, and of customers for all of theirs."""

    subscriptions: Mapping[str, date]
    customers: Mapping[str, date]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch, in subscriptions; `unknown` are remembered until they arrive."""

    applied: int
    unchanged: int
    unknown: int


def day_used(text: str, now: datetime) -> date:
    """Give the UTC day of `used_at`; a plain date as written. ValueError says what is wrong."""
    if len(text) == 10:  # noqa: PLR2004 - YYYY-MM-DD
        day = _plain_date(text)
        if day > (now + EASTERNMOST).date():
            raise ValueError("lies in the future")
        return day
    moment = _moment(text)
    if moment > now + SKEW:
        raise ValueError("lies in the future")
    return moment.date()


def _plain_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("is no date: write 2026-08-22") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is no time: write RFC 3339, such as 2026-08-22T08:57:25Z") from None
    if moment.tzinfo is None:
        raise ValueError("has no offset: write RFC 3339, such as 2026-08-22T08:57:25Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes in usage for products."""

    database: Database
    clock: Clock

    def record(self, product_key: str, told: Told, actor: str) -> Taken:
        """Fold a batch into the last days of use, and end the rounds of those who came back."""

        def work(connection: Connection) -> Taken:
            product = products.load(connection, product_key)
            return _record_in(connection, product, told, actor, self.clock.now())

        return self.database.retrying(work)

    def covers(
        self, product_key: str, feed: str, covers_from: date | None, through: date | None
    ) -> None:
        """Note which days a feed covers, both ends included, once their use has been recorded."""
        now = self.clock.now()
        self.refuse_future(through)

        def work(connection: Connection) -> None:
            product = products.load(connection, product_key)
            found = products.feed_named(connection, product.id, feed, now)
            # A feed that does not say from when it covers is believed from the day it first spoke.
            start = covers_from or (None if found.covers_from else now.astimezone(UTC).date())
            products.cover(connection, found.id, start, through)

        self.database.retrying(work)

    def refuse_future(self, through: date | None) -> None:
        """Refuse a day that cannot have been told whole because it has not come."""
        if through is not None and through > (self.clock.now() + EASTERNMOST).date():
            raise Refused(
                f"through {through} lies in the future",
                "name the last day that has been told whole",
            )


def told_through(days: Sequence[date]) -> date | None:
    """Give the day up to which events alone prove that a feed has spoken: the one before the last.

    Events of a day show that the feed is alive on it, not that the day has been told whole.
    """
    return max(days) - ONE_DAY if days else None


def _record_in(
    connection: Connection, product: Product, told: Told, actor: str, now: datetime
) -> Taken:
    days, unknown = _by_id(connection, product, told)
    moved = population.fold_usage(connection, days)
    returning = population.in_a_round(connection, moved)
    apply_in(connection, product, [(sid, Used()) for sid in returning], actor, now)
    return Taken(len(moved), len(days) - len(moved), unknown)


def _by_id(connection: Connection, product: Product, told: Told) -> tuple[dict[int, date], int]:
    """Give the latest day by subscription id, and how many of the names are not known."""
    ids = population.resolve(connection, product.id, list(told.subscriptions))
    missing = {key: day for key, day in told.subscriptions.items() if key not in ids}
    if missing:
        population.hold_unknown(connection, product.id)
        ids |= population.resolve(connection, product.id, list(missing))
        missing = {key: day for key, day in missing.items() if key not in ids}
        population.remember_unknown(connection, product.id, missing)
    days = {ids[key]: day for key, day in told.subscriptions.items() if key in ids}
    owners = population.resolve_customers(connection, product.id, list(told.customers))
    for customer, sid in owners:
        days[sid] = max(days.get(sid, date.min), told.customers[customer])
    strangers = told.customers.keys() - {customer for customer, _ in owners}
    return days, len(missing) + len(strangers)

"""Bulk intake of usage: only the latest day of each person is kept, and only ever moved forward.

Usage never touches timers: when one comes due, the sweep sees that the person was there. But who is
in a round learns of it at once, in the same transaction, because use ends the round.

Most people use a thing several times a day. What this process has stored it remembers, and asks
the database in one cheap count whether it still stands: whoever is still there on that day or a
later one has nothing to be written about. The memory only says whom to ask about, so whatever
happened meanwhile to a subscription (deleted, erased, imported anew), no use of it is ever hidden.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from msgspec import Struct
from sqlalchemy import Connection

from app import personal
from app.clock import Clock
from app.engine.door import apply_in
from app.errors import Refused
from app.lifecycle.case import Used
from app.links import Links
from app.rows import ERASED
from app.store import population, products, tombstones, using
from app.store.database import Database
from app.store.products import Product

SKEW = timedelta(minutes=5)
"""How far a clock elsewhere may be ahead of ours."""
EASTERNMOST = timedelta(hours=14)
"""Where it is tomorrow already: a plain date may be that day's."""
ONE_DAY = timedelta(days=1)
MOST_TIMES = 10_000
"""So many times are remembered while reading."""
DEFAULT_FEED = "api"
"""Whose usage a key brings that was given no feed."""
LONGEST_NAME = 200
NO_ID = "the name is no id"
"""Said of a name that is too long, not printable, or personal data: never which, nor the name."""


class Use(Struct, frozen=True, gc=False):
    """One event of usage: a subscription, or a customer for all of theirs, and the day."""

    of_customer: bool
    name: str
    day: date


@dataclass(frozen=True, slots=True)
class Told:
    """A batch of usage: the latest day of each subscription, and of customers for all of theirs."""

    subscriptions: Mapping[str, date]
    customers: Mapping[str, date]

    @classmethod
    def of(cls, uses: Iterable[Use]) -> "Told":
        """Fold events to the latest day of each name."""
        days: tuple[dict[str, date], dict[str, date]] = ({}, {})
        for use in uses:
            known = days[use.of_customer]
            last = known.get(use.name)
            if last is None or last < use.day:
                known[use.name] = use.day
        return cls(*days)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch, in subscriptions; `unknown` are remembered until they arrive.

    Who was erased counts as unknown, and is not remembered.
    `refused` are names that nobody knows and that hold what must never be kept: those are not.
    """

    applied: int
    unchanged: int
    unknown: int
    refused: frozenset[str] = frozenset()


@dataclass(slots=True)
class Reader:
    """Reads events as they are told at a moment; what comes together often has the same time."""

    now: datetime
    days: dict[str, date] = field(default_factory=dict)

    def use(self, subscription: str, customer: str, used_at: str) -> Use:
        """Read one event, an empty name for the one that is not given; ValueError says why not.

        Whether a name holds personal data is not looked at: that is slow, and names that billing
        has told of were looked at then. `Intake.record` looks at those that nobody knows.
        """
        name = subscription or customer
        if not name or (subscription and customer):
            raise ValueError("name a subscription or a customer, and one of the two only")
        if len(name) > LONGEST_NAME or not name.isprintable() or name.startswith(ERASED):
            raise ValueError(NO_ID)
        day = self.days.get(used_at) or self._day(used_at)
        return Use(name is not subscription, name, day)

    def _day(self, used_at: str) -> date:
        try:
            day = day_used(used_at, self.now)
        except ValueError as error:
            raise ValueError(f"used_at {error}") from None
        if len(self.days) >= MOST_TIMES:
            self.days.clear()
        self.days[used_at] = day
        return day


def day_used(text: str, now: datetime) -> date:
    """Give the UTC day of `used_at`; a plain date as written. ValueError says what is wrong."""
    if len(text) == 10:  # noqa: PLR2004 - YYYY-MM-DD
        day = _plain_date(text)
        if day > (now + EASTERNMOST).date():
            raise ValueError("lies in the future")
        return day
    moment = _moment(text)
    # Most of what comes is past by its day alone, which is quicker to see.
    day = moment.date()
    if day >= now.date() and moment > now + SKEW:
        raise ValueError("lies in the future")
    return day


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
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        raise ValueError("has no offset: write RFC 3339, such as 2026-08-22T08:57:25Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


class Seen:
    """What this process knows to have been stored: the day of use by product and external id.

    Bounded: of each product the last `most` names at least, and twice as many at most.
    """

    def __init__(self, most: int = 200_000) -> None:
        """Remember nothing yet."""
        self._most = most
        self._young: dict[int, dict[str, date]] = {}
        self._old: dict[int, dict[str, date]] = {}

    def settled(self, product_id: int, days: Mapping[str, date]) -> dict[date, list[str]]:
        """Give, by day told, the names stored on that day or a later one, as far as is known."""
        young, old = self._young.get(product_id, {}), self._old.get(product_id, {})
        found: dict[date, list[str]] = {}
        for name, day in days.items():
            known = young.get(name) or old.get(name)
            if known is not None and known >= day:
                found.setdefault(day, []).append(name)
        return found

    def note(self, product_id: int, days: Mapping[str, date]) -> None:
        """Remember what a transaction that has committed left stored, or later."""
        young = self._young.setdefault(product_id, {})
        young.update(days)
        if len(young) > self._most:
            self._old[product_id] = young
            self._young[product_id] = {}


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes in usage for products; `seen` is worth keeping as long as the process lives.

    By the keys of `links` it knows who was erased.
    """

    database: Database
    clock: Clock
    seen: Seen = field(default_factory=Seen)
    links: Links | None = None

    def record(self, product_key: str, told: Told, actor: str) -> Taken:
        """Fold a batch into the last days of use, and end the rounds of those who came back."""

        def work(connection: Connection) -> tuple[int, Taken, Mapping[str, date]]:
            product = products.load(connection, product_key)
            settled = _still_settled(connection, product.id, self.seen, told.subscriptions)
            rest = _without(told, settled)
            now = self.clock.now()
            taken, stored = _record_in(connection, product, rest, actor, now, self.links)
            return product.id, _with_unchanged(taken, len(settled)), stored

        product_id, taken, stored = self.database.retrying(work)
        # Only now: what a transaction that was rolled back had stored is stored nowhere.
        self.seen.note(product_id, stored)
        return taken

    def announce(self, product_key: str, feed: str) -> bool:
        """Make a feed known before its first event is read; say whether it is new.

        Until it has spoken the product counts as unheard, so an intake that breaks off asks nobody.
        Conflict where it was retired.
        """
        now = self.clock.now()

        def work(connection: Connection) -> bool:
            product_id = products.row_of(connection, product_key).id
            known = {each.name: each for each in products.feeds(connection, product_id)}
            if feed not in known or known[feed].retired_at is not None:
                products.feed_named(connection, product_id, feed, now)
            return feed not in known

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


MOST_DAYS = 4
"""A count of what is settled for each day: more days in a batch than these go the long way."""


def _still_settled(
    connection: Connection, product_id: int, seen: Seen, days: Mapping[str, date]
) -> Collection[str]:
    """Give the names whose stored day is at least the one told, asked of the database just now."""
    found: set[str] = set()
    likely = seen.settled(product_id, days)
    for day, names in sorted(likely.items(), reverse=True)[:MOST_DAYS]:
        if using.count_used_since(connection, product_id, names, day) == len(names):
            found.update(names)
    return found


def _without(told: Told, settled: Collection[str]) -> Told:
    if not settled:
        return told
    left = {name: day for name, day in told.subscriptions.items() if name not in settled}
    return Told(left, told.customers)


def _with_unchanged(taken: Taken, more: int) -> Taken:
    return replace(taken, unchanged=taken.unchanged + more) if more else taken


def _record_in(  # noqa: PLR0913, PLR0917 - what a transaction is about
    connection: Connection,
    product: Product,
    told: Told,
    actor: str,
    now: datetime,
    links: Links | None,
) -> tuple[Taken, Mapping[str, date]]:
    """Record a batch; give what became of it, and the least day now stored of each known name."""
    if not told.subscriptions and not told.customers:
        return Taken(0, 0, 0), {}
    moved = using.fold_by_name(connection, product.id, told.subscriptions)
    rest = _Rest.of(connection, product, told, moved, links)
    changed = {*moved.values(), *population.fold_usage(connection, rest.days)}
    returning = population.in_a_round(connection, sorted(changed)) if changed else []
    if returning:
        apply_in(connection, product, [(sid, Used()) for sid in returning], actor, now)
    unchanged = len(rest.days.keys() - changed)
    return Taken(len(changed), unchanged, rest.unknown, rest.refused), rest.known


@dataclass(frozen=True, slots=True)
class _Rest:
    """Those of a batch whom the fold by name did not move, and all that are known of it.

    `days`: by subscription id, of those there nothing new was told of, and of customers.
    """

    days: dict[int, date]
    known: Mapping[str, date]
    unknown: int
    refused: frozenset[str]

    @classmethod
    def of(
        cls,
        connection: Connection,
        product: Product,
        told: Told,
        moved: Mapping[str, int],
        links: Links | None,
    ) -> "_Rest":
        """Sort out who is known, and remember the use of who is not."""
        left = {name: day for name, day in told.subscriptions.items() if name not in moved}
        ids, strangers, refused = _known(connection, product, left, links)
        days = {ids[name]: left[name] for name in ids}
        owners = population.resolve_customers(connection, product.id, list(told.customers))
        for customer, sid in owners:
            days[sid] = max(days.get(sid, date.min), told.customers[customer])
        nobodies = told.customers.keys() - {customer for customer, _ in owners}
        nameless = {name for name in nobodies if personal.found_in(name)}
        known = told.subscriptions
        if strangers or refused:
            lost = strangers.keys() | refused
            known = {name: day for name, day in known.items() if name not in lost}
        unknown = len(strangers) + len(nobodies) - len(nameless)
        return cls(days, known, unknown, frozenset(refused | nameless))


def _known(
    connection: Connection, product: Product, days: Mapping[str, date], links: Links | None
) -> tuple[dict[str, int], dict[str, date], set[str]]:
    """Give the ids of names that are known, the days of those that are not, and refused names."""
    if not days:
        return {}, {}, set()
    ids = population.resolve(connection, product.id, list(days))
    missing = {name: day for name, day in days.items() if name not in ids}
    refused = {name for name in missing if personal.found_in(name)}
    missing = {name: day for name, day in missing.items() if name not in refused}
    if missing:
        population.hold_unknown(connection, product.id)
        ids |= population.resolve(connection, product.id, list(missing))
        missing = {name: day for name, day in missing.items() if name not in ids}
        erased = tombstones.erased_on(connection, links, product.id, list(missing))
        remembered = {name: day for name, day in missing.items() if name not in erased}
        population.remember_unknown(connection, product.id, remembered)
    return ids, missing, refused

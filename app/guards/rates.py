"""Bounces, complaints, odd answers: counted by the day of the ask, and too many stop a product."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from app.guards.brake import trip
from app.guards.seen import OF, ONE_DAY, RATES, SPAN, day_of, told
from app.policy import Share
from app.store import pulse
from app.store.products import Product
from app.store.pulse import News

FEW_NEWS = 3
"""Fewer bad news than this stop nobody: one in ten says nothing of a product, three in ten do.

The price of stopping too soon is that a person looks; of stopping too late, that mail of this
product is no longer believed. So beyond this the rate itself decides, without further allowance.
"""


def count(
    connection: Connection,
    product: Product,
    now: datetime,
    notes: Iterable[str],
    news: Sequence[News],
) -> None:
    """Count what a batch did, as its last statement; bad news may set the brake there and then."""
    today = day_of(now)
    # Counted before anything is asked of them: a batch has thousands, of a handful of kinds.
    many = Counter(notes)
    counts = Counter({(today, what): many[what] for what in many.keys() & pulse.COUNTED})
    if not news:
        pulse.add(connection, product.id, counts)
        return
    lifted = pulse.lifts(connection, product.id)
    for each in news:
        counts.update(_counted(each, lifted, today))
    pulse.add(connection, product.id, counts)
    _check_rates(connection, product, {each.what for each in news}, now)


def _counted(news: News, lifted: dict[str, datetime], today: date) -> Counter[tuple[date, str]]:
    """Count news today for whoever looks, and on the day of the ask for its guard.

    So the rate compares like with like, however unevenly asks go out. Late news of an ask from
    before the guard's brake was lifted has been acknowledged with the rest.
    """
    counts = Counter({(today, news.what): max(0, news.many)})
    rate = next(each for each in RATES if each.news == news.what)
    since = lifted.get(rate.cause)
    if news.refused:
        counts.update({(today, rate.counter): 1, (today, pulse.REFUSED): 1})
    elif news.asked_at is not None and (since is None or news.asked_at > since):
        counts[day_of(news.asked_at), rate.counter] += news.many
    return counts


@dataclass(frozen=True, slots=True)
class RateNow:
    """How a guard of bad news stands: `bad` of `of` asks, and the share that it allows."""

    cause: str
    news: str
    bad: int
    of: int
    at_most: float

    @property
    def trips(self) -> bool:
        """Whether the brake is to be set."""
        return self.bad >= FEW_NEWS and self.bad > round(self.at_most * self.of, 6)


def rates_now(connection: Connection, product: Product, now: datetime) -> list[RateNow]:
    """Give how the guards of bad news stand; none where no policy is in force."""
    if product.policy is None:
        return []
    limits = product.policy.guards
    counts = pulse.since(connection, product.id, day_of(now) - SPAN + ONE_DAY)
    return [
        RateNow(
            rate.cause,
            rate.news,
            told(counts, rate.cause, rate.counter),
            sum(told(counts, rate.cause, each) for each in OF),
            getattr(limits, rate.knob),
        )
        for rate in RATES
    ]


def rates_of_day(connection: Connection, product: Product, day: date) -> list[RateNow]:
    """Give what became of the asks handed over on one day, beside the limits of the guards."""
    if product.policy is None:
        return []
    limits, sums = product.policy.guards, pulse.sums(connection, product.id, day, day)
    of = sum(sums[each] for each in OF)
    return [
        RateNow(each.cause, each.news, sums[each.counter], of, getattr(limits, each.knob))
        for each in RATES
    ]


def _check_rates(connection: Connection, product: Product, what: set[str], now: datetime) -> None:
    for rate in rates_now(connection, product, now):
        if rate.news in what and rate.trips:
            why = f"{rate.news}={rate.bad} of={rate.of} at_most={Share().write(rate.at_most)}"
            trip(connection, product, rate.cause, why, now)

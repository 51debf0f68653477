"""Whom a policy holds to the same terms, and on which day a threshold reaches them."""

from datetime import date, timedelta
from functools import lru_cache

from msgspec import Struct

from app.lifecycle.case import Why
from app.policy import Period, Policy, Terms, When
from app.store.counts import EPOCH

ONE_DAY = timedelta(days=1)
HORIZON = 365
"""Days that a forecast looks ahead, today not counted."""


class Group(Struct, frozen=True):
    """Subscriptions that a policy holds to the same terms, and that pay in the same way."""

    segment: int | None
    interval: str
    currency: str


Whens = tuple[When, ...]
"""Whom segments are about, in their order."""


def whens_of(policy: Policy) -> Whens:
    """Give whom the segments of a policy are about: what decides how people are grouped."""
    return tuple(each.when for each in policy.segments)


def grouped(whens: Whens, plan: str, country: str, interval: str, currency: str) -> Group:
    """Give the group that segments put subscriptions with these facts into."""
    matching = (
        n for n, when in enumerate(whens) if when.matches(plan, country, interval, currency)
    )
    return Group(next(matching, None), interval, currency)


def last_day(threshold: Period, due: date) -> date:
    """Give the latest day from which so long has passed when `due` begins, the day after it.

    Counted back and forth by the calendar: two days may come to the same end of a month.
    """
    full = due - ONE_DAY
    day = threshold.before(full)
    while threshold.after(day + ONE_DAY) <= full:
        day += ONE_DAY
    while threshold.after(day) > full:
        day -= ONE_DAY
    return day


@lru_cache(maxsize=256)
def limits(threshold: Period, today: date) -> tuple[int, ...]:
    """Give, for each day ahead, the latest day from which on it somebody is due, since EPOCH."""
    day, found = last_day(threshold, today), []
    for ahead in range(HORIZON + 1):
        full = today + timedelta(days=ahead) - ONE_DAY
        while threshold.after(day + ONE_DAY) <= full:
            day += ONE_DAY
        found.append((day - EPOCH).days)
    return tuple(found)


def why_of(used: bool) -> Why:  # noqa: FBT001 - a fact, and no switch
    """Say why those are asked whom their threshold reaches."""
    return Why.UNUSED if used else Why.NEVER_USED


def threshold_of(terms: Terms, used: bool) -> Period:  # noqa: FBT001 - a fact, and no switch
    """Give how long must have passed for those who used it once, or never."""
    return terms.unused_after if used else terms.never_used_after


def all_terms(policy: Policy) -> tuple[Terms, ...]:
    """Give the terms of a policy: its own, and those of its segments."""
    return (policy.terms, *(each.terms for each in policy.segments))

"""How many may still be asked: by the day's quota of notices, and by the ramp."""

from datetime import UTC, datetime, time

from sqlalchemy import Connection

from app.guards.ramp import Allowance, ramp_is_open, ramp_left
from app.guards.seen import ONE_DAY, day_of
from app.store import due, pace
from app.store.products import Product

AMPLE = 25_000
"""With more of the day's quota left than many sweeps take in a batch, they need not take turns."""


def allowance(connection: Connection, product: Product, now: datetime) -> Allowance:
    """Give how many may be asked now; the counters stay locked until the transaction ends."""
    policy = product.policy
    if policy is None:
        return Allowance(0, "no policy in force")
    by_quota = _quota_left(connection, product, policy.pace.notices_per_day, now)
    by_ramp = ramp_left(connection, product, now)
    # Where both say nobody, whoever halted the ramp is the better answer.
    return min(by_ramp, by_quota, key=lambda each: each.left)


def _quota_left(connection: Connection, product: Product, most: int, now: datetime) -> Allowance:
    """Give the day's notices, less those taken and those that will still come due today."""
    evening = datetime.combine(day_of(now) + ONE_DAY, time(), UTC)
    promised = due.count_rounds(connection, product.id, now, evening)
    taken = pace.taken(connection, product.id, day_of(now))
    if most - taken - promised < AMPLE:
        taken = pace.taken_for_sure(connection, product.id, day_of(now))
    return Allowance(max(0, most - taken - promised), "the quota of notices a day is used up")


def count_asked(
    connection: Connection, product: Product, now: datetime, asked: int, reminded: int
) -> None:
    """Count what a batch queued."""
    pace.take(connection, product.id, day_of(now), asked + reminded)
    if asked and product.policy and not ramp_is_open(product):
        pace.count_opened(connection, product.id, product.policy.version, asked)

"""What stops or slows a product by itself: silent feeds, the brake, the daily quota, the ramp.

Guards trim what the engine may do; they never look at a person. Everything fails closed: a feed
that has never spoken, a counter that cannot be read, a brake that cannot be asked mean no.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil

from sqlalchemy import Connection

from app.store import due, pace, products
from app.store.products import Product

STALE_FEED = "stale_feed"
BY_HAND = "by_hand"
ONE_DAY = timedelta(days=1)
WESTERNMOST = timedelta(hours=12)
UNLIMITED = 1 << 40
AMPLE = 25_000
"""With more of the day's quota left than many sweeps take in a batch, they need not take turns."""


# --- feeds ---------------------------------------------------------------------------------


def told_until(heard_until: date) -> datetime:
    """Give the moment (UTC) up to which everything has been told: the end of that day."""
    return datetime.combine(heard_until + ONE_DAY, time(), UTC)


def horizon(product: Product, now: datetime) -> datetime | None:
    """Give the latest due moment that anybody can be judged on; None where no feed has spoken.

    A day that has been told ends twelve hours later in the westernmost zone. The rules judge each
    person by their own zone; this only keeps a sweep from reading those it cannot judge.
    """
    heard = product.hearing.heard_until
    return None if heard is None else min(now, told_until(heard) + WESTERNMOST)


def is_stale(product: Product, now: datetime) -> bool:
    """Say whether the feeds have been silent for longer than the policy allows."""
    heard, policy = product.hearing.heard_until, product.policy
    if heard is None or policy is None:
        return True
    return now - told_until(heard) > policy.guards.usage_feed_max_age.exactly()


def check_feeds(connection: Connection, product: Product, now: datetime) -> Product:
    """Set or lift the brake of silent feeds, and give the product as it then stands."""
    if product.hearing.heard_until is None or product.policy is None:
        return product
    if is_stale(product, now):
        why = "usage_feed_silent"
        changed = products.set_brake(connection, product.id, STALE_FEED, why, "guard", now)
    else:
        changed = bool(products.lift_brake(connection, product.id, STALE_FEED, "guard", now))
    return products.load(connection, product.key) if changed else product


def braked(connection: Connection, product: Product) -> bool:
    """Say whether any brake stops this product."""
    return bool(products.brakes(connection, product.id))


# --- pace ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Allowance:
    """How many may still be asked, and why no more; `used` counts those asked by this batch."""

    left: int
    because: str
    used: int = 0

    def take(self) -> bool:
        """Take one; False where none is left."""
        if self.used >= self.left:
            return False
        self.used += 1
        return True


def day_of(now: datetime) -> date:
    """Give the day that quotas count by (UTC)."""
    return now.astimezone(UTC).date()


def allowance(connection: Connection, product: Product, now: datetime) -> Allowance:
    """Give how many may be asked now; the counters stay locked until the transaction ends."""
    policy = product.policy
    if policy is None:
        return Allowance(0, "no policy in force")
    by_quota = _quota_left(connection, product, policy.pace.notices_per_day, now)
    by_ramp = _ramp_left(connection, product, now)
    return min(by_quota, by_ramp, key=lambda each: each.left)


def _quota_left(connection: Connection, product: Product, most: int, now: datetime) -> Allowance:
    """Give the day's notices, less those taken and those that will still come due today."""
    evening = datetime.combine(day_of(now) + ONE_DAY, time(), UTC)
    promised = due.count_rounds(connection, product.id, now, evening)
    taken = pace.taken(connection, product.id, day_of(now))
    if most - taken - promised < AMPLE:
        taken = pace.taken_for_sure(connection, product.id, day_of(now))
    return Allowance(max(0, most - taken - promised), "the quota of notices a day is used up")


def _ramp_left(connection: Connection, product: Product, now: datetime) -> Allowance:
    """Give what the current step of the ramp still allows.

    The next step follows a day after the last hand-over, once the current one is used up. Where
    nothing of it was handed over, because all came back or nobody could be reached, it is repeated.
    """
    policy = product.policy
    if policy is None or ramp_is_open(product):
        return Allowance(UNLIMITED, "no ramp")
    state = pace.ramp_of(connection, product.id, policy.version) or pace.RampState(0, 0, 0, None)
    steps, step, opened = policy.pace.ramp, state.step, state.opened
    if step < len(steps) and opened >= _step_size(steps[step], state.backlog):
        following = _step_after(connection, product, state, now)
        if following is not None:
            step, opened = following, 0
            pace.next_step(connection, product.id, policy.version, step)
    if step >= len(steps):
        return Allowance(UNLIMITED, "the ramp is over")
    size = _step_size(steps[step], state.backlog)
    return Allowance(max(0, size - opened), f"step {step + 1} of the ramp allows {size}")


def _step_after(
    connection: Connection, product: Product, state: pace.RampState, now: datetime
) -> int | None:
    """Give the step that follows one that is used up; None where it still has to be waited for."""
    if state.handed_over_at is not None:
        return state.step + 1 if now - state.handed_over_at >= ONE_DAY else None
    return None if pace.any_queued(connection, product.id) else state.step


def _step_size(step: float, backlog: int) -> int:
    return step if isinstance(step, int) else max(1, ceil(step * backlog))


def ramp_is_open(product: Product) -> bool:
    """Say whether the policy asks everybody at once."""
    return product.policy is not None and product.policy.pace.ramp == (1.0,)


def ramp_unknown(connection: Connection, product: Product) -> bool:
    """Say whether a ramp is wanted whose backlog has not been counted yet."""
    policy = product.policy
    if policy is None or ramp_is_open(product):
        return False
    return pace.ramp_of(connection, product.id, policy.version) is None


def begin_ramp(connection: Connection, product: Product, backlog: int) -> None:
    """Begin the ramp of the policy in force with the backlog found."""
    if product.policy is not None:
        pace.begin_ramp(connection, product.id, product.policy.version, backlog)


def count_asked(
    connection: Connection, product: Product, now: datetime, asked: int, reminded: int
) -> None:
    """Count what a batch queued."""
    pace.take(connection, product.id, day_of(now), asked + reminded)
    if asked and product.policy and not ramp_is_open(product):
        pace.count_opened(connection, product.id, product.policy.version, asked)

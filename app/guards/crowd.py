"""Who comes due at once: where more than ever do, it is rather our data that is wrong."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from app.guards.brake import trip
from app.guards.feeds import horizon
from app.guards.quota import allowance
from app.guards.ramp import UNLIMITED, ramp_is_open, step_size
from app.guards.seen import NAMED, NEWLY_DUE, ONE_DAY, SPAN, day_of, lifted_on, mark_of, told
from app.store import pace, pulse
from app.store.products import Product

FEW_PEOPLE = 20
"""So many may come due in a day whatever their share: of a small product a few are a lot."""
EXACT = 1_000_000
"""Up to so many people are counted, once a day; of more the planner's estimate is good enough."""
_LIVING = "living"
TWO_PEOPLE = 2


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many a product asks in a day before it is too many.

    `asked` counts those of today. `acknowledged` are left of the people whom a guard named before
    a person lifted its brake: they count against nobody, for a week.
    """

    asked: int
    acknowledged: int
    at_most: int = FEW_PEOPLE
    living: int = 0

    @property
    def room(self) -> int:
        """How many more may be asked today."""
        return max(0, self.at_most + self.acknowledged - self.asked)

    def of(self, living: int, share: float) -> "Crowd":
        """Give the same for so many living subscriptions."""
        return Crowd(self.asked, self.acknowledged, most_at_once(living, share), living)


def most_at_once(living: int, share: float) -> int:
    """Give how many of so many living subscriptions may be asked in a day by a share of them."""
    return max(FEW_PEOPLE, int(round(share * living, 6)))


def wants_list(connection: Connection, product: Product, backlog: int) -> bool:
    """Say whether somebody else has to read and approve who is asked: too many for one to decide.

    That is so of products whose policies two people agree on, and beyond a day's share or quota.
    """
    policy = product.policy
    if policy is None or product.approvals < TWO_PEOPLE:
        return False
    living = pace.living(connection, product.id, EXACT)
    share = policy.guards.max_newly_due_share
    return backlog > min(most_at_once(living, share), policy.pace.notices_per_day)


def crowd_in_question(connection: Connection, product: Product, now: datetime) -> Crowd | None:
    """Give how many may be asked today; None where it cannot be more, or the guard is off.

    Timers due are never fewer than people due, so on most days a look at the index says enough.
    """
    until, share = horizon(product, now), _share_of(product)
    if until is None or share >= 1 or not pace.more_due(connection, product.id, until, 0):
        return None
    crowd = _crowd_of(connection, product, day_of(now))
    if crowd is None or not pace.more_due(connection, product.id, until, crowd.room):
        return None
    crowd = crowd.of(_living(connection, product, day_of(now)), share)
    if not pace.more_due(connection, product.id, until, crowd.room):
        return None
    # Where the pace lets nobody in there is nobody to be stopped, and counting them costs most.
    return crowd if allowance(connection, product, now).left > 0 else None


def stop_crowd(  # noqa: PLR0913, PLR0917 - what a guard says
    connection: Connection,
    product: Product,
    now: datetime,
    crowd: Crowd,
    due_now: int,
    named: int,
) -> bool:
    """Set the brake where so many due are too many also for the people there are right now.

    `named` counts in those of them, too, whose customers are asked about another subscription
    first: who lifts the brake has seen these people, although they come due on another day.
    """
    crowd = crowd.of(_living(connection, product, day_of(now), anew=True), _share_of(product))
    if due_now <= crowd.room:
        return False
    why = (
        f"due={due_now} asked_today={crowd.asked} acknowledged={crowd.acknowledged}"
        f" of={crowd.living} at_most={crowd.at_most}"
    )
    if trip(connection, product, NEWLY_DUE, why, now):
        pulse.put(connection, product.id, day_of(now), {NAMED: named})
    return True


def _share_of(product: Product) -> float:
    return product.policy.guards.max_newly_due_share if product.policy else 1.0


def _crowd_of(connection: Connection, product: Product, today: date) -> Crowd | None:
    """Give who was asked today; None while a ramp runs, which asks everybody on purpose."""
    beyond = _asked_beyond_ramp(connection, product)
    if beyond is None:
        return None
    counts = pulse.since(connection, product.id, today - SPAN + ONE_DAY)
    asked, lifted = counts[today, pulse.ASKED], lifted_on(counts, NEWLY_DUE)
    if lifted is None:
        return Crowd(min(asked, beyond), 0)
    if lifted == today:
        asked -= counts[today, mark_of(NEWLY_DUE, pulse.ASKED)]
    earlier = told(counts, NEWLY_DUE, pulse.ASKED) - asked
    named = counts[lifted, mark_of(NEWLY_DUE, NAMED)]
    return Crowd(min(asked, beyond), max(0, named - earlier))


def _asked_beyond_ramp(connection: Connection, product: Product) -> int | None:
    """Give how many were asked beyond the backlog of the ramp; None while that is worked off.

    Its last step lasts longer than its backlog: who comes due by then is as new as anybody.
    """
    policy = product.policy
    if policy is None or ramp_is_open(product):
        return UNLIMITED
    state, steps = pace.ramp_of(connection, product.id, policy.version), policy.pace.ramp
    if state is None or state.backlog is None:
        return None
    if state.step >= len(steps):
        return UNLIMITED
    done = sum(step_size(step, state.backlog) for step in steps[: state.step])
    beyond = done + state.opened - state.backlog
    return beyond if beyond >= 0 else None


def _living(connection: Connection, product: Product, today: date, *, anew: bool = False) -> int:
    """Give how many living subscriptions there are, as first counted today, or `anew`."""
    known = pulse.since(connection, product.id, today)[today, _LIVING]
    if known and not anew:
        return known
    found = pace.living(connection, product.id, EXACT)
    pulse.put(connection, product.id, today, {_LIVING: found})
    return found

"""What stops or slows a product by itself: feeds, brake, quota, ramp, and odd numbers.

Guards trim what the engine may do; they never look at a person. Everything fails closed: a feed
that has never spoken, a counter that cannot be read, a brake that cannot be asked mean no.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil

from sqlalchemy import Connection

from app.lifecycle.passing import ACT_ON_SILENCE, acts_on_silence
from app.policy import Policy, Share, refuse_impossible
from app.store import cases, due, pace, products, pulse
from app.store.cases import HistoryWrite
from app.store.products import Brake, Product
from app.store.pulse import News
from app.world import billing
from app.world.connector import Capabilities

STALE_FEED = "stale_feed"
BILLING_CANNOT = "billing_cannot"
NEWLY_DUE = "newly_due"
BY_HAND = "by_hand"
GUARD = "guard"
ONE_DAY = timedelta(days=1)
WESTERNMOST = timedelta(hours=12)
UNLIMITED = 1 << 40
SAYS_WHAT_IT_CAN = "can"
"""By this setting a product says what its billing system can do, where that is for it to say."""
TWO_PEOPLE = 2
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
        changed = trip(connection, product, STALE_FEED, "usage_feed_silent", now)
    else:
        changed = bool(products.lift_brake(connection, product.id, STALE_FEED, GUARD, now))
        if changed:
            _note(connection, product.id, "brake_off", STALE_FEED, GUARD, now)
    return products.load(connection, product.key) if changed else product


# --- what billing can do -------------------------------------------------------------------


def follows(can: Capabilities) -> frozenset[str]:
    """Give the values of `on_no_answer` that a billing system can carry out."""
    able = (what for what, act in ACT_ON_SILENCE.items() if act in can.acts)
    return frozenset(("nothing", *able))


def check_policy(product: Product, policy: Policy) -> None:
    """Refuse a policy that promises what the product's billing system cannot do, with the mends.

    Not to be asked inside a transaction: the file of the system may be read only now.
    """
    can = billing.capabilities(product.billing, product.billing_settings)
    wrong = f"is not what billing can do: {product.billing} {_named(can)}"
    refuse_impossible(policy, follows(can), wrong, mend_of(product, can))


def mend_of(product: Product, can: Capabilities) -> str:
    """Say what a policy may promise instead, and where the product says what billing can do."""
    system = billing.system(product.billing)
    mend = f"write on_no_answer: {' or '.join(sorted(follows(can)))}"
    if system is None or SAYS_WHAT_IT_CAN not in system.settings:
        return mend
    return f"{mend}, or, if it can: reconfirm product set {product.key} billing.can=pause,cancel"


def _named(can: Capabilities) -> str:
    """Say what a billing system cannot do of what silence may come to."""
    lacks = [what for what, has in (("pause", can.pause), ("cancel", can.cancel)) if not has]
    return f"cannot {' or '.join(lacks)}" if lacks else "can pause and cancel"


def impossible(product: Product, can: Capabilities) -> list[str]:
    """Give the acts that the policy in force promises and that billing cannot carry out."""
    if product.policy is None:
        return []
    return sorted(str(act) for act in acts_on_silence(product.policy) if act not in can.acts)


def check_billing(
    connection: Connection, product: Product, can: Capabilities, now: datetime
) -> None:
    """Set or lift the brake of a policy in force that billing can no longer follow.

    Nobody is asked with words that cannot be kept. It lifts itself: what was wrong is gone as soon
    as a person has set billing or the policy right.
    """
    lacks = impossible(product, can)
    if lacks:
        trip(connection, product, BILLING_CANNOT, "_".join(("billing_cannot", *lacks)), now)
    elif products.lift_brake(connection, product.id, BILLING_CANNOT, GUARD, now):
        _note(connection, product.id, "brake_off", BILLING_CANNOT, GUARD, now)


# --- the brake -----------------------------------------------------------------------------


def braked(connection: Connection, product: Product) -> bool:
    """Say whether any brake stops this product."""
    return bool(products.brakes(connection, product.id))


def trip(connection: Connection, product: Product, cause: str, why: str, now: datetime) -> bool:
    """Set the brake of one product; `why` holds codes and numbers. False where it is on already."""
    if not products.set_brake(connection, product.id, cause, why, GUARD, now):
        return False
    _note(connection, product.id, "brake_on", cause, GUARD, now)
    return True


def lift(
    connection: Connection, product_id: int | None, actor: str, why: str, now: datetime
) -> int:
    """Lift the brakes of a product, or (None) the one of all, because a person says so; how many.

    What tripped them has been seen: it is never held against the product again, see `_told`.
    """
    if product_id is not None:
        _acknowledge(connection, product_id, day_of(now))
    lifted = products.lift_brake(connection, product_id, None, actor, now)
    _note(connection, product_id or 0, "brake_off", why, actor, now)
    return lifted


def _note(  # noqa: PLR0913, PLR0917 - a line of history
    connection: Connection, product_id: int, what: str, why: str, actor: str, now: datetime
) -> None:
    line = HistoryWrite(None, None, what, why, None)
    cases.insert_history(connection, product_id, now, actor, [line])


_CAN = "`reconfirm product set {product} billing.can=…`; this brake lifts itself"
_LIFT = "`reconfirm brake off {product} --why …`"
_WORDS = {
    STALE_FEED: (
        "the feed of usage has been silent for longer than the policy allows",
        "bring the usage up to date: this brake lifts itself",
    ),
    BILLING_CANNOT: (
        "the policy in force promises what the billing system can no longer do",
        "activate a policy with on_no_answer: cancel_at_period_end or nothing, or say that it can: "
        + _CAN,
    ),
    NEWLY_DUE: (
        "more people have come due at once than the policy allows in a day",
        "look for missing usage with `reconfirm feed list {product}` and for a wrong threshold with"
        " `reconfirm policy show {product}`; if all is as it should be, " + _LIFT,
    ),
    "bounces": (
        "more of the asks of the last days came back than the policy allows",
        "check the addresses, and that the relay may write for the sender; then " + _LIFT,
    ),
    "complaints": (
        "more of those asked in the last days complained than the policy allows",
        "check the sender, and whether these people know the product by that name; then " + _LIFT,
    ),
    "in_use": (
        "a feed is broken: more of those asked in the last days do use it than the policy allows",
        "find and import the use that `reconfirm feed list {product}` does not cover; then "
        + _LIFT,
    ),
}
CAUSES = frozenset(_WORDS) | {BY_HAND}
"""All that a brake can be set for, as codes: each surface says them in its own words."""


def in_words(brake: Brake) -> tuple[str, str]:
    """Give what a brake says, with its numbers, and what to do about it."""
    says, mend = _WORDS.get(brake.cause, ("", _LIFT))
    named = " ".join(mend.format(product=brake.product or "").split())
    return f"{says} ({brake.why})" if says else brake.why, named


# --- pace ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Allowance:
    """How many may still be asked, and why no more; `used` counts those asked by this batch.

    `only` are those who may be asked at all; None where anybody may.
    """

    left: int
    because: str
    used: int = 0
    only: frozenset[int] | None = None

    def covers(self, subscription_id: int) -> bool:
        """Say whether this one may be asked at all, as far as a list of people goes."""
        return self.only is None or subscription_id in self.only

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


# --- counting ------------------------------------------------------------------------------


SPAN = timedelta(days=7)
"""Rates are those of the last seven days, today among them; no acknowledgment lasts longer."""
FEW_NEWS = 3
"""Fewer bad news than this stop nobody: one in ten says nothing of a product, three in ten do.

The price of stopping too soon is that a person looks; of stopping too late, that mail of this
product is no longer believed. So beyond this the rate itself decides, without further allowance.
"""


@dataclass(frozen=True, slots=True)
class _Rate:
    """A guard of bad news: counter by the day of the ask, and the knob that limits its rate."""

    cause: str
    news: str
    knob: str

    @property
    def counter(self) -> str:
        return f"ask_{self.news}"


RATES = (
    _Rate("bounces", "bounced", "max_bounce_rate"),
    _Rate("complaints", "complained", "max_complaint_rate"),
    _Rate("in_use", pulse.IN_USE, "max_in_use_rate"),
)
_OF = (pulse.HANDED_OVER, pulse.REFUSED)
"""Rates are of the asks handed over, and of those that came back in that moment."""


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


def _check_rates(connection: Connection, product: Product, what: set[str], now: datetime) -> None:
    if product.policy is None:
        return
    counts = pulse.since(connection, product.id, day_of(now) - SPAN + ONE_DAY)
    for rate in RATES:
        limit = getattr(product.policy.guards, rate.knob)
        bad = _told(counts, rate.cause, rate.counter)
        of = sum(_told(counts, rate.cause, each) for each in _OF)
        if rate.news in what and bad >= FEW_NEWS and bad > round(limit * of, 6):
            why = f"{rate.news}={bad} of={of} at_most={Share().write(limit)}"
            trip(connection, product, rate.cause, why, now)


# --- what has been acknowledged ------------------------------------------------------------


_NAMED = f"{NEWLY_DUE}_named"
_SEEN = {
    NEWLY_DUE: (pulse.ASKED, _NAMED),
    **{rate.cause: (rate.counter, *_OF) for rate in RATES},
}
"""What a person who lifts a guard's brake has seen: where these counters stood."""


def _seen(cause: str, what: str) -> str:
    return f"seen_{cause}_{what}"


def _acknowledge(connection: Connection, product_id: int, today: date) -> None:
    """Note where the counters of the guards that have tripped stand on the day of the lift."""
    on = [each for each in products.brakes(connection, product_id) if each.product is not None]
    causes = [each.cause for each in on if each.cause in _SEEN]
    if not causes:
        return
    pulse.hold(connection, product_id, today)
    counts = pulse.since(connection, product_id, min(day_of(each.set_at) for each in on))
    for cause in causes:
        seen = {what: counts[today, what] for what in _SEEN[cause]}
        if cause == NEWLY_DUE:
            named = max((day for day, what in counts if what == _NAMED), default=today)
            seen[_NAMED] = counts[named, _NAMED]
        values = {_seen(cause, what): many for what, many in seen.items()}
        pulse.put(connection, product_id, today, values)


def _lifted_on(counts: pulse.Counts, cause: str) -> date | None:
    """Give the day on which a person last lifted a guard's brake; None where none is known."""
    mark = _seen(cause, _SEEN[cause][0])
    return max((day for day, what in counts if what == mark), default=None)


def _told(counts: pulse.Counts, cause: str, what: str) -> int:
    """Sum a counter over the days read, or over what came since the guard's brake was lifted."""
    lifted = _lifted_on(counts, cause)
    if lifted is None:
        return sum(many for (_, each), many in counts.items() if each == what)
    later = sum(many for (day, each), many in counts.items() if each == what and day >= lifted)
    return later - counts.get((lifted, _seen(cause, what)), 0)


# --- who comes due at once -----------------------------------------------------------------


FEW_PEOPLE = 20
"""So many may come due in a day whatever their share: of a small product a few are a lot."""
EXACT = 1_000_000
"""Up to so many people are counted, once a day; of more the planner's estimate is good enough."""
_LIVING = "living"


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
        pulse.put(connection, product.id, day_of(now), {_NAMED: named})
    return True


def _share_of(product: Product) -> float:
    return product.policy.guards.max_newly_due_share if product.policy else 1.0


def _crowd_of(connection: Connection, product: Product, today: date) -> Crowd | None:
    """Give who was asked today; None while a ramp runs, which asks everybody on purpose."""
    beyond = _asked_beyond_ramp(connection, product)
    if beyond is None:
        return None
    counts = pulse.since(connection, product.id, today - SPAN + ONE_DAY)
    asked, lifted = counts[today, pulse.ASKED], _lifted_on(counts, NEWLY_DUE)
    if lifted is None:
        return Crowd(min(asked, beyond), 0)
    if lifted == today:
        asked -= counts[today, _seen(NEWLY_DUE, pulse.ASKED)]
    earlier = _told(counts, NEWLY_DUE, pulse.ASKED) - asked
    named = counts[lifted, _seen(NEWLY_DUE, _NAMED)]
    return Crowd(min(asked, beyond), max(0, named - earlier))


def _asked_beyond_ramp(connection: Connection, product: Product) -> int | None:
    """Give how many were asked beyond the backlog of the ramp; None while that is worked off.

    Its last step lasts longer than its backlog: who comes due by then is as new as anybody.
    """
    policy = product.policy
    if policy is None or ramp_is_open(product):
        return UNLIMITED
    state, steps = pace.ramp_of(connection, product.id, policy.version), policy.pace.ramp
    if state is None:
        return None
    if state.step >= len(steps):
        return UNLIMITED
    done = sum(_step_size(step, state.backlog) for step in steps[: state.step])
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

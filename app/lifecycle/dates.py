"""When: every day and moment in the life of a subscription.

Durations are calendar ones. A day begins and ends in the subscriber's zone; days of use and of
the start are UTC days, as they are told.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo

from app.lifecycle.case import GRACE, NO_REMINDER, Case, Outcome, Reach, Round, Subscription, Why
from app.policy import Period, Policy, Terms

ASKABLE = frozenset({"active", "past_due"})
LEFT_IN_PEACE = frozenset({Outcome.KEPT, Outcome.RESUMED, Outcome.EXPIRED, Outcome.BY_BILLING})
"""Outcomes that are an answer: after them nobody is asked for `ask_again_after`."""
ONE_DAY = timedelta(days=1)
LAST_INSTANT = timedelta(microseconds=1)
FURTHEST_AHEAD = timedelta(hours=14)
"""So far ahead of UTC a day begins somewhere."""
STEP_OF = {
    "day": Period(days=1),
    "week": Period(days=7),
    "month": Period(months=1),
    "year": Period(months=12),
}


@lru_cache(maxsize=65536)
def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Give the moment (UTC) at which `day` begins in `zone`."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """Give the moment (UTC) at which `day` ends in `zone`."""
    return midnight(day + ONE_DAY, zone)


def day_at(moment: datetime, zone: ZoneInfo) -> date:
    """Give the day that it is in `zone` at `moment`."""
    return moment.astimezone(zone).date()


@lru_cache(maxsize=4096)
def within_hours(now: datetime, zone: ZoneInfo, hours: tuple[time, time]) -> datetime:
    """Give `now`, or the next moment at which a notice may go out in `zone`."""
    local = now.astimezone(zone)
    start, end = hours
    if start <= local.time() < end:
        return now
    day = local.date() if local.time() < start else local.date() + ONE_DAY
    opens = datetime.combine(day, start, zone)
    # An hour that a change of clocks repeats begins twice; the first may already be over.
    return max(opens.astimezone(UTC), opens.replace(fold=1).astimezone(UTC))


# --- money ---------------------------------------------------------------------------------


def charges(subscription: Subscription, after: datetime) -> Iterator[datetime]:
    """Give the moments after `after` at which billing charges, rolling on from the one told.

    Each is counted from the one told, so that the 31st comes back after a short month.
    """
    told = subscription.renews_at
    if told is None:
        return
    step = STEP_OF[subscription.interval]
    # One period short of a rough count, which is off by a few days at most: never beyond `after`.
    periods = max(0, int((after - told).days / step.rough_days) - 1)
    while True:
        due = _plus(told, step, periods)
        if due > after:
            yield due
        periods += 1


def _plus(moment: datetime, step: Period, periods: int) -> datetime:
    many = Period(step.months * periods, step.days * periods)
    return datetime.combine(many.after(moment.date()), moment.timetz())


def next_charge(subscription: Subscription, after: datetime) -> datetime | None:
    """Give the next moment at which billing charges; None where it never told one."""
    return next(charges(subscription, after), None)


def charged_before(subscription: Subscription, after: datetime, last: date) -> tuple[date, ...]:
    """Give the days of the charges after a moment, up to the end of the day `last`."""
    return _charged(subscription, after, end_of(last, subscription.zone))


def charged_behind(case: Case, policy: Policy, now: datetime, last: date) -> tuple[date, ...]:
    """Give the days of the charges that may be made though nobody answered by the end of `last`.

    Silence counts only once the feeds have told the day on which the window ends, and feeds may
    take `usage_feed_max_age` for that; a brake that has lifted meanwhile moves the deadline on.
    """
    end = end_of(last, case.subscription.zone)
    due = (deadline(case, case.round) if case.round else None) or end
    told = datetime.combine(_last_told(max(due, end)) + ONE_DAY, time(), UTC)
    until = told + policy.guards.usage_feed_max_age.exactly()
    # From the last instant of the window: one made as it ends is not made before.
    return _charged(case.subscription, max(now, end - LAST_INSTANT), until)


def _charged(subscription: Subscription, after: datetime, until: datetime) -> tuple[date, ...]:
    made = takewhile(lambda moment: moment < until, charges(subscription, after))
    return tuple(dict.fromkeys(day_at(moment, subscription.zone) for moment in made))


def _last_told(end: datetime) -> date:
    """Give the last UTC day that has to be told before silence counts, by the end of a window."""
    return (end - LAST_INSTANT).astimezone(UTC).date()


# --- asking --------------------------------------------------------------------------------


def inactive_since(case: Case) -> date:
    """Give the day inactivity counts from: last use, start, or the first day the feeds cover."""
    subscription = case.subscription
    days = (subscription.started_on, subscription.last_used_on, case.hearing.covers_from)
    return max(day for day in days if day is not None)


def threshold_day(case: Case, terms: Terms) -> tuple[date, Why]:
    """Give the first day on which the subscription counts as unused, and which way."""
    subscription = case.subscription
    used = subscription.last_used_on
    if used is None or used < subscription.started_on:
        return terms.never_used_after.after(inactive_since(case)) + ONE_DAY, Why.NEVER_USED
    return terms.unused_after.after(inactive_since(case)) + ONE_DAY, Why.UNUSED


def renewal_day(case: Case, terms: Terms, now: datetime) -> date | None:
    """Give the day to ask ahead of the next renewal whose window still ends before the charge."""
    early, subscription = terms.before_renewal, case.subscription
    if early is None or subscription.interval not in early.intervals:
        return None
    zone = subscription.zone
    earliest = early.unused_for.after(inactive_since(case)) + ONE_DAY
    earliest = max(earliest, peace_until(case, terms) or earliest)
    for charge in charges(subscription, max(now, midnight(earliest, zone))):
        day = day_at(charge, zone)
        last = terms.answer_within.before(day) - 2 * ONE_DAY
        first = max(earliest, early.ask_ahead.before(day))
        if first <= last and end_of(last, zone) > now:
            return first
    return None


def due_day(case: Case, terms: Terms, now: datetime) -> tuple[date, Why]:
    """Give the first day the person may be asked, left in peace after an answer, and why."""
    day, why = threshold_day(case, terms)
    day = max(day, peace_until(case, terms) or day)
    early = renewal_day(case, terms, now) if terms.before_renewal else None
    if early is not None and early < day:
        return early, Why.BEFORE_RENEWAL
    return day, why


def peace_until(case: Case, terms: Terms) -> date | None:
    """Give the day until which the person is left in peace after their last answer."""
    last = case.round
    if last is None or last.closed_at is None or last.outcome not in LEFT_IN_PEACE:
        return None
    return terms.ask_again_after.after(day_at(last.closed_at, case.subscription.zone))


def may_be_asked(case: Case) -> bool:
    """Say whether there is a charge to ask about and, after an unreachable round, an address.

    Whose last round a person is to look at is not asked anew before they have.
    """
    subscription = case.subscription
    if subscription.status not in ASKABLE or subscription.amount <= 0:
        return False
    ended = case.round.outcome if case.round else None
    unreachable = ended is Outcome.UNREACHABLE and case.reach is not Reach.OK
    looked_at = ended is not None and case.round is not None and case.round.before_a_person
    return not (unreachable or looked_at) and ended is not Outcome.ERASED


def heard(case: Case, day: date) -> bool:
    """Say whether everything that happened before `day` has been told by the feeds."""
    until = case.hearing.heard_until
    return until is not None and until >= day - ONE_DAY


def ask_at(case: Case, terms: Terms, now: datetime) -> tuple[datetime, Why] | None:
    """Give the moment from which the person is to be asked, and why; None if nobody knows yet."""
    if not may_be_asked(case):
        return None
    day, why = due_day(case, terms, now)
    return (midnight(day, case.subscription.zone), why) if heard(case, day) else None


def used_since(case: Case, current: Round) -> bool:
    """Say whether there is use that the round did not know of when it was opened."""
    last = case.subscription.last_used_on
    return last is not None and (current.used_known is None or last > current.used_known)


# --- answering -----------------------------------------------------------------------------


def deadline(case: Case, current: Round) -> datetime | None:
    """Give the moment silence counts: the promised one, or three days after a brake lifted."""
    if current.answer_by is None:
        return None
    lifted = case.hearing.lifted_at
    if lifted is None:
        return current.answer_by
    return max(current.answer_by, in_grace(case, lifted))


def in_grace(case: Case, since: datetime) -> datetime:
    """Give the end of the day three days after `since`."""
    zone = case.subscription.zone
    return end_of(day_at(since, zone) + timedelta(days=GRACE), zone)


def silence_counts_at(case: Case, current: Round) -> datetime | None:
    """Give the deadline where the feeds have told the whole answer window; None where not.

    None too while a person is to look at the case: what they find may change it.
    The window's last hours in the west fall on the next day of the feeds, which tell UTC days.
    """
    if current.answer_by is None or current.before_a_person:
        return None
    told = heard(case, _last_told(current.answer_by) + ONE_DAY)
    return deadline(case, current) if told else None


def reminder_moments(case: Case, current: Round, terms: Terms) -> list[datetime]:
    """Give when each reminder becomes due, earliest first."""
    if current.asked_at is None:
        return []
    zone = case.subscription.zone
    asked = day_at(current.asked_at, zone)
    return sorted(midnight(period.after(asked), zone) for period in terms.reminders)


def next_reminder(case: Case, current: Round, terms: Terms) -> datetime | None:
    """Give when the next reminder becomes due; None where none is left before the last 48 hours.

    None too while a person is to look at the case: a reminder would state what does not hold.
    """
    end = deadline(case, current)
    moments = reminder_moments(case, current, terms)[current.reminded :]
    if not moments or end is None or moments[0] >= end - NO_REMINDER:
        return None
    if current.quiet or current.before_a_person:
        return None
    return moments[0]


# --- erasing -------------------------------------------------------------------------------


def erase_day(
    case: Case, terms: Terms, confirmed: datetime, paid_until: datetime | None
) -> date | None:
    """Give the day data is due to be erased: later of confirmation and paid time, plus the term."""
    if terms.erase_after is None:
        return None
    start = max(confirmed, paid_until) if paid_until else confirmed
    return terms.erase_after.after(day_at(start, case.subscription.zone))


def terms_for(case: Case, policy: Policy) -> Terms:
    """Give the terms a case is held to: those its open round began with, or its segment's."""
    if case.round is not None and case.round.open:
        return policy.terms_of(case.round.segment)
    return policy.terms_of(segment_for(case, policy))


def segment_for(case: Case, policy: Policy) -> int | None:
    """Give the segment that a round opened now would be held to."""
    if not policy.segments:
        return None
    one = case.subscription
    return policy.segment_of(one.plan, one.country, one.interval, one.currency)

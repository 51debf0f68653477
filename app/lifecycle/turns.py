"""Whose turn it is where one customer has several subscriptions: one ask a day, for all of them.

Who belongs to whom is no fact of a case: it decides on which day somebody is asked, never whether.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from app.lifecycle.case import Case, Outcome, Stage
from app.lifecycle.dates import ONE_DAY, day_at, midnight, next_charge
from app.lifecycle.passing import to_be_asked
from app.policy import Policy

Place = tuple[datetime, datetime, int]
"""Where a subscription stands among those of its customer; the smallest is asked first."""
NEVER = datetime.min.replace(tzinfo=UTC)
AT_NO_TIME = datetime.max.replace(tzinfo=UTC)


def place(case: Case, policy: Policy, now: datetime) -> Place | None:
    """Give the place of a subscription that is to be asked now; None where it is not.

    Who is charged sooner is asked sooner, then who came first. One whose last ask was never handed
    over comes behind the others, the longest ago first: it must not take their turn for ever.
    """
    if not to_be_asked(case, policy, now):
        return None
    charged = next_charge(case.subscription, now) or AT_NO_TIME
    return _tried_in_vain(case), charged, case.subscription.id


def _tried_in_vain(case: Case) -> datetime:
    last = case.round
    vain = last is not None and last.outcome is Outcome.WITHDRAWN and last.asked_at is None
    return last.opened_at if last is not None and vain else NEVER


def takers(family: Iterable[Case], zone: ZoneInfo, now: datetime) -> set[int]:
    """Give the subscriptions of a customer that have taken the ask of the day it is in `zone`."""
    today = day_at(now, zone)
    return {case.subscription.id for case in family if _takes(case, today, zone)}


def _takes(case: Case, today: date, zone: ZoneInfo) -> bool:
    """Say whether an ask was handed over today, or waits for that: it may well be today."""
    current = case.round
    if current is None:
        return False
    if current.asked_at is not None:
        return day_at(current.asked_at, zone) >= today
    waits = current.open and current.stage is Stage.ASKED
    return waits and current.word is None and current.act is None


def next_turn(case: Case, now: datetime) -> datetime:
    """Give when a subscription whose customer was asked about another is looked at again."""
    zone = case.subscription.zone
    return midnight(day_at(now, zone) + ONE_DAY, zone)

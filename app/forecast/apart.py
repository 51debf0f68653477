"""Those whom a threshold alone does not decide about: an open round, an answer before, a charge."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from msgspec import Struct

from app.forecast.groups import (
    ONE_DAY,
    Group,
    all_terms,
    grouped,
    threshold_of,
    whens_of,
    why_of,
)
from app.forecast.sums import Sums
from app.lifecycle.case import Case, Hearing, Outcome, Reach, Round, Stage, Subscription, Why
from app.lifecycle.dates import due_day
from app.policy import Policy, Terms
from app.store.counts import Apart

NOON, UTC_ZONE = time(12), ZoneInfo("UTC")


class Some(Struct, frozen=True):
    """Some of a group who stand apart in the same way: see `app.store.tables.count_apart`."""

    group: Group
    used: bool
    since: date
    state: str
    closed_on: date | None
    charge_on: date | None
    people: int
    amount: int


def alike(policy: Policy, found: Iterable[Apart]) -> list[Some]:
    """Put together those apart whom a policy cannot tell from each other; leave out the others.

    Of a policy this asks for its segments and for which intervals it asks before they renew, and
    for no duration: it stays the same while a slider is dragged.
    """
    whens = whens_of(policy)
    groups: dict[tuple[str, str, str, str], tuple[Group, bool]] = {}
    sums: dict[tuple[Group, bool, date, str, date | None, date | None], list[int]] = {}
    for each in found:
        named = (each.plan, each.country, each.interval, each.currency)
        if named not in groups:
            group = grouped(whens, *named)
            groups[named] = (group, _is_early(group, policy.terms_of(group.segment)))
        group, early = groups[named]
        charge = each.charge_on if early else None
        if charge is None and each.state == "free":
            continue
        key = (group, each.used, each.since, each.state, each.closed_on, charge)
        many = sums.setdefault(key, [0, 0])
        many[0] += each.people
        many[1] += each.amount
    return [Some(*key, people=many[0], amount=many[1]) for key, many in sums.items()]


def earliness(policy: Policy) -> tuple[tuple[str, ...], ...]:
    """Give which intervals each of a policy's terms asks before they renew, its own first."""
    return tuple(
        each.before_renewal.intervals if each.before_renewal else () for each in all_terms(policy)
    )


def _is_early(group: Group, terms: Terms) -> bool:
    return terms.before_renewal is not None and group.interval in terms.before_renewal.intervals


def set_apart(
    sums: Sums, policy: Policy, found: Sequence[Some], now: datetime, covers: date
) -> None:
    """Take those apart from the day that their threshold gives to the one that holds for them."""
    today = now.astimezone(UTC).date()
    for each in found:
        terms = policy.terms_of(each.group.segment)
        since = max(each.since, covers)
        plain = threshold_of(terms, each.used).after(since) + ONE_DAY
        actual, why = _due(each, terms, plain, since, now)
        if actual == plain:
            continue
        sums.add(each.group, why_of(each.used), (plain - today).days, -each.people, -each.amount)
        if actual is not None:
            sums.add(each.group, why, (actual - today).days, each.people, each.amount)


def _due(
    each: Some, terms: Terms, plain: date, since: date, now: datetime
) -> tuple[date | None, Why]:
    """Give the day on which some are due who stand apart, and why; None where they are not."""
    if each.state == "out":
        return None, why_of(each.used)
    if each.charge_on is not None:
        return due_day(_like(each, since), terms, now)
    if each.closed_on is None:
        return plain, why_of(each.used)
    return max(plain, terms.ask_again_after.after(each.closed_on)), why_of(each.used)


def _like(each: Some, since: date) -> Case:
    """Give a case that the rules judge as they do those who stand together in a row."""
    charge = None if each.charge_on is None else datetime.combine(each.charge_on, NOON, UTC)
    subscription = Subscription(
        id=0,
        status="active",
        plan="",
        country="",
        interval=each.group.interval,
        amount=1,
        currency=each.group.currency,
        started_on=since,
        renews_at=charge,
        last_used_on=since if each.used else None,
        zone=UTC_ZONE,
    )
    return Case(subscription, Reach.OK, _answered(each.closed_on), Hearing())


def _answered(closed_on: date | None) -> Round | None:
    if closed_on is None:
        return None
    closed = datetime.combine(closed_on, NOON, UTC)
    return Round(
        number=1,
        stage=Stage.ASKED,
        why=Why.UNUSED,
        opened_at=closed,
        version=0,
        outcome=Outcome.KEPT,
        closed_at=closed,
    )

"""What one policy does with the people there are, from their counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate

from app.forecast.apart import Some, set_apart
from app.forecast.expecting import expected
from app.forecast.groups import HORIZON
from app.forecast.kept import Change, Kept
from app.forecast.pace import paced
from app.forecast.said import Monthly, Outlook, Price, Span
from app.forecast.sums import Sums, scatter, walk
from app.lifecycle.case import Hearing, Why
from app.policy import DAYS_A_MONTH, Policy

A_MONTH = {"day": DAYS_A_MONTH, "week": DAYS_A_MONTH / 7, "month": 1.0, "year": 1 / 12}
"""How often each interval is charged in a month."""


@dataclass(frozen=True, slots=True)
class Counted:
    """All that is known of a product's people at one moment, as far as one policy asks."""

    kept: Kept
    waiting: Sequence[Change]
    apart: Sequence[Some]
    past: Mapping[str, int]


def outlook(
    policy: Policy, counted: Counted, hearing: Hearing, now: datetime, *, ramped: bool
) -> Outlook:
    """Say what a policy does with the people there are."""
    today = now.astimezone(UTC).date()
    covers = hearing.covers_from or date.min
    sums = Sums()
    walk(sums, policy, counted.kept, today, covers)
    scatter(sums, policy, counted.waiting, today, covers)
    set_apart(sums, policy, counted.apart, now, covers)
    new = [max(0, many) for many in sums.people]
    due = list(accumulate(new))
    prices = _prices(sums, 0, 2)
    return Outlook(
        version=policy.version or None,
        today=due[0],
        tomorrow=due[1],
        in_a_year=due[HORIZON],
        never_used=max(0, sums.why[Why.NEVER_USED]),
        unused=max(0, sums.why[Why.UNUSED]),
        before_renewal=max(0, sums.why[Why.BEFORE_RENEWAL]),
        prices=prices,
        monthly=_monthly(prices),
        days=new,
        weeks=_spans(sums, new, today, _weeks()),
        months=_spans(sums, new, today, _months(today)),
        pace=paced(new, policy, today, ramped=ramped),
        expected=expected(counted.past, due[1]),
    )


def _prices(sums: Sums, start: int, end: int) -> list[Price]:
    """Give what those pay who newly come due between two days, by currency and interval."""
    found = [
        Price(*key, sum(many[start:end]), sum(amounts[start:end]))
        for key, (many, amounts) in sorted(sums.money.items())
    ]
    return [each for each in found if each.people > 0]


def _monthly(prices: Iterable[Price]) -> list[Monthly]:
    """Give what is paid a month, by currency."""
    found: dict[str, float] = {}
    for each in prices:
        found[each.currency] = found.get(each.currency, 0) + each.amount * A_MONTH[each.interval]
    return [Monthly(currency, round(amount)) for currency, amount in sorted(found.items())]


def _spans(
    sums: Sums, new: Sequence[int], today: date, bounds: Sequence[tuple[int, int]]
) -> list[Span]:
    return [
        Span(
            today + timedelta(days=start),
            sum(new[start:end]),
            _monthly(_prices(sums, start, end)),
        )
        for start, end in bounds
    ]


def _weeks() -> list[tuple[int, int]]:
    """Give the weeks ahead from today on; the last is as long as the year leaves it."""
    return [(start, min(start + 7, HORIZON + 1)) for start in range(0, HORIZON + 1, 7)]


def _months(today: date) -> list[tuple[int, int]]:
    """Give the calendar months ahead; the first and the last are what is left of them."""
    days = [today + timedelta(days=ahead) for ahead in range(HORIZON + 1)]
    starts = [n for n, day in enumerate(days) if n == 0 or day.day == 1]
    return list(zip(starts, [*starts[1:], HORIZON + 1], strict=True))

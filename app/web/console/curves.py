"""The curve of a product: how many have not used it for at least so long, and where it is asked.

Pure: made of counts by day, measured in months of the calendar. Coordinates are those of an SVG of
`WIDE` by `HIGH` units, without its margins.
"""

import csv
import io
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate

from app.policy import DAYS_A_MONTH, Period, Policy
from app.store.overview import Point

WIDE, HIGH = 640, 220
FEWEST, MOST = 24, 60
"""Months that the picture shows at least and at most."""
ROWS = (0, 1, 3, 6, 9, 12, 18, 24, 36, 48, 60)
"""Months that the table beside it has a row for."""
TICKS = (0, 12, 24, 36, 48, 60)


@dataclass(frozen=True, slots=True)
class Row:
    """How many have not used it for at least so many months, and how many of them never did."""

    months: int
    many: int
    never: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """From when on people are asked, by the policy in force; `many` are beyond it."""

    name: str
    period: Period
    at: float
    many: int

    @property
    def right(self) -> bool:
        """Whether its words have to stand left of its line, since it is far to the right."""
        return self.at > WIDE * 0.6


@dataclass(frozen=True, slots=True)
class Curve:
    """The curve with its table; `total` is everybody who pays."""

    total: int
    rows: tuple[Row, ...]
    months: int
    line: str
    never_line: str
    thresholds: tuple[Threshold, ...]

    @property
    def table(self) -> list[Row]:
        """Give the rows of the table: few, and none beyond the picture."""
        return [row for row in self.rows if row.months in ROWS]

    @property
    def ticks(self) -> list[tuple[int, float]]:
        """Give the months written below the picture, and where."""
        return [(each, each / self.months * WIDE) for each in TICKS if each <= self.months]

    def csv(self) -> str:
        """Give every row as CSV: months, how many, how many of them never used it."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(("months_unused_at_least", "subscribers", "of_these_never_used"))
        writer.writerows((row.months, row.many, row.never) for row in self.rows)
        return text.getvalue()


class _Sums:
    """How many stand at a day or an earlier one, from points in the order of their days."""

    def __init__(self, points: Iterable[Point]) -> None:
        """Sum points up once: a curve asks for sixty days and more."""
        found = list(points)
        self.days = [point.day for point in found]
        self.sums = [0, *accumulate(point.many for point in found)]

    def until(self, day: date) -> int:
        """Give how many stand at that day or an earlier one."""
        return self.sums[bisect_right(self.days, day)]


def drawn(points: Sequence[Point], policy: Policy | None, today: date) -> Curve:
    """Draw the curve of a product as it stands today, from points in the order of their days."""
    furthest = points[0].day if points else today
    months = min(MOST, max(FEWEST, -(-_months(furthest, today) // 12) * 12))
    used, never = (_Sums(each for each in points if each.used is one) for one in (True, False))
    rows = tuple(_row(used, never, each, today) for each in range(months + 1))
    total = rows[0].many
    return Curve(
        total,
        rows,
        months,
        _line([row.many for row in rows], total),
        _line([row.never for row in rows], total),
        tuple(_thresholds(used, never, policy, today, months)) if policy else (),
    )


def _row(used: _Sums, never: _Sums, months: int, today: date) -> Row:
    until = Period(months=months).before(today) if months else date.max
    return Row(months, used.until(until) + never.until(until), never.until(until))


def _thresholds(
    used: _Sums, never: _Sums, policy: Policy, today: date, months: int
) -> Iterator[Threshold]:
    for name, period, sums in (
        ("unused", policy.terms.unused_after, used),
        ("never_used", policy.terms.never_used_after, never),
    ):
        at = min(1.0, period.rough_days / DAYS_A_MONTH / months) * WIDE
        yield Threshold(name, period, round(at, 1), sums.until(period.before(today)))


def _line(values: Sequence[int], total: int) -> str:
    """Give the points of a line, from the left, the whole of a product as high as the picture."""
    wide = WIDE / max(1, len(values) - 1)
    places = (
        (place * wide, HIGH - HIGH * many / max(1, total)) for place, many in enumerate(values)
    )
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _months(day: date, today: date) -> int:
    return max(0, (today.year - day.year) * 12 + today.month - day.month)

"""What a policy would do, ready to be shown: figures beside those in force, a picture, a table.

Pure: made of a forecast. Coordinates are those of an SVG of `WIDE` by `HIGH` units, without its
margins.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from app.forecast import Expected, Forecast, Outlook, Paced, Span

WIDE, HIGH = 364, 130


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the year ahead: how many newly come due by each policy, and its two bars.

    `old` is None where no policy is in force. Whoever is due already is not in it.
    """

    starts: date
    new: int
    old: int | None
    at: float
    wide: float
    new_high: float
    old_high: float


@dataclass(frozen=True, slots=True)
class Money:
    """What those due tomorrow pay a month in one currency, by each policy."""

    currency: str
    new: int
    old: int


@dataclass(frozen=True, slots=True)
class Answering:
    """How many of those due tomorrow are expected to answer so, by each policy."""

    answer: str
    new: Expected
    old: Expected | None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a policy would do beside the one in force, which `old` is None without."""

    forecast: Forecast
    new: Outlook
    old: Outlook | None
    months: tuple[Month, ...]
    most: int

    @classmethod
    def of(cls, forecast: Forecast) -> "WhatIf":
        """Make it of a forecast."""
        new, old = forecast.proposed, forecast.in_force
        ahead = _ahead(new)
        before = None if old is None else _ahead(old)
        most = max(1, *(each for _, each in ahead), *(each for _, each in before or ()))
        return cls(forecast, new, old, tuple(_bars(ahead, before, most)), most)

    @property
    def money(self) -> list[Money]:
        """Give what those due tomorrow pay a month, by currency."""
        new = {each.currency: each.amount for each in self.new.monthly}
        old = {each.currency: each.amount for each in self.old.monthly} if self.old else {}
        return [Money(each, new.get(each, 0), old.get(each, 0)) for each in sorted({*new, *old})]

    @property
    def answers(self) -> list[Answering]:
        """Give what they are expected to answer; nothing where too few have answered so far."""
        old = {each.answer: each for each in self.old.expected} if self.old else {}
        return [Answering(each.answer, each, old.get(each.answer)) for each in self.new.expected]

    @property
    def paces(self) -> tuple[Paced, Paced | None]:
        """Give how long it takes, by each policy."""
        return self.new.pace, self.old.pace if self.old else None

    def csv(self) -> str:
        """Give the year ahead as CSV, counts only: who is due already, and then month by month."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(("from", "newly_due", "newly_due_in_force"))
        old = self.old
        writer.writerow(("already", self.new.today, "" if old is None else old.today))
        for each in self.months:
            writer.writerow((each.starts, each.new, "" if each.old is None else each.old))
        return text.getvalue()


def _ahead(outlook: Outlook) -> list[tuple[date, int]]:
    """Give how many newly come due in each month, without those who are due already."""
    spans: Sequence[Span] = outlook.months
    already = [outlook.today, *([0] * (len(spans) - 1))]
    return [(each.starts, each.people - due) for each, due in zip(spans, already, strict=True)]


def _bars(
    new: Sequence[tuple[date, int]], old: Sequence[tuple[date, int]] | None, most: int
) -> Iterator[Month]:
    step = WIDE / max(1, len(new))
    for number, (starts, many) in enumerate(new):
        before = None if old is None else old[number][1]
        yield Month(
            starts,
            many,
            before,
            round(number * step, 1),
            round(step * 0.38, 1),
            round(HIGH * many / most, 1),
            round(HIGH * (before or 0) / most, 1),
        )

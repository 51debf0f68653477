"""Sums of who is due by each day of the year ahead."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from operator import add, itemgetter, sub

from app.forecast.groups import HORIZON, Group, limits, threshold_of, why_of
from app.forecast.kept import Change, Kept, Window
from app.lifecycle.case import Why
from app.policy import Period, Policy
from app.store.counts import EPOCH

Pick = Callable[[Sequence[int]], tuple[int, ...]]
"""Takes what stands at some places out of a list."""


@dataclass(slots=True)
class Sums:
    """How many newly come due on each day from today to the horizon, and what they pay.

    Index 0 holds all who are due already; what is due beyond the horizon is left out. `why` is of
    those due by tomorrow.
    """

    people: list[int] = field(default_factory=lambda: [0] * (HORIZON + 1))
    why: Counter[Why] = field(default_factory=Counter)
    money: dict[tuple[str, str], tuple[list[int], list[int]]] = field(default_factory=dict)

    def add(self, group: Group, why: Why, index: int, people: int, amount: int) -> None:
        """Add some who newly come due on a day."""
        if index > HORIZON or not (people or amount):
            return
        at = max(0, index)
        self.people[at] += people
        if at <= 1:
            self.why[why] += people
        many, amounts = self._of(group.currency, group.interval)
        many[at] += people
        amounts[at] += amount

    def rise(self, key: tuple[str, str], people: Sequence[int], amounts: Sequence[int]) -> None:
        """Add some of a currency and interval, told by how many are due by each day."""
        many, sums = self._of(*key)
        new = [people[0], *map(sub, people[1:], people)]
        self.people[:] = map(add, self.people, new)
        many[:] = map(add, many, new)
        sums[:] = map(add, sums, [amounts[0], *map(sub, amounts[1:], amounts)])

    def _of(self, currency: str, interval: str) -> tuple[list[int], list[int]]:
        key = (currency, interval)
        if key not in self.money:
            self.money[key] = ([0] * (HORIZON + 1), [0] * (HORIZON + 1))
        return self.money[key]


def walk(sums: Sums, policy: Policy, kept: Kept, today: date, covers: date) -> None:
    """Add those among the folded whom a threshold alone decides about: exact."""
    floor = (covers - EPOCH).days
    reached: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
    for each in kept.steps:
        threshold = threshold_of(policy.terms_of(each.group.segment), each.used)
        pick = _places(threshold, today, floor, kept.window)
        people, amounts = pick(each.people), pick(each.amounts)
        sums.why[why_of(each.used)] += people[1]
        key = (each.group.currency, each.group.interval)
        before = reached.get(key)
        if before is None:
            reached[key] = (list(people), list(amounts))
        else:
            before[0][:] = map(add, before[0], people)
            before[1][:] = map(add, before[1], amounts)
    for key, (many, money) in reached.items():
        sums.rise(key, many, money)


@lru_cache(maxsize=512)
def _places(threshold: Period, today: date, floor: int, window: Window) -> Pick:
    """Give what takes, out of a list of the window's days, how many are due by each day ahead."""
    end = window.last - window.first + 1
    # Before the feeds cover anything nobody counts as unused, whenever they started.
    return itemgetter(
        *(
            min(max(0, limit - window.first + 1), end) if limit >= floor else 0
            for limit in limits(threshold, today)
        )
    )


def scatter(
    sums: Sums, policy: Policy, waiting: Iterable[Change], today: date, covers: date
) -> None:
    """Add what waits to be folded, by the day on which each of it comes due: exact too."""
    floor = (covers - EPOCH).days
    for group, curve in waiting:
        days = limits(threshold_of(policy.terms_of(group.segment), curve.used), today)
        why = why_of(curve.used)
        for day, people, amount in zip(curve.days, curve.people, curve.amounts, strict=True):
            sums.add(group, why, bisect_left(days, max(day, floor)), people, amount)

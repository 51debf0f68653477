"""Sums of the folded counts that are kept from one question to the next, and patched by folds.

The people of each group stand in a list as long as the days are many: how many stand at that day or
an earlier one. So a threshold picks a year of figures out of it at once, and what a fold changed is
added to it. Nothing here is ever changed in place: whoever reads at an earlier moment goes on with
what they have.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import accumulate
from operator import add, neg

from msgspec import Struct

from app.forecast.groups import HORIZON, Group, Whens, grouped
from app.store.counts import EPOCH, Curve, Part

FURTHEST_BACK = 4000
"""Days back beyond which no threshold reaches: whoever stands earlier stands as well there."""
GOOD_FOR = 300
"""Days after which sums are made anew, since the days ahead of them run out."""


class Steps(Struct, frozen=True):
    """How many of a group stand at each day or an earlier one, and what they pay."""

    group: Group
    used: bool
    people: Sequence[int]
    amounts: Sequence[int]


class Window(Struct, frozen=True):
    """The days that sums were made of, and the first and the last on which somebody stands.

    All are days since EPOCH.
    """

    day: int
    first: int
    last: int

    @property
    def within(self) -> tuple[int, int]:
        """The days that all earlier and all later ones are summed at."""
        return self.day - FURTHEST_BACK, self.day + GOOD_FOR + HORIZON

    def serves(self, today: date) -> bool:
        """Say whether the sums are good for forecasts of that day."""
        return 0 <= (today - EPOCH).days - self.day <= GOOD_FOR

    def clipped(self, days: Sequence[int]) -> Sequence[int]:
        """Give the days, in order, that those of some days in order are summed at."""
        low, high = self.within
        if not days or (low <= days[0] and days[-1] <= high):
            return days
        return [max(low, min(day, high)) for day in days]

    def over(self, curves: Iterable[Curve]) -> "Window":
        """Give the window that these curves fit into as well."""
        ends = [day for curve in curves for day in self.clipped((curve.days[0], curve.days[-1]))]
        return Window(self.day, min([self.first, *ends]), max([self.last, *ends]))


class Kept(Struct, frozen=True):
    """The folded counts of a product as of one fold, summed by the groups of some segments.

    `groups` says which group each part is in. Every list of `steps` begins with a zero, the day
    before the window's first.
    """

    folds: int
    window: Window
    groups: Mapping[Part, Group]
    steps: Sequence[Steps]

    @property
    def newest_part(self) -> int:
        """The largest id of a part, 0 where there is none."""
        return max((part.id for part in self.groups), default=0)


Change = tuple[Group, Curve]
"""By how much a group changed; the number in the curve says nothing here."""


def placed(whens: Whens, parts: Iterable[Part]) -> dict[Part, Group]:
    """Give the group that segments put each part into."""
    return {
        each: grouped(whens, each.plan, each.country, each.interval, each.currency)
        for each in parts
    }


def beginning(folds: int, today: date, parts: Iterable[Part], changes: Sequence[Change]) -> Kept:
    """Give the sums of a product without segments, as of a fold and a day."""
    day = (today - EPOCH).days
    empty = Kept(folds, Window(day, day, day), placed((), parts), ())
    return patched(empty, folds, empty.groups, changes)


def patched(
    kept: Kept, folds: int, groups: Mapping[Part, Group], changes: Sequence[Change]
) -> Kept:
    """Give sums with what has changed until that fold, with all parts there are by then."""
    window = kept.window.over(curve for _, curve in changes)
    steps = {(each.group, each.used): _widened(each, kept.window, window) for each in kept.steps}
    for group, curve in changes:
        _put(steps, _rising(group, curve, window))
    return Kept(folds, window, groups, tuple(steps.values()))


# --- from some segments to others ----------------------------------------------------------


class Moves(Struct, frozen=True):
    """How sums by some groups become sums by others: groups are renamed, and then parts move.

    A group is named as the group that most of its parts go to; the others move from there. So a
    segment that is new, or another country in its list, makes few parts be read.
    """

    names: Mapping[Group, Group]
    groups: Mapping[Part, Group]
    moved: Mapping[Part, tuple[Group, Group]]


def moves(kept: Kept, whens: Whens) -> Moves:
    """Find how sums become those by the groups of other segments."""
    groups = placed(whens, kept.groups)
    often = Counter((before, groups[part]) for part, before in kept.groups.items())
    names: dict[Group, Group] = {}
    for (before, after), _ in often.most_common():
        names.setdefault(before, after)
    moved = {
        part: (names[before], groups[part])
        for part, before in kept.groups.items()
        if names[before] != groups[part]
    }
    return Moves(names, groups, moved)


def regrouped(kept: Kept, found: Moves, changes: Sequence[Change]) -> Kept:
    """Give sums by other groups; changes are the moved parts where they go and where they leave."""
    steps: dict[tuple[Group, bool], Steps] = {}
    for each in kept.steps:
        _put(steps, Steps(found.names[each.group], each.used, each.people, each.amounts))
    renamed = Kept(kept.folds, kept.window, found.groups, tuple(steps.values()))
    return patched(renamed, kept.folds, found.groups, changes)


def negative(curve: Curve) -> Curve:
    """Give what takes a curve away."""
    people, amounts = list(map(neg, curve.people)), list(map(neg, curve.amounts))
    return Curve(curve.group, curve.used, curve.days, people, amounts)


# --- lists -----------------------------------------------------------------------------------


def _rising(group: Group, curve: Curve, window: Window) -> Steps:
    """Sum a curve up, day by day, over a window that it fits into."""
    found = []
    places = [day - window.first + 1 for day in window.clipped(curve.days)]
    for values in (curve.people, curve.amounts):
        line = [0] * (window.last - window.first + 2)
        for place, value in zip(places, values, strict=True):
            line[place] += value
        found.append(list(accumulate(line)))
    return Steps(group, curve.used, *found)


def _widened(steps: Steps, before: Window, window: Window) -> Steps:
    """Give the same over a window that is as wide or wider."""
    early, late = before.first - window.first, window.last - before.last
    if not (early or late):
        return steps
    people, amounts = (
        [*[0] * early, *line, *[line[-1]] * late] for line in (steps.people, steps.amounts)
    )
    return Steps(steps.group, steps.used, people, amounts)


def _put(steps: dict[tuple[Group, bool], Steps], more: Steps) -> None:
    """Add steps to those of the same group."""
    key = (more.group, more.used)
    one = steps.get(key)
    if one is not None:
        people = list(map(add, one.people, more.people))
        more = Steps(*key, people, list(map(add, one.amounts, more.amounts)))
    steps[key] = more

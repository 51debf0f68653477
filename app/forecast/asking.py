"""Asks the database what a policy would do, and keeps what was summed for the next question."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TypeVar

from sqlalchemy import Connection

from app.clock import Clock
from app.forecast import kept as sums
from app.forecast.apart import Some, alike, earliness
from app.forecast.expecting import ENOUGH
from app.forecast.groups import Group, Whens, all_terms, whens_of
from app.forecast.kept import Change, Kept
from app.forecast.outlook import Counted, outlook
from app.forecast.said import Forecast, Nightly, Outlook
from app.policy import Policy
from app.store import counts, products
from app.store.counts import Curve, Part, State
from app.store.database import Database
from app.store.products import Product

REMEMBERED = 8
"""So many sums are kept: while a slider is dragged, the segments of a policy stay the same."""
Key = TypeVar("Key")
Value = TypeVar("Value")
Names = TypeVar("Names", bound=tuple[Group, ...])
_Apart = tuple[int, int, Whens, tuple[tuple[str, ...], ...]]


@dataclass(slots=True)
class Forecaster:
    """Answers what policies would do; worth keeping as long as the process lives.

    What was summed is kept and patched with what folds change, since only thresholds change while
    somebody drags a slider; what waits to be folded is read every time.
    """

    database: Database
    clock: Clock
    kept: dict[tuple[int, Whens], Kept] = field(default_factory=dict)
    kept_apart: dict[_Apart, list[Some]] = field(default_factory=dict)

    def forecast(self, product_key: str, policy: Policy) -> Forecast:
        """Say what a policy would do, beside the one in force."""
        now = self.clock.now()
        with self.database.transaction() as connection:
            counts.snapshot(connection)
            product = products.load(connection, product_key)
            state = counts.state(connection, product.id)
            both = [policy] if product.policy is None else [policy, product.policy]
            reading = _Reading(connection, product.id, state, now.astimezone(UTC).date())
            counted = self._counted(reading, both)
        looks = [
            outlook(each, found, product.hearing, now, ramped=number == 0)
            for number, (each, found) in enumerate(zip(both, counted, strict=True))
        ]
        nightly = Nightly(state.apart_at, state.grain, sum((state.past or {}).values()))
        return Forecast(
            product=product.key,
            at=now,
            day=now.astimezone(UTC).date(),
            proposed=looks[0],
            in_force=looks[1] if len(looks) > 1 else None,
            nightly=nightly,
            says=_says(product, both, state, nightly),
        )

    def several(self, product_key: str, policies: Sequence[Policy]) -> list[Outlook]:
        """Say what some policies would do that differ in thresholds only, all at one moment."""
        now = self.clock.now()
        with self.database.transaction() as connection:
            counts.snapshot(connection)
            product = products.load(connection, product_key)
            state = counts.state(connection, product.id)
            reading = _Reading(connection, product.id, state, now.astimezone(UTC).date())
            # Who stands together in a row, and who apart, depends on no threshold.
            (counted,) = self._counted(reading, policies[:1])
        return [outlook(each, counted, product.hearing, now, ramped=True) for each in policies]

    def _counted(self, reading: "_Reading", policies: Sequence[Policy]) -> list[Counted]:
        """Give what is known of a product's people, as far as each policy asks."""
        whens = [whens_of(each) for each in policies]
        kept = [self._kept(reading, each) for each in whens]
        waiting = reading.waiting(whens, kept)
        apart = [self._apart(reading, each) for each in policies]
        past = reading.state.past or {}
        return [Counted(*each, past) for each in zip(kept, waiting, apart, strict=True)]

    def _apart(self, reading: "_Reading", policy: Policy) -> list[Some]:
        key = (reading.product_id, reading.state.nights, whens_of(policy), earliness(policy))
        found = self.kept_apart.get(key)
        if found is None:
            found = alike(policy, counts.apart(reading.connection, reading.product_id))
            self.kept_apart = _newest(self.kept_apart, key, found)
        return found

    def _kept(self, reading: "_Reading", whens: Whens) -> Kept:
        """Give the folded counts as of the transaction's moment: kept, patched, or read anew."""
        before = self.kept.get((reading.product_id, whens))
        if before is not None and before.folds > reading.state.folds:
            return reading.moved(reading.anew(), whens)  # another thread sees a later moment
        if before is not None and reading.can_patch(before):
            return self._keep(reading, whens, reading.patched(whens, before))
        if not whens:
            return self._keep(reading, whens, reading.anew())
        nearest = self._kept(reading, self._nearest(reading, whens))
        return self._keep(reading, whens, reading.moved(nearest, whens))

    def _nearest(self, reading: "_Reading", whens: Whens) -> Whens:
        """Give the segments whose sums are kept and of which the fewest parts have to move."""
        known = {
            other: len(sums.moves(kept, whens).moved)
            for (product_id, other), kept in self.kept.items()
            if product_id == reading.product_id
            and reading.can_patch(kept)
            and kept.folds <= reading.state.folds
        }
        return min(known, key=known.__getitem__, default=())

    def _keep(self, reading: "_Reading", whens: Whens, found: Kept) -> Kept:
        key = (reading.product_id, whens)
        if self.kept.get(key) is not found:
            self.kept = _newest(self.kept, key, found)
        return found


def _newest(kept: Mapping[Key, Value], key: Key, value: Value) -> dict[Key, Value]:
    """Give what is kept with one more, without the oldest where there are too many."""
    others = [each for each in kept.items() if each[0] != key]
    return dict([*others, (key, value)][-REMEMBERED:])


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads the folded counts of a product at one moment."""

    connection: Connection
    product_id: int
    state: State
    today: date

    def can_patch(self, kept: Kept) -> bool:
        """Say whether all that was folded since is still there to be read."""
        return kept.folds >= self.state.changes_from and kept.window.serves(self.today)

    def anew(self) -> Kept:
        """Read all counts of a policy without segments."""
        parts = counts.parts(self.connection, self.product_id, fine=True)
        over = sums.placed((), counts.parts(self.connection, self.product_id, fine=False))
        found = self._curves({part: (group,) for part, group in over.items()})
        changes = [(group, curve) for (group,), curve in found]
        return sums.beginning(self.state.folds, self.today, parts, changes)

    def moved(self, kept: Kept, whens: Whens) -> Kept:
        """Read the parts that other segments put into other groups, and move them."""
        found = sums.moves(kept, whens)
        changes = []
        for (left, entered), curve in self._curves(found.moved):
            changes += [(entered, curve), (left, sums.negative(curve))]
        return sums.regrouped(kept, found, changes)

    def patched(self, whens: Whens, kept: Kept) -> Kept:
        """Add what was folded since to what is kept."""
        if kept.folds == self.state.folds:
            return kept
        parts = counts.parts(self.connection, self.product_id, fine=True, after=kept.newest_part)
        groups = {**kept.groups, **sums.placed(whens, parts)}
        numbers, named = _numbered({part: (group,) for part, group in groups.items()})
        found = counts.changes(self.connection, self.product_id, kept.folds, numbers)
        changes = [(named[curve.group][0], curve) for curve in found]
        return sums.patched(kept, self.state.folds, groups, changes)

    def waiting(self, whens: Sequence[Whens], kept: Sequence[Kept]) -> list[list[Change]]:
        """Read what waits to be folded, once for sums by the groups of several segments."""
        parts = {part: tuple(each.groups[part] for each in kept) for part in kept[0].groups}
        numbers, named = _numbered(parts)
        found: list[list[Change]] = [[] for _ in kept]
        curves = counts.waiting(self.connection, self.product_id, numbers)
        for curve in curves:
            if curve.group != counts.NEW_PARTS:
                for changes, group in zip(found, named[curve.group], strict=True):
                    changes.append((group, curve))
        if any(curve.group == counts.NEW_PARTS for curve in curves):
            for part, curve in counts.waiting_of_new_parts(self.connection, self.product_id):
                for changes, each in zip(found, whens, strict=True):
                    changes.append((sums.placed(each, [part])[part], curve))
        return found

    def _curves(self, parts: Mapping[Part, Names]) -> list[tuple[Names, Curve]]:
        """Read the counts of some parts, summed by what each part is given."""
        numbers, named = _numbered(parts)
        found = counts.curves(self.connection, numbers) if numbers else []
        return [(named[curve.group], curve) for curve in found]


def _numbered(parts: Mapping[Part, Names]) -> tuple[dict[int, int], list[Names]]:
    """Give the number of what each part, by its id, is given, and what they are numbers of."""
    named = list(dict.fromkeys(parts.values()))
    numbers = {name: number for number, name in enumerate(named)}
    return {part.id: numbers[name] for part, name in parts.items()}, named


def _says(
    product: Product, policies: Sequence[Policy], state: State, nightly: Nightly
) -> list[str]:
    """Say what to bear in mind with these figures."""
    return [says for says, holds in _remarks(product, policies, state, nightly) if holds]


def _remarks(
    product: Product, policies: Sequence[Policy], state: State, nightly: Nightly
) -> Iterator[tuple[str, bool]]:
    early = any(each.before_renewal for policy in policies for each in all_terms(policy))
    unheard = product.hearing.heard_until is None
    known, few = state.apart_at is not None, nightly.past_answers < ENOUGH
    yield (_DAYS, True)
    yield ("a year is counted as if nobody used it meanwhile: every use makes it less", True)
    yield ("no feed has spoken yet: until one does nobody is asked", unheard)
    yield (_NEVER, not known)
    yield (f"open rounds, answers and charges are those of {_minute(state.apart_at)}", known)
    yield (f"of these {state.grain} days stand as one, the last of them", state.grain > 1)
    yield (f"{nightly.past_answers} past answers are too few: {ENOUGH} are needed", few)
    yield ("asks before a renewal are those of that night, not of this moment", early and known)
    yield (f"{state.drift} counts were wrong when last compared", bool(state.drift))


_DAYS = (
    "days are everybody's own: all who are due on a day can be asked by noon UTC of it, once the"
    " feeds have told the day before"
)
_NEVER = (
    "open rounds, answers and charges are not known yet, and so nobody is left out for them:"
    " they are counted at night, or by `reconfirm forecast count`"
)


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"

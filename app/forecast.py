"""What a policy would do: who would be asked, when, at what price, and what is to be expected.

Thresholds and segments are exact: they come from counts that are kept with every change
(`app.store.counts`), and a person's terms and days are told by the rules themselves. Whom an open
round, an answer before, or `before_renewal` sets apart comes from counts of last night, whose time
is shown. Pace is arithmetic.

A day is everybody's own: who is due on a day is asked once it has begun where they live, and so by
noon UTC everywhere, provided that the feeds have told the day before. The forecast holds if nobody
uses the product meanwhile; every use makes it less.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate
from math import ceil, sqrt
from statistics import NormalDist
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import Connection

from app.clock import Clock
from app.lifecycle.case import Case, Hearing, Outcome, Reach, Round, Stage, Subscription, Why
from app.lifecycle.dates import due_day
from app.policy import DAYS_A_MONTH, Period, Policy, Terms
from app.store import counts, products
from app.store.counts import EPOCH, Apart, Curve, Part, State, Waiting
from app.store.database import Database
from app.store.products import Product

ONE_DAY = timedelta(days=1)
HORIZON = 365
"""Days that a forecast looks ahead, today not counted."""
ENOUGH = 30
"""Fewer past answers than this say too little to expect anything by them."""
SURE = 0.95
"""How sure the interval of what is expected is."""
REMEMBERED = 8
"""So many sums are kept: while a slider is dragged, the segments of a policy stay the same."""
A_MONTH = {"day": DAYS_A_MONTH, "week": DAYS_A_MONTH / 7, "month": 1.0, "year": 1 / 12}
"""How often each interval is charged in a month."""
NOON, UTC_ZONE = time(12), ZoneInfo("UTC")


# --- what is said --------------------------------------------------------------------------


class Price(Struct, frozen=True):
    """What some people pay: the sum of their amounts, in the minor unit, each interval."""

    currency: str
    interval: str
    people: int
    amount: int


class Monthly(Struct, frozen=True):
    """What some people pay a month in one currency, in its minor unit, by all intervals."""

    currency: str
    amount: int


class Span(Struct, frozen=True):
    """How many newly come due from a day on, for a day, a week or the month it is in."""

    starts: date
    people: int
    monthly: list[Monthly]


class Paced(Struct, frozen=True):
    """How long it takes at the pace of a policy, and how many mails that is.

    `done_on` is the first day on which nobody waits any more; None where some still do after a
    year. `most_mails` are the asks and reminders of the fullest day, as if nobody answered.
    """

    notices_per_day: int
    first_day: int
    most_mails: int
    done_on: date | None
    days: int | None
    left_after_a_year: int


class Expected(Struct, frozen=True):
    """How many of those due tomorrow are expected to give an answer, by past answers.

    `low` and `high` are the ends of the interval that holds the true share in 95 of 100 cases.
    """

    answer: Literal["kept", "returned", "canceled", "silent"]
    share: float
    low: float
    high: float
    people: int
    people_low: int
    people_high: int


class Outlook(Struct, frozen=True):
    """What one policy does.

    `today`, `tomorrow` and `in_a_year` count everybody due by then. The rest says of those due
    tomorrow why and at what price, and of the year how many newly come due when: on each day from
    today (with today all who are due already), and by week and calendar month.
    """

    version: int | None
    today: int
    tomorrow: int
    in_a_year: int
    never_used: int
    unused: int
    before_renewal: int
    prices: list[Price]
    monthly: list[Monthly]
    days: list[int]
    weeks: list[Span]
    months: list[Span]
    pace: Paced
    expected: list[Expected]


class Nightly(Struct, frozen=True):
    """Since when those are known whom a threshold alone does not decide about.

    `grain_days` stand as one where there were too many to keep apart; `past_answers` is how many
    answers what is expected is taken from.
    """

    counted_at: datetime | None
    grain_days: int
    past_answers: int


class Forecast(Struct, frozen=True):
    """What a policy would do, beside what the one in force does; `says` is what to bear in mind."""

    product: str
    at: datetime
    day: date
    proposed: Outlook
    in_force: Outlook | None
    nightly: Nightly
    says: list[str]


# --- groups and their days -------------------------------------------------------------------


class Group(Struct, frozen=True):
    """Subscriptions that a policy holds to the same terms, and that pay in the same way."""

    segment: int | None
    interval: str
    currency: str


class Steps(Struct, frozen=True):
    """How many of a group stand at each day or an earlier one: days since EPOCH, and sums."""

    group: Group
    used: bool
    days: Sequence[int]
    people: Sequence[int]
    amounts: Sequence[int]

    def between(self, start: int, end: int) -> tuple[int, int]:
        """Give how many stand at the days of so many places, and their amounts; `end` is past."""
        people, amount = self.people[end - 1], self.amounts[end - 1]
        if not start:
            return people, amount
        return people - self.people[start - 1], amount - self.amounts[start - 1]


def is_fine(policy: Policy) -> bool:
    """Say whether a policy asks for plan or country, and so for counts by both."""
    return any(each.when.plan or each.when.country for each in policy.segments)


def grouped(policy: Policy, part: Part | Waiting | Apart) -> Group:
    """Give the group that a policy puts a part into."""
    segment = policy.segment_of(part.plan, part.country, part.interval, part.currency)
    return Group(segment, part.interval, part.currency)


def last_day(threshold: Period, due: date) -> date:
    """Give the latest day from which so long has passed when `due` begins, the day after it.

    Counted back and forth by the calendar: two days may come to the same end of a month.
    """
    full = due - ONE_DAY
    day = threshold.before(full)
    while threshold.after(day + ONE_DAY) <= full:
        day += ONE_DAY
    while threshold.after(day) > full:
        day -= ONE_DAY
    return day


@dataclass(slots=True)
class _Sums:
    """How many are due by each day from today to the horizon, and what they pay, as differences.

    Index 0 holds all who are due already; what is due beyond the horizon is left out.
    """

    people: Counter[int] = field(default_factory=Counter)
    why: Counter[tuple[int, Why]] = field(default_factory=Counter)
    money: dict[tuple[str, str], tuple[list[int], list[int]]] = field(default_factory=dict)

    def add(self, group: Group, why: Why, index: int, people: int, amount: int) -> None:
        """Add some who newly come due on a day."""
        if index > HORIZON or not (people or amount):
            return
        at = max(0, index)
        self.people[at] += people
        self.why[at, why] += people
        key = (group.currency, group.interval)
        if key not in self.money:
            self.money[key] = ([0] * (HORIZON + 1), [0] * (HORIZON + 1))
        many, amounts = self.money[key]
        many[at] += people
        amounts[at] += amount


def _why(used: bool) -> Why:  # noqa: FBT001 - a fact, and no switch
    return Why.UNUSED if used else Why.NEVER_USED


def _threshold(terms: Terms, used: bool) -> Period:  # noqa: FBT001 - a fact, and no switch
    return terms.unused_after if used else terms.never_used_after


def _walk(sums: _Sums, policy: Policy, steps: Iterable[Steps], today: date, covers: date) -> None:
    """Add those whom a threshold alone decides about: exact."""
    floor = (covers - EPOCH).days
    for each in steps:
        threshold = _threshold(policy.terms_of(each.group.segment), each.used)
        days, why, at = each.days, _why(each.used), 0
        for index, limit in enumerate(_limits(threshold, today)):
            # Before the feeds cover anything nobody counts as unused, whenever they started.
            reached = bisect_right(days, limit, at) if limit >= floor else at
            if reached != at:
                people, amount = each.between(at, reached)
                sums.add(each.group, why, index, people, amount)
                at = reached


@lru_cache(maxsize=256)
def _limits(threshold: Period, today: date) -> tuple[int, ...]:
    """Give, for each day ahead, the latest day from which on it somebody is due, since EPOCH."""
    days = (today + timedelta(days=ahead) for ahead in range(HORIZON + 1))
    return tuple((last_day(threshold, day) - EPOCH).days for day in days)


# --- those apart -----------------------------------------------------------------------------


def _set_apart(
    sums: _Sums, policy: Policy, found: Iterable[Apart], now: datetime, covers: date
) -> None:
    """Take those apart from the day that their threshold gives to the one that holds for them."""
    today = now.astimezone(UTC).date()
    early = any(each.before_renewal for each in _terms(policy))
    groups: dict[tuple[str, str, str, str], Group] = {}
    for each in found:
        if each.state == "free" and not early:
            continue
        key = (each.plan, each.country, each.interval, each.currency)
        group = groups.get(key) or groups.setdefault(key, grouped(policy, each))
        terms = policy.terms_of(group.segment)
        since = max(each.since, covers)
        plain = _threshold(terms, each.used).after(since) + ONE_DAY
        actual, why = _due(each, terms, plain, since, now)
        if actual == plain:
            continue
        sums.add(group, _why(each.used), (plain - today).days, -each.people, -each.amount)
        if actual is not None:
            sums.add(group, why, (actual - today).days, each.people, each.amount)


def _due(
    each: Apart, terms: Terms, plain: date, since: date, now: datetime
) -> tuple[date | None, Why]:
    """Give the day on which some are due who stand apart, and why; None where they are not."""
    early = terms.before_renewal
    if each.state == "out":
        return None, _why(each.used)
    if early is not None and each.charge_on is not None and each.interval in early.intervals:
        return due_day(_like(each, since), terms, now)
    if each.closed_on is None:
        return plain, _why(each.used)
    return max(plain, terms.ask_again_after.after(each.closed_on)), _why(each.used)


def _like(each: Apart, since: date) -> Case:
    """Give a case that the rules judge as they do those who stand together in a row."""
    charge = None if each.charge_on is None else datetime.combine(each.charge_on, NOON, UTC)
    subscription = Subscription(
        id=0,
        status="active",
        plan=each.plan,
        country=each.country,
        interval=each.interval,
        amount=1,
        currency=each.currency,
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


# --- pace and expectation ----------------------------------------------------------------------


def paced(new: Sequence[int], policy: Policy, today: date, *, ramped: bool) -> Paced:
    """Say how long it takes to ask so many as newly come due each day, today first.

    A day takes so many notices, reminders of those asked before first; a ramp takes a step a day,
    in counts or shares of those due at first. Reminders are counted as if nobody answered.
    """
    steps = _ramp(policy, new[0]) if ramped else iter(())
    reminders: Counter[int] = Counter()
    offsets = [round(each.rough_days) for each in policy.terms.reminders]
    waiting = first = most = 0
    done: int | None = None
    for day, many in enumerate(new):
        waiting += many
        room = max(0, policy.pace.notices_per_day - reminders[day])
        asks = min(waiting, room, next(steps, waiting))
        waiting -= asks
        reminders.update({day + offset: asks for offset in offsets})
        first = asks if day == 0 else first
        most = max(most, asks + reminders[day])
        if done is None and not waiting:
            done = day
    on = None if done is None else today + timedelta(days=done)
    return Paced(policy.pace.notices_per_day, first, most, on, done, waiting)


def _ramp(policy: Policy, backlog: int) -> Iterator[int]:
    """Give how many each step of a ramp allows, but for the last, after which it is over."""
    for step in policy.pace.ramp[:-1]:
        yield step if isinstance(step, int) else max(1, ceil(step * backlog))


def wilson(many: int, of: int) -> tuple[float, float]:
    """Give the interval (Wilson) of a share seen in `many` of `of`, as sure as SURE says."""
    z = NormalDist().inv_cdf((1 + SURE) / 2)
    share = many / of
    middle = share + z * z / (2 * of)
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = (middle - half) / (1 + z * z / of), (middle + half) / (1 + z * z / of)
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def expected(past: Mapping[str, int], people: int) -> list[Expected]:
    """Say what so many people are expected to answer; nothing where too few have answered."""
    of = sum(past.values())
    if of < ENOUGH:
        return []
    found = []
    answers: tuple[Literal["kept", "returned", "canceled", "silent"], ...]
    answers = ("kept", "returned", "canceled", "silent")
    for answer in answers:
        share, (low, high) = past.get(answer, 0) / of, wilson(past.get(answer, 0), of)
        many = [round(each * people) for each in (share, low, high)]
        shown = (round(share, 4), round(low, 4), round(high, 4))
        found.append(Expected(answer, *shown, *many))
    return found


# --- the outlook -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counted:
    """All that is known of a product's people at one moment, as far as one policy asks."""

    steps: Sequence[Steps]
    apart: Sequence[Apart]
    state: State


def outlook(
    policy: Policy, counted: Counted, hearing: Hearing, now: datetime, *, ramped: bool
) -> Outlook:
    """Say what a policy does with the people there are."""
    today = now.astimezone(UTC).date()
    covers = hearing.covers_from or date.min
    sums = _Sums()
    _walk(sums, policy, counted.steps, today, covers)
    _set_apart(sums, policy, counted.apart, now, covers)
    new = [max(0, sums.people[index]) for index in range(HORIZON + 1)]
    due = list(accumulate(new))
    why = Counter({each: sums.why[0, each] + sums.why[1, each] for each in Why})
    prices = _prices(sums, 0, 2)
    return Outlook(
        version=policy.version or None,
        today=due[0],
        tomorrow=due[1],
        in_a_year=due[HORIZON],
        never_used=max(0, why[Why.NEVER_USED]),
        unused=max(0, why[Why.UNUSED]),
        before_renewal=max(0, why[Why.BEFORE_RENEWAL]),
        prices=prices,
        monthly=_monthly(prices),
        days=new,
        weeks=_spans(sums, new, today, _weeks()),
        months=_spans(sums, new, today, _months(today)),
        pace=paced(new, policy, today, ramped=ramped),
        expected=expected(counted.state.past or {}, due[1]),
    )


def _prices(sums: _Sums, start: int, end: int) -> list[Price]:
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
    sums: _Sums, new: Sequence[int], today: date, bounds: Sequence[tuple[int, int]]
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


# --- asking the database -----------------------------------------------------------------------


Key = TypeVar("Key")
Value = TypeVar("Value")
_Asked = tuple[int, int, tuple[tuple[int, Group], ...]]


@dataclass(slots=True)
class Forecaster:
    """Answers what policies would do; worth keeping as long as the process lives.

    What was summed is kept until the next fold, since only thresholds change while somebody drags a
    slider; changes that wait are read every time.
    """

    database: Database
    clock: Clock
    kept: dict[_Asked, tuple[Steps, ...]] = field(default_factory=dict)
    kept_apart: dict[tuple[int, int], tuple[Apart, ...]] = field(default_factory=dict)

    def forecast(self, product_key: str, policy: Policy) -> Forecast:
        """Say what a policy would do, beside the one in force."""
        now = self.clock.now()
        with self.database.transaction() as connection:
            counts.snapshot(connection)
            product = products.load(connection, product_key)
            state = counts.state(connection, product.id)
            apart = self._apart(connection, product.id, state)
            waiting = counts.waiting(connection, product.id)
            both = [policy] if product.policy is None else [policy, product.policy]
            steps = [self._steps(connection, product.id, each, state, waiting) for each in both]
        looks = [
            outlook(each, Counted(found, apart, state), product.hearing, now, ramped=number == 0)
            for number, (each, found) in enumerate(zip(both, steps, strict=True))
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

    def _apart(self, connection: Connection, product_id: int, state: State) -> tuple[Apart, ...]:
        key = (product_id, state.nights)
        if key not in self.kept_apart:
            found = tuple(counts.apart(connection, product_id))
            self.kept_apart = _newest(self.kept_apart, key, found)
        return self.kept_apart[key]

    def _steps(
        self,
        connection: Connection,
        product_id: int,
        policy: Policy,
        state: State,
        waiting: Sequence[Waiting],
    ) -> list[Steps]:
        parts = counts.parts(connection, product_id, fine=is_fine(policy))
        groups = {each.id: grouped(policy, each) for each in parts}
        key = (product_id, state.folds, tuple(groups.items()))
        found = self.kept.get(key)
        if found is None:
            found = tuple(_summed(connection, groups))
            self.kept = _newest(self.kept, key, found)
        return [*found, *_unfolded(policy, waiting)]


def _newest(kept: Mapping[Key, Value], key: Key, value: Value) -> dict[Key, Value]:
    """Give what is kept with one more, without the oldest where there are too many."""
    return dict([*kept.items(), (key, value)][-REMEMBERED:])


def _summed(connection: Connection, groups: Mapping[int, Group]) -> Iterator[Steps]:
    """Read the folded counts of groups, summed up day by day."""
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups.values()))}
    named = list(numbers)
    for each in counts.curves(connection, {part: numbers[one] for part, one in groups.items()}):
        yield _rising(named[each.group], each)


def _rising(group: Group, curve: Curve) -> Steps:
    people, amounts = tuple(accumulate(curve.people)), tuple(accumulate(curve.amounts))
    return Steps(group, curve.used, curve.days, people, amounts)


def _unfolded(policy: Policy, waiting: Iterable[Waiting]) -> Iterator[Steps]:
    """Give what waits to be folded in the same form."""
    found: dict[tuple[Group, bool], dict[int, list[int]]] = {}
    for each in waiting:
        days = found.setdefault((grouped(policy, each), each.used), {})
        both = days.setdefault(each.day, [0, 0])
        both[0] += each.people
        both[1] += each.amount
    for (group, used), days in found.items():
        ordered = sorted(days)
        people, amounts = zip(*(days[day] for day in ordered), strict=True)
        yield _rising(group, Curve(0, used, ordered, people, amounts))


def _says(
    product: Product, policies: Sequence[Policy], state: State, nightly: Nightly
) -> list[str]:
    """Say what to bear in mind with these figures."""
    return [says for says, holds in _remarks(product, policies, state, nightly) if holds]


def _remarks(
    product: Product, policies: Sequence[Policy], state: State, nightly: Nightly
) -> Iterator[tuple[str, bool]]:
    early = any(each.before_renewal for policy in policies for each in _terms(policy))
    unheard = product.hearing.heard_until is None
    known, few = state.apart_at is not None, nightly.past_answers < ENOUGH
    yield (_DAYS, True)
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


def _terms(policy: Policy) -> tuple[Terms, ...]:
    return (policy.terms, *(each.terms for each in policy.segments))


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"


# --- keeping the counts ------------------------------------------------------------------------


NIGHTLY = timedelta(hours=20)
"""Those apart are counted anew when their counts are older than this and it is another day."""
WEEKLY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps the counts of products: folds what waits, counts those apart, compares and repairs."""

    database: Database
    clock: Clock

    def fold(self, product_key: str, most: int = 1000) -> int:
        """Fold what waits, a batch a transaction and at most so many; give how many rows it was."""
        product_id = self._id(product_key)
        total = 0
        for _ in range(most):
            done = self.database.retrying(lambda c: counts.fold(c, product_id))
            if not done:
                break
            total += done
        return total

    def count_apart(self, product_key: str) -> datetime:
        """Count anew those apart, as of now; give when that was."""
        product_id, now = self._id(product_key), self.clock.now()
        self.database.retrying(lambda c: counts.count_apart(c, product_id, now))
        return now

    def check(self, product_key: str, *, repair: bool = False) -> tuple[int, list[counts.Drift]]:
        """Compare the counts with the subscriptions; give how many differ, and the first of them.

        With `repair` they are counted anew where any does.
        """
        product_id, now = self._id(product_key), self.clock.now()

        def work(connection: Connection) -> tuple[int, list[counts.Drift]]:
            found = counts.check(connection, product_id)
            mended = bool(repair and found[0])
            if mended:
                counts.rebuild(connection, product_id)
            counts.note_check(connection, product_id, now, 0 if mended else found[0])
            return found

        return self.database.retrying(work)

    def nightly(self, product_key: str) -> int:
        """Count those apart once a day, and compare once a week; give how many counts are wrong."""
        product_id, now = self._id(product_key), self.clock.now()
        with self.database.transaction() as connection:
            state = counts.state(connection, product_id)
        nightly = state.apart_at is None or (
            now.date() != state.apart_at.date() and now - state.apart_at >= NIGHTLY
        )
        weekly = state.checked_at is None or now - state.checked_at >= WEEKLY
        if nightly:
            self.count_apart(product_key)
        return self.check(product_key)[0] if weekly else 0

    def _id(self, product_key: str) -> int:
        with self.database.transaction() as connection:
            return int(products.row_of(connection, product_key).id)

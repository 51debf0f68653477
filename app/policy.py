"""What a product team tunes: one field is one knob.

A policy is read from JSON (every duration ISO 8601), checked as a whole, and never changes
again: tuning makes a new version. Each field below carries its label, its hint, its limits and
its safe default, so that the form, the JSON and the docs follow from the field alone. Nothing
that takes something away from a person has a default.

Pure: no clock, no database, no third-party code.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from datetime import date, time, timedelta
from functools import lru_cache
from typing import Any, Protocol

from app.errors import Refused

FEWEST_WARNINGS = 2
"""Without so many nobody is erased by silence."""
INTERVALS = ("day", "week", "month", "year")
DAYS_A_MONTH = 30.4375


class PolicyRefused(Refused):
    """A policy that cannot be used; `problems` holds (path, what is wrong, mend) for each fault."""

    def __init__(self, problems: list[Problem]) -> None:
        """Join every problem into one message, so that they can all be mended at once."""
        self.problems = tuple((each.path, each.what, each.mend) for each in problems)
        lines = [f"{path}: {what} ({mend})" for path, what, mend in self.problems]
        super().__init__("the policy is refused: " + "; ".join(lines), "mend these fields")


class Problem(Exception):
    """One fault of one field; gathered with the others, never shown alone."""

    def __init__(self, path: str, what: str, mend: str) -> None:
        """Name the field by its JSON path, what is wrong with it, and what would be right."""
        super().__init__(path, what, mend)
        self.path, self.what, self.mend = path, what, mend


# --- durations -----------------------------------------------------------------------------


_N = r"([0-9]{1,6})"
_ISO = re.compile(
    rf"P(?=[0-9T])(?:{_N}Y)?(?:{_N}M)?(?:{_N}W)?(?:{_N}D)?(?:T(?=[0-9])(?:{_N}H)?(?:{_N}M)?)?"
)


@dataclass(frozen=True, slots=True)
class Period:
    """A calendar duration: whole months and days, and minutes for what is no promise of days.

    P1M is a month and not thirty days, so two periods do not compare exactly; `rough_days`
    serves for limits only.
    """

    months: int = 0
    days: int = 0
    minutes: int = 0

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read ISO 8601 (`P1Y2M10D`, `P2W`, `PT36H`); ValueError where it is not that."""
        match = _ISO.fullmatch(text)
        if match is None:
            raise ValueError(text)
        years, months, weeks, days, hours, minutes = (int(part or 0) for part in match.groups())
        return cls(years * 12 + months, weeks * 7 + days, hours * 60 + minutes)

    def after(self, day: date) -> date:
        """Give the day this long after `day`; the 31st plus a month is the month's last day."""
        return _shift(day, self.months, self.days)

    def before(self, day: date) -> date:
        """Give the day this long before `day`."""
        return _shift(day, -self.months, -self.days)

    def exactly(self) -> timedelta:
        """Give the elapsed time of a period without months; ValueError where it has some."""
        if self.months:
            raise ValueError(str(self))
        return timedelta(days=self.days, minutes=self.minutes)

    @property
    def rough_days(self) -> float:
        """Its length in days, a month being 30.4375 of them."""
        return self.months * DAYS_A_MONTH + self.days + self.minutes / 1440

    def __str__(self) -> str:
        """Write it as ISO 8601, in the shortest form that reads back to the same period."""
        years, months = divmod(self.months, 12)
        hours, minutes = divmod(self.minutes, 60)
        day = _joined((years, "Y"), (months, "M"), (self.days, "D"))
        clock = _joined((hours, "H"), (minutes, "M"))
        return f"P{day}T{clock}" if clock else f"P{day or '0D'}"


def _joined(*parts: tuple[int, str]) -> str:
    return "".join(f"{count}{unit}" for count, unit in parts if count)


@lru_cache(maxsize=65536)
def _shift(day: date, months: int, days: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last)) + timedelta(days=days)


# --- kinds of knobs: how a value is read from JSON, written back, and limited -----------------


class Kind(Protocol):
    """How one field is read, written and described."""

    def read(self, raw: Any, path: str) -> Any:
        """Give the value, or raise Problem."""

    def write(self, value: Any) -> Any:
        """Give the JSON of the value."""

    def says(self) -> str:
        """Describe what is allowed, in words."""


@dataclass(frozen=True)
class Duration:
    """An ISO 8601 duration between two limits."""

    low: str
    high: str

    def read(self, raw: Any, path: str) -> Period:
        """Read one duration."""
        if not isinstance(raw, str):
            raise Problem(path, "is not a duration", self.says())
        try:
            period = Period.parse(raw)
        except ValueError:
            raise Problem(path, f"{raw[:40]!r} is not an ISO 8601 duration", self.says()) from None
        low, high = Period.parse(self.low), Period.parse(self.high)
        if not low.rough_days <= period.rough_days <= high.rough_days:
            raise Problem(path, f"{raw} is out of limits", self.says())
        if low.minutes == 0 and period.minutes:
            raise Problem(path, f"{raw} counts hours, but this is a matter of days", self.says())
        return period

    def write(self, value: Period) -> str:
        """Write it as ISO 8601."""
        return str(value)

    def says(self) -> str:
        """Name the limits."""
        return f"write a duration from {self.low} to {self.high}, such as {self.low}"


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, raw: Any, path: str) -> str:
        """Read one word."""
        if not isinstance(raw, str) or raw not in self.words:
            raise Problem(path, f"{str(raw)[:40]!r} is not a choice", self.says())
        return raw

    def write(self, value: str) -> str:
        """Write the word."""
        return value

    def says(self) -> str:
        """Name the choices."""
        return "choose " + " or ".join(self.words)


@dataclass(frozen=True)
class Whole:
    """A whole number between two limits."""

    low: int
    high: int

    def read(self, raw: Any, path: str) -> int:
        """Read one number."""
        if isinstance(raw, bool) or not isinstance(raw, int) or not self.low <= raw <= self.high:
            raise Problem(path, f"{str(raw)[:40]!r} is out of limits", self.says())
        return raw

    def write(self, value: int) -> int:
        """Write the number."""
        return value

    def says(self) -> str:
        """Name the limits."""
        return f"write a whole number from {self.low} to {self.high}"


@dataclass(frozen=True)
class Share:
    """A percentage, kept as a fraction of one."""

    high: float = 100.0

    def read(self, raw: Any, path: str) -> float:
        """Read a string such as `2%` or `0.1%`."""
        match = (
            re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)%", raw) if isinstance(raw, str) else None
        )
        if match is None or not 0 < float(match[1]) <= self.high:
            raise Problem(path, f"{str(raw)[:40]!r} is not such a share", self.says())
        return float(match[1]) / 100

    def write(self, value: float) -> str:
        """Write it as a percentage."""
        return f"{round(value * 100, 4):g}%"

    def says(self) -> str:
        """Name the limits."""
        return f"write a percentage above 0% and up to {self.high:g}%"


@dataclass(frozen=True)
class Words:
    """A list of short codes: some of a few, or of one form (a pattern), as countries are."""

    of: tuple[str, ...] = ()
    form: str = r".{1,100}"
    example: str = "one word or more"

    def read(self, raw: Any, path: str) -> tuple[str, ...]:
        """Read a list that is not empty."""
        if not isinstance(raw, list) or not raw or not all(isinstance(one, str) for one in raw):
            raise Problem(path, "is not a list of words", self.says())
        wrong = [one for one in raw if not self._fits(one)]
        if wrong:
            raise Problem(path, f"{wrong[0][:40]!r} is not known", self.says())
        return tuple(raw)

    def _fits(self, word: str) -> bool:
        if self.of:
            return word in self.of
        return word.isprintable() and re.fullmatch(self.form, word) is not None

    def write(self, value: tuple[str, ...]) -> list[str]:
        """Write the list."""
        return list(value)

    def says(self) -> str:
        """Name the words, where they are few."""
        return f"list some of {', '.join(self.of)}" if self.of else f"list {self.example}"


@dataclass(frozen=True)
class Many:
    """A list of one kind."""

    kind: Kind
    most: int

    def read(self, raw: Any, path: str) -> tuple[Any, ...]:
        """Read each element."""
        if not isinstance(raw, list) or len(raw) > self.most:
            raise Problem(path, "is not a short list", self.says())
        return tuple(_each(self.kind, [(f"{path}[{n}]", one) for n, one in enumerate(raw)]))

    def write(self, value: tuple[Any, ...]) -> list[Any]:
        """Write each element."""
        return [self.kind.write(one) for one in value]

    def says(self) -> str:
        """Describe the elements."""
        return f"list at most {self.most}: {self.kind.says()}"


@dataclass(frozen=True)
class Named:
    """A mapping from a code to one kind."""

    kind: Kind
    most: int

    def read(self, raw: Any, path: str) -> tuple[tuple[str, Any], ...]:
        """Read each entry; kept as pairs, so that a policy stays hashable."""
        if not isinstance(raw, dict) or len(raw) > self.most or not all(map(_is_code, raw)):
            raise Problem(path, "is not a mapping of short lower-case names", self.says())
        values = _each(self.kind, [(f"{path}.{name}", one) for name, one in raw.items()])
        return tuple(zip(raw, values, strict=True))

    def write(self, value: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
        """Write each entry."""
        return {name: self.kind.write(one) for name, one in value}

    def says(self) -> str:
        """Describe the entries."""
        return f"name at most {self.most} categories: {self.kind.says()}"


def _each(kind: Kind, found: list[tuple[str, Any]]) -> list[Any]:
    """Read several values of one kind, gathering what is wrong with them."""
    values: list[Any] = []
    problems: list[Problem] = []
    for path, raw in found:
        try:
            values.append(kind.read(raw, path))
        except Problem as problem:
            problems.append(problem)
    if problems:
        raise ProblemGroup(problems)
    return values


def _is_code(name: str) -> bool:
    return re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name) is not None


@dataclass(frozen=True)
class Nullable:
    """A kind that may be switched off with null."""

    kind: Kind

    def read(self, raw: Any, path: str) -> Any:
        """Read null as None."""
        return None if raw is None else self.kind.read(raw, path)

    def write(self, value: Any) -> Any:
        """Write None as null."""
        return None if value is None else self.kind.write(value)

    def says(self) -> str:
        """Describe what is allowed besides null."""
        return f"write null, or {self.kind.says()}"


@dataclass(frozen=True)
class Group:
    """Some knobs that belong together: a JSON object read into a dataclass."""

    shape: type[Any]

    def read(self, raw: Any, path: str) -> Any:
        """Read every field, gathering what is wrong with them."""
        if not isinstance(raw, dict):
            raise Problem(path, "is not an object", self.says())
        values, problems = _read_fields(self.shape, raw, f"{path}.")
        problems += _unknown(raw, {each.name for each in fields(self.shape)}, f"{path}.")
        if problems:
            raise ProblemGroup(problems)
        return self.shape(**values)

    def write(self, value: Any) -> dict[str, Any]:
        """Write every field."""
        return _write_fields(value)

    def says(self) -> str:
        """Name the fields."""
        return "write an object with " + ", ".join(each.name for each in fields(self.shape))


class ProblemGroup(Exception):
    """Several faults found inside one object."""

    def __init__(self, problems: list[Problem]) -> None:
        """Keep them in the order found."""
        super().__init__(problems)
        self.problems = problems


@dataclass(frozen=True)
class Hours:
    """Two times of day, the first before the second."""

    def read(self, raw: Any, path: str) -> tuple[time, time]:
        """Read `["09:00", "20:00"]`."""
        if not isinstance(raw, list) or [_is_time(one) for one in raw] != [True, True]:
            raise Problem(path, "is not two times of day", self.says())
        start, end = map(time.fromisoformat, raw)
        if start >= end:
            raise Problem(path, "does not start before it ends", self.says())
        return start, end

    def write(self, value: tuple[time, time]) -> list[str]:
        """Write both as HH:MM."""
        return [one.isoformat("minutes") for one in value]

    def says(self) -> str:
        """Give the form."""
        return 'write two times such as ["09:00", "20:00"]'


def _is_time(raw: Any) -> bool:
    return isinstance(raw, str) and re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", raw) is not None


@dataclass(frozen=True)
class Steps:
    """A ramp: counts and percentages, each at least as far as the one before it, ending at 100%."""

    most: int = 20

    def read(self, raw: Any, path: str) -> tuple[int | float, ...]:
        """Read counts as int and percentages as fractions; the last must be 100%."""
        if not isinstance(raw, list) or not raw or len(raw) > self.most or raw[-1] != "100%":
            raise Problem(path, "is not a list that ends with 100%", self.says())
        steps = tuple(self._step(one, f"{path}[{n}]") for n, one in enumerate(raw))
        for kind in (int, float):
            same = [step for step in steps if type(step) is kind]
            if same != sorted(same):
                raise Problem(path, "goes back", self.says())
        return steps

    def _step(self, raw: Any, path: str) -> int | float:
        if isinstance(raw, str):
            return Share().read(raw, path)
        return Whole(1, 10_000_000).read(raw, path)

    def write(self, value: tuple[int | float, ...]) -> list[int | str]:
        """Write counts as numbers and fractions as percentages."""
        return [step if isinstance(step, int) else Share().write(step) for step in value]

    def says(self) -> str:
        """Give an example."""
        return 'write growing steps such as [10, 100, "1%", "10%", "100%"]'


def knob(kind: Kind, label: str, hint: str, default: Any = MISSING) -> Any:
    """Declare a field of a policy: its kind with limits, its label, its hint, its safe default."""
    metadata = {"kind": kind, "label": label, "hint": hint}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


# --- the knobs -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BeforeRenewal:
    """Ask early enough that the answer window ends before a long subscription is charged again."""

    intervals: tuple[str, ...] = knob(
        Words(INTERVALS), "Intervals", "Which billing intervals are asked before they renew."
    )
    unused_for: Period = knob(
        Duration("P7D", "P10Y"),
        "Unused for",
        "How long it must have been unused to be asked early.",
    )
    ask_ahead: Period = knob(
        Duration("P14D", "P1Y"), "Ask ahead", "How long before the charge the ask goes out."
    )


@dataclass(frozen=True, slots=True)
class Terms:
    """What one subscription is held to: the knobs a segment may change."""

    on_no_answer: str = knob(
        Choice(("suspend", "cancel_at_period_end", "nothing")),
        "On no answer",
        "What happens to the charge when the person stays silent.",
    )
    never_used_after: Period = knob(
        Duration("P7D", "P10Y"),
        "Never used",
        "Ask who has not used it once this long after the start.",
        Period(months=12),
    )
    unused_after: Period = knob(
        Duration("P7D", "P10Y"),
        "Stopped using",
        "Ask who has not used it for this long.",
        Period(months=24),
    )
    before_renewal: BeforeRenewal | None = knob(
        Nullable(Group(BeforeRenewal)),
        "Before a renewal",
        "Ask unused long subscriptions before they are charged again.",
        None,
    )
    answer_within: Period = knob(
        Duration("P7D", "P1Y"),
        "Answer within",
        "How long a person has to answer after the ask went out.",
        Period(days=30),
    )
    reminders: tuple[Period, ...] = knob(
        Many(Duration("P1D", "P1Y"), 5),
        "Reminders",
        "How long after the ask each reminder goes out; none in the last 48 hours.",
        (Period(days=7), Period(days=21)),
    )
    ask_again_after: Period = knob(
        Duration("P30D", "P10Y"),
        "Ask again after",
        "How long somebody who answered is left in peace.",
        Period(months=12),
    )
    when_unreachable: str = knob(
        Choice(("wait", "suspend")),
        "When unreachable",
        "Whether silence counts where no notice can be delivered.",
        "wait",
    )
    erase_after: Period | None = knob(
        Nullable(Duration("P30D", "P10Y")),
        "Erase after",
        "How long data is kept after a suspension or cancellation; null keeps it.",
        None,
    )


@dataclass(frozen=True, slots=True)
class When:
    """Whom a segment is about: a subscription must match every list that is given."""

    plan: tuple[str, ...] = knob(Words(), "Plan", "Names of plans.", ())
    country: tuple[str, ...] = knob(
        Words(form="[A-Z]{2}", example='codes such as "FR"'), "Country", "ISO 3166-1 codes.", ()
    )
    interval: tuple[str, ...] = knob(Words(INTERVALS), "Interval", "Billing intervals.", ())
    currency: tuple[str, ...] = knob(
        Words(form="[A-Z]{3}", example='codes such as "EUR"'), "Currency", "ISO 4217 codes.", ()
    )

    def matches(self, plan: str, country: str, interval: str, currency: str) -> bool:
        """Say whether a subscription with these facts belongs to the segment."""
        return (
            (not self.plan or plan in self.plan)
            and (not self.country or country in self.country)
            and (not self.interval or interval in self.interval)
            and (not self.currency or currency in self.currency)
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """Some subscriptions and the terms that hold for them."""

    when: When
    terms: Terms


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a product may act."""

    notices_per_day: int = knob(
        Whole(1, 100_000_000),
        "Notices a day",
        "At most this many a day, receipts not counted.",
        50_000,
    )
    ramp: tuple[int | float, ...] = knob(
        Steps(),
        "Ramp",
        "How many are asked in each step after a policy is switched on: counts, then shares of"
        " the backlog.",
        (10, 100, 0.01, 0.1, 1.0),
    )
    send_between: tuple[time, time] = knob(
        Hours(), "Send between", "Local hours in which notices go out.", (time(9), time(20))
    )


@dataclass(frozen=True, slots=True)
class Guards:
    """What stops a product by itself."""

    usage_feed_max_age: Period = knob(
        Duration("PT1H", "P30D"),
        "Feed may be silent for",
        "A product whose usage feed is older than this stops by itself.",
        Period(minutes=36 * 60),
    )
    max_newly_due_share: float = knob(
        Share(), "Newly due at most", "A larger share due in one day stops the product.", 0.02
    )
    max_bounce_rate: float = knob(
        Share(50), "Bounces at most", "More bounces than this stop the product.", 0.05
    )
    max_complaint_rate: float = knob(
        Share(10), "Complaints at most", "More complaints than this stop the product.", 0.001
    )
    max_in_use_rate: float = knob(
        Share(50),
        "Say they use it at most",
        "More of those asked than this saying that they do use it stop the product: a feed is"
        " broken.",
        0.1,
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of the numbers a product team tunes."""

    terms: Terms
    segments: tuple[Segment, ...] = ()
    version: int = 0
    erasure_warnings: tuple[Period, ...] = knob(
        Many(Duration("P14D", "P1Y"), 5),
        "Erasure warnings",
        "How long before the erasure each warning goes out.",
        (Period(days=60), Period(days=14)),
    )
    erasure_approval: str = knob(
        Choice(("two_people",)), "Erasure approval", "Who must agree to an erasure.", "two_people"
    )
    keep_categories: tuple[tuple[str, Period], ...] = knob(
        Named(Duration("P1D", "P100Y"), 50),
        "Keep",
        "Categories of data with a clock of their own, such as invoices.",
        (),
    )
    pace: Pace = knob(Group(Pace), "Pace", "How fast the product may act.", Pace())
    guards: Guards = knob(Group(Guards), "Guards", "What stops it by itself.", Guards())

    def segment_of(self, plan: str, country: str, interval: str, currency: str) -> int | None:
        """Give the index of the first segment that matches, or None for the policy's own terms."""
        for index, segment in enumerate(self.segments):
            if segment.when.matches(plan, country, interval, currency):
                return index
        return None

    def terms_of(self, segment: int | None) -> Terms:
        """Give the terms of a segment by its index; the policy's own for None."""
        return self.terms if segment is None else self.segments[segment].terms


# --- reading and writing -------------------------------------------------------------------


def read(
    raw: object, *, version: int = 0, inherit: Policy | None = None, kept: bool = False
) -> Policy:
    """Read a policy from JSON.

    A field that is left out has its safe default; `on_no_answer` has none in a product's first
    policy and is otherwise taken over from `inherit`. Raises PolicyRefused with every problem;
    fields that contradict each other are named once each can be read by itself, but not of a
    version that was `kept`: it was checked as it was made, by the checks there were then.
    """
    if not isinstance(raw, dict):
        mend = 'write {"on_no_answer": "suspend"} or more'
        raise PolicyRefused([Problem("policy", "is not a JSON object", mend)])
    given = dict(raw)
    if inherit is not None:
        given.setdefault("on_no_answer", inherit.terms.on_no_answer)
    terms, problems = _read_fields(Terms, given, "")
    own, more = _read_fields(Policy, given, "")
    problems += more + _unknown(given, {*_names(Terms), *_names(Policy), "segments"}, "")
    parts, more = _read_segments(given.get("segments", []))
    problems += more
    if problems:
        raise PolicyRefused(problems)
    base = Terms(**terms)
    segments = tuple(Segment(when, replace(base, **changed)) for when, changed in parts)
    policy = Policy(terms=base, segments=segments, version=version, **own)
    problems = [] if kept else _contradictions(policy)
    if problems:
        raise PolicyRefused(problems)
    return policy


def refuse_impossible(policy: Policy, possible: Collection[str], wrong: str, mend: str) -> None:
    """Refuse a policy where its `on_no_answer`, or a segment's, is none of what is possible."""
    problems = [
        Problem(f"{prefix}on_no_answer", wrong, mend)
        for prefix, terms in _named(policy)
        if terms.on_no_answer not in possible
    ]
    if problems:
        raise PolicyRefused(problems)


def write(policy: Policy) -> dict[str, Any]:
    """Write a policy as the JSON that `read` reads back to the same policy."""
    out = _write_fields(policy.terms) | _write_fields(policy)
    out["segments"] = [_write_segment(segment, policy.terms) for segment in policy.segments]
    return out


def knobs(shape: type[Any]) -> tuple[Field[Any], ...]:
    """Give the knobs of Terms, Policy, Pace or Guards, for forms and docs."""
    return tuple(each for each in fields(shape) if "kind" in each.metadata)


def _names(shape: type[Any]) -> list[str]:
    return [each.name for each in knobs(shape)]


def _unknown(raw: Mapping[str, Any], known: set[str], prefix: str) -> list[Problem]:
    return [
        Problem(f"{prefix}{str(name)[:40]}", "is no knob", f"known are {', '.join(sorted(known))}")
        for name in raw
        if name not in known
    ]


def _read_fields(
    shape: type[Any], raw: Mapping[str, Any], prefix: str, *, complete: bool = True
) -> tuple[dict[str, Any], list[Problem]]:
    """Read the knobs of `shape` that `raw` gives; also what is wrong or, if `complete`, missing."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for each in knobs(shape):
        path = f"{prefix}{each.name}"
        kind: Kind = each.metadata["kind"]
        try:
            if each.name in raw:
                values[each.name] = kind.read(raw[each.name], path)
            elif complete and each.default is MISSING:
                raise Problem(path, "is missing and has no default", kind.says())  # noqa: TRY301
        except Problem as problem:
            problems.append(problem)
        except ProblemGroup as group:
            problems += group.problems
    return values, problems


def _write_fields(value: Any) -> dict[str, Any]:
    return {
        each.name: each.metadata["kind"].write(getattr(value, each.name))
        for each in knobs(type(value))
    }


_Part = tuple[When, dict[str, Any]]
"""A segment as read: whom it is about, and the terms that it changes."""


def _read_segments(raw: Any, most: int = 100) -> tuple[list[_Part], list[Problem]]:
    if not isinstance(raw, list) or len(raw) > most:
        mend = f"list at most {most} objects with `when` and knobs"
        return [], [Problem("segments", "is not a list of segments", mend)]
    read_ones = [_read_segment(one, f"segments[{n}]") for n, one in enumerate(raw)]
    parts = [part for part, _ in read_ones if part is not None]
    return parts, [problem for _, problems in read_ones for problem in problems]


def _read_segment(raw: Any, path: str) -> tuple[_Part | None, list[Problem]]:
    if not isinstance(raw, dict) or not isinstance(raw.get("when"), dict) or not raw["when"]:
        mend = 'add "when" with plan, country, interval or currency'
        return None, [Problem(path, "says not whom it is about", mend)]
    own = {name: value for name, value in raw.items() if name != "when"}
    when, problems = _read_fields(When, raw["when"], f"{path}.when.")
    problems += _unknown(raw["when"], set(_names(When)), f"{path}.when.")
    terms, more = _read_fields(Terms, own, f"{path}.", complete=False)
    problems += more + _unknown(own, set(_names(Terms)), f"{path}.")
    return (None if problems else (When(**when), terms)), problems


def _write_segment(segment: Segment, base: Terms) -> dict[str, Any]:
    changed = {
        name: value
        for name, value in _write_fields(segment.terms).items()
        if value != _write_fields(base)[name]
    }
    when = {name: value for name, value in _write_fields(segment.when).items() if value}
    return {"when": when, **changed}


def _named(policy: Policy) -> list[tuple[str, Terms]]:
    """Give the terms of a policy and of its segments, each with what comes before their names."""
    segments = enumerate(policy.segments)
    return [("", policy.terms), *((f"segments[{n}].", one.terms) for n, one in segments)]


def _contradictions(policy: Policy) -> list[Problem]:
    checks: tuple[Callable[[Terms], tuple[str, str, str] | None], ...] = (_late_reminder, _late_ask)
    found = [(prefix, check(terms)) for prefix, terms in _named(policy) for check in checks]
    problems = [Problem(prefix + one[0], one[1], one[2]) for prefix, one in found if one]
    return [*problems, *_unwarned(policy)]


def _unwarned(policy: Policy) -> list[Problem]:
    """Say where data is to be erased and nobody would be warned often enough (R10)."""
    days = {one.rough_days for one in policy.erasure_warnings}
    erases = any(terms.erase_after for _, terms in _named(policy))
    if not erases or len(days) >= FEWEST_WARNINGS:
        return []
    mend = "list two at least, such as P60D and P14D, or leave out erase_after"
    return [Problem("erasure_warnings", "are too few: data is to be erased", mend)]


def _late_reminder(terms: Terms) -> tuple[str, str, str] | None:
    days = [one.rough_days for one in terms.reminders]
    if any(one >= terms.answer_within.rough_days for one in days):
        return "reminders", "come after the answer window", f"keep them under {terms.answer_within}"
    if days != sorted(set(days)):
        return "reminders", "are not in order", "list each later than the one before"
    return None


def _late_ask(terms: Terms) -> tuple[str, str, str] | None:
    early = terms.before_renewal
    if early and early.ask_ahead.rough_days < terms.answer_within.rough_days + 7:
        mend = "make it at least answer_within plus a week"
        return "before_renewal.ask_ahead", "leaves no whole answer window before the charge", mend
    return None

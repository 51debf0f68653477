"""Holds what the application did with two years of real use against what must have happened.

    python -m tests.acceptance.real_input FOLDER [--threshold P1Y] [--within P30D]
                                          [--guards open|default] [--json]

FOLDER holds subscriptions.csv.gz and usage.csv.gz. Nobody answers. The oracle says, from the files
alone, when each person is asked, returns, is suspended, is charged and is due to be erased; every
difference is counted, the first are printed, and any fails the run.

With `--guards default` the pace is the product's own. Then the moments at which the ramp let rounds
open are taken from the application and held against the ramp; all that follows from them, and
everything after the ramp, is worked out by the oracle again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any

import click

from app.cli.installation import print_json, say
from tests.acceptance.oracle import (
    Life,
    Person,
    Round,
    Rules,
    Span,
    courses,
    life,
    midnight_utc,
    people,
)
from tests.acceptance.replay import Replay, day_in, replay

ONE_DAY = timedelta(days=1)
SHOWN = 20
DAYS_SHOWN = 14
WIDE_OPEN: Mapping[str, Any] = {
    "pace": {"notices_per_day": 100_000_000, "ramp": ["100%"]},
    "guards": {
        "usage_feed_max_age": "P30D",
        "max_newly_due_share": "100%",
        "max_bounce_rate": "50%",
        "max_complaint_rate": "10%",
    },
}
STEPS = (10, 100, 0.01, 0.1)
"""The default ramp before everybody is asked: counts, then shares of the backlog at the start."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is to be replayed."""

    folder: Path
    threshold: str
    within: str
    guards: str
    until: datetime

    @property
    def rules(self) -> Rules:
        """The same for the oracle."""
        return Rules(Span.read(self.threshold), Span.read(self.within), end=self.until.date())

    @property
    def metered(self) -> bool:
        """Say whether the pace of the product is its own."""
        return self.guards == "default"

    @property
    def policy(self) -> dict[str, Any]:
        """The same for the application."""
        body: dict[str, Any] = {
            "never_used_after": self.threshold,
            "unused_after": self.threshold,
            "answer_within": self.within,
            "reminders": [],
            "on_no_answer": "suspend",
            "erase_after": "P10M",
        }
        return body if self.metered else {**body, **WIDE_OPEN}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be."""

    who: str
    what: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        """Say it in a line; of two lists only what the other has not."""
        one, other = self.expected, self.found
        if isinstance(one, tuple) and isinstance(other, tuple):
            one, other = _without(one, other), _without(other, one)
        return f"{self.who} {self.what}: expected {_said(one)}, found {_said(other)}"


def _without(some: tuple[Any, ...], others: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(each for each in some if each not in others)


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_said, value))}]"
    if isinstance(value, Round):
        return " ".join(map(_said, (value.asked_on, value.outcome, value.returned_at)))
    return str(value)


@dataclass(slots=True)
class Report:
    """What came of a run."""

    run: Run
    people: int = 0
    expected: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    asked_on: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)


# --- what the application did ----------------------------------------------------------------


def lives_in(done: Replay) -> dict[str, Life]:
    """Give what became of each person, as database, sandbox and relay have it."""
    parts: dict[str, dict[str, Any]] = {}
    for row in done.rounds():
        _add(parts, row.external_id, "rounds", _round(row))
        parts[row.external_id] |= _end(row)
    for who, at, amount, currency in done.charges():
        _add(parts, who, "charges", (at, amount, currency))
    for who, act, at, _, replays in done.acts():
        for _ in range(1 + replays):
            _add(parts, who, "acts", (act, at))
    for who, kind, at in done.mails():
        _add(parts, who, "mails", (kind, at))
    return {who: Life(**found) for who, found in parts.items()}


def _add(parts: dict[str, dict[str, Any]], who: str, name: str, one: object) -> None:
    found = parts.setdefault(who, {})
    found[name] = (*found.get(name, ()), one)


def _round(row: Any) -> Round:
    asked_on = day_in(row.timezone, row.asked_at) if row.asked_at else None
    standing = "open" if row.stage == "asked" else row.stage
    returned = row.outcome == "returned"
    return Round(asked_on, row.outcome or standing, row.closed_at if returned else None)


def _end(row: Any) -> dict[str, Any]:
    suspended = row.stage == "suspended" and row.outcome is None
    return {
        "suspended_on": day_in(row.timezone, row.decided_at) if suspended else None,
        "paid_until": row.paid_until,
        "erase_on": row.erase_on,
    }


# --- comparing -------------------------------------------------------------------------------


def differences(expected: Mapping[str, Life], found: Mapping[str, Life]) -> Iterator[Difference]:
    """Compare two sets of lives, person by person."""
    nothing = Life()
    for who in sorted(expected.keys() | found.keys()):
        one, other = expected.get(who, nothing), found.get(who, nothing)
        for each in fields(Life):
            wanted, had = getattr(one, each.name), getattr(other, each.name)
            if wanted != had:
                yield Difference(who, each.name, wanted, had)


def undone(left: Mapping[str, int]) -> Iterator[Difference]:
    """Name what stuck in the outbox; only what keeps to the hours may wait for the morning."""
    for what, many in left.items():
        if what not in ("notice.ask pending", "notice.welcome_back pending"):
            yield Difference("outbox", what, 0, many)


def counted(lives: Mapping[str, Life], start: date) -> dict[str, int]:
    """Count what became of people."""
    counts: Counter[str] = Counter()
    for each in lives.values():
        asked = [one for one in each.rounds if one.asked_on]
        counts["asked"] += len(asked)
        counts["asked on the first day"] += sum(one.asked_on == start for one in asked)
        counts += Counter(one.outcome for one in asked)
        counts["opened and not asked"] += len(each.rounds) - len(asked)
        counts["due to be erased"] += each.erase_on is not None
        counts["charges"] += len(each.charges)
        counts["acts"] += len(each.acts)
        counts += Counter(f"mail: {kind}" for kind, _ in each.mails)
        counts += _money(each)
    return dict(sorted(counts.items()))


def _money(each: Life) -> Counter[str]:
    money: Counter[str] = Counter()
    for _, amount, currency in each.charges:
        money[f"charged, minor units of {currency}"] += amount
    return money


def by_day(lives: Mapping[str, Life]) -> dict[str, int]:
    """Count asks by local day, for the first days."""
    days = Counter(one.asked_on for each in lives.values() for one in each.rounds if one.asked_on)
    return {str(day): days[day] for day in sorted(days)[:DAYS_SHOWN]}


# --- the ramp --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ramp:
    """How the application let rounds open: (opened, asked or ended before) of each, in order."""

    openings: Sequence[tuple[datetime, datetime]]
    sizes: Sequence[int]
    start: datetime

    @classmethod
    def of(cls, done: Replay, persons: Sequence[Person], rules: Rules) -> "Ramp":
        """Read it off; the sizes of its steps follow from the backlog the oracle finds."""
        start = midnight_utc(rules.start)
        firsts = (next(courses(each, rules), None) for each in persons)
        backlog = sum(first is not None and first.opened == start for first in firsts)
        sizes = [each if isinstance(each, int) else ceil(each * backlog) for each in STEPS]
        found = sorted(
            (row.opened_at, row.asked_at or row.closed_at or row.opened_at) for row in done.rounds()
        )
        return cls(found, sizes, start)

    @property
    def over(self) -> datetime:
        """When everybody left was let in."""
        return self.openings[min(sum(self.sizes), len(self.openings) - 1)][0]

    def differences(self) -> Iterator[Difference]:
        """Hold it against the rule: a step is full, and begins a day after the last ask before."""
        rest, free = list(self.openings), self.start
        for number, size in enumerate((*self.sizes, 1), 1):
            step, rest = rest[:size], rest[size:]
            if len(step) < size:
                yield Difference(f"step {number} of the ramp", "asks", size, len(step))
                return
            if not free <= step[0][0] < free + ONE_DAY:
                yield Difference(f"step {number} of the ramp", "begins", free, step[0][0])
            free = max(asked for _, asked in step) + ONE_DAY


def held(done: Replay, ramp: Ramp) -> dict[str, list[datetime]]:
    """Give until when the ramp held each person's rounds back."""
    found: dict[str, list[datetime]] = {}
    for row in done.rounds():
        at = row.opened_at if row.opened_at <= ramp.over else ramp.start
        found.setdefault(row.external_id, []).append(at)
    return found


# --- one run ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Timer:
    """Says on stderr how far the replay is."""

    began: float = field(default_factory=perf_counter)

    def __call__(self, day: date) -> None:
        if day.day == 1:
            say(f"{day}  {perf_counter() - self.began:6.1f} s")


def carry_out(run: Run) -> Report:
    """Replay, calculate, compare."""
    report, rules = Report(run), run.rules
    with replay(run.folder) as done:
        began = perf_counter()
        done.live(run.policy, (rules.start, rules.end), rules.covers_from, Timer())
        report.seconds["replay"] = perf_counter() - began
        judge(report, done, people(run.folder))
    return report


def judge(report: Report, done: Replay, persons: Sequence[Person]) -> None:
    """Fill in what was expected, what was found, and how they differ."""
    rules, began = report.run.rules, perf_counter()
    ramp = Ramp.of(done, persons, rules) if report.run.metered else None
    back = held(done, ramp) if ramp else {}
    expected = {each.id: life(each, rules, back.get(each.id, ())) for each in persons}
    report.seconds["oracle"] = perf_counter() - began
    found = lives_in(done)
    report.people = len(persons)
    report.expected, report.found = counted(expected, rules.start), counted(found, rules.start)
    report.asked_on = by_day(found)
    report.differences = [*differences(expected, found), *undone(done.left())]
    if ramp is not None:
        report.differences += ramp.differences()


# --- saying it -------------------------------------------------------------------------------


def as_json(report: Report) -> dict[str, Any]:
    """Give the report as one JSON document."""
    run = report.run
    return {
        "threshold": run.threshold,
        "within": run.within,
        "guards": run.guards,
        "until": str(run.until.date()),
        "people": report.people,
        "expected": report.expected,
        "found": report.found,
        "asked_on": report.asked_on,
        "seconds": {what: round(took, 1) for what, took in report.seconds.items()},
        "differences": len(report.differences),
        "first_differences": [str(each) for each in report.differences[:SHOWN]],
    }


def in_words(report: Report) -> Iterator[str]:
    """Give the report in lines."""
    yield f"{'':40}{'expected':>12}{'found':>12}"
    for what in sorted(report.expected.keys() | report.found.keys()):
        yield f"{what:40}{report.expected.get(what, 0):12}{report.found.get(what, 0):12}"
    yield "asked on the first days: " + ", ".join(
        f"{day} {many}" for day, many in report.asked_on.items()
    )
    for what, took in report.seconds.items():
        yield f"{what}: {took:.1f} s"
    yield from map(str, report.differences[:SHOWN])
    yield f"{len(report.differences)} differences among {report.people} people"


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--threshold", default="P1Y", show_default=True, help="Unused for how long.")
@click.option("--within", default="P30D", show_default=True, help="How long people may answer.")
@click.option("--guards", type=click.Choice(["open", "default"]), default="open", show_default=True)
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), default="2026-09-01", show_default=True)
@click.option("--json", "as_document", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def main(context: click.Context, /, *, as_document: bool, **given: Any) -> None:
    """Hold what the application does with FOLDER against the oracle; exit 1 on any difference."""
    report = carry_out(Run(**given))
    if as_document:
        print_json(as_json(report))
    else:
        click.echo("\n".join(in_words(report)))
    context.exit(1 if report.differences else 0)


if __name__ == "__main__":
    main()

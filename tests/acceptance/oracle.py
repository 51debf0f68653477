"""What must become of each person, calculated a second time and straight from the two files.

No code is shared with the application: the standard library only, and no walk through time. For
each person the few days that matter are worked out one from the other:

    due        the day after (last use told, start or first day covered) + threshold
    opened     when that day begins where the person lives, once the day before it has been told
    asked      at once between 09:00 and 20:00 there, otherwise at the next 09:00
    silence    when the whole answer window is over and every UTC day it touches has been told
    returned   when use is told that was not known as the round opened, until silence counts

Use of a UTC day is told at 00:00Z of the next one, and what lies before the start at the start. At
one and the same moment a renewal comes before a suspension, and so does use that is told.
"""

import calendar
import csv
import gzip
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
MONTHS = {"month": 1, "year": 12}
DAYS = {"day": 1, "week": 7}
OPENS, CLOSES = time(9), time(20)
SPAN = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?")


@dataclass(frozen=True, slots=True)
class Span:
    """A calendar duration."""

    months: int
    days: int

    @classmethod
    def read(cls, text: str) -> "Span":
        """Read `P1Y`, `P10M`, `P30D`; ValueError where it is none of these."""
        found = SPAN.fullmatch(text)
        if found is None or text == "P":
            raise ValueError(f"{text!r} is no duration: write P1Y, P6M or P30D")
        years, months, weeks, days = (int(part or 0) for part in found.groups())
        return cls(12 * years + months, 7 * weeks + days)

    def on(self, day: date) -> date:
        """Give the day this long after `day`: the 31st plus a month is the month's last day."""
        months = 12 * day.year + day.month - 1 + self.months
        return day_of_month(months, day.day) + timedelta(days=self.days)


A_MONTH = Span(1, 0)


def day_of_month(months: int, day: int) -> date:
    """Give a day of a month counted from year 0, or its last day where it has no such day."""
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day, calendar.monthrange(year, month + 1)[1]))


def midnight_utc(day: date) -> datetime:
    """Give 00:00Z of a day."""
    return datetime.combine(day, time(), UTC)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the run is about: the policy, the days it lasts, and from when the feed covers."""

    threshold: Span
    within: Span
    start: date = date(2024, 9, 1)
    end: date = date(2026, 9, 1)
    covers_from: date = date(2005, 1, 1)
    erase_after: Span = Span(10, 0)

    def told(self, day: date) -> datetime:
        """Give the moment at which the use of a UTC day is told."""
        return midnight_utc(max(day + ONE_DAY, self.start))


@dataclass(frozen=True, slots=True)
class Person:
    """One line of the subscriptions, with the UTC days of use, sorted."""

    id: str
    zone: ZoneInfo
    started_on: date
    interval: str
    renews_at: datetime
    amount: int
    currency: str
    days: Sequence[date]

    def local(self, moment: datetime) -> date:
        """Give the day that it is where they live."""
        return moment.astimezone(self.zone).date()

    def begins(self, day: date) -> datetime:
        """Give the moment at which a day begins where they live."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def awake(self, moment: datetime) -> datetime:
        """Give the moment, or the next one between 09:00 and 20:00 where they live."""
        there = moment.astimezone(self.zone)
        if OPENS <= there.time() < CLOSES:
            return moment
        day = there.date() if there.time() < OPENS else there.date() + ONE_DAY
        return datetime.combine(day, OPENS, self.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Round:
    """One round: the local day of its ask, what it came to, and when if that was a return."""

    asked_on: date | None
    outcome: str
    returned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """Everything that happens to one person, as far as the outside sees it.

    `charges` are (moment, minor units, currency), `acts` (what billing is told, moment), `mails`
    (kind, moment); each in order.
    """

    rounds: tuple[Round, ...] = ()
    suspended_on: date | None = None
    paid_until: datetime | None = None
    erase_on: date | None = None
    charges: tuple[tuple[datetime, int, str], ...] = ()
    acts: tuple[tuple[str, datetime], ...] = ()
    mails: tuple[tuple[str, datetime], ...] = ()


# --- reading -------------------------------------------------------------------------------


def people(folder: Path) -> list[Person]:
    """Read both files of a folder."""
    days: dict[str, set[date]] = {}
    for row in _rows(folder / "usage.csv.gz"):
        used = datetime.fromisoformat(row["used_at"]).astimezone(UTC).date()
        days.setdefault(row["subscription"], set()).add(used)
    return [_person(row, days) for row in _rows(folder / "subscriptions.csv.gz")]


def _person(row: Mapping[str, str], days: Mapping[str, set[date]]) -> Person:
    return Person(
        id=row["id"],
        zone=ZoneInfo(row["timezone"]),
        started_on=datetime.fromisoformat(row["started_at"]).astimezone(UTC).date(),
        interval=row["interval"],
        renews_at=datetime.fromisoformat(row["renews_at"]).astimezone(UTC),
        amount=int(row["amount"]),
        currency=row["currency"],
        days=sorted(days.get(row["id"], ())),
    )


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


# --- charges -------------------------------------------------------------------------------


def imported(person: Person, rules: Rules) -> datetime:
    """Give the moment at which somebody is imported."""
    return midnight_utc(max(person.started_on, rules.start))


def renewals(person: Person, rules: Rules) -> list[datetime]:
    """Give every renewal after the import, and at least one behind the end, in order.

    They lie whole periods before (or after) the one date that the file names.
    """
    first, named = imported(person, rules), person.renews_at
    last = midnight_utc(rules.end) + timedelta(days=800)
    if person.interval in DAYS:
        step = timedelta(days=DAYS[person.interval])
        numbers = range((first - named) // step, (last - named) // step)
        found = [named + number * step for number in numbers]
    else:
        months, wanted = MONTHS[person.interval], _month(named)
        numbers = range((_month(first) - wanted) // months, (_month(last) - wanted) // months)
        found = [
            datetime.combine(day_of_month(wanted + number * months, named.day), named.timetz())
            for number in numbers
        ]
    return [at for at in found if at > first]


def _month(moment: datetime) -> int:
    return 12 * moment.year + moment.month - 1


# --- one life ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Course:
    """The moments of one round; None for what does not come to pass before the end."""

    opened: datetime
    asked: datetime | None = None
    returned: datetime | None = None
    silence: datetime | None = None

    def seen_by(self, person: Person) -> Round:
        """Give the round in the days of the person."""
        asked_on = person.local(self.asked) if self.asked else None
        if self.returned:
            return Round(asked_on, "returned", self.returned)
        return Round(asked_on, "suspended" if self.silence else "open")


def life(person: Person, rules: Rules, held: Sequence[datetime] = ()) -> Life:
    """Work out one life; `held` as in `courses`."""
    past = list(courses(person, rules, held))
    rounds = tuple(each.seen_by(person) for each in past)
    silence = past[-1].silence if past else None
    coming = renewals(person, rules)
    until = silence or midnight_utc(rules.end)
    charges = tuple((at, person.amount, person.currency) for at in coming if at <= until)
    if silence is None:
        return Life(rounds, charges=charges, mails=tuple(_asks(past)))
    later = [at for at in map(rules.told, _told_days(person, rules)) if at > silence]
    paid_until = next(at for at in coming if at > silence)
    erase_on = rules.erase_after.on(person.local(paid_until))
    return Life(
        rounds=rounds,
        suspended_on=person.local(silence),
        paid_until=paid_until,
        erase_on=None if later else erase_on,
        charges=charges,
        acts=(("suspend", silence),),
        mails=(*_asks(past), ("suspended", silence), *_welcomes(person, rules, later)),
    )


def courses(person: Person, rules: Rules, held: Sequence[datetime] = ()) -> Iterator[Course]:
    """Give the moments of each round.

    `held` says until when the pace of the product held each round back, where it did: everything
    but that moment is worked out all the same.
    """
    since = max(person.started_on, rules.covers_from)
    for number in range(len(person.days) + 1):
        opened, known = _opening(person, rules, since, held[number : number + 1])
        if opened is None:
            return
        news = [day for day in _told_days(person, rules) if day > known]
        found = _course(person, rules, opened, rules.told(news[0]) if news else None)
        yield found
        if found.returned is None:
            return
        since = news[0]


def _opening(
    person: Person, rules: Rules, since: date, held: Sequence[datetime]
) -> tuple[datetime | None, date]:
    """Give when the next round opens, None if never, and the last day of use known by then."""
    days = _told_days(person, rules)
    while True:
        due = rules.threshold.on(since) + ONE_DAY
        first = max(imported(person, rules), person.begins(due), rules.told(due - ONE_DAY))
        at = max([first, *held])
        # A round that was held back may open at 00:00Z before that moment's use is told; one that
        # opens by itself waited for it.
        by = at if at == first else at - INSTANT
        known = bisect_right(days, max(rules.start, by.date()) - ONE_DAY)
        if not known or days[known - 1] <= since:
            return (at if at <= midnight_utc(rules.end) else None), since
        since = days[known - 1]


def _course(person: Person, rules: Rules, opened: datetime, used: datetime | None) -> Course:
    """Give what a round comes to, where the first news of use comes at `used`."""
    end, asked = midnight_utc(rules.end), person.awake(opened)
    if used is not None and used < asked:
        return Course(opened, returned=used)
    if asked > end:
        return Course(opened)
    over = person.begins(rules.within.on(person.local(asked)) + ONE_DAY)
    silence = rules.told((over - INSTANT).date())
    if used is not None and used <= silence:
        return Course(opened, asked, returned=used)
    return Course(opened, asked, silence=silence if silence <= end else None)


def _told_days(person: Person, rules: Rules) -> Sequence[date]:
    """Give the days of use that are told before the run is over."""
    return person.days[: bisect_right(person.days, rules.end - ONE_DAY)]


def _asks(past: Sequence[Course]) -> Iterator[tuple[str, datetime]]:
    for each in past:
        if each.asked:
            yield "ask", each.asked


def _welcomes(
    person: Person, rules: Rules, later: Sequence[datetime]
) -> Iterator[tuple[str, datetime]]:
    """Give the welcomes, one a month at most, to who used it after the suspension."""
    welcomed: date | None = None
    for told in later:
        here = person.local(told)
        if welcomed is None or here >= A_MONTH.on(welcomed):
            welcomed = here
            if person.awake(told) <= midnight_utc(rules.end):
                yield "welcome-back", person.awake(told)

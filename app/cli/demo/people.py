"""A population for the demo: believable people, the same for the same seed, none of them real."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

PLACES = (
    ("en-GB", "GB", "Europe/London", "GBP"),
    ("en-US", "US", "America/New_York", "USD"),
    ("en-US", "US", "America/Los_Angeles", "USD"),
    ("en-AU", "AU", "Australia/Sydney", "AUD"),
    ("fr-FR", "FR", "Europe/Paris", "EUR"),
    ("fr-FR", "FR", "Europe/Paris", "EUR"),
    ("fr-CA", "CA", "America/Toronto", "CAD"),
    ("de-DE", "DE", "Europe/Berlin", "EUR"),
)
"""Language, country, zone and currency; who speaks a language without notices gets English."""
PLANS = (("basic", 899), ("standard", 1349), ("family", 1799), ("premium", 1999))
FIRST_NAMES = """
ada ben cleo dan eva finn gus hana ivo june kai lea max nora olga paul quin rosa sami theo uma vera
will xena yann zoe agathe basile chloe didier elise fanny gaspard hugo ines jules
"""
DEAD = "no-longer-there.example"
"""The host of addresses that bounce."""


@dataclass(frozen=True, slots=True)
class Habit:
    """How somebody uses it: every so many days, until they lose interest, or through a season."""

    share: float
    every: tuple[int, int]
    stops: bool = False
    season: bool = False


HABITS = (
    Habit(0.30, (1, 3)),  # can hardly do without it
    Habit(0.20, (5, 20)),  # looks in now and then
    Habit(0.08, (2, 6), season=True),  # through the winter only
    Habit(0.34, (2, 14), stops=True),  # loses interest one day, and goes on paying
    Habit(0.08, (0, 0)),  # never began
)


def chance(*what: object) -> float:
    """Give a number from 0 to 1 that depends on its arguments only: the same die, thrown again."""
    text = "/".join(str(each) for each in what)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big") / (1 << 48)


@dataclass(frozen=True, slots=True)
class Person:
    """One invented subscriber: the row billing tells of them, and their habit.

    `every` is how many days lie between two uses, `stops_on` the day they lose interest (None for
    who never does); who never began has `every` 0, and who is `seasonal` is away in summer.
    """

    row: dict[str, str]
    every: int
    stops_on: date | None = None
    seasonal: bool = False

    @property
    def id(self) -> str:
        """The id under which billing knows them."""
        return self.row["id"]

    def uses_on(self, day: date) -> bool:
        """Say whether they use it on a day, left to themselves."""
        if not self.every or (self.stops_on is not None and day >= self.stops_on):
            return False
        if self.seasonal and day.month in SUMMER:
            return False
        return (day.toordinal() + len(self.id)) % self.every == 0


SUMMER = range(4, 10)


def population(seed: int, many: int, today: date) -> Iterator[Person]:
    """Give invented subscribers who started up to three years before `today`."""
    for number in range(many):
        yield _person(seed, number, today)


def _person(seed: int, number: int, today: date) -> Person:
    names = FIRST_NAMES.split()
    name = f"{names[number % len(names)]}-{number}"
    start = today - timedelta(days=60 + int(chance(seed, number, "start") * 1000))
    habit = _habit(chance(seed, number, "habit"))
    low, high = habit.every
    every = low + int(chance(seed, number, "every") * (high - low + 1))
    stops = None
    if habit.stops:
        stops = start + timedelta(days=30 + int(chance(seed, number, "stops") * 1100))
    return Person(_row(seed, number, name, start), every, stops, habit.season)


def _habit(luck: float) -> Habit:
    for habit in HABITS:
        if luck < habit.share:
            return habit
        luck -= habit.share
    return HABITS[-1]


def _row(seed: int, number: int, name: str, start: date) -> dict[str, str]:
    locale, country, zone, currency = PLACES[int(chance(seed, number, "place") * len(PLACES))]
    plan, amount = PLANS[int(chance(seed, number, "plan") * len(PLANS))]
    yearly = chance(seed, number, "yearly") < 0.25  # noqa: PLR2004 - one in four pays by the year
    moment = datetime.combine(start, time(10), UTC)
    return {
        "id": name,
        "email": _address(chance(seed, number, "mail"), name),
        "locale": locale,
        "country": country,
        "timezone": zone,
        "plan": plan,
        "amount": str(amount * 10 if yearly else amount),
        "currency": currency,
        "interval": "year" if yearly else "month",
        "started_at": moment.isoformat(),
        "renews_at": moment.isoformat(),
        "status": "active",
    }


def _address(luck: float, name: str) -> str:
    """Give an address; one in a hundred has none, and three in a hundred bounce."""
    if luck < 0.01:  # noqa: PLR2004
        return ""
    return f"{name}@{DEAD if luck < 0.04 else 'subscribers.example'}"  # noqa: PLR2004

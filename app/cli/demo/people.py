"""A population for the demo: believable people, the same for the same seed, none of them real."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

PLACES = (
    ("en-GB", "GB", "Europe/London", "GBP"),
    ("en-US", "US", "America/New_York", "USD"),
    ("en-US", "US", "America/Los_Angeles", "USD"),
    ("de", "DE", "Europe/Berlin", "EUR"),
    ("fr", "FR", "Europe/Paris", "EUR"),
    ("en-AU", "AU", "Australia/Sydney", "AUD"),
)
PLANS = (("basic", 899), ("standard", 1349), ("premium", 1999))
FIRST_NAMES = (
    "Ada",
    "Ben",
    "Cleo",
    "Dan",
    "Eva",
    "Finn",
    "Gus",
    "Hana",
    "Ivo",
    "June",
    "Kai",
    "Lea",
)


def chance(*what: object) -> float:
    """Give a number from 0 to 1 that depends on its arguments only: the same die, thrown again."""
    text = "/".join(str(each) for each in what)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big") / (1 << 48)


@dataclass(frozen=True, slots=True)
class Person:
    """One invented subscriber: the row billing tells of them, and their habit.

    `every` is how many days lie between two uses, `stops_on` the day they lose interest (None for
    who never does); who never began has `every` 0.
    """

    row: dict[str, str]
    every: int
    stops_on: date | None

    @property
    def id(self) -> str:
        """The id under which billing knows them."""
        return self.row["id"]

    def uses_on(self, day: date) -> bool:
        """Say whether they use it on a day, left to themselves."""
        if not self.every or (self.stops_on is not None and day >= self.stops_on):
            return False
        return (day.toordinal() + len(self.id)) % self.every == 0


def population(seed: int, many: int, today: date) -> Iterator[Person]:
    """Give invented subscribers who started up to three years before `today`."""
    for number in range(many):
        yield _person(seed, number, today)


def _person(seed: int, number: int, today: date) -> Person:
    name = f"{FIRST_NAMES[number % len(FIRST_NAMES)].lower()}-{number}"
    start = today - timedelta(days=60 + int(chance(seed, number, "start") * 1000))
    habit = chance(seed, number, "habit")
    every = 0 if habit < 0.06 else 1 + int(chance(seed, number, "every") * 20)  # noqa: PLR2004
    stops = None
    if habit > 0.6:  # noqa: PLR2004 - two in five lose interest some day
        stops = start + timedelta(days=30 + int(chance(seed, number, "stops") * 1100))
    return Person(_row(seed, number, name, start), every, stops)


def _row(seed: int, number: int, name: str, start: date) -> dict[str, str]:
    locale, country, zone, currency = PLACES[int(chance(seed, number, "place") * len(PLACES))]
    plan, amount = PLANS[int(chance(seed, number, "plan") * len(PLANS))]
    yearly = chance(seed, number, "yearly") < 0.25  # noqa: PLR2004 - one in four pays by the year
    moment = datetime.combine(start, time(10), UTC)
    return {
        "id": name,
        "email": "" if chance(seed, number, "mail") < 0.02 else f"{name}@subscribers.example",  # noqa: PLR2004
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

"""Founds the demo's town: a product, its policy, its people, and what they did before today."""

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256

from app import policy as policies
from app import rows
from app.cli.demo.people import Person, population
from app.cli.installation import Installation
from app.mirror import replan
from app.store import console, products, testclock, versions
from app.usage import Told

KEY = "bluetv"
NAME = "Blue TV"
ACTOR = "cli:demo"
APPROVERS = ("mia", "tom")
"""Two people of the town's company who read every manifest before anybody is erased."""
FEED = "app"
POLICY = {
    "on_no_answer": "suspend",
    "never_used_after": "P6M",
    "unused_after": "P1Y",
    "answer_within": "P30D",
    "erase_after": "P10M",
    "pace": {"ramp": [5, 20, "10%", "100%"], "notices_per_day": 200},
}
SETTINGS = {
    "from_address": "hello@bluetv.example",
    "support_url": "https://bluetv.example/help",
    "app_url": "https://bluetv.example",
}
ONE_DAY = timedelta(days=1)
TOLD_SINCE = timedelta(days=1200)


@dataclass(frozen=True, slots=True)
class Town:
    """The product's people, and the keys with which its own systems call the API."""

    people: dict[str, Person]
    usage_key: str
    manage_key: str


def found(service: Installation, seed: int, many: int, first_day: datetime) -> Town:
    """Found the product on an empty database, and tell it of its people and of their past."""
    people = {each.id: each for each in population(seed, many, first_day.date())}
    with service.database.transaction() as connection:
        testclock.write(connection, first_day)
        number = products.add(connection, KEY, NAME, "sandbox", first_day)
        products.change(connection, number, SETTINGS)
        body = policies.write(policies.read(POLICY))
        version = versions.propose(connection, number, body, ACTOR, first_day)
        versions.activate(connection, number, version, ACTOR, first_day)
        for name in APPROVERS:
            subject, wall = sha256(name.encode()).digest(), service.clock.wall()
            console.person(connection, subject, name, name, [f"{KEY}:approver"], wall)
    _bring(service, [each.row for each in people.values()])
    _tell_the_past(service, list(people.values()), first_day.date())
    usage = _new_key(service, "usage", FEED, first_day)
    return Town(people, usage, _new_key(service, "manage", None, first_day))


def _bring(service: Installation, told: list[dict[str, str]]) -> None:
    facts = [rows.read(row) for row in told]
    for start in range(0, len(facts), 1000):
        service.mirror("sandbox").bring(KEY, facts[start : start + 1000], ACTOR)


def _tell_the_past(service: Installation, people: list[Person], today: date) -> None:
    last: dict[str, date] = {}
    for each in people:
        start = date.fromisoformat(each.row["started_at"][:10])
        days = (today - ONE_DAY * back for back in range(1, (today - start).days + 1))
        day = next((day for day in days if each.uses_on(day)), None)
        if day is not None:
            last[each.id] = day
    service.intake.covers(KEY, FEED, today - TOLD_SINCE, today - ONE_DAY)
    service.intake.record(KEY, Told(last, {}), ACTOR)
    replan(service.database, service.clock, KEY)


def _new_key(service: Installation, scope: str, feed: str | None, now: datetime) -> str:
    key = "rk_" + secrets.token_urlsafe(32)
    with service.database.transaction() as connection:
        row = products.row_of(connection, KEY)
        feed_id = products.feed_named(connection, row.id, feed, now).id if feed else None
        digest = sha256(key.encode()).digest()
        products.add_key(connection, row.id, digest, key[:7], scope, feed_id, now)
    return key

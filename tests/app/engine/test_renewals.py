"""Renewals: asked before the charge where the policy says so, and every charge named where not."""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from app.links import Links
from app.store.database import Database
from app.world.billing import sandbox
from app.world.mail import say
from tests.probe import DAY, HOUR, goes, mails, timers
from tests.world import START, YEAR, MovableClock, Town, row

EARLY = {"intervals": ["year"], "unused_for": "P6M", "ask_ahead": "P45D"}
ZONES = ("Europe/London", "America/Los_Angeles", "Pacific/Kiritimati")
HOURS = (0, 8, 23)
BEFORE = re.compile(r"Before that day is over, (.*?unless you cancel first.*?)\.(?: The |$| If )")
BEHIND = re.compile(r"The charges? (?:of|from) (.*?) come")
WEEKS = timedelta(weeks=6)


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    """Give a town that asks half a year of disuse before a yearly charge, else after a year."""
    return Town.founded(database, clock, links, policy_json=YEAR | {"before_renewal": EARLY})


def person(name: str, **changes: str) -> dict[str, str]:
    """Give the row of somebody who writes a day before its month."""
    return row(name, locale="en-GB", **changes)


def asks(town: Town, name: str) -> list[str]:
    """Give the text of the asks that somebody was sent, blanks run together."""
    found = [mail for mail in town.relay.mails() if mail["To"] == f"{name}@subscribers.example"]
    texts = [mail.get_body(("plain",)) for mail in found if "ask" in str(mail["Message-ID"])[:5]]
    return [" ".join(str(text.get_content()).split()) for text in texts if text is not None]


def told_in(text: str, pattern: re.Pattern[str]) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def in_words(day: date) -> str:
    return say.day(day, "en_GB")


def a_life(town: Town, step: timedelta = 12 * HOUR) -> None:
    """Let the answer window pass; what was used on a day is told at noon of the next."""
    for moment in range(int(WEEKS / step)):
        town.clock.set(START + moment * step)
        if town.clock.now().hour == START.hour:
            town.hear(town.clock.now().date() - DAY)
        town.settle()


def test_every_charge_until_the_suspension_was_named_in_the_ask_with_its_day(town: Town) -> None:
    people: dict[str, tuple[str, datetime]] = {}
    rows = []
    for zone, hour in product(ZONES, HOURS):
        for interval, day in (("week", 3), *(("year", day) for day in (28, 30, 31, 32, 40))):
            name = f"p{len(people):03}"
            people[name] = zone, START.replace(hour=hour) + day * DAY
            at = people[name][1].isoformat()
            rows.append(person(name, interval=interval, timezone=zone, renews_at=at))
    town.join(*rows)
    a_life(town)

    with town.database.transaction() as connection:
        acts = {who: at for who, act, at, *_ in sandbox.acts(connection, town.key)}
        made = sandbox.charges(connection, town.key)
    assert set(acts) == set(people)
    seen = {"before": 0, "behind": 0, "none": 0}
    for name, (zone, _) in people.items():
        (ask,) = asks(town, name)
        before, behind = told_in(ask, BEFORE), told_in(ask, BEHIND)
        days = [at.astimezone(ZoneInfo(zone)).date() for who, at, *_ in made if who == name]
        for each in days:
            assert in_words(each) in before + behind, (name, days, before, behind)
        assert len(re.findall(r"\d{4}", before)) == sum(in_words(each) in before for each in days)
        seen["before"] += bool(before)
        seen["behind"] += any(in_words(each) in behind for each in days)
        seen["none"] += not days
    assert min(seen.values()) >= len(ZONES), seen


def test_a_daily_charge_is_named_from_the_first_day_to_the_last(town: Town) -> None:
    town.join(person("ada", interval="day", renews_at="2024-09-01T06:00:00Z"))
    a_life(town)

    (ask,) = asks(town, "ada")
    days = [at.date() for at in town.charges("ada")]
    window = [day for day in days if day <= date(2024, 10, 1)]
    assert (window[0], window[-1]) == (date(2024, 9, 2), date(2024, 10, 1))
    assert len(window) == 30
    assert "£13.49 a day is still charged, from 2 September 2024 to 1 October 2024" in ask
    assert {in_words(day) for day in days if day not in window} == {"2 October 2024"}
    assert "2 October 2024" in told_in(ask, BEHIND)


def test_where_silence_changes_nothing_no_charge_is_named(
    database: Database, clock: MovableClock, links: Links
) -> None:
    town = Town.founded(
        database, clock, links, policy_json=YEAR | {"on_no_answer": "nothing", "erase_after": None}
    )
    town.join(person("ada"))
    town.settle()
    (ask,) = asks(town, "ada")
    assert (told_in(ask, BEFORE), told_in(ask, BEHIND)) == ("", "")
    assert "you are charged as before" in ask


def test_the_reminder_names_only_the_charges_that_are_left(town: Town) -> None:
    town.join(person("ada", interval="week", renews_at="2024-09-03T06:00:00Z"))
    town.settle()
    goes(town, START + 22 * DAY)
    town.settle()
    assert mails(town, "ada") == ["ask", "reminder"]
    text = town.relay.mails()[-1].get_body(("plain",))
    assert text is not None
    said = " ".join(text.get_content().split())
    assert told_in(said, BEFORE).endswith("24 September 2024 and 1 October 2024")


# --- asked before the charge -------------------------------------------------------------------


def yearly(name: str, renews_at: str, **changes: str) -> dict[str, str]:
    """Give the row of somebody charged by the year who used it last nine months ago."""
    return person(
        name, interval="year", renews_at=renews_at, started_at="2023-12-01T00:00:00Z", **changes
    )


def test_an_unused_yearly_subscription_is_asked_and_stopped_before_its_charge(town: Town) -> None:
    town.join(yearly("ada", "2024-11-01T06:00:00Z"))
    for day in range(70):
        town.clock.set(START + day * DAY)
        town.hear(town.clock.now().date() - DAY)
        town.settle()
    assert mails(town, "ada") == ["ask", "reminder", "reminder", "suspended"]
    assert town.charges("ada") == []
    (ask,) = asks(town, "ada")
    assert "well before it renews on 1 November 2024" in ask
    assert (told_in(ask, BEFORE), told_in(ask, BEHIND)) == ("", "")


def test_one_that_is_told_to_be_charged_sooner_is_asked_sooner(town: Town) -> None:
    town.join(yearly("ada", "2025-06-01T06:00:00Z"))
    assert min(timers(town, "ada")).date() == date(2024, 12, 2)
    town.join(yearly("bob", "2024-11-01T06:00:00Z"))
    assert min(timers(town, "bob")).date() == date(2024, 9, 16)


def test_who_is_found_too_late_for_the_charge_is_told_of_it(town: Town) -> None:
    """The threshold falls into the last month before the charge: it is made, and named."""
    town.join(person("ada", interval="year", renews_at="2024-09-25T06:00:00Z"))
    a_life(town)
    (ask,) = asks(town, "ada")
    assert "25 September 2024" in told_in(ask, BEFORE)
    assert town.charges("ada") == [datetime(2024, 9, 25, 6, tzinfo=UTC)]


def test_where_the_quota_binds_an_early_ask_comes_in_the_order_of_the_charges(
    database: Database, clock: MovableClock, links: Links
) -> None:
    slow = YEAR | {"before_renewal": EARLY, "pace": {"notices_per_day": 1, "ramp": ["100%"]}}
    town = Town.founded(database, clock, links, policy_json=slow)
    days = {"late": 12, "soon": 4, "next": 8}
    town.join(*(yearly(name, f"2024-10-{day:02}T06:00:00Z") for name, day in days.items()))
    order = []
    for day in range(3):
        goes(town, START + day * DAY)
        town.sweep()
        town.deliver()
        order += [name for name in days if mails(town, name) and name not in order]
    assert order == ["soon", "next", "late"]

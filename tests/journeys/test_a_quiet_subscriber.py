"""The main road: asked, silent, suspended, and back."""

from datetime import UTC, date, datetime, timedelta

import pytest

from app.links import Links
from app.store.database import Database
from tests.world import MovableClock, Town, row


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    return Town.founded(database, clock, links)


def test_somebody_silent_is_asked_reminded_suspended_and_no_longer_charged(town: Town) -> None:
    town.join(row("ada"))
    town.settle()
    assert town.stage("ada") == "asked"
    town.days_pass(35, at_a_time=7)
    assert town.stage("ada") == "suspended"
    assert len(town.relay.subjects("ada@subscribers.example")) == 4
    town.days_pass(40, at_a_time=10)
    assert [at.date() for at in town.charges("ada")] == [date(2024, 9, 20)]
    assert town.acts("ada") == ["suspend"]
    current = town.case("ada").round
    assert current is not None
    assert current.paid_until == datetime(2024, 10, 20, tzinfo=UTC)
    assert current.erase_on == date(2025, 8, 20)


def test_who_uses_it_again_is_left_alone(town: Town) -> None:
    town.join(row("ada"))
    town.settle()
    town.clock.advance(timedelta(days=3))
    town.use("ada")
    assert town.stage("ada") == "active"
    town.days_pass(60, at_a_time=10)
    assert town.acts("ada") == []

"""Longer roads: back after a suspension, gone by one's own word, and two products side by side."""

from datetime import datetime, timedelta

import pytest

from app.links import Links
from app.store.database import Database
from tests.probe import DAY, HOUR, MINUTE, asked, goes, mails, suspended, window_ends
from tests.world import MovableClock, Town, row


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    return Town.founded(database, clock, links)


def passes(town: Town, days: int) -> None:
    """Let days pass at once, the feed having told them all."""
    goes(town, town.clock.now() + days * DAY)
    town.settle()


def test_who_comes_back_after_a_suspension_is_welcomed_and_charged_only_after_a_yes(
    town: Town,
) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    passes(town, 60)
    paid = len(town.charges("ada"))
    town.clock.advance(12 * HOUR)  # a notice nobody asked for keeps to the hours
    town.use("ada")
    town.settle()
    assert mails(town, "ada") == ["ask", "suspended", "welcome-back"]
    passes(town, 40)
    assert len(town.charges("ada")) == paid
    town.answer("ada", "resume")
    town.clock.advance(MINUTE)
    town.settle()
    assert (town.stage("ada"), town.acts("ada")) == ("active", ["suspend", "resume"])
    passes(town, 31)
    assert len(town.charges("ada")) == paid + 1


def test_who_kept_is_left_alone_for_a_year_and_then_asked_again(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.clock.advance(HOUR)
    town.answer("ada", "keep")
    passes(town, 364)
    assert town.stage("ada") == "active"
    passes(town, 2)
    current = town.case("ada").round
    assert current is not None
    assert (current.number, town.stage("ada")) == (2, "asked")
    assert mails(town, "ada") == ["ask", "kept", "ask"]


def test_a_link_of_an_older_round_does_nothing(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.clock.advance(HOUR)
    town.answer("ada", "keep")
    passes(town, 366)
    assert town.answer("ada", "cancel", 1).verdict == "older_round"
    assert town.stage("ada") == "asked"


def test_who_cancels_pays_no_more_and_can_come_back_until_the_time_paid_ends(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.answer("ada", "cancel")
    passes(town, 1)
    assert town.stage("ada") == "canceled"
    town.answer("ada", "undo")
    passes(town, 1)
    assert (town.stage("ada"), town.acts("ada")) == ("active", ["cancel", "resume"])


def test_a_keep_in_the_last_hour_counts(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    current = town.case("ada").round
    assert current is not None
    assert current.answer_by is not None
    goes(town, current.answer_by - timedelta(minutes=1))
    town.answer("ada", "keep")
    passes(town, 3)
    assert (town.stage("ada"), town.acts("ada")) == ("active", [])


def test_the_whole_window_passes_between_hand_over_and_suspension(town: Town) -> None:
    town.join(row("ada", timezone="Etc/GMT+12"), row("bob", timezone="Pacific/Kiritimati"))
    goes(town, datetime.fromisoformat("2024-09-01T22:00:00Z"))
    town.hear(town.clock.now().date())
    asked(town, "ada", "bob")
    window_ends(town, "bob")
    town.settle()
    assert (town.stage("ada"), town.stage("bob")) == ("asked", "suspended")
    window_ends(town, "ada")
    town.settle()
    assert town.stage("ada") == "suspended"


def test_two_products_live_side_by_side(
    database: Database, clock: MovableClock, links: Links
) -> None:
    tv = Town.founded(database, clock, links, "tv")
    radio = Town.founded(database, clock, links, "radio")
    tv.join(row("ada"))
    radio.join(row("ada"))
    asked(tv, "ada")
    asked(radio, "ada")
    radio.use("ada")
    window_ends(tv, "ada")
    tv.settle()
    assert (tv.stage("ada"), radio.stage("ada")) == ("suspended", "active")
    assert (tv.acts("ada"), radio.acts("ada")) == (["suspend"], [])

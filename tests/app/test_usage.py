"""The intake of usage: the latest day, forward only, for those it belongs to."""

from datetime import UTC, date, datetime, timedelta

import pytest

from app.errors import Conflict, Refused
from app.usage import Intake, Taken, Told, day_used, told_through
from tests.probe import asked, fingerprint, rows, suspended
from tests.world import ACTOR, START, Town, row

TODAY = START.date()
DAY = timedelta(days=1)


def record(town: Town, customers: dict[str, date] | None = None, **days: date) -> Taken:
    return Intake(town.database, town.clock).record(town.key, Told(days, customers or {}), ACTOR)


def used(town: Town, name: str) -> date | None:
    return town.case(name).subscription.last_used_on


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-08-22", date(2024, 8, 22)),
        ("2024-08-22T08:57:25Z", date(2024, 8, 22)),
        ("2024-08-22T23:30:00-02:00", date(2024, 8, 23)),
        ("2024-08-22T01:30:00+02:00", date(2024, 8, 21)),
        ("2024-09-01T12:04:59Z", date(2024, 9, 1)),
        ("2024-09-02", date(2024, 9, 2)),
    ],
)
def test_a_time_of_use_gives_its_utc_day_and_a_plain_date_itself(text: str, day: date) -> None:
    assert day_used(text, START) == day


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2024-09-03", "future"),
        ("2024-09-01T12:05:01Z", "future"),
        ("9999-12-31T23:59:59-12:00", "out of range"),
        ("2024-08-22T08:57:25", "offset"),
        ("yesterday!", "no date"),
        ("22.08.2024", "no date"),
        ("2024-13-01", "no date"),
        ("", "no time"),
        ("2024-02-30T00:00:00Z", "no time"),
        ("0001-01-01T00:00:00+14:00", "out of range"),
    ],
)
def test_what_is_no_time_of_use_is_refused_and_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        day_used(text, START)


def test_a_plain_date_may_be_tomorrow_where_it_is_tomorrow_already() -> None:
    assert day_used("2024-09-02", START) == date(2024, 9, 2)
    with pytest.raises(ValueError, match="future"):
        day_used("2024-09-02", datetime(2024, 9, 1, 9, 59, tzinfo=UTC))


def test_events_prove_the_day_before_the_last_of_them() -> None:
    assert told_through([date(2024, 8, 3), date(2024, 8, 9), date(2024, 8, 1)]) == date(2024, 8, 8)
    assert told_through([]) is None


# --- folding -----------------------------------------------------------------------------------


def test_use_moves_forward_and_never_back(town: Town) -> None:
    town.join(row("ada"))
    assert record(town, ada=TODAY - 5 * DAY) == Taken(1, 0, 0)
    assert record(town, ada=TODAY - 9 * DAY) == Taken(0, 1, 0)
    assert record(town, ada=TODAY - 5 * DAY) == Taken(0, 1, 0)
    assert used(town, "ada") == TODAY - 5 * DAY


def test_telling_use_again_writes_nothing(town: Town) -> None:
    town.join(row("ada"))
    record(town, ada=TODAY)
    before = fingerprint(town.database)
    record(town, ada=TODAY)
    assert fingerprint(town.database) == before


def test_unknown_subscriptions_are_remembered_with_their_latest_day(town: Town) -> None:
    assert record(town, eve=TODAY - 3 * DAY) == Taken(0, 0, 1)
    record(town, eve=TODAY - 1 * DAY)
    record(town, eve=TODAY - 7 * DAY)
    town.join(row("eve"))
    assert used(town, "eve") == TODAY - DAY


def test_use_of_a_customer_counts_for_all_of_theirs(town: Town) -> None:
    town.join(row("ada", customer="c1"), row("bob", customer="c1"), row("cyd", customer="c2"))
    assert record(town, {"c1": TODAY}) == Taken(2, 0, 0)
    assert (used(town, "ada"), used(town, "bob"), used(town, "cyd")) == (TODAY, TODAY, None)


def test_the_later_of_a_customers_and_a_subscriptions_use_counts(town: Town) -> None:
    town.join(row("ada", customer="c1"), row("bob", customer="c1"))
    record(town, {"c1": TODAY - 5 * DAY}, ada=TODAY)
    assert (used(town, "ada"), used(town, "bob")) == (TODAY, TODAY - 5 * DAY)


def test_unknown_customers_are_counted(town: Town) -> None:
    assert record(town, {"nobody": TODAY}) == Taken(0, 0, 1)


def test_a_blank_customer_is_nobody(town: Town) -> None:
    town.join(row("ada", customer="  "), row("bob", customer=""))
    assert record(town, {"": TODAY, "  ": TODAY}).applied == 0


def test_use_while_asked_ends_the_round_at_once_and_without_a_notice(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    record(town, ada=TODAY)
    assert town.stage("ada") == "active"
    town.deliver()
    assert len(town.relay.sent) == 1


def test_use_after_a_suspension_charges_nobody_and_stops_the_erasure(town: Town) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    record(town, ada=town.clock.now().date())
    current = town.case("ada").round
    assert current is not None
    assert (town.stage("ada"), current.erase_on) == ("suspended", None)
    town.deliver()
    assert town.acts("ada") == ["suspend"]


def test_use_told_in_one_batch_ends_many_rounds(town: Town) -> None:
    names = ["ada", "bob", "cyd"]
    town.join(*(row(name) for name in names))
    asked(town, *names)
    assert record(town, None, **dict.fromkeys(names, TODAY)).applied == 3
    assert [town.stage(name) for name in names] == ["active"] * 3


# --- feeds -------------------------------------------------------------------------------------


def test_what_a_feed_covers_only_grows(town: Town) -> None:
    intake = Intake(town.database, town.clock)
    intake.covers("tv", "app", date(2010, 1, 1), date(2024, 8, 1))
    found = rows(town.database, "select covers_from, covers_until from feed")
    assert found == [(date(2000, 1, 1), date(2024, 8, 31))]


def test_a_product_is_heard_up_to_the_least_of_its_feeds(town: Town) -> None:
    Intake(town.database, town.clock).covers("tv", "web", date(2023, 1, 1), date(2024, 8, 20))
    hearing = town.product.hearing
    assert (hearing.covers_from, hearing.heard_until) == (date(2023, 1, 1), date(2024, 8, 20))


def test_a_feed_that_does_not_say_from_when_it_covers_counts_from_the_day_it_spoke(
    town: Town,
) -> None:
    Intake(town.database, town.clock).covers("tv", "web", None, date(2024, 8, 31))
    assert town.product.hearing.covers_from == TODAY
    town.clock.advance(3 * DAY)
    Intake(town.database, town.clock).covers("tv", "web", None, date(2024, 9, 2))
    assert town.product.hearing.covers_from == TODAY


def test_nothing_before_the_feeds_cover_counts_as_unused(town: Town) -> None:
    Intake(town.database, town.clock).covers("tv", "web", date(2024, 1, 1), date(2024, 8, 31))
    town.join(row("ada"))
    assert not town.sweep().counts


def test_a_retired_feed_no_longer_counts(town: Town) -> None:
    Intake(town.database, town.clock).covers("tv", "web", date(2023, 1, 1), date(2024, 8, 20))
    rows(town.database, "update feed set retired_at = created_at where name = 'web'")
    assert town.product.hearing.heard_until == date(2024, 8, 31)
    with pytest.raises(Conflict):
        Intake(town.database, town.clock).covers("tv", "web", None, date(2024, 8, 21))


def test_a_feed_cannot_have_told_the_future(town: Town) -> None:
    with pytest.raises(Refused, match="future"):
        Intake(town.database, town.clock).covers("tv", "app", None, TODAY + 2 * DAY)

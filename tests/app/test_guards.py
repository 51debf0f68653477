"""What stops or slows a product by itself."""

from datetime import UTC, date, datetime

import pytest

from app import guards
from app.guards import Allowance
from app.store import due, pace
from tests.probe import DAY, HOUR, rows
from tests.world import START, YEAR, Town, row


def test_an_allowance_gives_out_what_it_has() -> None:
    allowed = Allowance(2, "enough")
    assert [allowed.take() for _ in range(3)] == [True, True, False]
    assert allowed.used == 2


def test_everything_is_told_until_the_end_of_the_day_in_utc() -> None:
    assert guards.told_until(date(2024, 8, 31)) == datetime(2024, 9, 1, tzinfo=UTC)


def test_the_horizon_reaches_to_the_end_of_the_day_in_the_west(town: Town) -> None:
    town.hear(date(2024, 8, 31))
    assert guards.horizon(town.product, START + 10 * DAY) == datetime(2024, 9, 1, 12, tzinfo=UTC)


def test_the_horizon_is_never_later_than_now(town: Town) -> None:
    town.hear(START.date())
    assert guards.horizon(town.product, START) == START


def test_without_a_feed_there_is_no_horizon(town: Town) -> None:
    rows(town.database, "delete from feed")
    assert guards.horizon(town.product, START) is None
    assert guards.is_stale(town.product, START)


@pytest.mark.parametrize(("hours", "stale"), [(35, False), (36, False), (37, True)])
def test_a_feed_is_stale_after_as_long_as_the_policy_says(
    town: Town, hours: int, *, stale: bool
) -> None:
    told = guards.told_until(date(2024, 8, 31))
    assert guards.is_stale(town.product, told + hours * HOUR) is stale


def test_the_quota_left_is_the_days_less_what_was_taken(town: Town) -> None:
    town.put_in_force(YEAR | {"pace": {"notices_per_day": 10, "ramp": ["100%"]}})
    with town.database.transaction() as connection:
        guards.count_asked(connection, town.product, START, 3, 2)
        assert guards.allowance(connection, town.product, START).left == 5
        assert guards.allowance(connection, town.product, START + DAY).left == 10


def test_the_quota_never_goes_below_nothing(town: Town) -> None:
    town.put_in_force(YEAR | {"pace": {"notices_per_day": 10, "ramp": ["100%"]}})
    with town.database.transaction() as connection:
        guards.count_asked(connection, town.product, START, 30, 0)
        assert guards.allowance(connection, town.product, START).left == 0


def test_the_days_of_the_quota_are_utc_days() -> None:
    late = datetime.fromisoformat("2024-09-01T23:30:00-05:00")
    assert guards.day_of(late) == date(2024, 9, 2)


def test_without_a_policy_nothing_is_allowed(town: Town) -> None:
    rows(town.database, "update product set policy_version = null")
    with town.database.transaction() as connection:
        assert guards.allowance(connection, town.product, START).left == 0


def test_a_percentage_of_a_small_backlog_is_at_least_one(town: Town) -> None:
    town.put_in_force(YEAR | {"pace": {"ramp": ["1%", "100%"]}})
    with town.database.transaction() as connection:
        guards.begin_ramp(connection, town.product, 30)
        assert guards.allowance(connection, town.product, START).left == 1


def test_a_percentage_is_of_the_backlog_at_the_beginning_and_rounds_up(town: Town) -> None:
    town.put_in_force(YEAR | {"pace": {"ramp": ["1%", "100%"]}})
    with town.database.transaction() as connection:
        guards.begin_ramp(connection, town.product, 250)
        guards.begin_ramp(connection, town.product, 90_000)
        assert guards.allowance(connection, town.product, START).left == 3


def test_a_ramp_of_everybody_is_no_ramp(town: Town) -> None:
    assert guards.ramp_is_open(town.product)
    with town.database.transaction() as connection:
        assert not guards.ramp_unknown(connection, town.product)


def test_a_reminder_takes_of_the_quota_and_not_of_the_ramp(town: Town) -> None:
    town.put_in_force(YEAR | {"pace": {"ramp": [4, "100%"]}})
    with town.database.transaction() as connection:
        guards.begin_ramp(connection, town.product, 30)
        guards.count_asked(connection, town.product, START, 1, 9)
        assert guards.allowance(connection, town.product, START).left == 3
        assert pace.taken(connection, town.product.id, START.date()) == 10


def test_feeds_are_checked_for_one_product_only(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    later = START + 3 * DAY
    with town.database.transaction() as connection:
        guards.check_feeds(connection, town.product, later)
        assert guards.braked(connection, town.product)
        assert not guards.braked(connection, radio.product)


def test_a_lifted_brake_is_remembered_by_the_product(town: Town) -> None:
    with town.database.transaction() as connection:
        guards.check_feeds(connection, town.product, START + 3 * DAY)
    town.clock.set(START + 3 * DAY)
    town.hear()
    with town.database.transaction() as connection:
        checked = guards.check_feeds(connection, town.product, START + 3 * DAY + HOUR)
    assert checked.hearing.lifted_at == START + 3 * DAY + HOUR


def test_who_is_due_again_today_is_kept_free_and_tomorrow_is_not(town: Town) -> None:
    town.put_in_force(YEAR | {"pace": {"notices_per_day": 10, "ramp": ["100%"]}})
    ids = town.join(row("ada"), row("bob"))
    town.sweep()
    rows(town.database, "update reconfirmation set wake_at = :at", at=START + 13 * HOUR)
    rows(
        town.database,
        "update reconfirmation set wake_at = :at where subscription_id = :id",
        at=START + 2 * HOUR,
        id=ids[0],
    )
    with town.database.transaction() as connection:
        assert due.count_rounds(connection, town.product.id, START, START + 12 * HOUR) == 1
        assert due.count_rounds(connection, town.product.id, START, START + 14 * HOUR) == 2
        assert (
            due.count_rounds(connection, town.product.id, START + 3 * HOUR, START + 4 * HOUR) == 0
        )
    with town.database.transaction() as connection:
        assert guards.allowance(connection, town.product, START).left == 10 - 2 - 1

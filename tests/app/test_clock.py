"""Two clocks: one for lives, one for leases."""

from datetime import UTC, datetime, timedelta

from app.clock import Clock, wall
from app.store import testclock
from app.store.database import Database
from tests.world import START, Town, row


def test_the_clocks_of_a_machine_are_its_own_and_aware() -> None:
    clock = Clock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert clock.wall().utcoffset() == wall().utcoffset() == timedelta()


def test_the_life_clock_stands_while_the_wall_goes_on() -> None:
    clock = Clock(lambda: START)
    assert clock.now() == START
    assert clock.wall() > START


def test_the_test_clock_is_one_row_that_moves(database: Database) -> None:
    with database.transaction() as connection:
        assert testclock.read(connection) is None
        testclock.write(connection, START)
        testclock.write(connection, START + timedelta(days=1))
        assert testclock.read(connection) == START + timedelta(days=1)


def test_the_test_clock_goes_back_only_while_nobody_lives_by_it(town: Town) -> None:
    with town.database.transaction() as connection:
        assert testclock.may_go_back(connection)
    town.join(row("ada"))
    with town.database.transaction() as connection:
        assert not testclock.may_go_back(connection)

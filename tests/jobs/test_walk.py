"""Time passing on the test clock."""

from datetime import datetime, timedelta

from app.clock import Clock
from app.engine.webhooks import Webhooks
from app.store import testclock
from app.world.hooks import Sender
from jobs.hooks import Hooks
from jobs.walk import Walker
from tests.probe import DAY, listening
from tests.receiver import receiving
from tests.world import START, YEAR, Town, row


def walker(town: Town) -> tuple[Walker, Clock]:
    with town.database.transaction() as connection:
        testclock.write(connection, START)

    def now() -> datetime:
        with town.database.transaction() as connection:
            found = testclock.read(connection)
        assert found is not None
        town.clock.set(found)
        return found

    clock = Clock(now, lambda: START)
    worker = town.worker()
    worker.clock = clock
    worker.effects = type(worker.effects)(town.database, clock, town.links)
    return Walker(town.database, clock, worker), clock


def test_walking_does_everything_that_falls_due_on_the_way(town: Town) -> None:
    town.join(row("ada"))
    town.hear((START + DAY).date())
    walk, clock = walker(town)
    total = walk.advance(START + timedelta(hours=30))
    assert total["notice.ask done"] == 1
    assert clock.now() == START + timedelta(hours=30)


def test_walking_stops_at_charges(town: Town) -> None:
    town.join(row("ada", renews_at="2024-09-02T06:00:00Z"))
    walk, _ = walker(town)
    seen: list[datetime] = []
    walk.advance(START + DAY, seen.append)
    assert datetime.fromisoformat("2024-09-02T06:00:00Z") in seen
    assert [at.isoformat() for at in town.charges("ada")] == ["2024-09-02T06:00:00+00:00"]


def test_settling_again_finds_nothing(town: Town) -> None:
    town.join(row("ada"))
    walk, _ = walker(town)
    assert walk.settle().total() > 0
    assert walk.settle().total() == 0


def test_time_stops_where_the_pace_lets_more_people_in(town: Town) -> None:
    names = ("ada", "ben", "cleo")
    town.put_in_force(YEAR | {"pace": {"ramp": [1, "100%"]}})
    town.join(*(row(name, renews_at="2025-03-01T00:00:00Z", interval="year") for name in names))
    town.hear((START + DAY).date())
    walk, _ = walker(town)
    walk.advance(START + 2 * DAY)
    rounds = [town.case(name).round for name in names]
    assert sorted(each.opened_at for each in rounds if each) == [START, START + DAY, START + DAY]


def test_endpoints_are_told_on_the_way(town: Town) -> None:
    with receiving() as receiver:
        listening(town, receiver.url)
        town.join(row("ada"))
        town.hear((START + DAY).date())
        walk, clock = walker(town)
        sender = Sender(Clock(), local=True)
        hooks = Hooks(town.database, clock, sender, Webhooks(town.database, clock))
        Walker(walk.database, clock, walk.worker, hooks).advance(START + timedelta(hours=30))
        assert [b"reconfirmation.asked" in each.body for each in receiver.got] == [True]

"""The counts: folded once whatever crashes, rebuilt beside those who write, and kept small."""

from datetime import date, timedelta
from threading import Barrier, Thread
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text

from app.cli.scheduler import NIGHTLY
from app.forecast import Keeper
from app.links import Links
from app.store import counts
from app.store.database import Database
from tests.probe import rows
from tests.world import START, MovableClock, Town, row

TODAY = START.date()


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    town = Town.founded(database, clock, links)
    town.join(*(row(f"p{n}", country="GB" if n % 2 else "FR") for n in range(6)))
    return town


def keeper(town: Town) -> Keeper:
    return Keeper(town.database, town.clock)


def right(town: Town) -> bool:
    return keeper(town).check(town.key) == (0, [])


def test_a_statement_writes_one_row_for_each_day_and_part_it_touched(town: Town) -> None:
    assert rows(town.database, "select people, amount from count_delta order by country") == [
        (3, 3 * 1349),
        (3, 3 * 1349),
    ]
    keeper(town).fold(town.key)
    for name in ("p1", "p3"):
        town.use(name, TODAY)
    rows(town.database, "update subscription set told_at = told_at, customer = 'c'")
    found = rows(town.database, "select since, used, people from count_delta order by 1, 2, 3")
    started = date(2022, 9, 1)
    assert found == [(started, False, -1)] * 2 + [(TODAY, True, 1)] * 2


def test_a_fold_that_crashes_is_done_again_and_counts_once(town: Town) -> None:
    product = town.product.id

    def crash(connection: Connection) -> None:
        assert counts.fold(connection, product) == 2
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        town.database.retrying(crash)
    assert right(town)
    assert keeper(town).fold(town.key) == 2
    assert keeper(town).fold(town.key) == 0
    assert right(town)
    assert rows(town.database, "select folds from count_state") == [(1,)]


def test_a_batch_is_bounded_and_the_order_does_not_matter(town: Town) -> None:
    town.use("p1", TODAY)
    town.use("p1", TODAY + timedelta(days=1))
    with town.database.transaction() as connection:
        while counts.fold(connection, town.product.id, limit=1):
            pass
    assert rows(town.database, "select count(*) from count_delta") == [(0,)]
    assert right(town)


def test_what_comes_and_goes_is_joined_by_hash_whatever_statistics_say(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: dict[str, str] = {}
    run = psycopg.Cursor.execute

    def noted(self: Any, query: Any, *rest: Any, **more: Any) -> Any:
        for table in ("count_delta d", "count_change d", "count_day d"):
            if "days as materialized" in query and table in query:
                loops = self.connection.execute("show enable_nestloop").fetchone()
                assert more == {"prepare": False}
                joined[table] = loops[0]
        return run(self, query, *rest, **more)

    with town.database.transaction() as connection:
        with monkeypatch.context() as patched:
            patched.setattr(psycopg.Cursor, "execute", noted)
            counts.waiting(connection, town.product.id, {1: 0})
            counts.changes(connection, town.product.id, 0, {1: 0})
            counts.curves(connection, {1: 0})
        for setting in ("enable_nestloop", "enable_mergejoin"):
            assert connection.exec_driver_sql(f"show {setting}").scalar_one() == "on"
    assert joined == {"count_delta d": "off", "count_change d": "off", "count_day d": "on"}


def test_a_day_at_which_nobody_stands_any_more_is_forgotten(town: Town) -> None:
    keeper(town).fold(town.key)
    for n in range(5):
        town.use(f"p{n}", TODAY)
    keeper(town).fold(town.key)
    days = "select used, since, sum(people) from count_day group by 1, 2 order by 1"
    assert rows(town.database, days) == [(False, date(2022, 9, 1), 2), (True, TODAY, 10)]
    town.use("p5", TODAY)
    keeper(town).fold(town.key)
    assert rows(town.database, days) == [(True, TODAY, 12)]
    assert right(town)


def test_what_the_last_folds_changed_can_be_read_and_the_rest_is_forgotten(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "KEPT_FOLDS", 2)

    def kept() -> tuple[int, int, list[tuple[int, int]]]:
        (state,) = rows(town.database, "select folds, changes_from from count_state")
        found = rows(
            town.database,
            "select fold, sum(people) from count_change group by 1 order by 1",
        )
        return state[0], state[1], [(fold, int(people)) for fold, people in found]

    keeper(town).fold(town.key)
    assert kept() == (1, 0, [(1, 6)])
    for n in range(2):
        town.join(row(f"more{n}"))
        keeper(town).fold(town.key)
    assert kept() == (3, 1, [(2, 1), (3, 1)])
    town.use("p1", TODAY)
    with town.database.transaction() as connection:
        counts.rebuild(connection, town.product.id)
    assert kept() == (4, 4, [])
    town.use("p3", TODAY)
    keeper(town).fold(town.key)
    assert kept() == (5, 4, [(5, 0)])
    moved = rows(town.database, "select since, people, amount from count_change order by 1")
    assert moved == [(date(2022, 9, 1), -1, -1349), (TODAY, 1, 1349)]


def test_who_comes_while_another_folds_takes_nothing(town: Town) -> None:
    product = town.product.id
    with town.database.transaction() as first:
        assert counts.fold(first, product) == 2
        with town.database.transaction() as second:
            assert counts.fold(second, product) == 0
    assert right(town)


def test_folding_and_using_at_once_lose_nothing(town: Town) -> None:
    line = Barrier(4)

    def use(offset: int) -> None:
        line.wait()
        for n in range(20):
            town.use(f"p{(n + offset) % 6}", TODAY - timedelta(days=30 - n - offset))

    def fold() -> None:
        line.wait()
        for _ in range(10):
            keeper(town).fold(town.key)

    threads = [Thread(target=use, args=(offset,)) for offset in (0, 1)]
    threads += [Thread(target=fold) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert right(town)
    keeper(town).fold(town.key)
    assert right(town)


def test_what_is_changed_while_all_is_counted_anew_is_counted_too(town: Town) -> None:
    keeper(town).fold(town.key)
    rows(town.database, "update count_day set people = people + 1")
    with town.database.transaction() as connection:
        run = connection.execute(text("select 1"))
        assert run.scalar() == 1
        counts.rebuild(connection, town.product.id)
        town.use("p1", TODAY)
    assert right(town)


def test_a_sum_over_plans_that_is_off_is_drift_too(town: Town) -> None:
    keeper(town).fold(town.key)
    rows(
        town.database,
        "update count_day set people = 9 where part_id in"
        " (select id from count_part where plan = '')",
    )
    assert keeper(town).check(town.key)[0] == 1
    assert rows(town.database, "select drift from count_state") == [(1,)]
    keeper(town).check(town.key, repair=True)
    assert right(town)
    assert rows(town.database, "select drift from count_state") == [(0,)]


def test_counting_does_not_keep_updates_from_being_hot(town: Town) -> None:
    seen = """select n_tup_upd, n_tup_hot_upd from pg_stat_xact_user_tables
              where relname = 'subscription'"""
    with town.database.transaction() as connection:
        # What this connection did before and has not reported yet counts there too.
        before = connection.execute(text(seen)).one()
        connection.execute(text("update subscription set last_used_on = '2024-08-30'"))
        after = connection.execute(text(seen)).one()
    updated, hot = (late - early for late, early in zip(after, before, strict=True))
    assert updated == hot >= 6


def test_nights_come_once_a_day_and_comparisons_once_a_week(town: Town) -> None:
    def done() -> tuple[int, date]:
        (found,) = rows(town.database, "select nights, checked_at from count_state")
        return found[0], found[1].date()

    keeping = keeper(town)
    assert keeping.nightly(town.key) == 0
    keeping.nightly(town.key)
    assert done() == (1, TODAY)
    town.clock.advance(timedelta(hours=13))
    keeping.nightly(town.key)
    assert done() == (1, TODAY)
    town.clock.advance(timedelta(days=1))
    keeping.nightly(town.key)
    assert done() == (2, TODAY)
    town.clock.advance(timedelta(days=5, hours=11))
    rows(town.database, "update count_day set people = 3")
    assert keeping.nightly(town.key) == 0
    assert done() == (3, TODAY + timedelta(days=7))
    assert NIGHTLY == "counts"


def test_where_there_are_too_many_apart_days_stand_as_one(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "MOST_APART", 2)
    for n in range(6):
        town.use(f"p{n}", TODAY - timedelta(days=n))
    keeper(town).count_apart(town.key)
    ((grain,),) = rows(town.database, "select grain from count_state")
    found = rows(town.database, "select since, sum(people) from count_apart group by 1")
    assert grain > 1
    assert sum(row[1] for row in found) == 6
    assert all(since >= TODAY - timedelta(days=5) for since, _ in found)

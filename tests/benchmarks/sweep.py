"""Detection: our sweep beside the one-statement bulk that writes the same rows, in one run.

A tenth of the subscriptions are due; each becomes a round, an effect and a line of history, and its
timer goes. The limit decides in SQL, in a single statement and transaction; ours reads cases, asks
the Python rules about each, and writes in batches, each its own durable transaction.
"""

import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from time import perf_counter

from sqlalchemy import text

from app.engine.sweep import Sweeper
from app.store.database import Database
from tests.benchmarks import ground

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BATCH = 2000


def run(rows: int) -> None:
    """Fill a database with `rows` subscriptions, then measure the limit and our path on it."""
    with ground.database() as database:
        due = ground.fill(database, rows, NOW)
        print(f"{rows:,} subscriptions, {due:,} of them due; durable, all on one machine")
        limit = _measure(
            database, due, "limit: one SQL statement, same rows", lambda: _limit(database)
        )
        for processes in (1, 2):
            name = (
                f"sweep with the Python rules, {processes} process{'es' if processes > 1 else ''}"
            )
            ours = _measure(database, due, name, partial(_sweep, database.url, processes))
            print(f"    {ours / limit:.2f} of the limit (target 0.40)")


def _measure(database: Database, due: int, name: str, work: Callable[[], None]) -> float:
    """Wind the timers, run the work, check that it wrote every row; people a second."""
    ground.wind(database, NOW)
    before = _wal(database)
    start = perf_counter()
    work()
    seconds = perf_counter() - start
    written = (_wal(database) - before) / due
    _check(database, due)
    print(f"{name:48} {due / seconds:10,.0f} people/s {written:8,.0f} bytes of log each")
    return due / seconds


def _limit(database: Database) -> None:
    """Decide and write in one statement: what the database alone can do."""
    with database.transaction() as connection:
        connection.execute(
            text(
                """with due as (
                     delete from timer where due_at <= :now returning product_id, subscription_id),
                   judged as (
                     select d.product_id, s.id, s.last_used_on from due d
                     join subscription s on s.id = d.subscription_id
                     join contact c on c.subscription_id = s.id
                     where s.status in ('active', 'past_due') and s.amount > 0
                       and ((s.last_used_on + interval '1 year' + interval '1 day')
                            at time zone c.timezone) <= :now),
                   opened as (
                     insert into reconfirmation (subscription_id, number, product_id, latest,
                       wake_at, stage, why, opened_at, version, used_known, reminded, quiet,
                       act_version)
                     select id, 1, product_id, true, timestamptz '2026-01-04 12:00Z', 'asked',
                       'unused', :now, 1, last_used_on, 0, false, 0 from judged),
                   queued as (
                     insert into outbox (product_id, subscription_id, round, lane, kind, version,
                       not_before, state, fence, tries, unknown)
                     select product_id, id, 1, 'notice', 'notice.ask', 1, :now, 'pending', 0, 0, 0
                     from judged)
                   insert into history (product_id, subscription_id, round, at, what, why,
                     version, actor)
                   select product_id, id, 1, :now, 'asked', 'unused', 1, 'clock' from judged"""
            ),
            {"now": NOW},
        )


def _sweep(url: str, processes: int) -> None:
    workers = [multiprocessing.Process(target=_sweep_once, args=(url,)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _sweep_once(url: str) -> None:
    database = Database(url)
    Sweeper(database, ground.KEY, NOW, batch=BATCH).run()
    database.close()


def _wal(database: Database) -> int:
    with database.transaction() as connection:
        return int(connection.scalar(text("select pg_current_wal_lsn() - '0/0'::pg_lsn")) or 0)


def _check(database: Database, due: int) -> None:
    """Refuse figures of a run that did not write every row."""
    with database.transaction() as connection:
        for table in ("reconfirmation", "outbox", "history"):
            found = connection.scalar(text(f"select count(*) from {table}"))  # noqa: S608 - named above
            if found != due:
                raise SystemExit(f"{table} has {found} rows and should have {due}")

"""What the benchmarks stand on: a durable database full of subscribers, and processes side by side.

Everything is on this machine. The database is tuned in one thing: checkpoints come seldom, as on
any server that takes in much, so that none falls into a measurement.
"""

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

from sqlalchemy import text

from app import embedded
from app import policy as policies
from app.store import migrate, products, versions
from app.store.database import Database

KEY = "big"
ONE_IN = 10
"""Of so many subscriptions one is due."""
POLICY = {
    "on_no_answer": "suspend",
    "never_used_after": "P1Y",
    "unused_after": "P1Y",
    "pace": {"ramp": ["100%"], "notices_per_day": 100_000_000},
    "guards": {"max_newly_due_share": "99%"},
}
ACTOR = "cli:bench"
WAIT = 300.0
"""No part may take longer than this many seconds."""
Job = Callable[[], Callable[[], object]]
"""Prepares something, and gives what is then measured."""


@contextmanager
def database() -> Iterator[Database]:
    """Give an empty durable database of the newest schema."""
    with (
        tempfile.TemporaryDirectory(
            prefix="reconfirm-bench-", ignore_cleanup_errors=True
        ) as folder,
        embedded.postgres(Path(folder), durable=True) as server,
    ):
        made = Database(server.database("bench"))
        migrate.upgrade(made)
        alone(made, "alter system set max_wal_size = '16GB'")
        alone(made, "select pg_reload_conf()")
        yield made
        made.close()


def found(database: Database, now: datetime, billing: str = "sandbox") -> int:
    """Add the product, with a policy in force and a feed that has told everything; give its id."""
    with database.transaction() as connection:
        product = products.add(connection, KEY, "Big", billing, now)
        products.change(connection, product, {"from_address": "care@big.example"})
        body = policies.write(policies.read(POLICY))
        version = versions.propose(connection, product, body, ACTOR, now)
        versions.activate(connection, product, version, ACTOR, now)
        feed = products.feed_named(connection, product, "app", now)
        products.cover(connection, feed.id, now.date().replace(year=2000), now.date())
    return product


def fill(
    database: Database,
    rows: int,
    now: datetime,
    zone: str = "Europe/Berlin",
    billing: str = "sandbox",
) -> int:
    """Fill a database with subscriptions, a tenth of them due; give how many are."""
    product = found(database, now, billing)
    with database.transaction() as connection:
        connection.execute(
            text(
                """insert into subscription (product_id, external_id, status, plan, country,
                     "interval", amount, currency, started_on, renews_at, last_used_on, told)
                   select :product, 'sub_' || n, 'active', 'standard', 'DE', 'month', 1349, 'EUR',
                     date '2020-01-01', cast(:today as date) + interval '19 days',
                     cast(:today as date) - case when n % :one_in = 0 then 579 - (n % 200)::int
                                                 else 100 end, '\\x00'
                   from generate_series(1, :rows) n"""
            ),
            {"product": product, "rows": rows, "one_in": ONE_IN, "today": now.date()},
        )
        connection.execute(
            text(
                """insert into contact select id, external_id || '@subscribers.example', 'de',
                     :zone, 'ok' from subscription"""
            ),
            {"zone": zone},
        )
    alone(database, "vacuum analyze")
    return rows // ONE_IN


def wind(database: Database, now: datetime) -> None:
    """Put every timer where it stood before the sweep."""
    with database.transaction() as connection:
        for table in ("reconfirmation", "outbox", "history", "timer", "quota", "evidence"):
            connection.execute(text(f"truncate {table}"))
        connection.execute(
            text(
                """insert into timer (product_id, due_at, subscription_id)
                   select product_id, case when last_used_on < :a_year_ago then :due
                                           else :not_due end, id
                   from subscription order by 1, 2, 3"""
            ),
            {
                "a_year_ago": now.date() - timedelta(days=366),
                "due": now - timedelta(hours=13),
                "not_due": now + timedelta(days=260),
            },
        )
    alone(database, "vacuum analyze timer")
    alone(database, "checkpoint")


def alone(database: Database, statement: str) -> None:
    """Run a statement outside a transaction."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(statement))


def number(database: Database, statement: str, **values: object) -> int:
    """Give the one number that a statement finds."""
    with database.transaction() as connection:
        return int(connection.scalar(text(statement), values) or 0)


def together(jobs: Sequence[Job]) -> float:
    """Prepare each job in a process of its own, then let all begin at once; give the seconds."""
    barrier = multiprocessing.Barrier(len(jobs) + 1)
    workers = [multiprocessing.Process(target=_prepared, args=(job, barrier)) for job in jobs]
    for worker in workers:
        worker.start()
    barrier.wait(WAIT)
    start = perf_counter()
    for worker in workers:
        worker.join(WAIT)
    seconds = perf_counter() - start
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a process failed")
    return seconds


def _prepared(job: Job, barrier: "multiprocessing.synchronize.Barrier") -> None:
    work = job()
    barrier.wait(WAIT)
    work()

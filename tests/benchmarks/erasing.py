"""Planning erasures: the manifest of a day on which everybody of a product is due, in bounded room.

Beside it stands one SQL statement that writes the same entries with no rule asked, and how much
memory our path takes as the number of people grows: it must stay where it is.
"""

import json
import multiprocessing
import resource
from datetime import UTC, datetime, timedelta
from functools import partial
from time import perf_counter

from sqlalchemy import text

from app import policy as policies
from app.clock import Clock
from app.engine.collecting import Collector
from app.store.database import Database
from tests.benchmarks import ground

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SMALL = 10
"""So many times fewer people are planned first, to compare the memory."""


def run(rows: int) -> None:
    """Fill a database with `rows` people whose data is due to be erased, and make the manifest."""
    with ground.database() as database:
        ground.fill(database, rows, NOW)
        _let_erase(database)
        print(f"{rows:,} subscriptions suspended, warned and due; durable, all on one machine")
        few = rows // SMALL
        for many in (few, rows):
            _make_due(database, many)
            seconds, peak, listed = _planned(database)
            print(
                f"manifest of {many:>10,} people, every rule asked {many / seconds:10,.0f} people/s"
                f" {peak:8,.1f} MB at most, {listed:,} on it"
            )
        limit = _limit(database, rows)
        print(f"limit: one SQL statement, no rule asked {rows / limit:17,.0f} people/s")
        print(f"    {limit / seconds:.2f} of the limit")


def _let_erase(database: Database) -> None:
    body = ground.POLICY | {
        "erase_after": "P60D",
        "pace": {"ramp": ["100%"], "notices_per_day": 100_000_000},
        "guards": {"max_newly_due_share": "100%"},
    }
    written = policies.write(policies.read(body))
    with database.transaction() as connection:
        values = {"body": json.dumps(written)}
        connection.execute(text("update policy set body = cast(:body as jsonb)"), values)
        connection.execute(text("update subscription set status = 'paused'"))


def _make_due(database: Database, many: int) -> None:
    """Let so many people be suspended and warned long ago, and their day have come."""
    with database.transaction() as connection:
        for table in ("manifest_entry", "manifest", "reconfirmation", "history"):
            connection.execute(text(f"truncate {table}"))
        connection.execute(
            text(
                """insert into reconfirmation (subscription_id, number, product_id, latest, stage,
                     why, opened_at, version, used_known, reminded, quiet, act_version, decided_by,
                     decided_at, erase_on, warned, warnings, warned_from, warned_on)
                   select id, 1, product_id, true, 'suspended', 'unused', :opened, 1, last_used_on,
                     0, false, 1, 'silence', :decided, cast(:today as date) - (id % 30)::int,
                     2, 2, cast(:today as date) - 90, cast(:today as date) - 45
                   from subscription order by id limit :many"""
            ),
            {
                "opened": NOW - timedelta(days=300),
                "decided": NOW - timedelta(days=270),
                "today": NOW.date(),
                "many": many,
            },
        )
    ground.alone(database, "vacuum analyze")
    ground.alone(database, "checkpoint")


def _planned(database: Database) -> tuple[float, float, int]:
    """Make the manifest in a process of its own; give seconds, its most memory in MB, how many."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, peak = pool.apply(partial(_plan, database.url))
    with database.transaction() as connection:
        listed = connection.execute(text("select people from manifest")).scalar_one()
    return seconds, peak, int(listed)


def _plan(url: str) -> tuple[float, float]:
    database = Database(url)
    collector = Collector(database, Clock(lambda: NOW))
    with database.transaction() as connection:
        connection.execute(text("select 1"))
    start = perf_counter()
    collector.work(ground.KEY, lambda: True)
    seconds = perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _limit(database: Database, many: int) -> float:
    with database.transaction() as connection:
        connection.execute(text("truncate manifest_entry"))
        connection.execute(text("update manifest set state = 'making', hash = null"))
    start = perf_counter()
    with database.transaction() as connection:
        done = connection.execute(
            text(
                """insert into manifest_entry (product_id, number, subscription_id, round, stage,
                     why, since, erase_on, warned_from, warned_on, warned)
                   select product_id, 1, subscription_id, number, stage, why, decided_at::date,
                     erase_on, warned_from, warned_on, warnings
                   from reconfirmation where outcome is null and erase_on <= :today
                   order by subscription_id"""
            ),
            {"today": NOW.date()},
        )
    if done.rowcount != many:
        raise AssertionError(f"{done.rowcount} entries for {many} people")
    return perf_counter() - start

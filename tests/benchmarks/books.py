"""The nightly comparison of who is as they were, beside the least that a page could cost.

The books are in this process's own memory, so what is measured is ours alone. Nobody has changed
since the night before, as is so of nearly everybody: each must be found unchanged, and known to be
listed. The limits read the same subscriptions by the same names, page by page, each in a durable
transaction: one only reads them and writes down how far it has come, the others also lock them,
or write the moment into each of them. COPY writes a row for each into a plain table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any

import psycopg
from sqlalchemy import text

from app import rows as written
from app.clock import Clock
from app.rows import Facts
from app.store import products
from app.store.database import Database
from app.world.connector import Capabilities, Charge, Connector, Page
from jobs.billing import Books
from tests.benchmarks import ground

PAGE = 100
"""As many as the billing systems give in one answer."""
MOST = 200_000
TIMES = 3
TARGET = 0.4
CAN = Capabilities(refunds=False)
_READ = """select external_id, id, told, told_at from subscription
    where product_id = %s and external_id = any(%s)"""
_TOUCH = """update subscription set told_at = now()
    where product_id = %s and external_id = any(%s)"""
_HOW_FAR = "update reconciliation set cursor = %s where product_id = %s"


class _Night(Clock):
    """A clock that a night can be added to."""

    def __init__(self, start: datetime) -> None:
        super().__init__()
        self.start = start

    def now(self) -> datetime:
        return self.start


@dataclass(slots=True)
class _Memory:
    """Books in memory: everybody as they were, page by page, and no charge."""

    people: Sequence[Facts]
    capabilities: Capabilities = CAN

    def page(self, after: str | None) -> Page[Facts]:
        start = int(after or 0)
        end = start + PAGE
        some = tuple(self.people[start:end])
        return Page(some, str(end) if end < len(self.people) else None)

    def charges(self, since: datetime, after: str | None) -> Page[Charge]:  # noqa: ARG002
        return Page((), None)


def run(rows: int) -> None:
    """Fill a database with `rows` subscriptions, then measure the limits and a night's run."""
    rows, now = min(rows, MOST), datetime.now(UTC)
    with ground.database() as database:
        ground.fill(database, rows, now, billing="standard")
        people = _people(rows)
        _told(database, people, now)
        print(f"{rows:,} subscriptions, {PAGE} a page; durable; medians of {TIMES}")
        bench = _Bench(database, people, _Night(now))
        limit = bench.measured("limit: read by name, a cursor a page", bench.read)
        for name, way in (
            ("        the same, each row locked", bench.lock),
            ("        the same, each row updated", bench.touch),
            ("        COPY of the same names", bench.copy),
        ):
            bench.measured(name, way)
        ours = bench.measured("a night's comparison, all unchanged", bench.night)
        print(f"    {ours / limit:.2f} of the limit (target {TARGET})")


def _people(rows: int) -> list[Facts]:
    """Give everybody as the ground has them: written once, and then only renamed."""
    first = written.read(
        {
            "id": "sub_1",
            "email": "sub_1@subscribers.example",
            "locale": "de",
            "country": "DE",
            "timezone": "Europe/Berlin",
            "plan": "standard",
            "amount": "13.49",
            "currency": "EUR",
            "interval": "month",
            "started_at": "2020-01-01T10:00:00Z",
            "renews_at": "",
            "status": "active",
        }
        | {"amount": "1349"}
    )
    return [replace(first, external_id=f"sub_{number + 1}") for number in range(rows)]


def _told(database: Database, people: Sequence[Facts], now: datetime) -> None:
    """Have everybody told of yesterday, and the table as tidy as an old one is."""
    with database.transaction() as connection:
        connection.execute(
            text("update subscription set told = :told, told_at = :at"),
            {"told": people[0].told, "at": now - timedelta(days=1)},
        )
        connection.execute(text("create table plain (name text, at timestamptz)"))
    ground.alone(database, "vacuum full analyze subscription")
    ground.alone(database, "checkpoint")


class _Bench:
    """The database, the books, and the ways to go through them."""

    def __init__(self, database: Database, people: Sequence[Facts], clock: _Night) -> None:
        self.database = database
        self.people = people
        self.clock = clock
        with database.transaction() as connection:
            self.product = products.row_of(connection, ground.KEY).id
            connection.execute(
                text("insert into reconciliation (product_id, due_at) values (:id, now())"),
                {"id": self.product},
            )

    def measured(self, name: str, way: Callable[[], None]) -> float:
        """Go through the books so often; print and give the median of subscriptions a second."""
        rates, logged = [], []
        for _ in range(TIMES):
            self.clock.start += timedelta(days=1)
            ground.alone(self.database, "vacuum subscription")
            ground.alone(self.database, "checkpoint")
            before, start = self._log(), perf_counter()
            way()
            rates.append(len(self.people) / (perf_counter() - start))
            logged.append((self._log() - before) / len(self.people))
        size = ground.number(self.database, "select pg_table_size('subscription')") >> 20
        print(
            f"{name:38} {median(rates):9,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f})"
            f"  {median(logged):6,.0f} bytes of log each, the table has {size} MB"
        )
        return median(rates)

    def _log(self) -> int:
        return ground.number(self.database, "select pg_current_wal_lsn() - '0/0'::pg_lsn")

    def _pages(self, work: Callable[[psycopg.Cursor[Any], list[str]], object]) -> None:
        with psycopg.connect(self.database.url) as connection, connection.cursor() as run:
            for start in range(0, len(self.people), PAGE):
                work(run, [each.external_id for each in self.people[start : start + PAGE]])
                run.execute(_HOW_FAR, (str(start), self.product))
                connection.commit()

    def read(self) -> None:
        """Only read, and write how far it has come."""
        self._pages(lambda run, names: run.execute(_READ, (self.product, names)).fetchall())

    def lock(self) -> None:
        """Lock each row too."""
        locking = f"{_READ} order by id for update"
        self._pages(lambda run, names: run.execute(locking, (self.product, names)).fetchall())

    def touch(self) -> None:
        """Write the moment into each row."""
        self._pages(lambda run, names: run.execute(_TOUCH, (self.product, names)))

    def copy(self) -> None:
        """Write each name and the moment into a plain table."""
        at = self.clock.now()

        def work(run: psycopg.Cursor[Any], names: list[str]) -> None:
            with run.copy("copy plain from stdin") as copy:
                for name in names:
                    copy.write_row((name, at))

        self._pages(work)

    def night(self) -> None:
        """Compare, as it is done every night."""
        connector: Connector = _Memory(self.people)  # type: ignore[assignment] # lists, and no more
        found = Books(self.database, self.clock, lambda _: connector).run(ground.KEY)
        if found is None or found.counts["unchanged"] != len(self.people):
            raise SystemExit(f"not everybody was found unchanged: {found}")
        if found.counts["missing"] or found.counts["repaired"]:
            raise SystemExit(f"somebody was found missing or different: {found}")

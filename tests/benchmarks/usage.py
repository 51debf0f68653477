"""Intake of usage, beside one statement that folds the same events, and beside COPY.

Events name people as billing does, in no order. The limit for distinct people is one UPDATE a
transaction over arrays sorted by key, where the day is newer; it finds them by that name, as it
must, and for comparison also by our own ids, which no event carries. The limit for repeats is COPY
of the same events, made into bytes beforehand, into a table without an index. Ours tells what
became of each batch, ends the rounds of who came back, and remembers whom it does not know.
"""

import hashlib
import random
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from statistics import median
from time import sleep

import psycopg
from sqlalchemy import text

from app.clock import Clock
from app.store import products
from app.store.database import Database
from app.usage import Intake, Told, Use
from tests.benchmarks import ground
from tests.benchmarks.caller import call, request
from tests.benchmarks.ground import Job
from tests.benchmarks.serving import served

BATCH = 1_000
"""Events a transaction, and a request."""
MOST_DISTINCT = 100_000
MOST_REPEATING = 50_000
REPEATS = 10
TIMES = 3
CLIENTS = 4
COPY = "limit: COPY into a plain table"
Events = list[int]
"""The numbers of the subscriptions used."""
_FOLD = """update subscription s set last_used_on = v.day
    from unnest(%s::{type}[], %s::date[]) as v(key, day)
    where {match} and (s.last_used_on is null or s.last_used_on < v.day)"""
BY_NAME = _FOLD.format(type="text", match="s.product_id = {product} and s.external_id = v.key")
BY_ID = _FOLD.format(type="bigint", match="s.id = v.key")


def run(rows: int, servers: str = "ours", threads: int = 2) -> None:
    """Measure distinct people and repeats, by the intake and over HTTP, one and two processes."""
    now = datetime.now(UTC)
    with ground.database() as database:
        ground.fill(database, rows, now)
        ground.alone(database, "create table plain (name text, day date)")
        bench = _Bench(database, rows, now.date(), servers, threads)
        print(
            f"{rows:,} subscriptions; durable; {BATCH:,} events a transaction; medians of {TIMES}"
        )
        bench.distinct()
        bench.repeats()


class _Bench:
    """The database, and the days of use, of which each run takes a newer one."""

    def __init__(
        self, database: Database, rows: int, today: date, server: str, threads: int
    ) -> None:
        self.database = database
        self.rows = rows
        self.day = today - timedelta(days=90)
        self.server = server
        self.threads = threads
        self.random = random.Random(1)  # noqa: S311 - an order, and no secret
        with database.transaction() as connection:
            self.product = products.row_of(connection, ground.KEY).id
            self.first = int(connection.scalar(text("select min(id) from subscription")) or 0)
        self.api_key = _key(database, self.product)

    # --- distinct people -----------------------------------------------------------------------

    def distinct(self) -> None:
        """Measure people used once each."""
        people = min(self.rows, MOST_DISTINCT)
        print(f"distinct: {people:,} people, once each")
        chosen = self.random.sample(range(self.rows), people)
        self._fold(chosen, 1, by_id=True)  # every page has been written once since the checkpoint
        for processes in (1, 2):
            self._compare(
                processes,
                (people, people),
                {
                    "limit: one UPDATE a batch, by name": partial(self._fold, chosen, processes),
                    "        the same by our own ids": partial(
                        self._fold, chosen, processes, by_id=True
                    ),
                    "Intake.record": partial(self._intake, chosen, processes),
                    "HTTP API": partial(self._http, chosen, processes),
                },
                target=0.8,
            )

    # --- repeats -------------------------------------------------------------------------------

    def repeats(self) -> None:
        """Measure people used ten times each."""
        people = min(self.rows, MOST_REPEATING)
        print(f"repeats: {people:,} people, {REPEATS} times each")
        chosen = self.random.sample(range(self.rows), people) * REPEATS
        self.random.shuffle(chosen)
        for processes in (1, 2):
            self._compare(
                processes,
                (len(chosen), people),
                {
                    COPY: partial(self._copy, chosen, processes),
                    "Intake.record": partial(self._intake, chosen, processes),
                    "HTTP API": partial(self._http, chosen, processes),
                },
                target=0.35,
            )

    def _compare(
        self,
        processes: int,
        many: tuple[int, int],
        ways: dict[str, Callable[[], float]],
        target: float,
    ) -> None:
        """Measure ways by turns, over so many events and people; print each beside the first."""
        events, people = many
        rates: dict[str, list[float]] = {way: [] for way in ways}
        hot: dict[str, float] = {}
        for _ in range(TIMES):
            for way, measured in ways.items():
                before = self._updates()
                rates[way].append(events / measured())
                hot[way] = self._hot_since(before)
                self._check(way, people)
        limit = median(next(iter(rates.values())))
        for way, found in rates.items():
            rate = median(found)
            print(
                f"{way:38} {processes} process{'es' if processes > 1 else '  '}"
                f" {rate:10,.0f} events/s ({min(found):,.0f} to {max(found):,.0f})"
                f"   {rate / limit:.2f} of the limit   HOT {hot[way]:.1%}"
            )
        print(f"    (target {target}, 100 % HOT)")

    def _check(self, way: str, people: int) -> None:
        """Refuse figures of a run that did not move the day of everybody."""
        moved = ground.number(
            self.database,
            "select count(*) from subscription where last_used_on = :day",
            day=self.day,
        )
        if moved != people and not way.startswith(COPY):
            raise SystemExit(f"{way}: {moved} of {people} people were moved to {self.day}")

    def _updates(self) -> tuple[int, int]:
        """Give how many rows of subscriptions were updated so far, and how many of those HOT."""
        what = "from pg_stat_user_tables where relname = 'subscription'"
        return (
            ground.number(self.database, f"select n_tup_upd {what}"),
            ground.number(self.database, f"select n_tup_hot_upd {what}"),
        )

    def _hot_since(self, before: tuple[int, int]) -> float:
        sleep(1.2)  # what other sessions did is told once a second
        after = self._updates()
        return (after[1] - before[1]) / max(1, after[0] - before[0])

    # --- ways ----------------------------------------------------------------------------------

    def _next_day(self) -> date:
        self.day += timedelta(days=1)
        return self.day

    def _each(self, events: Events, processes: int, job: Callable[[list[Events]], Job]) -> float:
        """Deal the events out in batches, and let the processes work; give the seconds."""
        batches = [events[start:][:BATCH] for start in range(0, len(events), BATCH)]
        return ground.together([job(batches[number::processes]) for number in range(processes)])

    def _fold(self, events: Events, processes: int, *, by_id: bool = False) -> float:
        day, url, first = self._next_day(), self.database.url, self.first
        statement = BY_ID if by_id else BY_NAME.format(product=self.product)

        def job(batches: list[Events]) -> Job:
            def prepared() -> Callable[[], None]:
                made = [sorted(first + n if by_id else _name(n) for n in some) for some in batches]
                connection = psycopg.connect(url)

                def work() -> None:
                    for keys in made:
                        connection.execute(statement, (keys, [day] * len(keys)), binary=True)
                        connection.commit()
                    connection.close()

                return work

            return prepared

        return self._each(events, processes, job)

    def _copy(self, events: Events, processes: int) -> float:
        day, url = self._next_day(), self.database.url

        def job(batches: list[Events]) -> Job:
            def prepared() -> Callable[[], None]:
                made = ["".join(f"{_name(n)}\t{day}\n" for n in some).encode() for some in batches]
                connection = psycopg.connect(url)

                def work() -> None:
                    for each in made:
                        with connection.cursor().copy("copy plain from stdin") as copy:
                            copy.write(each)
                        connection.commit()
                    connection.close()

                return work

            return prepared

        return self._each(events, processes, job)

    def _intake(self, events: Events, processes: int) -> float:
        day, url = self._next_day(), self.database.url

        def job(batches: list[Events]) -> Job:
            def prepared() -> Callable[[], None]:
                made = [[Use(False, _name(n), day) for n in some] for some in batches]  # noqa: FBT003
                database = Database(url)
                intake = Intake(database, Clock())
                intake.announce(ground.KEY, "app")

                def work() -> None:
                    for uses in made:
                        intake.record(ground.KEY, Told.of(uses), ground.ACTOR)
                    database.close()

                return work

            return prepared

        return self._each(events, processes, job)

    def _http(self, events: Events, processes: int) -> float:
        """Call the API of so many server processes, over a few kept connections."""
        day = self._next_day()
        requests = [
            self._request(events[start:][:BATCH], day) for start in range(0, len(events), BATCH)
        ]
        with served(
            self.database.url, self.server, processes=processes, threads=self.threads
        ) as server:
            for _ in range(CLIENTS):
                call(server.ports, [self._request([], day)] * CLIENTS, CLIENTS)
            return len(requests) / call(server.ports, requests, CLIENTS).rate

    def _request(self, events: Sequence[int], day: date) -> bytes:
        lines = ",".join(
            f'{{"subscription":"{_name(n)}","used_at":"{day}T08:57:25Z"}}' for n in events
        )
        headers = (
            ("Authorization", f"Bearer {self.api_key}"),
            ("Content-Type", "application/json"),
        )
        body = f'{{"events":[{lines}]}}'.encode()
        return request("POST", f"/v1/products/{ground.KEY}/usage", body, headers)


def _name(number: int) -> str:
    return f"sub_{number + 1}"


def _key(database: Database, product: int) -> str:
    """Make an API key for usage, as the command does."""
    key = "rk_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(key.encode()).digest()
    with database.transaction() as connection:
        now = datetime.now(UTC)
        feed = products.feed_named(connection, product, "app", now).id
        products.add_key(connection, product, digest, key[:7], "usage", feed, now)
    return key

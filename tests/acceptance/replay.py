"""Two years of real use, replayed day by day through the whole application on its test clock.

Everything is put together as `app.cli.installation` does it, on the sandbox billing. Only the relay
is one's own: it takes every mail and remembers to whom, which, and when. At 00:00Z of day D those
who start on D are imported, the use of day D-1 is told, and the clock walks on to the next day.
"""

import csv
import gzip
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from sqlalchemy import event, text

from app import embedded, policy, rows, settings
from app.cli.installation import Installation, assemble
from app.clock import Clock
from app.engine.effects import Effects
from app.mirror import replan
from app.store import migrate, products, testclock, versions
from app.store.database import Database
from app.usage import Told, day_used
from app.world.billing import sandbox
from app.world.outcome import Done, No, Outcome
from jobs.outbox import Worker
from jobs.walk import Walker
from tests.acceptance.oracle import midnight_utc

Row = dict[str, str]
PRODUCT, FEED, ACTOR = "television", "app", "cli:acceptance"
ONE_DAY = timedelta(days=1)
PEOPLE_A_BATCH, USES_A_BATCH = 1000, 10_000
KIND = re.compile(rb"^Message-ID: <([a-z-]+)\.", re.MULTILINE)
DATE = re.compile(rb"^Date: (.+)\r$", re.MULTILINE)
ROUNDS = text(
    """select s.external_id, c.timezone, r.number, r.opened_at, r.asked_at, r.outcome, r.stage,
         r.closed_at, r.decided_at, r.paid_until, r.erase_on
       from reconfirmation r join subscription s on s.id = r.subscription_id
       join contact c on c.subscription_id = s.id order by s.external_id, r.number"""
)
LEFT = text("select kind || ' ' || state as what, count(*) as many from outbox group by 1")


@dataclass
class CountingRelay:
    """A relay that takes every mail and keeps to whom it went, of which kind and date."""

    taken: list[tuple[str, str, datetime]] = field(default_factory=list)

    def send(self, envelope_from: str, to: str, message: bytes) -> Outcome:  # noqa: ARG002
        headers, _, _ = message.partition(b"\r\n\r\n")
        kind, at = KIND.search(headers), DATE.search(headers)
        if kind is None or at is None:
            return No("no Message-ID or no Date")
        self.taken.append((to, kind[1].decode(), parsedate_to_datetime(at[1].decode())))
        return Done()

    def check(self) -> str:
        return "mails are counted and dropped"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Files:
    """Both files of the folder: people by the day they start, use by its UTC day."""

    starting: dict[date, list[Row]]
    using: dict[date, list[Row]]

    @classmethod
    def read(cls, folder: Path) -> "Files":
        files = cls({}, {})
        for row in _rows(folder / "subscriptions.csv.gz"):
            files.starting.setdefault(_utc_day(row["started_at"]), []).append(row)
        for row in _rows(folder / "usage.csv.gz"):
            files.using.setdefault(_utc_day(row["used_at"]), []).append(row)
        return files


def _rows(file: Path) -> Iterator[Row]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def _utc_day(moment: str) -> date:
    return datetime.fromisoformat(moment).astimezone(UTC).date()


def _until(days: dict[date, list[Row]], last: date) -> list[Row]:
    return [row for day in sorted(days) if day <= last for row in days[day]]


def _batches(lines: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    for at in range(0, len(lines), size):
        yield lines[at : at + size]


# --- living through it ---------------------------------------------------------------------


@dataclass
class Replay:
    """The application with one product, and the files it lives through."""

    parts: Installation
    files: Files
    relay: CountingRelay

    def live(
        self,
        body: dict[str, Any],
        span: tuple[date, date],
        covers_from: date,
        progress: Callable[[date], None],
    ) -> None:
        """Live from the first day to the last under a policy."""
        start, end = span
        self._begin(body, start, covers_from)
        walker = self._walker()
        day = start
        while day < end:
            day += ONE_DAY
            walker.advance(midnight_utc(day))
            self.join(self.files.starting.get(day, []))
            self.tell(self.files.using.get(day - ONE_DAY, []), None, day - ONE_DAY)
            progress(day)
        walker.settle()

    def _begin(self, body: dict[str, Any], start: date, covers_from: date) -> None:
        with self.parts.database.transaction() as connection:
            testclock.write(connection, midnight_utc(start))
            number = products.add(connection, PRODUCT, "Television", "sandbox", midnight_utc(start))
            given = {"from_address": "hello@tv.example", "support_url": "https://tv.example/help"}
            products.change(connection, number, given)
        self.join(_until(self.files.starting, start))
        self.tell(_until(self.files.using, start - ONE_DAY), covers_from, start - ONE_DAY)
        self._put_in_force(body)

    def _put_in_force(self, body: dict[str, Any]) -> None:
        now = self.parts.clock.now()
        with self.parts.database.transaction() as connection:
            number = products.row_of(connection, PRODUCT).id
            written = policy.write(policy.read(body))
            version = versions.propose(connection, number, written, ACTOR, now)
            versions.activate(connection, number, version, ACTOR, now)
        replan(self.parts.database, self.parts.clock, PRODUCT)

    def join(self, lines: Sequence[Row]) -> None:
        """Import people."""
        mirror = self.parts.mirror("sandbox")
        for batch in _batches(lines, PEOPLE_A_BATCH):
            mirror.bring(PRODUCT, [rows.read(row) for row in batch], ACTOR)

    def tell(self, lines: Sequence[Row], covers_from: date | None, through: date) -> None:
        """Record use, and that everything up to a day has been told."""
        intake, now = self.parts.intake, self.parts.clock.now()
        for batch in _batches(lines, USES_A_BATCH):
            days: dict[str, date] = {}
            for row in batch:
                name, used = row["subscription"], day_used(row["used_at"], now)
                days[name] = max(used, days.get(name, used))
            intake.record(PRODUCT, Told(days, {}), ACTOR)
        intake.covers(PRODUCT, FEED, covers_from, through)

    def _walker(self) -> Walker:
        parts = self.parts
        effects = Effects(parts.database, parts.clock, parts.links)
        worker = Worker(parts.database, parts.clock, effects, self.relay, parts.connector)
        return Walker(parts.database, parts.clock, worker)

    # --- what it did -----------------------------------------------------------------------

    def rounds(self) -> list[Any]:
        """Give every round with whose it is, in order."""
        with self.parts.database.transaction() as connection:
            return list(connection.execute(ROUNDS))

    def charges(self) -> list[tuple[str, datetime, int, str]]:
        """Give every charge of the sandbox."""
        with self.parts.database.transaction() as connection:
            return sandbox.charges(connection, PRODUCT)

    def acts(self) -> list[tuple[str, str, datetime, str, int]]:
        """Give every act the sandbox was told of."""
        with self.parts.database.transaction() as connection:
            return sandbox.acts(connection, PRODUCT)

    def left(self) -> dict[str, int]:
        """Count what still waits in the outbox."""
        with self.parts.database.transaction() as connection:
            return {row.what: row.many for row in connection.execute(LEFT)}

    def mails(self) -> Iterator[tuple[str, str, datetime]]:
        """Give (person, kind, moment) of every mail."""
        owners = {row["email"]: row["id"] for some in self.files.starting.values() for row in some}
        for to, kind, at in self.relay.taken:
            yield owners[to], kind, at


@contextmanager
def replay(folder: Path) -> Iterator[Replay]:
    """Give a replay on an empty database; its server lives as long as the block."""
    with ExitStack() as stack:
        made = tempfile.TemporaryDirectory(prefix="reconfirm-acceptance-")
        scratch = stack.enter_context(made)
        server = stack.enter_context(embedded.postgres(Path(scratch), durable=False))
        database = Database(server.database("acceptance"))
        stack.callback(database.close)
        migrate.upgrade(database)
        environment = {"RECONFIRM_DATA_DIR": scratch, "RECONFIRM_CLOCK": "test"}
        parts = assemble(settings.load(environment), database, stack)
        remembered = replace(parts, clock=remembering(parts.clock, database))
        yield Replay(remembered, Files.read(folder), CountingRelay())


def remembering(clock: Clock, database: Database) -> Clock:
    """Give a clock that reads its row again only after somebody here has written it.

    Nobody else writes: the server is this process's own, and everything runs in one thread.
    """
    kept: list[datetime] = []

    def read() -> datetime:
        if not kept:
            kept.append(clock.now())
        return kept[0]

    @event.listens_for(database.engine, "after_cursor_execute")
    def written(*given: Any) -> None:
        if "INTO clock" in given[2]:
            kept.clear()

    return Clock(read)


def day_in(zone: str, moment: datetime) -> date:
    """Give the day that it is in a time zone."""
    return moment.astimezone(ZoneInfo(zone)).date()

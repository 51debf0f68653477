"""What the eraser does, product by product: manifests, erasures, and the targets that are told.

A process of its own, since it may do what no other may. It finds what is due in the database and is
woken by nobody: an erasure is never so urgent that a few seconds count.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event

from app import log
from app.clock import Clock
from app.engine.collecting import Collector
from app.engine.erasing import Eraser
from app.store import products, running, wiping
from app.store.database import Database
from app.store.running import ERASING, Run
from jobs.telling import Teller

EVERY = timedelta(seconds=2)
NOTED_EVERY = timedelta(minutes=1)
"""So often the eraser says that it is there, where it has nothing to do."""
EXPIRES_EVERY = timedelta(hours=1)
STINT = timedelta(seconds=20)
SAY = log.logger("eraser")


@dataclass
class Erasing:
    """Everything that is to be done about erasing, for one product after the other."""

    database: Database
    clock: Clock
    collector: Collector
    eraser: Eraser
    teller: Teller
    stopping: Event = field(default_factory=Event)
    did: int = 0
    """How much was done since the planner last took its samples."""

    def work(self, product: str, go_on: Callable[[], bool]) -> tuple[int, bool]:
        """Do what can be done for a product while `go_on` says so.

        Give how much was done, and whether nothing is left that can be done now. A part that fails
        keeps no other from its work: what failed first is raised after that.
        """
        total = 0
        while go_on():
            did = 0
            failed: list[Exception] = []
            for each in (self.collector.work, self.eraser.work, self.teller.work):
                try:
                    did += each(product, go_on)[0]
                except Exception as error:  # noqa: BLE001 - the other parts go on
                    failed.append(error)
            if failed:
                raise failed[0]
            total += did
            if not did:
                return total, True
        return total, False

    # --- a process of its own ------------------------------------------------------------------

    def run(self) -> None:
        """Work until told to stop; a product that fails stops no other."""
        self.eraser.tidy()
        expired = noted = datetime.min.replace(tzinfo=UTC)
        while not self.stopping.is_set():
            wall = self.clock.wall()
            if wall - expired >= EXPIRES_EVERY:
                expired = wall
                self._expire()
            quiet = wall - noted < NOTED_EVERY
            noted = noted if quiet else wall
            if not self._once(quiet=quiet):
                self.stopping.wait(EVERY.total_seconds())

    def _once(self, *, quiet: bool) -> int:
        """Go through the products once; give how much was done."""
        try:
            with self.database.transaction() as connection:
                keys = products.keys(connection)
        except Exception as error:  # noqa: BLE001 - the database comes back, and we are still there
            SAY.error("database_away", exc_info=error)
            return 0
        return sum(self._product(key, quiet=quiet) for key in keys)

    def _product(self, key: str, *, quiet: bool) -> int:
        started, at = self.clock.wall(), self.clock.now()
        until, did, idle, failed, stopped = started + STINT, 0, True, 0, None
        try:
            did, idle = self.work(key, lambda: self._go_on(until))
        except Exception as error:  # noqa: BLE001 - one bad product must not stop the others
            SAY.error("job_failed", job=ERASING, product=key, exc_info=error)
            failed, stopped = 1, f"failed: {type(error).__name__}"
        self.did += did
        if did or failed or not quiet:
            self._note(key, at, started, (did, failed, idle, stopped))
        return did

    def _go_on(self, until: datetime) -> bool:
        return not self.stopping.is_set() and self.clock.wall() < until

    def _note(
        self, key: str, at: datetime, started: datetime, what: tuple[int, int, bool, str | None]
    ) -> None:
        did, failed, idle, stopped = what
        try:
            with self.database.transaction() as connection:
                number = products.row_of(connection, key).id
                ended = self.clock.wall()
                run = Run(number, ERASING, at, started, ended, did, failed, idle, stopped)
                running.note_run(connection, run)
        except Exception as error:  # noqa: BLE001 - what was done is done
            SAY.error("not_noted", product=key, exc_info=error)

    def _expire(self) -> None:
        """Forget what was kept long enough, and what the planner may remember of who was erased."""
        try:
            with self.database.transaction() as connection:
                gone = wiping.expire_archive(connection, self.clock.now().astimezone(UTC).date())
                wiping.blank_settled(connection)
                if self.did:
                    wiping.forget_samples(connection)
            self.did = 0
        except Exception as error:  # noqa: BLE001 - tried again in an hour
            SAY.error("archive_not_expired", exc_info=error)
            return
        if gone:
            SAY.info("archive_expired", many=gone)

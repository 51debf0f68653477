"""Lets time pass on the test clock: walks to each due moment or charge, and waits until idle."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.clock import Clock
from app.runs import Runs
from app.sealing import Sealer
from app.store import due, products, running, testclock
from app.store.database import Database
from app.store.running import BOOKS
from app.versions.planning import Planner
from app.world.billing import sandbox
from jobs.billing import Books
from jobs.erasing import Erasing
from jobs.hooks import Hooks
from jobs.outbox import Worker
from jobs.sweep import sweep


@dataclass(frozen=True, slots=True)
class Walker:
    """Moves the test clock, doing everything that falls due on the way."""

    database: Database
    clock: Clock
    worker: Worker
    hooks: Hooks | None = None
    books: Books | None = None
    erasing: Erasing | None = None

    def settle(self) -> Counter[str]:
        """Do whatever is due at this moment, until nothing is."""
        with self.database.transaction() as connection:
            sandbox.charge_due(connection, self.clock.now())
        total: Counter[str] = Counter()
        while True:
            self._obey()
            swept = sum((each.counts for each in sweep(self.database, self.clock)), Counter[str]())
            delivered = self.worker.until_idle() + self._erase() + self._tell()
            delivered += self._keep_books()
            total += swept + delivered
            if not swept.total() and not delivered.total():
                Sealer(self.database, self.clock).seal()
                return total

    def _obey(self) -> None:
        """Do what people have decided: versions whose time has come, runs to be taken back."""
        now, wall = self.clock.now(), self.clock.wall()
        with self.database.transaction() as connection:
            found = running.all_due(connection, now, wall)
        for each in found:
            if each.policy:
                Planner(self.database, self.clock).work(each.key, lambda: True)
            if each.undo:
                Runs(self.database, self.clock).undo(each.key, lambda: True)

    def _tell(self) -> Counter[str]:
        """Tell endpoints what has happened, where any is to be told."""
        total: Counter[str] = Counter()
        if self.hooks is not None:
            with self.database.transaction() as connection:
                keys = products.keys(connection)
            for key in keys:
                while done := self.hooks.once(key):
                    total += done
        return total

    def _erase(self) -> Counter[str]:
        """Make manifests, and erase what may be erased now."""
        total: Counter[str] = Counter()
        if self.erasing is not None:
            with self.database.transaction() as connection:
                keys = products.keys(connection)
            for key in keys:
                did, _ = self.erasing.work(key, lambda: True)
                total += Counter({"erasing": did})
        return total

    def _keep_books(self) -> Counter[str]:
        """Read back, compare with billing and give back what is due."""
        total: Counter[str] = Counter()
        if self.books is None:
            return total
        now, wall = self.clock.now(), self.clock.wall()
        with self.database.transaction() as connection:
            found = running.all_due(connection, now, wall)
        for each in found:
            for job in BOOKS:
                if each.waiting(job):
                    did, _ = self.books.work(job, each.key, lambda: True)
                    total += Counter({job: did})
        return total

    def advance(
        self, until: datetime, progress: Callable[[datetime], None] = lambda _: None
    ) -> Counter[str]:
        """Walk to a moment; the clock stops at each moment at which something falls due."""
        total = self.settle()
        while (moment := self._next(until)) < until:
            self._set(moment)
            total += self.settle()
            progress(moment)
        self._set(until)
        total += self.settle()
        progress(until)
        return total

    def _next(self, until: datetime) -> datetime:
        now = self.clock.now()
        with self.database.transaction() as connection:
            moments = [due.next_moment(connection, now), sandbox.next_renewal(connection)]
        return min((each for each in moments if each is not None and each > now), default=until)

    def _set(self, moment: datetime) -> None:
        with self.database.transaction() as connection:
            testclock.write(connection, moment)

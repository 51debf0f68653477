"""Keeps the counts that forecasts are told from: folds, counts at night, compares, repairs."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.clock import Clock
from app.store import counts, products
from app.store.database import Database

NIGHTLY = timedelta(hours=20)
"""Those apart are counted anew when their counts are older than this and it is another day."""
WEEKLY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps the counts of products: folds what waits, counts those apart, compares and repairs."""

    database: Database
    clock: Clock

    def fold(self, product_key: str, most: int = 1000) -> int:
        """Fold what waits, a batch a transaction and at most so many; give how many rows it was."""
        product_id = self._id(product_key)
        total = 0
        for _ in range(most):
            done = self.database.retrying(lambda c: counts.fold(c, product_id))
            if not done:
                break
            total += done
        return total

    def count_apart(self, product_key: str) -> datetime:
        """Count anew those apart, as of now; give when that was."""
        product_id, now = self._id(product_key), self.clock.now()
        self.database.retrying(lambda c: counts.count_apart(c, product_id, now))
        return now

    def check(self, product_key: str, *, repair: bool = False) -> tuple[int, list[counts.Drift]]:
        """Compare the counts with the subscriptions; give how many differ, and the first of them.

        With `repair` they are counted anew where any does.
        """
        product_id, now = self._id(product_key), self.clock.now()

        def work(connection: Connection) -> tuple[int, list[counts.Drift]]:
            found = counts.check(connection, product_id)
            mended = bool(repair and found[0])
            if mended:
                counts.rebuild(connection, product_id)
            counts.note_check(connection, product_id, now, 0 if mended else found[0])
            return found

        return self.database.retrying(work)

    def nightly(self, product_key: str) -> int:
        """Count those apart once a day, and compare once a week; give how many counts are wrong."""
        product_id, now = self._id(product_key), self.clock.now()
        with self.database.transaction() as connection:
            state = counts.state(connection, product_id)
        nightly = state.apart_at is None or (
            now.date() != state.apart_at.date() and now - state.apart_at >= NIGHTLY
        )
        weekly = state.checked_at is None or now - state.checked_at >= WEEKLY
        if nightly:
            self.count_apart(product_key)
        return self.check(product_key)[0] if weekly else 0

    def _id(self, product_key: str) -> int:
        with self.database.transaction() as connection:
            return int(products.row_of(connection, product_key).id)

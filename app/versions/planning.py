"""What follows when a version is put in force: at its time, and the look at everybody anew.

The walk goes by ranges of ids, each a transaction that notes how far it has come; so it may stop
and be killed anywhere, and whoever goes on goes on from there. It always plans by the policy in
force: a version that is put in force meanwhile begins it anew.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from app.clock import Clock
from app.mirror import plan_range
from app.store import plans, products
from app.store.database import Database
from app.versions import Versions

A_RANGE = 5000


@dataclass(frozen=True, slots=True)
class Planner:
    """Does what follows from versions of a policy."""

    database: Database
    clock: Clock

    def work(self, product_key: str, go_on: Callable[[], bool]) -> tuple[int, bool]:
        """Do what is due while `go_on` says so; give how much, and whether nothing is left."""
        did = Versions.on(self.database, self.clock).activate_due(product_key)
        while go_on():
            seen = self.a_range(product_key)
            if seen is None:
                return did, True
            did += max(1, seen)
        return did, False

    def walk(self, product_key: str, progress: Callable[[float], None]) -> None:
        """Walk to the end, telling what part is done; where a worker walks too, they take turns."""
        while self.a_range(product_key, wait=True) is not None:
            with self.database.transaction() as connection:
                plan = plans.of(connection, products.row_of(connection, product_key).id)
            progress(1.0 if plan is None else plan.share)

    def a_range(self, product_key: str, *, wait: bool = False) -> int | None:
        """Look at the next range; give how many it had, None where nothing is left to be done.

        Not to `wait` gives None, too, where another process is at it.
        """

        def work(connection: Connection) -> int | None:
            product = products.load(connection, product_key)
            plan = plans.take(connection, product.id, wait=wait)
            if plan is None:
                return None
            # Who waited for the turn sees the policy in force by now.
            product = products.load(connection, product_key)
            ids = plan_range(connection, product, plan.after_id, self.clock.now(), A_RANGE)
            if ids:
                plans.went_on(connection, product.id, ids[-1])
            else:
                plans.finish(connection, product.id, self.clock.now())
            return len(ids)

        return self.database.retrying(work)

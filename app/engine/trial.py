"""Whom a policy would ask that is not in force: the rules over everybody, writing nothing.

A sweep finds who is due by the timers of the policy in force; here each subscription is looked at,
by ranges of ids. Pace, ramp and taking turns within a customer only spread the asks over days, and
brakes only put them off: both are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from app.engine.door import Batch
from app.lifecycle.case import Stage, Tick
from app.policy import Policy
from app.store import cases, population, products
from app.store.database import Database
from app.store.products import Product

A_RANGE = 2000


@dataclass(frozen=True, slots=True)
class Seen:
    """A range of subscriptions that were looked at: the last id, how many, and who would be asked.

    `asked` holds (id, why).
    """

    last: int
    looked_at: int
    asked: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """A dry run of one version of a policy at one moment; the version need not be in force."""

    database: Database
    product_key: str
    policy: Policy
    now: datetime

    def a_range(self, after: int, limit: int = A_RANGE) -> Seen | None:
        """Look at the next subscriptions behind an id; None where there are none."""
        with self.database.transaction() as connection:
            product = self._as_if(products.load(connection, self.product_key))
            ids = population.ids_after(connection, product.id, after, limit)
            if not ids:
                return None
            found = cases.read(connection, product.id, ids, product.hearing, lock=False)
        batch = Batch(product, self.now, found)
        for sid, case in found.items():
            if case.stage is Stage.ACTIVE:
                batch.apply(sid, Tick())
        asked = tuple(
            (each.subscription_id, each.why)
            for each in batch.history
            if each.what == "asked" and each.subscription_id is not None
        )
        return Seen(ids[-1], len(ids), asked)

    def everybody(self) -> Iterator[Seen]:
        """Look at all there are, a range at a time."""
        after = 0
        while (seen := self.a_range(after)) is not None:
            yield seen
            after = seen.last

    def _as_if(self, product: Product) -> Product:
        """Give the product as if this version were in force."""
        version = self.policy.version
        policies = {**product.policies, version: self.policy}
        return replace(product, policy_version=version, policies=policies)

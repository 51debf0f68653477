"""Brings what billing tells about subscriptions into the mirror, and its changes through the door.

What a source says again, to the letter, changes nothing: the digest of the last telling is kept.
So a stale file read twice is never taken for an act of billing's own.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from app.clock import Clock
from app.engine.door import Batch, apply_in, open_batch, set_timers
from app.lifecycle.case import AddressChanged, Event, Told
from app.store import cases, population, products
from app.store.database import Database
from app.store.population import Facts
from app.store.products import Product
from app.world.billing import sandbox

Adopt = Callable[[Connection, str, Sequence[Facts], datetime], Sequence[Facts]]
"""What a billing system of our own does with new subscriptions: the sandbox opens accounts."""


def keep(
    connection: Connection,  # noqa: ARG001
    product: str,  # noqa: ARG001
    facts: Sequence[Facts],
    now: datetime,  # noqa: ARG001
) -> Sequence[Facts]:
    """Adopt nothing: the billing system has its own accounts."""
    return facts


def open_at_sandbox(
    connection: Connection, product: str, facts: Sequence[Facts], now: datetime
) -> Sequence[Facts]:
    """Open sandbox accounts for new subscriptions, and take over when each is charged next."""
    accounts = [
        sandbox.Account(each.external_id, each.amount, each.currency, each.interval, each.renews_at)
        for each in facts
        if each.renews_at is not None
    ]
    charged = sandbox.open_accounts(connection, product, accounts, now)
    return [
        replace(each, renews_at=charged[each.external_id]) if each.external_id in charged else each
        for each in facts
    ]


@dataclass(frozen=True, slots=True)
class Mirror:
    """Takes in facts, a batch at a time."""

    database: Database
    clock: Clock
    adopt: Adopt = keep

    def bring(self, product_key: str, facts: Sequence[Facts], actor: str) -> Counter[str]:
        """Take in subscriptions (one row an id); count applied and unchanged."""

        def work(connection: Connection) -> Counter[str]:
            product = products.load(connection, product_key)
            return self._bring_in(connection, product, facts, actor)

        return self.database.retrying(work)

    def _bring_in(
        self, connection: Connection, product: Product, facts: Sequence[Facts], actor: str
    ) -> Counter[str]:
        now = self.clock.now()
        known = population.known(connection, product.id, [each.external_id for each in facts])
        new = [each for each in facts if each.external_id not in known]
        changed = [
            (known[each.external_id][0], each)
            for each in facts
            if each.external_id in known and known[each.external_id][1] != each.told
        ]
        self._change(connection, product, changed, actor, now)
        self._add(connection, product, new, actor, now)
        applied = len(new) + len(changed)
        return Counter(applied=applied, unchanged=len(facts) - applied)

    def _add(
        self,
        connection: Connection,
        product: Product,
        facts: Sequence[Facts],
        actor: str,
        now: datetime,
    ) -> None:
        if not facts:
            return
        adopted = self.adopt(connection, product.key, facts, now)
        population.hold_unknown(connection, product.id)
        ids = population.insert(connection, product.id, adopted)
        remembered = population.recall_unknown(connection, product.id, list(ids))
        population.fold_usage(connection, {ids[key]: day for key, day in remembered.items()})
        batch = open_batch(connection, product, list(ids.values()), now)
        set_timers(batch, ids.values())
        batch.flush(connection, actor)

    def _change(
        self,
        connection: Connection,
        product: Product,
        facts: Sequence[tuple[int, Facts]],
        actor: str,
        now: datetime,
    ) -> None:
        if not facts:
            return
        ids = [sid for sid, _ in facts]
        found = cases.read(connection, product.id, ids, product.hearing)
        before = {sid: case.subscription for sid, case in found.items()}
        population.update(connection, product.id, facts)
        moved = population.update_contacts(connection, facts)
        items: list[tuple[int, Event]] = [(sid, Told(before[sid])) for sid in ids]
        items += [(sid, AddressChanged(reach)) for sid, reach in moved.items()]
        apply_in(connection, product, items, actor, now, rehint=True)


def mirror_of(billing: str, database: Database, clock: Clock) -> Mirror:
    """Give the intake of facts for a billing system by its name."""
    return Mirror(database, clock, open_at_sandbox if billing == "sandbox" else keep)


def replan(
    database: Database,
    clock: Clock,
    product_key: str,
    progress: Callable[[int], None] = lambda _: None,
    batch_size: int = 5000,
) -> int:
    """Set the timers that the policy in force asks for, by ranges of ids; how many were looked at.

    Earlier timers only are new: those that stand stay, and merge when they come due.
    """
    after = seen = 0
    while True:
        work = partial(
            _replan_range, product_key=product_key, after=after, now=clock.now(), limit=batch_size
        )
        ids = database.retrying(work)
        if not ids:
            return seen
        after, seen = ids[-1], seen + len(ids)
        progress(len(ids))


def _replan_range(
    connection: Connection, product_key: str, after: int, now: datetime, limit: int
) -> list[int]:
    product = products.load(connection, product_key)
    ids = population.ids_after(connection, product.id, after, limit)
    found = cases.read(connection, product.id, ids, product.hearing, lock=False)
    batch = Batch(product, now, found)
    set_timers(batch, found)
    cases.insert_timers(connection, product.id, batch.timers)
    return ids


def needs_replan(before: Product, after: Product) -> bool:
    """Say whether somebody may now be due earlier than their timer."""
    if before.policy is None or after.policy is None:
        return after.policy is not None
    old, new = before.hearing.covers_from, after.hearing.covers_from
    earlier = old is not None and (new is None or new < old)
    return earlier or (before.policy.terms, before.policy.segments) != (
        after.policy.terms,
        after.policy.segments,
    )

"""Brings what billing tells about subscriptions into the mirror, and its changes through the door.

What a source says again, to the letter, changes nothing: the digest of the last telling is kept.
So a stale file read twice is never taken for an act of billing's own.

Tellings are merged by the moment they tell of, never by their arrival. Of two that tell of the same
moment a cancellation wins, and otherwise the greater digest: whatever the order they arrive in,
late or again, the mirror ends the same.

Who was erased is not taken in again (R12), whoever tells of them, until billing says that a
subscription of that id has started since: then it is another one, with a row of its own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from operator import attrgetter

from msgspec import structs
from sqlalchemy import Connection

from app.clock import Clock
from app.engine import holds
from app.engine.door import Batch, Reply, set_timers
from app.lifecycle.case import (
    AddressChanged,
    Case,
    Event,
    Hearing,
    Subscription,
    Told,
    Verdict,
)
from app.links import Links
from app.rows import Facts
from app.store import cases, population, products, tombstones
from app.store.database import Database
from app.store.population import Known
from app.store.products import Product
from app.world.billing import sandbox

CANCELED = "canceled"
EVER_BEFORE = datetime.min.replace(tzinfo=UTC)
"""When something was told by who could not say when, before tellings had moments."""
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


class Brought(Counter[str]):
    """How many were applied, unchanged, stale, `erased` or failed; `erased` names those."""

    erased: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mirror:
    """Takes in facts, a batch at a time; by the keys of `links` it knows who was erased."""

    database: Database
    clock: Clock
    adopt: Adopt = keep
    links: Links | None = None

    def bring(self, product_key: str, facts: Sequence[Facts], actor: str) -> Brought:
        """Take in subscriptions (one row an id); count applied, unchanged, stale and erased."""

        def work(connection: Connection) -> Brought:
            product = products.load(connection, product_key)
            return self.bring_in(connection, product, facts, actor)

        return self.database.retrying(work)

    def bring_in(
        self,
        connection: Connection,
        product: Product,
        facts: Sequence[Facts],
        actor: str,
        *,
        news: bool = False,
    ) -> Brought:
        """Take in subscriptions inside a transaction; count also those whose rules `failed`.

        With `news` who is first heard of as canceled has just been canceled: what told of them
        before is on its way. A file tells of cancellations of any age.
        """
        now = self.clock.now()
        known = population.known(connection, product.id, [each.external_id for each in facts])
        erased = self._erased(connection, product.id, known, facts)
        told = [each for each in facts if each.external_id not in erased] if erased else facts
        tellings = _sort(known, told, now)
        failed = self._change(connection, product, tellings.changed, actor, now)
        population.retell(connection, tellings.retold)
        failed += self._add(connection, product, tellings.new, actor, now, news=news)
        brought = Brought(tellings.counts() | {"failed": failed, "erased": len(erased)})
        brought.erased = tuple(sorted(erased))
        return brought

    def _erased(
        self,
        connection: Connection,
        product_id: int,
        known: Mapping[str, Known],
        facts: Sequence[Facts],
    ) -> set[str]:
        """Give the ids of which is told what was erased: whose subscription began no later.

        Only those are looked for that are new, or told of as begun before what is known began.
        """
        odd = {each.external_id: each.started_on for each in facts if _may_be_old(known, each)}
        erased = tombstones.erased_on(connection, self.links, product_id, list(odd))
        return {name for name, day in erased.items() if odd[name] <= day}

    def _add(  # noqa: PLR0913 - what a transaction is about
        self,
        connection: Connection,
        product: Product,
        facts: Sequence[Facts],
        actor: str,
        now: datetime,
        *,
        news: bool,
    ) -> int:
        if not facts:
            return 0
        adopted = self.adopt(connection, product.key, facts, now)
        population.hold_unknown(connection, product.id)
        ids = population.insert(connection, product.id, adopted)
        remembered = population.recall_unknown(connection, product.id, list(ids))
        population.fold_usage(connection, {ids[key]: day for key, day in remembered.items()})
        found = {
            ids[each.external_id]: _new(ids[each.external_id], each, remembered, product.hearing)
            for each in adopted
        }
        batch = Batch(product, now, found)
        ended = [ids[each.external_id] for each in facts if news and each.status == CANCELED]
        before = {
            sid: structs.replace(batch.cases[sid].subscription, status="active") for sid in ended
        }
        replies = [batch.apply(sid, Told(before[sid])) for sid in ended]
        set_timers(batch, ids.values())
        batch.flush(connection, actor)
        holds.placed(connection, product, ids, now)
        return _failures(replies)

    def _change(
        self,
        connection: Connection,
        product: Product,
        facts: Sequence[tuple[int, Facts]],
        actor: str,
        now: datetime,
    ) -> int:
        if not facts:
            return 0
        found = cases.read(connection, product.id, [sid for sid, _ in facts], product.hearing)
        moved = population.update(connection, product.id, facts)
        batch = Batch(product, now, {sid: _told(found[sid], each) for sid, each in facts})
        items: list[tuple[int, Event]] = [(sid, Told(found[sid].subscription)) for sid, _ in facts]
        items += [(sid, AddressChanged(reach)) for sid, reach in moved.items()]
        replies = [batch.apply(sid, event) for sid, event in items]
        set_timers(batch, list(batch.cases))
        batch.flush(connection, actor)
        return _failures(replies)


def _may_be_old(known: Mapping[str, Known], told: Facts) -> bool:
    before = known.get(told.external_id)
    return before is None or told.started_on < before.started_on


_BILLED = attrgetter(
    "status", "plan", "country", "interval", "amount", "currency", "started_on", "renews_at"
)
"""What a subscription has of the facts, in its own order."""


def _new(sid: int, facts: Facts, remembered: Mapping[str, date], hearing: Hearing) -> Case:
    """Give the case of who has just been added: there is no round yet that could be read."""
    used = remembered.get(facts.external_id)
    zone = cases.zone(facts.timezone)
    subscription = Subscription(*(sid, *_BILLED(facts), used, zone))
    return Case(subscription, population.reach_of(facts.email), None, hearing)


def _told(case: Case, facts: Facts) -> Case:
    """Give a case as it is once billing's facts have been written, without reading it again."""
    before = case.subscription
    zone = cases.zone(facts.timezone)
    after = Subscription(*(before.id, *_BILLED(facts), before.last_used_on, zone))
    return structs.replace(case, subscription=after)


def _failures(replies: Iterable[Reply]) -> int:
    return sum(each.verdict is Verdict.FAILED for each in replies)


@dataclass(slots=True)
class _Sorted:
    """What a batch of tellings comes to, against what is known."""

    new: list[Facts] = field(default_factory=list)
    changed: list[tuple[int, Facts]] = field(default_factory=list)
    retold: list[tuple[int, datetime]] = field(default_factory=list)
    stale: int = 0
    same: int = 0

    def counts(self) -> dict[str, int]:
        """Count applied, unchanged and stale."""
        return {
            "applied": len(self.new) + len(self.changed),
            "unchanged": len(self.retold) + self.same,
            "stale": self.stale,
        }


def _sort(known: Mapping[str, Known], facts: Sequence[Facts], now: datetime) -> _Sorted:
    found = _Sorted()
    for each in facts:
        before = known.get(each.external_id)
        if before is None:
            found.new.append(each if each.told_at else replace(each, told_at=now))
        else:
            _judge(found, before, each, now)
    return found


def _judge(found: _Sorted, before: Known, facts: Facts, now: datetime) -> None:
    """Sort in what is told of somebody known; who cannot say when tells of this moment."""
    if facts.told_at is None:
        if before.told == facts.told:
            found.same += 1
        else:
            at = max(now, before.told_at or now)
            found.changed.append((before.id, replace(facts, told_at=at)))
    elif _weight(facts) < _weight(before):
        found.stale += 1
    elif facts.told != before.told:
        found.changed.append((before.id, facts))
    elif facts.told_at != before.told_at:
        found.retold.append((before.id, facts.told_at))
    else:
        found.same += 1


def _weight(told: Facts | Known) -> tuple[datetime, bool, bytes]:
    """Give what decides between two tellings: a total order, so that arrival decides nothing."""
    return told.told_at or EVER_BEFORE, told.status == CANCELED, told.told


def mirror_of(billing: str, database: Database, clock: Clock, links: Links | None = None) -> Mirror:
    """Give the intake of facts for a billing system by its name."""
    return Mirror(database, clock, open_at_sandbox if billing == "sandbox" else keep, links)


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

    def work(connection: Connection) -> list[int]:
        product = products.load(connection, product_key)
        return plan_range(connection, product, after, clock.now(), batch_size)

    while ids := database.retrying(work):
        after, seen = ids[-1], seen + len(ids)
        progress(len(ids))
    return seen


def plan_range(
    connection: Connection, product: Product, after: int, now: datetime, limit: int
) -> list[int]:
    """Set the timers of the next subscriptions behind an id; give their ids, none at the end."""
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

"""Applies events to subscriptions: lock, read, step, write, in one transaction for a batch."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from sqlalchemy import Connection

from app.clock import Clock
from app.lifecycle import step, wake_at
from app.lifecycle.case import (
    Answer,
    Case,
    Event,
    Kind,
    Reach,
    Stage,
    Step,
    Verdict,
)
from app.policy import Policy, Terms
from app.store import cases, products
from app.store.cases import EffectWrite, HistoryWrite, RoundWrite
from app.store.database import Database
from app.store.products import Product

NOBODY_IS_ASKED = Policy(terms=Terms(on_no_answer="nothing"))
"""What holds where a product has no policy in force: answers count, and time changes nothing."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an event came to: the verdict of the rules, and the case as it now stands."""

    subscription_id: int
    verdict: Verdict
    case: Case | None
    wait_until: datetime | None = None


@dataclass(slots=True)
class Batch:
    """The cases of one transaction, and everything that is to be written about them."""

    product: Product
    now: datetime
    cases: dict[int, Case]
    before: dict[int, Case] = field(default_factory=dict)
    effects: dict[int, list[EffectWrite]] = field(default_factory=dict)
    voids: list[tuple[int, int, frozenset[Kind]]] = field(default_factory=list)
    history: list[HistoryWrite] = field(default_factory=list)
    replaced: list[RoundWrite] = field(default_factory=list)
    timers: list[tuple[datetime, int]] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Remember how the cases stood."""
        self.before = dict(self.cases)

    def apply(self, subscription_id: int, event: Event) -> Reply:
        """Judge one event and take up what it leads to; a case whose rules raise is reported."""
        case = self.cases.get(subscription_id)
        if case is None:
            return Reply(subscription_id, Verdict.NOTHING_OPEN, None)
        try:
            done = step(case, event, self.policy_for(case, event), self.now)
        except Exception as error:  # noqa: BLE001 - one poisoned case must not stop its batch
            return self._put_off(subscription_id, case, error)
        if done.verdict is not Verdict.UNCHANGED:
            self.take_up(subscription_id, done)
        return Reply(subscription_id, done.verdict, self.cases[subscription_id], done.wait_until)

    def _put_off(self, subscription_id: int, case: Case, error: Exception) -> Reply:
        print(f"subscription {subscription_id} put off: {type(error).__name__}", file=sys.stderr)
        self.failed.append(subscription_id)
        return Reply(subscription_id, Verdict.UNCHANGED, case)

    def policy_for(self, case: Case, event: Event | None = None) -> Policy:
        """Give the version a case is held to: its open round's, or the one in force.

        An answer to a closed round that opens again is held to what that round began with.
        """
        current = case.round
        pinned = current is not None and (current.open or isinstance(event, Answer))
        if current is not None and pinned and current.version in self.product.policies:
            return self.product.policies[current.version]
        return self.product.policy or NOBODY_IS_ASKED

    def take_up(self, subscription_id: int, done: Step) -> None:
        """Take up a step: its case, effects, voided effects and notes."""
        case = done.case
        self.cases[subscription_id] = case
        number = case.round.number if case.round else 0
        version = case.round.version if case.round else self.product.policy_version
        if done.void:
            self._void(subscription_id, number, done.void)
        if done.replaced is not None:
            self.voids.append((subscription_id, done.replaced.number, done.void))
            self.replaced.append(RoundWrite(subscription_id, done.replaced, None, latest=False))
        for effect in done.effects:
            write = EffectWrite(subscription_id, number, effect)
            self.effects.setdefault(subscription_id, []).append(write)
        for note in done.notes:
            self.history.append(
                HistoryWrite(subscription_id, number or None, note.what, note.why, version)
            )

    def _void(self, subscription_id: int, number: int, kinds: frozenset[Kind]) -> None:
        self.voids.append((subscription_id, number, kinds))
        queued = self.effects.get(subscription_id)
        if queued:
            left = [each for each in queued if each.effect.kind not in kinds]
            self.effects[subscription_id] = left

    def wake(self, case: Case) -> datetime | None:
        """Give when to look again, as if everything had been heard: silence delays a look only."""
        policy = self.policy_for(case)
        if policy is NOBODY_IS_ASKED and case.stage is Stage.ACTIVE:
            return None
        heard = replace(case, hearing=replace(case.hearing, heard_until=date.max))
        return wake_at(heard, policy, self.now)

    def look_again(self, subscription_id: int) -> None:
        """Set the timer of a case without an open round."""
        case = self.cases[subscription_id]
        if case.stage is Stage.ACTIVE:
            due = self.wake(case)
            if due is not None:
                self.timers.append((due, subscription_id))

    def flush(self, connection: Connection, actor: str) -> None:
        """Write everything that changed, in bulk."""
        added, changed, behind = self._rounds()
        # The row of an earlier round is closed before another one opens.
        cases.update_rounds(connection, self.product.id, [*self.replaced, *behind, *changed])
        cases.insert_rounds(connection, self.product.id, added)
        cases.insert_timers(connection, self.product.id, self.timers)
        cases.void_effects(connection, self.voids)
        queued = [each for some in self.effects.values() for each in some]
        cases.insert_effects(connection, self.product.id, queued)
        cases.insert_history(connection, self.product.id, self.now, actor, self.history)
        cases.update_reach(connection, self._reaches())

    def _rounds(self) -> tuple[list[RoundWrite], list[RoundWrite], list[RoundWrite]]:
        added, changed, behind = [], [], []
        replaced = {each.subscription_id for each in self.replaced}
        for subscription_id, case in self.cases.items():
            before = self.before[subscription_id].round
            if case.round is None or case.round is before:
                continue
            write = RoundWrite(subscription_id, case.round, self._round_wake(case))
            if before is not None and before.number == case.round.number:
                changed.append(write)
                continue
            added.append(write)
            if before is not None and subscription_id not in replaced:
                behind.append(RoundWrite(subscription_id, before, None, latest=False))
        return added, changed, behind

    def _round_wake(self, case: Case) -> datetime | None:
        return self.wake(case) if case.round and case.round.open else None

    def _reaches(self) -> list[tuple[int, Reach]]:
        return [
            (sid, case.reach)
            for sid, case in self.cases.items()
            if case.reach is not self.before[sid].reach
        ]


class Door:
    """The one way in: every change of a subscription ends in `apply`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Take where subscriptions are kept and the clocks they live by."""
        self.database = database
        self.clock = clock

    def apply(
        self, product_key: str, items: Sequence[tuple[int, Event]], actor: str
    ) -> list[Reply]:
        """Apply events, given as (subscription id, event), in one transaction; one reply each."""

        def work(connection: Connection) -> list[Reply]:
            product = products.load(connection, product_key)
            return apply_in(connection, product, items, actor, self.clock.now())

        return self.database.retrying(work)


def apply_in(
    connection: Connection,
    product: Product,
    items: Sequence[tuple[int, Event]],
    actor: str,
    now: datetime,
    prepare: Callable[[Batch], None] | None = None,
) -> list[Reply]:
    """Apply events inside a transaction that the caller has begun."""
    batch = open_batch(connection, product, [sid for sid, _ in items], now)
    replies = [batch.apply(sid, event) for sid, event in items]
    if prepare is not None:
        prepare(batch)
    set_timers(batch, (each.subscription_id for each in replies if _moved(each)))
    batch.flush(connection, actor)
    return replies


def open_batch(
    connection: Connection, product: Product, ids: Sequence[int], now: datetime
) -> Batch:
    """Lock and read the cases of a batch."""
    found = cases.read(connection, product.id, ids, product.hearing)
    return Batch(product, now, found)


def set_timers(batch: Batch, ids: Iterable[int]) -> None:
    """Set the timers of those that have no open round any more."""
    for subscription_id in dict.fromkeys(ids):
        batch.look_again(subscription_id)


def _moved(reply: Reply) -> bool:
    return reply.case is not None and reply.verdict not in (Verdict.UNCHANGED, Verdict.OLDER_ROUND)

"""Applies events to subscriptions: lock, read, step, write, in one transaction for a batch."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from msgspec import Struct, structs
from sqlalchemy import Connection

from app import guards
from app.clock import Clock
from app.engine import news
from app.lifecycle import step
from app.lifecycle.case import (
    Act,
    Answer,
    Case,
    Event,
    Hearing,
    Kind,
    Reach,
    Round,
    Stage,
    Step,
    Verdict,
)
from app.lifecycle.passing import next_look, promised_act
from app.lifecycle.turns import Place, place
from app.policy import Policy, Terms
from app.store import cases, products, pulse, reviews
from app.store.cases import EffectWrite, HistoryWrite, RoundWrite
from app.store.database import Database
from app.store.products import Product

NOBODY_IS_ASKED = Policy(terms=Terms(on_no_answer="nothing"))
"""What holds where a product has no policy in force: answers count, and time changes nothing."""
A_FEW = 10
"""So many events at once are worked off by plans that are kept."""
PUT_OFF = timedelta(hours=1)
"""A case whose rules raise is looked at again after this long."""


class Reply(Struct, frozen=True):
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
    superseded: dict[int, list[Round]] = field(default_factory=dict)
    hinted: set[int] = field(default_factory=set)
    timers: list[tuple[datetime, int]] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    all_heard: Hearing = field(init=False)

    def __post_init__(self) -> None:
        """Remember how the cases stood."""
        self.before = dict(self.cases)
        self.all_heard = structs.replace(self.product.hearing, heard_until=date.max)

    def apply(self, subscription_id: int, event: Event) -> Reply:
        """Judge one event and take up what it leads to; a case whose rules raise is reported."""
        case = self.cases.get(subscription_id)
        if case is None:
            return Reply(subscription_id, Verdict.NOTHING_OPEN, None)
        try:
            done = step(case, event, self.policy_for(case, event), self.now)
        except Exception as error:  # noqa: BLE001 - one poisoned case must not stop its batch
            self._put_off(subscription_id, error)
            return Reply(subscription_id, Verdict.FAILED, case)
        if done.verdict is not Verdict.UNCHANGED:
            self.take_up(subscription_id, done)
        return Reply(subscription_id, done.verdict, self.cases[subscription_id], done.wait_until)

    def _put_off(self, subscription_id: int, error: Exception) -> None:
        sys.stderr.write(f"subscription {subscription_id} put off: {type(error).__name__}\n")
        if subscription_id not in self.failed:
            self.failed.append(subscription_id)

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
        case, last = done.case, self.cases[subscription_id].round
        if last is not None and case.round is not None and case.round.number != last.number:
            closed = done.replaced or last
            self.superseded.setdefault(subscription_id, []).append(closed)
        self.cases[subscription_id] = case
        number = case.round.number if case.round else 0
        version = case.round.version if case.round else self.product.policy_version
        if done.void:
            self._void(subscription_id, number, done.void)
        if done.replaced is not None:
            self.voids.append((subscription_id, done.replaced.number, done.void))
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
        """Give when to look again, from now on."""
        due = self.due(case)
        return None if due is None else max(due, self.now)

    def due(self, case: Case) -> datetime | None:
        """Give when to look again, as if everything had been heard: silence delays a look only.

        What was due long ago keeps its moment, so that it is found as soon as that was heard.
        """
        policy = self.policy_for(case)
        if policy is NOBODY_IS_ASKED and case.stage is Stage.ACTIVE:
            return None
        heard = structs.replace(case, hearing=self.all_heard)
        try:
            return next_look(heard, policy, self.now)
        except Exception as error:  # noqa: BLE001 - one poisoned case must not stop its batch
            self._put_off(case.subscription.id, error)
            return self.now + PUT_OFF

    def place_in_turn(self, case: Case) -> Place | None:
        """Give a case's place among those of its customer; None where it is not to be asked."""
        try:
            return place(case, self.policy_for(case), self.now)
        except Exception as error:  # noqa: BLE001 - one poisoned case must not stop its family
            self._put_off(case.subscription.id, error)
            return None

    def promised_act(self, subscription_id: int) -> Act | None:
        """Give what silence is to come to; None also where the rules raise, as a tick will say."""
        case = self.cases.get(subscription_id)
        try:
            return promised_act(case, self.policy_for(case)) if case is not None else None
        except Exception:  # noqa: BLE001 - one poisoned case must not stop its batch
            return None

    def look_again(self, subscription_id: int) -> None:
        """Set when to look again: by a timer, or at the open round."""
        case = self.cases[subscription_id]
        if case.stage is not Stage.ACTIVE:
            self.hinted.add(subscription_id)
            return
        due = self.due(case)
        if due is not None:
            self.timers.append((due, subscription_id))

    def flush(self, connection: Connection, actor: str, *, counted: bool = True) -> None:
        """Write everything that changed, in bulk; who has more to write counts it later."""
        added, changed = self._rounds()
        # The row of an earlier round is closed before another one opens.
        cases.update_rounds(connection, self.product.id, changed)
        cases.insert_rounds(connection, self.product.id, added)
        cases.insert_timers(connection, self.product.id, self.timers)
        cases.void_effects(connection, self.voids)
        queued = [each for some in self.effects.values() for each in some]
        cases.insert_effects(connection, self.product.id, queued)
        cases.insert_history(connection, self.product.id, self.now, actor, self.history)
        reviews.withdraw(connection, self._no_longer("review_at"), self.now)
        reviews.withdraw(connection, self._no_longer("erase_at"), self.now, erasures=True)
        told = news.of_batch(self.product, self.history, self.before, self.cases)
        if told:
            news.post(connection, self.product, told, actor, self.now)
        cases.update_reach(connection, self._reaches())
        if counted:
            self.count(connection)

    def count(self, connection: Connection) -> None:
        """Count what happened: the last statement of a transaction, since its rows are hot."""
        notes = (each.what for each in self.history)
        heard = list(pulse.news(self.before, self.cases))
        guards.count(connection, self.product, self.now, notes, heard)

    def _rounds(self) -> tuple[list[RoundWrite], list[tuple[RoundWrite, Round]]]:
        """Give the rounds that are new, and those that changed, with how they stood before."""
        added: list[RoundWrite] = []
        changed: list[tuple[RoundWrite, Round]] = []
        for subscription_id, case in self.cases.items():
            before = self.before[subscription_id].round
            hinted = subscription_id in self.hinted
            if case.round is None or (case.round is before and not hinted):
                continue
            known = before.number if before else 0
            writes = [
                RoundWrite(subscription_id, each, None, latest=False)
                for each in self.superseded.get(subscription_id, ())
            ]
            writes.append(RoundWrite(subscription_id, case.round, self._round_wake(case)))
            if before is not None:
                changed += [(each, before) for each in writes if each.round.number == known]
            added += [each for each in writes if each.round.number > known]
        return added, changed

    def _round_wake(self, case: Case) -> datetime | None:
        return self.wake(case) if case.round and case.round.open else None

    def _no_longer(self, since: str) -> list[int]:
        """Give whose case was before a person (`review_at`, `erase_at`) and is not any more."""
        return [
            sid
            for sid, case in self.cases.items()
            if (before := self.before[sid].round) is not None
            and getattr(before, since) is not None
            and (case.round is None or getattr(case.round, since) is None)
        ]

    @property
    def changed(self) -> list[int]:
        """The subscriptions whose cases are not as they were read."""
        return [sid for sid, case in self.cases.items() if case is not self.before[sid]]

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

        return self.database.retrying(work, few=len(items) <= A_FEW)


def apply_in(
    connection: Connection,
    product: Product,
    items: Sequence[tuple[int, Event]],
    actor: str,
    now: datetime,
) -> list[Reply]:
    """Apply events inside a transaction that the caller has begun."""
    batch = open_batch(connection, product, [sid for sid, _ in items], now)
    replies = [batch.apply(sid, event) for sid, event in items]
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
    """Set when to look at cases again."""
    for subscription_id in dict.fromkeys(ids):
        batch.look_again(subscription_id)


def _moved(reply: Reply) -> bool:
    unmoved = (Verdict.UNCHANGED, Verdict.OLDER_ROUND, Verdict.FAILED)
    return reply.case is not None and reply.verdict not in unmoved

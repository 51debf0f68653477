"""Finds who is due and applies ticks, batch by batch: each batch reads, judges, writes, commits.

What a batch has read it deletes in the same transaction, so a sweep that is killed loses nothing
and repeats nothing, and several may run at once. A dry run is the same code without the writing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from app import guards
from app.engine.door import PUT_OFF, Batch, set_timers
from app.engine.turns import Turns, turns_for
from app.guards import BY_HAND, Allowance, Crowd
from app.lifecycle.case import Act, Case, Stage, Tick, Verdict
from app.lifecycle.turns import next_turn
from app.store import cases, customers, due, lists, pace, products, runs
from app.store.database import Database
from app.store.due import BEGINNING, DueTimer
from app.store.lists import AskList
from app.store.products import Product
from app.world import billing
from app.world.connector import Capabilities

Found = TypeVar("Found")
BATCH = 1000
ACTOR = "clock"
NO_TURNS = Turns()
PACED = frozenset({"reminder_queued", "erasure_warning_queued"})
"""What is queued in an open round and counts against the pace of the day, by its note."""
EVERY_ACT = frozenset(Act)
_ANOTHER = "another version of the policy has been put in force: the next sweep goes by that"


@dataclass(slots=True)
class Pass:
    """What one sweep of one product did, or in a dry run would do.

    `counts` is by what happened; `people` lists (subscription, what, why) where that was asked for;
    `stopped` says why nobody, or nobody more, is asked. `backlog` is how many would be asked if all
    were, counted by the first sweep under a ramp.
    """

    product: str
    counts: Counter[str] = field(default_factory=Counter)
    people: list[tuple[int, str, str]] = field(default_factory=list)
    stopped: str | None = None
    failed: int = 0
    backlog: int | None = None


class _Braked(Exception):
    """A brake was set in the middle of a pass, or it is another policy that counts by now."""


@dataclass(frozen=True, slots=True)
class Sweeper:
    """One pass over one product at one moment.

    `actor` is who began it. `dry` judges without writing; `counting` does so as if the pace allowed
    everything, and `alone` as if each subscription had a customer of its own; `listing` is told
    (number, why) of who would be asked.
    """

    database: Database
    product_key: str
    now: datetime
    actor: str = ACTOR
    dry: bool = False
    counting: bool = False
    alone: bool = False
    list_people: bool = False
    batch: int = BATCH
    after_batch: Callable[[int], None] = lambda _: None
    can: Capabilities = field(default_factory=Capabilities)
    listing: Callable[[list[tuple[int, str]]], None] | None = None

    def run(self) -> Pass:
        """Judge everybody who is due: first open rounds, then those without one."""
        with self.database.transaction() as connection:
            product = products.load(connection, self.product_key)
        can = billing.capabilities(product.billing, product.billing_settings)
        return replace(self, can=can).go_through()

    def go_through(self) -> Pass:
        """Go through the rounds and timers, knowing what billing can do."""
        done = Pass(self.product_key)
        try:
            done.stopped = self._stopped(done)
            if done.stopped is not None:
                return done
            self._rounds(done)
            done.stopped = self._count_backlog(done)
            if done.stopped is None:
                self._timers(done)
        except _Braked as braked:
            done.stopped = str(braked)
        return done

    def _stopped(self, done: Pass) -> str | None:
        """Say why the product's clock stands still; None where it runs."""
        found = self._in_transaction(done, self._stopped_in)
        return self._crowded(done, found) if isinstance(found, Crowd) else found

    def _stopped_in(self, connection: Connection, product: Product) -> str | Crowd | None:
        if product.policy is None:
            return "no policy is in force: propose and activate one"
        guards.check_billing(connection, product, self.can, self.now)
        guards.check_feeds(connection, product, self.now)
        if why := _brake_on(connection, product):
            return why
        if product.hearing.heard_until is None:
            return "no feed has spoken yet: import usage, or send a heartbeat with `through`"
        return guards.crowd_in_question(connection, product, self.now)

    def _crowded(self, done: Pass, crowd: Crowd) -> str | None:
        """Set the brake where more would be asked today than the policy allows; say so.

        Before anything else: where so many come due at once, silence proves as little as disuse.
        """
        due_now = self._counter().backlog()
        if due_now <= crowd.room:
            return None
        # Who lifts this brake has seen those too whose customers are asked about another first.
        named = self._everybody().backlog()
        work = partial(self._stop_crowd, crowd=crowd, due_now=due_now, named=named)
        return self._in_transaction(done, work)

    def _stop_crowd(
        self, connection: Connection, product: Product, crowd: Crowd, due_now: int, named: int
    ) -> str | None:
        guards.stop_crowd(connection, product, self.now, crowd, due_now, named)
        return _brake_on(connection, product)

    # --- open rounds -----------------------------------------------------------------------

    def _rounds(self, done: Pass) -> None:
        after = (BEGINNING, 0)
        while True:
            found, batch = self._in_transaction(done, partial(self._round_batch, after=after))
            self._report(done, batch)
            if not found:
                return
            after = found[-1]

    def _round_batch(
        self, connection: Connection, product: Product, after: tuple[datetime, int]
    ) -> tuple[list[tuple[datetime, int]], Batch]:
        _go_on(connection, product)
        lock = not self.dry
        found = due.rounds(connection, product.id, self.now, after, self.batch, lock=lock)
        batch = self._open(connection, product, [sid for _, sid in found])
        held = {sid for _, sid in found if self._cannot_follow(batch, sid)}
        for _, subscription_id in found:
            if subscription_id not in held:
                batch.apply(subscription_id, Tick())
        set_timers(batch, batch.changed)
        if not self.dry:
            cases.move_wakes(connection, self._hints(batch, found, held))
            reminded = sum(note.what in PACED for note in batch.history)
            guards.count_asked(connection, product, self.now, 0, reminded)
            batch.flush(connection, ACTOR, counted=False)
            self._count(connection, product, batch)
        return found, batch

    def _cannot_follow(self, batch: Batch, sid: int) -> bool:
        """Say whether silence is to come to what billing cannot do: such a round is held as it is.

        It was promised under an earlier policy, before billing lost the means; under the one in
        force a brake stops everything. Nor are people reminded of what cannot be kept.
        """
        if self.can.acts >= EVERY_ACT:
            return False
        act = batch.promised_act(sid)
        return act is not None and act not in self.can.acts

    def _hints(
        self, batch: Batch, found: Sequence[tuple[datetime, int]], held: Collection[int]
    ) -> list[tuple[int, int, datetime | None]]:
        """Give when to look again where nothing changed; failed and held rounds are put off."""
        wakes: list[tuple[int, int, datetime | None]] = []
        for told, subscription_id in found:
            case = batch.cases.get(subscription_id)
            if case is None or case.round is None or case is not batch.before[subscription_id]:
                continue
            put_off = subscription_id in batch.failed or subscription_id in held
            wake = self.now + PUT_OFF if put_off else batch.wake(case)
            if wake != told and (wake is None or wake > self.now):
                wakes.append((subscription_id, case.round.number, wake))
        return wakes

    # --- timers ----------------------------------------------------------------------------

    def _count_backlog(self, done: Pass) -> str | None:
        """Before the first sweep under a ramp, count who would be asked if all were.

        Say why nobody may be yet, where somebody has to agree to them first.
        """
        made = self._in_transaction(done, _list_of)
        if made is not None and made.waits:
            return _waits(made.version, made.people)
        if not self._in_transaction(done, guards.ramp_unknown):
            return None
        done.backlog = self._everybody().backlog()
        if self._in_transaction(done, partial(guards.wants_list, backlog=done.backlog)):
            return self._list(done)
        if not self.dry:
            self._in_transaction(done, partial(guards.begin_ramp, backlog=done.backlog))
        return None

    def _list(self, done: Pass) -> str | None:
        """Write down who would be asked, for somebody to read and approve; say so.

        All in one transaction, so that a list is there as a whole or not at all.
        """
        with self.database.transaction() as connection:
            product = products.load(connection, self.product_key)
            version = product.policy_version
            if version is None or self.dry or not lists.take_turn(connection, product.id):
                return _waits(version, done.backlog or 0)
            if (made := _list_of(connection, product)) is not None:
                return _waits(version, made.people)
            add = partial(lists.add, connection, product.id, version)
            replace(self._everybody(), listing=add).backlog()
            lists.complete(connection, product.id, version, self.now)
            made = _list_of(connection, product)
        return _waits(version, made.people if made else 0)

    def _counter(self) -> Sweeper:
        return replace(self, dry=True, counting=True, list_people=False)

    def _everybody(self) -> Sweeper:
        """Count also those who wait for another day because their customer has others."""
        return replace(self._counter(), alone=True)

    def backlog(self) -> int:
        """Count who would be asked if all were who are due."""
        would = Pass(self.product_key)
        self._timers(would)
        return would.counts["asked"]

    def _timers(self, done: Pass) -> None:
        """Look at those whose timers are due: in key order, or by charge where the pace binds."""
        after = (BEGINNING, 0)
        way = self._in_transaction(done, self._way)
        while True:
            used = done.counts["asked"]
            work = partial(self._timer_batch, after=after, used=used, way=way)
            seen = self._in_transaction(done, work)
            if seen is None:
                self._in_transaction(done, partial(_list_done, way=way, now=self.now))
                return
            self._report(done, seen.batch)
            if self.dry:
                way.served.update(seen.batch.changed)
            if seen.allowed.used >= seen.allowed.left:
                done.stopped = seen.allowed.because
                return
            after = seen.key

    def _way(self, connection: Connection, product: Product) -> _Way:
        """Decide how to go through the timers; once a pass."""
        by_customer = not self.alone and customers.any_named(connection, product.id)
        listed = None if self.counting else _list_in_work(connection, product)
        binds = self._pace_binds(connection, product)
        return _Way(product.policy_version, binds, by_customer, listed)

    def _pace_binds(self, connection: Connection, product: Product) -> bool:
        """Say whether more timers are due than may be asked, where anybody may."""
        until = guards.horizon(product, self.now)
        left = self._allowance(connection, product, 0).left
        if until is None or left >= guards.UNLIMITED or left <= 0:
            return False
        return pace.more_due(connection, product.id, until, left)

    def _timer_batch(
        self,
        connection: Connection,
        product: Product,
        *,
        after: tuple[datetime, int],
        used: int,
        way: _Way,
    ) -> _Seen | None:
        """Judge one batch; None at the end."""
        _go_on(connection, product)
        if product.policy_version != way.version:
            raise _Braked(_ANOTHER)
        until = guards.horizon(product, self.now)
        if until is None:
            return None
        allowed = self._allowance(connection, product, used)
        find = self._find_by_charge if way.by_charge else self._find_in_order
        found, key = find(connection, product, until, after)
        if key == after:
            return None
        ids = [each.subscription_id for each in found]
        turns = self._turns(connection, product, ids, way)
        members = list(turns.members(ids))
        if way.listed is not None:
            on_it = lists.on_it(connection, product.id, way.listed, members)
            allowed = replace(allowed, only=on_it)
        batch = self._open(connection, product, members)
        gone = [each.place for each in found if self._judge(batch, each, allowed, turns)]
        if not self.dry:
            due.delete_timers(connection, gone)
            batch.flush(connection, ACTOR, counted=False)
            guards.count_asked(connection, product, self.now, allowed.used, 0)
            self._count(connection, product, batch)
        return _Seen(key, batch, allowed)

    def _turns(
        self, connection: Connection, product: Product, ids: Sequence[int], way: _Way
    ) -> Turns:
        if not way.by_customer:
            return NO_TURNS
        return turns_for(connection, product, ids, way.served, lock=not self.dry)

    def _allowance(self, connection: Connection, product: Product, used: int) -> Allowance:
        """Give what the pace still allows; a dry run has counted nothing of what it `used`."""
        if self.counting:
            return Allowance(guards.UNLIMITED, "counting")
        allowed = guards.allowance(connection, product, self.now)
        return Allowance(allowed.left - used, allowed.because) if self.dry else allowed

    def _find_in_order(
        self,
        connection: Connection,
        product: Product,
        until: datetime,
        after: tuple[datetime, int],
    ) -> tuple[list[DueTimer], tuple[datetime, int]]:
        lock = not self.dry
        found = due.timers(connection, product.id, until, after, self.batch, lock=lock)
        return found, (found[-1].due_at, found[-1].subscription_id) if found else after

    def _find_by_charge(
        self,
        connection: Connection,
        product: Product,
        until: datetime,
        after: tuple[datetime, int],
    ) -> tuple[list[DueTimer], tuple[datetime, int]]:
        ordered = due.timers_by_charge(connection, product.id, until, self.now, after, self.batch)
        key = (ordered[-1][0], ordered[-1][1].subscription_id) if ordered else after
        found = [each for _, each in ordered]
        return found if self.dry else due.take(connection, found), key

    def _judge(self, batch: Batch, timer: DueTimer, allowed: Allowance, turns: Turns) -> bool:
        """Judge one case; say whether its timer has served and goes."""
        sid = timer.subscription_id
        if turns.judged_elsewhere(sid):
            return False
        case = batch.cases.get(sid)
        if case is None or case.stage is not Stage.ACTIVE or sid in turns.served:
            return True
        while turns.waits(batch, sid):
            first = turns.first(batch, sid)
            if first == sid:
                break
            if first is not None and not self._tick(batch, first, allowed):
                return False
            # Where the rules raised about the first, it is the next one's turn.
            if first is None or first not in batch.failed:
                batch.timers.append((next_turn(case, self.now), sid))
                return True
        return self._tick(batch, sid, allowed)

    def _tick(self, batch: Batch, sid: int, allowed: Allowance) -> bool:
        """Tick one case without an open round; False where its timer is to stay."""
        if not allowed.covers(sid):
            return False
        case, before = batch.cases[sid], len(batch.history)
        reply = batch.apply(sid, Tick())
        if reply.verdict is Verdict.APPLIED:
            return allowed.take() or self._as_it_was(batch, case, sid, before)
        wake = self.now + PUT_OFF if sid in batch.failed else batch.wake(case)
        if wake is not None and wake <= self.now:
            return False
        if wake is not None:
            batch.timers.append((wake, sid))
        return True

    def _as_it_was(self, batch: Batch, case: Case, sid: int, before: int) -> bool:
        """Put a case back that the pace does not allow to be asked; its timer stays."""
        batch.cases[sid] = case
        batch.effects.pop(sid, None)
        del batch.history[before:]
        return False

    # --- both ------------------------------------------------------------------------------

    def _in_transaction(self, done: Pass, work: Callable[[Connection, Product], Found]) -> Found:
        """Run one batch in a transaction of its own; a dry one is rolled back."""
        if self.dry:
            with self.database.engine.connect() as connection:
                return work(connection, self._as_so_far(connection, done))
        found = self.database.retrying(lambda c: work(c, products.load(c, self.product_key)))
        self.after_batch(1)
        return found

    def _as_so_far(self, connection: Connection, done: Pass) -> Product:
        """Bring brakes and counters to where a real run would have brought them by now."""
        guards.check_billing(
            connection, products.load(connection, self.product_key), self.can, self.now
        )
        product = guards.check_feeds(
            connection, products.load(connection, self.product_key), self.now
        )
        if self.counting:
            return product
        if done.backlog is not None:
            guards.begin_ramp(connection, product, done.backlog)
        reminded = sum(done.counts[what] for what in PACED)
        guards.count_asked(connection, product, self.now, 0, reminded)
        return product

    def _open(self, connection: Connection, product: Product, ids: Sequence[int]) -> Batch:
        lock = not self.dry
        found = cases.read(connection, product.id, ids, product.hearing, lock=lock)
        return Batch(product, self.now, found)

    def _count(self, connection: Connection, product: Product, batch: Batch) -> None:
        """Count what a batch did: in the runs of its day, and last in the day's counters."""
        many = Counter((note.version, note.what) for note in batch.history)
        for version in sorted({each for each, what in many if each and what in runs.COUNTED}):
            ours = version == product.policy_version
            step = guards.ramp_step(connection, product) if ours else None
            counts = {name: many[version, what] for what, name in runs.COUNTED.items()}
            did = runs.Did(guards.day_of(self.now), self.actor, version, step, **counts)
            runs.count(connection, product.id, self.now, did)
        batch.count(connection)

    def _report(self, done: Pass, batch: Batch) -> None:
        done.failed += len(batch.failed)
        for note in batch.history:
            done.counts[note.what] += 1
            if self.list_people and note.subscription_id is not None:
                done.people.append((note.subscription_id, note.what, note.why))
        if self.listing is not None:
            self.listing(
                [
                    (each.subscription_id, each.why)
                    for each in batch.history
                    if each.what == "asked" and each.subscription_id is not None
                ]
            )


def _list_of(connection: Connection, product: Product) -> AskList | None:
    """Give the list of the policy in force; None where none was made."""
    version = product.policy_version
    return None if version is None else lists.of(connection, product.id, version)


def _list_in_work(connection: Connection, product: Product) -> int | None:
    """Give the version of whose list alone people may be asked; None where anybody may be."""
    found = _list_of(connection, product)
    return None if found is None or found.done_at is not None else found.version


def _list_done(connection: Connection, product: Product, way: _Way, now: datetime) -> None:
    """Note that everybody on the list has been looked at, where a pass came to its end."""
    until = guards.horizon(product, now)
    if way.listed is not None and way.listed == product.policy_version and until is not None:
        lists.finish(connection, product.id, way.listed, now, until)


def _waits(version: int | None, people: int) -> str:
    return (
        f"{people:,} people would be asked at once, more than one person may decide: somebody else"
        f" reads the list and approves it with `reconfirm policy list show … {version}`"
    )


def _brake_on(connection: Connection, product: Product) -> str | None:
    """Say that a brake is on; of a guard's also what it means and what to do about it."""
    brakes = products.brakes(connection, product.id)
    if not brakes:
        return None
    first = brakes[0]
    on = f"the brake is on: {first.cause}, "
    return on + (first.why if first.cause == BY_HAND else ": ".join(guards.in_words(first)))


def _go_on(connection: Connection, product: Product) -> None:
    """End the pass where a brake has been set since it began."""
    if why := _brake_on(connection, product):
        raise _Braked(why)


@dataclass(frozen=True, slots=True)
class _Way:
    """How a pass goes through the timers: in the order of charges, one ask a customer.

    `version` is the policy that the pass began under: its ramp and its list hold for no other.
    `listed` is the version of which only those on its list may be asked; None where anybody may.
    `served` are those whom a dry run would have asked so far.
    """

    version: int | None
    by_charge: bool
    by_customer: bool
    listed: int | None = None
    served: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One batch of timers: the key it came to, its cases, and what of the pace it used."""

    key: tuple[datetime, int]
    batch: Batch
    allowed: Allowance

"""Claims what the world must do, and brings back what it did, in a transaction each.

A claim asks the rules once more, takes a lease under a new fence, and gives plain orders; what
comes back is an event through the same door, and counts only under the fence it was claimed with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import Connection

from app import guards
from app.clock import Clock
from app.engine.briefs import brand_of, brief_for
from app.engine.door import Batch, open_batch, set_timers
from app.engine.withheld import no_news, remember, withhold
from app.lifecycle.case import (
    ACT_OF,
    BRAKED,
    LINKS,
    Acknowledged,
    Act,
    Case,
    Claim,
    Declined,
    Event,
    HandedOver,
    Kind,
    Lane,
    NotDone,
    Reach,
    Undelivered,
    Verdict,
    Word,
    lane_of,
)
from app.lifecycle.dates import next_charge
from app.links import Links
from app.store import amends, brands, evidence, freshlinks, outbox, pace, population, products
from app.store.brands import NOTHING
from app.store.database import Database
from app.store.evidence import Line, Words
from app.store.outbox import Row
from app.store.products import Product
from app.world.connector import REACHED, UNKNOWN, Order, Standing
from app.world.mail.brief import Brand, Brief
from app.world.mail.sending import PLAIN, Sending, sending_of
from app.world.mail.wording import Said
from app.world.outcome import Done, Later, No, Outcome

LEASE = timedelta(seconds=60)
KINDS = {
    lane: tuple(kind for kind in Kind if lane_of(kind) is lane)
    for lane in (Lane.BILLING, Lane.NOTICE)
}
"""The kinds of effect that go in each lane."""
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
BRAKE_PAUSE = timedelta(minutes=15)
MOST_COPIES = 2
"""A notice whose outcome stayed unknown this often is put before a person, not sent again."""
ACTOR = "worker"
STANDS = {
    "trialing": "active",
    "active": "active",
    "past_due": "active",
    "paused": "paused",
    "canceled": "ended",
}
"""How a subscription stands at billing, by what the mirror calls it."""


class Task(Struct, frozen=True):
    """One claimed effect: what to do in plain data, and the fence its outcome counts under.

    `order` goes to billing and `brief` to the relay; `check_first` means that an earlier try has no
    known outcome, `check_only` that it is not to be repeated either; `braked` says that a brake set
    meanwhile stops it.
    """

    id: int
    fence: int
    subscription_id: int
    number: int
    kind: Kind
    version: int
    tries: int
    unknown: int
    lease_until: datetime
    order: Order | None = None
    brief: Brief | None = None
    check_first: bool = False
    check_only: bool = False
    braked: bool = False
    sending: Sending = PLAIN


class Result(Struct, frozen=True):
    """What the world did about a task.

    `standing` is what billing says after an act; `park` puts a no before a person, where it is
    not the news that a notice does not reach them; `begun` is False where nothing was tried.
    """

    task: Task
    outcome: Outcome
    standing: Standing | None = None
    park: bool = False
    begun: bool = True
    said: Said | None = None


def released(task: Task) -> Result:
    """Give the result of a task that was not begun: it waits as it did before."""
    return Result(task, Later("released", retry_after=timedelta()), begun=False)


@dataclass(frozen=True, slots=True)
class Effects:
    """Claims and acknowledges effects of products, for workers."""

    database: Database
    clock: Clock
    links: Links
    lease: timedelta = LEASE

    # --- claiming --------------------------------------------------------------------------

    def claim(self, product_key: str, lane: Lane, limit: int) -> tuple[Brand, list[Task], bool]:
        """Claim up to `limit` of a lane; also whether any row was looked at, claimed or not."""

        def work(connection: Connection) -> tuple[Brand, list[Task], bool]:
            product = products.load(connection, product_key)
            return self._claim_in(connection, product, lane, limit)

        return self.database.retrying(work)

    def _claim_in(
        self, connection: Connection, product: Product, lane: Lane, limit: int
    ) -> tuple[Brand, list[Task], bool]:
        now, wall = self.clock.now(), self.clock.wall()
        braked = guards.braked(connection, product)
        kinds = KINDS[lane]
        allowed = [kind for kind in kinds if not (braked and kind in BRAKED)]
        # An act whose outcome is not known is read back, whatever stops new ones.
        lost = [kind for kind in kinds if kind in allowed or kind in ACT_OF]
        rows = outbox.forsaken(connection, product.id, lost, wall, limit)
        rows += outbox.due(connection, product.id, lane, (allowed, lost), now, limit - len(rows))
        free = outbox.free_rounds(connection, product.id, [row.subscription_id for row in rows])
        mine = [row for row in rows if row.subscription_id in free]
        batch = open_batch(connection, product, [row.subscription_id for row in mine], now)
        claiming = _Claiming(self, connection, batch, braked=braked)
        claiming.withheld = withhold(connection, batch, self.links, list(batch.cases))
        for row in mine:
            claiming.judge(row)
        tasks = claiming.settle(wall + self.lease)
        own = brands.read(connection, product.id) if tasks and lane is Lane.NOTICE else NOTHING
        return brand_of(product, own), tasks, bool(mine)

    # --- acknowledging ---------------------------------------------------------------------

    def acknowledge(self, product_key: str, results: Sequence[Result]) -> int:
        """Write what became of tasks; give how many counted, those of an old fence do not."""

        def work(connection: Connection) -> int:
            product = products.load(connection, product_key)
            return self._acknowledge_in(connection, product, results)

        return self.database.retrying(work) if results else 0

    def _acknowledge_in(
        self, connection: Connection, product: Product, results: Sequence[Result]
    ) -> int:
        now = self.clock.now()
        ids = [each.task.subscription_id for each in results]
        batch = open_batch(connection, product, ids, now)
        mine = outbox.still_mine(connection, [(each.task.id, each.task.fence) for each in results])
        counted = [each for each in results if each.task.id in mine]
        settling = _Settling(connection, batch)
        for each in counted:
            settling.take(each)
        settling.settle()
        remember(connection, batch, self.links, settling.refused, ACTOR)
        if product.policy and any(settling.asked):
            pace.note_handover(connection, product.id, product.policy.version, now)
        batch.count(connection)
        return len(counted)

    def release(self, product_key: str, tasks: Sequence[Task]) -> None:
        """Give back tasks that were not begun."""
        self.acknowledge(product_key, [released(task) for task in tasks])


class _Claiming:
    """Judges claimed rows and gathers what is to be written about them."""

    def __init__(
        self, effects: Effects, connection: Connection, batch: Batch, *, braked: bool
    ) -> None:
        self.effects = effects
        self.connection = connection
        self.batch = batch
        self.braked = braked
        self.sending = sending_of(batch.product.mail_settings)
        self.go: list[tuple[Row, bool]] = []
        self.void: list[int] = []
        self.wait: list[tuple[int, datetime, str | None, int]] = []
        self.parked: list[tuple[int, str]] = []
        self.withheld: frozenset[int] = frozenset()
        self.owed: dict[tuple[int, int], int] = {}
        self.wall = effects.clock.wall()

    def judge(self, row: Row) -> None:
        """Ask the rules about one row."""
        case = self.batch.cases.get(row.subscription_id)
        if case is None or case.round is None or case.round.number != row.number:
            self.void.append(row.id)
            return
        if row.kind not in ACT_OF and row.unknown >= MOST_COPIES:
            self.parked.append((row.id, "outcome unknown twice"))
            return
        stopped = self.braked and _by_silence(row, case)
        if stopped and not case.round.in_flight:
            self.wait.append((row.id, self.batch.now + BRAKE_PAUSE, "brake", row.unknown))
            return
        reply = self.batch.apply(row.subscription_id, Claim(row.kind, row.version))
        match reply.verdict:
            case Verdict.GO | Verdict.CHECK:
                self.go.append((row, stopped or reply.verdict is Verdict.CHECK))
            case Verdict.WAIT if reply.wait_until is not None:
                self.wait.append((row.id, reply.wait_until, None, row.unknown))
            case Verdict.FAILED:
                self.wait.append(
                    (row.id, self.batch.now + LONGEST_PAUSE, "rules failed", row.unknown)
                )
            case _:
                self.void.append(row.id)

    def settle(self, lease_until: datetime) -> list[Task]:
        """Write the claims and give the tasks."""
        tasks = self._tasks(lease_until)
        fresh = [_link_of(task) for task in tasks if task.kind in LINKS]
        freshlinks.made(self.connection, fresh, self.wall)
        outbox.claim(self.connection, tasks, lease_until)
        outbox.delete(self.connection, self.void)
        outbox.put_back(self.connection, self.wait)
        outbox.park(self.connection, self.parked)
        changed = [s for s, case in self.batch.cases.items() if case is not self.batch.before[s]]
        set_timers(self.batch, changed)
        self.batch.flush(self.connection, ACTOR, counted=False)
        no_news(self.batch, self.withheld)
        self.batch.count(self.connection)
        return tasks

    def _tasks(self, lease_until: datetime) -> list[Task]:
        """Give the tasks; what cannot be put into words waits for a person and stops no other."""
        ids = [row.subscription_id for row, _ in self.go]
        people = population.addresses(self.connection, ids)
        sorry = [row.subscription_id for row, _ in self.go if row.kind is Kind.APOLOGY]
        self.owed = amends.promised(self.connection, sorry) if sorry else {}
        tasks = []
        for row, check in self.go:
            person = people[row.subscription_id]
            try:
                tasks.append(self._task(row, person, lease_until, check_only=check))
            except Exception as error:  # noqa: BLE001 - one poisoned row must not stop the others
                self.parked.append((row.id, f"not written: {type(error).__name__}"))
        return tasks

    def _task(
        self, row: Row, person: population.Address, lease_until: datetime, *, check_only: bool
    ) -> Task:
        case = self.batch.cases[row.subscription_id]
        order = brief = None
        if row.kind in ACT_OF:
            order = self._order(row, case, person)
        else:
            links = self.effects.links
            notice = (row.kind, row.version)
            owed = self.owed.get((row.subscription_id, row.number), 0)
            brief = brief_for(self.batch, case, notice, person, links, self.wall, owed)
        return Task(
            id=row.id,
            fence=row.fence + 1,
            subscription_id=row.subscription_id,
            number=row.number,
            kind=row.kind,
            version=row.version,
            tries=row.tries + 1,
            unknown=row.unknown,
            lease_until=lease_until,
            order=order,
            brief=brief,
            check_first=row.unknown > 0,
            check_only=check_only,
            braked=row.kind in BRAKED or _by_silence(row, case),
            sending=self.sending,
        )

    def _order(self, row: Row, case: Case, person: population.Address) -> Order:
        act, now = ACT_OF[row.kind], self.batch.now
        since = case.round.act_at if case.round else None
        return Order(
            product=self.batch.product.key,
            subscription=person.external_id,
            act=str(act),
            key=f"{row.subscription_id}-{row.number}-{act}-{row.version}",
            at=now,
            since=since,
            told=_told(case, act, person.told_at, since or now, now),
        )


class _Settling:
    """Turns outcomes into events and gathers what becomes of their rows."""

    def __init__(self, connection: Connection, batch: Batch) -> None:
        self.connection = connection
        self.batch = batch
        self.asked: list[int] = []
        self.done: list[int] = []
        self.back: list[tuple[int, datetime, str | None, int]] = []
        self.parked: list[tuple[int, str]] = []
        self.refused: list[str] = []
        self.wordings: dict[bytes, Words] = {}
        self.said: list[Line] = []

    def take(self, result: Result) -> None:
        """Take up one outcome; what belongs to an earlier round is over, and says nothing new."""
        if isinstance(result.outcome, Done) and result.said is not None:
            self._keep(result.task, result.said)
        if not self._of_this_round(result.task):
            self.done.append(result.task.id)
            return
        match result.outcome:
            case Done():
                self._done(result)
            case Later() as later:
                self._later(result, later)
            case No() as no:
                self._no(result, no)

    def _keep(self, task: Task, said: Said) -> None:
        """Take up what somebody has been told, whatever the rules make of it."""
        of = said.wording
        words = Words(of.digest, of.notice, of.language, of.templates, *of.draft)
        self.wordings[of.digest] = words
        whom = (task.subscription_id, task.number, str(task.kind), task.version)
        self.said.append(Line(*whom, of.digest, said.facts, said.told))

    def _of_this_round(self, task: Task) -> bool:
        case = self.batch.cases.get(task.subscription_id)
        return case is not None and case.round is not None and case.round.number == task.number

    def _done(self, result: Result) -> None:
        task = result.task
        self._apply(task, _done_event(task, result.standing))
        if task.subscription_id in self.batch.failed:
            self._not_understood(task)
            return
        self.done.append(task.id)
        if task.kind is Kind.ASK:
            self.asked.append(task.subscription_id)

    def _not_understood(self, task: Task) -> None:
        """Keep what was done and the rules choked on: an act to be read back, or for a person."""
        if task.kind in ACT_OF:
            until = self.batch.now + LONGEST_PAUSE
            self.back.append((task.id, until, "rules failed", task.unknown + 1))
        else:
            self.parked.append((task.id, "rules failed"))

    def _later(self, result: Result, later: Later) -> None:
        task = result.task
        pause = later.retry_after if later.retry_after is not None else pause_after(task.tries)
        unknown = task.unknown + (1 if later.unknown else 0)
        known = not later.unknown and (result.begun or not task.unknown)
        if task.kind in ACT_OF and known:
            self._apply(task, NotDone(ACT_OF[task.kind], task.version))
            if not self._still_wanted(task):
                self.done.append(task.id)
                return
        self.back.append((task.id, self.batch.now + pause, later.reason, unknown))

    def _still_wanted(self, task: Task) -> bool:
        case = self.batch.cases.get(task.subscription_id)
        current = case.round if case else None
        return bool(
            current
            and current.open
            and current.act is ACT_OF[task.kind]
            and current.act_version == task.version
        )

    def _no(self, result: Result, no: No) -> None:
        task = result.task
        if task.kind in ACT_OF:
            self._apply(task, Declined(ACT_OF[task.kind], task.version))
            self.parked.append((task.id, no.reason))
        elif result.park or no.ours:
            self.parked.append((task.id, no.reason))
        else:
            self._apply(task, Undelivered(Reach.BOUNCED))
            if task.brief is not None and no.reason.startswith("smtp "):
                self.refused.append(task.brief.to)
            self.done.append(task.id)

    def _apply(self, task: Task, event: Event) -> None:
        self.batch.apply(task.subscription_id, event)

    def settle(self) -> None:
        """Write what became of the rows, and what it led to."""
        outbox.delete(self.connection, self.done)
        outbox.put_back(self.connection, self.back)
        outbox.park(self.connection, self.parked)
        evidence.write(self.connection, self.wordings.values(), self.said, self.batch.now)
        changed = [s for s, case in self.batch.cases.items() if case is not self.batch.before[s]]
        set_timers(self.batch, changed)
        self.batch.flush(self.connection, ACTOR, counted=False)


def _link_of(task: Task) -> tuple[int, int, int]:
    return task.subscription_id, task.number, task.version


def _by_silence(row: Row, case: Case) -> bool:
    """Say whether nobody's word but silence wants an act."""
    if row.kind is Kind.BILLING_END:
        return case.round is None or case.round.erase_at is None
    if row.kind is Kind.BILLING_CANCEL:
        return case.round is None or case.round.word is not Word.CANCEL
    return row.kind is Kind.BILLING_SUSPEND


def _told(
    case: Case, act: Act, told_at: datetime | None, since: datetime, now: datetime
) -> Standing:
    """Give what billing has told by itself since an act was due: that it was done, or nothing.

    That a subscription stands elsewhere proves nothing: it may have been told before the act came.
    """
    subscription = case.subscription
    state = STANDS.get(subscription.status, UNKNOWN)
    seen = told_at is not None and told_at > since and state in REACHED[act]
    return Standing(state if seen else UNKNOWN, next_charge(subscription, now))


def pause_after(tries: int) -> timedelta:
    """Give how long to wait after so many tries: doubling from a minute to six hours."""
    return min(FIRST_PAUSE * (1 << min(max(tries - 1, 0), 20)), LONGEST_PAUSE)


def _done_event(task: Task, standing: Standing | None) -> Event:
    if task.kind in ACT_OF:
        paid = standing.paid_until if standing else None
        return Acknowledged(ACT_OF[task.kind], task.version, paid)
    return HandedOver(task.kind, task.version)

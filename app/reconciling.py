"""Keeps the mirror true: reads back what changed, and compares everything with billing once a day.

Between two transactions somebody else asks billing; here is what goes before and what follows. A
run of the comparison goes through the pages of billing's list, then looks for whom we hold as alive
and billing did not list, then through the charges. Nothing is concluded from a list alone, which
changes while it is read: who is missing is asked about singly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta

from sqlalchemy import Connection

from app.clock import Clock
from app.engine import holds
from app.engine.effects import pause_after
from app.links import Links
from app.mirror import mirror_of
from app.refunding import Ledger
from app.rows import Facts
from app.store import cases, looks, products, reading, tombstones
from app.store import reconciliation as store
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.looks import Look
from app.store.products import Product
from app.store.reconciliation import CHARGES, LOST, MISSING, NOT_PAUSED, PAGES, Going
from app.world.connector import Capabilities, Charge, Page

ACTOR = "reconciliation"
LEASE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=6)
SHORTEST_PAUSE = timedelta(seconds=1)
UNCONNECTED = timedelta(minutes=15)
"""So soon it is tried again whether a product can reach its billing system at all."""
POLITE_TRIES = 3
"""For so many tries billing's own word counts how long to wait, then no less than our pauses."""
MOST_TRIES = 12
"""What cannot be taken in so often, over more than a day, waits for a person."""
LOOKS_AT_A_TIME = 50
WINDOW = 5000
MOST_MISSING = 1000
"""More than this many missing are no news about people: the list, or the key, is wrong."""
SLACK = timedelta(minutes=1)
"""Our clock and billing's may be so far apart; who was told of so shortly before is not missed."""
FRESH = timedelta(hours=1)
"""What we did so shortly before may not be seen at billing yet: that is no difference."""
OVERLAP = timedelta(days=2)
"""A charge is mostly seen no later than this; once a week a run walks much further back."""
FIRST_HOUR = 1
QUIET_MINUTES = 240
"""Runs begin between one and five at night, each product at a minute of its own."""
STRIDE = 37
CHARGED = frozenset({"active", "trialing", "past_due"})
OURS = {
    ("suspended", "paused"),
    ("suspended", "canceled"),
    ("canceled", "canceled"),
    ("canceled", "active"),
    ("resumed", "active"),
    ("kept", "active"),
}
"""What a round came to, and what billing calls the subscription because of it."""


def pause(tries: int, retry_after: timedelta | None) -> timedelta:
    """Give how long to wait after so many tries, where billing may have asked for a pause."""
    if retry_after is None:
        return pause_after(tries)
    wished = min(max(retry_after, SHORTEST_PAUSE), LONGEST_PAUSE)
    return wished if tries <= POLITE_TRIES else max(wished, pause_after(tries))


def quiet_hour(product: Product, now: datetime) -> datetime:
    """Give the next moment after now at which a product's run begins: by night, where it lives."""
    zone = cases.zone(product.timezone)
    minute = product.id * STRIDE % QUIET_MINUTES
    at = time(FIRST_HOUR + minute // 60, minute % 60)
    day = now.astimezone(zone).date()
    while (found := datetime.combine(day, at, zone)) <= now:
        day += timedelta(days=1)
    return found


def as_of(facts: Facts, asked_at: datetime) -> Facts:
    """Give facts as of the moment of asking, where billing does not say when it was so."""
    return facts if facts.told_at is not None else replace(facts, told_at=asked_at)


class _RulesFailed(Exception):
    """The rules raised about somebody: nothing of it is written."""


# --- reading back ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of some looks.

    `found` has what billing said (None: it does not know the subscription), `refused` what cannot
    be read and why, `failed` what went wrong with one alone, `left` what was not asked about.
    `away` says why billing cannot be asked at all, and for how long; the first that is `left` is
    then the one it was asked about.
    """

    found: list[tuple[Look, Facts | None]] = field(default_factory=list)
    refused: list[tuple[Look, str]] = field(default_factory=list)
    failed: list[tuple[Look, str]] = field(default_factory=list)
    left: list[Look] = field(default_factory=list)
    away: tuple[str, timedelta | None] | None = None


@dataclass(frozen=True, slots=True)
class Looking:
    """Reads subscriptions back."""

    database: Database
    clock: Clock
    lease: timedelta = LEASE
    links: Links | None = None

    def claim(self, product: Product, limit: int = LOOKS_AT_A_TIME) -> list[Look]:
        """Take some of what is due."""
        with self.database.transaction() as connection:
            return looks.claim(connection, product.id, self.clock.wall(), self.lease, limit)

    def drop(self, product: Product) -> int:
        """Forget what is due of a product whose billing cannot be asked, and say so; how many."""
        with self.database.transaction() as connection:
            many = looks.drop_due(connection, product.id, self.clock.wall())
            if many:
                note = HistoryWrite(None, None, "looks_dropped", "billing_cannot_be_asked", None)
                cases.insert_history(connection, product.id, self.clock.now(), ACTOR, [note])
        return many

    def put_off_all(self, product: Product, error: str) -> None:
        """Have everything wait because billing cannot even be called."""
        with self.database.transaction() as connection:
            until = self.clock.wall() + UNCONNECTED
            looks.put_off_all(connection, product.id, until, error)

    def settle(self, product: Product, seen: Seen) -> None:
        """Take in what billing said, and strike it off; one that cannot be taken in stops no other.

        Facts are applied as of the moment of asking, so that late and doubled ones do no harm.
        """
        try:
            self._take(product, seen.found)
        except Exception:  # noqa: BLE001 - one of them is poisoned: each is taken alone
            for each in seen.found:
                self._take_one(product, each, seen)
        with self.database.transaction() as connection:
            self._put_aside(connection, product, seen)

    def _take_one(self, product: Product, each: tuple[Look, Facts | None], seen: Seen) -> None:
        try:
            self._take(product, [each])
        except Exception as error:  # noqa: BLE001 - it waits, and the others do not
            seen.failed.append((each[0], f"not taken in: {type(error).__name__}"))

    def _take(self, product: Product, found: Sequence[tuple[Look, Facts | None]]) -> None:
        if not found:
            return

        def work(connection: Connection) -> None:
            told = [facts for _, facts in found if facts is not None]
            mirror = mirror_of(product.billing, self.database, self.clock, self.links)
            # As it stands now: who listens and what holds may have changed since it was claimed.
            current = products.load(connection, product.key)
            actor = f"billing:{product.billing}"
            counts = mirror.bring_in(connection, current, told, actor, news=True)
            if counts["failed"]:
                raise _RulesFailed
            self._place(connection, current, found)
            store.explained(connection, product.id, LOST, [each.external_id for each in told])
            lost = [look.external_id for look, facts in found if facts is None]
            _report_lost(connection, product, lost, self.clock.now())
            looks.done(connection, product.id, [look for look, _ in found])

        self.database.retrying(work)

    def _place(
        self, connection: Connection, product: Product, found: Sequence[tuple[Look, Facts | None]]
    ) -> None:
        """Hold those of whom a dispute named the payment only: now it is known whose that was."""
        named = {each.external_id: facts.external_id for each, facts in found if facts is not None}
        paid = {about: name for about, name in named.items() if about != name}
        if paid:
            there = reading.ids_present(connection, product.id, sorted(set(paid.values())))
            known = {about: there[name] for about, name in paid.items() if name in there}
            holds.placed(connection, product, known, self.clock.now())

    def _put_aside(self, connection: Connection, product: Product, seen: Seen) -> None:
        wall = self.clock.wall()
        looks.park(connection, product.id, seen.refused)
        for look, error in seen.failed:
            if look.tries >= MOST_TRIES:
                looks.park(connection, product.id, [(look, error)])
            else:
                until = wall + pause_after(look.tries)
                looks.put_off(connection, product.id, [look], until, error)
        if seen.away is None:
            looks.release(connection, product.id, seen.left, wall)
            return
        reason, retry_after = seen.away
        until = wall + pause(max(look.tries for look in seen.left), retry_after)
        looks.put_off_all(connection, product.id, until, reason)
        # Whom the answer was about comes after the others: it may be about them alone.
        first = seen.left[0]
        looks.put_off(connection, product.id, [first], until + pause_after(first.tries), reason)


def _report_lost(
    connection: Connection, product: Product, names: Sequence[str], now: datetime
) -> None:
    """Report who is alive for us and not known to billing: nobody is ended because of that."""
    held = store.held(connection, product.id, names)
    alive = [each.id for each in held.values() if each.status != "canceled"]
    _report(connection, product, LOST, alive, now)


def _report(
    connection: Connection, product: Product, what: str, ids: Sequence[int], now: datetime
) -> int:
    """Report what cannot be explained, in the history too where it is news; give how many."""
    if not ids:
        return 0
    new = store.report(connection, product.id, what, ids, now)
    notes = [HistoryWrite(each, None, "unexplained", what, None) for each in new]
    cases.insert_history(connection, product.id, now, ACTOR, notes)
    return len(ids)


# --- comparing -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Taken:
    """What is taken in with one step through the pages, and where the next one begins.

    `refused` billing could not put into facts, `broken` we could not take in.
    """

    facts: tuple[Facts, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    after: str | None = None
    last: bool = False
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparing:
    """Compares a product with its billing system, one step after the other."""

    database: Database
    clock: Clock
    lease: timedelta = LEASE
    links: Links | None = None

    def claim(self, product: Product, can: Capabilities, *, at_once: bool = False) -> Going | None:
        """Take the run of a product, where one is due or wanted at once and nobody has it."""
        with self.database.transaction() as connection:
            now, wall = self.clock.now(), self.clock.wall()
            going = store.claim(connection, product.id, now, wall, self.lease, at_once=at_once)
            if going is not None:
                store.note_lists(connection, going, lists=can.lists)
        return going

    def release(self, going: Going) -> None:
        """Let another go on."""
        with self.database.transaction() as connection:
            store.release(connection, going, self.clock.now())

    def put_off(
        self, going: Going, error: str, retry_after: timedelta | None = None, *, anew: bool = False
    ) -> None:
        """Have the run wait because of an error."""
        with self.database.transaction() as connection:
            until = self.clock.now() + pause(going.tries + 1, retry_after)
            store.put_off(connection, going, until, error, anew=anew)

    def _move_on(self, connection: Connection, going: Going) -> Going:
        moved = replace(going, tries=0)
        store.move_on(connection, moved, self.clock.wall() + self.lease)
        return moved

    def skip(self, going: Going, phase: str) -> Going | None:
        """Go on to another part of the run; None where somebody else has taken it since."""
        with self.database.transaction() as connection:
            if not store.hold(connection, going):
                return None
            return self._move_on(connection, replace(going, phase=phase, after=None))

    # --- pages ---------------------------------------------------------------------------------

    def take_page(
        self, product: Product, going: Going, page: Page[Facts], asked_at: datetime
    ) -> Going | None:
        """Take in a page and move on; None where somebody else has taken the run since.

        A subscription that cannot be taken in is counted as failed and stops no other: it is read
        back singly, until that says why. What billing could not put into facts is put before a
        person. Where billing does not say when it was so, it was so when it was asked.
        """
        told = {each.external_id: as_of(each, asked_at) for each in page.items}
        taken = _Taken(tuple(told.values()), page.refused, page.after, last=page.after is None)
        try:
            return self._take(product, going, taken)
        except Exception:  # noqa: BLE001 - one of them is poisoned: each is taken alone
            return self._take_singly(product, going, taken)

    def _take_singly(self, product: Product, going: Going, taken: _Taken) -> Going | None:
        moved: Going | None = going
        broken: list[str] = []
        for each in taken.facts:
            try:
                moved = self._take(product, going, _Taken((each,), after=going.after))
            except Exception:  # noqa: BLE001 - it is counted, and looked at
                broken.append(each.external_id)
            if moved is None:
                return None
            going = moved
        rest = replace(taken, facts=(), broken=tuple(broken))
        return self._take(product, going, rest)

    def _take(self, product: Product, going: Going, taken: _Taken) -> Going | None:
        def work(connection: Connection) -> Going | None:
            if not store.hold(connection, going):
                return None
            counts = going.counts.copy()
            counts["read"] += len(taken.facts) + len(taken.refused) + len(taken.broken)
            counts["refused"] += len(taken.refused)
            counts["failed"] += len(taken.broken)
            self._compare(connection, product, taken.facts, counts)
            wall = self.clock.wall()
            looks.mended(connection, product.id, [each.external_id for each in taken.facts])
            odd = [*taken.broken, *(name for name, _ in taken.refused)]
            gone = tombstones.gone(connection, self.links, product.id, odd)
            refused = [each for each in taken.refused if each[0] not in gone]
            looks.refuse(connection, product.id, refused, wall)
            if broken := [name for name in taken.broken if name not in gone]:
                looks.want(connection, product.id, broken, (), wall)
            phase = MISSING if taken.last else PAGES
            return self._move_on(
                connection, replace(going, counts=counts, after=taken.after, phase=phase)
            )

        return self.database.retrying(work)

    def _compare(
        self,
        connection: Connection,
        product: Product,
        facts: Sequence[Facts],
        counts: Counter[str],
    ) -> None:
        """Note who is as they were, bring in the others, report who should not be charged."""
        if not facts:
            return
        same = store.retell(
            connection,
            product.id,
            [each.external_id for each in facts],
            [each.told for each in facts],
            [each.told_at for each in facts if each.told_at is not None],
        )
        counts["unchanged"] += len(same)
        self._bring(
            connection, product, [each for each in facts if each.external_id not in same], counts
        )
        self._check_paused(connection, product, facts, counts)

    def _bring(
        self,
        connection: Connection,
        product: Product,
        facts: Sequence[Facts],
        counts: Counter[str],
    ) -> None:
        """Bring facts into the mirror; count what was different, and whose doing it was."""
        if not facts:
            return
        now = self.clock.now()
        names = [each.external_id for each in facts]
        before = store.held(connection, product.id, names)
        waited = looks.awaited(connection, product.id, names)
        ours = store.ours(connection, product.id, names, now - FRESH)
        current = products.load(connection, product.key)
        mirror = mirror_of(product.billing, self.database, self.clock, self.links)
        brought = mirror.bring_in(connection, current, facts, ACTOR)
        after = store.held(connection, product.id, names)
        repaired = []
        for name, held in after.items():
            old = before.get(name)
            if old is None:
                counts["new"] += 1
            elif old.told != held.told:
                mine = name in waited or (name in ours and _explains(ours[name], old, held))
                counts["ours"] += mine
                renewed = not mine and _renewed(old, held)
                counts["renewed"] += renewed
                if not mine and not renewed:
                    repaired.append(held.id)
        counts["repaired"] += len(repaired)
        for what in ("unchanged", "stale", "failed", "erased"):
            counts[what] += brought[what]
        notes = [
            HistoryWrite(each, None, "repaired", "billing_said_otherwise", None)
            for each in repaired
        ]
        cases.insert_history(connection, product.id, now, ACTOR, notes)

    def _check_paused(
        self,
        connection: Connection,
        product: Product,
        facts: Sequence[Facts],
        counts: Counter[str],
    ) -> None:
        """Report whom we suspended, confirmed, and billing charges all the same (R04)."""
        now, names = self.clock.now(), [each.external_id for each in facts]
        charged = [each.external_id for each in facts if each.status in CHARGED]
        wrong = store.not_paused(connection, product.id, charged, now - FRESH)
        store.listed(connection, product.id, names, wrong)
        found = _report(connection, product, NOT_PAUSED, wrong, now)
        counts["unexplained"] += found

    # --- who is missing ------------------------------------------------------------------------

    def look_for_missing(self, product: Product, going: Going) -> Going | None:
        """Look through the next of our own whom billing did not list, and have them asked about.

        None where somebody else has taken the run since.
        """

        def work(connection: Connection) -> Going | None:
            if not store.hold(connection, going):
                return None
            after, since = int(going.after or 0), going.began_at - SLACK
            found = store.unlisted(connection, product.id, after, since, WINDOW)
            counts = going.counts.copy()
            counts["missing"] += len(found.names)
            too_many = counts["missing"] > MOST_MISSING
            counts["too_many_missing"] = int(too_many)
            if not too_many:
                looks.want(connection, product.id, found.names, (), self.clock.wall())
            if found.last is None or too_many:
                return self._move_on(
                    connection, replace(going, counts=counts, phase=CHARGES, after=None)
                )
            return self._move_on(connection, replace(going, counts=counts, after=str(found.last)))

        return self.database.retrying(work)

    # --- charges -------------------------------------------------------------------------------

    def take_charges(
        self, product: Product, going: Going, charges: Sequence[Charge], after: str | None
    ) -> Going | None:
        """Take in a page of charges; the last one ends the run.

        None where somebody else has taken the run since.
        """

        def work(connection: Connection) -> Going | None:
            if not store.hold(connection, going):
                return None
            counts = going.counts.copy()
            now = self.clock.now()
            counts.update(Ledger.prove(connection, product.id, charges, now))
            if after is not None:
                return self._move_on(connection, replace(going, counts=counts, after=after))
            ended = replace(going, counts=counts)
            until = going.began_at - OVERLAP
            store.end(connection, ended, now, quiet_hour(product, now), until)
            return ended

        return self.database.retrying(work)

    def end(self, product: Product, going: Going) -> None:
        """End a run whose charges nobody can list: they stay to be walked through."""
        with self.database.transaction() as connection:
            if store.hold(connection, going):
                now = self.clock.now()
                due_at = quiet_hour(product, now)
                store.end(connection, going, now, due_at, going.charges_from)


def _explains(stage: str | None, old: store.Held, new: store.Held) -> bool:
    """Say whether our own act explains what billing now says: so it does while it is fresh."""
    return stage is None or (old.status != new.status and (stage, new.status) in OURS)


def _renewed(old: store.Held, new: store.Held) -> bool:
    """Say whether it only goes on: the next charge lies later, and all else is as it was."""
    later = bool(old.renews_at and new.renews_at and old.renews_at < new.renews_at)
    return later and (old.status, old.rest) == (new.status, new.rest)

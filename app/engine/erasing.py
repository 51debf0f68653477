"""Erases: what two people agreed to, and what people want themselves, step by step to the end.

Each step is a transaction of its own that locks the case, asks the rules once more and acts as the
database's eraser, a role that nobody else has. Whatever is cut off goes on where it stopped.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from app import certificates, guards, ledger
from app.clock import Clock
from app.engine import news, receipts, wiping
from app.engine.collecting import entry_of, not_now
from app.engine.door import Batch, open_batch, set_timers
from app.lifecycle.case import AllReceipts, BeginErasure, Event, Outcome, Tick, Verdict, Wiped
from app.lifecycle.erasing import barred_own
from app.lifecycle.erasures import OWN_REST
from app.links import Links
from app.manifests import NEEDED, approvals_that_count, hash_of
from app.store import cases, erasures, manifests, products, proof
from app.store import ledger as entries
from app.store import receipts as owing
from app.store.cases import HistoryWrite
from app.store.database import Database, is_away
from app.store.erasures import Begun, Open
from app.store.ledger import Over
from app.store.manifests import Entry
from app.store.products import Product

BATCH = 100
ACTOR = "eraser"
CHANGED = "changed"
"""Why somebody on a manifest was passed over: not as they stood when people agreed to it."""


def new_id() -> str:
    """Give the id of an erasure: nobody can guess it, and it says nothing about anybody."""
    return f"era_{secrets.token_hex(16)}"


def no_mailbox() -> None:
    """Forget no mails: they were handed to a relay, which keeps none."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What failed while erasures were taken further, by what it was; nobody else waits for it."""

    errors: dict[str, Exception] = field(default_factory=dict)

    def trying(self, what: str, step: Callable[[], int]) -> int:
        """Take a step and give what it gives; 0 where it fails, which is told in the end."""
        try:
            return step()
        except Exception as error:
            if is_away(error):
                raise
            self.errors.setdefault(what, error)
            return 0

    def tell(self) -> None:
        """Raise the first thing that failed, where anything has."""
        for error in self.errors.values():
            raise error


@dataclass(frozen=True, slots=True)
class Eraser:
    """Takes the erasures of products further; several may run at once.

    `keys` sign certificates, newest first; `ledger` is the file that the ledger is exported to;
    `clear_mailbox` forgets the mails of who was erased, where mails are kept in a folder.
    """

    database: Database
    clock: Clock
    links: Links
    keys: Sequence[str]
    ledger: Path | None = None
    clear_mailbox: Callable[[], object] = no_mailbox
    batch: int = BATCH
    after_step: Callable[[str], None] = field(default=lambda _: None)

    def work(self, product_key: str, go_on: Callable[[], bool]) -> tuple[int, bool]:
        """Take a product's erasures further while `go_on` says so.

        Give how many steps were taken, and whether none is left that can be taken now. What fails
        stops nobody else: it is raised once all others have been taken further.
        """
        did, failed = 0, Failed()
        while go_on():
            done = self._once(product_key, failed)
            did += done
            if not done:
                break
        else:
            failed.tell()
            return did, False
        failed.tell()
        return did, True

    def once(self, product_key: str) -> int:
        """Begin and take further one batch of each; give how many steps were taken."""
        failed = Failed()
        done = self._once(product_key, failed)
        failed.tell()
        return done

    def _once(self, product_key: str, failed: "Failed") -> int:
        steps = (self._go_on, self._begin_agreed, self._begin_wanted)
        return sum(step(product_key, failed) for step in steps)

    # --- beginning -------------------------------------------------------------------------

    def _begin_agreed(self, product_key: str, failed: "Failed") -> int:
        """Begin what two people agreed to, manifest by manifest (R13)."""
        with self.database.transaction() as connection:
            product = products.load(connection, product_key)
            numbers = erasures.approved(connection, product.id)
        return sum(
            failed.trying(
                manifests.named(number), partial(self._begin_manifest, product_key, number)
            )
            for number in numbers
        )

    def _begin_manifest(self, product_key: str, number: int) -> int:
        def checked(connection: Connection) -> bool:
            product = products.load(connection, product_key)
            return self._as_agreed(connection, product, number)

        def work(connection: Connection) -> int:
            product = products.load(connection, product_key)
            return self._begin_some(connection, product, number)

        if not self.database.retrying(checked):
            return 0
        done = self.database.retrying(work)
        self.after_step("begun")
        return done

    def _as_agreed(self, connection: Connection, product: Product, number: int) -> bool:
        """Say whether a manifest is the one that people approved, down to the last line of it."""
        found = manifests.of(connection, product.id, number)
        if found is None or found.hash is None:
            return False
        if hash_of(connection, product, number) == found.hash:
            return True
        manifests.refuse(connection, product.id, number, ACTOR, self.clock.now())
        self._note(connection, product, "manifest_tampered", manifests.named(number))
        return False

    def _begin_some(self, connection: Connection, product: Product, number: int) -> int:
        """Begin some of a manifest, where two people still stand for it and no brake is on."""
        erasures.take_role(connection)
        now = self.clock.now()
        if not erasures.still_approved(connection, product.id, number):
            return 0
        if guards.braked(connection, product) or guards.is_stale(product, now):
            return 0
        if len(approvals_that_count(connection, product, number, now)) < NEEDED:
            erasures.disagreed(connection, product.id, number)
            self._note(connection, product, "manifest_disagreed", manifests.named(number))
            return 1
        some = erasures.waiting(connection, product.id, number, self.batch)
        if not some:
            if erasures.nobody_waits(connection, product.id, number):
                manifests.finish(connection, product.id, number, now)
                return 1
            return 0
        batch = open_batch(connection, product, [each.subscription_id for each in some], now)
        skipped = {each.subscription_id: self._begin_entry(batch, each) for each in some}
        begun = [
            self._begun(batch, each.subscription_id, "schedule", number)
            for each in some
            if skipped[each.subscription_id] is None
        ]
        self._write_begun(connection, batch, begun)
        erasures.settle_entries(connection, product.id, number, skipped)
        return len(some)

    def _begin_entry(self, batch: Batch, entry: Entry) -> str | None:
        """Begin the erasure of one on a manifest; why not, where something speaks against it."""
        try:
            return self._begin_agreed_to(batch, entry)
        except Exception:  # noqa: BLE001 - one poisoned case must not stop the others
            return f"rules_{Verdict.FAILED}"

    def _begin_agreed_to(self, batch: Batch, entry: Entry) -> str | None:
        case = batch.cases.get(entry.subscription_id)
        if case is None or case.round is None or entry_of(case) != entry:
            return (not_now(batch.product, case, batch.now) if case else None) or CHANGED
        why = not_now(batch.product, case, batch.now)
        if why is not None:
            return why
        event = BeginErasure(entry.round, entry.erase_on)
        reply = batch.apply(entry.subscription_id, event)
        return None if reply.verdict is Verdict.APPLIED else f"rules_{reply.verdict}"

    def _begin_wanted(self, product_key: str, failed: "Failed") -> int:
        """Begin what people asked for themselves, whatever stops the schedule (R14).

        Not while a restored backup waits for a person: what they have said since is missing.
        """

        def work(connection: Connection) -> int:
            erasures.take_role(connection)
            product, now = products.load(connection, product_key), self.clock.now()
            if guards.restored(connection, product):
                return 0
            since = now - OWN_REST
            some = erasures.wishes(connection, product.id, since, erasures.START, self.batch)
            batch = open_batch(connection, product, [sid for _, sid in some], now)
            begun = [
                self._begun(batch, sid, "request", None)
                for sid in sorted(batch.cases)
                if self._begin_wish(batch, sid)
            ]
            self._write_begun(connection, batch, begun)
            return len(begun)

        done = failed.trying("wishes", lambda: self.database.retrying(work))
        self.after_step("begun")
        return done

    def _begin_wish(self, batch: Batch, sid: int) -> bool:
        case = batch.cases[sid]
        try:
            barred_now = barred_own(case, batch.now)
        except Exception:  # noqa: BLE001 - one poisoned case must not stop the others
            return False
        if case.round is None or barred_now is not None:
            return False
        reply = batch.apply(sid, BeginErasure(case.round.number))
        return reply.verdict is Verdict.APPLIED

    def _begun(self, batch: Batch, sid: int, cause: str, number: int | None) -> Begun:
        current = batch.cases[sid].round
        return Begun(new_id(), sid, current.number if current else 0, cause, number)

    def _write_begun(self, connection: Connection, batch: Batch, begun: Sequence[Begun]) -> None:
        """Write what has begun: the erasures, and what each target will owe for them."""
        erasures.begin(connection, batch.product.id, begun, ACTOR, batch.now)
        for each in begun:
            receipts.open_for(connection, batch.product, each.id, batch.now)
        set_timers(batch, batch.changed)
        batch.flush(connection, ACTOR)

    # --- going on --------------------------------------------------------------------------

    def _go_on(self, product_key: str, failed: "Failed") -> int:
        with self.database.transaction() as connection:
            product = products.load(connection, product_key)
            some = erasures.to_go_on(
                connection,
                product.id,
                self.clock.now(),
                self.batch,
                braked=guards.braked(connection, product),
                but=list(failed.errors),
            )
        did = sum(failed.trying(each.id, partial(self._step, product_key, each)) for each in some)
        if did:
            failed.trying("tidying", self._tidied)
        return did

    def _tidied(self) -> int:
        self.tidy()
        return 0

    def tidy(self) -> None:
        """Do what follows from erasures that are over; after a crash it is made up for."""
        self.clear_mailbox()
        if self.ledger is not None:
            with self.database.transaction() as connection:
                ledger.export(connection, self.ledger)

    def _step(self, product_key: str, each: Open) -> int:
        """Take one erasure a step further, in a transaction of its own."""

        def work(connection: Connection) -> str | None:
            erasures.take_role(connection)
            product = products.load(connection, product_key)
            if each.waits_for_brakes and guards.braked(connection, product):
                return None
            batch = open_batch(connection, product, [each.subscription_id], self.clock.now())
            return self._step_in(connection, batch, each)

        done = self.database.retrying(work)
        if done is not None:
            self.after_step(done)
        return int(done is not None)

    def _step_in(  # noqa: PLR0911 - one reason each to leave it as it is
        self, connection: Connection, batch: Batch, each: Open
    ) -> str | None:
        """Do what comes next for one erasure; give what was done, None where that was nothing."""
        case = batch.cases.get(each.subscription_id)
        current = case.round if case else None
        if current is None:
            return None
        if current.number != each.round or current.outcome not in (None, Outcome.ERASED):
            erasures.stop(connection, [each.id], str(current.outcome or CHANGED), batch.now)
            return "stopped"
        event: Event = Tick()
        match current.erasing:
            case "telling":
                if not self._all_answered(connection, batch, each):
                    return None
                event = AllReceipts(each.round)
                erasures.answered(connection, [each.id], batch.now)
            case "wiping":
                # A last notice that is being handed over right now arrives before, or not at all.
                if not erasures.nothing_in_hand(connection, each.subscription_id):
                    return None
                event = Wiped(each.round)
        if batch.apply(each.subscription_id, event).verdict is not Verdict.APPLIED:
            return None
        if isinstance(event, Wiped):
            return self._wipe(connection, batch, each)
        self._flush(connection, batch, each)
        return str(current.erasing)

    def _all_answered(self, connection: Connection, batch: Batch, each: Open) -> bool:
        """Say whether every target has answered, those too that were added meanwhile."""
        receipts.open_for(connection, batch.product, each.id, batch.now)
        return bool(owing.all_given(connection, [each.id]))

    def _wipe(self, connection: Connection, batch: Batch, each: Open) -> str:
        """Delete what is left, put up the tombstone, enter it in the ledger, and certify it all."""
        product, sid, now = batch.product, each.subscription_id, batch.now
        keep = batch.policy_for(batch.before[sid]).keep_categories
        erasures.settle_request(connection, sid, ACTOR, now)
        self._flush(connection, batch, each)
        wiped = wiping.wipe(connection, product, sid, self.links, each.id, now, keep)
        over = Over(each.id, product.key, each.cause, wiped.mark, now)
        erasures.end(connection, each.id, entries.append(connection, over), now)
        made = certificates.make(proof.proof_of(connection, each.id), self.keys)
        erasures.certify(connection, each.id, made)
        news.tell_completed(connection, product, each.id, sid, now)
        return "wiped"

    def _flush(self, connection: Connection, batch: Batch, each: Open) -> None:
        set_timers(batch, [each.subscription_id])
        batch.flush(connection, ACTOR)

    def _note(self, connection: Connection, product: Product, what: str, why: str) -> None:
        line = HistoryWrite(None, None, what, why, None)
        cases.insert_history(connection, product.id, self.clock.now(), ACTOR, [line])

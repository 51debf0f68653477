"""Keeps the books: reads subscriptions back, compares them with billing, gives wrong charges back.

Billing is asked between two transactions, by whoever holds the lease of what it is asked about. A
system that is away puts off its own product and no other; what one subscription raises puts off
that one. A worker may die between any two steps: whoever comes next does the same again, to the
same end.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from app.clock import Clock
from app.errors import Refused
from app.links import Links
from app.reconciling import LEASE, UNCONNECTED, Comparing, Looking, Seen, as_of
from app.refunding import CANNOT, Ledger
from app.rows import Facts
from app.store import products
from app.store.database import Database
from app.store.looks import Look
from app.store.products import Product
from app.store.reconciliation import CHARGES, MISSING, PAGES, Going
from app.store.refunds import Entry
from app.store.running import LOOK, RECONCILE
from app.world.connector import Away, Capabilities, Charge, Connector, Page, Repayment, Unfit
from app.world.outcome import Later, No, Outcome

Item = TypeVar("Item")
GoOn = Callable[[], bool]
MARGIN = 0.4
"""Nothing is begun with less of the lease left: billing may take its time over one answer."""
ANEW_AFTER = 3
"""A list that fails so often at one place, though billing is there, is read from its beginning."""
MOST_PAGES = 20
"""A charge that is not on so many pages of its time is not looked for any further."""
ENDED = "ended"
NOTHING = Capabilities(
    pause=False, cancel=False, asked=False, lists=False, charges=False, refunds=False
)


class Broken(Exception):
    """What a connector raised that it should not have; the text is a code."""


@dataclass(slots=True)
class Books:
    """Keeps the books of every product; one of these serves all threads of a process."""

    database: Database
    clock: Clock
    connector: Callable[[str], Connector]
    lease: timedelta = LEASE
    links: Links | None = None
    after_step: Callable[[str], None] = lambda _: None
    """Called between any two steps, by what was just done: where a test may end a worker."""
    looking: Looking = field(init=False)
    comparing: Comparing = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        """Put together what writes."""
        self.looking = Looking(self.database, self.clock, self.lease, self.links)
        self.comparing = Comparing(self.database, self.clock, self.lease, self.links)
        self.ledger = Ledger(self.database, self.clock, self.lease)

    def work(self, job: str, product_key: str, go_on: GoOn) -> tuple[int, bool]:
        """Do one job of a product while `go_on` says so.

        Give how much was done, and whether nothing is left that could be.
        """
        product = self._product(product_key)
        if job == LOOK:
            return self._look_all(product, go_on)
        if job == RECONCILE:
            return self._compare(product, go_on)
        return self._refund_all(product, go_on)

    def _product(self, key: str) -> Product:
        with self.database.transaction() as connection:
            return products.load(connection, key)

    def _connected(self, product: Product) -> Connector:
        """Give the connector; Away where the product lacks what it needs."""
        try:
            return self.connector(product.key)
        except Refused:
            raise Away("not connected") from None

    # --- reading back --------------------------------------------------------------------------

    def _look_all(self, product: Product, go_on: GoOn) -> tuple[int, bool]:
        try:
            connector = self._connected(product)
        except Away as away:
            self.looking.put_off_all(product, away.reason)
            return 0, True
        if not (connector.capabilities.asked and connector.capabilities.lists):
            return self.looking.drop(product), True
        did = 0
        while go_on():
            claimed = self.looking.claim(product)
            if not claimed:
                return did, True
            self.after_step("looks claimed")
            seen = self._look(connector, claimed, go_on)
            self.looking.settle(product, seen)
            self.after_step("looks settled")
            did += len(claimed) - len(seen.left)
            if seen.away is not None:
                return did, True
        return did, False

    def _look(self, connector: Connector, claimed: list[Look], go_on: GoOn) -> Seen:
        """Ask about each; what is not asked about is left, once billing is away or time is up."""
        found: list[tuple[Look, Facts | None]] = []
        refused: list[tuple[Look, str]] = []
        failed: list[tuple[Look, str]] = []
        until = self._begin_until()
        for place, look in enumerate(claimed):
            if self.clock.wall() >= until or (place and not go_on()):
                return Seen(found, refused, failed, claimed[place:])
            asked_at = self.clock.now()
            try:
                facts = connector.look(look.external_id)
            except Unfit as wrong:
                refused.append((look, wrong.reason))
            except Away as away:
                told = (away.reason, away.retry_after)
                return Seen(found, refused, failed, claimed[place:], told)
            except Exception as error:  # noqa: BLE001 - one poisoned row must not stop the others
                failed.append((look, f"connector failed: {type(error).__name__}"))
            else:
                found.append((look, facts and as_of(facts, asked_at)))
            self.after_step("looked")
        return Seen(found, refused, failed)

    def _begin_until(self) -> datetime:
        return self.clock.wall() + self.lease * (1 - MARGIN)

    # --- comparing -----------------------------------------------------------------------------

    def run(
        self,
        product_key: str,
        progress: Callable[[Going], None] = lambda _: None,
        *,
        pages_only: bool = False,
    ) -> Going | None:
        """Compare a product now, going on with a run that was begun; give how it ended.

        None where somebody else is at it. Away where billing is, Broken where its list cannot be
        read: the run goes on later from where it is. `pages_only` leaves the rest to the scheduler.
        """
        product = self._product(product_key)
        connector = self._connected(product)
        going = self.comparing.claim(product, connector.capabilities, at_once=True)
        while going is not None:
            with self._putting_off(going):
                moved = self._step(product, connector, going)
            progress(moved or going)
            if moved is None or _ended(moved) or (pages_only and moved.phase != PAGES):
                if moved is not None and not _ended(moved):
                    self.comparing.release(moved)
                return moved
            going = moved
        return None

    def _compare(self, product: Product, go_on: GoOn) -> tuple[int, bool]:
        try:
            connector = self._connected(product)
        except Away as away:
            return self._not_compared(product, away)
        going = self.comparing.claim(product, connector.capabilities)
        did = 0
        while going is not None:
            self.after_step("run claimed")
            if did and not go_on():
                self.comparing.release(going)
                return did, False
            try:
                with self._putting_off(going):
                    moved = self._step(product, connector, going)
            except (Away, Broken):
                return did, True
            self.after_step("run moved on")
            did += 1
            going = None if moved is None or _ended(moved) else moved
        return did, True

    def _not_compared(self, product: Product, away: Away) -> tuple[int, bool]:
        """Put a run off that cannot even begin, so that it is seen and tried again."""
        going = self.comparing.claim(product, NOTHING)
        if going is not None:
            self.comparing.put_off(going, away.reason, UNCONNECTED)
        return 0, True

    @contextmanager
    def _putting_off(self, going: Going) -> Iterator[None]:
        """Have a run wait where billing is away, or its list cannot be read."""
        try:
            yield
        except Away as away:
            self.comparing.put_off(going, away.reason, away.retry_after)
            raise
        except Broken as broken:
            anew = going.tries + 1 >= ANEW_AFTER
            self.comparing.put_off(going, str(broken), anew=anew)
            raise

    def _step(self, product: Product, connector: Connector, going: Going) -> Going | None:
        """Do the next step of a run; None where somebody else has taken it since."""
        can = connector.capabilities
        if going.phase == PAGES and not can.lists:
            return self.comparing.skip(going, CHARGES)
        if going.phase == PAGES:
            return self._page(product, connector, going)
        if going.phase == MISSING:
            return self.comparing.look_for_missing(product, going)
        if not can.charges:
            self.comparing.end(product, going)
            return replace(going, phase=ENDED)
        return self._charges(product, connector, going)

    def _page(self, product: Product, connector: Connector, going: Going) -> Going | None:
        asked_at = self.clock.now()
        page = _read(lambda: connector.page(going.after))
        _check_moves(going, page.after)
        self.after_step("page read")
        return self.comparing.take_page(product, going, page, asked_at)

    def _charges(self, product: Product, connector: Connector, going: Going) -> Going | None:
        page = _read(lambda: connector.charges(going.charges_from, going.after))
        _check_moves(going, page.after)
        self.after_step("charges read")
        moved = self.comparing.take_charges(product, going, page.items, page.after)
        return moved if moved is None or page.after is not None else replace(moved, phase=ENDED)

    # --- giving back ---------------------------------------------------------------------------

    def _refund_all(self, product: Product, go_on: GoOn) -> tuple[int, bool]:
        did = 0
        while go_on():
            entry = self.ledger.claim(product)
            if entry is None:
                return did, True
            self.after_step("refund claimed")
            outcome, begun = self._refund(product, entry)
            self.after_step("refund answered")
            self.ledger.settle(product, entry, outcome, begun=begun)
            did += 1
        return did, False

    def _refund(self, product: Product, entry: Entry) -> tuple[Outcome, bool]:
        """Have one charge given back; also whether billing was asked to."""
        try:
            connector = self._connected(product)
            wanted = self._wanted(connector, entry)
        except (Away, Broken) as error:
            return Later(str(error), retry_after=getattr(error, "retry_after", None)), False
        if not isinstance(wanted, Repayment):
            return wanted, False
        self.after_step("refund begun")
        try:
            return connector.refund(wanted), True
        except Exception as error:  # noqa: BLE001 - nobody knows what billing did
            code = error.reason if isinstance(error, Away) else type(error).__name__
            return Later(f"connector failed: {code}", unknown=True), True

    def _wanted(self, connector: Connector, entry: Entry) -> Repayment | Outcome:
        if not connector.capabilities.refunds:
            return No(CANNOT)
        return self.ledger.begin(entry, self._as_it_stands(connector, entry))

    def _as_it_stands(self, connector: Connector, entry: Entry) -> Charge | None:
        """Give a charge as billing now has it; None where it cannot be found in a few pages."""
        if not connector.capabilities.charges:
            return None
        after: str | None = None
        for _ in range(MOST_PAGES):
            place = after
            page = _read(lambda: connector.charges(entry.charged_at, place))  # noqa: B023 - called at once
            for each in page.items:
                if each.id == entry.charge:
                    return each
            after = page.after
            if after is None or after == place:
                return None
        return None


def _ended(going: Going) -> bool:
    return going.phase == ENDED


def _read(ask: Callable[[], Page[Item]]) -> Page[Item]:
    """Ask for a page; Away where billing is, Broken where anything else is wrong."""
    try:
        return ask()
    except Away:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the run waits and is seen
        raise Broken(f"connector failed: {type(error).__name__}") from None


def _check_moves(going: Going, after: str | None) -> None:
    if after is not None and after == going.after:
        raise Broken("the list does not move on")

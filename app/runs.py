"""Runs, as commands, the API and the console share them: what a day of sweeps did, and taking back.

A ramp is paused, resumed or stopped by its version of the policy: no new asks are opened under it,
and everything that is open goes on. That is what tells it from the brake.

Taking a run back withdraws who has not answered yet, in batches, through the one door. Where it
stands is written with every batch, so that whoever is killed is followed by another, and several
may work at it. The ramp of its version is stopped first. Where another version is in force, its
ramp is paused: those withdrawn are due at once, and a person is to say that they may be asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection

from app import guards
from app.clock import Clock
from app.engine.door import apply_in
from app.errors import Conflict, NotFound
from app.guards import Ladder
from app.lifecycle.case import Verdict, Withdraw
from app.lifecycle.withdrawing import RUN_UNDONE
from app.store import cases, pace, products
from app.store import runs as store
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.pace import Halt
from app.store.products import Product
from app.store.runs import Run, Tally

HALTED = ("looking_into_numbers", "usage_feed_in_doubt", "wording_in_doubt", "other")
"""Why somebody pauses or stops a ramp, as codes."""
RESUMED = ("looked_into", "mended", "false_alarm", "other")
"""Why somebody lets it go on."""
BATCH = 1000
MOST_LISTED = 50
"""So many of those whom an undo leaves as they are are named."""


@dataclass(frozen=True, slots=True)
class Detail:
    """A run with what became of its rounds; None where counting them takes too long.

    `untouched` lists (our number, id at billing, stage) of whom an undo leaves as they are, the
    first few. `rates` are those of the guards for asks handed over on its day, whatever run they
    began in.
    """

    run: Run
    tally: Tally | None
    untouched: list[tuple[int, str, str]]
    rates: list[guards.RateNow]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the taking back of a run has come; `left` is an estimate until it has ended."""

    run: int
    wanted: int
    withdrawn: int
    ended: bool

    @property
    def left(self) -> int:
        """How many are still to be withdrawn."""
        return 0 if self.ended else max(0, self.wanted - self.withdrawn)


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of products, on one database."""

    database: Database
    clock: Clock
    batch: int = BATCH

    # --- reading -----------------------------------------------------------------------------

    def ramp(self, product_key: str) -> Ladder:
        """Give how the ramp of the policy in force stands."""
        with self.database.transaction() as connection:
            product = products.load(connection, product_key)
            return guards.ladder(connection, product, self.clock.now())

    def listed(self, product_key: str, before: int | None, most: int) -> list[Run]:
        """Give runs, the newest first; with `before` those that follow that number in the list."""
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product_key).id
            return store.listed(connection, product_id, before, most)

    def detail(self, product_key: str, number: int) -> Detail:
        """Give one run with what became of it; NotFound where there is none of that number."""
        with self.database.transaction() as connection:
            product = products.load(connection, product_key)
            found = _run(connection, product, number)
            rates = guards.rates_of_day(connection, product, found.day)
        tally = self._tally(product, found)
        with self.database.transaction() as connection:
            left = [] if tally is None else _untouched(connection, product, found, tally)
        return Detail(found, tally, left, rates)

    def _tally(self, product: Product, found: Run) -> Tally | None:
        try:
            with self.database.transaction() as connection:
                return store.tally(connection, product.id, found)
        except QueryCanceled:
            return None

    # --- the ramp ----------------------------------------------------------------------------

    def pause(self, product_key: str, actor: str, why: str) -> Ladder:
        """Open no new asks under the policy in force until somebody resumes; Conflict if stopped.

        Saying so twice changes nothing more.
        """
        return self._halting(product_key, actor, why, pace.pause, "ramp_paused", unless="paused")

    def stop(self, product_key: str, actor: str, why: str) -> Ladder:
        """Open no new asks under this version of the policy ever again, until it is put in force.

        Saying so twice changes nothing more.
        """
        return self._halting(product_key, actor, why, pace.stop, "ramp_stopped", unless="stopped")

    def resume(self, product_key: str, actor: str, why: str) -> Ladder:
        """Take a pause back; Conflict where the ramp was stopped. A ramp that runs goes on."""

        def work(connection: Connection, product: Product, version: int, now: datetime) -> None:
            state = pace.ramp_of(connection, product.id, version)
            _refuse_stopped(product, version, state)
            if state is not None and state.paused is not None:
                pace.resume(connection, product.id, version)
                _note(connection, product, "ramp_resumed", why, version, actor, now)

        return self._with_ramp(product_key, work)

    def _halting(  # noqa: PLR0913 - what is said, and how it is written
        self,
        product_key: str,
        actor: str,
        why: str,
        write: Callable[[Connection, int, int, Halt], None],
        what: str,
        *,
        unless: str,
    ) -> Ladder:
        def work(connection: Connection, product: Product, version: int, now: datetime) -> None:
            state = pace.ramp_of(connection, product.id, version)
            if state is not None and getattr(state, unless) is not None:
                return
            _refuse_stopped(product, version, state)
            write(connection, product.id, version, Halt(now, actor, why))
            _note(connection, product, what, why, version, actor, now)

        return self._with_ramp(product_key, work)

    def _with_ramp(
        self, product_key: str, work: Callable[[Connection, Product, int, datetime], None]
    ) -> Ladder:
        def doing(connection: Connection) -> Ladder:
            product, now = products.load(connection, product_key), self.clock.now()
            if product.policy is None:
                raise Conflict(
                    f"no policy is in force for {product_key}, so nobody is asked",
                    f"`reconfirm policy activate {product_key} N` puts one in force",
                )
            work(connection, product, product.policy.version, now)
            return guards.ladder(connection, product, now)

        return self.database.retrying(doing, few=True)

    # --- taking a run back -------------------------------------------------------------------

    def begin_undo(self, product_key: str, number: int, actor: str) -> Progress:
        """Begin to take a run back, and stop the ramp that it belongs to.

        NotFound where there is no such run, Conflict where nobody of it can be withdrawn or it is
        being taken back already.
        """

        def work(connection: Connection) -> Progress:
            product, now = products.load(connection, product_key), self.clock.now()
            found = _run(connection, product, number)
            wanted = store.count_to_withdraw(connection, product.id, found)
            if not wanted:
                raise Conflict(
                    f"nobody of run {number} is still open",
                    "whom it suspended can be resumed one by one, on their pages",
                )
            if not store.begin_undo(connection, product.id, number, actor, now, wanted):
                raise Conflict(f"run {number} is being taken back already")
            self._hold_back(connection, product, found, actor, now)
            _note(connection, product, "run_undo_begun", f"run_{number}", None, actor, now)
            return _progress(_run(connection, product, number))

        return self.database.retrying(work)

    def _hold_back(
        self, connection: Connection, product: Product, found: Run, actor: str, now: datetime
    ) -> None:
        """Let nobody be asked at once who is about to be withdrawn."""
        halt = Halt(now, actor, RUN_UNDONE)
        state = pace.ramp_of(connection, product.id, found.version)
        if state is None or state.stopped is None:
            pace.stop(connection, product.id, found.version, halt)
            _note(connection, product, "ramp_stopped", RUN_UNDONE, found.version, actor, now)
        current = product.policy_version
        if current is None or current == found.version:
            return
        state = pace.ramp_of(connection, product.id, current)
        if state is None or state.halted is None:
            pace.pause(connection, product.id, current, halt)
            _note(connection, product, "ramp_paused", RUN_UNDONE, current, actor, now)

    def progress(self, product_key: str, number: int) -> Progress:
        """Give how far the taking back of a run has come; Conflict where nobody wants it back."""
        with self.database.transaction() as connection:
            product = products.load(connection, product_key)
            return _progress(_run(connection, product, number))

    def undo_some(self, product_key: str, number: int | None = None) -> int | None:
        """Withdraw one batch of a run that is being taken back, that one or the first there is.

        Gives how many were looked at, 0 where it goes through once more; None where no run is being
        taken back any more. Ends it once a whole pass has withdrawn nobody: a sweep that was under
        way when the ramp stopped may have asked somebody behind the cursor.
        """

        def work(connection: Connection) -> int | None:
            product, now = products.load(connection, product_key), self.clock.now()
            undo = store.undo_under_way(connection, product.id, number)
            if undo is None:
                return None
            found = _run(connection, product, undo.run)
            chosen = store.to_withdraw(connection, product.id, found, undo.cursor, self.batch)
            if not chosen:
                self._at_the_end(connection, product, undo, now)
                return 0
            events = [(sid, Withdraw(number)) for sid, number in chosen]
            replies = apply_in(connection, product, events, undo.actor, now)
            many = sum(each.verdict is Verdict.APPLIED for each in replies)
            store.undo_came_to(connection, product.id, undo.run, chosen[-1][0], many)
            return len(chosen)

        return self.database.retrying(work)

    def _at_the_end(
        self, connection: Connection, product: Product, undo: store.UnderWay, now: datetime
    ) -> None:
        if undo.since_start:
            store.undo_from_the_start(connection, product.id, undo.run)
            return
        store.end_undo(connection, product.id, undo.run, now)
        _note(connection, product, "run_undone", f"run_{undo.run}", None, undo.actor, now)

    def undo(
        self,
        product_key: str,
        go_on: Callable[[], bool],
        number: int | None = None,
        after_batch: Callable[[], None] = lambda: None,
    ) -> tuple[int, bool]:
        """Take back what is to be taken back while `go_on` says so, in batches.

        Gives how many rounds were looked at, and whether nothing is left.
        """
        did = 0
        while go_on():
            some = self.undo_some(product_key, number)
            if some is None:
                return did, True
            did += some
            after_batch()
        return did, False


def _run(connection: Connection, product: Product, number: int) -> Run:
    found = store.entry(connection, product.id, number)
    if found is None:
        raise NotFound(
            f"{product.key} has no run {number}", f"`reconfirm run list {product.key}` shows them"
        )
    return found


def _untouched(
    connection: Connection, product: Product, found: Run, tally: Tally
) -> list[tuple[int, str, str]]:
    if not (tally.in_hand or tally.suspended or tally.canceled):
        return []
    return store.untouched(connection, product.id, found, MOST_LISTED)


def _progress(found: Run) -> Progress:
    undo = found.undo
    if undo is None:
        raise Conflict(f"nobody has taken run {found.number} back")
    return Progress(found.number, undo.wanted, undo.withdrawn, undo.ended_at is not None)


def _refuse_stopped(product: Product, version: int, state: pace.RampState | None) -> None:
    if state is not None and state.stopped is not None:
        raise Conflict(
            f"the ramp of version {version} was stopped by {state.stopped.by}",
            f"activate another version, or this one anew: `reconfirm policy activate {product.key}"
            f" {version}`",
        )


def _note(  # noqa: PLR0913, PLR0917 - a line of history
    connection: Connection,
    product: Product,
    what: str,
    why: str,
    version: int | None,
    actor: str,
    now: datetime,
) -> None:
    line = HistoryWrite(None, None, what, why, version)
    cases.insert_history(connection, product.id, now, actor, [line])

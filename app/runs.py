"""Runs, as commands, the API and the console share them: what a day of sweeps did, and taking back.

A ramp is paused, resumed or stopped by its version of the policy: no new asks are opened under it,
and everything that is open goes on. That is what tells it from the brake.

Taking a run back withdraws who has not answered yet, in batches, through the one door; sees that
nothing of anybody is erased for it; and tells whom silence stopped that it was a mistake, so that
they resume by a click. Where two people want so they are resumed at once. Where it stands is
written with every batch, so that whoever is killed is followed by another, and several may work at
it. The ramp of its version is stopped first. Where another version is in force, its ramp is paused:
those withdrawn are due at once, and a person is to say that they may be asked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection

from app import guards
from app.clock import Clock
from app.engine.door import Reply, apply_in
from app.errors import Conflict, NotFound, Refused
from app.guards import Ladder
from app.lifecycle.case import Act, Amend, Outcome, Verdict
from app.lifecycle.withdrawing import RUN_UNDONE
from app.store import amends, cases, pace, products
from app.store import runs as store
from app.store.amends import Came, UnderWay
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.pace import Halt
from app.store.products import Product
from app.store.runs import Run, Tally, Undo
from app.world import billing

HALTED = ("looking_into_numbers", "usage_feed_in_doubt", "wording_in_doubt", "other")
"""Why somebody pauses or stops a ramp, as codes."""
RESUMED = ("looked_into", "mended", "false_alarm", "other")
"""Why somebody lets it go on."""
PEOPLE = ("cli:", "console:")
"""How the actors begin that are people."""
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
    undo: Undo

    @property
    def wanted(self) -> int:
        """How many were to be put right when it began."""
        return self.undo.wanted

    @property
    def withdrawn(self) -> int:
        """How many rounds were withdrawn."""
        return self.undo.withdrawn

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to do, or somebody has to agree first."""
        return self.undo.ended_at is not None

    @property
    def left(self) -> int:
        """How many are still to be put right."""
        return 0 if self.ended else max(0, self.wanted - self.undo.done)


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
            found = run_of(connection, product, number)
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

    def under(self, product_key: str, version: int) -> list[int]:
        """Give the numbers of the runs under a version of the policy, the oldest first."""
        with self.database.transaction() as connection:
            product_id = products.row_of(connection, product_key).id
            return [each.number for each in store.of_version(connection, product_id, version)]

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

    def begin_undo(
        self, product_key: str, number: int, actor: str, *, resume: bool = False
    ) -> Progress:
        """Begin to take a run back, and stop the ramp that it belongs to.

        With `resume` those whom silence stopped are resumed at once, without being asked, as soon
        as a second person agrees; until then they are not told either. NotFound where there is no
        such run, Conflict where there is nobody to put right or it is being taken back already,
        Refused where that is not for this actor to say.
        """
        if resume:
            self._check_resume(product_key, actor)

        def work(connection: Connection) -> Progress:
            product = products.load(connection, product_key)
            return self._begin(connection, product, number, actor, resume=resume)

        return self.database.retrying(work)

    def begin_undo_of(
        self, product_key: str, version: int, actor: str, *, resume: bool = False
    ) -> list[Progress]:
        """Begin to take back every run under a version of the policy that has somebody left.

        Conflict where none has; those that are being taken back already go on.
        """
        if resume:
            self._check_resume(product_key, actor)

        def work(connection: Connection) -> list[Progress]:
            product = products.load(connection, product_key)
            begun = [
                self._begin(connection, product, each.number, actor, resume=resume)
                for each in store.of_version(connection, product.id, version)
                if _begins(connection, product, each, resume=resume)
            ]
            if not begun:
                raise Conflict(f"no run under version {version} has anybody left to put right")
            return begun

        return self.database.retrying(work)

    def _check_resume(self, product_key: str, actor: str) -> None:
        """Refuse that somebody is resumed without a yes: by no person, or where billing cannot."""
        _person(actor)
        with self.database.transaction() as connection:
            product = products.load(connection, product_key)
        can = billing.capabilities(product.billing, product.billing_settings)
        if str(Act.RESUME) not in can.acts:
            raise Conflict(
                f"the billing system of {product_key} cannot resume",
                "take the run back without it: those it stopped are told so",
            )

    def _begin(
        self,
        connection: Connection,
        product: Product,
        number: int,
        actor: str,
        *,
        resume: bool,
    ) -> Progress:
        now, found = self.clock.now(), run_of(connection, product, number)
        _refuse_twice(found, resume=resume)
        still_open, stopped, left = amends.count(connection, product.id, found)
        if not left:
            raise Conflict(
                f"nobody of run {number} is left to put right",
                "what people answered, and what has come to an end, stays",
            )
        if resume and not stopped:
            raise Conflict(
                f"run {number} has stopped nobody who has not answered since",
                "take it back without resuming anybody",
            )
        wanted = still_open if resume else still_open + stopped
        begun = amends.begin(
            connection, product.id, number, actor, now, wanted=wanted, resume=resume
        )
        if not begun:
            raise Conflict(f"run {number} is being taken back already")
        self._hold_back(connection, product, found, actor, now)
        _note(connection, product, "run_undo_begun", f"run_{number}", None, actor, now)
        if resume:
            _note(connection, product, "run_resume_wanted", f"run_{number}", None, actor, now)
        return _progress(run_of(connection, product, number))

    def agree(self, product_key: str, number: int, actor: str) -> Progress:
        """Agree that those whom a run stopped are resumed at once, as the second person.

        Conflict where nobody waits for that, and for who ordered it; the command line counts as
        one person.
        """
        self._check_resume(product_key, actor)

        def work(connection: Connection) -> Progress:
            product, now = products.load(connection, product_key), self.clock.now()
            amends.lock(connection, product.id, number)
            found = run_of(connection, product, number)
            if found.undo is None or not found.undo.waits:
                raise Conflict(f"nothing of run {number} waits for somebody to agree")
            if _person(found.undo.actor) == _person(actor):
                raise Conflict(
                    f"you ordered it yourself: {found.undo.actor}",
                    "somebody else agrees; the command line counts as one person",
                )
            _, stopped, _ = amends.count(connection, product.id, found)
            amends.agree(connection, product.id, number, actor, now, stopped)
            _note(connection, product, "run_resume_agreed", f"run_{number}", None, actor, now)
            return _progress(run_of(connection, product, number))

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
            return _progress(run_of(connection, product, number))

    def undo_some(self, product_key: str, number: int | None = None) -> int | None:
        """Put right one batch of a run that is being taken back, that one or the first there is.

        Gives how many were looked at, 0 where it goes through once more; None where no run is being
        taken back any more. Ends it once a whole pass has changed nothing: a sweep that was under
        way when the ramp stopped may have asked somebody behind the cursor.
        """

        def work(connection: Connection) -> int | None:
            product, now = products.load(connection, product_key), self.clock.now()
            undo = amends.under_way(connection, product.id, number)
            if undo is None:
                return None
            found, how = run_of(connection, product, undo.run), undo.how
            chosen = amends.to_amend(connection, product.id, found, how, undo.cursor, self.batch)
            if not chosen:
                self._at_the_end(connection, product, undo, now)
                return 0
            events = [(sid, Amend(each, how)) for sid, each, _ in chosen]
            replies = apply_in(connection, product, events, undo.actor, now)
            came = _came(chosen, replies, now)
            amends.came_to(connection, product.id, undo.run, chosen[-1][0], came)
            return len(chosen)

        return self.database.retrying(work)

    def _at_the_end(
        self, connection: Connection, product: Product, undo: UnderWay, now: datetime
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


def run_of(connection: Connection, product: Product, number: int) -> Run:
    """Give a run of a product; NotFound where it has none of that number."""
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
    if found.undo is None:
        raise Conflict(f"nobody has taken run {found.number} back")
    return Progress(found.number, found.undo)


def _person(actor: str) -> str:
    """Give who somebody is among those who have to agree: all of the command line is one person."""
    if not actor.startswith(PEOPLE):
        raise Refused(
            "only people decide that somebody is resumed without their yes",
            "`reconfirm run undo --resume`, or in the console",
        )
    return "cli" if actor.startswith("cli:") else actor


def _refuse_twice(found: Run, *, resume: bool) -> None:
    if found.undo is not None and resume and found.undo.waits:
        raise Conflict(f"{found.undo.actor} has ordered that already", "somebody else agrees to it")


def _begins(connection: Connection, product: Product, found: Run, *, resume: bool) -> bool:
    """Say whether a run can begin to be taken back: nobody has begun, and somebody is left."""
    undo = found.undo
    if undo is not None and (undo.ended_at is None or (resume and undo.waits)):
        return False
    _, stopped, left = amends.count(connection, product.id, found)
    return bool(stopped if resume else left)


def _came(
    chosen: Sequence[tuple[int, int, date | None]], replies: Sequence[Reply], now: datetime
) -> Came:
    """Count what was done for those chosen, by how their cases stand since."""
    came = Came()
    for (_, _, erase_on), reply in zip(chosen, replies, strict=True):
        current = reply.case.round if reply.case else None
        if reply.verdict is not Verdict.APPLIED or current is None:
            continue
        came.changed += 1
        came.spared += erase_on is not None
        came.withdrawn += current.outcome is Outcome.WITHDRAWN
        if current.amended_at == now:
            came.resumed += current.act is Act.RESUME
            came.apologized += current.act is None
    return came


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

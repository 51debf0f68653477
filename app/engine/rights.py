"""What a person may ask of us besides an answer: to see, restrict, object, correct, be erased.

Each is done at once where it keeps something from happening, and is put before a person as well.
By a link of their own (`actor` subscriber) or passed on by the support desk: the same functions.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import structs
from sqlalchemy import Connection

from app.clock import Clock
from app.engine.door import Batch, open_batch, set_timers
from app.engine.erasures import DONE_WITHIN, GOOD_FOR, may_be_mailed, put
from app.errors import Conflict, NotFound
from app.lifecycle.answers import erasable, over
from app.lifecycle.case import (
    LINKS,
    AddressChanged,
    Answer,
    AskDataLink,
    AskReview,
    Concern,
    Kind,
    Reach,
    RequestErasure,
    Verdict,
    Word,
)
from app.lifecycle.dates import day_at
from app.lifecycle.erasures import just_linked
from app.links import Fresh
from app.store import (
    cases,
    freshlinks,
    population,
    products,
    reading,
    restrictions,
    reviews,
)
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.products import Product

ACTOR = "subscriber"
LOOKED_AT_WITHIN = timedelta(days=30)
"""In this time a person looks at a restriction, and answers whoever asked for it."""
TAKEN = frozenset({Verdict.APPLIED, Verdict.UNCHANGED})
WHY_NOT = {
    Verdict.ENDED: ("the data is being erased, or was", "nothing is left to do"),
    Verdict.DOUBTED: (
        "they said something else within the last ten seconds",
        "wait ten seconds, and do what they mean",
    ),
    Verdict.TOO_LATE: (
        "it is still charged, and nothing is erased while it is",
        'have it canceled with the request: --cancel, or {"cancel": true}',
    ),
    Verdict.FAILED: ("the rules could not judge it", "the log says where it went wrong"),
}
"""Why something was not done, and the mend."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Does what people ask for, for one product at a time."""

    database: Database
    clock: Clock

    # --- seeing ----------------------------------------------------------------------------

    def mail_link(self, product_key: str, subscription: int) -> Verdict:
        """Mail the link to what is held to the address on file, as far as one may go out.

        Whoever presses learns nothing of that, as with the link to erase.
        """

        def work(connection: Connection) -> Verdict:
            batch = self._batch(connection, product_key, subscription)
            verdict = batch.apply(subscription, AskDataLink()).verdict
            if verdict is not Verdict.APPLIED:
                return verdict
            if may_be_mailed(connection, subscription, Kind.DATA_LINK, batch.now):
                current = batch.cases[subscription].round
                number, version = (current.number, current.links) if current else (0, 0)
                _write(connection, batch, subscription, ACTOR)
                purpose = freshlinks.DATA
                freshlinks.put(connection, subscription, number, version, batch.now, purpose)
            return Verdict.APPLIED

        return self.database.retrying(work, few=True)

    # --- stopping --------------------------------------------------------------------------

    def object(self, product_key: str, subscription: int, actor: str) -> Verdict:
        """Put an objection before a person: until they have looked, nothing follows from silence.

        Conflict where nothing was ever asked of them, so that there is nothing to object to.
        """

        def work(connection: Connection) -> Verdict:
            batch = self._present(connection, product_key, subscription)
            if batch.cases[subscription].round is None:
                raise Conflict(
                    "nothing has been asked of them, so nothing follows from their silence",
                    "restrict the use of their data, or let them cancel",
                )
            verdict = self._look(connection, batch, subscription, Concern.OBJECTION)
            standing = reviews.open_of(connection, batch.product.id, subscription)
            beside = standing is not None and standing.reason == Concern.RESTRICTION
            if verdict is Verdict.UNCHANGED and beside:
                verdict = Verdict.APPLIED
            if verdict is Verdict.APPLIED:
                _note(batch, subscription, "objected", actor)
            _write(connection, batch, subscription, actor)
            return verdict

        return self.database.retrying(work, few=True)

    def restrict(self, product_key: str, subscription: int, actor: str) -> Verdict:
        """Restrict the use of somebody's data: it is not erased, and nothing follows from silence.

        A person looks at it. Where nothing was ever asked of them there is only the hold.
        """

        def work(connection: Connection) -> Verdict:
            batch = self._present(connection, product_key, subscription)
            case = batch.cases[subscription]
            verdict = Verdict.APPLIED
            if case.round is not None:
                verdict = self._look(connection, batch, subscription, Concern.RESTRICTION)
            if verdict in TAKEN and _hold(connection, batch, subscription, actor):
                _note(batch, subscription, "restricted", actor)
                verdict = Verdict.APPLIED
            _write(connection, batch, subscription, actor)
            return verdict

        return self.database.retrying(work, few=True)

    def unrestrict(self, product_key: str, subscription: int, actor: str) -> Verdict:
        """Take back a restriction that this very actor wanted; the case stays before a person."""

        def work(connection: Connection) -> Verdict:
            batch = self._present(connection, product_key, subscription)
            if not restrictions.release(connection, subscription, actor, batch.now):
                return Verdict.UNCHANGED
            _see_holds(connection, batch, subscription)
            _note(batch, subscription, "unrestricted", actor)
            _write(connection, batch, subscription, actor)
            return Verdict.APPLIED

        return self.database.retrying(work, few=True)

    def _look(
        self, connection: Connection, batch: Batch, subscription: int, concern: Concern
    ) -> Verdict:
        """Put a right before a person; one that is open already for a lesser concern weighs more.

        By a link, a press within ten seconds of the mail that brought it is not believed.
        """
        current = batch.cases[subscription].round
        number = current.number if current is not None else 0
        verdict = batch.apply(subscription, AskReview(number, concern)).verdict
        if verdict not in TAKEN:
            return verdict
        weightier = reviews.weigh_more(connection, subscription, concern)
        if verdict is Verdict.APPLIED and not weightier:
            product, now = batch.product, batch.now
            reviews.put(connection, product.id, subscription, number, concern, now)
        return Verdict.APPLIED if weightier else verdict

    # --- correcting ------------------------------------------------------------------------

    def correct(self, product_key: str, subscription: int, email: str, actor: str) -> Verdict:
        """Write to another address from now on, given as `rows.address` reads it.

        What billing goes on telling does not overwrite it, until that is another one. Links that
        were mailed to erase are dead with the old address, and for three days none is mailed to one
        that was given by a link.
        """

        def work(connection: Connection) -> Verdict:
            product, now = products.load(connection, product_key), self.clock.now()
            population.lock(connection, subscription)
            batch = open_batch(connection, product, [subscription], now)
            self._check(connection, product, batch, subscription)
            by_link = now if actor == ACTOR else None
            if not population.correct(connection, subscription, email, by_link):
                return Verdict.UNCHANGED
            freshlinks.end(connection, subscription, self.clock.wall())
            verdict = batch.apply(subscription, AddressChanged(Reach.OK)).verdict
            current = batch.cases[subscription].round
            if current is not None:
                batch.voids.append((subscription, current.number, LINKS))
            _note(batch, subscription, "address_corrected", actor)
            _write(connection, batch, subscription, actor)
            return verdict

        return self.database.retrying(work, few=True)

    # --- erasing ---------------------------------------------------------------------------

    def erase(self, product_key: str, subscription: int, actor: str, *, cancel: bool) -> Verdict:
        """Take a request to erase that somebody made to us; it begins by itself a day later.

        With `cancel`, what is still charged is canceled as their own word: then it begins once
        billing has confirmed that. The verdict is `too_late` where that is missing.
        """

        def work(connection: Connection) -> Verdict:
            batch = self._present(connection, product_key, subscription)
            current = batch.cases[subscription].round
            stops = current is not None and erasable(current)
            if cancel and not stops:
                said = batch.apply(subscription, Answer(Word.CANCEL, None, "app")).verdict
                if said in (Verdict.DOUBTED, Verdict.FAILED):
                    return said
            verdict = batch.apply(subscription, RequestErasure("app")).verdict
            if verdict is Verdict.APPLIED:
                put(connection, batch.product, batch, subscription)
            if verdict in TAKEN:
                _write(connection, batch, subscription, actor)
            return verdict

        return self.database.retrying(work, few=True)

    # --- inside ----------------------------------------------------------------------------

    def _batch(self, connection: Connection, product_key: str, subscription: int) -> Batch:
        product = products.load(connection, product_key)
        return open_batch(connection, product, [subscription], self.clock.now())

    def _present(self, connection: Connection, product_key: str, subscription: int) -> Batch:
        batch = self._batch(connection, product_key, subscription)
        self._check(connection, batch.product, batch, subscription)
        return batch

    @staticmethod
    def _check(connection: Connection, product: Product, batch: Batch, subscription: int) -> None:
        """Raise where the subscription is another product's, or its person is or was erased."""
        if subscription not in reading.in_product(connection, product.id, [subscription]):
            raise NotFound("there is no such subscription", "use one of this product")
        current = batch.cases[subscription].round
        if current is not None and over(current):
            raise Conflict(*WHY_NOT[Verdict.ENDED])


def refuse(verdict: Verdict) -> None:
    """Raise Conflict with the mend, where something that was asked for was not done."""
    if verdict not in TAKEN:
        raise Conflict(*WHY_NOT[verdict])


def is_good(connection: Connection, named: Fresh, wall: datetime) -> bool:
    """Say whether a link to what is held is good: made within the hour, and the newest of them.

    Looking does not use it up.
    """
    if not named.made_at <= wall < named.made_at + GOOD_FOR:
        return False
    newest = freshlinks.newest_unused(connection, named.subscription, freshlinks.DATA)
    return newest == (named.round, named.made_at)


def is_hasty(connection: Connection, product: Product, subscription: int, now: datetime) -> bool:
    """Say whether whoever presses cannot have read the mail that brought the link: a robot does."""
    found = cases.read(connection, product.id, [subscription], product.hearing, lock=False)
    current = found[subscription].round
    return current is not None and just_linked(current, now)


def _hold(connection: Connection, batch: Batch, subscription: int, actor: str) -> bool:
    zone, now = batch.cases[subscription].subscription.zone, batch.now
    until, product = day_at(now, zone) + LOOKED_AT_WITHIN, batch.product.id
    made = restrictions.put(connection, product, subscription, actor, now, until)
    _see_holds(connection, batch, subscription)
    return made


def _see_holds(connection: Connection, batch: Batch, subscription: int) -> None:
    """Let the rules see the holds as they are now, which decide when to look again."""
    product = batch.product
    found = cases.read(connection, product.id, [subscription], product.hearing, lock=False)
    held = found[subscription].held
    batch.cases[subscription] = structs.replace(batch.cases[subscription], held=held)


def _note(batch: Batch, subscription: int, what: str, actor: str) -> None:
    case = batch.cases[subscription]
    number, version = (case.round.number, case.round.version) if case.round else (None, None)
    why = "said_by_subscriber" if actor == ACTOR else "said_by_app"
    batch.history.append(HistoryWrite(subscription, number, what, why, version))


def _write(connection: Connection, batch: Batch, subscription: int, actor: str) -> None:
    set_timers(batch, [subscription])
    batch.flush(connection, actor)


__all__ = ["DONE_WITHIN", "Rights", "is_good", "is_hasty", "refuse"]

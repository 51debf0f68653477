"""Holds on erasure: set and released by people, and by disputes and refunds by themselves.

A hold is set under the lock of the case: whoever begins an erasure has that lock and reads what
holds after taking it, so a hold that is set before that transaction wins, and one that comes after
it is refused. It stops erasure and nothing else: the bill of somebody held is suspended by silence
like any other. Its day of review only says when a person is to look at it: it never lapses.

No endpoint is told of a hold: the day of erasure that was promised stands, it only cannot begin.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from app.clock import Clock
from app.engine.door import Batch, open_batch, set_timers
from app.errors import Conflict, NotFound, Refused
from app.lifecycle.case import Case, Hearing, Stage
from app.policy import Period
from app.store import cases, disputes, population, products
from app.store import holds as store
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.holds import Hold, Reason
from app.store.products import Product
from app.world.connector import Dispute

LOOKED_AT = timedelta(days=90)
"""When a hold is looked at again, if nobody says another day."""
AT_MOST = Period.parse("P2Y")
SET, RELEASED, REVIEWED = "hold_set", "hold_released", "hold_reviewed"
TOO_LATE = "dispute_too_late"
GOING = frozenset({Stage.ERASING, Stage.ERASED})
REFUND = "refund"
"""How the source of a hold begins that a refund of ours has set."""
LIST = "`reconfirm hold list` shows them"


class Wanted(Struct, frozen=True):
    """A hold as somebody wants it: on whom, why, and the day to look at it again (None: usual).

    With a `source` it is set once, however often it is asked for.
    """

    subscription_id: int
    reason: Reason
    review_on: date | None = None
    source: str | None = None


# --- by people -------------------------------------------------------------------------------


def add(database: Database, clock: Clock, product_key: str, wanted: Wanted, actor: str) -> Hold:
    """Set a hold and give it; the one that its source has set, where that was before.

    NotFound where the product has no such subscription, Conflict where it is being erased or was,
    Refused where the day of review is past or more than two years away.
    """

    def work(connection: Connection) -> Hold:
        product, now = products.load(connection, product_key), clock.now()
        return add_in(connection, product, wanted, actor, now)

    return database.retrying(work, few=True)


def add_in(
    connection: Connection, product: Product, wanted: Wanted, actor: str, now: datetime
) -> Hold:
    """Set a hold inside a transaction, which holds the lock of the case from here on; as `add`."""
    review_on = _day(wanted.review_on, now)
    sid = wanted.subscription_id
    batch = open_batch(connection, product, [sid], now)
    case = batch.cases.get(sid)
    if case is None:
        raise NotFound(f"{product.key} has no such subscription", "look for its id at billing")
    known = _made_once(connection, product.id, wanted)
    if known is not None:
        return known
    if is_going(case):
        raise Conflict(
            "it is too late for a hold: the data is being erased, or was",
            "what was begun is finished: see which systems have not been told yet",
        )
    number = _set(connection, batch, replace(wanted, review_on=review_on), actor)
    _write(connection, batch, [sid], actor)
    found = None if number is None else store.entry(connection, product.id, number)
    if found is None:
        raise AssertionError(number)
    return found


def release(database: Database, clock: Clock, product_key: str, number: int, actor: str) -> Hold:
    """Release a hold and give it; one that was released stays as it is, and so do the others."""

    def work(connection: Connection) -> Hold:
        product, now = products.load(connection, product_key), clock.now()
        found = entry(connection, product, number)
        batch = open_batch(connection, product, [found.subscription_id], now)
        _release(connection, batch, [number], actor)
        return entry(connection, product, number)

    return database.retrying(work, few=True)


def review(  # noqa: PLR0913, PLR0917 - whose, which, until when and by whom
    database: Database,
    clock: Clock,
    product_key: str,
    number: int,
    review_on: date | None,
    actor: str,
) -> Hold:
    """Note that somebody has looked at a hold: it goes on, until it is looked at again."""

    def work(connection: Connection) -> Hold:
        product, now = products.load(connection, product_key), clock.now()
        day = _day(review_on, now)
        found = entry(connection, product, number)
        if not store.review(connection, number, day):
            raise Conflict(f"hold {number} was released", "set another where one is needed")
        line = HistoryWrite(found.subscription_id, None, REVIEWED, found.reason, None)
        cases.insert_history(connection, product.id, now, actor, [line])
        return entry(connection, product, number)

    return database.retrying(work, few=True)


def entry(connection: Connection, product: Product, number: int) -> Hold:
    """Give one hold; NotFound where the product has none of that number."""
    found = store.entry(connection, product.id, number)
    if found is None:
        raise NotFound(f"{product.key} has no hold {number}", LIST)
    return found


def held(connection: Connection, product: Product, subscription_id: int) -> list[Hold]:
    """Give the holds that are on a subscription now."""
    return store.on(connection, product.id, subscription_id)


def is_going(case: Case) -> bool:
    """Say whether it is too late for a hold: an erasure was begun, or is over."""
    return case.round is not None and case.round.stage in GOING


def _day(review_on: date | None, now: datetime) -> date:
    """Give the day of review; Refused where it may not be that one."""
    today = now.date()
    if review_on is None:
        return today + LOOKED_AT
    last = AT_MOST.after(today)
    if not today <= review_on <= last:
        raise Refused(
            f"a hold cannot be reviewed on {review_on}",
            f"take a day from {today} to {last}: it does not lapse then, a person looks at it",
        )
    return review_on


def _made_once(connection: Connection, product_id: int, wanted: Wanted) -> Hold | None:
    """Give the hold that a source has set here before; Conflict where it was for another reason."""
    if wanted.source is None:
        return None
    sid = wanted.subscription_id
    found = store.of_source(connection, product_id, wanted.source, sid)
    if found and found[0].reason != wanted.reason:
        raise Conflict(
            f"{wanted.source} has set a hold for another reason", "use another key for another hold"
        )
    return found[0] if found else None


def _set(connection: Connection, batch: Batch, wanted: Wanted, actor: str) -> int | None:
    """Set a hold on a case of a batch; None where its source has set it before."""
    sid, case = wanted.subscription_id, batch.cases[wanted.subscription_id]
    day = wanted.review_on or _day(None, batch.now)
    number = store.insert(
        connection, batch.product.id, sid, wanted.reason, day, actor, batch.now, wanted.source
    )
    if number is not None:
        batch.cases[sid] = replace(case, held=True)
        _note(batch, sid, SET, wanted.reason)
    return number


def _release(connection: Connection, batch: Batch, numbers: Sequence[int], actor: str) -> list[int]:
    """Release holds on cases of a batch, which are looked at again; give whose were on."""
    released = store.release(connection, numbers, actor, batch.now)
    ids = sorted({sid for sid, _ in released})
    still = store.held(connection, ids)
    for sid, reason in released:
        batch.cases[sid] = replace(batch.cases[sid], held=sid in still)
        _note(batch, sid, RELEASED, reason)
    _write(connection, batch, ids, actor)
    return ids


def _note(batch: Batch, sid: int, what: str, why: str) -> None:
    current = batch.cases[sid].round
    number = current.number if current is not None else None
    batch.history.append(HistoryWrite(sid, number, what, why, None))


def _write(connection: Connection, batch: Batch, ids: Iterable[int], actor: str) -> None:
    set_timers(batch, ids)
    batch.flush(connection, actor)


# --- by disputes -----------------------------------------------------------------------------


def told(
    connection: Connection, product: Product, billing: str, said: Dispute, now: datetime
) -> None:
    """Take in what billing told of a dispute, in any order and however often.

    While it is open its people are held, once; when it has ended they are not held by it any more.
    """
    source = f"{billing}:{said.id}"
    ids = _whose(connection, product.id, said)
    before = store.of_source(connection, product.id, source)
    affected = [*ids, *(each.subscription_id for each in before)]
    batch = open_batch(connection, product, affected, now)
    ended = disputes.put(
        connection, product.id, source, None if ids else said.about, now, ended=said.ended
    )
    actor = f"billing:{billing}"
    if ended:
        _release(connection, batch, [each.id for each in before], actor)
    else:
        _hold_all(connection, batch, ids, source, actor)


def placed(
    connection: Connection, product: Product, found: Mapping[str, int], now: datetime
) -> None:
    """Hold those for whom disputes waited, given by what billing says that they are about."""
    for about, source in disputes.unplaced(connection, product.id, sorted(found)):
        batch = open_batch(connection, product, [found[about]], now)
        disputes.place(connection, product.id, source)
        actor = f"billing:{source.partition(':')[0]}"
        _hold_all(connection, batch, [found[about]], source, actor)


def _whose(connection: Connection, product_id: int, said: Dispute) -> list[int]:
    """Give whose a dispute is, as far as it says; who is just being added is waited for."""
    ids = disputes.named(connection, product_id, said.about, said.customers)
    if ids or said.about is None:
        return ids
    population.hold_unknown(connection, product_id)
    return disputes.named(connection, product_id, said.about, said.customers)


def _hold_all(
    connection: Connection, batch: Batch, ids: Collection[int], source: str, actor: str
) -> None:
    """Hold the people of a dispute; one who is being erased already is put before a person."""
    product_id = batch.product.id
    for sid in ids:
        if not is_going(batch.cases[sid]):
            _set(connection, batch, Wanted(sid, Reason.DISPUTE, None, source), actor)
        elif not store.of_source(connection, product_id, source, sid) and disputes.put_late(
            connection, product_id, source, sid
        ):
            _note(batch, sid, TOO_LATE, batch.cases[sid].stage)
    _write(connection, batch, ids, actor)


# --- by refunds ------------------------------------------------------------------------------


def locked(connection: Connection, product_id: int, ids: Sequence[int]) -> dict[int, Case]:
    """Take the locks of cases, before anything that holds them is written; give the cases."""
    return cases.read(connection, product_id, ids, Hearing())


def refunding(  # noqa: PLR0913, PLR0917 - whom, why, by whom and when
    connection: Connection,
    product_id: int,
    found: Mapping[int, Case],
    refunds: Iterable[tuple[int, int]],
    actor: str,
    now: datetime,
) -> None:
    """Hold those to whom something may be owed, given as (refund, subscription), locked before."""
    lines = []
    for number, sid in refunds:
        if sid not in found or is_going(found[sid]):
            continue
        source, day = f"{REFUND}:{number}", _day(None, now)
        if store.insert(connection, product_id, sid, Reason.DISPUTE, day, actor, now, source):
            lines.append(HistoryWrite(sid, None, SET, Reason.DISPUTE, None))
    cases.insert_history(connection, product_id, now, actor, lines)


def refunded(
    connection: Connection, product: Product, number: int, actor: str, now: datetime
) -> None:
    """Release the hold of a refund that was made or declined."""
    before = store.of_source(connection, product.id, f"{REFUND}:{number}")
    batch = open_batch(connection, product, [each.subscription_id for each in before], now)
    _release(connection, batch, [each.id for each in before], actor)

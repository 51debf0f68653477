"""Puts cases before a person, and takes what they found: the queue goes with the rules' decision.

The round is held before the queue is written, so that the two never say different things.
"""

from sqlalchemy import Connection

from app.clock import Clock
from app.engine.door import Reply, apply_in, open_batch, set_timers
from app.errors import Conflict, NotFound, Refused
from app.lifecycle.case import (
    AskReview,
    Erasure,
    ErasureSettled,
    Event,
    Finding,
    Reviewed,
    Verdict,
)
from app.store import products, reviews
from app.store.database import Database
from app.store.reviews import Review


def ask(  # noqa: PLR0913, PLR0917 - whose, which, what and by whom
    database: Database,
    clock: Clock,
    product_key: str,
    subscription: int,
    event: AskReview,
    actor: str = "subscriber",
) -> Reply:
    """Put a case before a person, as its subscriber wants it; pressing again changes nothing."""

    def work(connection: Connection) -> Reply:
        product, now = products.load(connection, product_key), clock.now()
        reply = apply_in(connection, product, [(subscription, event)], actor, now)[0]
        if reply.verdict is Verdict.APPLIED:
            reviews.put(connection, product.id, subscription, event.round, event.concern, now)
        return reply

    return database.retrying(work, few=True)


def finish(  # noqa: PLR0913, PLR0917 - whose, which, what and by whom
    database: Database,
    clock: Clock,
    product_key: str,
    number: int,
    finding: Finding | Erasure,
    actor: str,
) -> Review:
    """Take what a person found, or what became of a request to erase, and let the case go on.

    NotFound where the product has no such entry, Conflict where it is not open any more, Refused
    where the code is none of this entry's, or the rules raise: nothing is written then.
    """

    def work(connection: Connection) -> Review:
        product, now = products.load(connection, product_key), clock.now()
        found = _entry(connection, product.id, number)
        event = _settling(found, finding)
        batch = open_batch(connection, product, [found.subscription_id], now)
        if not reviews.finish(connection, number, finding, actor, now):
            raise Conflict(f"review {number} is {_entry(connection, product.id, number).state}")
        if batch.apply(found.subscription_id, event).verdict is Verdict.FAILED:
            raise Refused(f"review {number} cannot be finished", "the log says where it went wrong")
        set_timers(batch, [found.subscription_id])
        batch.flush(connection, actor)
        return _entry(connection, product.id, number)

    return database.retrying(work, few=True)


def _settling(found: Review, finding: Finding | Erasure) -> Event:
    """Give the event of an entry's end; Refused where the code is of another kind."""
    erasing = found.reason == reviews.ERASE
    if erasing and isinstance(finding, Erasure):
        return ErasureSettled(finding)
    if not erasing and isinstance(finding, Finding):
        return Reviewed(finding)
    codes = ", ".join(map(str, Erasure if erasing else Finding))
    raise Refused(f"review {found.id} does not end with {finding}", f"use one of: {codes}")


def _entry(connection: Connection, product_id: int, number: int) -> Review:
    found = reviews.entry(connection, product_id, number)
    if found is None:
        raise NotFound(f"there is no review {number}", "`reconfirm review list` shows them")
    return found

"""Addresses that are not written to: found at the claim, remembered when a relay refuses one."""

from collections.abc import Collection, Mapping, Sequence

from msgspec import structs
from sqlalchemy import Connection

from app.engine.door import Batch
from app.lifecycle.case import Reach, Undelivered
from app.links import Links
from app.store import population, suppression
from app.store.suppression import Reason

REACH: Mapping[Reason, Reach] = {
    Reason.BOUNCED: Reach.BOUNCED,
    Reason.COMPLAINED: Reach.COMPLAINED,
    Reason.BY_HAND: Reach.BOUNCED,
}
"""What an address being on the list means for whoever is reached there."""


def withhold(
    connection: Connection, batch: Batch, links: Links, ids: Sequence[int]
) -> frozenset[int]:
    """Tell the rules of those whose address is on the product's list; give who they are.

    To be called before their effects are judged: what would go to such an address counts as come
    back, although it is not sent, and so their silence means nothing.
    """
    reached = [sid for sid in dict.fromkeys(ids) if _reached(batch, sid)]
    if not reached or not suppression.has_any(connection, batch.product.id):
        return frozenset()
    listed = _listed(connection, batch.product.id, links, reached)
    for subscription_id, reason in listed.items():
        batch.apply(subscription_id, Undelivered(REACH[reason]))
    return frozenset(listed)


def _reached(batch: Batch, subscription_id: int) -> bool:
    case = batch.cases.get(subscription_id)
    return case is not None and case.reach is Reach.OK


def _listed(
    connection: Connection, product_id: int, links: Links, ids: Sequence[int]
) -> dict[int, Reason]:
    """Give why subscriptions are not written to, of those that are not."""
    people = population.addresses(connection, ids)
    marks = {
        sid: links.address_marks(product_id, each.email)
        for sid, each in people.items()
        if each.email
    }
    every = [mark for some in marks.values() for mark in some]
    known = suppression.found(connection, product_id, every)
    return {
        sid: next(known[mark] for mark in some if mark in known)
        for sid, some in marks.items()
        if any(mark in known for mark in some)
    }


def no_news(batch: Batch, withheld: Collection[int]) -> None:
    """Let nobody count that they are not reached: that was known, and nothing has come back.

    To be called once the batch is written, before it is counted.
    """
    for subscription_id in withheld:
        before, after = batch.before[subscription_id], batch.cases[subscription_id]
        batch.before[subscription_id] = structs.replace(before, reach=after.reach)


def remember(
    connection: Connection, batch: Batch, links: Links, addresses: Collection[str], actor: str
) -> None:
    """Put addresses on the product's list that a relay has just refused for good."""
    marks = {links.address_marks(batch.product.id, each)[0]: Reason.BOUNCED for each in addresses}
    suppression.add(connection, batch.product.id, marks, actor, batch.now)

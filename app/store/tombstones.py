"""Tombstones: who was erased is not brought back, by nothing that billing or an app may tell later.

Nobody is named: each is a keyed hash of what billing called them (`Links.subscription_marks`). It
is looked for under every secret key that is still configured, so a key may be replaced by another
one, and must not be forgotten. An id that was erased counts as new again once billing says that a
subscription of that name started on a later day; the tombstone stays.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from app.links import Links
from app.store import population
from app.store.database import cursor

A_FEW = 20
"""For so many it costs less to look at once than to ask first whether there are tombstones."""


def put(
    connection: Connection, product_id: int, mark: bytes, subscription_id: int, at: datetime
) -> None:
    """Note who has been erased, by the mark under the newest key."""
    cursor(connection).execute(
        """insert into tombstone (product_id, mark, subscription_id, erased_at)
           values (%s, %s, %s, %s)""",
        (product_id, mark, subscription_id, at),
    )


def mark_of(connection: Connection, subscription_id: int) -> bytes | None:
    """Give the mark that a subscription was erased under; None where it was not."""
    run = cursor(connection)
    run.execute("select mark from tombstone where subscription_id = %s", (subscription_id,))
    row = run.fetchone()
    return bytes(row[0]) if row else None


def has_mark(connection: Connection, product_id: int, mark: bytes) -> bool:
    """Say whether somebody of that mark was erased before."""
    run = cursor(connection)
    run.execute(
        "select exists (select from tombstone where product_id = %s and mark = %s)",
        (product_id, mark),
    )
    row = run.fetchone()
    return bool(row and row[0])


def has_any(connection: Connection, product_id: int) -> bool:
    """Say whether anybody of a product was ever erased: one look at the index."""
    run = cursor(connection)
    run.execute("select exists (select from tombstone where product_id = %s)", (product_id,))
    row = run.fetchone()
    return bool(row and row[0])


def erased_on(
    connection: Connection, links: Links | None, product_id: int, names: Sequence[str]
) -> dict[str, date]:
    """Give those of the ids that were erased, with the UTC day on which they last were.

    LookupError where there are tombstones and no keys to find them by: nothing may be taken in
    then.
    """
    if not names or (len(names) > A_FEW and not has_any(connection, product_id)):
        return {}
    if links is None:
        if has_any(connection, product_id):
            raise LookupError("who was erased can be told by the secret keys only")
        return {}
    marked = {mark: name for name in names for mark in links.subscription_marks(product_id, name)}
    run = cursor(connection)
    run.execute(
        "select mark, erased_at from tombstone where product_id = %s and mark = any(%s)",
        (product_id, list(marked)),
    )
    found: dict[str, date] = {}
    for mark, at in run.fetchall():
        name, day = marked[bytes(mark)], at.astimezone(UTC).date()
        found[name] = max(day, found.get(name, day))
    return found


def gone(
    connection: Connection, links: Links | None, product_id: int, names: Sequence[str]
) -> set[str]:
    """Give those of the ids that were erased and that billing has not told of as new since."""
    erased = erased_on(connection, links, product_id, names)
    if not erased:
        return set()
    return erased.keys() - population.resolve(connection, product_id, list(erased)).keys()


def wiped_among(connection: Connection, ids: Collection[int]) -> set[int]:
    """Give those of our own ids whose person was erased."""
    run = cursor(connection)
    run.execute(
        "select subscription_id from tombstone where subscription_id = any(%s)", (sorted(ids),)
    )
    return {row[0] for row in run.fetchall()}


def is_of(connection: Connection, product_id: int, subscription_id: int) -> bool:
    """Say whether a subscription was of a product, and its person was erased."""
    run = cursor(connection)
    run.execute(
        "select exists (select from tombstone where subscription_id = %s and product_id = %s)",
        (subscription_id, product_id),
    )
    row = run.fetchone()
    return bool(row and row[0])


def erasure_of(connection: Connection, subscription_id: int) -> str | None:
    """Give the id of the erasure that a subscription ended with."""
    run = cursor(connection)
    run.execute(
        "select id from erasure where subscription_id = %s order by begun_at desc limit 1",
        (subscription_id,),
    )
    row = run.fetchone()
    return row[0] if row else None

"""Subscriptions that billing is to be asked about again, because it said that something changed.

A message of many systems is only a hint: it comes late, twice, in any order, or of another version
of their API. So the subscription it names is read back as it is now, once for any number of hints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.store.database import cursor


@dataclass(frozen=True, slots=True)
class Look:
    """One subscription to be read back; `hints` tells a later hint from those it was read for."""

    external_id: str
    hints: int
    tries: int


def want(
    connection: Connection,
    product_id: int,
    subscriptions: Sequence[str],
    customers: Sequence[str],
    wall: datetime,
) -> None:
    """Have subscriptions read back, and all that we know of these customers."""
    cursor(connection).execute(
        """insert into look as l (product_id, external_id, wanted_at, not_before, hints, tries)
           select %(product)s, id, %(at)s, %(at)s, 1, 0 from (
             select unnest(%(ids)s::text[]) as id
             union select external_id from subscription
               where product_id = %(product)s and customer = any(%(customers)s)) named
           order by id
           on conflict (product_id, external_id) do update
             set hints = l.hints + 1, not_before = least(l.not_before, excluded.not_before)""",
        {
            "product": product_id,
            "at": wall,
            "ids": list(subscriptions),
            "customers": list(customers),
        },
    )


def claim(
    connection: Connection, product_id: int, wall: datetime, lease: timedelta, limit: int
) -> list[Look]:
    """Take some that are due; whoever takes them has them until the lease ends."""
    run = cursor(connection)
    run.execute(
        """update look l set not_before = %s, tries = least(l.tries + 1, 1000)
           from (select external_id from look where product_id = %s and not_before <= %s
                 order by not_before, external_id limit %s for update skip locked) due
           where l.product_id = %s and l.external_id = due.external_id
           returning l.external_id, l.hints, l.tries""",
        (wall + lease, product_id, wall, limit, product_id),
    )
    return sorted((Look(*row) for row in run.fetchall()), key=lambda each: each.external_id)


def done(connection: Connection, product_id: int, seen: Sequence[Look]) -> None:
    """Strike off what was read back, unless there has been another hint meanwhile."""
    if seen:
        cursor(connection).execute(
            """delete from look l using unnest(%s::text[], %s::int[]) as v(id, hints)
               where l.product_id = %s and l.external_id = v.id and l.hints = v.hints""",
            ([each.external_id for each in seen], [each.hints for each in seen], product_id),
        )


def put_off(
    connection: Connection, product_id: int, seen: Sequence[Look], until: datetime, error: str
) -> None:
    """Have some wait until a moment, because of an error (a code)."""
    if seen:
        cursor(connection).execute(
            """update look set not_before = %s, error = %s
               where product_id = %s and external_id = any(%s)""",
            (until, error, product_id, [each.external_id for each in seen]),
        )

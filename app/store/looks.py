"""Subscriptions that billing is to be asked about again, because it said that something changed.

A message of many systems is only a hint: it comes late, twice, in any order, or of another version
of their API. So the subscription it names is read back as it is now, once for any number of hints.
All moments are on the wall clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.store.database import cursor

MOST_TRIES = 1_000_000


@dataclass(frozen=True, slots=True)
class Look:
    """One subscription to be read back.

    `hints` tells a later hint from those it was read for, `tries` and `wanted_at` a later claim.
    """

    external_id: str
    hints: int
    tries: int
    wanted_at: datetime


def want(
    connection: Connection,
    product_id: int,
    subscriptions: Sequence[str],
    customers: Sequence[str],
    wall: datetime,
) -> int:
    """Have subscriptions read back, and all that we know of these customers; give how many.

    One that waits for a person is tried again: what was wrong may have been mended.
    """
    run = cursor(connection)
    run.execute(
        """insert into look as l (product_id, external_id, wanted_at, not_before, hints, tries)
           select %(product)s, id, %(at)s, %(at)s, 1, 0 from (
             select unnest(%(ids)s::text[]) as id
             union select external_id from subscription
               where product_id = %(product)s and customer = any(%(customers)s)) named
           order by id
           on conflict (product_id, external_id) do update
             set hints = l.hints + 1, state = 'waiting',
               not_before = least(l.not_before, excluded.not_before)""",
        {
            "product": product_id,
            "at": wall,
            "ids": list(subscriptions),
            "customers": list(customers),
        },
    )
    return run.rowcount


def claim(
    connection: Connection, product_id: int, wall: datetime, lease: timedelta, limit: int
) -> list[Look]:
    """Take some that are due; whoever takes them has them until the lease ends."""
    run = cursor(connection)
    run.execute(
        """update look l set state = 'claimed', not_before = %s, tries = least(l.tries + 1, %s)
           from (select external_id from look
                 where product_id = %s and not_before <= %s and state <> 'parked'
                 order by not_before, external_id limit %s for update skip locked) due
           where l.product_id = %s and l.external_id = due.external_id
           returning l.external_id, l.hints, l.tries, l.wanted_at""",
        (wall + lease, MOST_TRIES, product_id, wall, limit, product_id),
    )
    return sorted((Look(*row) for row in run.fetchall()), key=lambda each: each.external_id)


_MINE = """l.product_id = %s and l.external_id = v.id and l.hints = v.hints
    and l.tries = v.tries and l.wanted_at = v.wanted"""
_SEEN = "unnest(%s::text[], %s::int[], %s::int[], %s::timestamptz[]) as v(id, hints, tries, wanted)"


def _columns(seen: Sequence[Look]) -> tuple[list[str], list[int], list[int], list[datetime]]:
    return (
        [each.external_id for each in seen],
        [each.hints for each in seen],
        [each.tries for each in seen],
        [each.wanted_at for each in seen],
    )


def done(connection: Connection, product_id: int, seen: Sequence[Look]) -> None:
    """Strike off what was read back, unless there has been another hint or claim meanwhile."""
    if seen:
        cursor(connection).execute(
            f"delete from look l using {_SEEN} where {_MINE}",  # noqa: S608 - our own text
            (*_columns(seen), product_id),
        )


def put_off(
    connection: Connection, product_id: int, seen: Sequence[Look], until: datetime, error: str
) -> None:
    """Have some wait until a moment, because of an error (a code)."""
    if seen:
        cursor(connection).execute(
            f"""update look l set state = 'waiting', not_before = %s, error = %s
                from {_SEEN} where {_MINE}""",  # noqa: S608 - our own text
            (until, error, *_columns(seen), product_id),
        )


def put_off_all(connection: Connection, product_id: int, until: datetime, error: str) -> None:
    """Have all of a product wait until a moment: billing cannot be asked about anything."""
    cursor(connection).execute(
        """update look set state = 'waiting', not_before = %s, error = %s
           where product_id = %s and state <> 'parked' and not_before < %s""",
        (until, error, product_id, until),
    )


def release(connection: Connection, product_id: int, seen: Sequence[Look], wall: datetime) -> None:
    """Give back what was claimed and not asked about."""
    if seen:
        cursor(connection).execute(
            f"""update look l set state = 'waiting', not_before = %s, tries = l.tries - 1
                from {_SEEN} where {_MINE}""",  # noqa: S608 - our own text
            (wall, *_columns(seen), product_id),
        )


def park(connection: Connection, product_id: int, refused: Sequence[tuple[Look, str]]) -> None:
    """Put some, given with what is wrong (naming no value), before a person."""
    for each, error in refused:
        cursor(connection).execute(
            f"""update look l set state = 'parked', error = %s
                from {_SEEN} where {_MINE}""",  # noqa: S608 - our own text
            (error, *_columns([each]), product_id),
        )


def refuse(
    connection: Connection, product_id: int, refused: Sequence[tuple[str, str]], wall: datetime
) -> None:
    """Put before a person what billing told in a list and cannot be taken in, with the reason.

    One that is to be read back all the same stays so: that will say what is wrong by itself.
    """
    for external_id, error in sorted(refused):
        cursor(connection).execute(
            """insert into look as l (product_id, external_id, wanted_at, not_before, hints, tries,
                 state, error)
               values (%s, %s, %s, %s, 1, 0, 'parked', %s)
               on conflict (product_id, external_id) do update set error = excluded.error
               where l.state = 'parked'""",
            (product_id, external_id, wall, wall, error),
        )


def mended(connection: Connection, product_id: int, names: Sequence[str]) -> None:
    """Strike off those that waited for a person and have been taken in by a list meanwhile."""
    cursor(connection).execute(
        """delete from look
           where product_id = %s and external_id = any(%s) and state = 'parked'""",
        (product_id, list(names)),
    )


def drop_due(connection: Connection, product_id: int, wall: datetime) -> int:
    """Forget what is due of a product whose billing cannot be asked; give how many."""
    run = cursor(connection)
    run.execute(
        """delete from look where product_id = %s and not_before <= %s and state <> 'parked'""",
        (product_id, wall),
    )
    return run.rowcount


def awaited(connection: Connection, product_id: int, ids: Sequence[str]) -> set[str]:
    """Give those that billing has told of and that have not been read back yet."""
    run = cursor(connection)
    run.execute(
        """select external_id from look
           where product_id = %s and external_id = any(%s) and state <> 'parked'""",
        (product_id, list(ids)),
    )
    return {row[0] for row in run.fetchall()}


@dataclass(frozen=True, slots=True)
class Stuck:
    """One that waits for a person: what is wrong with it, and since when it is wanted."""

    subscription: str
    error: str | None
    wanted_at: datetime
    tries: int


def parked(connection: Connection, product_id: int, limit: int) -> list[Stuck]:
    """Give those of a product that wait for a person."""
    run = cursor(connection)
    run.execute(
        """select external_id, error, wanted_at, tries from look
           where product_id = %s and state = 'parked' order by external_id limit %s""",
        (product_id, limit),
    )
    return [Stuck(*row) for row in run.fetchall()]


def stuck(connection: Connection, since: datetime) -> tuple[int, int]:
    """Count those before a person, and those that have waited since before a moment."""
    run = cursor(connection)
    run.execute(
        """select count(*) filter (where state = 'parked'),
             count(*) filter (where state <> 'parked' and wanted_at < %s) from look""",
        (since,),
    )
    row = run.fetchone()
    return (row[0], row[1]) if row else (0, 0)

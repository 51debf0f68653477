"""The outbox: what the world must do, claimed by lease and fence.

A row is written in the transaction that caused it and deleted in the one that learns that it was
done. Rows are taken before their rounds here, against the usual order, and so only ever with SKIP
LOCKED: who takes them never waits, and so can be part of no deadlock.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from app.lifecycle.case import Kind, Lane
from app.store.database import cursor

_FREE_LANE = """not exists (
    select 1 from outbox e where e.subscription_id = o.subscription_id and e.round = o.round
      and e.lane = o.lane and e.id < o.id)"""
_COLUMNS = "o.id, o.subscription_id, o.round, o.kind, o.version, o.fence, o.tries, o.unknown"


class Row(Struct, frozen=True):
    """One effect as it waits: `tries` counts claims, `unknown` those whose outcome is not known."""

    id: int
    subscription_id: int
    number: int
    kind: Kind
    version: int
    fence: int
    tries: int
    unknown: int


def due(  # noqa: PLR0913, PLR0917 - whose, what, when and how many
    connection: Connection,
    product_id: int,
    lane: Lane,
    kinds: tuple[Sequence[Kind], Sequence[Kind]],
    now: datetime,
    limit: int,
) -> list[Row]:
    """Take effects of a lane that are due and first for their round.

    The first kinds are taken in any case, the second where an earlier try has no known outcome.
    """
    # One lane, compared with "=": the index then gives the rows in order, and none but these few.
    wanted, lost = ([str(kind) for kind in some] for some in kinds)
    return _take(
        connection,
        f"""select {_COLUMNS} from outbox o
            where o.product_id = %s and o.state = 'pending' and o.lane = %s
              and o.not_before <= %s
              and (o.kind = any(%s) or (o.unknown > 0 and o.kind = any(%s))) and {_FREE_LANE}
            order by o.not_before, o.id limit %s for update of o skip locked""",  # noqa: S608
        (product_id, str(lane), now, wanted, lost, limit),
    )


def forsaken(
    connection: Connection, product_id: int, kinds: Sequence[Kind], wall: datetime, limit: int
) -> list[Row]:
    """Take effects whose claimer let the lease run out: nobody knows whether they were done."""
    rows = _take(
        connection,
        f"""select {_COLUMNS} from outbox o
            where o.state = 'claimed' and o.lease_until < %s and o.product_id = %s
              and o.kind = any(%s)
            order by o.lease_until, o.id limit %s for update of o skip locked""",  # noqa: S608
        (wall, product_id, [str(kind) for kind in kinds], limit),
    )
    return [_once_more_unknown(row) for row in rows]


def _once_more_unknown(row: Row) -> Row:
    return replace(row, unknown=row.unknown + 1)


def _take(connection: Connection, statement: str, values: tuple[Any, ...]) -> list[Row]:
    run = cursor(connection)
    run.execute(statement, values)
    return [Row(*[*row[:3], Kind(row[3]), *row[4:]]) for row in run.fetchall()]


def free_rounds(connection: Connection, product_id: int, ids: Sequence[int]) -> set[int]:
    """Lock the latest rounds of these subscriptions, leaving out those somebody else holds."""
    run = cursor(connection)
    run.execute(
        """select subscription_id from reconfirmation
           where subscription_id = any(%s) and product_id = %s and latest
           order by subscription_id for update skip locked""",
        (sorted(set(ids)), product_id),
    )
    return {row[0] for row in run.fetchall()}


class Claimed(Protocol):
    """What a claim notes of a row."""

    @property
    def id(self) -> int:
        """The row."""

    @property
    def unknown(self) -> int:
        """How many tries have no known outcome."""


def claim(connection: Connection, rows: Sequence[Claimed], lease_until: datetime) -> None:
    """Note that these rows are being carried out until the lease ends, under a new fence."""
    if rows:
        cursor(connection).execute(
            """update outbox o set state = 'claimed', fence = o.fence + 1, tries = o.tries + 1,
                 unknown = v.unknown, lease_until = %s
               from unnest(%s::bigint[], %s::smallint[]) as v(id, unknown) where o.id = v.id""",
            (lease_until, [row.id for row in rows], [row.unknown for row in rows]),
        )


def still_mine(connection: Connection, claims: Sequence[tuple[int, int]]) -> set[int]:
    """Lock those of the rows, given as (id, fence), that nobody claimed since."""
    run = cursor(connection)
    ids, fences = zip(*claims, strict=True) if claims else ((), ())
    run.execute(
        """select o.id from outbox o
           join unnest(%s::bigint[], %s::int[]) as v(id, fence) on v.id = o.id and v.fence = o.fence
           where o.state = 'claimed' order by o.id for update of o""",
        (list(ids), list(fences)),
    )
    return {row[0] for row in run.fetchall()}


def delete(connection: Connection, ids: Sequence[int]) -> None:
    """Delete what is done or void."""
    if ids:
        cursor(connection).execute("delete from outbox where id = any(%s)", (list(ids),))


def put_back(connection: Connection, rows: Sequence[tuple[int, datetime, str | None, int]]) -> None:
    """Give rows, as (id, not before, error code or None, tries of unknown outcome), back."""
    if rows:
        cursor(connection).execute(
            """update outbox o set state = 'pending', lease_until = null, not_before = v.at,
                 error = coalesce(v.error, o.error), unknown = v.unknown
               from unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::smallint[])
                 as v(id, at, error, unknown) where o.id = v.id""",
            [list(column) for column in zip(*rows, strict=True)],
        )


def park(connection: Connection, rows: Sequence[tuple[int, str]]) -> None:
    """Put rows, given as (id, error code), before a person."""
    if rows:
        cursor(connection).execute(
            """update outbox o set state = 'parked', lease_until = null, error = v.error
               from unnest(%s::bigint[], %s::text[]) as v(id, error) where o.id = v.id""",
            [list(column) for column in zip(*rows, strict=True)],
        )


def next_lease(connection: Connection) -> datetime | None:
    """Give when the first running lease ends, on the wall clock; None where nothing is claimed."""
    run = cursor(connection)
    run.execute("select min(lease_until) from outbox where state = 'claimed'")
    row = run.fetchone()
    return row[0] if row else None


def of_subscription(connection: Connection, subscription_id: int) -> list[tuple[Any, ...]]:
    """Give what waits for one subscription: kind, state, not before, tries, error."""
    run = cursor(connection)
    run.execute(
        """select kind, state, not_before, tries, error from outbox
           where subscription_id = %s order by id""",
        (subscription_id,),
    )
    return run.fetchall()

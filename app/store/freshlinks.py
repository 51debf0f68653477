"""Fresh links: when each was asked for, made and used. The link itself is never kept.

One opens what it is for and nothing else: `erase` confirms a request to erase and is used up by it,
`data` shows what is held for as long as it is good. `asked_at` is on the life clock; `made_at` and
`used_at` are on the wall clock, which says how long a link is good. Whoever writes here holds the
subscription's round.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.lifecycle.case import Kind
from app.store.database import cursor

ERASE = "erase"
DATA = "data"


def put(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    subscription_id: int,
    number: int,
    version: int,
    now: datetime,
    purpose: str = ERASE,
) -> None:
    """Note that a fresh link was asked for in a round, and what for."""
    cursor(connection).execute(
        """insert into fresh_link (subscription_id, round, version, asked_at, purpose)
           values (%s, %s, %s, %s, %s)""",
        (subscription_id, number, version, now, purpose),
    )


def asked_since(connection: Connection, subscription_id: int, since: datetime) -> int:
    """Count the links of a subscription, of any purpose, that were asked for after a moment."""
    run = cursor(connection)
    run.execute(
        "select count(*) from fresh_link where subscription_id = %s and asked_at > %s",
        (subscription_id, since),
    )
    row = run.fetchone()
    return row[0] if row else 0


def waits(connection: Connection, subscription_id: int, kind: Kind = Kind.FRESH_LINK) -> bool:
    """Say whether a mail with a fresh link of a kind is still to go out."""
    run = cursor(connection)
    run.execute(
        "select 1 from outbox where subscription_id = %s and kind = %s limit 1",
        (subscription_id, str(kind)),
    )
    return run.fetchone() is not None


def made(connection: Connection, links: Sequence[tuple[int, int, int]], moment: datetime) -> None:
    """Note when links, given as (subscription, round, version), were made to be mailed."""
    if links:
        cursor(connection).execute(
            """update fresh_link f set made_at = %s
               from unnest(%s::bigint[], %s::int[], %s::int[]) as v(sid, number, version)
               where f.subscription_id = v.sid and f.round = v.number and f.version = v.version""",
            (moment, *map(list, zip(*links, strict=True))),
        )


def newest_unused(
    connection: Connection, subscription_id: int, purpose: str = ERASE
) -> tuple[int, datetime] | None:
    """Give (round, made at) of a purpose's last link; None where it was used, or there is none."""
    run = cursor(connection)
    run.execute(
        """select round, made_at, used_at from fresh_link
           where subscription_id = %s and made_at is not null and purpose = %s
           order by made_at desc, round desc, version desc limit 1""",
        (subscription_id, purpose),
    )
    row = run.fetchone()
    return None if row is None or row[2] is not None else (row[0], row[1])


def use(connection: Connection, subscription_id: int, made_at: datetime, wall: datetime) -> None:
    """Note that a link was used: it is good once."""
    cursor(connection).execute(
        "update fresh_link set used_at = %s where subscription_id = %s and made_at = %s",
        (wall, subscription_id, made_at),
    )


def end(connection: Connection, subscription_id: int, wall: datetime) -> None:
    """Let no link that was mailed to erase be good any more: the address it went to is wrong."""
    cursor(connection).execute(
        """update fresh_link set used_at = %s
           where subscription_id = %s and purpose = 'erase' and used_at is null
             and made_at is not null""",
        (wall, subscription_id),
    )

"""Fresh links: when each was asked for, made and used. The link itself is never kept.

`asked_at` is on the life clock; `made_at` and `used_at` are on the wall clock, which says how long
a link is good. Whoever writes here holds the subscription's round.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.lifecycle.case import Kind
from app.store.database import cursor


def put(
    connection: Connection, subscription_id: int, number: int, version: int, now: datetime
) -> None:
    """Note that a fresh link was asked for in a round."""
    cursor(connection).execute(
        """insert into fresh_link (subscription_id, round, version, asked_at)
           values (%s, %s, %s, %s)""",
        (subscription_id, number, version, now),
    )


def asked_since(connection: Connection, subscription_id: int, since: datetime) -> int:
    """Count the links of a subscription that were asked for after a moment."""
    run = cursor(connection)
    run.execute(
        "select count(*) from fresh_link where subscription_id = %s and asked_at > %s",
        (subscription_id, since),
    )
    row = run.fetchone()
    return row[0] if row else 0


def waits(connection: Connection, subscription_id: int) -> bool:
    """Say whether a mail with a fresh link is still to go out."""
    run = cursor(connection)
    run.execute(
        "select 1 from outbox where subscription_id = %s and kind = %s limit 1",
        (subscription_id, str(Kind.FRESH_LINK)),
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


def newest_unused(connection: Connection, subscription_id: int) -> tuple[int, datetime] | None:
    """Give (round, made at) of the link last made; None where it was used, or there is none."""
    run = cursor(connection)
    run.execute(
        """select round, made_at, used_at from fresh_link
           where subscription_id = %s and made_at is not null
           order by made_at desc, round desc, version desc limit 1""",
        (subscription_id,),
    )
    row = run.fetchone()
    return None if row is None or row[2] is not None else (row[0], row[1])


def use(connection: Connection, subscription_id: int, made_at: datetime, wall: datetime) -> None:
    """Note that a link was used: it is good once."""
    cursor(connection).execute(
        "update fresh_link set used_at = %s where subscription_id = %s and made_at = %s",
        (wall, subscription_id, made_at),
    )

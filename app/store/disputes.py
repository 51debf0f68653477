"""Charges that somebody disputes, as billing tells of them, in whatever order it does.

`told_at`, `ended_at` and `seen_at` are on the life clock. What billing says that a dispute is about
is kept only until it is known whose that is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from app.store.database import cursor

FORGOTTEN = timedelta(days=180)
"""A dispute lasts four months at most: by then one that nobody was found for is over."""


@dataclass(frozen=True, slots=True)
class Late:
    """A dispute that came when somebody was being erased already."""

    id: int
    source: str
    subscription_id: int
    told_at: datetime


def named(
    connection: Connection, product_id: int, about: str | None, customers: Sequence[str]
) -> list[int]:
    """Give whose a dispute is, by billing's id of a subscription or of a customer, in order."""
    run = cursor(connection)
    run.execute(
        """select id from subscription where product_id = %s and external_id = %s
           union select id from subscription where product_id = %s and customer = any(%s)
           order by id""",
        (product_id, about, product_id, list(customers)),
    )
    return [row[0] for row in run.fetchall()]


def put(  # noqa: PLR0913 - a row
    connection: Connection,
    product_id: int,
    source: str,
    about: str | None,
    now: datetime,
    *,
    ended: bool,
) -> bool:
    """Note what was told of a dispute; say whether it has ended, by this or an earlier message."""
    run = cursor(connection)
    run.execute(
        "delete from dispute where product_id = %s and about is not null and told_at < %s",
        (product_id, now - FORGOTTEN),
    )
    ended_at = now if ended else None
    run.execute(
        """insert into dispute as d (product_id, source, about, told_at, ended_at)
           values (%s, %s, %s, %s, %s)
           on conflict (product_id, source) do update
             set ended_at = coalesce(d.ended_at, excluded.ended_at),
                 about = case when coalesce(d.ended_at, excluded.ended_at) is null
                              then excluded.about end
           returning ended_at is not null""",
        (product_id, source, None if ended else about, now, ended_at),
    )
    row = run.fetchone()
    return bool(row and row[0])


def unplaced(
    connection: Connection, product_id: int, names: Sequence[str]
) -> list[tuple[str, str]]:
    """Give (what it is about, source) of the disputes about these that nobody was found for."""
    run = cursor(connection)
    run.execute(
        """select about, source from dispute
           where product_id = %s and about = any(%s) order by id for update""",
        (product_id, list(names)),
    )
    return [(row[0], row[1]) for row in run.fetchall()]


def place(connection: Connection, product_id: int, source: str) -> None:
    """Note that it is known whose a dispute is."""
    cursor(connection).execute(
        "update dispute set about = null where product_id = %s and source = %s",
        (product_id, source),
    )


# --- too late --------------------------------------------------------------------------------


def put_late(connection: Connection, product_id: int, source: str, subscription_id: int) -> bool:
    """Put a dispute before a person; False where it has been put there before."""
    run = cursor(connection)
    run.execute(
        """update dispute set late_on = %s
           where product_id = %s and source = %s and late_on is null""",
        (subscription_id, product_id, source),
    )
    return run.rowcount == 1


def late(connection: Connection, product_id: int, limit: int) -> list[Late]:
    """Give the disputes that came too late and that nobody has looked at, the oldest first."""
    run = cursor(connection)
    run.execute(
        """select id, source, late_on, told_at from dispute
           where product_id = %s and late_on is not null and seen_at is null
           order by id limit %s""",
        (product_id, limit),
    )
    return [Late(*row) for row in run.fetchall()]


def seen(
    connection: Connection, product_id: int, number: int, actor: str, now: datetime
) -> int | None:
    """Note that a person has looked at one that came too late; whose it is, None if not there."""
    run = cursor(connection)
    run.execute(
        """update dispute set seen_at = %s, seen_by = %s
           where product_id = %s and id = %s and late_on is not null and seen_at is null
           returning late_on""",
        (now, actor, product_id, number),
    )
    row = run.fetchone()
    return int(row[0]) if row else None


def came_late(connection: Connection, product_id: int, number: int) -> bool:
    """Say whether a product has a dispute of that number that came too late, seen to or not."""
    run = cursor(connection)
    run.execute(
        "select 1 from dispute where product_id = %s and id = %s and late_on is not null",
        (product_id, number),
    )
    return run.fetchone() is not None


def count_late(connection: Connection) -> list[tuple[str, int]]:
    """Count those that came too late and wait for a person: (product, many), of every product."""
    run = cursor(connection)
    run.execute(
        """select p.key, count(d.id) from product p left join dispute d
             on d.product_id = p.id and d.late_on is not null and d.seen_at is null
           group by p.key order by p.key"""
    )
    return [(row[0], row[1]) for row in run.fetchall()]

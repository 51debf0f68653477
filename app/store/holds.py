"""Holds on erasure: set and released, one or several on one subscription.

They name nobody: internal ids and codes only. `set_at` and `released_at` are on the life clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from psycopg.rows import class_row
from sqlalchemy import Connection

from app.store.database import cursor


class Reason(StrEnum):
    """Why somebody may not be erased.

    `entitlement`: what they bought must stay within reach; `restriction`: the use of their data is
    restricted instead (GDPR 18).
    """

    LEGAL = "legal"
    DISPUTE = "dispute"
    ENTITLEMENT = "entitlement"
    RESTRICTION = "restriction"


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold; `subscription` is the id under which billing knows it, None once it was erased."""

    id: int
    subscription: str | None
    subscription_id: int
    reason: str
    source: str | None
    set_by: str
    set_at: datetime
    review_on: date
    released_at: datetime | None
    released_by: str | None

    @property
    def on(self) -> bool:
        """Whether it still holds."""
        return self.released_at is None


_COLUMNS = """h.id, case when c.subscription_id is null then null else s.external_id end
    as subscription, h.subscription_id, h.reason, h.source, h.set_by, h.set_at, h.review_on,
    h.released_at, h.released_by"""
_FROM = """hold h join subscription s on s.id = h.subscription_id
    left join contact c on c.subscription_id = h.subscription_id"""


def insert(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    product_id: int,
    subscription_id: int,
    reason: Reason,
    review_on: date,
    actor: str,
    now: datetime,
    source: str | None = None,
) -> int | None:
    """Set a hold and give its number; None where its source has set one here before, ever."""
    run = cursor(connection)
    run.execute(
        """insert into hold (product_id, subscription_id, reason, source, set_by, set_at, review_on)
           values (%s, %s, %s, %s, %s, %s, %s)
           on conflict (product_id, source, subscription_id) where source is not null do nothing
           returning id""",
        (product_id, subscription_id, str(reason), source, actor, now, review_on),
    )
    row = run.fetchone()
    return int(row[0]) if row else None


def release(
    connection: Connection, numbers: Sequence[int], actor: str, now: datetime
) -> list[tuple[int, str]]:
    """Release those of the holds that are on; give (subscription, reason) of each."""
    run = cursor(connection)
    run.execute(
        """update hold set released_at = %s, released_by = %s
           where id = any(%s) and released_at is null returning subscription_id, reason""",
        (now, actor, list(numbers)),
    )
    return [(row[0], row[1]) for row in run.fetchall()]


def review(connection: Connection, number: int, review_on: date) -> bool:
    """Have a hold looked at again on another day; False where it is not on any more."""
    run = cursor(connection)
    run.execute(
        "update hold set review_on = %s where id = %s and released_at is null", (review_on, number)
    )
    return run.rowcount == 1


# --- reading ---------------------------------------------------------------------------------


def entry(connection: Connection, product_id: int, number: int) -> Hold | None:
    """Give one hold of a product; None where there is none."""
    found = _holds(connection, "h.product_id = %s and h.id = %s", (product_id, number))
    return found[0] if found else None


def of_source(
    connection: Connection, product_id: int, source: str, subscription_id: int | None = None
) -> list[Hold]:
    """Give the holds that a source has set, on one subscription or any; released ones too."""
    where = "h.product_id = %s and h.source = %s and h.subscription_id = coalesce(%s, s.id)"
    return _holds(connection, where, (product_id, source, subscription_id))


def on(connection: Connection, product_id: int, subscription_id: int) -> list[Hold]:
    """Give the holds that are on a subscription now, the oldest first."""
    where = "h.product_id = %s and h.subscription_id = %s and h.released_at is null"
    return _holds(connection, where, (product_id, subscription_id))


def held(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Give those of the subscriptions on which a hold is."""
    run = cursor(connection)
    run.execute(
        """select distinct subscription_id from hold
           where subscription_id = any(%s) and released_at is null""",
        (list(ids),),
    )
    return {row[0] for row in run.fetchall()}


def listed(  # noqa: PLR0913 - which of a list
    connection: Connection,
    product_id: int,
    after: int,
    limit: int,
    *,
    subscription_id: int | None = None,
    released: bool = False,
) -> list[Hold]:
    """Give holds behind a number, in order: those that are on, or with `released` all."""
    where = "h.product_id = %s and h.id > %s and h.subscription_id = coalesce(%s, s.id)"
    where += "" if released else " and h.released_at is null"
    return _holds(connection, where, (product_id, after, subscription_id), limit)


def to_review(
    connection: Connection, product_id: int, today: date, after: int, limit: int
) -> list[Hold]:
    """Give the holds, behind a number, whose day of review has come."""
    where = "h.product_id = %s and h.review_on <= %s and h.released_at is null and h.id > %s"
    return _holds(connection, where, (product_id, today, after), limit)


def count_to_review(connection: Connection, today: date) -> list[tuple[str, int]]:
    """Count the holds whose day of review has come: (product, many), of every product."""
    run = cursor(connection)
    run.execute(
        """select p.key, count(h.id) from product p left join hold h
             on h.product_id = p.id and h.released_at is null and h.review_on <= %s
           group by p.key order by p.key""",
        (today,),
    )
    return [(row[0], row[1]) for row in run.fetchall()]


def _holds(
    connection: Connection, where: str, values: Sequence[Any], limit: int | None = None
) -> list[Hold]:
    run = cursor(connection)
    run.row_factory = class_row(Hold)
    run.execute(
        f"select {_COLUMNS} from {_FROM} where {where} order by h.id limit %s",  # noqa: S608 - ours
        (*values, limit),
    )
    found: list[Hold] = run.fetchall()
    return found

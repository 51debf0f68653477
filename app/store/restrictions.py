"""Holds that somebody asked for themselves: until they are released nothing of theirs is erased.

Whoever writes here holds the subscription's round.
"""

from datetime import date, datetime

from sqlalchemy import Connection

from app.store.database import cursor

RESTRICTION = "restriction"


def put(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    product_id: int,
    subscription_id: int,
    actor: str,
    now: datetime,
    review_on: date,
) -> bool:
    """Restrict the use of somebody's data; False where that is so already."""
    run = cursor(connection)
    run.execute(
        """insert into hold (product_id, subscription_id, reason, set_by, set_at, review_on)
           select %s, %s, %s, %s, %s, %s
           where not exists (select 1 from hold where subscription_id = %s and reason = %s
                             and released_at is null)""",
        (
            *(product_id, subscription_id, RESTRICTION, actor, now, review_on),
            *(subscription_id, RESTRICTION),
        ),
    )
    return run.rowcount == 1


def release(connection: Connection, subscription_id: int, actor: str, now: datetime) -> bool:
    """Release what this very actor had restricted; False where there is no such hold."""
    run = cursor(connection)
    run.execute(
        """update hold set released_at = %s, released_by = %s
           where subscription_id = %s and reason = %s and set_by = %s and released_at is null""",
        (now, actor, subscription_id, RESTRICTION, actor),
    )
    return run.rowcount > 0

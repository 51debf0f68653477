"""What waits for billing: rounds that it has no means for, and acts that it never confirmed.

Nothing is written about either. They follow from what is kept anyway, so they end by themselves as
soon as billing says what was awaited, and can neither be lost nor be left behind.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection

from app.store.database import cursor

ACTED = """r.latest and r.decided_by is distinct from 'billing'
    and (r.outcome = 'resumed'
        or (r.outcome is null and r.stage in ('suspended', 'canceled')))"""
"""What was done last is an act of ours that billing took: in `reconfirmation_acted_idx`."""
UNCONFIRMED = """(
    (r.outcome is null and r.stage = 'suspended' and s.status not in ('paused', 'canceled'))
    or (r.outcome is null and r.stage = 'canceled' and s.status <> 'canceled')
    or (r.outcome = 'resumed' and (s.status in ('paused', 'canceled')
        or s.told_at is null or s.told_at <= coalesce(r.word_at, r.decided_at))))"""
"""Billing's own word is missing: it has not told of the subscription as it now should stand."""


class Unconfirmed(Struct, frozen=True):
    """An act that billing acknowledged at a moment, and that it has not told of by itself since."""

    subscription: str
    act: str
    since: datetime


def unconfirmed(
    connection: Connection,
    product_id: int,
    until: datetime,
    limit: int,
    subscription_id: int | None = None,
) -> list[Unconfirmed]:
    """Give acts acknowledged until a moment and not confirmed since, the oldest first.

    What billing did by itself needs no confirmation. Reads whom an act of ours came to, in a whole
    product or of one subscription, and nobody else.
    """
    one = "" if subscription_id is None else "and r.subscription_id = %(one)s"
    run = cursor(connection)
    run.execute(
        f"""select s.external_id, case when r.outcome = 'resumed' then 'resume'
                 when r.stage = 'suspended' then 'suspend' else 'cancel' end, r.decided_at
            from reconfirmation r join subscription s on s.id = r.subscription_id
            where r.product_id = %(product)s and r.decided_at <= %(until)s {one}
              and {ACTED} and {UNCONFIRMED}
            order by r.decided_at, r.subscription_id limit %(limit)s""",  # noqa: S608 - ours
        {"product": product_id, "until": until, "one": subscription_id, "limit": limit},
    )
    return [Unconfirmed(*row) for row in run.fetchall()]


def count_unconfirmed(connection: Connection, product_id: int, until: datetime, most: int) -> int:
    """Count acts of a product acknowledged until a moment and not confirmed since, up to `most`."""
    run = cursor(connection)
    run.execute(
        f"""select count(*) from (
              select 1 from reconfirmation r join subscription s on s.id = r.subscription_id
              where r.product_id = %s and r.decided_at <= %s and {ACTED} and {UNCONFIRMED}
              limit %s) few""",  # noqa: S608 - ours
        (product_id, until, most),
    )
    row = run.fetchone()
    return int(row[0]) if row else 0


def held(connection: Connection, product_id: int, versions: Sequence[int], now: datetime) -> int:
    """Count open rounds under these versions of a policy whose window is over, and nothing done."""
    run = cursor(connection)
    run.execute(
        """select count(*) from reconfirmation
           where product_id = %s and outcome is null and stage = 'asked' and act is null
             and version = any(%s) and answer_by <= %s""",
        (product_id, list(versions), now),
    )
    row = run.fetchone()
    return int(row[0]) if row else 0

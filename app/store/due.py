"""Finding who is due: timers of those without an open round, wake times of open rounds.

Rows are taken with SKIP LOCKED, so that several sweeps share the work, and in key order, so that
a row left in place is not read twice in one pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from app.lifecycle.erasures import OWN_REST
from app.store.database import cursor
from app.store.reconciliation import AFTER_ADDING

BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
PERIOD = """case s."interval" when 'day' then 86400 when 'week' then 604800
                            when 'month' then 2629746 else 31556952 end"""


@dataclass(frozen=True, slots=True)
class DueTimer:
    """A timer that has come due; `place` finds its row again within the transaction."""

    place: str
    due_at: datetime
    subscription_id: int


def timers(  # noqa: PLR0913 - a key range
    connection: Connection,
    product_id: int,
    until: datetime,
    after: tuple[datetime, int],
    limit: int,
    *,
    lock: bool = True,
) -> list[DueTimer]:
    """Give the next timers due until a moment, behind (moment, subscription), in key order."""
    run = cursor(connection)
    run.execute(
        f"""select ctid::text, due_at, subscription_id from timer
            where product_id = %s and due_at <= %s and (due_at, subscription_id) > (%s, %s)
            order by due_at, subscription_id limit %s {_taking(lock, "timer")}""",  # noqa: S608
        (product_id, until, *after, limit),
    )
    return [DueTimer(*row) for row in run.fetchall()]


def timers_by_charge(  # noqa: PLR0913, PLR0917 - a key range
    connection: Connection,
    product_id: int,
    until: datetime,
    now: datetime,
    after: tuple[datetime, int],
    limit: int,
) -> list[tuple[datetime, DueTimer]]:
    """Give due timers in the order in which their subscriptions are charged next, with that moment.

    Where billing told no charge since, the one told is rolled on by mean periods: good enough to
    order by, and never stated to anybody.
    """
    charged = f"""coalesce(s.renews_at + make_interval(secs => {PERIOD} * greatest(0, ceil(
        extract(epoch from %(now)s - s.renews_at) / {PERIOD}))), timestamptz '9999-01-01Z')"""
    run = cursor(connection)
    run.execute(
        f"""select charged, place, due_at, id from (
              select {charged} as charged, t.ctid::text as place, t.due_at, t.subscription_id as id
              from timer t join subscription s on s.id = t.subscription_id
              where t.product_id = %(product)s and t.due_at <= %(until)s) due
            where (charged, id) > (%(charged)s, %(id)s) order by charged, id limit %(limit)s""",  # noqa: S608
        {
            "now": now,
            "product": product_id,
            "until": until,
            "charged": after[0],
            "id": after[1],
            "limit": limit,
        },
    )
    return [(row[0], DueTimer(*row[1:])) for row in run.fetchall()]


def take(connection: Connection, found: Sequence[DueTimer]) -> list[DueTimer]:
    """Lock timers found before; those another sweep has taken meanwhile are left out."""
    run = cursor(connection)
    run.execute(
        """select ctid::text, due_at, subscription_id from timer
           where ctid = any(%s::tid[]) for update skip locked""",
        ([each.place for each in found],),
    )
    mine = {DueTimer(*row) for row in run.fetchall()}
    return [each for each in found if each in mine]


def delete_timers(connection: Connection, places: Sequence[str]) -> None:
    """Delete timers that this transaction has locked."""
    if places:
        cursor(connection).execute("delete from timer where ctid = any(%s::tid[])", (list(places),))


def rounds(  # noqa: PLR0913 - a key range
    connection: Connection,
    product_id: int,
    until: datetime,
    after: tuple[datetime, int],
    limit: int,
    *,
    lock: bool = True,
) -> list[tuple[datetime, int]]:
    """Give (wake_at, subscription) of open rounds to look at until a moment, in that order."""
    run = cursor(connection)
    run.execute(
        f"""select wake_at, subscription_id from reconfirmation
            where product_id = %s and wake_at <= %s and (wake_at, subscription_id) > (%s, %s)
            order by wake_at, subscription_id limit %s {_taking(lock, "reconfirmation")}""",  # noqa: S608
        (product_id, until, *after, limit),
    )
    return [(row[0], row[1]) for row in run.fetchall()]


def count_rounds(connection: Connection, product_id: int, start: datetime, end: datetime) -> int:
    """Count the open rounds to look at between two moments."""
    return _one(
        connection,
        """select count(*) from reconfirmation
           where product_id = %s and wake_at > %s and wake_at <= %s""",
        (product_id, start, end),
    )


def next_moment(connection: Connection, now: datetime) -> datetime | None:
    """Give the first moment after `now` at which anything of any product comes due.

    Where people wait whom the pace has held back, also when it next lets more of them in. The
    daily comparison with a billing system that lists nothing waits for whatever else is due.
    """
    run = cursor(connection)
    run.execute(
        """select min(first) from product p cross join lateral (
             select min(due_at) as first from timer
             where product_id = p.id and due_at > %(now)s
             union all select min(wake_at) from reconfirmation
             where product_id = p.id and wake_at > %(now)s
             union all select min(not_before) from outbox
             where product_id = p.id and state = 'pending' and not_before > %(now)s
             union all select min(not_before) from webhook
             where product_id = p.id and state = 'pending' and not_before > %(now)s
             union all select activate_at from policy
             where product_id = p.id and activate_at > %(now)s
             union all select min(not_before) from refund
             where product_id = p.id and state = 'approved' and not_before > %(now)s
             union all select min(erase_on)::timestamp at time zone 'UTC' from reconfirmation
             where product_id = p.id and outcome is null and erase_on is not null
               and erase_on > (%(now)s at time zone 'UTC')::date
             union all select min(erase_at) + %(own_rest)s from reconfirmation
             where product_id = p.id and latest and erase_at > %(now)s - %(own_rest)s
             union all select min(not_before) from receipt
             where product_id = p.id and state in ('due', 'told') and not_before > %(now)s
             union all select due_at from reconciliation
             where product_id = p.id and due_at > %(now)s and (lists or phase is not null)
             union all select p.created_at + %(first)s where p.created_at + %(first)s > %(now)s
               and not exists (select 1 from reconciliation where product_id = p.id)
             union all select paced.first from (
               select handed_over_at + interval '1 day' as first from ramp
               where product_id = p.id and version = p.policy_version
               union all select (day + 1)::timestamp at time zone 'UTC' from quota
               where product_id = p.id and taken > 0) paced
             where paced.first > %(now)s and %(now)s >= (
               select min(due_at) from timer where product_id = p.id)) due""",
        {"now": now, "first": AFTER_ADDING, "own_rest": OWN_REST},
    )
    row = run.fetchone()
    return row[0] if row else None


def _taking(lock: bool, table: str) -> str:  # noqa: FBT001 - a private switch
    return f"for update of {table} skip locked" if lock else ""


def _one(connection: Connection, statement: str, values: tuple[Any, ...]) -> int:
    run = cursor(connection)
    run.execute(statement, values)
    row = run.fetchone()
    return int(row[0]) if row else 0

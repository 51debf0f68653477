"""Figures of the running service for its metrics: cheap, and each statement bounded in time.

Nothing here names a person. A figure that takes too long is left out of one answer rather than
slowing the service; what is counted one by one is counted up to `MANY`.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from app.store.database import cursor

MANY = 100_000
PATIENCE = "2s"
Rows = list[tuple[Any, ...]]


def hurry(connection: Connection) -> None:
    """End every later statement of this transaction that takes too long."""
    cursor(connection).execute(f"set local statement_timeout = '{PATIENCE}'")


def stages(connection: Connection) -> Rows:
    """Count open rounds: (product, stage, many)."""
    return _rows(
        connection,
        """select p.key, r.stage, count(*)
           from reconfirmation r join product p on p.id = r.product_id
           where r.outcome is null group by 1, 2""",
    )


def unsealed(connection: Connection) -> Rows:
    """Give when the first line of history was written that is not sealed yet, if there is one."""
    return _rows(
        connection,
        """select at from history
           where id > coalesce((select upto from sealing), 0) order by id limit 1""",
    )


def outbox_pending(connection: Connection) -> Rows:
    """Count effects that wait, and the oldest moment: (product, lane, many, not_before)."""
    return _rows(
        connection,
        """select p.key, l.lane, c.many, o.oldest
           from product p
           cross join (values ('billing'), ('notice'), ('webhook')) as l(lane)
           cross join lateral (
             select count(*) as many from (
               select 1 from outbox where product_id = p.id and lane = l.lane
                 and state = 'pending' limit %s) x) c
           cross join lateral (
             select min(not_before) as oldest from outbox
             where product_id = p.id and lane = l.lane and state = 'pending') o""",
        MANY,
    )


def outbox_held(connection: Connection) -> Rows:
    """Count effects in a worker's hand or before a person: (product, lane, state, many)."""
    return _rows(
        connection,
        """select p.key, o.lane, o.state, count(*)
           from outbox o join product p on p.id = o.product_id
           where o.state in ('claimed', 'parked') group by 1, 2, 3""",
    )


def webhooks(connection: Connection) -> Rows:
    """Count webhooks that are not delivered: (product, state, many)."""
    return _rows(
        connection,
        """select p.key, w.state, count(*) from webhook w join product p on p.id = w.product_id
           where w.state in ('pending', 'claimed', 'parked') group by 1, 2""",
    )


def inbox(connection: Connection) -> Rows:
    """Count webhooks taken in that wait for a person: (product, state, many)."""
    return _rows(
        connection,
        """select p.key, i.state, count(*) from inbox i join product p on p.id = i.product_id
           where i.state in ('unreadable', 'failed') group by 1, 2""",
    )


def job_runs(connection: Connection) -> Rows:
    """Give when each job last ended, on the wall clock: (product, job, finished_at)."""
    return _rows(
        connection,
        """select p.key, j.job, j.finished_at
           from job_run j join product p on p.id = j.product_id""",
    )


def feeds(connection: Connection) -> Rows:
    """Give the last day each live feed covers: (product, feed's number, covers_until)."""
    return _rows(
        connection,
        """select p.key, f.id, f.covers_until from feed f join product p on p.id = f.product_id
           where f.retired_at is null and f.covers_until is not null""",
    )


def brakes(connection: Connection) -> Rows:
    """Count the brakes that stop each product: (product, many)."""
    return _rows(
        connection,
        """select p.key, count(b.id) from product p left join brake b
             on (b.product_id = p.id or b.product_id is null) and b.lifted_at is null
           group by 1""",
    )


def reviews(connection: Connection) -> Rows:
    """Count the cases a person is to look at, and since when: (product, many, oldest).

    Requests to erase are counted apart: they have a day.
    """
    return _rows(
        connection,
        """select p.key, count(v.id), min(v.asked_at) from product p
           left join review v on v.product_id = p.id and v.state = 'open' and v.reason <> 'erase'
           group by 1""",
    )


def erasures(connection: Connection, until: date) -> Rows:
    """Count the requests to erase before a person: (product, all, those due until a day)."""
    return _rows(
        connection,
        """select p.key, count(v.id), count(v.id) filter (where v.due_on <= %s) from product p
           left join review v on v.product_id = p.id and v.state = 'open' and v.reason = 'erase'
           group by 1""",
        until,
    )


def erasing(connection: Connection) -> Rows:
    """Count the erasures under way: (product, cause, many)."""
    return _rows(
        connection,
        """select p.key, c.cause, count(e.id)
           from product p cross join (values ('schedule'), ('request')) as c(cause)
           left join erasure e on e.product_id = p.id and e.cause = c.cause and e.ended_at is null
           group by 1, 2""",
    )


def own_requests(connection: Connection) -> Rows:
    """Give since when the oldest request to be erased is open: (product, asked_at or None)."""
    return _rows(
        connection,
        """select p.key, min(v.asked_at) from product p
           left join review v on v.product_id = p.id and v.state = 'open' and v.reason = 'erase'
           group by 1""",
    )


def parked_receipts(connection: Connection) -> Rows:
    """Count the receipts that wait for a person: (product, many)."""
    return _rows(
        connection,
        """select p.key, count(r.erasure_id) from product p
           left join receipt r on r.product_id = p.id and r.state = 'parked' group by 1""",
    )


def findings(connection: Connection) -> Rows:
    """Count subscriptions that cannot be explained: (product, what is wrong, many)."""
    return _rows(
        connection,
        """select p.key, u.what, count(*) from unexplained u join product p on p.id = u.product_id
           group by 1, 2""",
    )


def refunds(connection: Connection) -> Rows:
    """Count entries of the refund ledger that are not settled: (product, state, many)."""
    return _rows(
        connection,
        """select p.key, s.state, (select count(*) from refund f
             where f.product_id = p.id and f.state = s.state
               and f.state in ('proposed', 'approved', 'failed'))
           from product p cross join (values ('proposed'), ('approved'), ('failed')) as s(state)""",
    )


def compared(connection: Connection) -> Rows:
    """Give how the comparison of each product stands: (product, ended_at, error)."""
    return _rows(
        connection,
        """select p.key, coalesce(r.ended_at, p.created_at), r.error
           from reconciliation r join product p on p.id = r.product_id""",
    )


def leader(connection: Connection) -> Rows:
    """Give when the leader was last seen, on the wall clock: at most one (seen_at,)."""
    return _rows(connection, "select seen_at from leader")


def pulse(connection: Connection, day: date) -> Rows:
    """Give the counters of a day: (product, what, many)."""
    return _rows(
        connection,
        """select p.key, u.what, u.many from pulse u join product p on p.id = u.product_id
           where u.day = %s""",
        day,
    )


def _rows(connection: Connection, statement: str, *values: int | date | datetime) -> Rows:
    run = cursor(connection)
    run.execute(statement, values)
    return run.fetchall()

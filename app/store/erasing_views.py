"""Erasures as a product team sees them: what waits, who owes a receipt, how far each has come.

Nothing here names a person but the id at billing, and that only until they are erased.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg.rows import class_row
from sqlalchemy import Connection

from app.store.database import cursor

MANY = 100
"""What waits is counted up to so many."""


@dataclass(frozen=True, slots=True)
class Waits:
    """What waits for a person: manifests, receipts that stopped, holds to review, disputes."""

    manifests: int
    receipts: int
    holds: int
    disputes: int


_WAITING = (
    "from manifest where product_id = %(product)s and state = 'waiting'",
    "from receipt where product_id = %(product)s and state = 'parked'",
    """from hold where product_id = %(product)s and released_at is null
        and review_on <= %(today)s""",
    """from dispute where product_id = %(product)s and late_on is not null
        and seen_at is null""",
)


def waits(connection: Connection, product_id: int, today: date) -> Waits:
    """Count what waits for a person, up to MANY of each, in one statement."""
    counts = ", ".join(
        f"(select count(*) from (select 1 {rest} limit {MANY}) x)"  # noqa: S608 - our own words
        for rest in _WAITING
    )
    run = cursor(connection)
    run.execute(f"select {counts}", {"product": product_id, "today": today})
    row = run.fetchone()
    return Waits(*row) if row else Waits(0, 0, 0, 0)


# --- targets ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """A system that holds data, and how many receipts it owes: not told yet, told, stopped."""

    id: int
    key: str
    kind: str
    categories: Sequence[str]
    created_at: datetime
    tried_at: datetime | None
    retired_at: datetime | None
    due: int
    told: int
    parked: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one target owes, or has given, for one erasure; `body` is what it says it did."""

    erasure_id: str
    target_id: int
    target: str
    last: bool
    state: str
    not_before: datetime
    tries: int
    told_at: datetime | None
    error: str | None
    given_at: datetime | None
    body: Any


def targets(connection: Connection, product_id: int) -> list[Target]:
    """Give the targets of a product, retired ones that still owe something too."""
    return _found(
        connection,
        Target,
        """select t.id, t.key, t.kind, t.categories, t.created_at, t.tried_at, t.retired_at,
             coalesce(r.due, 0) as due, coalesce(r.told, 0) as told,
             coalesce(r.parked, 0) as parked, r.oldest
           from target t left join (
             select target_id, count(*) filter (where state in ('due', 'claimed')) as due,
               count(*) filter (where state = 'told') as told,
               count(*) filter (where state = 'parked') as parked,
               min(e.begun_at) as oldest
             from receipt join erasure e on e.id = erasure_id
             where receipt.product_id = %s and state <> 'given' and e.ended_at is null
             group by target_id) r on r.target_id = t.id
           where t.product_id = %s and (t.retired_at is null or r.target_id is not null)
           order by t.key, t.id""",
        (product_id, product_id),
    )


_RECEIPT = """select r.erasure_id, r.target_id, t.key as target, r.last, r.state, r.not_before,
    r.tries, r.told_at, r.error, r.given_at, r.body
    from receipt r join target t on t.id = r.target_id where r.product_id = %s"""


def parked(connection: Connection, product_id: int, limit: int) -> list[Receipt]:
    """Give the receipts of a product that stopped, and wait for a person."""
    where = "and r.state = 'parked' order by r.not_before, r.erasure_id, r.target_id limit %s"
    return _found(connection, Receipt, f"{_RECEIPT} {where}", (product_id, limit))


def retry(
    connection: Connection, product_id: int, erasure_id: str, target_id: int, now: datetime
) -> tuple[int, int] | None:
    """Let a target be told again whose receipt stopped; (subscription, round), None if it has not.

    Two who press at once let it be told once.
    """
    run = cursor(connection)
    run.execute(
        """update receipt r set state = 'due', not_before = %s, lease_until = null,
             told_at = null, tries = 0, error = null
           from erasure e
           where r.product_id = %s and r.erasure_id = %s and r.target_id = %s
             and r.state = 'parked' and e.id = r.erasure_id
           returning e.subscription_id, e.round""",
        (now, product_id, erasure_id, target_id),
    )
    row = run.fetchone()
    return (row[0], row[1]) if row else None


# --- erasures --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure: whose (None once it is over), why it was begun, and how far it has come.

    `step` is ending, telling, parting or wiping; None once it has ended.
    """

    id: str
    subscription_id: int
    external_id: str | None
    cause: str
    manifest: int | None
    begun_at: datetime
    begun_by: str
    answered_at: datetime | None
    ended_at: datetime | None
    ledger_no: int | None
    certified: bool
    step: str | None
    owed: int
    given: int
    stopped: int


_ERASURE = """select e.id, e.subscription_id,
      case when c.subscription_id is null then null else s.external_id end as external_id,
      e.cause, e.manifest, e.begun_at, e.begun_by, e.answered_at, e.ended_at, e.ledger_no,
      e.certificate is not null as certified,
      case when e.ended_at is null then m.erasing end as step,
      o.owed, o.given, o.stopped
    from erasure e
    left join subscription s on s.id = e.subscription_id
    left join contact c on c.subscription_id = e.subscription_id
    left join reconfirmation m on m.subscription_id = e.subscription_id and m.number = e.round
    cross join lateral (
      select count(*) as owed, count(*) filter (where state = 'given') as given,
        count(*) filter (where state = 'parked') as stopped
      from receipt where erasure_id = e.id) o
    where e.product_id = %(product)s"""


def erasures(
    connection: Connection, product_id: int, before: str, limit: int, *, ended: bool
) -> list[Erasure]:
    """Give the erasures of a product that are under way, or that have ended, newest first.

    `before` is the id of the one that the page before ended with; empty for the first page.
    """
    over = "is not null" if ended else "is null"
    return _found(
        connection,
        Erasure,
        f"""{_ERASURE} and e.ended_at {over}
              and (%(before)s = '' or (e.begun_at, e.id) < (
                select begun_at, id from erasure
                where id = %(before)s and product_id = %(product)s))
            order by e.begun_at desc, e.id desc limit %(limit)s""",  # noqa: S608 - our own words
        {"product": product_id, "before": before, "limit": limit},
    )


def erasure(connection: Connection, product_id: int, erasure_id: str) -> Erasure | None:
    """Give one erasure of a product; None where there is none."""
    values = {"product": product_id, "id": erasure_id}
    found = _found(connection, Erasure, f"{_ERASURE} and e.id = %(id)s", values)
    return found[0] if found else None


def receipts(connection: Connection, product_id: int, erasure_id: str) -> list[Receipt]:
    """Give what each target owes, or has given, for one erasure; billing's own at the end."""
    where = "and r.erasure_id = %s order by r.last, t.key, r.target_id"
    return _found(connection, Receipt, f"{_RECEIPT} {where}", (product_id, erasure_id))


def _found(connection: Connection, shape: Any, statement: str, values: Any) -> list[Any]:
    run = cursor(connection)
    run.row_factory = class_row(shape)
    run.execute(statement, values)
    return run.fetchall()

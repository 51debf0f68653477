"""Receipts: what each target owes for an erasure, claimed by lease and fence as effects are.

Moments are on the life clock, but for leases, which are on the wall clock. A receipt is `due` until
its target is known to know (`told`), and then told again from time to time until it is `given`;
`parked` waits for a person. Whoever takes them never waits for another (SKIP LOCKED).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from sqlalchemy import Connection

from app.store.database import cursor

DUE, CLAIMED, TOLD, GIVEN, PARKED = "due", "claimed", "told", "given", "parked"
STATES = (DUE, CLAIMED, TOLD, GIVEN, PARKED)


# --- what an erasure opens -------------------------------------------------------------------


def open_for(
    connection: Connection, product_id: int, erasure: str, last: Sequence[int], now: datetime
) -> int:
    """Have every live target of a product owe a receipt for an erasure; give how many there are.

    Those of the ids `last` are told only once all others have answered.
    """
    run = cursor(connection)
    run.execute(
        """insert into receipt (erasure_id, target_id, product_id, last, state, not_before)
           select %s, t.id, %s, t.id = any(%s), 'due', %s from target t
           where t.product_id = %s and t.retired_at is null
           on conflict do nothing""",
        (erasure, product_id, list(last), now, product_id),
    )
    run.execute("select count(*) from receipt where erasure_id = %s", (erasure,))
    row = run.fetchone()
    return int(row[0]) if row else 0


def all_given(connection: Connection, erasures: Sequence[str]) -> set[str]:
    """Give those of some erasures for which no target owes anything any more."""
    run = cursor(connection)
    run.execute(
        """select e.id from erasure e where e.id = any(%s) and not exists (
             select 1 from receipt r where r.erasure_id = e.id and r.state <> 'given')""",
        (list(erasures),),
    )
    return {row[0] for row in run.fetchall()}


# --- claiming --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """A receipt that is due: who of which erasure is to be told; `tries` counts earlier claims.

    `external_id` is None where the subscription is not known any more; `stays` says that its
    customer has other subscriptions that are not erased.
    """

    erasure_id: str
    target_id: int
    fence: int
    tries: int
    told_at: datetime | None
    error: str | None
    cause: str
    begun_at: datetime
    subscription_id: int
    round: int
    version: int
    external_id: str | None
    customer: str | None
    email: str | None
    stays: bool


_WAITING = """
    select r.erasure_id, r.target_id, r.fence, r.tries, r.told_at, r.error, e.cause, e.begun_at,
           e.subscription_id, e.round, c.version, s.external_id, s.customer, p.email,
           s.customer is not null and exists (
             select 1 from subscription o
             join contact k on k.subscription_id = o.id
             where o.product_id = s.product_id and o.customer = s.customer and o.id <> s.id
               and not exists (
                 select 1 from erasure f
                 join reconfirmation d on d.subscription_id = f.subscription_id
                   and d.number = f.round
                 where f.subscription_id = o.id and f.stopped is null
                   and d.erasing is distinct from 'ending' and (d.outcome is null or
                     d.outcome = 'erased'))) as stays
    from receipt r
    join erasure e on e.id = r.erasure_id
    join reconfirmation c on c.subscription_id = e.subscription_id and c.number = e.round
    left join subscription s on s.id = e.subscription_id
    left join contact p on p.subscription_id = e.subscription_id
    where r.product_id = %(product)s and {due}
      and r.target_id <> all(%(resting)s)
      and e.ended_at is null and c.outcome is null
      and c.stage = 'erasing' and c.erasing = 'telling'
      and (e.cause = 'request' or not %(braked)s)
      and (not r.last or not exists (
        select 1 from receipt o
        where o.erasure_id = r.erasure_id and not o.last and o.state <> 'given'))
    order by r.not_before, r.erasure_id, r.target_id
    limit %(limit)s for update of r skip locked"""
_DUE = "r.state in ('due', 'told') and r.not_before <= %(now)s"
_FORSAKEN = "r.state = 'claimed' and r.lease_until < %(wall)s"


def due(  # noqa: PLR0913 - whose, when and how many
    connection: Connection,
    product_id: int,
    now: datetime,
    wall: datetime,
    *,
    resting: Sequence[int],
    braked: bool,
    limit: int,
) -> list[Waiting]:
    """Take receipts that are due, those first whose claimer let the lease run out.

    Only of erasures that have come to telling, one that is `last` only once all others are given,
    and while a product is `braked` only what people asked for themselves.
    """
    values = {
        "product": product_id,
        "now": now,
        "wall": wall,
        "resting": list(resting),
        "braked": braked,
    }
    found: list[Waiting] = []
    for which in (_FORSAKEN, _DUE):
        run = cursor(connection)
        run.row_factory = class_row(Waiting)
        run.execute(_WAITING.format(due=which), values | {"limit": limit - len(found)})
        found += run.fetchall()
    return found


Name = tuple[str, int]
"""Names a receipt: the id of the erasure, and that of the target."""


def _columns(names: Sequence[Name]) -> tuple[list[str], list[int]]:
    return [erasure for erasure, _ in names], [target for _, target in names]


def claim(connection: Connection, names: Sequence[Name], lease_until: datetime) -> None:
    """Note that these are being told until the lease ends, under a new fence."""
    if names:
        cursor(connection).execute(
            """update receipt r set state = 'claimed', fence = fence + 1, tries = tries + 1,
                 lease_until = %s
               from unnest(%s::text[], %s::int[]) as v(erasure, target)
               where r.erasure_id = v.erasure and r.target_id = v.target""",
            (lease_until, *_columns(names)),
        )


def still_mine(connection: Connection, claims: Sequence[tuple[str, int, int]]) -> set[Name]:
    """Lock those, given as (erasure, target, fence), that nobody claimed or settled since."""
    if not claims:
        return set()
    run = cursor(connection)
    run.execute(
        """select r.erasure_id, r.target_id from receipt r
           join unnest(%s::text[], %s::int[], %s::int[]) as v(erasure, target, fence)
             on r.erasure_id = v.erasure and r.target_id = v.target and r.fence = v.fence
           where r.state = 'claimed' order by 1, 2 for update of r""",
        [list(column) for column in zip(*claims, strict=True)],
    )
    return {(row[0], row[1]) for row in run.fetchall()}


# --- settling --------------------------------------------------------------------------------


def give(connection: Connection, name: Name, body: Mapping[str, Any], now: datetime) -> None:
    """Write a receipt that was given; whoever was telling meanwhile is told nothing by it."""
    cursor(connection).execute(
        """update receipt set state = 'given', body = %s::jsonb, given_at = %s,
             told_at = coalesce(told_at, %s), lease_until = null, error = null, fence = fence + 1
           where erasure_id = %s and target_id = %s""",
        (json.dumps(body), now, now, *name),
    )


def put_off(
    connection: Connection, name: Name, told_at: datetime | None, until: datetime, error: str | None
) -> None:
    """Have a target told again, not before a moment; `told_at` since when it is known to know."""
    cursor(connection).execute(
        """update receipt set state = case when %s::timestamptz is null then 'due' else 'told' end,
             told_at = %s, not_before = %s, error = %s, lease_until = null
           where erasure_id = %s and target_id = %s""",
        (told_at, told_at, until, error, *name),
    )


def release(connection: Connection, names: Sequence[Name]) -> None:
    """Give back what was not begun, as if it had not been claimed."""
    if names:
        cursor(connection).execute(
            """update receipt r set state = case when told_at is null then 'due' else 'told' end,
                 tries = tries - 1, lease_until = null
               from unnest(%s::text[], %s::int[]) as v(erasure, target)
               where r.erasure_id = v.erasure and r.target_id = v.target""",
            _columns(names),
        )


def park(connection: Connection, name: Name, error: str) -> None:
    """Put a receipt before a person."""
    cursor(connection).execute(
        """update receipt set state = 'parked', error = %s, lease_until = null
           where erasure_id = %s and target_id = %s""",
        (error, *name),
    )


def retry(
    connection: Connection, product_id: int, target_id: int, erasure: str | None, now: datetime
) -> list[str]:
    """Have a target told anew of what was parked for it: of one erasure or of all; gives which."""
    run = cursor(connection)
    run.execute(
        """update receipt set state = 'due', told_at = null, tries = 0, not_before = %s,
             error = null
           where product_id = %s and target_id = %s and state = 'parked'
             and (%s::text is null or erasure_id = %s) returning erasure_id""",
        (now, product_id, target_id, erasure, erasure),
    )
    return [row[0] for row in run.fetchall()]


def requested(connection: Connection, erasure: str, now: datetime) -> bool:
    """Note that the first target was told of an erasure; False where one was before."""
    run = cursor(connection)
    run.execute(
        "update erasure set requested_at = %s where id = %s and requested_at is null",
        (now, erasure),
    )
    return run.rowcount == 1


# --- looking ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One receipt as it stands; `body` is what was erased and what is kept."""

    erasure_id: str
    target_id: int
    target: str
    categories: Sequence[str]
    last: bool
    state: str
    not_before: datetime
    tries: int
    told_at: datetime | None
    error: str | None
    given_at: datetime | None
    body: Mapping[str, Any] | None


_ENTRY = """r.erasure_id, r.target_id, t.key as target, t.categories, r.last, r.state,
    r.not_before, r.tries, r.told_at, r.error, r.given_at, r.body"""
_FROM = "receipt r join target t on t.id = r.target_id"


def of_erasures(connection: Connection, erasures: Sequence[str]) -> list[Entry]:
    """Give the receipts of some erasures, in the order of their targets."""
    run = cursor(connection)
    run.row_factory = class_row(Entry)
    run.execute(
        f"""select {_ENTRY} from {_FROM} where r.erasure_id = any(%s)
            order by r.erasure_id, r.last, t.id""",  # noqa: S608 - our own names
        (list(erasures),),
    )
    return run.fetchall()


def held(connection: Connection, erasure: str, target: str) -> Entry | None:
    """Give the receipt that a target, by its key, owes for an erasure, and hold it; or None."""
    run = cursor(connection)
    run.row_factory = class_row(Entry)
    run.execute(
        f"""select {_ENTRY} from {_FROM} where r.erasure_id = %s and t.key = %s
            order by t.id desc for update of r""",  # noqa: S608 - our own names
        (erasure, target),
    )
    return run.fetchone()


def waiting(
    connection: Connection, product_id: int, states: Sequence[str], limit: int
) -> list[Entry]:
    """Give the receipts of a product in some states, those that wait longest first."""
    run = cursor(connection)
    run.row_factory = class_row(Entry)
    run.execute(
        f"""select {_ENTRY} from {_FROM} join erasure e on e.id = r.erasure_id
            where r.product_id = %s and r.state = any(%s)
            order by e.begun_at, r.erasure_id, r.target_id limit %s""",  # noqa: S608
        (product_id, list(states), limit),
    )
    return run.fetchall()


def owed_by(connection: Connection, target_id: int) -> int:
    """Count the receipts that a target still owes."""
    run = cursor(connection)
    run.execute(
        "select count(*) from receipt where target_id = %s and state <> 'given'", (target_id,)
    )
    row = run.fetchone()
    return int(row[0]) if row else 0


def parked(connection: Connection) -> int:
    """Count the receipts of all products that wait for a person."""
    run = cursor(connection)
    run.execute("select count(*) from receipt where state = 'parked'")
    row = run.fetchone()
    return int(row[0]) if row else 0


def next_due(connection: Connection) -> datetime | None:
    """Give when the next target is to be told, on the life clock; None where none is."""
    run = cursor(connection)
    run.execute("select min(not_before) from receipt where state in ('due', 'told')")
    row = run.fetchone()
    return row[0] if row else None


def next_lease(connection: Connection) -> datetime | None:
    """Give when the first running lease ends, on the wall clock; None where nothing is claimed."""
    run = cursor(connection)
    run.execute("select min(lease_until) from receipt where state = 'claimed'")
    row = run.fetchone()
    return row[0] if row else None


# --- erasures --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure; `subscription` is its id at billing, and None once it is over."""

    id: str
    subscription: str | None
    subscription_id: int
    round: int
    version: int
    cause: str
    manifest: int | None
    begun_at: datetime
    requested_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None


_ERASURE = """
    select e.id, case when e.ended_at is null then s.external_id end as subscription,
           e.subscription_id, e.round, c.version, e.cause, e.manifest, e.begun_at, e.requested_at,
           e.answered_at, e.ended_at
    from erasure e
    join reconfirmation c on c.subscription_id = e.subscription_id and c.number = e.round
    left join subscription s on s.id = e.subscription_id
    where e.product_id = %s"""


def erasure(connection: Connection, product_id: int, name: str) -> Erasure | None:
    """Give one erasure of a product; None where there is none."""
    run = cursor(connection)
    run.row_factory = class_row(Erasure)
    run.execute(f"{_ERASURE} and e.id = %s", (product_id, name))
    return run.fetchone()


def erasures(
    connection: Connection, product_id: int, state: str | None, before: str, limit: int
) -> list[Erasure]:
    """Give erasures of a product behind one of them, the newest first; `open`, `ended` or all."""
    run = cursor(connection)
    run.row_factory = class_row(Erasure)
    run.execute(
        f"""{_ERASURE}
            and (%s::text is null or (e.ended_at is null) = (%s = 'open'))
            and (%s = '' or (e.begun_at, e.id) < (
              select b.begun_at, b.id from erasure b where b.id = %s and b.product_id = %s))
            order by e.begun_at desc, e.id desc limit %s""",  # noqa: S608 - our own text
        (product_id, state, state, before, before, product_id, limit),
    )
    return run.fetchall()

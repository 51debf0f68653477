"""The refund ledger: charges that should not have been, one entry each, and what became of them.

An entry is `proposed` by the comparison with billing, `approved` or `declined` by a person, and
then `made`, or `failed` where a person must look. It names a charge and internal ids, and no
person. Moments are on the life clock, but for leases, which are on the wall clock. Amounts are in
the minor unit of their currency.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from app.store.database import cursor

PROPOSED = "proposed"
APPROVED = "approved"
MADE = "made"
DECLINED = "declined"
FAILED = "failed"
STATES = (PROPOSED, APPROVED, MADE, DECLINED, FAILED)


# --- evidence --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One line of history that says whether somebody may be charged.

    `paid_until` is how long what was paid lasts, as billing said in its round; None: it did not.
    """

    id: int
    at: datetime
    number: int
    what: str
    why: str
    paid_until: datetime | None = None


def lines(
    connection: Connection, ids: Sequence[int], whats: Sequence[str]
) -> dict[int, list[Line]]:
    """Give the lines of history of these kinds, by subscription, in order."""
    run = cursor(connection)
    run.execute(
        """select h.subscription_id, h.id, h.at, h.round, h.what, h.why, r.paid_until
           from history h
           left join reconfirmation r
             on r.subscription_id = h.subscription_id and r.number = h.round
           where h.subscription_id = any(%s) and h.what = any(%s) and h.round is not null
           order by h.subscription_id, h.id""",
        (list(ids), list(whats)),
    )
    found: dict[int, list[Line]] = {}
    for row in run.fetchall():
        found.setdefault(row[0], []).append(Line(*row[1:]))
    return found


@dataclass(frozen=True, slots=True)
class Person:
    """What has to be known of who was charged: their subscription as billing now tells it."""

    id: int
    currency: str
    started_on: date


def people(connection: Connection, product_id: int, names: Sequence[str]) -> dict[str, Person]:
    """Give who was charged, by the ids that billing gave them."""
    run = cursor(connection)
    run.execute(
        """select external_id, id, currency, started_on from subscription
           where product_id = %s and external_id = any(%s)""",
        (product_id, list(names)),
    )
    return {row[0]: Person(*row[1:]) for row in run.fetchall()}


# --- entries ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proposal:
    """A charge that should not have been; `error` where its amount or currency cannot be."""

    subscription_id: int
    number: int
    charge: str
    charged_at: datetime
    amount: int
    refunded: int
    currency: str
    evidence: Mapping[str, Any]
    error: str | None = None


def propose(
    connection: Connection, product_id: int, found: Sequence[Proposal], now: datetime
) -> list[Proposal]:
    """Open an entry for each charge that has none; give those that were opened.

    Of the others it is noted what billing has given back meanwhile.
    """
    opened = []
    for each in sorted(found, key=lambda one: one.charge):
        run = cursor(connection)
        run.execute(
            """insert into refund as f (product_id, subscription_id, round, charge, charged_at,
                 amount, refunded, currency, evidence, state, absurd, error, found_at, not_before)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
               on conflict (product_id, charge) do update
                 set refunded = greatest(f.refunded, least(excluded.refunded, f.amount))
               returning f.xmax = 0""",
            (
                product_id,
                each.subscription_id,
                each.number,
                each.charge,
                each.charged_at,
                each.amount,
                each.refunded,
                each.currency,
                Jsonb(each.evidence),
                FAILED if each.error else PROPOSED,
                each.error is not None,
                each.error,
                now,
                now,
            ),
        )
        row = run.fetchone()
        if row and row[0]:
            opened.append(each)
    return opened


def known(connection: Connection, product_id: int, charges: Sequence[str]) -> set[str]:
    """Give those of the charges that have an entry."""
    run = cursor(connection)
    run.execute(
        "select charge from refund where product_id = %s and charge = any(%s)",
        (product_id, list(charges)),
    )
    return {row[0] for row in run.fetchall()}


def declined_rounds(
    connection: Connection, product_id: int, ids: Sequence[int]
) -> set[tuple[int, int]]:
    """Give (subscription, round) where a person found that a charge was not wrong."""
    run = cursor(connection)
    run.execute(
        """select distinct subscription_id, round from refund
           where product_id = %s and subscription_id = any(%s) and state = 'declined'
             and why = 'not_wrong'""",
        (product_id, list(ids)),
    )
    return {(row[0], row[1]) for row in run.fetchall()}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it stands."""

    id: int
    subscription: str
    subscription_id: int
    round: int
    charge: str
    charged_at: datetime
    amount: int
    refunded: int
    asked: int | None
    refunded_before: int | None
    currency: str
    evidence: Mapping[str, Any]
    state: str
    absurd: bool
    found_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    why: str | None
    first_tried_at: datetime | None
    fence: int
    tries: int
    unknown: int
    in_hand: bool
    error: str | None
    made_at: datetime | None

    @property
    def owed(self) -> int:
        """What is still to be given back, as far as we know."""
        return 0 if self.absurd else max(0, self.amount - self.refunded)


_COLUMNS = """f.id, s.external_id as subscription, f.subscription_id, f.round, f.charge,
    f.charged_at, f.amount, f.refunded, f.asked, f.refunded_before, f.currency, f.evidence, f.state,
    f.absurd, f.found_at, f.decided_by, f.decided_at, f.why, f.first_tried_at, f.fence, f.tries,
    f.unknown, f.lease_until is not null as in_hand, f.error, f.made_at"""
_FROM = "refund f join subscription s on s.id = f.subscription_id"


def listed(
    connection: Connection, product_id: int, states: Sequence[str], limit: int
) -> list[Entry]:
    """Give the newest entries of a product in some states, newest first."""
    run = cursor(connection)
    run.row_factory = class_row(Entry)
    run.execute(
        f"""select {_COLUMNS} from {_FROM} where f.product_id = %s and f.state = any(%s)
            order by f.id desc limit %s""",  # noqa: S608 - our own names
        (product_id, list(states), limit),
    )
    found: list[Entry] = run.fetchall()
    return found


def numbers(
    connection: Connection, product_id: int, charges: Sequence[str]
) -> list[tuple[int, int]]:
    """Give (number, subscription) of the entries for charges, in order."""
    run = cursor(connection)
    run.execute(
        """select id, subscription_id from refund
           where product_id = %s and charge = any(%s) order by id""",
        (product_id, list(charges)),
    )
    return [(row[0], row[1]) for row in run.fetchall()]


def entry(
    connection: Connection, product_id: int, number: int, *, lock: bool = False
) -> Entry | None:
    """Give one entry of a product; None where there is none."""
    run = cursor(connection)
    run.row_factory = class_row(Entry)
    run.execute(
        f"""select {_COLUMNS} from {_FROM} where f.product_id = %s and f.id = %s
            {"for update of f" if lock else ""}""",  # noqa: S608 - our own names
        (product_id, number),
    )
    found: Entry | None = run.fetchone()
    return found


def decide(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection, number: int, state: str, actor: str, why: str, now: datetime
) -> None:
    """Write what a person decided about an entry that is held."""
    cursor(connection).execute(
        """update refund set state = %s, decided_by = %s, decided_at = %s, why = %s,
             not_before = %s, error = null, lease_until = null where id = %s""",
        (state, actor, now, why, now, number),
    )


def month(
    connection: Connection, product_id: int, start: datetime, end: datetime
) -> list[tuple[str, str, int, int]]:
    """Give (currency, state, how many, minor units) of the entries for charges of a time.

    What was made counts with what was given back, the others with what is owed.
    """
    run = cursor(connection)
    run.execute(
        """select currency, state, count(*),
             coalesce(sum(case when absurd then 0 when state = 'made' then coalesce(asked, 0)
                               else greatest(amount - refunded, 0) end), 0)::bigint
           from refund where product_id = %s and charged_at >= %s and charged_at < %s
           group by currency, state order by currency, state""",
        (product_id, start, end),
    )
    return [(row[0], row[1], row[2], row[3]) for row in run.fetchall()]


def open_entries(connection: Connection) -> tuple[int, int]:
    """Count the entries that wait for a decision, and those that failed; of all products."""
    run = cursor(connection)
    run.execute(
        """select count(*) filter (where state = 'proposed'),
             count(*) filter (where state = 'failed')
           from refund where state in ('proposed', 'failed')"""
    )
    row = run.fetchone()
    return (row[0], row[1]) if row else (0, 0)


# --- making ----------------------------------------------------------------------------------


def claim(
    connection: Connection,
    product_id: int,
    now: datetime,
    wall: datetime,
    lease_until: datetime,
) -> Entry | None:
    """Take the first entry that is approved and due, under a new fence; None where none is.

    One whose claimer let the lease run out has one more try of unknown outcome.
    """
    run = cursor(connection)
    run.execute(
        """update refund set fence = fence + 1, tries = tries + 1, lease_until = %s,
             unknown = unknown + (lease_until is not null and asked is not null)::int
           where id = (select id from refund
             where product_id = %s and state = 'approved' and not_before <= %s
               and (lease_until is null or lease_until < %s)
             order by not_before, id limit 1 for update skip locked)
           returning id""",
        (lease_until, product_id, now, wall),
    )
    row = run.fetchone()
    return entry(connection, product_id, row[0]) if row else None


def begin(connection: Connection, found: Entry, asked: int, before: int, now: datetime) -> bool:
    """Write down what billing is about to be asked for; False where another has the entry."""
    run = cursor(connection)
    run.execute(
        """update refund set asked = %s,
             refunded_before = case when unknown = 0 then %s else refunded_before end,
             refunded = greatest(refunded, %s), first_tried_at = coalesce(first_tried_at, %s)
           where id = %s and fence = %s and state = 'approved' and lease_until is not null""",
        (asked, before, before, now, found.id, found.fence),
    )
    return bool(run.rowcount)


def settle(  # noqa: PLR0913 - a row
    connection: Connection,
    found: Entry,
    state: str,
    *,
    not_before: datetime,
    error: str | None = None,
    unknown: int = 0,
    made_at: datetime | None = None,
) -> bool:
    """Write what became of a try; False where another has taken the entry since."""
    run = cursor(connection)
    run.execute(
        """update refund set state = %s, lease_until = null, not_before = %s, error = %s,
             unknown = unknown + %s, made_at = %s,
             refunded = case when %s::timestamptz is null then refunded
               else greatest(refunded, least(amount, refunded_before + asked)) end
           where id = %s and fence = %s and state = 'approved' and lease_until is not null""",
        (state, not_before, error, unknown, made_at, made_at, found.id, found.fence),
    )
    return bool(run.rowcount)

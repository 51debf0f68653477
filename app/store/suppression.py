"""Addresses of a product that are not written to: each a keyed hash with its reason and date.

No address is kept. Who has one finds its row by the marks that `Links.address_marks` gives, one
for each secret key; the newest is the one that is written.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from app.store.database import cursor


class Reason(StrEnum):
    """Why an address is not written to."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"
    BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: the mark of an address, why and since when it is not written to, and by whom."""

    mark: bytes
    reason: Reason
    actor: str
    added_at: datetime


def add(
    connection: Connection,
    product_id: int,
    marks: Mapping[bytes, Reason],
    actor: str,
    now: datetime,
) -> int:
    """Keep marks with their reasons; give how many are new or have a weightier reason now.

    A bounce is the lightest reason, since a bounce may be lifted by the mailbox being used.
    """
    if not marks:
        return 0
    ordered = sorted(marks.items())
    run = cursor(connection)
    run.execute(
        """insert into suppression as s (product_id, mark, reason, actor, added_at)
           select %s, v.mark, v.reason, %s, %s
           from unnest(%s::bytea[], %s::text[]) as v(mark, reason)
           on conflict (product_id, mark) do update
           set reason = excluded.reason, actor = excluded.actor, added_at = excluded.added_at
           where s.reason = 'bounced' and excluded.reason <> 'bounced'""",
        (product_id, actor, now, [m for m, _ in ordered], [str(why) for _, why in ordered]),
    )
    return run.rowcount


def found(connection: Connection, product_id: int, marks: Sequence[bytes]) -> dict[bytes, Reason]:
    """Give the reasons of those marks that are kept."""
    run = cursor(connection)
    run.execute(
        "select mark, reason from suppression where product_id = %s and mark = any(%s)",
        (product_id, list(marks)),
    )
    return {bytes(row[0]): Reason(row[1]) for row in run.fetchall()}


def has_any(connection: Connection, product_id: int) -> bool:
    """Say whether a product keeps any mark at all: most have none for a long time."""
    run = cursor(connection)
    run.execute("select exists (select from suppression where product_id = %s)", (product_id,))
    row = run.fetchone()
    return bool(row and row[0])


def remove(
    connection: Connection,
    product_id: int,
    marks: Sequence[bytes],
    reasons: Collection[Reason] = tuple(Reason),
) -> int:
    """Forget marks that are kept for one of the reasons; give how many there were."""
    run = cursor(connection)
    run.execute(
        "delete from suppression where product_id = %s and mark = any(%s) and reason = any(%s)",
        (product_id, list(marks), [str(each) for each in reasons]),
    )
    return run.rowcount


def entries(connection: Connection, product_id: int, limit: int) -> list[Entry]:
    """Give the newest rows of a product, newest first."""
    run = cursor(connection)
    run.execute(
        """select mark, reason, actor, added_at from suppression
           where product_id = %s order by added_at desc, mark limit %s""",
        (product_id, limit),
    )
    return [Entry(bytes(row[0]), Reason(row[1]), row[2], row[3]) for row in run.fetchall()]


def unreached_at(connection: Connection, product_id: int, address: str) -> list[int]:
    """Give the subscriptions whose contact has this address and is not reached any more.

    No index has addresses: this reads through the contacts, and is for an operator's command.
    """
    run = cursor(connection)
    run.execute(
        """select c.subscription_id from contact c
           join subscription s on s.id = c.subscription_id
           where c.reach in ('bounced', 'complained') and lower(c.email) = lower(%s)
             and s.product_id = %s order by 1""",
        (address, product_id),
    )
    return [row[0] for row in run.fetchall()]

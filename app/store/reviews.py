"""The queue of cases that somebody wants a person to look at, and of who wants to be erased.

An entry is `open` until a person says what they found (`done`), or `withdrawn` where a robot asked
for it, or who wanted to be erased does not any more. Only such an entry (`erase`) has a day by
which it must be done: it is carried out by itself (`erased`), or refused by a person. It holds
internal ids and codes only. Moments are on the life clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from psycopg.rows import class_row
from sqlalchemy import Connection

from app.lifecycle.case import Concern, Erasure, Finding
from app.store.database import cursor

OPEN = "open"
DONE = "done"
WITHDRAWN = "withdrawn"
STATES = (OPEN, DONE, WITHDRAWN)
ERASE = "erase"
"""The reason of an entry that asks for erasure; the others are concerns."""
ERASED = "erased"
"""What comes of such an entry once the data has been erased; no person says so."""
RIGHTS = (Concern.OBJECTION, Concern.RESTRICTION)
"""Concerns that are rights: they weigh more than the others."""


@dataclass(frozen=True, slots=True)
class Review:
    """One entry as it stands; `subscription` is the id under which billing knows it."""

    id: int
    subscription: str
    subscription_id: int
    round: int
    asked_at: datetime
    reason: str
    state: str
    done_at: datetime | None
    done_by: str | None
    outcome: str | None
    due_on: date | None


_COLUMNS = """v.id, s.external_id as subscription, v.subscription_id, v.round, v.asked_at, v.reason,
    v.state, v.done_at, v.done_by, v.outcome, v.due_on"""
_FROM = "review v join subscription s on s.id = v.subscription_id"


def put(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    product_id: int,
    subscription_id: int,
    number: int,
    reason: Concern,
    now: datetime,
) -> None:
    """Put a case in the queue; the caller holds its round, which says that it is not in it yet."""
    cursor(connection).execute(
        """insert into review (product_id, subscription_id, round, asked_at, reason, state)
           values (%s, %s, %s, %s, %s, 'open')""",
        (product_id, subscription_id, number, now, str(reason)),
    )


def weigh_more(connection: Connection, subscription_id: int, reason: Concern) -> bool:
    """Give an open entry of a lesser concern this one, which is a right; False where none is."""
    run = cursor(connection)
    run.execute(
        """update review set reason = %s
           where subscription_id = %s and state = 'open' and reason <> 'erase'
             and reason <> all(%s)""",
        (str(reason), subscription_id, [str(each) for each in RIGHTS]),
    )
    return run.rowcount == 1


def put_erasure(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    product_id: int,
    subscription_id: int,
    number: int,
    now: datetime,
    due_on: date,
) -> None:
    """Put a request to erase in the queue, to be done by a day; as `put` otherwise."""
    cursor(connection).execute(
        """insert into review (product_id, subscription_id, round, asked_at, reason, state, due_on)
           values (%s, %s, %s, %s, 'erase', 'open', %s)""",
        (product_id, subscription_id, number, now, due_on),
    )


def withdraw(
    connection: Connection, ids: Sequence[int], now: datetime, *, erasures: bool = False
) -> None:
    """Take the open entries of subscriptions back: their requests to erase, or the others."""
    if ids:
        cursor(connection).execute(
            """update review set state = 'withdrawn', done_at = %s
               where subscription_id = any(%s) and state = 'open' and (reason = 'erase') = %s""",
            (now, sorted(ids), erasures),
        )


def finish(
    connection: Connection, number: int, outcome: Finding | Erasure, actor: str, now: datetime
) -> bool:
    """Write what a person found; False where the entry is not open any more."""
    run = cursor(connection)
    run.execute(
        """update review set state = 'done', done_at = %s, done_by = %s, outcome = %s
           where id = %s and state = 'open'""",
        (now, actor, str(outcome), number),
    )
    return run.rowcount == 1


def entry(connection: Connection, product_id: int, number: int) -> Review | None:
    """Give one entry of a product; None where there is none."""
    run = cursor(connection)
    run.row_factory = class_row(Review)
    run.execute(
        f"select {_COLUMNS} from {_FROM} where v.product_id = %s and v.id = %s",  # noqa: S608
        (product_id, number),
    )
    found: Review | None = run.fetchone()
    return found


def open_of(connection: Connection, product_id: int, subscription_id: int) -> Review | None:
    """Give the open entry of a subscription, a request to erase last; None where there is none."""
    run = cursor(connection)
    run.row_factory = class_row(Review)
    run.execute(
        f"""select {_COLUMNS} from {_FROM}
            where v.product_id = %s and v.subscription_id = %s and v.state = 'open'
            order by v.reason = 'erase'""",  # noqa: S608
        (product_id, subscription_id),
    )
    found: Review | None = run.fetchone()
    return found


def listed(
    connection: Connection, product_id: int, states: Sequence[str], after: int, limit: int
) -> list[Review]:
    """Give the entries of a product in some states behind one of them (0: from the first).

    Requests to erase come first, by the day they are due; then the others, oldest first.
    """
    run = cursor(connection)
    run.row_factory = class_row(Review)
    run.execute(
        f"""select {_COLUMNS} from {_FROM}
            where v.product_id = %s and v.state = any(%s)
              and (%s = 0 or ({_place("v")}) > (
                select {_place("a")} from review a where a.id = %s and a.product_id = %s))
            order by {_place("v")} limit %s""",  # noqa: S608 - our own names
        (product_id, list(states), after, after, product_id, limit),
    )
    found: list[Review] = run.fetchall()
    return found


def _place(row: str) -> str:
    """Give what entries are sorted by."""
    return f"coalesce({row}.due_on, 'infinity'), {row}.id"


def waiting(connection: Connection) -> tuple[int, datetime | None]:
    """Count the open entries of all products but requests to erase; when the oldest was made."""
    run = cursor(connection)
    run.execute(
        "select count(*), min(asked_at) from review where state = 'open' and reason <> 'erase'"
    )
    row = run.fetchone()
    return (row[0], row[1]) if row else (0, None)


def erasures(connection: Connection) -> tuple[int, date | None]:
    """Count the open requests to erase of all products, and give the day the first is due."""
    run = cursor(connection)
    run.execute(
        "select count(*), min(due_on) from review where state = 'open' and reason = 'erase'"
    )
    row = run.fetchone()
    return (row[0], row[1]) if row else (0, None)

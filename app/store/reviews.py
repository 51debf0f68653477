"""The queue of cases that somebody wants a person to look at.

An entry is `open` until a person says what they found (`done`), or `withdrawn` where a robot asked
for it. It holds internal ids and codes only. Moments are on the life clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row
from sqlalchemy import Connection

from app.lifecycle.case import Concern, Finding
from app.store.database import cursor

OPEN = "open"
DONE = "done"
WITHDRAWN = "withdrawn"
STATES = (OPEN, DONE, WITHDRAWN)


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


_COLUMNS = """v.id, s.external_id as subscription, v.subscription_id, v.round, v.asked_at, v.reason,
    v.state, v.done_at, v.done_by, v.outcome"""
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


def withdraw(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Take the open entries of subscriptions back: a robot asked for them."""
    if ids:
        cursor(connection).execute(
            """update review set state = 'withdrawn', done_at = %s
               where subscription_id = any(%s) and state = 'open'""",
            (now, sorted(ids)),
        )


def finish(
    connection: Connection, number: int, outcome: Finding, actor: str, now: datetime
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
    """Give the open entry of a subscription; None where nobody is to look at it."""
    run = cursor(connection)
    run.row_factory = class_row(Review)
    run.execute(
        f"""select {_COLUMNS} from {_FROM}
            where v.product_id = %s and v.subscription_id = %s and v.state = 'open'""",  # noqa: S608
        (product_id, subscription_id),
    )
    found: Review | None = run.fetchone()
    return found


def listed(
    connection: Connection, product_id: int, states: Sequence[str], after: int, limit: int
) -> list[Review]:
    """Give the entries of a product in some states behind one of them, oldest first."""
    run = cursor(connection)
    run.row_factory = class_row(Review)
    run.execute(
        f"""select {_COLUMNS} from {_FROM}
            where v.product_id = %s and v.state = any(%s) and v.id > %s
            order by v.id limit %s""",  # noqa: S608 - our own names
        (product_id, list(states), after, limit),
    )
    found: list[Review] = run.fetchall()
    return found


def waiting(connection: Connection) -> tuple[int, datetime | None]:
    """Count the open entries of all products, and give when the oldest was asked for."""
    run = cursor(connection)
    run.execute("select count(*), min(asked_at) from review where state = 'open'")
    row = run.fetchone()
    return (row[0], row[1]) if row else (0, None)

"""What waits for a person to do something about it, a page at a time, along an index."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row
from sqlalchemy import Connection

from app.store.database import cursor

A_PAGE = 50
MOST_UNKNOWN = 2
"""Of a notice there are at most two copies: whose outcome is unknown twice is not sent again."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Somebody whose ask did not reach them; `reach` says what is wrong now."""

    id: int
    external_id: str
    plan: str
    reach: str | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Parked:
    """An effect that was put before a person; `unknown` counts tries whose outcome is unknown."""

    id: int
    subscription_id: int
    external_id: str
    kind: str
    tries: int
    unknown: int
    error: str | None

    @property
    def may_be_retried(self) -> bool:
        """Whether another try can neither send a third copy nor do an act twice."""
        return not self.kind.startswith("notice.") or self.unknown < MOST_UNKNOWN


def unreachable(connection: Connection, product_id: int, after: int) -> list[Unreachable]:
    """Give who could not be reached and has not been erased, behind an id, in the order of ids."""
    run = cursor(connection)
    run.row_factory = class_row(Unreachable)
    run.execute(
        """select s.id, s.external_id, s.plan, c.reach, r.closed_at
           from reconfirmation r join subscription s on s.id = r.subscription_id
           join contact c on c.subscription_id = s.id
           where r.product_id = %s and r.latest and r.outcome = 'unreachable'
             and r.subscription_id > %s
           order by r.subscription_id limit %s""",
        (product_id, after, A_PAGE + 1),
    )
    found: list[Unreachable] = run.fetchall()
    return found


_PARKED = """select o.id, o.subscription_id, s.external_id, o.kind, o.tries, o.unknown, o.error
    from outbox o join subscription s on s.id = o.subscription_id
    where o.product_id = %s and o.state = 'parked'"""


def parked(connection: Connection, product_id: int, after: int) -> list[Parked]:
    """Give the effects of a product that were put before a person, behind an id."""
    run = cursor(connection)
    run.row_factory = class_row(Parked)
    run.execute(f"{_PARKED} and o.id > %s order by o.id limit %s", (product_id, after, A_PAGE + 1))
    found: list[Parked] = run.fetchall()
    return found


def retry(connection: Connection, product_id: int, number: int, now: datetime) -> Parked | None:
    """Let a parked effect be tried again from now on; None where it may not, or is not parked."""
    run = cursor(connection)
    run.row_factory = class_row(Parked)
    run.execute(f"{_PARKED} and o.id = %s for update of o", (product_id, number))
    found: Parked | None = run.fetchone()
    if found is None or not found.may_be_retried:
        return None
    cursor(connection).execute(
        "update outbox set state = 'pending', not_before = %s where id = %s",
        (now, number),
    )
    return found


def at_address(connection: Connection, product_id: int, address: str) -> list[tuple[int, str]]:
    """Give (id, external id) of up to a page of subscriptions with exactly this address."""
    run = cursor(connection)
    run.execute(
        """select s.id, s.external_id from contact c join subscription s on s.id = c.subscription_id
           where lower(c.email) = lower(%s) and s.product_id = %s order by s.id limit %s""",
        (address, product_id, A_PAGE),
    )
    return [(row[0], row[1]) for row in run.fetchall()]


def message_of(connection: Connection, product_id: int, number: int) -> bool:
    """Say whether a message of the inbox is of this product."""
    run = cursor(connection)
    run.execute("select 1 from inbox where id = %s and product_id = %s", (number, product_id))
    return run.fetchone() is not None

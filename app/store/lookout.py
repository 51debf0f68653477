"""What the demo's window asks for: a few people each thing happened to, and an open question."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from app.store.database import cursor


@dataclass(frozen=True, slots=True)
class Glimpse:
    """One subscriber in a list."""

    external_id: str
    plan: str
    country: str
    amount: int
    currency: str
    interval: str
    last_used_on: date | None
    stage: str


_OUTCOMES = ("kept", "returned", "unreachable", "withdrawn", "resumed")


def people(connection: Connection, product_id: int, what: str, limit: int) -> list[Glimpse]:
    """Give some subscribers to whom something happened, the latest first."""
    run = cursor(connection)
    test, value = _test(what)
    run.execute(
        f"""select s.external_id, s.plan, s.country, s.amount, s.currency, s."interval",
              s.last_used_on, coalesce(r.outcome, r.stage)
            from reconfirmation r join subscription s on s.id = r.subscription_id
            where r.product_id = %s and {test}
            order by coalesce(r.closed_at, r.decided_at, r.asked_at, r.opened_at) desc, s.id
            limit %s""",  # noqa: S608 - one of three tests of our own
        (product_id, value, limit),
    )
    return [Glimpse(*row) for row in run.fetchall()]


def _test(what: str) -> tuple[str, str]:
    if what in _OUTCOMES:
        return "r.outcome = %s", what
    if what == "asked":
        return "r.asked_at is not null and r.stage <> %s", ""
    return "r.outcome is null and r.stage = %s", "asked" if what == "still_waiting" else what


def waiting(connection: Connection, product_id: int) -> tuple[int, int] | None:
    """Give (subscription, round) of somebody who has been asked and has not answered yet."""
    run = cursor(connection)
    run.execute(
        """select subscription_id, number from reconfirmation
           where product_id = %s and stage = 'asked' and outcome is null
             and answer_by is not null and word is null and act is null
           order by answer_by desc, subscription_id limit 1""",
        (product_id,),
    )
    row = run.fetchone()
    return (row[0], row[1]) if row else None

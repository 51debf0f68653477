"""What a product team looks at: how long ago people last used it, what came of asking, the pace.

`curve` is read from the counts that are kept for the forecast, exact at every moment. What the
steps are worth is in `app.store.funnel`, which goes over the history. A day is a UTC day.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection

from app.lifecycle.case import Kind
from app.store import counts, pulse
from app.store.database import cursor

STEPS = {
    "due": "asked",
    "asked": pulse.HANDED_OVER,
    "reminded": f"{Kind.REMINDER}_handed_over",
    "kept": "kept",
    "returned": "returned",
    "canceled": "canceled",
    "suspended": "suspended",
    "resumed": "resumed",
    "unreachable": "unreachable",
    "erasing": "erasing",
    "erased": "erased",
}
"""The steps of the funnel, and the line of history that each is counted by."""
PATIENCE = "40ms"
"""So long a page waits to tell what the steps of the funnel are worth; it has people without it."""
MOST_LINES = 10_000
"""Where more than so many lines of history are to be looked at, that is not even tried."""


@dataclass(frozen=True, slots=True)
class Point:
    """How many paying subscribers last used it on a day; not `used`: started then, never used.

    Whoever used it before they started has not used this subscription.
    """

    day: date
    used: bool
    many: int


@dataclass(frozen=True, slots=True)
class Ramp:
    """How far the ramp of the policy in force has come: `opened` counts the present step only."""

    backlog: int
    step: int
    opened: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What is set up and what waits, counted up to a hundred where many may wait."""

    has_people: bool
    proposed: bool
    relay_tested: bool
    dry_run_read: bool
    parked: int
    reviews: int
    unreachable: int
    failed: int


def curve(connection: Connection, product_id: int) -> list[Point]:
    """Count who pays by the day that inactivity counts from, the earliest first.

    These are all who are active or past due with an amount above zero. One statement, and so one
    moment: what is folded and what waits to be folded are never counted twice.
    """
    run = cursor(connection)
    run.execute(
        """select since, used, sum(people)::bigint from (
             select d.since, d.used, d.people from count_part p join count_day d on d.part_id = p.id
             where p.product_id = %(product)s and p.plan = %(all)s
             union all
             select since, used, people from count_delta where product_id = %(product)s) counted
           group by 1, 2 having sum(people) <> 0 order by 1, 2""",
        {"product": product_id, "all": counts.ALL},
    )
    return [Point(*row) for row in run.fetchall()]


def steps(connection: Connection, product_id: int, first: date, last: date) -> dict[str, int]:
    """Count how often each step of the funnel was come to on these days, both ends included."""
    sums = pulse.sums(connection, product_id, first, last)
    return {step: sums[what] for step, what in STEPS.items()}


def ramp(connection: Connection, product_id: int, version: int) -> Ramp | None:
    """Give the state of a version's ramp without waiting for anybody; None before it began."""
    run = cursor(connection)
    run.execute(
        "select backlog, step, opened from ramp where product_id = %s and version = %s",
        (product_id, version),
    )
    row = run.fetchone()
    return Ramp(*row) if row else None


_WAITING = {
    "parked": "from outbox where product_id = p.id and state = 'parked'",
    "reviews": "from review where product_id = p.id and state = 'open'",
    "unreachable": """from reconfirmation
        where product_id = p.id and latest and outcome = 'unreachable'""",
    "failed": "from inbox where product_id = p.id and state in ('unreadable', 'failed')",
}
MANY = 100


def standing(connection: Connection, product_id: int) -> Standing:
    """Give what is set up and what waits for a person, in one statement.

    Whether there is anybody is asked in the order of an index: of a product without people a look
    in any order would go over those of all others.
    """
    counts = ", ".join(
        f"(select count(*) from (select 1 {rest} limit {MANY}) x)"  # noqa: S608 - our own words
        for rest in _WAITING.values()
    )
    run = cursor(connection)
    run.execute(
        f"""select exists (select 1 from (select 1 from subscription where product_id = p.id
                order by product_id, external_id limit 1) x),
              exists (select 1 from policy where product_id = p.id),
              exists (select 1 from history where subscription_id is null and product_id = p.id
                        and what = 'relay_tested')
                or exists (select 1 from pulse where product_id = p.id and what = %s),
              exists (select 1 from history where subscription_id is null and product_id = p.id
                        and what = 'dry_run_read'),
              {counts}
            from product p where p.id = %s""",  # noqa: S608 - our own words
        (pulse.HANDED_OVER, product_id),
    )
    row: tuple[Any, ...] = run.fetchone() or (False, False, False, False, 0, 0, 0, 0)
    return Standing(*row)

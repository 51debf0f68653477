"""How many came to each step between two days, and what they pay: in all, or told apart.

Whoever came to a step twice in that time counts once. Who was erased still counts, by plan,
country, interval and price, and without a language. A day is a UTC day; amounts count minor units.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app.store.database import cursor
from app.store.overview import STEPS

BY = {
    "plan": "s.plan",
    "country": "s.country",
    "interval": 's."interval"',
    "locale": "coalesce(c.locale, '')",
}
"""What a funnel may be told apart by, and where that stands."""
PATIENCE = "20s"
ALL = "null::text"


@dataclass(frozen=True, slots=True)
class Came:
    """How many of a group, of one currency, came to a step, and what they pay a month.

    `group` is None where all are counted together.
    """

    step: str
    group: str | None
    currency: str
    people: int
    monthly: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step: how many came to it, and what they pay a month, as (currency, amount)."""

    step: str
    group: str | None
    people: int
    monthly: tuple[tuple[str, int], ...]


def came(  # noqa: PLR0913, PLR0917 - what is counted
    connection: Connection,
    product_id: int,
    first: datetime,
    end: datetime,
    by: str | None,
    patience: str = PATIENCE,
) -> list[Came]:
    """Count who came to each step from `first` until before `end`, in the order of the steps.

    psycopg's QueryCanceled where it takes too long.
    """
    contact = "left join contact c on c.subscription_id = s.id" if by == "locale" else ""
    run = cursor(connection)
    run.execute(f"set local statement_timeout = '{patience}'")
    run.execute(
        f"""select h.what, {BY[by] if by else ALL} as part, s.currency, count(*),
              sum(s.amount * case s."interval" when 'year' then 1.0 / 12 when 'week' then 52.0 / 12
                when 'day' then 365.0 / 12 else 1 end)::bigint
            from (select distinct subscription_id, what from history
                  where product_id = %s and subscription_id is not null
                    and at >= %s and at < %s and what = any(%s)) h
            join subscription s on s.id = h.subscription_id {contact}
            group by 1, 2, 3 order by 2, 3""",  # noqa: S608 - our own words
        (product_id, first, end, list(STEPS.values())),
    )
    named = {what: step for step, what in STEPS.items()}
    found = [Came(named[row[0]], *row[1:]) for row in run.fetchall()]
    order = list(STEPS)
    return sorted(found, key=lambda each: order.index(each.step))


def steps(found: Iterable[Came], by: str | None) -> list[Step]:
    """Put the currencies of each step, and group, together; in all, every step stands there."""
    told: dict[tuple[str, str | None], list[Came]] = {}
    if by is None:
        told = {(step, None): [] for step in STEPS}
    for each in found:
        told.setdefault((each.step, each.group), []).append(each)
    return [
        Step(
            step,
            group,
            sum(one.people for one in several),
            tuple((one.currency, one.monthly) for one in several),
        )
        for (step, group), several in told.items()
    ]

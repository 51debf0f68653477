"""The mirror of billing and the last day of use: what the outside tells about people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from app.lifecycle.case import Reach
from app.rows import Facts
from app.store.database import cursor


@dataclass(frozen=True, slots=True)
class Known:
    """What the mirror holds of one subscription: enough to judge what is told next."""

    id: int
    status: str
    told: bytes
    told_at: datetime | None
    started_on: date


_SUBSCRIPTION = (
    ("external_id", "text"),
    ("customer", "text"),
    ("status", "text"),
    ("plan", "text"),
    ("country", "text"),
    ("interval", "text"),
    ("amount", "bigint"),
    ("currency", "text"),
    ("started_on", "date"),
    ("renews_at", "timestamptz"),
    ("told", "bytea"),
    ("told_at", "timestamptz"),
)
_NAMES = ", ".join(f'"{name}"' for name, _ in _SUBSCRIPTION)
_ARRAYS = ", ".join(f"%s::{kind}[]" for _, kind in _SUBSCRIPTION)


def known(connection: Connection, product_id: int, external_ids: Sequence[str]) -> dict[str, Known]:
    """Lock the subscriptions there are, and give what was told of each."""
    run = cursor(connection)
    run.execute(
        """select external_id, id, status, told, told_at, started_on from subscription
           where product_id = %s and external_id = any(%s) order by id for update""",
        (product_id, list(external_ids)),
    )
    return {row[0]: Known(*row[1:]) for row in run.fetchall()}


def insert(connection: Connection, product_id: int, facts: Sequence[Facts]) -> dict[str, int]:
    """Insert new subscriptions and their contacts; give their ids by external id."""
    run = cursor(connection)
    ordered = sorted(facts, key=lambda each: each.external_id)
    run.execute(
        _INSERT,
        (
            *_columns(ordered),
            [each.email for each in ordered],
            [each.locale for each in ordered],
            [each.timezone for each in ordered],
            [str(reach_of(each.email)) for each in ordered],
            product_id,
        ),
    )
    return {row[0]: row[1] for row in run.fetchall()}


_INSERT = f"""
    with v as (
        select * from unnest({_ARRAYS}, %s::text[], %s::text[], %s::text[], %s::text[])
          as v({_NAMES}, email, locale, timezone, reach)),
    added as (
        insert into subscription (product_id, {_NAMES}) select %s, {_NAMES} from v
        returning external_id, id),
    reached as (
        insert into contact (subscription_id, email, locale, timezone, reach)
        select added.id, v.email, v.locale, v.timezone, v.reach
        from v join added using (external_id))
    select external_id, id from added"""  # noqa: S608 - our own names


def update(
    connection: Connection, product_id: int, facts: Sequence[tuple[int, Facts]]
) -> dict[int, Reach]:
    """Write what billing now says over the mirror, addresses, languages and zones too.

    Gives how those whose address is another one are reached now.
    """
    if not facts:
        return {}
    run = cursor(connection)
    told = [each for _, each in facts]
    run.execute(
        _UPDATE,
        (
            [sid for sid, _ in facts],
            *_columns(told),
            [each.email for each in told],
            [each.locale for each in told],
            [each.timezone for each in told],
            product_id,
        ),
    )
    return {row[0]: reach_of(row[1]) for row in run.fetchall() if row[2]}


_CORRECTED = "(c.told_email is not null and lower(c.told_email) = lower(coalesce(v.email, '')))"
"""Whether billing tells no other address than it did when the person corrected theirs."""
_UPDATE = f"""
    with v as (
        select * from unnest(%s::bigint[], {_ARRAYS}, %s::text[], %s::text[], %s::text[])
          as v(id, {_NAMES}, email, locale, timezone)),
    told as (
        update subscription s set {", ".join(f'"{name}" = v."{name}"' for name, _ in _SUBSCRIPTION)}
        from v where s.id = v.id and s.product_id = %s
        returning s.id),
    old as (
        select c.subscription_id, c.email
        from contact c join v on c.subscription_id = v.id)
    update contact c set locale = v.locale, timezone = v.timezone,
        email = case when {_CORRECTED} then c.email else v.email end,
        told_email = case when {_CORRECTED} then c.told_email end
    from v join old on old.subscription_id = v.id
    where c.subscription_id = v.id and v.id in (select id from told)
    returning c.subscription_id, c.email, old.email is distinct from c.email"""  # noqa: S608 - our own names


def lock(connection: Connection, subscription_id: int) -> None:
    """Lock a subscription before its round, as whoever takes in what billing tells does."""
    run = cursor(connection)
    run.execute("select 1 from subscription where id = %s for update", (subscription_id,))


def correct(
    connection: Connection, subscription_id: int, email: str, by_link_at: datetime | None
) -> bool:
    """Write the address that a person says is theirs; False where it is that already.

    What billing told is remembered, so that it is not taken for news when billing tells it again.
    `by_link_at` is when they wrote it themselves, by a link; None where somebody did it for them.
    """
    run = cursor(connection)
    run.execute(
        """update contact set email = %s, corrected_at = coalesce(%s, corrected_at),
             told_email = nullif(coalesce(told_email, email, ''), %s)
           where subscription_id = %s and email is distinct from %s""",
        (email, by_link_at, email, subscription_id, email),
    )
    return run.rowcount == 1


def corrected_since(connection: Connection, subscription_id: int, since: datetime) -> bool:
    """Say whether a person corrected their address themselves after a moment."""
    run = cursor(connection)
    run.execute(
        "select 1 from contact where subscription_id = %s and corrected_at > %s",
        (subscription_id, since),
    )
    return run.fetchone() is not None


def retell(connection: Connection, moments: Sequence[tuple[int, datetime]]) -> None:
    """Note that what is known of subscriptions was so at these later moments too."""
    if moments:
        cursor(connection).execute(
            """update subscription s set told_at = v.at
               from unnest(%s::bigint[], %s::timestamptz[]) as v(id, at) where s.id = v.id""",
            [list(column) for column in zip(*moments, strict=True)],
        )


def reach_of(email: str | None) -> Reach:
    """Say how somebody with this address can be reached."""
    return Reach.OK if email else Reach.NO_ADDRESS


def _columns(facts: Sequence[Facts]) -> list[list[Any]]:
    return [[getattr(each, name) for each in facts] for name, _ in _SUBSCRIPTION]


def ids_after(connection: Connection, product_id: int, after: int, limit: int) -> list[int]:
    """Give the next ids of a product's subscriptions, in order: a range of a replan."""
    run = cursor(connection)
    run.execute(
        """select id from subscription where product_id = %s and id > %s order by id limit %s""",
        (product_id, after, limit),
    )
    return [row[0] for row in run.fetchall()]


def count(connection: Connection, product_id: int) -> int:
    """Count a product's subscriptions."""
    run = cursor(connection)
    run.execute("select count(*) from subscription where product_id = %s", (product_id,))
    row = run.fetchone()
    return int(row[0]) if row else 0


def find(connection: Connection, product_id: int, external_id: str) -> int | None:
    """Give the id of a subscription by the id billing knows it under."""
    run = cursor(connection)
    run.execute(
        "select id from subscription where product_id = %s and external_id = %s",
        (product_id, external_id),
    )
    row = run.fetchone()
    return int(row[0]) if row else None


def product_of(connection: Connection, subscription_id: int) -> str | None:
    """Give the key of the product that a subscription belongs to."""
    run = cursor(connection)
    run.execute(
        """select p.key from subscription s join product p on p.id = s.product_id
           where s.id = %s""",
        (subscription_id,),
    )
    row = run.fetchone()
    return str(row[0]) if row else None


@dataclass(frozen=True, slots=True)
class Address:
    """Where and how one person is written to, and when billing last told of them."""

    external_id: str
    email: str
    locale: str
    timezone: str
    told_at: datetime | None = None


def addresses(connection: Connection, ids: Sequence[int]) -> dict[int, Address]:
    """Give the addresses of subscriptions, for notices that are about to be built."""
    run = cursor(connection)
    run.execute(
        """select s.id, s.external_id, coalesce(c.email, ''), coalesce(c.locale, ''),
             coalesce(c.timezone, 'UTC'), s.told_at
           from subscription s left join contact c on c.subscription_id = s.id
           where s.id = any(%s)""",
        (list(ids),),
    )
    return {row[0]: Address(*row[1:]) for row in run.fetchall()}


def external_ids(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    """Give the ids under which billing knows subscriptions."""
    run = cursor(connection)
    run.execute("select id, external_id from subscription where id = any(%s)", (list(ids),))
    return {row[0]: row[1] for row in run.fetchall()}


# --- use -----------------------------------------------------------------------------------


def resolve(connection: Connection, product_id: int, external_ids: Sequence[str]) -> dict[str, int]:
    """Give the ids of the subscriptions there are."""
    run = cursor(connection)
    run.execute(
        "select external_id, id from subscription where product_id = %s and external_id = any(%s)",
        (product_id, list(external_ids)),
    )
    return {row[0]: row[1] for row in run.fetchall()}


def resolve_customers(
    connection: Connection, product_id: int, customers: Sequence[str]
) -> list[tuple[str, int]]:
    """Give (customer, subscription id) of every subscription of these customers."""
    run = cursor(connection)
    run.execute(
        "select customer, id from subscription where product_id = %s and customer = any(%s)",
        (product_id, list(customers)),
    )
    return [(row[0], row[1]) for row in run.fetchall()]


def fold_usage(connection: Connection, days: dict[int, date]) -> list[int]:
    """Move the last day of use forward, and only forward; give the ids that moved."""
    if not days:
        return []
    ordered = sorted(days.items())
    run = cursor(connection)
    run.execute(
        """update subscription s set last_used_on = v.day
           from unnest(%s::bigint[], %s::date[]) as v(id, day)
           where s.id = v.id and (s.last_used_on is null or s.last_used_on < v.day)
           returning s.id""",
        ([sid for sid, _ in ordered], [day for _, day in ordered]),
    )
    return [row[0] for row in run.fetchall()]


def never_asked(connection: Connection, subscription_id: int) -> bool:
    """Say whether a subscription never had a round."""
    run = cursor(connection)
    run.execute(
        "select 1 from reconfirmation where subscription_id = %s limit 1", (subscription_id,)
    )
    return run.fetchone() is None


def in_a_round(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Give those of the subscriptions that have an open round."""
    run = cursor(connection)
    run.execute(
        """select subscription_id from reconfirmation
           where subscription_id = any(%s) and outcome is null order by subscription_id""",
        (list(ids),),
    )
    return [row[0] for row in run.fetchall()]


def remember_unknown(connection: Connection, product_id: int, days: dict[str, date]) -> None:
    """Keep the last day of use of subscriptions that billing has not told of yet."""
    if days:
        ordered = sorted(days.items())
        cursor(connection).execute(
            """insert into unknown_usage (product_id, external_id, last_used_on)
               select %s, * from unnest(%s::text[], %s::date[])
               on conflict (product_id, external_id) do update
               set last_used_on = greatest(unknown_usage.last_used_on, excluded.last_used_on)""",
            (product_id, [key for key, _ in ordered], [day for _, day in ordered]),
        )


def hold_unknown(connection: Connection, product_id: int) -> None:
    """Keep others from adding subscriptions, or use of unknown ones, until this transaction ends.

    Otherwise use that arrives while its subscription is being added could be remembered for ever.
    """
    run = cursor(connection)
    run.execute("select pg_advisory_xact_lock(hashtext('unknown_usage'), %s)", (product_id,))


def recall_unknown(
    connection: Connection, product_id: int, external_ids: Sequence[str]
) -> dict[str, date]:
    """Give, and forget, the use remembered for subscriptions that have arrived."""
    run = cursor(connection)
    run.execute(
        """delete from unknown_usage where product_id = %s and external_id = any(%s)
           returning external_id, last_used_on""",
        (product_id, list(external_ids)),
    )
    return {row[0]: row[1] for row in run.fetchall()}


# --- telling a story ---------------------------------------------------------------------------


def story(connection: Connection, subscription_id: int) -> list[tuple[Any, ...]]:
    """Give the history of one subscription: (at, round, what, why, version, actor)."""
    run = cursor(connection)
    run.execute(
        """select at, round, what, why, version, actor from history
           where subscription_id = %s order by id""",
        (subscription_id,),
    )
    return run.fetchall()


def stages(connection: Connection, product_id: int) -> dict[str, int]:
    """Count rounds by stage while open and by outcome once closed."""
    run = cursor(connection)
    run.execute(
        """select coalesce(outcome, stage), count(*) from reconfirmation
           where product_id = %s group by 1""",
        (product_id,),
    )
    return {row[0]: row[1] for row in run.fetchall()}

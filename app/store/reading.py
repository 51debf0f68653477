"""Reads for systems that call: who a key belongs to, and subscriptions as they are listed.

Lists go along an index by key, never by offset, so that millions cost no more than a page, and
what is added or removed meanwhile moves nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg.rows import class_row
from sqlalchemy import Connection

from app.store.database import cursor


@dataclass(frozen=True, slots=True)
class Key:
    """A live key: whose it is, what it may do, and the feed whose usage it brings, if any."""

    id: int
    product_id: int
    product: str
    scope: str
    feed: str | None
    covers_from: date | None
    covers_until: date | None
    feed_retired_at: datetime | None


def key_by_hash(connection: Connection, digest: bytes, default_feed: str) -> Key | None:
    """Give the live key of a hash; None where there is none, or it was revoked.

    A key that was given no feed brings the usage of the default one, where that exists yet.
    """
    run = cursor(connection)
    run.row_factory = class_row(Key)
    run.execute(
        """select k.id, k.product_id, p.key as product, k.scope, f.name as feed, f.covers_from,
             f.covers_until, f.retired_at as feed_retired_at
           from apikey k join product p on p.id = k.product_id
           left join feed f on f.id = k.feed_id or
             (k.feed_id is null and f.product_id = k.product_id and f.name = %s)
           where k.hash = %s and k.revoked_at is null""",
        (default_feed, digest),
    )
    return run.fetchone()


# --- lists -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """One subscription of a page: its own id, and the one under which billing knows it."""

    id: int
    external_id: str


def page_by_name(
    connection: Connection, product_id: int, after: str, limit: int, *, active_only: bool
) -> list[Listed]:
    """Give the next subscriptions in the order of the ids that billing gave them.

    Whoever was erased is left out; `active_only` leaves out those with an open round.
    """
    run = cursor(connection)
    run.execute(by_name(active_only=active_only), (product_id, after, limit))
    return [Listed(*row) for row in run.fetchall()]


def by_name(*, active_only: bool) -> str:
    """Give the statement of a page by name: of a product, after a name, so many."""
    idle = """and not exists (select 1 from reconfirmation r
                where r.subscription_id = s.id and r.outcome is null)"""
    return f"""select s.id, s.external_id from subscription s
        where s.product_id = %s and s.external_id > %s
          and exists (select 1 from contact c where c.subscription_id = s.id)
          {idle if active_only else ""}
        order by s.external_id limit %s"""  # noqa: S608 - our own text


def page_by_stage(
    connection: Connection, product_id: int, stage: str, after: int, limit: int
) -> list[Listed]:
    """Give the next subscriptions with an open round in a stage, in the order of our own ids."""
    run = cursor(connection)
    run.execute(
        """select r.subscription_id, s.external_id
           from reconfirmation r
           join subscription s on s.id = r.subscription_id
           join contact c on c.subscription_id = s.id
           where r.outcome is null and r.product_id = %s and r.stage = %s
             and s.product_id = %s and r.subscription_id > %s
           order by r.subscription_id limit %s""",
        (product_id, stage, product_id, after, limit),
    )
    return [Listed(*row) for row in run.fetchall()]


def find_present(connection: Connection, product_id: int, external_id: str) -> int | None:
    """Give the id of a subscription; 0 where its person was erased, None where there is none."""
    run = cursor(connection)
    run.execute(
        """select case when c.subscription_id is null then 0 else s.id end
           from subscription s left join contact c on c.subscription_id = s.id
           where s.product_id = %s and s.external_id = %s""",
        (product_id, external_id),
    )
    row = run.fetchone()
    return int(row[0]) if row else None


def customer_of(connection: Connection, subscription_id: int) -> str | None:
    """Give the customer a subscription belongs to, where billing named one."""
    run = cursor(connection)
    run.execute("select customer from subscription where id = %s", (subscription_id,))
    row = run.fetchone()
    return row[0] if row else None


def in_product(connection: Connection, product_id: int, ids: Sequence[int]) -> set[int]:
    """Give those of the subscriptions that are of a product, and whose person was not erased."""
    run = cursor(connection)
    run.execute(
        """select s.id from subscription s join contact c on c.subscription_id = s.id
           where s.id = any(%s) and s.product_id = %s""",
        (list(ids), product_id),
    )
    return {row[0] for row in run.fetchall()}


def ids_present(
    connection: Connection, product_id: int, external_ids: Sequence[str]
) -> dict[str, int]:
    """Give the ids of the subscriptions there are, without those whose person was erased."""
    run = cursor(connection)
    run.execute(
        """select s.external_id, s.id from subscription s
           join contact c on c.subscription_id = s.id
           where s.product_id = %s and s.external_id = any(%s)""",
        (product_id, list(external_ids)),
    )
    return {row[0]: row[1] for row in run.fetchall()}


# --- stories ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the history of a subscription: internal ids and codes only."""

    id: int
    at: datetime
    round: int | None
    what: str
    why: str
    policy_version: int | None
    actor: str

    def told(self) -> dict[str, Any]:
        """Give everything but its own id."""
        return {name: getattr(self, name) for name in _TOLD}


_TOLD = ("at", "round", "what", "why", "policy_version", "actor")


def story_after(connection: Connection, subscription_id: int, after: int, limit: int) -> list[Line]:
    """Give the next lines of the history of a subscription, oldest first."""
    run = cursor(connection)
    run.execute(
        """select id, at, round, what, why, version, actor from history
           where subscription_id = %s and id > %s order by id limit %s""",
        (subscription_id, after, limit),
    )
    return [Line(*row) for row in run.fetchall()]

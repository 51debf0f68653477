"""Endpoints of products, and the messages that wait for them.

A message is written in the transaction that caused it, one row an endpoint. Those of one endpoint
about one subscription go in order: a row is taken only where no earlier one waits or is on its
way. Moments are on the life clock, but for leases, which are on the wall clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Row, func, insert, select, update

from app.store import tables
from app.store.database import cursor

# --- endpoints -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where messages go; `secrets` newest first: each of them signs."""

    id: int
    url: str
    types: list[str]
    secrets: list[str]
    created_at: datetime
    retired_at: datetime | None


_ENDPOINT = (
    tables.endpoint.c.id,
    tables.endpoint.c.url,
    tables.endpoint.c.types,
    tables.endpoint.c.secrets,
    tables.endpoint.c.created_at,
    tables.endpoint.c.retired_at,
)


def add_endpoint(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    product_id: int,
    url: str,
    types: Sequence[str],
    secret: str,
    now: datetime,
) -> int:
    """Add an endpoint and give its number."""
    row = connection.execute(
        insert(tables.endpoint)
        .values(product_id=product_id, url=url, types=list(types), secrets=[secret], created_at=now)
        .returning(tables.endpoint.c.id)
    ).one()
    return int(row[0])


def hold_endpoints(connection: Connection, product_id: int) -> None:
    """Keep others from adding endpoints of a product until this transaction ends."""
    connection.execute(
        select(tables.product.c.id).where(tables.product.c.id == product_id).with_for_update()
    )


def endpoints(connection: Connection, product_id: int) -> list[Endpoint]:
    """Give the endpoints of a product, retired ones too, in the order of their numbers."""
    statement = select(*_ENDPOINT).where(tables.endpoint.c.product_id == product_id)
    return [Endpoint(*row) for row in connection.execute(statement.order_by(_ENDPOINT[0]))]


def live_endpoints(connection: Connection, product_id: int) -> list[Endpoint]:
    """Give the endpoints of a product that messages go to."""
    return [each for each in endpoints(connection, product_id) if each.retired_at is None]


def set_secrets(connection: Connection, endpoint_id: int, secrets: Sequence[str]) -> None:
    """Set what messages to an endpoint are signed with, newest first."""
    table = tables.endpoint
    connection.execute(update(table).where(table.c.id == endpoint_id).values(secrets=list(secrets)))


def retire(connection: Connection, endpoint_id: int, now: datetime) -> None:
    """Send nothing more to an endpoint; forget its secrets, and put what waits before a person."""
    table = tables.endpoint
    connection.execute(
        update(table).where(table.c.id == endpoint_id).values(retired_at=now, secrets=[])
    )
    park_retired(connection)


def park_retired(connection: Connection) -> int:
    """Put before a person what waits for endpoints that were retired; give how many."""
    run = cursor(connection)
    run.execute(
        """update webhook w set state = 'parked', error = 'endpoint retired'
           from endpoint e where e.id = w.endpoint_id and e.retired_at is not null
             and w.state = 'pending'"""
    )
    return run.rowcount


# --- writing messages ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to be sent, as it is written."""

    id: int
    endpoint_id: int
    message_id: str
    type: str
    subscription_id: int
    number: int | None
    body: str


def names(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[str, str | None]]:
    """Give (external id, customer) of subscriptions: what messages name them by."""
    run = cursor(connection)
    run.execute(
        "select id, external_id, customer from subscription where id = any(%s)", [list(ids)]
    )
    return {row[0]: (row[1], row[2]) for row in run.fetchall()}


def next_ids(connection: Connection, many: int) -> list[int]:
    """Reserve ids, in order."""
    run = cursor(connection)
    run.execute(
        """select nextval(pg_get_serial_sequence('webhook', 'id'))
           from generate_series(1, %s::int)""",
        (many,),
    )
    return sorted(row[0] for row in run.fetchall())


def write(
    connection: Connection, product_id: int, happened_at: datetime, letters: Sequence[Letter]
) -> None:
    """Queue messages about what happened at one moment."""
    cursor(connection).execute(
        """insert into webhook (id, product_id, endpoint_id, message_id, type, subscription_id,
             round, body, happened_at, not_before, state, fence, tries)
           select v.id, %s, v.endpoint, v.message, v.type, v.subscription, v.number, v.body, %s, %s,
             'pending', 0, 0
           from unnest(%s::bigint[], %s::int[], %s::text[], %s::text[], %s::bigint[], %s::int[],
             %s::text[]) as v(id, endpoint, message, type, subscription, number, body)""",
        (
            product_id,
            happened_at,
            happened_at,
            [each.id for each in letters],
            [each.endpoint_id for each in letters],
            [each.message_id for each in letters],
            [each.type for each in letters],
            [each.subscription_id for each in letters],
            [each.number for each in letters],
            [each.body for each in letters],
        ),
    )


# --- claiming --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message as it waits; `tries` counts the claims before this one."""

    id: int
    message_id: str
    type: str
    body: str
    fence: int
    tries: int


_WAITING = "w.id, w.message_id, w.type, coalesce(w.body, ''), w.fence, w.tries"


def due(connection: Connection, endpoint_id: int, now: datetime, limit: int) -> list[Waiting]:
    """Take messages for an endpoint that are due and first of their subscription."""
    run = cursor(connection)
    run.execute(
        f"""select {_WAITING} from webhook w
            where w.endpoint_id = %s and w.state = 'pending' and w.not_before <= %s
              and not exists (
                select 1 from webhook b where b.endpoint_id = w.endpoint_id
                  and b.subscription_id = w.subscription_id and b.id < w.id
                  and b.state in ('pending', 'claimed'))
            order by w.not_before, w.id limit %s for update of w skip locked""",  # noqa: S608
        (endpoint_id, now, limit),
    )
    return [Waiting(*row) for row in run.fetchall()]


def forsaken(connection: Connection, endpoint_id: int, wall: datetime, limit: int) -> list[Waiting]:
    """Take messages for an endpoint whose sender let the lease run out."""
    run = cursor(connection)
    run.execute(
        f"""select {_WAITING} from webhook w
            where w.state = 'claimed' and w.lease_until < %s and w.endpoint_id = %s
            order by w.lease_until, w.id limit %s for update of w skip locked""",  # noqa: S608
        (wall, endpoint_id, limit),
    )
    return [Waiting(*row) for row in run.fetchall()]


def claim(connection: Connection, ids: Sequence[int], lease_until: datetime) -> None:
    """Note that these messages are being sent until the lease ends, under a new fence."""
    if ids:
        cursor(connection).execute(
            """update webhook set state = 'claimed', fence = fence + 1, tries = tries + 1,
                 lease_until = %s where id = any(%s)""",
            (lease_until, list(ids)),
        )


# --- acknowledging ---------------------------------------------------------------------------


class Tried(Protocol):
    """What a try came to."""

    @property
    def id(self) -> int:
        """The message."""

    @property
    def status(self) -> int | None:
        """The status of the answer, where one came."""

    @property
    def error(self) -> str | None:
        """The code of what went wrong."""

    @property
    def took_ms(self) -> int:
        """How long it took."""


def still_mine(connection: Connection, claims: Sequence[tuple[int, int]]) -> set[int]:
    """Lock those of the messages, given as (id, fence), that nobody claimed since."""
    run = cursor(connection)
    ids, fences = zip(*claims, strict=True) if claims else ((), ())
    run.execute(
        """select w.id from webhook w
           join unnest(%s::bigint[], %s::int[]) as v(id, fence) on v.id = w.id and v.fence = w.fence
           where w.state = 'claimed' order by w.id for update of w""",
        (list(ids), list(fences)),
    )
    return {row[0] for row in run.fetchall()}


def note_tries(connection: Connection, tries: Sequence[Tried], at: datetime) -> None:
    """Write what tries came to into the log, and at the messages themselves."""
    if tries:
        columns = (
            [each.id for each in tries],
            [each.status for each in tries],
            [each.error for each in tries],
            [each.took_ms for each in tries],
        )
        run = cursor(connection)
        run.execute(
            """insert into webhook_try (webhook_id, at, status, error, took_ms)
               select v.id, %s, v.status, v.error, v.took
               from unnest(%s::bigint[], %s::smallint[], %s::text[], %s::int[])
                 as v(id, status, error, took)""",
            (at, *columns),
        )
        run.execute(
            """update webhook w set status = v.status, error = v.error
               from unnest(%s::bigint[], %s::smallint[], %s::text[]) as v(id, status, error)
               where w.id = v.id""",
            columns[:3],
        )


def deliver(connection: Connection, ids: Sequence[int], at: datetime) -> None:
    """Note that messages have arrived."""
    if ids:
        cursor(connection).execute(
            """update webhook set state = 'delivered', done_at = %s, lease_until = null
               where id = any(%s)""",
            (at, list(ids)),
        )


def put_back(connection: Connection, rows: Sequence[tuple[int, datetime]]) -> None:
    """Give messages back until a moment, and with each those that wait behind it.

    Those could not be taken any sooner, and so are not looked through at every claim.
    """
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        run = cursor(connection)
        run.execute(
            """update webhook w set state = 'pending', lease_until = null, not_before = v.at
               from unnest(%s::bigint[], %s::timestamptz[]) as v(id, at) where w.id = v.id""",
            columns,
        )
        run.execute(
            """update webhook w set not_before = v.at
               from unnest(%s::bigint[], %s::timestamptz[]) as v(id, at)
               join webhook f on f.id = v.id
               where w.endpoint_id = f.endpoint_id and w.subscription_id = f.subscription_id
                 and w.state = 'pending' and w.id > f.id and w.not_before < v.at""",
            columns,
        )


def release(connection: Connection, ids: Sequence[int]) -> None:
    """Give back messages that were not begun, as if they had not been claimed."""
    if ids:
        cursor(connection).execute(
            """update webhook set state = 'pending', lease_until = null, tries = tries - 1
               where id = any(%s)""",
            (list(ids),),
        )


def park(connection: Connection, ids: Sequence[int], error: str | None = None) -> None:
    """Put messages before a person, with the last error or this one."""
    if ids:
        cursor(connection).execute(
            """update webhook set state = 'parked', lease_until = null,
                 error = coalesce(%s, error) where id = any(%s)""",
            (error, list(ids)),
        )


def park_overdue(
    connection: Connection, endpoint_id: int, before: datetime, error: str, limit: int
) -> int:
    """Put before a person what has been due for an endpoint since before a moment; how many."""
    run = cursor(connection)
    run.execute(
        """update webhook set state = 'parked', error = %s where id in (
             select id from webhook where endpoint_id = %s and state = 'pending'
               and not_before <= %s order by not_before, id limit %s for update skip locked)""",
        (error, endpoint_id, before, limit),
    )
    return run.rowcount


# --- forgetting ------------------------------------------------------------------------------


def forget(connection: Connection, before: datetime, limit: int) -> int:
    """Delete messages that arrived before a moment, with the log of their tries; how many."""
    run = cursor(connection)
    run.execute(
        """with gone as (delete from webhook where id in (
             select id from webhook where done_at is not null and done_at < %s
             order by done_at limit %s for update skip locked) returning id),
           log as (delete from webhook_try t using gone where t.webhook_id = gone.id)
           select count(*) from gone""",
        (before, limit),
    )
    row = run.fetchone()
    return int(row[0]) if row else 0


# --- looking ---------------------------------------------------------------------------------


def listed(connection: Connection, product_id: int, state: str | None, limit: int) -> Sequence[Any]:
    """Give the newest messages of a product, of one state or of all, without their bodies."""
    table = tables.webhook
    statement = (
        select(
            table.c.id,
            table.c.endpoint_id.label("endpoint"),
            table.c.message_id,
            table.c.type,
            tables.subscription.c.external_id.label("subscription"),
            table.c.state,
            table.c.happened_at,
            table.c.not_before,
            table.c.tries,
            table.c.status,
            table.c.error,
        )
        .join_from(
            table,
            tables.subscription,
            tables.subscription.c.id == table.c.subscription_id,
            isouter=True,
        )
        .where(table.c.product_id == product_id)
    )
    if state is not None:
        statement = statement.where(table.c.state == state)
    return connection.execute(statement.order_by(table.c.id.desc()).limit(limit)).all()


def shown(connection: Connection, webhook_id: int) -> Row[Any] | None:
    """Give one message with its body; None where there is none."""
    return connection.execute(
        select(tables.webhook).where(tables.webhook.c.id == webhook_id)
    ).first()


def tries(connection: Connection, webhook_id: int) -> Sequence[Any]:
    """Give the log of one message's tries, in order."""
    table = tables.webhook_try
    statement = select(table.c.at, table.c.status, table.c.error, table.c.took_ms)
    return connection.execute(
        statement.where(table.c.webhook_id == webhook_id).order_by(table.c.id)
    ).all()


def replay(connection: Connection, webhook_id: int, now: datetime) -> bool:
    """Send a parked or delivered message again, from its first try; False where it may not be."""
    return bool(_again(connection, now, tables.webhook.c.id == webhook_id))


def replay_parked(connection: Connection, product_id: int, now: datetime) -> int:
    """Send again all parked messages of a product whose endpoint is live; give how many."""
    return _again(
        connection,
        now,
        tables.webhook.c.product_id == product_id,
        tables.webhook.c.state == "parked",
    )


def _again(connection: Connection, now: datetime, *which: Any) -> int:
    table = tables.webhook
    live = select(tables.endpoint.c.id).where(tables.endpoint.c.retired_at.is_(None))
    done = connection.execute(
        update(table)
        .where(*which, table.c.state.in_(("parked", "delivered")), table.c.endpoint_id.in_(live))
        .values(state="pending", not_before=now, tries=0, done_at=None)
    )
    return done.rowcount


def count(connection: Connection, product_id: int, state: str) -> int:
    """Count a product's messages of one state."""
    table = tables.webhook
    statement = select(func.count()).where(table.c.product_id == product_id, table.c.state == state)
    return int(connection.scalar(statement) or 0)

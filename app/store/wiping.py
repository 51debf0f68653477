"""What is left of a person here, deleted or made to name nobody: the statements of one wiping.

Each runs inside the transaction of its caller, who holds the case. What becomes of each column of
each table is said in `app.store.fates`; a test compares the two with the tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from app.store.database import cursor

NO_DAY = date(1970, 1, 1)
"""Stands where a day has to stand, and says nothing."""
AT_A_TIME = 2000
LEFT = "erasure.completed"
"""The type of message that tells of the erasure itself, by its own id only: it still goes out."""
ARCHIVED = "invoices"
"""The one category of data that we hold ourselves and that a policy may keep."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a subscription names; `address_shared`, `customer_shared`: others here have the same."""

    id: int
    external_id: str
    customer: str | None
    email: str | None
    address_shared: bool
    customer_shared: bool


def person(connection: Connection, product_id: int, subscription_id: int) -> Person | None:
    """Lock a subscription and give whom it names; None where the product has none such."""
    run = cursor(connection)
    run.execute(
        """select s.id, s.external_id, s.customer, c.email,
             exists (select from contact o join subscription t on t.id = o.subscription_id
                     where lower(o.email) = lower(c.email) and o.subscription_id <> s.id
                       and t.product_id = s.product_id),
             exists (select from subscription o where o.product_id = s.product_id
                       and o.customer = s.customer and o.id <> s.id)
           from subscription s left join contact c on c.subscription_id = s.id
           where s.id = %s and s.product_id = %s for update of s""",
        (subscription_id, product_id),
    )
    row = run.fetchone()
    return Person(*row) if row else None


# --- statements ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One statement, and what it deletes or blanks: a table, or a column of one."""

    what: str
    statement: str


def _deleted(table: str) -> Step:
    return Step(table, f"delete from {table} where subscription_id = %(sid)s")  # noqa: S608 - our own names


def _renamed(table: str) -> Step:
    return Step(
        table,
        f"""update {table} set external_id = %(erased)s
            where product_key = %(key)s and external_id = %(name)s""",  # noqa: S608 - our own names
    )


BLANK_BODY = """body = null, message_id = 'erased:' || id, reason = 'erased',
    state = case when state in ('failed', 'unreadable') then 'ignored' else state end"""
STEPS = (
    _deleted("contact"),
    _deleted("evidence"),
    _deleted("fresh_link"),
    _deleted("outbox"),
    Step(
        "webhook_try",
        """delete from webhook_try where webhook_id in (
             select id from webhook where subscription_id = %(sid)s and type <> %(left)s)""",
    ),
    Step("webhook", "delete from webhook where subscription_id = %(sid)s and type <> %(left)s"),
    # Its id was made of what billing called them, so that who guesses that could prove it.
    Step(
        "webhook.message_id",
        """update webhook set message_id = 'msg_erased_' || id
           where subscription_id = %(sid)s and type = %(left)s""",
    ),
    _deleted("unexplained"),
    Step(
        "unknown_usage",
        "delete from unknown_usage where product_id = %(product)s and external_id = %(name)s",
    ),
    Step("look", "delete from look where product_id = %(product)s and external_id = %(name)s"),
    Step(
        "suppression",
        """delete from suppression where product_id = %(product)s and mark = any(%(addresses)s)
             and reason = 'bounced'""",
    ),
    Step("inbox", f"update inbox set {BLANK_BODY} where subscription_id = %(sid)s"),  # noqa: S608 - our own text
    Step(
        "refund",
        """update refund set charge = 'erased:' || id
           where subscription_id = %(sid)s and state in ('made', 'declined')""",
    ),
    # Before the holds forget by which dispute they were set.
    Step(
        "dispute",
        """update dispute set source = 'erased:' || id, about = null
           where product_id = %(product)s and (about = %(name)s or late_on = %(sid)s
             or source in (select source from hold where subscription_id = %(sid)s))""",
    ),
    Step(
        "hold",
        "update hold set source = null where subscription_id = %(sid)s and source is not null",
    ),
    Step(
        "reconfirmation",
        """update reconfirmation set used_known = null, paid_until = null
           where subscription_id = %(sid)s""",
    ),
    # Where a list of billing's was left: it is read from its beginning.
    Step(
        "reconciliation",
        """update reconciliation set cursor = null where product_id = %(product)s
             and phase <> 'missing' and position(%(name)s in cursor) > 0""",
    ),
    _renamed("sandbox_account"),
    _renamed("sandbox_charge"),
    _renamed("sandbox_act"),
    Step(
        "subscription",
        """update subscription set external_id = %(erased)s, customer = null, status = 'canceled',
             started_on = %(no_day)s, renews_at = null, last_used_on = null, told = '',
             told_at = null
           where id = %(sid)s""",
    ),
)


def run(connection: Connection, values: Mapping[str, Any]) -> dict[str, int]:
    """Run every statement; give how many rows were deleted or blanked, by what."""
    counts: dict[str, int] = {}
    for step in STEPS:
        at = cursor(connection)
        at.execute(step.statement, {"no_day": NO_DAY, "left": LEFT, **values})
        if at.rowcount > 0:
            counts[step.what] = at.rowcount
    return counts


# --- bodies of messages that nobody has put a name to ------------------------------------------


def unbound(
    connection: Connection, product_id: int, pieces: Sequence[str] | None, after: int
) -> tuple[list[tuple[int, bytes]], int | None]:
    """Give the next bodies that may name somebody, and behind which row to go on; None at the end.

    Only those with one of the pieces of text, in whatever case, or with something escaped, which
    has to be read to be known; with None all of them.
    """
    at = cursor(connection)
    at.execute(
        """with few as materialized (
             select id, body from inbox
             where product_id = %(product)s and body is not null and subscription_id is null
               and id > %(after)s order by id limit %(limit)s)
           select (select max(id) from few), array(select id from few where
             %(patterns)s::text[] is null or position('\\x5c'::bytea in body) > 0
             or position('%%'::bytea in body) > 0
             or lower(encode(body, 'escape')) like any(%(patterns)s::text[]))""",
        {
            "product": product_id,
            "after": after,
            "limit": AT_A_TIME,
            "patterns": None if pieces is None else [_like(each) for each in pieces],
        },
    )
    last, ids = at.fetchone() or (None, [])
    if not ids:
        return [], last
    at.execute("select id, body from inbox where id = any(%s)", (list(ids),))
    return [(row[0], bytes(row[1])) for row in at.fetchall() if row[1] is not None], last


def _like(piece: str) -> str:
    return f"%{piece.replace('_', chr(92) + '_')}%"


def blank_bodies(connection: Connection, ids: Sequence[int]) -> None:
    """Forget the bodies of messages, and let those that waited for somebody wait no more."""
    if ids:
        cursor(connection).execute(
            f"update inbox set {BLANK_BODY} where id = any(%s)",  # noqa: S608 - our own text
            (list(ids),),
        )


# --- what is kept all the same -----------------------------------------------------------------


def charges(connection: Connection, subscription_id: int) -> list[dict[str, Any]]:
    """Give what the books hold of a subscription: its charges that should not have been."""
    at = cursor(connection)
    at.execute(
        """select charge, charged_at, amount, refunded, currency, state, made_at from refund
           where subscription_id = %s order by id""",
        (subscription_id,),
    )
    return [
        {
            "charge": row[0],
            "charged_at": row[1].isoformat(),
            "amount": row[2],
            "refunded": row[3],
            "currency": row[4],
            "state": row[5],
            "made_at": row[6] and row[6].isoformat(),
        }
        for row in at.fetchall()
    ]


def archive(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    product_id: int,
    erasure_id: str,
    category: str,
    body: Mapping[str, Any],
    keep_until: date,
) -> None:
    """Keep something of an erased person up to a day; whoever writes it cannot read it again."""
    cursor(connection).execute(
        """insert into archive (product_id, erasure_id, category, body, keep_until)
           values (%s, %s, %s, %s, %s)""",
        (product_id, erasure_id, category, Jsonb(body), keep_until),
    )


def expire_archive(connection: Connection, today: date) -> int:
    """Delete what was to be kept up to an earlier day than this; give how many."""
    at = cursor(connection)
    at.execute("select expire_archive(%s)", (today,))
    row = at.fetchone()
    return int(row[0]) if row else 0


def blank_settled(connection: Connection) -> int:
    """Forget the charges of erased people that were still owed, and no longer are; how many."""
    at = cursor(connection)
    at.execute(
        """update refund f set charge = 'erased:' || f.id from tombstone t
           where t.subscription_id = f.subscription_id and f.state in ('made', 'declined')
             and f.charge <> 'erased:' || f.id"""
    )
    return at.rowcount


SAMPLED = (
    "contact",
    "subscription (external_id, customer)",
    "unknown_usage",
    "look",
    "inbox (message_id, body)",
    "refund (charge)",
    "hold (source)",
    "dispute (source, about)",
    "reconciliation (cursor)",
    "webhook (message_id, body)",
    "evidence",
    "sandbox_account (external_id)",
    "sandbox_charge (external_id)",
    "sandbox_act (external_id)",
)
"""What the planner may hold samples of that name people."""


def forget_samples(connection: Connection) -> None:
    """Let the planner take its samples anew: those it has may still name who was erased.

    Of a table that has become empty it takes none and keeps what it had: those are cleared, where
    the server can (PostgreSQL 18).
    """
    run = cursor(connection)
    for each in SAMPLED:
        run.execute(f"analyze {each}")
    run.execute("select to_regproc('pg_clear_attribute_stats') is not null")
    if (run.fetchone() or (False,))[0]:
        for table in sorted({each.partition(" ")[0] for each in SAMPLED}):
            run.execute(
                f"""select pg_clear_attribute_stats(schemaname, tablename, attname, inherited)
                    from pg_stats where schemaname = 'public' and tablename = %s
                      and not exists (select from {table})""",  # noqa: S608 - our own names
                (table,),
            )

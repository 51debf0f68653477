"""Everything that is kept of one subscription, table by table, for whom it is about.

Each row is a dict of its columns. Nothing here reads another subscription's rows.
"""

from collections.abc import Mapping
from typing import Any

from psycopg.rows import dict_row
from sqlalchemy import Connection

from app.store.database import cursor

Rows = list[dict[str, Any]]

ABOUT: Mapping[str, str] = {
    "hold": "select * from hold where subscription_id = %s order by id",
    "manifest_entry": """select e.*, m.day from manifest_entry e
        join manifest m on m.product_id = e.product_id and m.number = e.number
        where e.subscription_id = %s order by e.number""",
    "erasure": "select * from erasure where subscription_id = %s order by begun_at",
    "receipt": """select r.*, t.key, t.kind from receipt r join erasure e on e.id = r.erasure_id
        join target t on t.id = r.target_id
        where e.subscription_id = %s order by e.begun_at, t.key""",
    "timer": "select * from timer where subscription_id = %s order by due_at",
    "history": "select * from history where subscription_id = %s order by id",
    "review": "select * from review where subscription_id = %s order by id",
    "fresh_link": """select * from fresh_link where subscription_id = %s
        order by asked_at, round, version""",
    "ask_listed": "select * from ask_listed where subscription_id = %s order by version",
    "outbox": "select * from outbox where subscription_id = %s order by id",
    "unexplained": "select * from unexplained where subscription_id = %s order by first_at",
    "refund": "select * from refund where subscription_id = %s order by id",
    "webhook": """select w.*, p.url from webhook w join endpoint p on p.id = w.endpoint_id
        where w.subscription_id = %s order by w.id""",
    "look": """select l.* from look l join subscription s
          on s.product_id = l.product_id and s.external_id = l.external_id
        where s.id = %s""",
}
"""What is kept in many rows, by the table: all of one subscription."""


def about(connection: Connection, table: str, subscription_id: int) -> Rows:
    """Give the rows of a table of ABOUT that are about a subscription."""
    run = cursor(connection)
    run.row_factory = dict_row
    run.execute(ABOUT[table], (subscription_id,))
    found: Rows = run.fetchall()
    return found


def subject(connection: Connection, product_id: int, subscription_id: int) -> dict[str, Any] | None:
    """Give what is kept of a person and their subscription; None where they were erased."""
    run = cursor(connection)
    run.row_factory = dict_row
    run.execute(
        """select s.*, c.email, c.locale, c.timezone, c.reach, c.told_email, c.corrected_at
           from subscription s join contact c on c.subscription_id = s.id
           where s.id = %s and s.product_id = %s""",
        (subscription_id, product_id),
    )
    found: dict[str, Any] | None = run.fetchone()
    return found


def rounds(connection: Connection, subscription_id: int) -> Rows:
    """Give every round of a subscription, oldest first."""
    run = cursor(connection)
    run.row_factory = dict_row
    run.execute(
        "select * from reconfirmation where subscription_id = %s order by number",
        (subscription_id,),
    )
    found: Rows = run.fetchall()
    return found


def recipients(connection: Connection, product_id: int) -> tuple[Rows, Rows]:
    """Give the live endpoints and targets of a product: who is told of its subscribers."""
    run = cursor(connection)
    run.row_factory = dict_row
    run.execute(
        """select url, types from endpoint where product_id = %s and retired_at is null
           order by id""",
        (product_id,),
    )
    endpoints: Rows = run.fetchall()
    run.execute(
        """select key, kind, categories from target
           where product_id = %s and retired_at is null order by key""",
        (product_id,),
    )
    return endpoints, run.fetchall()

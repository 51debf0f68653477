"""Customers who have several subscriptions: who belongs together, and who judges them now."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from app.store.database import cursor


def any_named(connection: Connection, product_id: int) -> bool:
    """Say whether any subscription of a product names its customer: one look at the index."""
    run = cursor(connection)
    run.execute(
        """select 1 from subscription where product_id = %s and customer is not null limit 1""",
        (product_id,),
    )
    return run.fetchone() is not None


def families(
    connection: Connection, product_id: int, ids: Sequence[int]
) -> Mapping[int, tuple[int, ...]]:
    """Give, for those of the subscriptions whose customer has others, all of theirs in order."""
    run = cursor(connection)
    run.execute(
        """select o.id, array_agg(s.id order by s.id) from subscription o
           join subscription s on s.product_id = o.product_id and s.customer = o.customer
           where o.id = any(%s) and o.product_id = %s group by o.id having count(*) > 1""",
        (list(ids), product_id),
    )
    return {row[0]: tuple(row[1]) for row in run.fetchall()}


def take(connection: Connection, firsts: Collection[int]) -> set[int]:
    """Lock customers, each by the first of their subscriptions, but for those that others hold.

    Nobody waits for this lock, so it can be part of no deadlock; it ends with the transaction.
    """
    run = cursor(connection)
    run.execute(
        """select id from subscription where id = any(%s)
           order by id for no key update skip locked""",
        (sorted(firsts),),
    )
    return {row[0] for row in run.fetchall()}

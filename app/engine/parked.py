"""Effects that were put before a person, and letting them be tried again."""

from app.clock import Clock
from app.errors import Conflict
from app.store import cases, products, queues
from app.store.cases import HistoryWrite
from app.store.database import Database
from app.store.queues import Parked


def retry(database: Database, clock: Clock, product_key: str, number: int, actor: str) -> Parked:
    """Let a parked effect be tried again; the rules are asked again before it is done.

    Conflict where it is not parked any more, is another product's, or may not be tried again: of a
    notice there are at most two copies.
    """
    now = clock.now()
    with database.transaction() as connection:
        product_id = products.row_of(connection, product_key).id
        found = queues.retry(connection, product_id, number, now)
        if found is None:
            raise Conflict(
                "it is not parked any more, or may not be tried again", "look at what waits now"
            )
        line = HistoryWrite(found.subscription_id, None, "effect_retried", found.kind, None)
        cases.insert_history(connection, product_id, now, actor, [line])
    return found

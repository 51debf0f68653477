"""How far a product's people have been looked at anew for a policy that may ask them earlier.

One row a product, by ranges of ids; a new version begins it anew. Its lock is the walker's turn.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from app.store.database import cursor


@dataclass(frozen=True, slots=True)
class Plan:
    """How far it has come: everybody with an id up to `after_id`, of those up to `last_id`."""

    version: int
    first_id: int
    after_id: int
    last_id: int
    began_at: datetime
    finished_at: datetime | None

    @property
    def share(self) -> float:
        """What part of it is done, from 0 to 1."""
        if self.finished_at is not None:
            return 1.0
        whole = self.last_id - self.first_id + 1
        return min(1.0, max(0.0, (self.after_id - self.first_id + 1) / max(1, whole)))


_COLUMNS = "version, first_id, after_id, last_id, began_at, finished_at"


def begin(connection: Connection, product_id: int, version: int, now: datetime) -> None:
    """Begin anew, for a version that has just been put in force."""
    cursor(connection).execute(
        """insert into plan (product_id, version, first_id, after_id, last_id, began_at)
           select %(product)s, %(version)s, first, first - 1, last, %(now)s from (
             select coalesce((select id from subscription where product_id = %(product)s
                              order by id limit 1), 1) as first,
               coalesce((select max(id) from subscription), 0) as last) ids
           on conflict (product_id) do update set version = excluded.version,
             first_id = excluded.first_id, after_id = excluded.after_id,
             last_id = excluded.last_id, began_at = excluded.began_at, finished_at = null""",
        {"product": product_id, "version": version, "now": now},
    )


def of(connection: Connection, product_id: int) -> Plan | None:
    """Give how far it has come, without waiting; None where nothing was ever planned anew."""
    run = cursor(connection)
    run.execute(f"select {_COLUMNS} from plan where product_id = %s", (product_id,))  # noqa: S608
    row = run.fetchone()
    return Plan(*row) if row else None


def take(connection: Connection, product_id: int, *, wait: bool = False) -> Plan | None:
    """Take the turn of going on; None where nothing is left, or (not `wait`) another has it."""
    run = cursor(connection)
    run.execute(
        f"""select {_COLUMNS} from plan where product_id = %s and finished_at is null
            for update {"" if wait else "skip locked"}""",  # noqa: S608 - our own words
        (product_id,),
    )
    row = run.fetchone()
    return Plan(*row) if row else None


def went_on(connection: Connection, product_id: int, after_id: int) -> None:
    """Note how far it has come."""
    cursor(connection).execute(
        "update plan set after_id = %s where product_id = %s", (after_id, product_id)
    )


def finish(connection: Connection, product_id: int, now: datetime) -> None:
    """Note that everybody has been looked at."""
    cursor(connection).execute(
        "update plan set finished_at = %s where product_id = %s", (now, product_id)
    )

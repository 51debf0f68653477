"""The life clock of test mode: one row that commands may move."""

from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from app.store import tables
from app.store.database import cursor


def read(connection: Connection) -> datetime | None:
    """Give the moment set; None where it never was."""
    row = cursor(connection).execute("select now from clock").fetchone()
    return row[0] if row else None


def write(connection: Connection, moment: datetime) -> None:
    """Set the moment."""
    statement = upsert(tables.clock).values(one=True, now=moment)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["one"], set_={"now": moment})
    )


def may_go_back(connection: Connection) -> bool:
    """Say whether there is no subscription yet, so that nobody's life would run backwards."""
    return not connection.scalar(select(func.count()).select_from(tables.subscription))

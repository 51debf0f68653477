"""The life clock of test mode: one row that commands move, or that the scheduler walks on."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from app.store import tables
from app.store.database import Session, cursor

NEWS = "reconfirm_clock"
"""The channel on which a walk's order and its end are told."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the clock stands, and where it is to be walked to in steps no finer than `step`.

    `walked` says that it moves by such walks only, and that nothing happens between them.
    """

    now: datetime
    until: datetime | None
    step: timedelta
    walked: bool


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


# --- walked by the scheduler -------------------------------------------------------------------


def order_walk(connection: Connection, until: datetime, step: timedelta) -> None:
    """Ask the scheduler to walk the clock to a moment, doing everything due on the way."""
    run = cursor(connection)
    run.execute("update clock set until = %s, step_seconds = %s", (until, step.total_seconds()))
    run.execute("select pg_notify(%s, '')", (NEWS,))


def standing(connection: Session) -> Standing | None:
    """Give how the clock stands; None where it was never set."""
    row = connection.execute("select now, until, step_seconds from clock").fetchone()
    if row is None:
        return None
    now, until, seconds = row
    return Standing(now, until, timedelta(seconds=seconds or 1), walked=seconds is not None)


def step_to(connection: Session, moment: datetime) -> None:
    """Move on to a moment of the walk; never back."""
    connection.execute("update clock set now = greatest(now, %s)", (moment,))


def arrived(connection: Session, until: datetime) -> None:
    """End a walk that has arrived; one ordered meanwhile stays."""
    with connection.transaction():
        connection.execute("update clock set until = null where until = %s", (until,))
        connection.execute("select pg_notify(%s, '')", (NEWS,))


def has_arrived(connection: Session) -> bool:
    """Say whether no walk is under way."""
    return connection.execute("select 1 from clock where until is not null").fetchone() is None

"""What a process needs of its database before it is sent work."""

from datetime import datetime

from sqlalchemy import Connection

from app.store.database import cursor


def database_time(connection: Connection) -> datetime:
    """Give the time on the clock of the database's machine.

    Nothing is decided by it. It is read to be compared with ours, here and nowhere else: a
    machine whose clock is off would refuse good signatures and keep leases too long.
    """
    run = cursor(connection)
    run.execute("select clock_timestamp()")
    row = run.fetchone()
    if row is None:
        raise LookupError("clock_timestamp")
    moment: datetime = row[0]
    return moment

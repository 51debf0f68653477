"""Connections and transactions.

READ COMMITTED throughout; a batch that a deadlock, a serialization failure or a rival's insert
ended is run again from its start, so the work given to `retrying` must read before it writes.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError

from app.clock import wall
from app.store.arrays import write_plainly

Result = TypeVar("Result")
Session = psycopg.Connection[tuple[Any, ...]]
"""A connection of its own, outside the pool, where each statement commits by itself."""
AGAIN = (errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation)
TRIES = 8
LOCK_TIMEOUT = "30s"
_KEEP_PLANS = "set local plan_cache_mode = force_generic_plan"
FRESH = timedelta(seconds=1)
PATIENCE = 10
"""Seconds that a server is given to take a connection."""


class Database:
    """One PostgreSQL database, with a small pool of connections."""

    def __init__(self, url: str, pool_size: int = 5) -> None:
        """Take a `postgresql://` address; nothing is connected yet."""
        self.url = url
        self.engine: Engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            connect_args={
                "connect_timeout": PATIENCE,
                "options": f"-c timezone=UTC -c lock_timeout={LOCK_TIMEOUT}",
            },
        )
        event.listen(self.engine, "connect", _made)
        event.listen(self.engine, "checkin", _put_back)
        event.listen(self.engine, "checkout", _taken_out)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction that commits at the end of the block, or rolls back on an error."""
        with self.engine.begin() as connection:
            yield connection

    def retrying(self, work: Callable[[Connection], Result], *, few: bool = False) -> Result:
        """Run `work` in a transaction, again where it lost a race; the last error is raised.

        With `few` its statements touch few rows, by their keys: their plans are kept, where they
        would be made anew for each length of an array, which takes longer than the work itself.
        """
        for left in reversed(range(TRIES)):
            try:
                with self.transaction() as connection:
                    if few:
                        cursor(connection).execute(_KEEP_PLANS)
                    return work(connection)
            except (psycopg.Error, DBAPIError) as error:
                if not left or not lost_a_race(error):
                    raise
                _step_aside(self.engine)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _made(driver: psycopg.Connection[Any], _record: Any) -> None:
    write_plainly(driver)


# A connection that lies idle may have died with its server, and is tried before it is used again;
# one that has just been used is not: a round trip for each transaction would be a fifth of it.


def _put_back(_driver: Any, record: Any) -> None:
    record.info["since"] = wall()


def _taken_out(driver: psycopg.Connection[Any], record: Any, _proxy: Any) -> None:
    since = record.info.get("since")
    if since is None or wall() - since < FRESH:
        return
    try:
        driver.execute("")
        driver.rollback()
    except psycopg.Error as error:
        raise DisconnectionError from error  # the pool takes another in its place


def lost_a_race(error: BaseException) -> bool:
    """Say whether the same work may succeed when it is run again."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, AGAIN)


def is_away(error: BaseException) -> bool:
    """Say whether the server cannot be reached, or is going: nothing else can be done there now."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    waited = (*AGAIN, errors.LockNotAvailable, errors.QueryCanceled)
    return isinstance(cause, psycopg.OperationalError) and not isinstance(cause, waited)


def _step_aside(engine: Engine) -> None:
    """Let the rival finish: a moment's wait inside the database, different for each."""
    with engine.connect() as connection:
        pause = random.uniform(0.001, 0.02)  # noqa: S311 - spreads rivals, guards nothing
        cursor(connection).execute("select pg_sleep(%s)", (pause,))


def cursor(connection: Connection) -> psycopg.Cursor[Any]:
    """Give a psycopg cursor inside the connection's transaction, reading in binary."""
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    return driver.cursor(binary=True)

"""Whether this process may be sent work: database, schema, Redis and the clocks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import redis
from flask.typing import ResponseReturnValue

from app.clock import Clock
from app.errors import Refused
from app.restoring import find
from app.store import migrate, readiness
from app.store.database import Database
from app.web.api.bodies import answer
from app.web.problems import problem

MOST_SKEW = timedelta(seconds=30)
PATIENCE = 2
"""Seconds that Redis has to answer."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Checks what this process needs, each on its own."""

    database: Database
    clock: Clock
    redis_url: str | None
    erasure_ledger: Path | None = None

    def readyz(self) -> ResponseReturnValue:
        """Say that this process may be sent work, or name everything that keeps it from that."""
        checks: dict[str, Callable[[], None]] = {"database": self._database}
        if self.redis_url is not None:
            checks["redis"] = self._redis
        failing = [name for name, check in checks.items() if not _well(check)]
        if "database" not in failing:
            later = {"schema": self._schema, "clock": self._clock, "backup": self._backup}
            failing += [name for name, check in later.items() if not _well(check)]
        if failing:
            why = f"This fails: {', '.join(failing)}. `reconfirm doctor` says more."
            raise problem("not-ready", why, failing=failing)
        return answer({"ready": True})

    def _database(self) -> None:
        with self.database.transaction() as connection:
            connection.exec_driver_sql("select 1")

    def _schema(self) -> None:
        migrate.require_newest(self.database)

    def _backup(self) -> None:
        with self.database.transaction() as connection:
            if find(connection, self.erasure_ledger).why is not None:
                raise Refused("restored from a backup")

    def _clock(self) -> None:
        with self.database.transaction() as connection:
            there = readiness.database_time(connection)
        if abs(there - self.clock.wall()) > MOST_SKEW:
            raise Refused("the clocks differ")

    def _redis(self) -> None:
        client = redis.Redis.from_url(
            self.redis_url or "", socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE
        )
        try:
            client.ping()
        finally:
            client.close()


def _well(check: Callable[[], None]) -> bool:
    try:
        check()
    except Exception:  # noqa: BLE001 - whatever it is, this process is not ready
        return False
    return True

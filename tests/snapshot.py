"""Puts a whole database back as it was: what was reached once need not be lived through again."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete

from app.store.database import Database, cursor
from app.store.tables import metadata
from tests.world import MovableClock

TABLES = [table.name for table in metadata.sorted_tables]


@dataclass(frozen=True)
class Snapshot:
    """Every row of every table that has any, and the time it was."""

    moment: datetime
    machine: datetime
    rows: dict[str, bytes]

    @classmethod
    def of(cls, database: Database, clock: MovableClock) -> "Snapshot":
        """Take one."""
        rows: dict[str, bytes] = {}
        with database.transaction() as connection:
            for name in TABLES:
                with cursor(connection).copy(f"copy {name} to stdout (format binary)") as copy:
                    rows[name] = b"".join(bytes(part) for part in copy)
        empty = min(len(text) for text in rows.values())
        filled = {name: text for name, text in rows.items() if len(text) > empty}
        return cls(clock.moment, clock.machine, filled)

    def restore(self, database: Database, clock: MovableClock) -> None:
        """Put it back; numbers given out since are not given out again."""
        clock.moment, clock.machine = self.moment, self.machine
        with database.transaction() as connection:
            connection.exec_driver_sql("set local session_replication_role = replica")
            for each in reversed(metadata.sorted_tables):
                connection.execute(delete(each))
            run = cursor(connection)
            for name, text in self.rows.items():
                with run.copy(f"copy {name} from stdin (format binary)") as copy:
                    copy.write(text)

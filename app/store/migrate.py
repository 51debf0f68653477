"""Brings the schema up to date, and refuses one that is newer than this program."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from app.errors import Refused
from app.store.database import Database

FOLDER = Path(__file__).parent / "migrations"
ONE_AT_A_TIME = 7_361_482_001
"""The key of the advisory lock that makes rival migrations take turns."""


def upgrade(database: Database) -> tuple[str | None, str]:
    """Migrate to the newest schema; give the revision before and after."""
    with database.transaction() as connection:
        connection.execute(text(f"select pg_advisory_xact_lock({ONE_AT_A_TIME})"))
        before = revision(connection)
        _refuse_newer(before)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return before, newest()


def revision(connection: Connection) -> str | None:
    """Give the schema's revision; None where there is no schema yet."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str:
    """Give the revision this program needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise LookupError(FOLDER)
    return head


def require_newest(database: Database) -> None:
    """Refuse to work on a schema that is not the one this program was written for."""
    with database.transaction() as connection:
        found = revision(connection)
    _refuse_newer(found)
    if found != newest():
        raise Refused("the schema is not up to date", "run `reconfirm migrate`")


def _refuse_newer(found: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise Refused(
            f"the schema ({found}) is newer than this program", "install the newer version again"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config

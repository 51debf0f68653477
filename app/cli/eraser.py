"""The role `eraser`: the only one that erases, under a database role of its own."""

import click

from app.cli.role import attached_option, role
from app.errors import Refused
from app.store import erasures
from app.store.database import Database


@click.command("eraser")
@attached_option
def eraser(is_attached: bool) -> None:
    """Make manifests, erase what people agreed to or asked for, and tell targets."""
    with role("eraser", is_attached=is_attached) as (parts, stopping):
        erasing = parts.erasing
        require_role(erasing.eraser.database)
        if parts.settings.clock == "test":
            # There a worker erases: the clock stands until it has.
            stopping.wait()
            return
        erasing.stopping = stopping
        erasing.run()


def require_role(database: Database) -> None:
    """Refuse to begin where the database would not let us erase anything."""
    try:
        with database.transaction() as connection:
            erasures.take_role(connection)
    except Exception as error:
        raise Refused(
            "the database does not let this user act as reconfirm_eraser",
            "grant reconfirm_eraser to the user of RECONFIRM_ERASER_DATABASE_URL",
        ) from error


COMMANDS = (eraser,)

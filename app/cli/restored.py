"""After a backup was restored: who had been erased since is erased again, before anybody serves."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from sqlalchemy import Connection

from app import ledger
from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, say
from app.engine.wiping import wipe
from app.errors import Refused
from app.restoring import WORDS, Restored, Restorer, Wipe
from app.store import installation
from app.store.products import Product

WITHOUT = (
    "name the file with --ledger or RECONFIRM_ERASURE_LEDGER; if nobody was erased since the backup"
    " was made, say --without-ledger"
)


@click.command("restore-check")
@click.option(
    "--ledger",
    "ledger_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The ledger of erasures; RECONFIRM_ERASURE_LEDGER if not given.",
)
@click.option(
    "--without-ledger", is_flag=True, help="Nobody was erased since the backup was made: I know."
)
@click.option("--yes", is_flag=True, help="Do it; without this it is only said what would be.")
@click.option("--export", is_flag=True, help="Only append to the ledger file what it lacks.")
@json_option
@actor_option
def restore_check(
    ledger_file: Path | None,
    without_ledger: bool,
    yes: bool,
    export: bool,
    as_json: bool,
    actor: str,
) -> None:
    """Compare the database with the ledger of erasures, and put a restored one right.

    Products are stopped until a person lifts that, notices that wait are put before a person, acts
    of billing are read back before they are tried, and who was erased since is erased again.
    """
    with installed() as parts:
        path = None if without_ledger else ledger_file or parts.settings.erasure_ledger
        if path is None and not without_ledger:
            raise Refused("there is no ledger of erasures to compare with", WITHOUT)
        if export:
            _export(parts, path, as_json=as_json)
            return
        restorer = Restorer(parts.database, parts.clock, parts.links, _wipe(parts), path)
        with Console(stderr=True).status("Comparing") as status:
            found = (
                restorer.restore(actor, lambda n: status.update(f"{n:,} erased again"))
                if yes
                else restorer.look()
            )
    _print(found, done=yes, as_json=as_json)


def _export(parts: Installation, path: Path | None, *, as_json: bool) -> None:
    if path is None:
        raise Refused("there is no file to export to", WITHOUT)
    with parts.database.transaction() as connection:
        many = ledger.export(connection, path)
    if as_json:
        print_json({"exported": many})
    else:
        say(f"{many:,} entries appended to {path}")


def _wipe(parts: Installation) -> Wipe:
    """Give what wipes one person, keeping what the policy of their round keeps."""

    def work(
        connection: Connection,
        product: Product,
        subscription_id: int,
        erasure_id: str,
        at: datetime,
    ) -> object:
        version = installation.pinned(connection, subscription_id) or product.policy_version
        keep = () if version is None else product.policies[version].keep_categories
        return wipe(connection, product, subscription_id, parts.links, erasure_id, at, keep)

    return work


def _print(found: Restored, *, done: bool, as_json: bool) -> None:
    """Say what was found; exit 1 where something is to be done and was not."""
    if as_json:
        why = None if found.why is None else WORDS[found.why]
        print_json(asdict(found) | {"says": why, "well": found.well, "done": done})
    elif found.well:
        click.echo(f"well: level with the {found.entries:,} entries of the ledger")
    else:
        if found.why is not None:
            click.echo(WORDS[found.why])
        for many, what in _counts(found, done=done):
            click.echo(f"{many:8,} {what}")
        if done:
            click.echo("done: every product is stopped until a person lifts that; start again")
    if not found.well and not done:
        say("nothing was changed; --yes does it")
        raise SystemExit(1)


def _counts(found: Restored, *, done: bool) -> list[tuple[int, str]]:
    counts = [
        (found.lacking, "entries of the ledger that the database lacks"),
        (found.again, "subscriptions erased again" if done else "subscriptions to erase again"),
    ]
    if done:
        counts += [
            (found.brakes, "products stopped"),
            (found.parked, "notices put before a person"),
            (found.doubted, "acts of billing to be read back first"),
        ]
    return counts


COMMANDS = (restore_check,)

"""The addresses that a product does not write to."""

from pathlib import Path
from typing import Any

import click

from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, say
from app.errors import NotFound, Refused
from app.returns import Returns
from app.store import products
from app.store import suppression as store
from app.store.suppression import Entry
from app.world.mail.address import on_the_wire

HINT = 12
"""Hexadecimal digits of a mark that are shown."""
MOST_LISTED = 1000
PRODUCT = click.argument("product_key", metavar="PRODUCT")


@click.group("suppression")
def suppression() -> None:
    """Addresses that bounced for good or complained: nothing is sent there, nor is it kept."""


@suppression.command("list")
@PRODUCT
@json_option
def list_entries(product_key: str, as_json: bool) -> None:
    """List the newest entries, newest first; addresses are not kept, only a hash of each."""
    with installed() as parts, parts.database.transaction() as connection:
        number = products.row_of(connection, product_key).id
        found = [_facts(each) for each in store.entries(connection, number, MOST_LISTED)]
    if as_json:
        print_json(found)
        return
    for each in found:
        since = each["added_at"].strftime("%Y-%m-%d %H:%M")
        click.echo(f"{each['mark']}…  {each['reason']:10} {since}  {each['actor']}")


def _facts(each: Entry) -> dict[str, Any]:
    return {
        "mark": each.mark.hex()[:HINT],
        "reason": each.reason,
        "actor": each.actor,
        "added_at": each.added_at,
    }


@suppression.command("add")
@PRODUCT
@click.argument("file", type=click.Path(exists=True, allow_dash=True, path_type=Path))
@json_option
@actor_option
def add(product_key: str, file: Path, as_json: bool, actor: str) -> None:
    """Add the addresses of a file, one a line, such as another system's list; - reads them."""
    with click.open_file(str(file), encoding="utf-8", errors="replace") as opened:
        lines = [line.strip() for line in opened if line.strip()]
    good = [line for line in lines if _is_address(line)]
    with installed() as parts:
        added = _returns(parts).list_addresses(product_key, good, actor)
    counts = {
        "read": len(lines),
        "added": added,
        "unchanged": len(good) - added,
        "rejected": len(lines) - len(good),
    }
    if as_json:
        print_json(counts)
    else:
        click.echo("  ".join(f"{name} {count}" for name, count in counts.items()))


def _is_address(text: str) -> bool:
    try:
        return bool(on_the_wire(text))
    except Refused:
        return False


@suppression.command("remove")
@PRODUCT
@click.argument("address")
@json_option
@actor_option
def remove(product_key: str, address: str, as_json: bool, actor: str) -> None:
    """Take an address off the list: whoever is reached there is written to again.

    It reads through all contacts, since no index has addresses.
    """
    with installed() as parts:
        removed, reached = _returns(parts).lift(product_key, address, actor)
    if not removed and not reached:
        raise NotFound("the address is not on the list", "see how billing writes it")
    if as_json:
        print_json({"removed": bool(removed), "reached_again": reached})
        return
    click.echo(f"removed; {reached} reached again")
    say("An address in a command may stand in your shell's history.")


def _returns(parts: Installation) -> Returns:
    return Returns(parts.database, parts.clock, parts.links)


COMMANDS = (suppression,)

"""Manifests of who is due to be erased, from the command line: read, approved, refused."""

from typing import Any

import click

from app import manifests as shared
from app.cli.actor import actor_option, json_option
from app.cli.installation import installed, print_json
from app.manifests import Manifests, Standing
from app.store import manifests as store
from app.store import products
from app.store.manifests import Listed, Manifest

MOST_LISTED = 1000
SAMPLE = 20


@click.group("manifest")
def manifest() -> None:
    """Whose data is due to be erased, a manifest a day: two different people approve each."""


PRODUCT = click.argument("product_key", metavar="PRODUCT")
NUMBER = click.argument("number", type=click.IntRange(1, 2**31 - 1), metavar="N")


@manifest.command("list")
@PRODUCT
@json_option
def list_manifests(product_key: str, as_json: bool) -> None:
    """List the newest manifests, newest first."""
    with installed() as parts, parts.database.transaction() as connection:
        number = products.row_of(connection, product_key).id
        found = store.listed(connection, number, None, MOST_LISTED)
    if as_json:
        print_json([facts_of(each) for each in found])
        return
    for each in found:
        click.echo(_line(each))
    if not found:
        click.echo("nobody has been due to be erased yet")


@manifest.command("show")
@PRODUCT
@NUMBER
@click.option("--subscription", help="Only this one, if it is on it.")
@click.option("--all", "everybody", is_flag=True, help="Everybody on it, as CSV.")
@json_option
def show(
    product_key: str, number: int, subscription: str | None, everybody: bool, as_json: bool
) -> None:
    """Show one manifest: its hash, who is on it and how they were warned, and who approved it.

    Shown are some by chance, the same ones for whoever looks.
    """
    with installed() as parts:
        with parts.database.transaction() as connection:
            product, now = products.load(connection, product_key), parts.clock.now()
            found = shared.standing(connection, product, number, now)
            if subscription is not None:
                some = store.search(connection, product.id, number, subscription)
            else:
                some = store.sample(connection, product.id, number, SAMPLE)
            counts = store.counts(connection, product.id, number)
            proved = store.proved(connection, product.id, number)
        if everybody:
            for piece in shared.as_csv(shared.everybody(parts.database, product, number)):
                click.echo(piece, nl=False)
            return
    if as_json:
        warned = proved and {
            "fewest_warnings": proved.fewest,
            "shortest_days_apart": proved.shortest_apart,
            "last_warned_on": proved.last_on,
            "earliest_erase_on": proved.earliest_on,
            "latest_erase_on": proved.latest_on,
        }
        people = [_person(each) for each in some]
        print_json(_told(found) | {"counts": counts, "warned": warned, "sample": people})
        return
    _print(found)
    for name, values in counts.items():
        for value, many in values:
            click.echo(f"  {name:8} {value:20} {many:8}")
    if proved is not None:
        click.echo(
            f"  warned at least {proved.fewest} times, {proved.shortest_apart} days apart or more,"
            f" last on {proved.last_on} at the latest; to be erased from {proved.earliest_on} on"
        )
    for each in some:
        click.echo(f"  {_one(each)}")
    if subscription is not None and not some:
        click.echo(f"  {subscription} is not on it")


@manifest.command("approve")
@PRODUCT
@NUMBER
@click.option(
    "--hash",
    "seen",
    required=True,
    metavar="HASH",
    help="The hash of the manifest that you have read: `reconfirm manifest show` prints it.",
)
@json_option
@actor_option
def approve(product_key: str, number: int, seen: str, as_json: bool, actor: str) -> None:
    """Approve that the very people on a manifest are erased.

    Whoever works on the command line is one person, under whatever name: the other one approves in
    the console. Each is checked once more at the moment their erasure begins.
    """
    with installed() as parts:
        desk = Manifests(parts.database, parts.clock)
        found = desk.approve(product_key, number, seen, actor)
    _say(found, as_json=as_json)


@manifest.command("refuse")
@PRODUCT
@NUMBER
@json_option
@actor_option
def refuse(product_key: str, number: int, as_json: bool, actor: str) -> None:
    """Refuse a manifest, approved or not: nobody else on it is erased.

    Its people are not collected again for 30 days. Whose erasure has begun is erased.
    """
    with installed() as parts:
        found = Manifests(parts.database, parts.clock).refuse(product_key, number, actor)
    _say(found, as_json=as_json)


# --- in words --------------------------------------------------------------------------------


def facts_of(each: Manifest) -> dict[str, Any]:
    """Give a manifest as facts; the hash in hex."""
    return {
        "number": each.number,
        "day": each.day,
        "state": each.state,
        "people": each.people,
        "hash": each.hash.hex() if each.hash else None,
        "made_by": each.made_by,
        "made_at": each.made_at,
        "approved_at": each.approved_at,
        "refused_by": each.refused_by,
        "refused_at": each.refused_at,
        "ended_at": each.ended_at,
    }


def _told(found: Standing) -> dict[str, Any]:
    approvals = [
        {
            "actor": each.actor,
            "approved_at": each.approved_at,
            "counts": each.actor in found.counting,
        }
        for each in found.approvals
    ]
    return facts_of(found.manifest) | {"approvals": approvals, "lacks": found.lacks}


def _person(each: Listed) -> dict[str, Any]:
    names = [name for name in shared.COLUMNS if name != "external_id"]
    return {"subscription": each.external_id} | {name: getattr(each, name) for name in names}


def _line(each: Manifest) -> str:
    people = "" if each.people is None else f"{each.people} people"
    return f"{each.number:5} {each.day} {each.state:9} {people}".rstrip()


def _one(each: Listed) -> str:
    passed = f" {each.skipped}" if each.skipped else ""
    return (
        f"{each.external_id or 'erased':20} {each.stage} {each.since}, {each.why}, warned"
        f" {each.warned} times until {each.warned_on}, {each.state}{passed}"
    )


def _print(found: Standing) -> None:
    click.echo(_line(found.manifest))
    if found.manifest.hash is not None:
        click.echo(f"  hash     {found.manifest.hash.hex()}")
    for each in found.approvals:
        counts = "" if each.actor in found.counting else ", which does not count now"
        click.echo(f"  approved {each.approved_at:%Y-%m-%d %H:%M} by {each.actor}{counts}")
    if found.manifest.state == store.WAITING:
        click.echo(f"  {found.lacks} more must approve it")


def _say(found: Standing, *, as_json: bool) -> None:
    if as_json:
        print_json(_told(found))
        return
    _print(found)


COMMANDS = (manifest,)

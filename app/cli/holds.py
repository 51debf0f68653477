"""Holds on erasure from the command line: set, listed, released."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json
from app.engine import holds as engine
from app.engine.holds import Wanted
from app.errors import NotFound
from app.store import holds as store
from app.store import population, products
from app.store.holds import Hold, Reason

MOST_LISTED = 1000
REASONS = [str(each) for each in Reason]


@click.group("hold")
def hold() -> None:
    """Holds on erasure. A hold stops erasure and nothing else."""


PRODUCT = click.argument("product_key", metavar="PRODUCT")
NUMBER = click.argument("number", type=click.IntRange(1, 2**63 - 1), metavar="ID")
DAY = click.option(
    "--review-on",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="When a person is to look at it again: in 90 days if not given, in two years at most.",
)


@hold.command("add")
@PRODUCT
@click.argument("subscription")
@click.option(
    "--reason", type=click.Choice([str(each) for each in Reason]), required=True, help="Why."
)
@DAY
@json_option
@actor_option
def add(
    product_key: str,
    subscription: str,
    reason: str,
    review_on: datetime | None,
    as_json: bool,
    actor: str,
) -> None:
    """Keep somebody from being erased; several holds may be on one subscription.

    The day of review lets nothing lapse: until somebody releases it, it holds. Who is being erased
    already cannot be held any more.
    """
    with installed() as parts:
        sid = _found(parts, product_key, subscription)
        wanted = Wanted(sid, Reason(reason), review_on.date() if review_on else None)
        made = engine.add(parts.database, parts.clock, product_key, wanted, actor)
    _print(made, as_json=as_json)


@hold.command("list")
@click.argument("product_key", metavar="[PRODUCT]", required=False)
@click.option("--subscription", help="Only those on this one.")
@click.option("--all", "released", is_flag=True, help="Those that were released, too.")
@json_option
def list_holds(
    product_key: str | None, subscription: str | None, released: bool, as_json: bool
) -> None:
    """List the holds that are on; a star marks those whose day of review has come."""
    with installed() as parts:
        found = _listed(parts, product_key, subscription, released=released)
        today = parts.clock.now().date()
    if as_json:
        print_json([{"product": key} | _facts(each) for key, each in found])
        return
    for key, each in found:
        star = "*" if each.on and each.review_on <= today else " "
        click.echo(f"{star} {key:10} {_line(each)}")
    if not found:
        click.echo("nobody is held")


@hold.command("release")
@PRODUCT
@NUMBER
@json_option
@actor_option
def release(product_key: str, number: int, as_json: bool, actor: str) -> None:
    """Release one hold; the others on the same subscription stay."""
    with installed() as parts:
        found = engine.release(parts.database, parts.clock, product_key, number, actor)
    _print(found, as_json=as_json)


@hold.command("review")
@PRODUCT
@NUMBER
@DAY
@json_option
@actor_option
def review(
    product_key: str, number: int, review_on: datetime | None, as_json: bool, actor: str
) -> None:
    """Say that you have looked at a hold and that it goes on, until it is looked at again."""
    day = review_on.date() if review_on else None
    with installed() as parts:
        found = engine.review(parts.database, parts.clock, product_key, number, day, actor)
    _print(found, as_json=as_json)


def _found(parts: Installation, product_key: str, subscription: str) -> int:
    with parts.database.transaction() as connection:
        product_id = products.row_of(connection, product_key).id
        found = population.find(connection, product_id, subscription)
    if found is None:
        raise NotFound(
            f"{product_key} has no subscription {subscription!r}",
            "use the id under which billing knows it",
        )
    return found


def _listed(
    parts: Installation, product_key: str | None, subscription: str | None, *, released: bool
) -> list[tuple[str, Hold]]:
    """Give (product, hold), of one product or of all."""
    if subscription is not None and product_key is None:
        raise click.UsageError("--subscription needs a PRODUCT")
    sid = None
    if product_key is not None and subscription is not None:
        sid = _found(parts, product_key, subscription)
    with parts.database.transaction() as connection:
        keys = [product_key] if product_key else products.keys(connection)
        rows = [(key, products.row_of(connection, key).id) for key in keys]
        return [
            (key, each)
            for key, number in rows
            for each in store.listed(
                connection, number, 0, MOST_LISTED, subscription_id=sid, released=released
            )
        ]


def _facts(each: Hold) -> dict[str, Any]:
    return {name: value for name, value in asdict(each).items() if name != "subscription_id"}


def _line(each: Hold) -> str:
    until = f"review on {each.review_on}"
    if each.released_at is not None:
        until = f"released {each.released_at:%Y-%m-%d} by {each.released_by}"
    source = f" ({each.source})" if each.source else ""
    who = each.subscription or "erased"
    set_ = f"set {each.set_at:%Y-%m-%d} by {each.set_by}"
    return f"{each.id:6} {who:20} {each.reason:12} {set_}{source}, {until}"


def _print(each: Hold, *, as_json: bool) -> None:
    if as_json:
        print_json(_facts(each))
        return
    click.echo(_line(each))


COMMANDS = (hold,)

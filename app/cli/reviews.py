"""The cases that subscribers want a person to look at, and who wants to be erased."""

from dataclasses import asdict
from typing import Any

import click

from app.cli.actor import actor_option, json_option
from app.cli.installation import installed, print_json
from app.engine import reviews as engine
from app.errors import NotFound
from app.lifecycle.case import Erasure, Finding
from app.store import products
from app.store import reviews as store
from app.store.reviews import Review

MOST_LISTED = 1000
CODES: dict[str, Finding | Erasure] = {str(each): each for each in (*Finding, *Erasure)}
"""What a case can end with."""


@click.group("review")
def review() -> None:
    """Cases that subscribers want a person to look at, or to erase."""


PRODUCT = click.argument("product_key", metavar="PRODUCT")
NUMBER = click.argument("number", type=int, metavar="ID")


@review.command("list")
@PRODUCT
@click.option(
    "--state",
    type=click.Choice(store.STATES),
    default=store.OPEN,
    show_default=True,
    help="Those in this state.",
)
@json_option
def list_reviews(product_key: str, state: str, as_json: bool) -> None:
    """List the cases: requests to erase by the day they are due, then who has waited longest."""
    with installed() as parts, parts.database.transaction() as connection:
        number = products.row_of(connection, product_key).id
        found = store.listed(connection, number, (state,), 0, MOST_LISTED)
    if as_json:
        print_json([_facts(each) for each in found])
        return
    for each in found:
        due = f"by {each.due_on} " if each.due_on else ""
        click.echo(
            f"{each.id:6} {each.state:9} {each.asked_at:%Y-%m-%d %H:%M} {each.subscription:20}"
            f" {each.reason:12} {due}{each.outcome or ''}".rstrip()
        )
    if not found:
        click.echo(f"none is {state}")


@review.command("show")
@PRODUCT
@NUMBER
@json_option
def show(product_key: str, number: int, as_json: bool) -> None:
    """Show one case; `reconfirm subject explain` tells its whole story."""
    with installed() as parts, parts.database.transaction() as connection:
        product_id = products.row_of(connection, product_key).id
        found = store.entry(connection, product_id, number)
    if found is None:
        raise NotFound(
            f"{product_key} has no review {number}", "`reconfirm review list` shows them"
        )
    _print(found, as_json=as_json)


@review.command("done")
@PRODUCT
@NUMBER
@click.argument("finding", type=click.Choice(list(CODES)), metavar="CODE")
@json_option
@actor_option
def done(product_key: str, number: int, finding: str, as_json: bool, actor: str) -> None:
    """Say what you found: put_right, as_it_should_be or settled_directly.

    The case goes on; no deadline falls sooner than three days from now. The subscriber's page says
    what was found.

    A request to erase is carried out by itself, a day after it was made. You end it here only by
    refusing it (erasure_refused_legal, erasure_refused_dispute or erasure_refused_restriction), or
    with erased_by_hand where you erased everything without us: then nothing more is erased.
    """
    with installed() as parts:
        found = engine.finish(
            parts.database, parts.clock, product_key, number, CODES[finding], actor
        )
    _print(found, as_json=as_json)


def _facts(each: Review) -> dict[str, Any]:
    return {name: value for name, value in asdict(each).items() if name != "subscription_id"}


def _print(found: Review, *, as_json: bool) -> None:
    facts = _facts(found)
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        if value is not None:
            click.echo(f"{name.replace('_', ' '):12} {value}")


COMMANDS = (review,)

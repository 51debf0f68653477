"""One subscription in words: facts, stage, next look, next step, and what blocks it."""

import click

from app.cli.actor import json_option
from app.cli.installation import installed, print_json
from app.engine.explain import Explanation, explain
from app.errors import NotFound
from app.store import population, products, tombstones


@click.group("subject")
def subject() -> None:
    """One person's subscription."""


@subject.command("explain")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("subscription")
@json_option
def explain_(product_key: str, subscription: str, as_json: bool) -> None:
    """Say where a subscription stands, what comes next and what blocks it.

    Of one that was erased nothing else is said.
    """
    with installed() as parts, parts.database.transaction() as connection:
        product = products.load(connection, product_key)
        found = population.find(connection, product.id, subscription)
        if found is None and tombstones.gone(connection, parts.links, product.id, [subscription]):
            _print_erased(subscription, as_json=as_json)
            return
        if found is None:
            raise NotFound(
                f"{product_key} has no subscription {subscription!r}",
                "use the id under which billing knows it",
            )
        told = explain(connection, product, found, parts.clock.now())
    if as_json:
        print_json(
            told.facts
            | {"next": told.next_step, "blocked_by": told.blocked_by, "story": told.story}
        )
    else:
        _print(subscription, told)


def _print_erased(subscription: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"stage": "erased"})
    else:
        click.echo(f"{subscription}: erased")


def _print(subscription: str, told: Explanation) -> None:
    click.echo(f"{subscription}: {told.facts['stage']}")
    for name, value in told.facts.items():
        if value is not None:
            click.echo(f"  {name.replace('_', ' '):18} {value}")
    click.echo(f"Next: {told.next_step}")
    for why in told.blocked_by:
        click.echo(f"Blocked: {why}")
    for line in told.story:
        click.echo(
            f"  {line['at']:%Y-%m-%d %H:%M}  {line['what']:28} {line['why']:32} {line['actor']}"
        )

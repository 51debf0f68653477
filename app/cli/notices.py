"""What notices said, and how the next would look."""

from typing import Any

import click
from sqlalchemy import Connection

from app.cli.actor import json_option
from app.cli.installation import installed, print_json
from app.cli.previewing import preview, send_test
from app.errors import NotFound
from app.store import evidence, population, products
from app.store.evidence import Shown
from app.world.mail.draft import Draft
from app.world.mail.wording import again, same_templates

CHANGED = (
    "its templates have changed since: this is how it was sent, and no more how it would be today"
)


@click.group("notice")
def notice() -> None:
    """What people have been told."""


@notice.command("show")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("subscription")
@click.option("--round", "number", type=int, help="The notices of one round only.")
@click.option("--html", "as_html", is_flag=True, help="The HTML part in place of the text.")
@json_option
def show(
    product_key: str, subscription: str, number: int | None, as_html: bool, as_json: bool
) -> None:
    """Show what somebody was told, word for word, and what came back of it.

    Their own link is not kept, and stands as [link]; addresses are not kept either.
    """
    with installed() as parts, parts.database.transaction() as connection:
        found = _found(connection, product_key, subscription, number)
    if as_json:
        print_json([_facts(each) for each in found])
        return
    for each in found:
        _print(each, as_html=as_html)
    if not found:
        click.echo("no notice has been handed over")


def _found(
    connection: Connection, product_key: str, subscription: str, number: int | None
) -> list[Shown]:
    product_id = products.row_of(connection, product_key).id
    known = population.find(connection, product_id, subscription)
    if known is None:
        raise NotFound(
            f"{product_key} has no subscription {subscription!r}",
            "use the id under which billing knows it",
        )
    return evidence.of_subscription(connection, known, number)


def _written(each: Shown) -> Draft:
    return again(Draft(each.words.subject, each.words.text, each.words.html), each.told)


def _unchanged(each: Shown) -> bool:
    return same_templates(each.words.language, each.words.notice, each.words.templates)


def _facts(each: Shown) -> dict[str, Any]:
    written = _written(each)
    return {
        "round": each.round,
        "notice": each.words.notice,
        "version": each.version,
        "language": each.words.language,
        "handed_over_at": each.handed_over_at,
        "bounced_at": each.bounced_at,
        "complained_at": each.complained_at,
        "templates": each.words.templates.hex(),
        "templates_changed": not _unchanged(each),
        "facts": each.facts,
        "told": each.told,
        "subject": written.subject,
        "text": written.text,
        "html": written.html,
    }


def _print(each: Shown, *, as_html: bool) -> None:
    written = _written(each)
    click.echo(
        f"=== {each.words.notice} of round {each.round}, in {each.words.language},"
        f" handed over {each.handed_over_at:%Y-%m-%d %H:%M} UTC"
    )
    for what, at in (("came back", each.bounced_at), ("complained of", each.complained_at)):
        if at is not None:
            click.echo(f"{what} {at:%Y-%m-%d %H:%M} UTC")
    if not _unchanged(each):
        click.echo(CHANGED)
    click.echo(f"\nSubject: {written.subject}\n\n{written.html if as_html else written.text}")


for each in (preview, send_test):
    notice.add_command(each)

COMMANDS = (notice,)

"""The refund ledger: wrong charges, proposed by the comparison with billing, decided by people."""

import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from app import refunding
from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json
from app.errors import NotFound
from app.refunding import Ledger
from app.store import products
from app.store import refunds as store
from app.store.refunds import Entry

MOST_LISTED = 1000
DECEMBER = 12


@click.group("refund")
def refund() -> None:
    """Charges made after a suspension, and giving them back."""


PRODUCT = click.argument("product_key", metavar="PRODUCT")
NUMBER = click.argument("number", type=int, metavar="ID")


@refund.command("list")
@PRODUCT
@click.option("--state", type=click.Choice(store.STATES), help="Only those in this state.")
@click.option("--month", help="The sums for the charges of a month, such as 2026-11.")
@json_option
def list_refunds(product_key: str, state: str | None, month: str | None, as_json: bool) -> None:
    """List the newest entries, newest first; or the sums of a month, by currency and state."""
    if month is not None:
        _print_month(product_key, month, as_json=as_json)
        return
    states = (state,) if state else store.STATES
    with installed() as parts, parts.database.transaction() as connection:
        number = products.row_of(connection, product_key).id
        found = store.listed(connection, number, states, MOST_LISTED)
    if as_json:
        print_json([_facts(each) for each in found])
        return
    for each in found:
        click.echo(_line(each))


def _print_month(product_key: str, month: str, *, as_json: bool) -> None:
    start, end = _month(month)
    with installed() as parts, parts.database.transaction() as connection:
        number = products.row_of(connection, product_key).id
        found = store.month(connection, number, start, end)
    sums: dict[str, dict[str, dict[str, int]]] = {}
    for currency, state, many, minor in found:
        sums.setdefault(currency, {})[state] = {"entries": many, "minor_units": minor}
    if as_json:
        print_json({"month": month, "currencies": sums})
        return
    for currency, state, many, minor in found:
        click.echo(f"{currency}  {state:9} {many:6} entries  {minor:12} minor units")
    if not found:
        click.echo(f"no wrong charge in {month}")


def _month(text: str) -> tuple[datetime, datetime]:
    """Give the first moment of a month and of the next, in UTC."""
    found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", text, re.ASCII)
    if found is None or text.startswith(("0000", "9999")):
        raise click.BadParameter(f"{text[:20]!r} is no month: write 2026-11")
    year, number = int(found[1]), int(found[2])
    start = datetime(year, number, 1, tzinfo=UTC)
    following = (year + 1, 1) if number == DECEMBER else (year, number + 1)
    return start, datetime(*following, 1, tzinfo=UTC)


def _facts(each: Entry) -> dict[str, Any]:
    left_out = {
        "fence",
        "in_hand",
        "subscription_id",
        "unknown",
        "refunded_before",
        "first_tried_at",
    }
    facts = {name: value for name, value in asdict(each).items() if name not in left_out}
    return facts | {"owed": each.owed, "mend": refunding.mend_of(each)}


def _line(each: Entry) -> str:
    said = f"  {each.error}" if each.error else ""
    return (
        f"{each.id:6} {each.state:9} {each.charged_at:%Y-%m-%d %H:%M} {each.subscription:20}"
        f" {each.owed or each.amount:10} {each.currency}{said}"
    )


@refund.command("show")
@PRODUCT
@NUMBER
@json_option
def show(product_key: str, number: int, as_json: bool) -> None:
    """Show one entry with its evidence, and what to do about it."""
    with installed() as parts, parts.database.transaction() as connection:
        product_id = products.row_of(connection, product_key).id
        found = store.entry(connection, product_id, number)
    if found is None:
        raise NotFound(
            f"{product_key} has no refund {number}", "`reconfirm refund list` shows them"
        )
    _print(found, as_json=as_json)


def _print(found: Entry, *, as_json: bool) -> None:
    facts = _facts(found)
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        if value is not None and name != "absurd":
            click.echo(f"{name.replace('_', ' '):14} {value}")


@refund.command("approve")
@PRODUCT
@NUMBER
@json_option
@actor_option
def approve(product_key: str, number: int, as_json: bool, actor: str) -> None:
    """Have a charge given back; one that failed is tried again."""
    with installed() as parts:
        _print(_ledger(parts).approve(product_key, number, actor), as_json=as_json)


@refund.command("decline")
@PRODUCT
@NUMBER
@click.option(
    "--why",
    type=click.Choice(refunding.WHYS),
    required=True,
    help="The reason, kept in the history.",
)
@json_option
@actor_option
def decline(product_key: str, number: int, why: str, as_json: bool, actor: str) -> None:
    """Give nothing back for a charge through billing."""
    with installed() as parts:
        _print(_ledger(parts).decline(product_key, number, actor, why), as_json=as_json)


def _ledger(parts: Installation) -> Ledger:
    return parts.books.ledger


COMMANDS = (refund,)

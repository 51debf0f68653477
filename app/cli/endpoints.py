"""Endpoints that are told what happens, and the messages on their way to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from sqlalchemy import Connection

from app import signing
from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, say
from app.engine import news
from app.engine.webhooks import endpoint_of
from app.errors import Conflict, NotFound, Refused
from app.store import cases, products, webhooks
from app.store.cases import HistoryWrite
from app.store.products import BILLING
from app.world.hooks import checked_url
from app.world.outcome import Done, Later, No

FAMILIES = tuple(sorted({f"{each.partition('.')[0]}.*" for each in news.TYPES}))
STATES = ("pending", "claimed", "delivered", "parked")
MOST = 1000


@click.group("endpoint")
def endpoint() -> None:
    """Where a product is told what happens: addresses that take signed messages."""


@endpoint.command("add")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("url")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    help="A type it wants, or all of a kind such as erasure.*; billing for commands. Repeatable;"
    " without it, every type but the commands.",
)
@json_option
@actor_option
def add(product_key: str, url: str, types: tuple[str, ...], as_json: bool, actor: str) -> None:
    """Add an endpoint; prints the secret its messages are signed with, once."""
    wanted = sorted({_type(each) for each in types})
    secret = signing.new_secret()
    with installed() as parts:
        address = checked_url(url, local=parts.settings.clock == "test")
        with parts.database.transaction() as connection:
            row = products.row_of(connection, product_key)
            if BILLING in wanted:
                _check_billing(connection, row)
            now = parts.clock.now()
            number = webhooks.add_endpoint(connection, row.id, address, wanted, secret, now)
            _note(connection, parts, row.id, "endpoint_added", actor)
    if as_json:
        print_json({"id": number, "url": address, "types": wanted, "signing_secret": secret})
        return
    click.echo(f"endpoint {number} added\nsigning secret   {secret}")
    say("The secret is not shown again. Try it out: reconfirm webhook test.")


def _type(given: str) -> str:
    text = BILLING if given == "billing" else given
    if text not in (*news.TYPES, *FAMILIES, BILLING):
        there = ", ".join((*FAMILIES, "billing", *news.TYPES))
        raise click.BadParameter(f"{given[:60]!r} is no type; there are: {there}")
    return text


def _check_billing(connection: Connection, product: Any) -> None:
    """Refuse commands for a billing system that takes none, and a second who carries them out."""
    if product.billing != "standard":
        raise Refused(
            f"{product.key} is on {product.billing!r}, which is not told by webhook",
            "commands go to products added with --billing standard",
        )
    webhooks.hold_endpoints(connection, product.id)
    for each in webhooks.live_endpoints(connection, product.id):
        if BILLING in each.types:
            raise Conflict(
                f"endpoint {each.id} of {product.key} takes the commands for billing already",
                f"retire it first: `reconfirm endpoint retire {product.key} {each.id}`",
            )


@endpoint.command("list")
@click.argument("product_key", metavar="PRODUCT")
@json_option
def list_endpoints(product_key: str, as_json: bool) -> None:
    """List a product's endpoints, without their secrets."""
    with installed() as parts, parts.database.transaction() as connection:
        found = webhooks.endpoints(connection, products.row_of(connection, product_key).id)
    if as_json:
        print_json([_facts(each) for each in found])
        return
    for each in found:
        state = "retired" if each.retired_at else "live"
        rotating = "  rotating" if len(each.secrets) > 1 else ""
        wants = ", ".join(each.types) or "every event"
        click.echo(f"{each.id:4} {state:8} {each.url}  {wants}{rotating}")


def _facts(each: webhooks.Endpoint) -> dict[str, Any]:
    return {
        "id": each.id,
        "url": each.url,
        "types": each.types,
        "rotating": len(each.secrets) > 1,
        "created_at": each.created_at,
        "retired_at": each.retired_at,
    }


@endpoint.command("retire")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("number", type=int, metavar="ID")
@json_option
@actor_option
def retire(product_key: str, number: int, as_json: bool, actor: str) -> None:
    """Send nothing more to an endpoint; what waits for it is parked."""
    with installed() as parts, parts.database.transaction() as connection:
        endpoint_of(connection, product_key, number)
        webhooks.retire(connection, number, parts.clock.now())
        product_id = products.row_of(connection, product_key).id
        _note(connection, parts, product_id, "endpoint_retired", actor)
    if as_json:
        print_json({"id": number, "retired": True})
        return
    click.echo(f"endpoint {number} retired")


@endpoint.command("rotate")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("number", type=int, metavar="ID")
@click.option("--finish", is_flag=True, help="The receiver knows the new secret: drop the old.")
@json_option
@actor_option
def rotate(product_key: str, number: int, finish: bool, as_json: bool, actor: str) -> None:
    """Give an endpoint a new secret; both sign until `--finish`."""
    secret = None if finish else signing.new_secret()
    with installed() as parts, parts.database.transaction() as connection:
        product_id = products.row_of(connection, product_key).id
        webhooks.hold_endpoints(connection, product_id)
        found = endpoint_of(connection, product_key, number)
        webhooks.set_secrets(connection, number, _rotated(found, secret))
        _note(connection, parts, product_id, "endpoint_rotated", actor)
    if as_json:
        print_json({"id": number, "signing_secret": secret, "finished": finish})
        return
    if secret is None:
        click.echo(f"endpoint {number}: only the newest secret signs now")
        return
    click.echo(f"new signing secret   {secret}")
    say("Both sign until `reconfirm endpoint rotate --finish`. It is not shown again.")


def _rotated(found: webhooks.Endpoint, secret: str | None) -> list[str]:
    if secret is None:
        if len(found.secrets) < 2:  # noqa: PLR2004 - the new and the old
            raise Conflict(f"endpoint {found.id} is not rotating", "run it without --finish first")
        return found.secrets[:1]
    if len(found.secrets) > 1:
        raise Conflict(f"endpoint {found.id} is rotating already", "run it with --finish first")
    return [secret, *found.secrets]


# --- messages ----------------------------------------------------------------------------------


@click.group("webhook")
def webhook() -> None:
    """Messages to endpoints: what waits, what came of it, sending it again."""


@webhook.command("list")
@click.argument("product_key", metavar="PRODUCT")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1, MOST), default=100, show_default=True)
@json_option
def list_webhooks(product_key: str, state: str | None, limit: int, as_json: bool) -> None:
    """List a product's messages, newest first."""
    with installed() as parts, parts.database.transaction() as connection:
        product_id = products.row_of(connection, product_key).id
        rows = _plain(webhooks.listed(connection, product_id, state, limit))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        came = row["error"] or row["status"] or ""
        click.echo(
            f"{row['id']:8} {row['state']:9} {row['type']:27} {row['subscription'] or '':20}"
            f" to {row['endpoint']}, {row['tries']} tries  {came}"
        )


@webhook.command("show")
@click.argument("number", type=int, metavar="ID")
@json_option
def show(number: int, as_json: bool) -> None:
    """Show one message: its body, and what came of each try."""
    with installed() as parts, parts.database.transaction() as connection:
        row = webhooks.shown(connection, number)
        if row is None:
            raise _no_message(number)
        tries = _plain(webhooks.tries(connection, number))
    names = ("id", "message_id", "type", "state", "happened_at", "not_before", "status", "error")
    facts = {name: getattr(row, name) for name in names} | {"endpoint": row.endpoint_id}
    if as_json:
        print_json(facts | {"body": row.body, "tries": tries})
        return
    click.echo(f"{row.message_id}  {row.type}  {row.state}\n{row.body}")
    for each in tries:
        came = each["error"] or each["status"]
        click.echo(f"{_moment(each['at'])}  {came}  {each['took_ms']} ms")


@webhook.command("replay")
@click.argument("number", type=int, metavar="[ID]", required=False)
@click.option("--parked", "product_key", metavar="PRODUCT", help="All parked ones of a product.")
@json_option
def replay(number: int | None, product_key: str | None, as_json: bool) -> None:
    """Send a message again under the same id, or every parked one of a product."""
    if (number is None) == (product_key is None):
        raise click.UsageError("give the ID of a message, or --parked and a product")
    with installed() as parts, parts.database.transaction() as connection:
        many = _replay(connection, number, product_key, parts.clock.now())
    if as_json:
        print_json({"replayed": many})
        return
    click.echo(f"{many} message{'' if many == 1 else 's'} to be sent again")


def _replay(
    connection: Connection, number: int | None, product_key: str | None, now: datetime
) -> int:
    if product_key is not None:
        product_id = products.row_of(connection, product_key).id
        return webhooks.replay_parked(connection, product_id, now)
    if number is None or webhooks.shown(connection, number) is None:
        raise _no_message(number)
    if not webhooks.replay(connection, number, now):
        raise Conflict(
            f"message {number} is on its way, or its endpoint was retired",
            f"`reconfirm webhook show {number}` says how it stands",
        )
    return 1


@webhook.command("test")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("number", type=int, metavar="ID")
@json_option
def test(product_key: str, number: int, as_json: bool) -> None:
    """Send a signed `webhook.test` message to an endpoint now, and say what came back."""
    with installed() as parts:
        sent = parts.hooks.test(product_key, number)
    arrived = isinstance(sent.outcome, Done)
    if as_json:
        print_json(
            {
                "message_id": sent.delivery.message_id,
                "arrived": arrived,
                "status": sent.status,
                "error": sent.error,
                "took_ms": sent.took_ms,
            }
        )
    else:
        came = f"http {sent.status}" if arrived else sent.error
        click.echo(f"{sent.delivery.message_id}  {came}  {sent.took_ms} ms")
    if isinstance(sent.outcome, Later | No):
        raise SystemExit(1)


def _no_message(number: int | None) -> NotFound:
    return NotFound(f"there is no message {number}", "`reconfirm webhook list` shows them")


def _plain(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def _moment(at: datetime) -> str:
    return str(news.moment(at))


def _note(
    connection: Connection, parts: Installation, product_id: int, what: str, actor: str
) -> None:
    line = HistoryWrite(None, None, what, "command", None)
    cases.insert_history(connection, product_id, parts.clock.now(), actor, [line])


COMMANDS = (endpoint, webhook)

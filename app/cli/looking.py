"""What came of asking, and the effects that wait for a person."""

from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import click
from psycopg.errors import QueryCanceled

from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, say
from app.engine import parked
from app.errors import Conflict, Refused
from app.store import funnel as store
from app.store import products, queues
from app.store.funnel import Step
from app.store.queues import Parked

PRODUCT = click.argument("product_key", metavar="PRODUCT")
DAY = click.DateTime(["%Y-%m-%d"])
A_MONTH = timedelta(days=29)
ONE_DAY = timedelta(days=1)


@click.command("funnel")
@PRODUCT
@click.option("--from", "first", type=DAY, help="The first day (UTC); 29 days before the last.")
@click.option("--to", "last", type=DAY, help="The last day (UTC); today if not given.")
@click.option("--by", type=click.Choice(list(store.BY)), help="Tell each step apart by this.")
@json_option
def funnel(
    product_key: str, first: datetime | None, last: datetime | None, by: str | None, as_json: bool
) -> None:
    """Count who came to each step between two days, and what they pay a month."""
    with installed() as parts:
        until = last.date() if last else parts.clock.now().date()
        since = first.date() if first else until - A_MONTH
        if until < since:
            raise Refused("it ends before it begins", "give --from a day before that of --to")
        found = _came(parts, product_key, since, until, by)
    if as_json:
        told = {"product": product_key, "from": since, "to": until, "by": by}
        print_json(told | {"steps": [_step(each) for each in found]})
        return
    for each in found:
        money = ", ".join(f"{many:,} {currency}" for currency, many in each.monthly)
        group = "" if each.group is None else f" {each.group or '?'}"
        click.echo(f"{each.people:10,} {each.step}{group}  {money}".rstrip())
    say("Amounts are what they pay a month, in the minor unit.")


def _came(
    parts: Installation, product_key: str, first: date, last: date, by: str | None
) -> list[Step]:
    begin, end = (datetime.combine(day, time(), UTC) for day in (first, last + ONE_DAY))
    try:
        with parts.database.transaction() as connection:
            number = products.row_of(connection, product_key).id
            return store.steps(store.came(connection, number, begin, end, by), by)
    except QueryCanceled:
        raise Conflict("counting takes too long", "ask for fewer days") from None


def _step(each: Step) -> dict[str, Any]:
    money = [{"currency": currency, "amount": many} for currency, many in each.monthly]
    return asdict(each) | {"monthly": money}


@click.group("outbox")
def outbox() -> None:
    """Effects that were put before a person: what the world did not do."""


@outbox.command("list")
@PRODUCT
@click.option("--after", type=click.IntRange(0, 2**63 - 1), default=0, help="Behind this number.")
@json_option
def list_parked(product_key: str, after: int, as_json: bool) -> None:
    """List parked effects, a page of them."""
    with installed() as parts, parts.database.transaction() as connection:
        number = products.row_of(connection, product_key).id
        found = queues.parked(connection, number, after)
    page, more = found[: queues.A_PAGE], len(found) > queues.A_PAGE
    if as_json:
        following = page[-1].id if more else None
        effects = [_effect(each) for each in page]
        print_json({"product": product_key, "effects": effects, "after": following})
        return
    for each in page:
        end = "" if each.may_be_retried else "; no third copy is sent"
        why = each.error or "no reason"
        click.echo(f"{each.id:8} {each.kind:22} {each.external_id}  {each.tries} tries: {why}{end}")
    if more:
        say(f"There are more: --after {page[-1].id}")
    if not page:
        click.echo("nothing is parked")


def _effect(each: Parked) -> dict[str, Any]:
    return {
        "id": each.id,
        "subscription": each.external_id,
        "kind": each.kind,
        "tries": each.tries,
        "error": each.error,
        "may_be_retried": each.may_be_retried,
    }


@outbox.command("retry")
@PRODUCT
@click.argument("number", type=click.IntRange(1, 2**63 - 1))
@actor_option
def retry(product_key: str, number: int, actor: str) -> None:
    """Let a parked effect be tried again; the rules are asked again before it is done."""
    with installed() as parts:
        found = parked.retry(parts.database, parts.clock, product_key, number, actor)
    click.echo(f"{found.kind} of {found.external_id} is tried again")


COMMANDS = (funnel, outbox)

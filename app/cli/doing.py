"""Doing the work from the command line: one sweep, one delivery."""

from collections import Counter
from typing import Any

import click

from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, print_json, product_of, say
from app.cli.serving import serving
from app.engine.collecting import foresee
from app.engine.sweep import Pass
from app.errors import Refused
from app.store import population, products
from jobs.sweep import sweep

WORDS = {
    "asked": "asked",
    "reminder_queued": "reminded",
    "suspend_queued": "suspended",
    "cancel_queued": "canceled",
    "withdrawn": "withdrawn",
    "expired": "expired",
}


@click.command("sweep")
@click.argument("product_key", metavar="[PRODUCT]", required=False)
@click.option("--dry-run", is_flag=True, help="The same code, writing nothing: who, and why.")
@json_option
@actor_option
def sweep_(product_key: str | None, dry_run: bool, as_json: bool, actor: str) -> None:
    """Find who is due and queue what follows: one pass now."""
    with serving() as parts:
        if product_key:
            product_of(parts, product_key)
        passes = sweep(
            parts.database,
            parts.clock,
            product_key,
            dry=dry_run,
            list_people=dry_run,
            actor=actor,
        )
        found = [_facts(parts, each) for each in passes]
        if dry_run:
            for each in found:
                each["erased"] = _erased(parts, each["product"])
    if as_json:
        print_json({"dry_run": dry_run, "products": found})
    else:
        for each in found:
            _print_pass(each, dry_run=dry_run)
    if any(each["failed"] for each in found):
        raise Refused(
            "some subscriptions were put off", "see the lines above, and `reconfirm doctor`"
        )


def _facts(parts: Installation, done: Pass) -> dict[str, Any]:
    with parts.database.transaction() as connection:
        names = population.external_ids(connection, [sid for sid, _, _ in done.people])
    return {
        "product": done.product,
        "counts": {WORDS.get(what, what): count for what, count in sorted(done.counts.items())},
        "stopped": done.stopped,
        "failed": done.failed,
        "people": [
            {"subscription": names[sid], "would_be": WORDS.get(what, what), "why": why}
            for sid, what, why in done.people
        ],
    }


def _erased(parts: Installation, key: str) -> dict[str, Any]:
    """Say whom a manifest made now would list, and why others whose day has come are left out."""
    seen = foresee(parts.database, key, parts.clock.now())
    with parts.database.transaction() as connection:
        names = population.external_ids(connection, seen.people)
    return {
        "people": [names[sid] for sid in seen.people],
        "left_out": dict(sorted(seen.barred.items())),
        "stopped": seen.stopped,
    }


def _print_erased(product: str, found: dict[str, Any]) -> None:
    for name in found["people"]:
        click.echo(f"{name}  on a manifest to be erased, once two people approve")
    counted = ", ".join(f"{many} {why}" for why, many in found["left_out"].items())
    left_out = f"; left out: {counted}" if counted else ""
    click.echo(f"{product}: would be on a manifest: {len(found['people'])}{left_out}")
    if found["stopped"]:
        say(f"{product}: no manifest is made: {found['stopped']}")


def _print_pass(found: dict[str, Any], *, dry_run: bool) -> None:
    for person in found["people"]:
        click.echo(f"{person['subscription']}  {person['would_be']}  {person['why']}")
    counted = (
        ", ".join(f"{count} {what}" for what, count in found["counts"].items()) or "nobody is due"
    )
    click.echo(f"{found['product']}: {'would be: ' if dry_run else ''}{counted}")
    if found["stopped"]:
        say(f"{found['product']}: stopped there: {found['stopped']}")
    if "erased" in found:
        _print_erased(found["product"], found["erased"])


@click.command("deliver")
@click.option("--until-idle", is_flag=True, help="Go on until nothing is due, and wait out leases.")
@json_option
def deliver(until_idle: bool, as_json: bool) -> None:
    """Work off the outbox in the foreground."""
    with serving() as parts, parts.worker() as worker:
        total = worker.until_idle() if until_idle else worker.once()
        while until_idle and worker.waited_for_a_lease():
            total += worker.until_idle()
        total += _tell(parts, until_idle=until_idle)
    counts = {what: count for what, count in sorted(total.items()) if what != "looked at"}
    if as_json:
        print_json(counts)
        return
    for what, count in counts.items():
        click.echo(f"{count:8} {what}")
    if not counts:
        click.echo("nothing was due")


def _tell(parts: Installation, *, until_idle: bool) -> Counter[str]:
    """Tell endpoints what is due: a batch for each product, or all of it."""
    hooks, total = parts.hooks, Counter[str]()
    with parts.database.transaction() as connection:
        keys = products.keys(connection)
    for key in keys:
        while done := hooks.once(key):
            total += done
            if not until_idle:
                break
    return total


COMMANDS = (sweep_, deliver)

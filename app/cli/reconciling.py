"""The comparison with billing: run now, and how it stands."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.status import Status

from app.cli.actor import json_option
from app.cli.installation import Installation, installed, print_json, product_of
from app.errors import Conflict, Refused
from app.store import looks
from app.store import reconciliation as store
from app.store.reconciliation import Going
from app.world.connector import Away
from jobs.billing import Broken

MOST_LISTED = 1000
REPORTED = {
    "read": "read from billing's list",
    "new": "new to us",
    "repaired": "repaired: billing said otherwise",
    "ours": "different because of what we did, or on their way",
    "renewed": "the same, but for a later renewal",
    "unchanged": "the same",
    "stale": "known as of a later moment",
    "refused": "cannot be read: before a person",
    "failed": "not taken in: tried again",
    "missing": "alive for us and not listed: looked at singly",
    "unexplained": "suspended by us and charged all the same",
    "charges": "charges walked through",
    "wrong": "wrong charges: refunds proposed",
}
"""What a run counts, in words."""
AGAIN = "run it again: it goes on where it stopped"


@click.group("reconcile")
def reconcile() -> None:
    """The comparison of our books with billing's: daily by itself, or now."""


@reconcile.command("run")
@click.argument("product_key", metavar="PRODUCT")
@json_option
def run(product_key: str, as_json: bool) -> None:
    """Compare a product with its billing system now; a run that was begun goes on."""
    with installed() as parts:
        print_run(compare(parts, product_key), as_json=as_json)


def compare(parts: Installation, product_key: str, *, pages_only: bool = False) -> Going:
    """Compare in the foreground with a line of progress on stderr; Refused says what to do."""
    product = product_of(parts, product_key)
    if pages_only and not parts.connector(product_key).capabilities.lists:
        raise Refused(
            f"{product.billing} gives no list of its subscriptions",
            "import a file: `reconfirm import subscriptions`",
        )
    with Console(stderr=True).status(f"{product_key}: asking billing") as status:
        try:
            done = parts.books.run(
                product_key, lambda going: _show(status, going), pages_only=pages_only
            )
        except (Away, Broken) as error:
            raise Refused(f"billing gave no answer: {error}", AGAIN) from None
    if done is None:
        raise Conflict(f"{product_key} is being compared by somebody else", "wait a few minutes")
    return done


def _show(status: Status, going: Going) -> None:
    counts = "  ".join(f"{what} {going.counts[what]}" for what in REPORTED if going.counts[what])
    status.update(f"{going.phase}: {counts}")


def print_run(done: Going, *, as_json: bool) -> None:
    """Print what a run counted; what is refused or wrong is never left out."""
    counts = {what: done.counts[what] for what in REPORTED}
    if as_json:
        print_json(counts)
        return
    for what, many in counts.items():
        if many or what in {"read", "refused", "wrong"}:
            click.echo(f"{many:8} {REPORTED[what]}")


@reconcile.command("show")
@click.argument("product_key", metavar="PRODUCT")
@json_option
def show(product_key: str, as_json: bool) -> None:
    """Show how the comparison stands, and what it cannot explain."""
    with installed() as parts, parts.database.transaction() as connection:
        product = product_of(parts, product_key)
        standing = store.standing(connection, product.id)
        odd = store.findings(connection, product.id, MOST_LISTED)
        stuck = looks.parked(connection, product.id, MOST_LISTED)
    facts = {
        "standing": standing and asdict(standing),
        "unexplained": [asdict(each) for each in odd],
        "unreadable": [asdict(each) for each in stuck],
    }
    if as_json:
        print_json(facts)
        return
    _print_standing(standing)
    for each in odd:
        click.echo(f"{each.subscription}  {each.what}  since {_day(each.first_at)}")
    for other in stuck:
        click.echo(f"{other.subscription}  cannot be read: {other.error}")


def _print_standing(standing: store.Standing | None) -> None:
    if standing is None:
        click.echo("not compared yet")
        return
    if standing.ended_at is not None:
        said = _said(standing.result or {})
        click.echo(f"compared on {_day(standing.ended_at)}: {said or 'nothing to read'}")
    if standing.phase is not None:
        click.echo(f"under way, at the {standing.phase}: {_said(standing.counts)}")
    if standing.error is not None:
        click.echo(f"does not go on: {standing.error}; tried again {_day(standing.due_at)}")


def _said(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{what} {counts[what]}" for what in REPORTED if counts.get(what))


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


COMMANDS = (reconcile,)

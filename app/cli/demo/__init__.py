"""The demo: a year of subscribers being asked, answering, coming back, and paying no more."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import text

from app import embedded, settings
from app.cli.actor import json_option
from app.cli.installation import Installation, assemble, print_json, say
from app.cli.story import Story, begin, set_clock
from app.engine.effects import Effects
from app.errors import Refused
from app.store import migrate
from app.store.database import Database
from app.world.mail.relay import open_relay
from app.world.mail.say import money
from jobs.outbox import Worker
from jobs.walk import Walker

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
FUNNEL = (
    ("asked", "were asked"),
    ("reminded", "reminders went out"),
    ("kept", "kept it"),
    ("returned", "used it again"),
    ("canceled", "canceled"),
    ("suspended", "stayed silent and were suspended"),
    ("resumed", "resumed after that"),
    ("unreachable", "could not be reached, and keep it"),
    ("still_waiting", "still have time to answer"),
    ("erasure_scheduled", "have a date on which their data goes"),
)


@click.command("demo")
@click.option("--no-serve", is_flag=True, help="End after the summary.")
@click.option("--subscribers", type=click.IntRange(1, 20_000), default=300, show_default=True)
@click.option("--days", type=click.IntRange(1, 2000), default=365, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@json_option
def demo(no_serve: bool, subscribers: int, days: int, seed: int, as_json: bool) -> None:
    """Let a year pass in a small town of subscribers, on a database of its own."""
    if not no_serve:
        raise Refused("the demo does not serve yet", "run `reconfirm demo --no-serve`")
    with _town() as (service, walker, mailbox):
        set_clock(service, FIRST_DAY)
        story = begin(service, walker, mailbox, seed, subscribers)
        _live(story, days)
        found = story.summary()
        mails = story.kept_mails
    if as_json:
        print_json(found)
    else:
        _print(found, mails, days)


@contextmanager
def _town() -> Iterator[tuple[Installation, Walker, Any]]:
    """Give a service on an empty database of its own, with a mailbox of its own."""
    given = settings.load(
        {"RECONFIRM_CLOCK": "test", "RECONFIRM_DATA_DIR": str(settings.load().data_dir)}
    )
    mailbox = given.data_dir / "demo-mail"
    shutil.rmtree(mailbox, ignore_errors=True)
    with embedded.postgres(given.data_dir) as server:
        database = Database(server.database("demo"))
        with database.transaction() as connection:
            connection.execute(text("drop schema public cascade"))
            connection.execute(text("create schema public"))
        migrate.upgrade(database)
        service = assemble(given, database)
        effects = Effects(database, service.clock, service.links)
        with open_relay(mailbox.absolute().as_uri()) as relay:
            worker = Worker(database, service.clock, effects, relay, service.connector)
            yield service, Walker(database, service.clock, worker), mailbox
        database.close()


def _live(story: Story, days: int) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
    )
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("A year passes", total=days)
        for _ in range(days):
            story.day()
            bar.update(task, advance=1, description=f"{story.today}")


def _print(found: dict[str, Any], mails: dict[str, str], days: int) -> None:
    for notice in ("ask", "suspended", "kept"):
        if notice in mails:
            click.echo(f"{'─' * 72}\n{mails[notice].rstrip()}\n")
    click.echo("─" * 72)
    click.echo(f"{found['subscribers']} subscribers, {days} days\n")
    for name, words in FUNNEL:
        click.echo(f"{found[name]:8}  {words}")
    taken = " + ".join(
        money(minor, cur, "en") for cur, minor in found["money_no_longer_taken"].items()
    )
    avoided = f"charges not taken for something nobody used: {taken or 'none'}"
    click.echo(f"\n{found['charges_avoided']:8}  {avoided}")
    click.echo(f"{found['charged_after_suspension']:8}  charges after a suspension")
    say("Look around: the mails are in demo-mail, in the data folder.")


COMMANDS = (demo,)

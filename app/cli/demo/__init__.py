"""The demo: a year of subscribers being asked, answering, coming back, and paying no more."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from app import embedded, log, settings
from app.cli.actor import json_option
from app.cli.demo import town
from app.cli.demo.caller import Caller
from app.cli.demo.funnel import funnel
from app.cli.demo.showing import print_year, serve
from app.cli.demo.story import Story, patiently
from app.cli.fleet import Fleet
from app.cli.installation import Installation, assemble, print_json
from app.cli.role import until_told
from app.errors import Refused
from app.settings import PREFIX, Settings
from app.store import migrate, products
from app.store.database import Database

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
DATABASE = "reconfirm"
HEEDED = ("RECONFIRM_DATA_DIR", "RECONFIRM_BIND")
"""What the demo takes from the settings around it."""


@click.command("demo")
@click.option("--no-serve", is_flag=True, help="End after the summary.")
@click.option("--subscribers", type=click.IntRange(1, 50_000), default=2000, show_default=True)
@click.option("--days", type=click.IntRange(1, 2000), default=365, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@json_option
def demo(no_serve: bool, subscribers: int, days: int, seed: int, as_json: bool) -> None:
    """Let a year pass in a town of subscribers on a service of its own; show what came of it."""
    given = settings.load({name: os.environ[name] for name in HEEDED if name in os.environ})
    bind = f"127.0.0.1:{free_port()}" if no_serve else given.bind
    environ = _environ(given.data_dir / "demo", bind)
    with until_told() as stopping, _service(settings.load(environ)) as service:
        founded = town.found(service, seed, subscribers, FIRST_DAY)
        caller = Caller(service.settings.base_url)
        mailbox = service.settings.data_dir / "mail"
        story = Story(service, founded, caller, mailbox, seed)
        with _running(service, environ):
            _live(story, days, stopping)
            found = patiently(partial(_summary, service, story))
            if as_json:
                print_json(found)
            else:
                print_year(found, story.first, days)
            if not no_serve:
                host = service.settings.bind.rpartition(":")[0]
                serve(story, (host, free_port()), partial(_summary, service, story), stopping)


@contextmanager
def _service(given: Settings) -> Iterator[Installation]:
    """Give the service on an empty database of its own; nothing of it runs yet."""
    log.begin("error")
    with ExitStack() as stack:
        server = stack.enter_context(embedded.postgres(given.data_dir))
        if server.joined:
            raise Refused("a demo runs already in this folder", "end it, or set RECONFIRM_DATA_DIR")
        shutil.rmtree(given.data_dir / "mail", ignore_errors=True)
        if given.erasure_ledger is not None:
            given.erasure_ledger.unlink(missing_ok=True)  # of the demo before, as its database is
        database = Database(server.database(DATABASE))
        stack.callback(database.close)
        empty(database)
        yield assemble(given, database, stack)


@contextmanager
def _running(service: Installation, environ: dict[str, str]) -> Iterator[None]:
    """Run the service: web, a worker and the scheduler, each in a process of its own."""
    # None of the settings around: the demo must not come near a real database or relay.
    kept = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
    fleet = Fleet(keepers=service.keepers(), environ=kept | environ)
    fleet.start()
    fleet.watched()
    try:
        yield
    finally:
        fleet.end()


def empty(database: Database) -> None:
    """Begin with an empty schema."""
    with database.transaction() as connection:
        connection.exec_driver_sql("drop schema public cascade")
        connection.exec_driver_sql("create schema public")
    migrate.upgrade(database)


def _environ(folder: Path, bind: str) -> dict[str, str]:
    """Give the settings of the demo's service: everything embedded, whatever is set outside."""
    return {
        "RECONFIRM_CLOCK": "test",
        "RECONFIRM_DATA_DIR": str(folder),
        "RECONFIRM_BIND": bind,
        "RECONFIRM_WORKERS": "2",
        "RECONFIRM_LOG_LEVEL": "error",
    }


def free_port() -> int:
    """Give a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _live(story: Story, days: int, stopping: Event) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
    )
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("A year passes", total=days)
        for _ in range(days):
            if stopping.is_set():
                raise Refused("ended before the year was over", "run it again")
            today = story.day()
            bar.update(task, advance=1, description=f"{today:%d %b %Y}")


def _summary(service: Installation, story: Story) -> dict[str, Any]:
    with service.database.transaction() as connection:
        product = products.row_of(connection, town.KEY)
        now = service.clock.now()
        return funnel(connection, product.key, product.id, dict(story.mails), now)


COMMANDS = (demo,)

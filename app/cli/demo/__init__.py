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
from app.cli.demo.story import Story
from app.cli.fleet import Fleet
from app.cli.installation import Installation, assemble, print_json
from app.cli.role import until_told
from app.errors import Refused
from app.store import migrate, products
from app.store.database import Database

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
DATABASE = "reconfirm"


@click.command("demo")
@click.option("--no-serve", is_flag=True, help="End after the summary.")
@click.option("--subscribers", type=click.IntRange(1, 50_000), default=2000, show_default=True)
@click.option("--days", type=click.IntRange(1, 2000), default=365, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@json_option
def demo(no_serve: bool, subscribers: int, days: int, seed: int, as_json: bool) -> None:
    """Let a year pass in a town of subscribers on a service of its own; show what came of it."""
    bind = f"127.0.0.1:{free_port()}" if no_serve else settings.load().bind
    with until_told() as stopping, _service(bind) as service:
        founded = town.found(service, seed, subscribers, FIRST_DAY)
        caller = Caller(service.settings.base_url)
        mailbox = service.settings.data_dir / "mail"
        story = Story(service, founded, caller, mailbox, seed)
        _live(story, days, stopping)
        found = _summary(service, story)
        if as_json:
            print_json(found)
        else:
            print_year(found, story.first, days)
        if not no_serve:
            host = service.settings.bind.rpartition(":")[0]
            serve(story, (host, free_port()), partial(_summary, service, story), stopping)


@contextmanager
def _service(bind: str) -> Iterator[Installation]:
    """Give the whole service, running, on an empty database of its own."""
    folder = settings.load().data_dir / "demo"
    environ = _environ(folder, bind)
    given = settings.load(environ)
    log.begin("error")
    with ExitStack() as stack:
        server = stack.enter_context(embedded.postgres(folder))
        if server.joined:
            raise Refused("a demo runs already in this folder", "end it, or set RECONFIRM_DATA_DIR")
        shutil.rmtree(folder / "mail", ignore_errors=True)
        database = Database(server.database(DATABASE))
        stack.callback(database.close)
        empty(database)
        service = assemble(given, database, stack)
        quiet = {"RECONFIRM_LOG_LEVEL": "error"}
        fleet = Fleet(keepers=service.keepers(), environ=os.environ | environ | quiet)
        stack.callback(fleet.end)
        fleet.start()
        fleet.watched()
        yield service


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

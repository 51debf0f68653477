"""The test clock: show, set, advance; refused in service, where time passes by itself."""

from datetime import UTC, datetime

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from app.cli.actor import json_option
from app.cli.installation import Installation, installed, print_json
from app.cli.serving import serving
from app.errors import Refused
from app.policy import Period
from app.store import testclock


@click.group("clock")
def clock() -> None:
    """Show or move the life clock (only with RECONFIRM_CLOCK=test)."""


@clock.command("show")
@json_option
def show(as_json: bool) -> None:
    """Show what time it is for subscriptions."""
    with installed() as parts:
        facts = {"now": parts.clock.now(), "clock": parts.settings.clock}
    if as_json:
        print_json(facts)
    else:
        click.echo(f"{_written(facts['now'])} ({facts['clock']} clock)")


@clock.command("set")
@click.argument("moment", metavar="2024-09-01T00:00:00Z")
def set_(moment: str) -> None:
    """Set the clock; backwards only while there is no subscription."""
    try:
        to = datetime.fromisoformat(moment)
    except ValueError:
        raise click.BadParameter(f"{moment!r} is no time: write 2024-09-01T00:00:00Z") from None
    if to.tzinfo is None:
        raise click.BadParameter(f"{moment!r} has no offset: write 2024-09-01T00:00:00Z")
    with installed() as parts:
        _require_test(parts)
        with parts.database.transaction() as connection:
            now = testclock.read(connection)
            if now is not None and to < now and not testclock.may_go_back(connection):
                raise Refused(
                    "the clock does not go backwards while there are subscriptions",
                    "begin with an empty database, or advance",
                )
            testclock.write(connection, to.astimezone(UTC))
    click.echo(_written(to.astimezone(UTC)))


@clock.command("advance")
@click.argument("period", metavar="P30D")
@json_option
def advance(period: str, as_json: bool) -> None:
    """Let time pass: walk to each next due moment or charge, and do what falls due."""
    try:
        how_long = Period.parse(period)
    except ValueError:
        raise click.BadParameter(f"{period!r} is no ISO 8601 duration, such as P30D") from None
    with serving() as parts:
        _require_test(parts)
        start = parts.clock.now()
        until = datetime.combine(how_long.after(start.date()), start.timetz())
        until += Period(minutes=how_long.minutes).exactly()
        with parts.walker() as walker, _Bar((until - start).total_seconds()) as (bar, task):
            counts = walker.advance(
                until, lambda at: bar.update(task, completed=(at - start).total_seconds())
            )
    if as_json:
        print_json({"now": until, "done": dict(sorted(counts.items()))})
        return
    click.echo(_written(until))
    for what, count in sorted(counts.items()):
        click.echo(f"{count:8} {what}")


class _Bar:
    """A progress bar on stderr, by the seconds of the life clock."""

    def __init__(self, seconds: float) -> None:
        columns = (TextColumn("Time passes"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        console = Console(stderr=True)
        self.progress = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self.task = self.progress.add_task("", total=max(1.0, seconds))

    def __enter__(self) -> tuple[Progress, TaskID]:
        self.progress.start()
        return self.progress, self.task

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


def _require_test(parts: Installation) -> None:
    if parts.settings.clock != "test":
        raise Refused(
            "the clock is the machine's and cannot be moved",
            "set RECONFIRM_CLOCK=test to try things",
        )


def _written(moment: object) -> str:
    return (
        moment.isoformat().replace("+00:00", "Z") if isinstance(moment, datetime) else str(moment)
    )


COMMANDS = (clock,)

"""Runs: what each day's sweeps did, the ramp they keep to, and taking one back."""

from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from app import runs as shared
from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, say
from app.errors import Conflict
from app.guards import Ladder, RampStands, RateNow
from app.policy import Share
from app.runs import Detail, Runs
from app.store.runs import Run, Tally

MOST_LISTED = 1000
STANDS = {
    RampStands.NO_POLICY: "no policy is in force: nobody is asked",
    RampStands.AT_ONCE: "there is no ramp: everybody who is due is asked",
    RampStands.NOT_BEGUN: "the ramp begins with the next sweep",
    RampStands.RUNS: "the present step is not used up",
    RampStands.WAITS: "the present step is used up",
    RampStands.OVER: "the ramp is over: everybody who is due is asked",
    RampStands.PAUSED: "the ramp is paused: nobody new is asked until somebody resumes it",
    RampStands.STOPPED: "the ramp is stopped: nobody new is asked under this version",
}
MARKS = {"done": "x", "here": ">", "ahead": " "}


@click.group("run")
def run() -> None:
    """What each day's sweeps did, the ramp they keep to, and taking one back."""


PRODUCT = click.argument("product_key", metavar="PRODUCT")
NUMBER = click.argument("number", type=click.IntRange(1, 2**31 - 1), metavar="N")


@run.command("list")
@PRODUCT
@json_option
def list_runs(product_key: str, as_json: bool) -> None:
    """List the newest runs, newest first, and show the ramp."""
    with installed() as parts:
        runs = _runs(parts)
        ladder, found = runs.ramp(product_key), runs.listed(product_key, None, MOST_LISTED)
    if as_json:
        print_json({"ramp": ladder_facts(ladder), "runs": [facts_of(each) for each in found]})
        return
    _print_ladder(ladder)
    for each in found:
        click.echo(_line(each))
    if not found:
        click.echo("no sweep has done anything yet")


@run.command("show")
@PRODUCT
@NUMBER
@json_option
def show(product_key: str, number: int, as_json: bool) -> None:
    """Show one run: what became of those it asked, and the rates of its day."""
    with installed() as parts:
        detail = _runs(parts).detail(product_key, number)
    if as_json:
        print_json(detail_facts(detail))
        return
    _print_detail(detail)


@run.command("pause")
@PRODUCT
@click.option("--why", type=click.Choice(shared.HALTED), default="other", show_default=True)
@json_option
@actor_option
def pause(product_key: str, why: str, as_json: bool, actor: str) -> None:
    """Open no new asks until somebody resumes; what is open goes on.

    `reconfirm brake on` stops reminders and suspensions too.
    """
    with installed() as parts:
        _print_ramp(_runs(parts).pause(product_key, actor, why), as_json=as_json)


@run.command("resume")
@PRODUCT
@click.option("--why", type=click.Choice(shared.RESUMED), default="other", show_default=True)
@json_option
@actor_option
def resume(product_key: str, why: str, as_json: bool, actor: str) -> None:
    """Let a ramp that was paused go on where it was."""
    with installed() as parts:
        _print_ramp(_runs(parts).resume(product_key, actor, why), as_json=as_json)


@run.command("stop")
@PRODUCT
@click.option("--why", type=click.Choice(shared.HALTED), default="other", show_default=True)
@json_option
@actor_option
def stop(product_key: str, why: str, as_json: bool, actor: str) -> None:
    """Open no new asks under this version of the policy ever again; what is open goes on.

    Only putting a version in force begins a ramp again.
    """
    with installed() as parts:
        _print_ramp(_runs(parts).stop(product_key, actor, why), as_json=as_json)


@run.command("undo")
@PRODUCT
@NUMBER
@click.option("--yes", is_flag=True, help="Do not ask whether to go on.")
@json_option
@actor_option
def undo(product_key: str, number: int, yes: bool, as_json: bool, actor: str) -> None:
    """Take a run back: withdraw whoever it asked and who has not answered yet.

    Says first how many that are. What people answered stays, and so does what billing has done:
    whom it suspended can be resumed one by one. The ramp of the run's version is stopped. One that
    was begun and not finished goes on.
    """
    with installed() as parts:
        runs = _runs(parts)
        detail = runs.detail(product_key, number)
        if not _under_way(detail.run):
            if _list(detail) and not yes:
                click.confirm(f"Withdraw run {number}?", abort=True, err=True)
            runs.begin_undo(product_key, number, actor)
        _work(runs, product_key, number)
        after = runs.detail(product_key, number)
    if as_json:
        print_json(detail_facts(after))
        return
    withdrawn = after.run.undo.withdrawn if after.run.undo else 0
    click.echo(f"run {number} is taken back: {withdrawn} withdrawn")


def _runs(parts: Installation) -> Runs:
    return Runs(parts.database, parts.clock)


def _under_way(found: Run) -> bool:
    return found.undo is not None and found.undo.ended_at is None


def _list(detail: Detail) -> bool:
    """Say whom an undo would withdraw, and whom not; False where there is nobody."""
    tally = _counted(detail)
    if not tally.open:
        return False
    say(f"{tally.open} still open and not suspended: these are withdrawn")
    stays = tally.suspended + tally.canceled + tally.in_hand
    say(f"{stays} suspended, canceled or in hand at billing: these stay as they are")
    say(f"{tally.closed} closed: these stay as they are")
    say(f"The ramp of version {detail.run.version} is stopped: nobody new is asked under it.")
    return True


def _counted(detail: Detail) -> Tally:
    if detail.tally is None:
        raise Conflict(
            "counting what became of this run takes too long just now", "try again at a calm hour"
        )
    return detail.tally


def _work(runs: Runs, product_key: str, number: int) -> None:
    progress = runs.progress(product_key, number)
    columns = (TextColumn("Withdrawing"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=progress.wanted, completed=progress.withdrawn)

        def after_batch() -> None:
            bar.update(task, completed=runs.progress(product_key, number).withdrawn)

        runs.undo(product_key, lambda: True, number, after_batch)


# --- in words --------------------------------------------------------------------------------


def facts_of(each: Run) -> dict[str, Any]:
    """Give a run as facts: its step is counted from 1, as people count."""
    undo = each.undo
    return {
        "number": each.number,
        "day": each.day,
        "version": each.version,
        "step": None if each.step is None else each.step + 1,
        "first_at": each.first_at,
        "last_at": each.last_at,
        "actors": each.actors,
        "asked": each.asked,
        "reminded": each.reminded,
        "suspended": each.suspended,
        "canceled": each.canceled,
        "undo": undo
        and {
            "actor": undo.actor,
            "wanted_at": undo.wanted_at,
            "wanted": undo.wanted,
            "withdrawn": undo.withdrawn,
            "ended_at": undo.ended_at,
        },
    }


def ladder_facts(ladder: Ladder) -> dict[str, Any]:
    """Give a ramp as facts."""
    halt = ladder.halt
    return {
        "stands": ladder.stands,
        "version": ladder.version,
        "backlog": ladder.backlog,
        "step": ladder.here.number if ladder.here else None,
        "opened": ladder.opened,
        "next_at": ladder.next_at,
        "halted": halt and {"at": halt.at, "by": halt.by, "why": halt.why},
        "steps": [
            {"says": each.says, "people": each.size, "stands": each.stands} for each in ladder.rungs
        ],
        "rates": [rate_facts(each) for each in ladder.rates],
    }


def rate_facts(rate: RateNow) -> dict[str, Any]:
    """Give how a guard stands as facts."""
    return {
        "guard": rate.cause,
        "bad": rate.bad,
        "of": rate.of,
        "at_most": Share().write(rate.at_most),
    }


def detail_facts(detail: Detail) -> dict[str, Any]:
    """Give a run with what became of it as facts."""
    tally = detail.tally
    return facts_of(detail.run) | {
        "became": tally
        and {
            "handed_over": tally.handed_over,
            "open": tally.open,
            "in_hand": tally.in_hand,
            "suspended": tally.suspended,
            "canceled": tally.canceled,
        }
        | dict(sorted(tally.outcomes.items())),
        "untouched": [
            {"subscription": name, "stage": stage} for _, name, stage in detail.untouched
        ],
        "rates_of_day": [rate_facts(each) for each in detail.rates],
    }


def _print_ramp(ladder: Ladder, *, as_json: bool) -> None:
    if as_json:
        print_json(ladder_facts(ladder))
        return
    _print_ladder(ladder)


def _print_ladder(ladder: Ladder) -> None:
    click.echo(STANDS[ladder.stands])
    if ladder.halt is not None:
        click.echo(f"since {ladder.halt.at:%Y-%m-%d %H:%M} by {ladder.halt.by} ({ladder.halt.why})")
    for each in ladder.rungs if ladder.stands is not RampStands.AT_ONCE else ():
        size = "" if each.size is None else f"{each.size} people"
        taken = f", {ladder.opened} asked" if each is ladder.here and ladder.opened else ""
        click.echo(f"{MARKS[each.stands]} {each.number}. {each.says:>5} {size}{taken}".rstrip())
    if ladder.next_at is not None:
        click.echo(f"the next step may begin at {ladder.next_at:%Y-%m-%d %H:%M} UTC")
    for rate in ladder.rates:
        click.echo(_rate(rate))


def _rate(rate: RateNow) -> str:
    return f"{rate.cause:10} {rate.bad} of {rate.of}, at most {Share().write(rate.at_most)}"


def _line(each: Run) -> str:
    step = f"step {each.step + 1}" if each.step is not None else ""
    undone = ""
    if each.undo is not None:
        undone = "taken back" if each.undo.ended_at else "being taken back"
    return (
        f"{each.number:5} {each.day} version {each.version:<3} {step:6} asked {each.asked:7}"
        f" reminded {each.reminded:7} suspended {each.suspended:7} canceled {each.canceled:7}"
        f" {', '.join(each.actors)} {undone}".rstrip()
    )


def _print_detail(detail: Detail) -> None:
    click.echo(_line(detail.run))
    became = detail_facts(detail)["became"]
    if became is None:
        click.echo("what became of it takes too long to count")
        return
    for name, many in became.items():
        click.echo(f"  {name.replace('_', ' '):12} {many:7}")
    click.echo("of the asks handed over on its day:")
    for rate in detail.rates:
        click.echo(f"  {_rate(rate)}")


COMMANDS = (run,)

"""Runs: what each day's sweeps did, the ramp they keep to, and taking one back."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from app import runs as shared
from app.amends import Affected, People
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


@run.command("people")
@PRODUCT
@NUMBER
@click.option("--csv", "as_csv", is_flag=True, help="Print everybody as CSV.")
@json_option
def people(product_key: str, number: int, as_csv: bool, as_json: bool) -> None:
    """List whom a run asked and how they stand: what an undo would put right, or has.

    Writes nothing. Names nobody but by the id at billing.
    """
    with installed() as parts:
        asked = People(parts.database, parts.clock)
        if as_csv:
            for piece in asked.as_csv(product_key, number):
                click.echo(piece, nl=False)
            return
        found = asked.everybody(product_key, number)
        if as_json:
            print_json({"run": number, "people": [affected_facts(each) for each in found]})
            return
        for each in found:
            click.echo(_affected(each))


@run.command("undo")
@PRODUCT
@click.argument("number", type=click.IntRange(1, 2**31 - 1), metavar="[N]", required=False)
@click.option(
    "--version", type=click.IntRange(1, 2**31 - 1), help="Every run under this version, not one."
)
@click.option(
    "--resume",
    is_flag=True,
    help="Resume at once whom it stopped, without asking: a second person has to agree.",
)
@click.option("--dry-run", is_flag=True, help="Say whom, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask whether to go on.")
@json_option
@actor_option
def undo(
    product_key: str,
    number: int | None,
    version: int | None,
    *,
    resume: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    actor: str,
) -> None:
    """Take a run back: put right everybody whom it asked and who has not answered.

    Says first how many that are; `reconfirm run people` lists them. Who is still asked is
    withdrawn. Whom silence suspended or canceled is told that it was a mistake, and resumes by a
    click. Nothing of anybody is erased for it any more. What people answered stays. The ramp of the
    run's version is stopped. One that was begun and not finished goes on.
    """
    if (number is None) == (version is None):
        raise click.UsageError("say which run by its number N, or --version V for all of one")
    with installed() as parts:
        runs = _runs(parts)
        chosen = [number] if number is not None else runs.under(product_key, version or 0)
        details = [runs.detail(product_key, each) for each in chosen]
        if dry_run:
            _say_dry(runs, product_key, details, as_json=as_json)
            return
        _begin(runs, product_key, (number, version), details, actor, resume=resume, yes=yes)
        for each in chosen:
            _work(runs, product_key, each)
        after = [runs.detail(product_key, each) for each in chosen]
    if as_json:
        facts = [detail_facts(each) for each in after]
        print_json(facts[0] if number is not None else {"runs": facts})
        return
    for one in after:
        click.echo(_came_to(one.run))


@run.command("agree")
@PRODUCT
@NUMBER
@click.option("--yes", is_flag=True, help="Do not ask whether to go on.")
@json_option
@actor_option
def agree(product_key: str, number: int, yes: bool, as_json: bool, actor: str) -> None:
    """Agree that those whom a run stopped are resumed at once, as the second person.

    Billing charges them again from the next date on, as before, and nothing for the time between.
    Whose next charge is not the one of before, or in less than three days, is asked instead. The
    command line counts as one person.
    """
    with installed() as parts:
        runs = _runs(parts)
        if not yes:
            stands = Counter(People(parts.database, parts.clock).counted(product_key, number))
            many = stands["suspended"] + stands["canceled"]
            click.confirm(f"Resume {many} of run {number}?", abort=True, err=True)
        runs.agree(product_key, number, actor)
        _work(runs, product_key, number)
        after = runs.detail(product_key, number)
    if as_json:
        print_json(detail_facts(after))
        return
    click.echo(_came_to(after.run))


def _runs(parts: Installation) -> Runs:
    return Runs(parts.database, parts.clock)


def _under_way(found: Run) -> bool:
    return found.undo is not None and found.undo.ended_at is None


def _begin(
    runs: Runs,
    product_key: str,
    which: tuple[int | None, int | None],
    details: Sequence[Detail],
    actor: str,
    *,
    resume: bool,
    yes: bool,
) -> None:
    """Say whom, ask, and begin; what was begun already goes on."""
    number, version = which
    if details and all(_under_way(each.run) for each in details):
        return
    if _list(runs, product_key, details, resume=resume) and not yes:
        of = f"run {number}" if number is not None else f"every run of version {version}"
        click.confirm(f"Take back {of}?", abort=True, err=True)
    if number is not None:
        runs.begin_undo(product_key, number, actor, resume=resume)
    else:
        runs.begin_undo_of(product_key, version or 0, actor, resume=resume)


def _list(runs: Runs, product_key: str, details: Sequence[Detail], *, resume: bool) -> bool:
    """Say whom an undo would put right, and whom not; False where there is nobody."""
    stands = _stands(_people(runs), product_key, details)
    stopped = stands["suspended"] + stands["canceled"]
    say(f"{stands['open']} still open and not suspended: these are withdrawn")
    if stopped and resume:
        say(f"{stopped} suspended or canceled by silence: resumed once a second person agrees")
    else:
        say(f"{stopped} suspended or canceled by silence: these are told, and resume by a click")
    say(f"{stands['in_hand']} are just being told to billing: these are told when it has answered")
    say(f"{stands['answered']} have decided themselves: that stays, and nothing is erased for it")
    if stands["erasing"]:
        say(f"{stands['erasing']} are being erased: too late, a person looks at each")
    versions = sorted({each.run.version for each in details})
    for version in versions:
        say(f"The ramp of version {version} is stopped: nobody new is asked under it.")
    return bool(stands["open"] + stopped + stands["in_hand"] + stands["answered"])


def _people(runs: Runs) -> People:
    return People(runs.database, runs.clock)


def _stands(asked: People, product_key: str, details: Sequence[Detail]) -> Counter[str]:
    """Count whom runs asked by how they stand; Conflict where that takes too long."""
    many: Counter[str] = Counter()
    for each in details:
        _counted(each)
        many.update(asked.counted(product_key, each.run.number) or {})
    return many


def _say_dry(runs: Runs, product_key: str, details: Sequence[Detail], *, as_json: bool) -> None:
    asked = _people(runs)
    stands = _stands(asked, product_key, details)
    if not as_json:
        for name, many in stands.items():
            click.echo(f"  {name.replace('_', ' '):14} {many:7}")
        for one in details:
            for each in asked.everybody(product_key, one.run.number):
                click.echo(_affected(each))
        return
    found = [
        affected_facts(each) | {"run": one.run.number}
        for one in details
        for each in asked.everybody(product_key, one.run.number)
    ]
    print_json({"stands": dict(stands), "people": found})


def _came_to(found: Run) -> str:
    undo = found.undo
    if undo is None:
        return f"run {found.number}: nothing was left to take back"
    said = (
        f"run {found.number} is taken back: {undo.withdrawn} withdrawn, {undo.apologized} told,"
        f" {undo.resumed} to be resumed, {undo.spared} not erased any more"
    )
    if undo.waits:
        return f"{said}; somebody else agrees in the console, or by `reconfirm run agree`"
    return said


def _counted(detail: Detail) -> Tally:
    if detail.tally is None:
        raise Conflict(
            "counting what became of this run takes too long just now", "try again at a calm hour"
        )
    return detail.tally


def _work(runs: Runs, product_key: str, number: int) -> None:
    if runs.detail(product_key, number).run.undo is None:
        return
    progress = runs.progress(product_key, number)
    columns = (TextColumn("Putting right"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=progress.wanted, completed=progress.undo.done)

        def after_batch() -> None:
            bar.update(task, completed=runs.progress(product_key, number).undo.done)

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
            "apologized": undo.apologized,
            "resumed": undo.resumed,
            "spared": undo.spared,
            "ended_at": undo.ended_at,
            "resume": undo.resume,
            "agreed_by": undo.agreed_by,
            "agreed_at": undo.agreed_at,
        },
    }


def affected_facts(each: Affected) -> dict[str, Any]:
    """Give somebody whom a run asked as facts; `owed` is in minor units."""
    who = each.who
    return {
        "subscription": who.subscription,
        "stands": who.stands,
        "erase_on": who.erase_on,
        "undone_at": who.undone_at,
        "told_at": who.amended_at,
        "reach": who.reach,
        "owed": who.owed,
        "currency": who.currency,
        "not_resumed": each.alone,
    }


def _affected(each: Affected) -> str:
    who = each.who
    parts = [f"{who.subscription:24} {who.stands.replace('_', ' '):14}"]
    parts += [f"erased on {who.erase_on}"] if who.erase_on else []
    parts += [f"owed {who.owed} {who.currency}"] if who.owed else []
    parts += [f"not resumed alone: {each.alone}"] if each.alone else []
    return " ".join(parts).rstrip()


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

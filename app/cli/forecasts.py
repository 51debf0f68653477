"""What a policy would do, and whether the counts it is told from are right."""

from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from app import guards
from app import policy as policy_rules
from app.cli.actor import json_option
from app.cli.installation import installed, print_json, product_of, say
from app.cli.policies import read_file
from app.errors import Refused
from app.forecast import Expected, Forecast, Forecaster, Keeper, Outlook, Paced

MONTHS_SHOWN = 6
PRODUCT = click.argument("product_key", metavar="PRODUCT")


class ForProducts(click.Group):
    """Takes the key of a product where it could take a command, and then forecasts for it."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Give the command; `show` where none of its name is there."""
        named = bool(args) and args[0] in self.commands
        return super().resolve_command(ctx, args if named else ["show", *args])


@click.group("forecast", cls=ForProducts, options_metavar="PRODUCT --policy FILE [--json] |")
def forecast() -> None:
    """What a policy would do: who would be asked and when, at what price, how fast.

    `reconfirm forecast PRODUCT --policy FILE` is short for `forecast show`.
    """


@forecast.command("show")
@PRODUCT
@click.option(
    "--policy",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The policy, as for `reconfirm policy propose`.",
)
@json_option
def show(product_key: str, file: Path, as_json: bool) -> None:
    """Say what a policy would do, beside the one in force."""
    raw = read_file(file)
    with installed() as parts:
        product = product_of(parts, product_key)
        checked = policy_rules.read(raw, inherit=product.policy)
        guards.check_policy(product, checked)
        found = Forecaster(parts.database, parts.clock).forecast(product_key, checked)
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _print(found)


@forecast.command("count")
@PRODUCT
@json_option
def count(product_key: str, as_json: bool) -> None:
    """Count now what is counted at night: open rounds, answers before, and charges to come."""
    with installed() as parts:
        product_of(parts, product_key)
        keeper = Keeper(parts.database, parts.clock)
        folded = keeper.fold(product_key)
        at = keeper.count_apart(product_key)
    if as_json:
        print_json({"product": product_key, "folded": folded, "counted_at": at})
    else:
        click.echo(f"counted as of {at:%Y-%m-%d %H:%M} UTC")


@forecast.command("check")
@PRODUCT
@click.option("--repair", is_flag=True, help="Count anew where any count is wrong.")
@json_option
def check(product_key: str, repair: bool, as_json: bool) -> None:
    """Compare the counts with the subscriptions themselves; exit 1 where any is wrong."""
    with installed() as parts:
        product_of(parts, product_key)
        wrong, first = Keeper(parts.database, parts.clock).check(product_key, repair=repair)
    if as_json:
        drifts = [asdict(each) for each in first]
        print_json({"product": product_key, "wrong": wrong, "repaired": repair, "first": drifts})
    else:
        for each in first:
            named = f"{each.plan} {each.country} {each.interval} {each.currency} {each.since}"
            click.echo(f"{named}: counted {each.counted}, found {each.found}")
        click.echo(f"{wrong} counts are wrong" + (": counted anew" if wrong and repair else ""))
    if wrong and not repair:
        raise Refused(
            f"{wrong} counts are not what the subscriptions come to",
            f"count anew: reconfirm forecast check {product_key} --repair",
        )


# --- printing --------------------------------------------------------------------------------


def _print(found: Forecast) -> None:
    looks = [found.proposed] if found.in_force is None else [found.proposed, found.in_force]
    heads = ["this policy", *(f"version {each.version}, in force" for each in looks[1:])]
    click.echo(f"{'':34}" + "".join(f"{each:>24}" for each in heads))
    for name, cells in _lines(looks, found):
        click.echo(f"{name:34}" + "".join(f"{each:>24}" for each in cells))
    for each in found.proposed.expected:
        click.echo(_expectation(each))
    for remark in found.says:
        say(remark)


def _lines(looks: list[Outlook], found: Forecast) -> list[tuple[str, list[str]]]:
    """Give the lines of the table: what they are about, and a cell for each policy."""
    lines = [
        (f"due on {found.day}", [f"{each.today:,}" for each in looks]),
        ("due by tomorrow", [f"{each.tomorrow:,}" for each in looks]),
        ("  never used", [f"{each.never_used:,}" for each in looks]),
        ("  stopped using", [f"{each.unused:,}" for each in looks]),
        ("  before a renewal", [f"{each.before_renewal:,}" for each in looks]),
        ("due within a year", [f"{each.in_a_year:,}" for each in looks]),
    ]
    currencies = sorted({one.currency for each in looks for one in each.monthly})
    for currency in currencies:
        cells = [_monthly(each, currency) for each in looks]
        lines.append((f"they pay a month, {currency} (minor unit)", cells))
    lines += [
        (f"newly due from {span.starts}", [f"{each.months[n].people:,}" for each in looks])
        for n, span in enumerate(found.proposed.months[:MONTHS_SHOWN])
    ]
    lines += [
        ("mails a day at most", [f"{each.pace.most_mails:,}" for each in looks]),
        ("all are asked", [_done(each.pace) for each in looks]),
    ]
    return lines


def _monthly(look: Outlook, currency: str) -> str:
    return f"{sum(one.amount for one in look.monthly if one.currency == currency):,}"


def _done(pace: Paced) -> str:
    if pace.done_on is None:
        return f"{pace.left_after_a_year:,} wait in a year"
    return f"on {pace.done_on}"


def _expectation(each: Expected) -> str:
    return (
        f"expected {each.answer:9} {each.share:7.1%} ({each.low:.1%} to {each.high:.1%}):"
        f" {each.people:,} ({each.people_low:,} to {each.people_high:,}) of those due tomorrow"
    )


COMMANDS = (forecast,)

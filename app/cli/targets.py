"""Systems that hold data of subscribers: what is told to erase, and what it owes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import click

from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, say
from app.engine.receipts import Receipts, comes_last
from app.engine.targets import Targets
from app.store import products, receipts, targets
from app.store.receipts import CLAIMED, DUE, PARKED, STATES, TOLD, Entry
from app.store.targets import Target
from app.world import erasure
from app.world.erasing import GROUNDS, Kept, Receipt

PRODUCT = click.argument("product_key", metavar="PRODUCT")
KEY = click.argument("key", metavar="KEY")
MOST = 1000
SETTING = click.option(
    "--setting",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="What it needs to be reached, @FILE for what a file holds. Repeatable.",
)
CATEGORY = click.option(
    "--category",
    "categories",
    multiple=True,
    metavar="NAME",
    help="A category of data that it holds, such as profile. Repeatable.",
)
URL = click.option("--url", help="The same as --setting url=…")


@click.group("target")
def target() -> None:
    """Systems that hold data of subscribers: each is told to erase, and owes a receipt."""


@target.command("add")
@PRODUCT
@KEY
@click.option(
    "--kind", type=click.Choice(erasure.names()), required=True, help="How it is spoken with."
)
@CATEGORY
@URL
@SETTING
@json_option
@actor_option
def add(
    product_key: str,
    key: str,
    kind: str,
    categories: tuple[str, ...],
    url: str | None,
    pairs: tuple[str, ...],
    as_json: bool,
    actor: str,
) -> None:
    """Add a target; prints the secret its requests are signed with, once."""
    settings = _settings(pairs, url)
    with installed() as parts:
        secret = _targets(parts).add(product_key, key, kind, categories, settings, actor)
        found = _named(parts, product_key, key)
    if as_json:
        print_json(_facts(found) | {"signing_secret": secret})
        return
    click.echo(f"target {key} added: {', '.join(found.categories)}")
    if secret is not None:
        click.echo(f"signing secret   {secret}")
        say("The secret is not shown again.")
    say(f"Try it: `reconfirm target try {product_key} {key}`.")


@target.command("list")
@PRODUCT
@json_option
def list_targets(product_key: str, as_json: bool) -> None:
    """List a product's targets, without their secrets."""
    with installed() as parts, parts.database.transaction() as connection:
        row = products.row_of(connection, product_key)
        found = targets.listed(connection, row.id)
    if as_json:
        print_json([_facts(each) | {"last": comes_last(each, row.billing)} for each in found])
        return
    for each in found:
        state = "retired" if each.retired_at else "live"
        tried = "tried" if each.tried_at else "not tried"
        last = "  last" if comes_last(each, row.billing) else ""
        held = ", ".join(each.categories)
        click.echo(f"{each.key:20} {each.kind:8} {state:8} {tried:10} {held}{last}")


@target.command("set")
@PRODUCT
@KEY
@CATEGORY
@URL
@SETTING
@json_option
@actor_option
def set_target(
    product_key: str,
    key: str,
    categories: tuple[str, ...],
    url: str | None,
    pairs: tuple[str, ...],
    as_json: bool,
    actor: str,
) -> None:
    """Change settings, NAME= taking one out, or the categories; then it has to be tried anew."""
    settings = _settings(pairs, url)
    if not settings and not categories:
        raise click.UsageError("give --category, --url or --setting")
    with installed() as parts:
        found = _targets(parts).change(product_key, key, categories, settings, actor)
    if as_json:
        print_json(_facts(found))
        return
    click.echo(f"target {key} set")
    say(f"Try it: `reconfirm target try {product_key} {key}`.")


@target.command("rotate")
@PRODUCT
@KEY
@click.option("--finish", is_flag=True, help="The receiver knows the new secret: drop the old.")
@json_option
@actor_option
def rotate(product_key: str, key: str, finish: bool, as_json: bool, actor: str) -> None:
    """Give a target a new secret; both sign until `--finish`."""
    with installed() as parts:
        secret = _targets(parts).rotate(product_key, key, actor, finish=finish)
    if as_json:
        print_json({"key": key, "signing_secret": secret, "finished": finish})
        return
    if secret is None:
        click.echo(f"target {key}: only the newest secret signs now")
        return
    click.echo(f"new signing secret   {secret}")
    say("Both sign until `reconfirm target rotate --finish`. It is not shown again.")


@target.command("try")
@PRODUCT
@KEY
@click.option("--subscription", help="Whom to try it on, as billing calls them; or anybody.")
@json_option
@actor_option
def try_target(
    product_key: str, key: str, subscription: str | None, as_json: bool, actor: str
) -> None:
    """Reach a target and count what it holds of somebody; changes nothing there."""
    with installed() as parts:
        setup = _targets(parts)
        found, who, customer = setup.to_try(product_key, key, subscription)
        counted = dict(parts.target(product_key, found).probe(who, customer))
        setup.tried(product_key, found, counted, actor)
    if as_json:
        print_json({"key": key, "subscription": who, "found": counted})
        return
    click.echo(f"target {key} answers; of {who} it holds:")
    for name, many in counted.items():
        click.echo(f"  {name:40} {many}")
    if not counted:
        click.echo("  it was not asked: it took a test message")


@target.command("retire")
@PRODUCT
@KEY
@json_option
@actor_option
def retire(product_key: str, key: str, as_json: bool, actor: str) -> None:
    """Tell a target nothing more; only when it owes no receipt."""
    with installed() as parts:
        _targets(parts).retire(product_key, key, actor)
    if as_json:
        print_json({"key": key, "retired": True})
        return
    click.echo(f"target {key} retired")


# --- what is owed ------------------------------------------------------------------------------


@target.command("owes")
@PRODUCT
@click.option("--state", type=click.Choice(STATES), help="Only receipts in this state.")
@click.option("--limit", type=click.IntRange(1, MOST), default=100, show_default=True)
@json_option
def owes(product_key: str, state: str | None, limit: int, as_json: bool) -> None:
    """List the receipts that targets owe, those of the oldest erasure first."""
    states = [state] if state else [DUE, CLAIMED, TOLD, PARKED]
    with installed() as parts, parts.database.transaction() as connection:
        number = products.row_of(connection, product_key).id
        found = receipts.waiting(connection, number, states, limit)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    for each in found:
        click.echo(_line(each))
    if not found:
        click.echo("nothing is owed")


def _line(each: Entry) -> str:
    told = f"knows since {each.told_at:%Y-%m-%d}" if each.told_at else "not told"
    return (
        f"{each.erasure_id:36} {each.target:20} {each.state:8} {told}, {each.tries} tries"
        f"  {each.error or ''}"
    ).rstrip()


@target.command("retry")
@PRODUCT
@KEY
@click.option("--erasure", help="Of this erasure only; of all if not given.")
@json_option
@actor_option
def retry(product_key: str, key: str, erasure: str | None, as_json: bool, actor: str) -> None:
    """Tell a target anew what was put before a person."""
    with installed() as parts:
        many = _receipts(parts).retry(product_key, key, erasure, actor)
    if as_json:
        print_json({"retried": many})
        return
    click.echo(f"{many} request{'' if many == 1 else 's'} to be told again")


@target.command("answer")
@PRODUCT
@KEY
@click.argument("erasure")
@click.option("--erased", multiple=True, metavar="CATEGORY", help="It is gone. Repeatable.")
@click.option(
    "--kept",
    multiple=True,
    metavar="CATEGORY:GROUND:DAY",
    help=f"It is kept until a day; grounds are {', '.join(GROUNDS)}. Repeatable.",
)
@json_option
@actor_option
def answer(
    product_key: str,
    key: str,
    erasure: str,
    erased: tuple[str, ...],
    kept: tuple[str, ...],
    as_json: bool,
    actor: str,
) -> None:
    """Give a receipt for a target that can give none by itself: you have seen that it is so."""
    receipt = Receipt(erasure, erased, tuple(_kept(each) for each in kept))
    with installed() as parts:
        found = _receipts(parts).give(product_key, erasure, key, receipt, actor)
    if as_json:
        print_json(asdict(found))
        return
    click.echo(f"receipt of {key} for {erasure}: {found.state}")


def _kept(text: str) -> Kept:
    category, _, rest = text.partition(":")
    why, _, day = rest.partition(":")
    try:
        return Kept(category, why, date.fromisoformat(day) if day else None)
    except ValueError:
        raise click.BadParameter(f"{text[:100]!r}: write CATEGORY:GROUND:2036-12-31") from None


# --- parts -------------------------------------------------------------------------------------


def _targets(parts: Installation) -> Targets:
    return Targets(parts.database, parts.clock, parts.settings.clock == "test")


def _receipts(parts: Installation) -> Receipts:
    return Receipts(parts.database, parts.clock, parts.links)


def _named(parts: Installation, product_key: str, key: str) -> Target:
    with parts.database.transaction() as connection:
        live = targets.live(connection, products.row_of(connection, product_key).id)
    return next(each for each in live if each.key == key)


def _settings(pairs: Sequence[str], url: str | None) -> Mapping[str, str]:
    found = {} if url is None else {"url": url}
    for each in pairs:
        name, sign, value = each.partition("=")
        if not sign:
            raise click.BadParameter(f"{each[:60]!r}: write --setting NAME=VALUE")
        found[name] = _held(value[1:]) if value.startswith("@") else value
    return found


def _held(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path[:200]}: {type(error).__name__}") from None


def _facts(each: Target) -> dict[str, Any]:
    names = ("key", "kind", "categories", "settings", "created_by", "created_at", "tried_at")
    facts = {name: getattr(each, name) for name in (*names, "tried", "retired_at")}
    return facts | {"rotating": len(each.secrets) > 1}


COMMANDS = (target,)

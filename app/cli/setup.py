"""Setting up: the schema, products, feeds, keys, the brake."""

import hashlib
import re
import secrets
from typing import Any
from zoneinfo import available_timezones

import click
from sqlalchemy import Connection

from app import guards, personal, signing
from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, product_of, say
from app.errors import NotFound, Refused
from app.guards import BY_HAND
from app.inbox import STANDARD, speaks
from app.mirror import needs_replan, replan
from app.store import cases, migrate, products
from app.store.cases import HistoryWrite
from app.usage import DEFAULT_FEED
from app.world import billing
from app.world.mail import dkim, sending

SETTABLE = {
    "name": r".{1,100}",
    "from": r"[^@\s<>]+@[^@\s<>]+",
    "reply_to": r"([^@\s<>]+@[^@\s<>]+)?",
    "support_url": r"(https?://\S+)?",
    "app_url": r"(https?://\S+)?",
    "locale": r"[A-Za-z]{2,3}([_-][A-Za-z0-9]+)*",
    "timezone": r"\S+",
    "billing_key_file": r".{0,500}",
    "approvals": r"[12]",
    "dkim_domain": r".{0,253}",
    "dkim_selector": r".{0,63}",
    "dkim_key_file": r".{0,500}",
    "bounce_address": r"([^@\s<>]+@[^@\s<>]+)?",
}
COLUMNS = {"from": "from_address"}
BILLING = "billing."
"""Before the name of what a product sets for its billing system."""
LONGEST_WHY = 200


@click.command("migrate")
def migrate_() -> None:
    """Bring the schema up to date; refuses a newer one."""
    with installed(needs_schema=False) as parts:
        before, after = migrate.upgrade(parts.database)
    done = "was up to date" if before == after else f"migrated from {before or 'nothing'}"
    click.echo(f"schema {after}: {done}")


# --- products ------------------------------------------------------------------------------


@click.group("product")
def product() -> None:
    """Add and set up products."""


@product.command("add")
@click.argument("key")
@click.option("--name", required=True, help="What subscribers know it as.")
@click.option(
    "--billing",
    "system",
    type=click.Choice(billing.names()),
    default="sandbox",
    show_default=True,
    help="The billing system.",
)
@json_option
@actor_option
def add(key: str, name: str, system: str, as_json: bool, actor: str) -> None:
    """Add a product; prints its webhook address and a fresh signing secret, once."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", key):
        raise click.BadParameter("a key is lower-case letters, digits and dashes, such as tv")
    _check_value("name", name)
    found = billing.system(system)
    given = found is not None and found.makes_secrets
    secret = None if given else signing.new_secret()
    with installed() as parts:
        with parts.database.transaction() as connection:
            number = products.add(connection, key, name, system, parts.clock.now())
            secrets = [secret] if secret else []
            products.change(connection, number, {"signing_secrets": secrets})
            _note(connection, parts, number, "product_added", actor)
        speaker = system if speaks(system) else STANDARD
        address = f"{parts.settings.base_url}/webhooks/{key}/{speaker}"
    if as_json:
        print_json({"product": key, "webhook": address, "signing_secret": secret})
        return
    click.echo(f"product {key} added\nwebhook address  {address}")
    if secret is None:
        say(f"Give the secret that is made there: `reconfirm product secret add {key} --from -`.")
        return
    click.echo(f"signing secret   {secret}")
    say("The secret is not shown again.")


@product.command("list")
@json_option
def list_products(as_json: bool) -> None:
    """List the products."""
    with installed() as parts, parts.database.transaction() as connection:
        found = [products.load(connection, key) for key in products.keys(connection)]
    if as_json:
        print_json([_facts(each) for each in found])
        return
    for each in found:
        policy = f"policy {each.policy_version}" if each.policy_version else "no policy in force"
        click.echo(f"{each.key:20} {each.name:30} {each.billing:10} {policy}")


def _facts(each: products.Product) -> dict[str, Any]:
    names = ("key", "name", "billing", "reply_to", "support_url", "app_url", "locale", "timezone")
    facts = {name: getattr(each, name) for name in names}
    facts |= {name: each.mail_settings.get(name, "") for name in sending.NAMES}
    return facts | {
        "from": each.from_address,
        "approvals": each.approvals,
        "policy_version": each.policy_version,
        "heard_until": each.hearing.heard_until,
    }


@product.command("set")
@click.argument("key")
@click.argument("values", nargs=-1, required=True, metavar="NAME=VALUE…")
@actor_option
def set_product(key: str, values: tuple[str, ...], actor: str) -> None:
    """Set what notices and connectors need, such as from=hello@tv.example timezone=Europe/Paris."""
    pairs = [_pair(each) for each in values]
    own = {name: value for name, value in pairs if not name.startswith(BILLING)}
    theirs = {name: value for name, value in pairs if name.startswith(BILLING)}
    given = dict(_setting(name, value) for name, value in own.items())
    mail = {name: given.pop(name) for name in sending.NAMES if name in given}
    with installed() as parts, parts.database.transaction() as connection:
        row = products.row_of(connection, key)
        if mail or "from_address" in given:
            given["mail_settings"] = _of_mail(
                row.mail_settings | mail, given.get("from_address", row.from_address)
            )
        if theirs:
            given["billing_settings"] = row.billing_settings | _of_billing(row.billing, theirs)
        products.change(connection, row.id, given)
        _note(connection, parts, row.id, "product_set", actor)
        product = products.load(connection, key)
    said = sorted({COLUMNS.get(name, name) for name in own} | set(theirs))
    click.echo(f"product {key}: {', '.join(said)} set")
    _warn(product)


def _warn(product: products.Product) -> None:
    """Say at once where the policy in force promises what billing can no longer do."""
    can = billing.capabilities(product.billing, product.billing_settings)
    if lacks := guards.impossible(product, can):
        say(
            f"policy {product.policy_version} is in force and promises what {product.billing}"
            f" cannot do: {', '.join(lacks)}. A brake stops {product.key} until that is mended:"
            f" {guards.mend_of(product, can)}"
        )


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or (name not in SETTABLE and not name.startswith(BILLING)):
        names = f"{', '.join(SETTABLE)}, {BILLING}…"
        raise click.BadParameter(f"{text!r}: write NAME=VALUE, a name out of {names}")
    return name, value


def _setting(name: str, value: str) -> tuple[str, Any]:
    _check_value(name, value)
    return COLUMNS.get(name, name), int(value) if name == "approvals" else value


def _of_mail(settings: dict[str, str], from_address: str) -> dict[str, str]:
    """Give how a product's mails are sent; Refused where they could not be signed so."""
    dkim.check(sending.sending_of(settings), from_address)
    return {name: value for name, value in settings.items() if value}


def _of_billing(system: str, given: dict[str, str]) -> dict[str, str]:
    """Give settings of a product's billing system, checked by what it allows."""
    found = billing.system(system)
    allowed = found.settings if found else {}
    settings = {name.removeprefix(BILLING): value for name, value in given.items()}
    for name, value in settings.items():
        if name not in allowed:
            there = ", ".join(BILLING + each for each in allowed) or "none"
            raise click.BadParameter(f"{system} has no setting {BILLING}{name}; there are: {there}")
        if not re.fullmatch(allowed[name], value):
            raise click.BadParameter(
                f"{BILLING}{name}: {value[:60]!r} does not fit {allowed[name]}"
            )
    return settings


def _check_value(name: str, value: str) -> None:
    wrong = not re.fullmatch(SETTABLE[name], value) or not (value.isprintable() or not value)
    if wrong or (name == "timezone" and value not in available_timezones()):
        raise click.BadParameter(f"{name}: {value[:60]!r} is not usable")


# --- feeds ---------------------------------------------------------------------------------


@click.group("feed")
def feed() -> None:
    """The sources of usage and what each covers."""


@feed.command("list")
@click.argument("product_key", metavar="PRODUCT")
@json_option
def list_feeds(product_key: str, as_json: bool) -> None:
    """List the feeds of a product."""
    with installed() as parts, parts.database.transaction() as connection:
        found = products.feeds(connection, products.row_of(connection, product_key).id)
    if as_json:
        names = ("name", "covers_from", "covers_until", "retired_at")
        print_json([{name: getattr(each, name) for name in names} for each in found])
        return
    for each in found:
        span = f"{each.covers_from or 'never'} to {each.covers_until or 'never spoke'}"
        click.echo(f"{each.name:20} {span}{'  retired' if each.retired_at else ''}")


@feed.command("retire")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("name")
@actor_option
def retire(product_key: str, name: str, actor: str) -> None:
    """Stop counting a feed; what it told stays."""
    with installed() as parts:
        before = product_of(parts, product_key)
        with parts.database.transaction() as connection:
            found = [each for each in products.feeds(connection, before.id) if each.name == name]
            if not found:
                raise NotFound(f"there is no feed {name!r}", "`reconfirm feed list` shows them")
            products.retire_feed(connection, found[0].id, parts.clock.now())
            _note(connection, parts, before.id, "feed_retired", actor)
        if needs_replan(before, product_of(parts, product_key)):
            replan(parts.database, parts.clock, product_key)
    click.echo(f"feed {name} retired")


# --- keys ----------------------------------------------------------------------------------


@click.group("apikey")
def apikey() -> None:
    """Keys with which systems call the API."""


@apikey.command("create")
@click.argument("product_key", metavar="PRODUCT")
@click.option("--scope", type=click.Choice(("usage", "feedback", "read", "manage")), required=True)
@click.option(
    "--feed",
    "feed_name",
    help=f"The feed whose usage this key brings; {DEFAULT_FEED!r} if not given.",
)
@json_option
@actor_option
def create(
    product_key: str,
    scope: str,
    feed_name: str | None,
    as_json: bool,
    actor: str,
) -> None:
    """Create a key; it is printed once, and only its hash is kept."""
    if scope in ("read", "feedback") and feed_name is not None:
        raise click.BadParameter(f"a key of scope {scope} brings no usage: leave --feed out")
    if scope == "usage":
        feed_name = feed_name or DEFAULT_FEED
    key = "rk_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(key.encode()).digest()
    with installed() as parts, parts.database.transaction() as connection:
        row, now = products.row_of(connection, product_key), parts.clock.now()
        feed_id = products.feed_named(connection, row.id, feed_name, now).id if feed_name else None
        number = products.add_key(connection, row.id, digest, key[:7], scope, feed_id, now)
        _note(connection, parts, row.id, "apikey_created", actor)
    if as_json:
        print_json({"id": number, "key": key, "scope": scope, "feed": feed_name})
        return
    click.echo(key)
    brings = f", feed {feed_name}" if feed_name else ""
    say(f"Key {number} for {product_key}, scope {scope}{brings}. It is not shown again.")


@apikey.command("list")
@click.argument("product_key", metavar="PRODUCT")
@json_option
def list_keys(product_key: str, as_json: bool) -> None:
    """List a product's keys, without the keys."""
    with installed() as parts, parts.database.transaction() as connection:
        rows = products.apikeys(connection, products.row_of(connection, product_key).id)
    if as_json:
        print_json([dict(row._mapping) for row in rows])  # noqa: SLF001 - SQLAlchemy's public name
        return
    for row in rows:
        state = "revoked" if row.revoked_at else "live"
        click.echo(f"{row.id:4} {row.hint}… {row.scope:8} {row.feed or '':20} {state}")


@apikey.command("revoke")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("number", type=int)
@actor_option
def revoke(product_key: str, number: int, actor: str) -> None:
    """Revoke a key at once."""
    with installed() as parts, parts.database.transaction() as connection:
        row = products.row_of(connection, product_key)
        if not products.revoke_key(connection, row.id, number, parts.clock.now()):
            raise NotFound(f"there is no live key {number}", "`reconfirm apikey list` shows them")
        _note(connection, parts, row.id, "apikey_revoked", actor)
    click.echo(f"key {number} revoked")


# --- the brake -----------------------------------------------------------------------------


@click.group("brake", invoke_without_command=True)
@json_option
@click.pass_context
def brake(context: click.Context, as_json: bool) -> None:
    """The kill switch: stops the clock of a product, or of all, but not its people.

    Without on or off: which brakes are on, why, and what to do about each.
    """
    if context.invoked_subcommand is None:
        _print_brakes(as_json=as_json)


def _print_brakes(*, as_json: bool) -> None:
    with installed() as parts, parts.database.transaction() as connection:
        found = [_brake_facts(each) for each in products.brakes(connection)]
    if as_json:
        print_json(found)
        return
    for each in found:
        name = each["product"] or "all products"
        click.echo(f"{name}: {each['cause']}, set {each['set_at']:%Y-%m-%d %H:%M}")
        click.echo(f"  by {each['actor']}: {each['says']}\n  mend: {each['mend']}")
    if not found:
        click.echo("no brake is on")


def _brake_facts(each: products.Brake) -> dict[str, Any]:
    says, mend = guards.in_words(each)
    names = ("product", "cause", "why", "actor", "set_at")
    return {name: getattr(each, name) for name in names} | {"says": says, "mend": mend}


@brake.command("on")
@click.argument("product_key", metavar="[PRODUCT]", required=False)
@click.option("--why", required=True, help="The reason, shown to whoever asks.")
@actor_option
def brake_on(product_key: str | None, why: str, actor: str) -> None:
    """Stop new asks, reminders, warnings, suspensions and erasures."""
    _refuse_personal(why)
    with installed() as parts, parts.database.transaction() as connection:
        number = products.row_of(connection, product_key).id if product_key else None
        now = parts.clock.now()
        changed = products.set_brake(connection, number, BY_HAND, why[:LONGEST_WHY], actor, now)
        _note(connection, parts, number, "brake_on", actor)
    click.echo(f"brake {'on' if changed else 'was on already'}: {product_key or 'all products'}")


@brake.command("off")
@click.argument("product_key", metavar="[PRODUCT]", required=False)
@click.option("--why", required=True, help="Why it is safe to go on; kept in the history.")
@actor_option
def brake_off(product_key: str | None, why: str, actor: str) -> None:
    """Let the clock run again; no deadline falls sooner than in three days.

    What tripped a guard until now is taken as seen: only what comes later trips it again.
    """
    _refuse_personal(why)
    with installed() as parts, parts.database.transaction() as connection:
        number = products.row_of(connection, product_key).id if product_key else None
        now = parts.clock.now()
        lifted = guards.lift(connection, number, actor, why[:LONGEST_WHY], now)
    click.echo(
        f"{lifted} brake{'' if lifted == 1 else 's'} lifted: {product_key or 'all products'}"
    )


def _refuse_personal(why: str) -> None:
    held = personal.found_in(why)
    if held is not None:
        raise Refused(f"--why holds what looks like {held}", "give a reason without personal data")


def _note(
    connection: Connection, parts: Installation, product_id: int | None, what: str, actor: str
) -> None:
    line = HistoryWrite(None, None, what, "command", None)
    cases.insert_history(connection, product_id or 0, parts.clock.now(), actor, [line])


COMMANDS = (migrate_, product, feed, apikey, brake)

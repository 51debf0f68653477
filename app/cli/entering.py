"""The way in to the console where there is no identity provider, and who is in there."""

import hashlib
import re
import secrets
from dataclasses import asdict
from datetime import timedelta

import click

from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, say
from app.errors import NotFound, Refused
from app.store import cases, console, products
from app.store.cases import HistoryWrite
from app.web.console.attendance import end_sessions
from app.web.console.roles import Role
from app.web.console.signing_in import linked

GOOD_FOR = timedelta(minutes=10)
ROLES = tuple(each.name.lower() for each in Role)


@click.command("console-link")
@click.option("--role", type=click.Choice(ROLES), default="admin", show_default=True)
@click.option("--product", "product_key", help="Only for this product; all if not given.")
@click.option("--name", help="Who it is for, as history names them; who makes it if not given.")
@json_option
@actor_option
def console_link(
    role: str, product_key: str | None, name: str | None, as_json: bool, actor: str
) -> None:
    """Print a link that lets one person in to the console, once, within ten minutes."""
    name = actor.removeprefix("cli:") if name is None else name
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise click.BadParameter("--name: a short name of letters, digits, dots and dashes")
    with installed() as parts:
        address = link_for(parts, name, role, product_key, actor)
    written = _written(role, product_key)
    if as_json:
        print_json({"link": address, "name": name, "roles": [written]})
        return
    click.echo(address)
    say(f"It lets {name} in as {written}, once, within ten minutes. `reconfirm web` has to run.")


def link_for(parts: Installation, name: str, role: str, product_key: str | None, actor: str) -> str:
    """Make a link that lets `name` in once, with a role on one product or (None) all; its address.

    Refused where the name is somebody's of the identity provider, NotFound without such a product.
    """
    token = secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).digest()
    wall, written = parts.clock.wall(), _written(role, product_key)
    with parts.database.transaction() as connection:
        if product_key is not None:
            products.row_of(connection, product_key)
        if not console.is_of(connection, name, linked(name)):
            raise Refused(
                f"{name} is somebody who signs in at the identity provider",
                "give another --name: history must tell the two apart",
            )
        console.add_link(connection, digest, name, [written], wall, wall + GOOD_FOR)
        line = HistoryWrite(None, None, "console_link_made", role, None)
        cases.insert_history(connection, 0, parts.clock.now(), actor, [line])
    return f"{parts.settings.base_url}/console/enter/{token}"


def _written(role: str, product_key: str | None) -> str:
    return role if product_key is None else f"{product_key}:{role}"


@click.group("console")
def console_() -> None:
    """The console: `console-link` lets somebody in."""


@console_.group("sessions")
def sessions() -> None:
    """Who is signed in to the console."""


@sessions.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List who is signed in: roles, in how many browsers, since when, and when last seen (UTC)."""
    with installed() as parts, parts.database.transaction() as connection:
        found = console.signed_in(connection, parts.clock.wall())
    if as_json:
        print_json([asdict(each) for each in found])
        return
    for each in found:
        click.echo(
            f"{each.name:24} {','.join(each.roles):32} {each.sessions:3}"
            f"  since {each.since:%Y-%m-%d %H:%M}  seen {each.seen_at:%Y-%m-%d %H:%M}"
        )
    if not found:
        click.echo("nobody is signed in")


@sessions.command("end")
@click.argument("name", required=False)
@click.option("--all", "everybody", is_flag=True, help="Everybody's.")
@json_option
@actor_option
def end(name: str | None, everybody: bool, as_json: bool, actor: str) -> None:
    """End the sessions of NAME, or of everybody: they are signed out at once.

    Whoever may sign in can do so again: take the role away where it was given.
    """
    if everybody == bool(name):
        raise click.UsageError("say whose sessions: a NAME, or --all")
    with installed() as parts, parts.database.transaction() as connection:
        ended = end_sessions(connection, parts.clock, actor, name)
        if name and not ended:
            raise NotFound(
                f"{name} is not signed in", "`reconfirm console sessions list` shows who is"
            )
    if as_json:
        print_json({"ended": ended})
        return
    for each in ended:
        click.echo(f"signed out: {each}")
    if not ended:
        click.echo("nobody is signed in")


COMMANDS = (console_link, console_)

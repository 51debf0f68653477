"""The way in to the console where there is no identity provider, or it is down."""

import hashlib
import re
import secrets
from datetime import timedelta

import click

from app.cli.actor import actor_option, json_option
from app.cli.installation import installed, print_json, say
from app.errors import Refused
from app.store import cases, console, products
from app.store.cases import HistoryWrite
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
    token = secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).digest()
    with installed() as parts:
        wall = parts.clock.wall()
        with parts.database.transaction() as connection:
            if product_key is not None:
                products.row_of(connection, product_key)
            if not console.is_of(connection, name, linked(name)):
                raise Refused(
                    f"{name} is somebody who signs in at the identity provider",
                    "give another --name: history must tell the two apart",
                )
            written = role if product_key is None else f"{product_key}:{role}"
            console.add_link(connection, digest, name, [written], wall, wall + GOOD_FOR)
            line = HistoryWrite(None, None, "console_link_made", role, None)
            cases.insert_history(connection, 0, parts.clock.now(), actor, [line])
        address = f"{parts.settings.base_url}/console/enter/{token}"
    if as_json:
        print_json({"link": address, "name": name, "roles": [written]})
        return
    click.echo(address)
    say(f"It lets {name} in as {written}, once, within ten minutes. `reconfirm web` has to run.")


COMMANDS = (console_link,)

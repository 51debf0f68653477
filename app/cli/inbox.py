"""What systems sent: the inbox, and the secrets that they sign with."""

import re
from dataclasses import asdict
from typing import Any, TextIO

import click
from sqlalchemy import Connection

from app import signing
from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, say
from app.cli.setup import product
from app.errors import Conflict, NotFound, Refused
from app.inbox import Inbox, Reply, Result
from app.store import cases, products
from app.store import inbox as store
from app.store.cases import HistoryWrite
from app.store.inbox import Entry

STATES = tuple(str(each) for each in Result if each is not Result.DUPLICATE)
MOST_LISTED = 1000
MOST_SECRETS = 4
HINT = len(signing.PREFIX) + 4
GIVEN = re.compile(r"[!-~]{16,256}")
"""What a billing system may use for a secret."""
"""How many characters of a secret name it."""


@click.group("inbox")
def inbox() -> None:
    """What billing systems sent, and what it came to."""


@inbox.command("list")
@click.argument("product_key", metavar="[PRODUCT]", required=False)
@click.option("--state", type=click.Choice(STATES), help="Only what came to this.")
@json_option
def list_messages(product_key: str | None, state: str | None, as_json: bool) -> None:
    """List the newest messages, newest first, without what they say."""
    states = (state,) if state else STATES
    with installed() as parts, parts.database.transaction() as connection:
        number = products.row_of(connection, product_key).id if product_key else None
        found = store.entries(connection, number, states, MOST_LISTED)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    for each in found:
        click.echo(_line(each))


def _line(each: Entry) -> str:
    received = each.received_at.strftime("%Y-%m-%d %H:%M:%S")
    start = f"{each.id:8} {received} {each.product:12} {each.type or '?':24} {each.state:10}"
    return f"{start} {each.message_id}{'  ' if each.reason else ''}{each.reason or ''}"


@inbox.command("show")
@click.argument("number", type=int, metavar="ID")
@json_option
def show(number: int, as_json: bool) -> None:
    """Show one message with its raw body, while that is kept."""
    with installed() as parts, parts.database.transaction() as connection:
        found = store.entry(connection, number)
    if found is None:
        raise NotFound(f"there is no message {number}", "`reconfirm inbox list` shows them")
    entry, body = found
    text = None if body is None else body.decode(errors="backslashreplace")
    if text is not None:
        say("The body may name a person: do not pass it on.")
    if as_json:
        print_json(asdict(entry) | {"body": text})
        return
    click.echo(f"{_line(entry)}\n{_printable(text) if text is not None else '(no body is kept)'}")


def _printable(text: str) -> str:
    """Give text that moves no cursor and rings no bell in the terminal of who reads it."""
    return "".join(
        mark if mark.isprintable() or mark == "\n" else ascii(mark)[1:-1] for mark in text
    )


@inbox.command("replay")
@click.argument("number", type=int, metavar="[ID]", required=False)
@click.option("--failed", "product_key", metavar="PRODUCT", help="All of a product that wait.")
@json_option
def replay(number: int | None, product_key: str | None, as_json: bool) -> None:
    """Apply a message again, or with --failed all that failed or could not be read."""
    if (number is None) == (product_key is None):
        raise click.UsageError("name a message, or --failed and a product")
    with installed() as parts:
        taking = Inbox(parts.database, parts.clock, links=parts.links)
        if number is not None:
            _replay_one(taking, number, as_json=as_json)
        elif product_key is not None:
            _replay_failed(taking, product_key, as_json=as_json)


def _replay_one(taking: Inbox, number: int, *, as_json: bool) -> None:
    reply = taking.replay(number)
    _print(as_json, {"id": number, "result": reply.result, "reason": reply.reason}, _said(reply))
    if reply.reason is not None:
        raise Refused(f"message {number} was not applied", "`reconfirm inbox show` has its body")


def _said(reply: Reply) -> str:
    return f"{reply.result}: {reply.reason}" if reply.reason else str(reply.result)


def _replay_failed(taking: Inbox, product_key: str, *, as_json: bool) -> None:
    counts = dict(sorted(taking.replay_failed(product_key).items()))
    said = "  ".join(f"{what} {count}" for what, count in counts.items())
    _print(as_json, counts, said or "nothing waited")


def _print(as_json: bool, facts: Any, said: str) -> None:
    if as_json:
        print_json(facts)
    else:
        click.echo(said)


# --- secrets ---------------------------------------------------------------------------------


@product.group("secret")
def secret() -> None:
    """The secrets that billing signs its webhooks with; several hold while they rotate."""


@secret.command("list")
@click.argument("key")
@json_option
def list_secrets(key: str, as_json: bool) -> None:
    """List a product's secrets by their hints, newest first."""
    with installed() as parts, parts.database.transaction() as connection:
        found = [each[:HINT] for each in products.row_of(connection, key).signing_secrets]
    _print(as_json, [{"hint": each} for each in found], "\n".join(f"{each}…" for each in found))


@secret.command("add")
@click.argument("key")
@click.option(
    "--from",
    "given",
    type=click.File("r"),
    help="Take the secret that billing has made, from a file or - for standard input.",
)
@json_option
@actor_option
def add_secret(key: str, given: TextIO | None, as_json: bool, actor: str) -> None:
    """Make a new secret, printed once; the ones before it hold until they are retired."""
    made = signing.new_secret() if given is None else _given(given.read().strip())
    with installed() as parts, parts.database.transaction() as connection:
        number, before = _held(connection, key)
        if len(before) >= MOST_SECRETS:
            raise Conflict(f"{key} has {len(before)} secrets", "retire one that nobody signs with")
        products.change(connection, number, {"signing_secrets": [made, *before]})
        _note(connection, parts, number, "secret_added", actor)
    if given is not None:
        _print(as_json, {"product": key, "hint": made[:HINT]}, f"secret {made[:HINT]}… taken")
        return
    _print(as_json, {"product": key, "signing_secret": made}, made)
    say("The secret is not shown again. Change the sender over, then retire the old one.")


@secret.command("retire")
@click.argument("key")
@click.argument("hint")
@actor_option
def retire_secret(key: str, hint: str, actor: str) -> None:
    """Stop believing a secret, named by its hint, from this moment on; the last one stays."""
    start = hint.rstrip("….")
    with installed() as parts, parts.database.transaction() as connection:
        number, before = _held(connection, key)
        named = [each for each in before if len(start) >= HINT and each.startswith(start)]
        _check_retirable(named, before)
        left = [each for each in before if each not in named]
        products.change(connection, number, {"signing_secrets": left})
        _note(connection, parts, number, "secret_retired", actor)
    click.echo(f"secret {named[0][:HINT]}… retired")


def _given(text: str) -> str:
    if not GIVEN.fullmatch(text):
        raise click.BadParameter("the file holds no secret: one line, such as whsec_…, is wanted")
    return text


def _held(connection: Connection, key: str) -> tuple[int, list[str]]:
    """Lock a product and give its id and its secrets; NotFound says which products there are."""
    found = store.signing_secrets(connection, key, lock=True)
    if found is None:
        raise NotFound(f"there is no product {key!r}", "`reconfirm product list` shows them")
    return found


def _check_retirable(named: list[str], before: list[str]) -> None:
    if len(named) != 1:
        what = "no secret begins so" if not named else "several secrets begin so"
        raise NotFound(what, "`reconfirm product secret list` shows the hints; write more of it")
    if len(before) == 1:
        raise Conflict(
            "it is the last secret", "`reconfirm product secret add` makes another first"
        )


def _note(
    connection: Connection, parts: Installation, product_id: int, what: str, actor: str
) -> None:
    line = HistoryWrite(None, None, what, "command", None)
    cases.insert_history(connection, product_id, parts.clock.now(), actor, [line])


COMMANDS = (inbox,)

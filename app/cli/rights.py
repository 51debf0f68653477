"""What a person may ask of us, done for them at the desk: seeing, erasing, locking, correcting.

An address is read from a file or asked for, never taken as an argument: those end in the history of
a shell.
"""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import IO

import click
import msgspec
from sqlalchemy import Connection

from app import export
from app.cli.actor import actor_option, json_option
from app.cli.explaining import subject
from app.cli.installation import Installation, installed, print_json, say
from app.engine.rights import Rights, refuse
from app.errors import Conflict, NotFound, Refused
from app.export import Held, NothingHeld
from app.lifecycle.case import Verdict
from app.lifecycle.erasures import OWN_REST
from app.rows import RowRefused, address
from app.store import cases, population, products, reading, tombstones
from app.store.cases import HistoryWrite
from app.store.products import Product
from app.web.words import sentences

PRODUCT = click.argument("product_key", metavar="PRODUCT")
SUBSCRIPTION = click.argument("subscription")
CHARGED = "it is still charged, and nothing is erased while it is"


@subject.command("export")
@PRODUCT
@SUBSCRIPTION
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to a new file that only you can read.",
)
@actor_option
def export_(product_key: str, subscription: str, out: Path | None, actor: str) -> None:
    """Print all that is held about a subscription as one JSON document.

    After an erasure it says only that nothing is held.
    """
    with installed() as parts, parts.database.transaction() as connection:
        product, now = products.load(connection, product_key), parts.clock.now()
        held = _held(connection, parts, product, subscription)
        if isinstance(held, Held):
            line = HistoryWrite(held.subscription.number, None, "data_exported", "command", None)
            cases.insert_history(connection, product.id, now, actor, [line])
    document = msgspec.json.format(msgspec.json.encode(held)) + b"\n"
    if out is None:
        sys.stdout.buffer.write(document)
        sys.stdout.buffer.flush()
    else:
        _write(out, document)
        say(f"written to {out}: {len(document):,} bytes")


def _held(
    connection: Connection, parts: Installation, product: Product, subscription: str
) -> Held | NothingHeld:
    now = parts.clock.now()
    sid = reading.find_present(connection, product.id, subscription)
    marks = parts.links.subscription_marks(product.id, subscription)
    if sid is None and not any(tombstones.has_mark(connection, product.id, mark) for mark in marks):
        raise _unknown(product.key)
    words = sentences("en")
    found = sid and export.everything(connection, parts.links, product, sid, now, words)
    return found or export.nothing(product, now)


def _write(out: Path, document: bytes) -> None:
    try:
        number = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Refused(
            f"{out} cannot be written: {type(error).__name__}", "name a file that is not there yet"
        ) from None
    with os.fdopen(number, "wb") as file:
        file.write(document)


@subject.command("erase")
@PRODUCT
@SUBSCRIPTION
@click.option("--cancel", is_flag=True, help="It is canceled too, as their own word.")
@click.option("--yes", is_flag=True, help="You have made sure that it is them who ask.")
@json_option
@actor_option
def erase(
    product_key: str,
    subscription: str,
    cancel: bool,
    yes: bool,
    as_json: bool,
    actor: str,
) -> None:
    """Pass on that somebody wants to be erased.

    It begins by itself a day later, once nothing is charged any more and no hold is on, and is done
    within 30 days. Until it begins, a resume or `keep_data` on their page takes it back.
    """
    if not yes:
        raise click.UsageError("make sure that it is them who ask, then add --yes")
    with installed() as parts:
        sid, rights = _of(parts, product_key, subscription), Rights(parts.database, parts.clock)
        verdict = rights.erase(product_key, sid, actor, cancel=cancel)
        if verdict is Verdict.TOO_LATE:
            raise Conflict(CHARGED, "let it be canceled as their own word too: --cancel")
        refuse(verdict)
        asked_at = _asked_at(parts, product_key, sid)
    if as_json:
        begins_at = None if asked_at is None else asked_at + OWN_REST
        print_json({"verdict": str(verdict), "asked_at": asked_at, "begins_at": begins_at})
    elif asked_at is not None:
        click.echo(
            f"it begins by itself on {asked_at + OWN_REST:%Y-%m-%d %H:%M} UTC at the soonest"
        )


def _asked_at(parts: Installation, product_key: str, sid: int) -> datetime | None:
    with parts.database.transaction() as connection:
        product = products.load(connection, product_key)
        found = cases.read(connection, product.id, [sid], product.hearing, lock=False)[sid]
    return found.round.erase_at if found.round else None


@subject.command("restrict")
@PRODUCT
@SUBSCRIPTION
@actor_option
def restrict(product_key: str, subscription: str, actor: str) -> None:
    """Lock somebody's data: it is not erased, and nothing follows from silence.

    A person looks at it within 30 days.
    """
    with installed() as parts:
        sid = _of(parts, product_key, subscription)
        verdict = Rights(parts.database, parts.clock).restrict(product_key, sid, actor)
    refuse(verdict)
    click.echo("the data is locked" if verdict is Verdict.APPLIED else "it is locked already")


@subject.command("object")
@PRODUCT
@SUBSCRIPTION
@actor_option
def object_(product_key: str, subscription: str, actor: str) -> None:
    """Put somebody's objection before a person: until then nothing follows from silence."""
    with installed() as parts:
        sid = _of(parts, product_key, subscription)
        verdict = Rights(parts.database, parts.clock).object(product_key, sid, actor)
    refuse(verdict)
    done = "it waits for a person: `reconfirm review list`"
    click.echo(done if verdict is Verdict.APPLIED else "it waits for a person already")


@subject.command("correct")
@PRODUCT
@SUBSCRIPTION
@click.option(
    "--email-file",
    type=click.File("r", encoding="utf-8"),
    help="Where the new address stands, - for the input; asked for if not given.",
)
@actor_option
def correct(product_key: str, subscription: str, email_file: IO[str] | None, actor: str) -> None:
    """Write to another address from now on.

    What billing goes on telling does not overwrite it, until that is another one.
    """
    given = email_file.read(1000) if email_file else click.prompt("New address", err=True)
    try:
        email = address(given.strip())
    except RowRefused as refused:
        raise Refused(refused.plain, "give one address and nothing else") from None
    with installed() as parts:
        sid = _of(parts, product_key, subscription)
        verdict = Rights(parts.database, parts.clock).correct(product_key, sid, email, actor)
    refuse(verdict)
    done = "notices go there from now on"
    click.echo(done if verdict is Verdict.APPLIED else "that is the address already")


def _of(parts: Installation, product_key: str, subscription: str) -> int:
    """Give the number of a subscription; Conflict where its person was erased."""
    with parts.database.transaction() as connection:
        product = products.row_of(connection, product_key)
        found = population.find(connection, product.id, subscription)
        marks = parts.links.subscription_marks(product.id, subscription)
        erased = any(tombstones.has_mark(connection, product.id, mark) for mark in marks)
        present = reading.find_present(connection, product.id, subscription)
    if erased or (found is not None and not present):
        raise Conflict("nothing is held about it", "there is nothing left to do")
    if found is None:
        raise _unknown(product_key)
    return found


def _unknown(product_key: str) -> NotFound:
    return NotFound(
        f"{product_key} has no such subscription", "use the id under which billing knows it"
    )


COMMANDS = (subject,)

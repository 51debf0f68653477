"""The history as evidence: recomputing its chains, and exporting where they end."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from sqlalchemy import Connection

from app import certificates, sealing
from app.certificates import HEADS
from app.cli.actor import json_option
from app.cli.installation import Installation, installed, print_json, say
from app.errors import Refused
from app.sealing import Chain, Sealer
from app.store import installation as stamps
from app.store import products
from app.store import sealing as store

NOBODY = "-"
"""How the chain of what belongs to no product is named."""


@click.group("audit")
def audit() -> None:
    """The history of who did what, sealed so that no change of it stays unseen."""


@audit.command("verify")
@click.argument("product_key", metavar="[PRODUCT]", required=False)
@click.option(
    "--head",
    "head_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Heads exported before: what was cut off or made anew since shows.",
)
@json_option
def verify(product_key: str | None, head_file: Path | None, as_json: bool) -> None:
    """Recompute the chains; name the first entry of each that is not as it was sealed."""
    with installed() as parts:
        with parts.database.transaction() as connection:
            only = None if product_key is None else products.row_of(connection, product_key).id
            names = _names(connection)
        heads = {} if head_file is None else _read_heads(parts, head_file.read_bytes(), names)
        if only is not None:
            heads = {number: head for number, head in heads.items() if number == only}
        with Console(stderr=True).status("Reading the history") as status:
            chains = sealing.verify(
                parts.database, only, heads, lambda n: status.update(f"{n:,} entries read")
            )
    found = [_facts(each, names) for each in chains]
    bad = [each for each in found if each["bad"] is not None]
    if as_json:
        print_json({"well": not bad, "chains": found})
    else:
        for each in found:
            _print(each)
        if not found:
            click.echo("nothing is sealed yet")
    if bad:
        raise SystemExit(1)


def _facts(chain: Chain, names: Mapping[int, str]) -> dict[str, Any]:
    bad = chain.bad
    return {
        "product": names.get(chain.product_id, str(chain.product_id)),
        "entries": chain.no,
        "hash": chain.hash.hex(),
        "bad": None
        if bad is None
        else {
            "no": bad.no,
            "history": bad.history_id,
            "what": bad.what,
            "says": f"entry {bad.no} {sealing.WORDS[bad.what]}",
        },
    }


def _print(found: dict[str, Any]) -> None:
    if found["bad"] is None:
        click.echo(f"ok    {found['product']}: {found['entries']:,} entries, head {found['hash']}")
        return
    line = found["bad"]["history"]
    where = "" if line is None else f" (line {line} of the history)"
    click.echo(f"FAIL  {found['product']}: {found['bad']['says']}{where}")


@audit.command("head")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="The file; stdout if not given."
)
def head(out: Path | None) -> None:
    """Seal what is written, and export where each chain ends, signed: keep it elsewhere."""
    with installed() as parts:
        Sealer(parts.database, parts.clock).seal_all()
        with parts.database.transaction() as connection:
            names, ends = _names(connection), store.heads(connection)
        content = {
            "version": certificates.VERSION,
            "at": _written(parts.clock.wall()),
            "chains": [
                {
                    "product": names.get(each.product_id, NOBODY),
                    "no": each.no,
                    "hash": each.hash.hex(),
                }
                for _, each in sorted(ends.items())
            ],
        }
        document = certificates.sign(HEADS, content, _keys(parts))
    if out is None:
        print_json(document)
        return
    out.write_bytes(certificates.laid_out(document))
    say(f"{len(ends)} chains, in {out}: keep it where nobody who can write the database can")


def _read_heads(
    parts: Installation, raw: bytes, names: Mapping[int, str]
) -> dict[int, tuple[int, bytes]]:
    """Give exported heads by product; Refused where they are not ours."""
    content = certificates.verify(HEADS, raw, certificates.public_keys(_keys(parts)))
    numbers = {name: number for number, name in names.items()}
    found: dict[int, tuple[int, bytes]] = {}
    for each in content["chains"]:
        if each["product"] not in numbers:
            raise Refused(
                f"the heads name a product {each['product']!r} that is not here",
                "verify them against the database they were exported from",
            )
        found[numbers[each["product"]]] = (each["no"], bytes.fromhex(each["hash"]))
    return found


def _names(connection: Connection) -> dict[int, str]:
    return {0: NOBODY} | {n: key for key, n in stamps.product_ids(connection).items()}


def _keys(parts: Installation) -> list[str]:
    return [key.get_secret_value() for key in parts.settings.secret_keys]


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


COMMANDS = (audit,)

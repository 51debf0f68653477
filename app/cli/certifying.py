"""Certificates of erasure: shown, and verified by whoever holds one, without a database."""

from pathlib import Path
from typing import Any

import click

from app import certificates, settings
from app.certificates import CERTIFICATE
from app.cli.actor import json_option
from app.cli.installation import installed, print_json, say
from app.errors import NotFound
from app.store import products, proof

LARGEST = certificates.LARGEST


@click.group("certificate")
def certificate() -> None:
    """What proves an erasure to whoever asks for proof."""


@certificate.command("show")
@click.argument("product_key", metavar="PRODUCT")
@click.argument("erasure", metavar="ERASURE")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file.")
def show(product_key: str, erasure: str, out: Path | None) -> None:
    """Print the certificate of an erasure, as it was signed."""
    with installed() as parts, parts.database.transaction() as connection:
        number = products.row_of(connection, product_key).id
        found = proof.certificate(connection, number, erasure)
    if found is None:
        raise NotFound(
            f"{product_key} has no certificate of an erasure {erasure!r}",
            "it is made when the erasure is over; `reconfirm subject explain` says how far it is",
        )
    if out is None:
        print_json(found)
        return
    out.write_bytes(certificates.laid_out(found))
    say(f"written to {out}; `reconfirm certificate verify {out}` checks it")


@certificate.command("key")
def key() -> None:
    """Print the public keys that certificates are verified with, newest first, as a JWK set."""
    print_json(certificates.published(_secret_keys()))


@certificate.command("verify")
@click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--key",
    "key_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The issuer's published key; without it, this installation's own keys.",
)
@json_option
def verify(file: Path, key_file: Path | None, as_json: bool) -> None:
    """Check a certificate, offline: that it is as it was signed, and by whom."""
    if key_file is None:
        trusted = certificates.public_keys(_secret_keys())
    else:
        trusted = certificates.read_published(_read(key_file))
    found = certificates.verify(CERTIFICATE, _read(file), trusted)
    if as_json:
        print_json({"genuine": True, CERTIFICATE: found})
        return
    click.echo(_line(found))


def _line(found: dict[str, Any]) -> str:
    return (
        f"genuine: erasure {found.get('erasure')} at {found.get('product_name')},"
        f" over since {found.get('ended_at')}"
    )


def _read(path: Path) -> bytes:
    """Give what a file holds, up to a byte more than is ever read as a document."""
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


def _secret_keys() -> list[str]:
    return [each.get_secret_value() for each in settings.load().secret_keys]


COMMANDS = (certificate,)

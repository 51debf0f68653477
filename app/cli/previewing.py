"""Looking at a notice before anybody gets it: as files, or as a mail to oneself."""

from pathlib import Path

import click
from msgspec.structs import replace

from app.cli.actor import actor_option, json_option
from app.cli.installation import Installation, installed, print_json, product_of, say
from app.engine.briefs import brand_of
from app.engine.samples import sample
from app.errors import Refused
from app.store import brands, cases, products
from app.store.cases import HistoryWrite
from app.store.products import Product
from app.world.mail import dkim
from app.world.mail.address import on_the_wire
from app.world.mail.brief import NOTICES, Brand, Brief
from app.world.mail.compose import Composer
from app.world.mail.sending import sending_of
from app.world.outcome import Done

NOBODY = "/a/sample"
"""The page of a sample: it leads to nobody's, and so changes nothing."""

PRODUCT = click.argument("product_key", metavar="PRODUCT")
NOTICE = click.argument("notice", type=click.Choice(NOTICES))
LOCALE = click.option(
    "--locale", default="", help="Such as fr or en-GB; the product's if not given."
)


@click.command("preview")
@PRODUCT
@NOTICE
@LOCALE
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The folder for the files; this one if not given.",
)
@json_option
def preview(product_key: str, notice: str, locale: str, folder: Path, as_json: bool) -> None:
    """Write a notice as it would look: text, HTML, and the whole mail."""
    with installed() as parts:
        brand, brief = _sampled(parts, product_key, notice, locale)
    composer = Composer()
    draft, mail = composer.preview(brand, brief), composer.compose(brand, brief)
    stem = f"{notice}.{brief.language}"
    kinds = {"txt": f"{draft.subject}\n\n{draft.text}".encode(), "html": draft.html.encode()}
    written = _written(
        folder, {f"{stem}.{kind}": body for kind, body in {**kinds, "eml": mail}.items()}
    )
    if as_json:
        print_json({"subject": draft.subject, "bytes": len(mail), "files": written})
        return
    for each in written:
        click.echo(each)
    say(f"{draft.subject!r}, {len(mail):,} bytes")
    say("The person is made up, and the links are nobody's.")


@click.command("send-test")
@PRODUCT
@click.argument("address")
@click.option("--notice", type=click.Choice(NOTICES), default="ask", show_default=True)
@LOCALE
@actor_option
def send_test(product_key: str, address: str, notice: str, locale: str, actor: str) -> None:
    """Send one made-up notice through the relay, in the product's name, marked as a test."""
    to = on_the_wire(address)
    with installed() as parts:
        brand, brief = _sampled(parts, product_key, notice, locale)
        marked = replace(brand, name=f"{brand.name} (test)")
        message = Composer().compose(marked, replace(brief, to=to))
        product = product_of(parts, product_key)
        _hand_over(parts, product, to, message)
        line = HistoryWrite(None, None, "relay_tested", "command", None)
        with parts.database.transaction() as connection:
            cases.insert_history(connection, product.id, parts.clock.now(), actor, [line])
    click.echo(f"handed over to the relay: {notice}, in {brief.language}")


def _hand_over(parts: Installation, product: Product, to: str, message: bytes) -> None:
    """Send it as notices are sent: signed, where the product signs."""
    sending = sending_of(product.mail_settings)
    signed = dkim.prepared(message, sending, parts.clock.wall())
    with parts.worker() as worker:
        outcome = worker.relay.send(sending.envelope_from(product.from_address), to, signed)
    if not isinstance(outcome, Done):
        raise Refused(
            f"the relay did not take it: {outcome.reason}",
            "`reconfirm doctor` tries the relay by itself",
        )


def _sampled(
    parts: Installation, product_key: str, notice: str, locale: str
) -> tuple[Brand, Brief]:
    with parts.database.transaction() as connection:
        product = products.load(connection, product_key)
        brand = brand_of(product, brands.read(connection, product.id))
    page = f"{parts.settings.base_url.rstrip('/')}{NOBODY}"
    return brand, sample(product, notice, locale, parts.clock.now(), page)


def _written(folder: Path, files: dict[str, bytes]) -> list[str]:
    """Write files and give their names."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, body in files.items():
            (folder / name).write_bytes(body)
    except OSError as error:
        raise Refused(
            f"the files cannot be written: {type(error).__name__}", "name another folder with --to"
        ) from None
    return [str(folder / name) for name in files]

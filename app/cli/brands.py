"""What a product makes its own in notices and pages: a colour, a logo, a sentence."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from app import colors
from app.cli.actor import actor_option, json_option
from app.cli.installation import installed, print_json
from app.errors import Refused
from app.store import brands, cases, products
from app.store.brands import Own
from app.store.cases import HistoryWrite
from app.world.mail import logo as logos
from app.world.mail import own as words_
from app.world.mail.brief import NOTICES
from app.world.mail.draft import languages


@click.group("brand")
def brand() -> None:
    """A product's colour, logo and own sentences in its notices."""


PRODUCT = click.argument("product_key", metavar="PRODUCT")


@brand.command("show")
@PRODUCT
@json_option
def show(product_key: str, as_json: bool) -> None:
    """Show what is a product's own."""
    with installed() as parts, parts.database.transaction() as connection:
        own = brands.read(connection, products.row_of(connection, product_key).id)
    if as_json:
        print_json(_facts(own))
        return
    click.echo(f"colour  {own.color or 'ours'}")
    click.echo(f"logo    {_logo(own) or 'none: the name stands there'}")
    for notice, language, text in own.words:
        click.echo(f"{notice:16} {language}  {text}")


@brand.command("set")
@PRODUCT
@click.option("--color", help="Of buttons and links, such as '#1d4f7c'; '' for ours.")
@click.option(
    "--logo",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"A PNG or JPEG of at most {logos.LARGEST // 1024} KB; it travels with each mail.",
)
@click.option("--no-logo", is_flag=True, help="Take the logo away.")
@actor_option
def set_brand(
    product_key: str, color: str | None, logo: Path | None, no_logo: bool, actor: str
) -> None:
    """Set the colour and the logo; both are checked first."""
    if color is None and logo is None and not no_logo:
        raise click.UsageError("say what to set: --color, --logo or --no-logo")
    if logo is not None and no_logo:
        raise click.UsageError("say --logo or --no-logo, not both")
    changes: dict[str, Any] = {}
    if color is not None:
        changes["color"] = colors.checked(color) if color else ""
    if logo is not None:
        changes["logo"] = logos.checked(_read(logo))
    if no_logo:
        changes["logo"] = None
    _change(product_key, changes, actor)
    click.echo(f"product {product_key}: {', '.join(changes)} set")


@brand.command("words")
@PRODUCT
@click.argument("notice", type=click.Choice(NOTICES))
@click.argument("language", type=click.Choice(languages()))
@click.argument("text", required=False)
@click.option("--remove", is_flag=True, help="Take the sentence away.")
@actor_option
def set_words(
    product_key: str, notice: str, language: str, text: str | None, remove: bool, actor: str
) -> None:
    """Add a sentence of one's own at the end of a notice.

    It is text, with placeholders such as {plan}, {price} or {answer_by}; whoever reads another
    language does not see it.
    """
    if (text is None) != remove:
        raise click.UsageError("give the sentence, or --remove")
    said = words_.checked(notice, language, text) if text is not None else ""
    _change(product_key, {"words": (notice, language, said)}, actor)
    has = "has a sentence of its own" if said else "has no sentence of its own"
    click.echo(f"product {product_key}: {notice} in {language} {has}")


def _change(product_key: str, changes: dict[str, Any], actor: str) -> None:
    with installed() as parts, parts.database.transaction() as connection:
        number = products.row_of(connection, product_key).id
        own = brands.lock(connection, number)
        if "words" in changes:
            changes = {"words": brands.with_sentence(own.words, *changes["words"])}
        brands.write(connection, number, replace(own, **changes))
        note = HistoryWrite(None, None, "brand_set", "command", None)
        cases.insert_history(connection, number, parts.clock.now(), actor, [note])


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(logos.LARGEST + 1)
    except OSError as error:
        raise Refused(
            f"the logo cannot be read: {type(error).__name__}", "make it readable for this account"
        ) from None


def _facts(own: Own) -> dict[str, Any]:
    names = ("notice", "language", "text")
    return {
        "color": own.color or None,
        "logo": _logo(own),
        "words": [dict(zip(names, each, strict=True)) for each in own.words],
    }


def _logo(own: Own) -> str | None:
    return f"{logos.kind(own.logo)}, {len(own.logo):,} bytes" if own.logo else None


COMMANDS = (brand,)

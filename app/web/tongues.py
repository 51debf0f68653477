"""The language a page is in: what the address says, then the person, the browser, the product.

`?lang=xx` stands in the address alone, so that no cookie is needed; every link and form of a page
carries it on. A language that there are no sentences in is passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlencode

from babel import Locale
from flask import request

from app.web.words import speaks
from app.world.mail.draft import Tongue, languages

LANG = "lang"


@dataclass(frozen=True, slots=True)
class Offered:
    """One language that a page can be read in: its tag, its own name, and where it is."""

    tag: str
    name: str
    address: str
    current: bool


def chosen() -> str:
    """Give the language that the address asks for; empty where it asks for none, or not plainly."""
    asked = request.args.getlist(LANG)
    return asked[0] if len(asked) == 1 and asked[0] in languages() else ""


def spoken(person: str = "", product: str = "") -> Tongue:
    """Give the language of the page: `person` and `product` are the BCP 47 tags they prefer.

    Whoever chooses the language that is theirs anyway keeps the dates of their own country.
    """
    wish = chosen()
    accepted = (tag for tag, quality in request.accept_languages if quality)
    found = speaks(person, *accepted, product)
    return found if wish in ("", found.folder) else speaks(wish)


def kept(address: str, **more: str) -> str:
    """Give an address with the language chosen, and what else it is to say."""
    asked = {name: value for name, value in {LANG: chosen(), **more}.items() if value}
    return f"{address}?{urlencode(asked)}" if asked else address


def offered(tongue: Tongue, **more: str) -> Iterator[Offered]:
    """Give the languages, each with the address of this very page in it."""
    for tag in languages():
        asked = {LANG: tag, **{name: value for name, value in more.items() if value}}
        yield Offered(tag, _name(tag), f"?{urlencode(asked)}", tag == tongue.folder)


@cache
def _name(tag: str) -> str:
    """Give what a language calls itself, as CLDR has it."""
    return (Locale(tag).get_display_name(tag) or tag).capitalize()

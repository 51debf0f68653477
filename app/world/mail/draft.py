"""From template to draft: subject, text and HTML, with marks where facts will go.

A template is Jinja over Markdown: Jinja picks the wording, Markdown is read once, and
both parts of the mail are written from the same tokens.  A fact appears as a mark of
letters and digits, which neither Markdown nor CSS inlining touches; so nothing in a
plan's name can become markup, and one draft serves everybody with the same wording.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from html import escape
from importlib.resources import files
from typing import Any, Final, NamedTuple

import jinja2
from babel import Locale, UnknownLocaleError
from css_inline import CSSInliner
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.colors import HOUSE, Shades
from app.errors import Refused
from app.world.mail import plaintext
from app.world.mail.manners import manner

FALLBACK: Final = "en"
_PACKAGE: Final = "email_templates"
_MARK: Final = re.compile(r"qZx(\d\d)xZq")
_SUBJECT: Final = re.compile(r"\s*Subject: (.+)\n")
_BUTTON: Final = '<td class="answer"><a href="{url}">{label}</a></td>'
_BUTTONS: Final = '<table role="presentation" class="answers"><tr>{cells}</tr></table>\n'
_GAP: Final = '<td class="gap"></td>'


class Tongue(NamedTuple):
    """How to speak to somebody: whose templates, and Babel's locale for dates and prices."""

    folder: str
    locale: str
    tag: str
    direction: str


class Draft(NamedTuple):
    """What a notice says, each with marks in place of facts, or with the facts put in."""

    subject: str
    text: str
    html: str


class Look(NamedTuple):
    """How the notices of a product look: colours, the Content-ID of a logo, a sentence of its own.

    The last two may be empty.
    """

    shades: Shades = HOUSE
    logo: str = ""
    own: str = ""


PLAIN_LOOK: Final = Look()


class Absent:
    """A fact that is not given: false where a template asks, an error where one is told."""

    def __init__(self, name: str) -> None:
        """Remember the name for the error."""
        self._name = name

    def __bool__(self) -> bool:
        """Return False, so that templates can say ``{% if erase_on %}``."""
        return False

    def __str__(self) -> str:
        """Raise ``Refused``: a gap in a promise must not go out."""
        what = f"A notice cannot be written: it states {self._name}, which is missing"
        raise Refused(what, f"Give {self._name}")


def mark(index: int) -> str:
    """Return the mark that stands for fact number ``index`` (below 100)."""
    return f"qZx{index:02d}xZq"


def cut(text: str) -> list[str | int]:
    """Return ``text`` cut at its marks: pieces of text and numbers of facts, in turn."""
    return [int(part) if at % 2 else part for at, part in enumerate(_MARK.split(text))]


def joined(parts: Sequence[str | int], values: Sequence[str]) -> str:
    """Return the pieces of ``cut`` as one text, values in the place of their numbers."""
    return "".join(part if isinstance(part, str) else values[part] for part in parts)


def put_in(draft: Draft, values: Sequence[str]) -> Draft:
    """Return ``draft`` with its marks replaced by values, escaped in the HTML."""
    escaped = [escape(value) for value in values]
    return Draft(
        joined(cut(draft.subject), values),
        joined(cut(draft.text), values),
        joined(cut(draft.html), escaped),
    )


@cache
def languages() -> tuple[str, ...]:
    """Return the languages that have templates: the folders of ``email_templates``."""
    folders = (entry.name for entry in files(_PACKAGE).iterdir() if entry.is_dir())
    return tuple(
        sorted(name for name in folders if name.isidentifier() and not name.startswith("_"))
    )


@lru_cache(maxsize=1024)
def tongue(language: str) -> Tongue:
    """Return how to speak to somebody whose ``language`` is a BCP 47 tag, known or not."""
    primary = _primary(language)
    folder = primary if primary in languages() else FALLBACK
    locale = _locale(language, folder)
    return Tongue(folder, str(locale), str(locale).replace("_", "-"), locale.text_direction)


@lru_cache(maxsize=1024)
def nearest(*wishes: str) -> Tongue:
    """Return how to speak the first of the wished languages that there are words in, or English."""
    spoken = (wish for wish in wishes if _primary(wish) in languages())
    return tongue(next(spoken, FALLBACK))


def _primary(language: str) -> str:
    """Return the language of a tag such as ``fr-CA``."""
    return language.replace("_", "-").partition("-")[0].lower()


def _locale(language: str, folder: str) -> Locale:
    """Return the nearest locale that speaks the language of ``folder``."""
    try:
        found = Locale.parse(language.replace("_", "-"), sep="-")
    except (ValueError, TypeError, UnknownLocaleError):
        return Locale(folder)
    return found if found.language == folder else Locale(folder)


def draft(
    notice: str, tongue: Tongue, context: Mapping[str, Any], look: Look = PLAIN_LOOK
) -> Draft:
    """Write ``notice`` with the words ``context`` picks; facts in it should be marks.

    What the product adds to the letter stands at its end, as text: nothing in it is Markdown.
    """
    subject, body = _write(tongue.folder, notice, context)
    footer = _environment(tongue.folder).get_template("_footer.md").render(context)
    letter, small_print = _markdown().parse(body), _markdown().parse(footer)
    letter += _paragraph(look.own) if look.own else []
    colon = manner(tongue.locale).colon
    text = f"{plaintext.write(letter, colon)}\n-- \n{plaintext.write(small_print, colon)}"
    page = _layout().render(
        subject=subject,
        language=tongue.tag,
        direction=tongue.direction,
        brand=context["brand"],
        shades=look.shades,
        logo=look.logo,
        letter=_html(letter),
        footer=_html(small_print),
    )
    return Draft(subject, text, _inliner().inline(page).strip() + "\n")


def _write(folder: str, notice: str, context: Mapping[str, Any]) -> tuple[str, str]:
    """Return subject and Markdown of a notice."""
    source = _environment(folder).get_template(f"{notice}.md").render(context)
    first = _SUBJECT.match(source)
    if first is None:
        raise Refused(f"{notice}.md has no subject", "Begin it with a line 'Subject: …'")
    return first[1].strip(), source[first.end() :]


def _paragraph(text: str) -> list[Token]:
    """Return a paragraph that says ``text`` and nothing but text."""
    words = Token("text", "", 0, content=text)
    return [
        Token("paragraph_open", "p", 1),
        Token("inline", "", 0, content=text, children=[words]),
        Token("paragraph_close", "p", -1),
    ]


def _html(tokens: list[Token]) -> str:
    """Return the tokens as HTML, where a paragraph of links alone becomes a row of buttons."""
    renderer = _markdown().renderer
    return str(renderer.render(list(_with_buttons(tokens)), _markdown().options, {}))


def _with_buttons(tokens: list[Token]) -> Iterator[Token]:
    """Yield the tokens; a paragraph of links keeps its place as ready-made HTML."""
    for at, token in enumerate(tokens):
        around = tokens[at - 1 : at] + tokens[at : at + 1] + tokens[at + 1 : at + 2]
        if not any(plaintext.links_only(near.children or []) for near in around):
            yield token
        elif token.type == "inline":
            yield Token(
                "html_block", "", 0, content=_buttons(plaintext.links_only(token.children or []))
            )


def _buttons(links: list[tuple[str, str]]) -> str:
    """Return one row of buttons of the same size and weight."""
    cells = [_BUTTON.format(url=url, label=label) for label, url in links]
    return _BUTTONS.format(cells=_GAP.join(cells))


def source(name: str) -> str:
    """Return the text of one file of ``email_templates``, such as ``en/ask.md``."""
    return files(_PACKAGE).joinpath(name).read_text("utf-8")


@cache
def _environment(folder: str) -> jinja2.Environment:
    """Return the templates of one language."""
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: source(f"{folder}/{name}")),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown, not HTML; facts are escaped when their marks are filled
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _layout() -> jinja2.Template:
    """Return the frame around every notice."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - as above
    return environment.from_string(source("layout.html"))


@cache
def _markdown() -> MarkdownIt:
    """Return the one Markdown reader; raw HTML in a template stays text."""
    return MarkdownIt("commonmark", {"html": False})


@cache
def _inliner() -> CSSInliner:
    """Return what moves style rules onto elements, for mail programs that drop <style>."""
    return CSSInliner(
        keep_at_rules=True, load_remote_stylesheets=False, apply_width_attributes=True
    )

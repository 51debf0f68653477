"""The sentences of the pages, one file a language, and how they are filled in.

A sentence is named `section.name` and holds `{names}` of facts, which are escaped; the sentence
itself is ours and may hold HTML. A language is added as one file in `languages/`, beside its
folder in `email_templates/`.
"""

import string
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from markupsafe import Markup, escape

from app.world.mail.draft import Tongue, nearest

FOLDER = files("app.web").joinpath("languages")


@dataclass(frozen=True, slots=True)
class Speaker:
    """Says the sentences of one language with the facts of one page."""

    tongue: Tongue
    facts: Mapping[str, str]

    def __call__(self, name: str) -> Markup:
        """Give a sentence; KeyError where it, or a fact that it states, is missing."""
        sentence = _parsed(self.tongue.folder)[name]
        return sentence if isinstance(sentence, Markup) else _filled(sentence, self.facts)


@cache
def sentences(language: str) -> Mapping[str, str]:
    """Give every sentence of a language by its name."""
    read = tomllib.loads(FOLDER.joinpath(f"{language}.toml").read_text("utf-8"))
    return {
        f"{section}.{name}": text for section, named in read.items() for name, text in named.items()
    }


Pieces = Sequence[tuple[str, str | None]]
"""A sentence in pieces: what stands there, and the name of the fact behind it."""


@cache
def _parsed(language: str) -> Mapping[str, Markup | Pieces]:
    """Give every sentence ready to be filled: a page has thirty, and most state no fact."""
    found: dict[str, Markup | Pieces] = {}
    for name, text in sentences(language).items():
        pieces = [(said, fact) for said, fact, _, _ in string.Formatter().parse(text)]
        stated = any(fact is not None for _, fact in pieces)
        found[name] = pieces if stated else Markup(text.format())  # noqa: S704 - ours
    return found


def _filled(pieces: Pieces, facts: Mapping[str, str]) -> Markup:
    said = [text if fact is None else f"{text}{escape(facts[fact])}" for text, fact in pieces]
    return Markup("".join(said))  # noqa: S704 - ours, and every fact escaped


def names_in(text: str) -> set[str]:
    """Give the names of the facts that a sentence states."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def speaks(*wishes: str) -> Tongue:
    """Give the first of the wished languages (BCP 47) that there are sentences in, or English."""
    return nearest(*wishes)  # whoever can be written to finds pages too: a test holds them together

"""The sentences of the pages, one file a language, and how they are filled in.

A sentence is named `section.name` and holds `{names}` of facts, which are escaped; the sentence
itself is ours and may hold HTML. A language is added as one file in `languages/`, beside its
folder in `email_templates/`.
"""

import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from app.world.mail.draft import Tongue, nearest

FOLDER = files("app.web").joinpath("languages")


@dataclass(frozen=True, slots=True)
class Speaker:
    """Says the sentences of one language with the facts of one page."""

    tongue: Tongue
    facts: Mapping[str, str]

    def __call__(self, name: str) -> Markup:
        """Give a sentence; KeyError where it, or a fact that it states, is missing."""
        return Markup(sentences(self.tongue.folder)[name]).format_map(self.facts)  # noqa: S704 - ours


@cache
def sentences(language: str) -> Mapping[str, str]:
    """Give every sentence of a language by its name."""
    read = tomllib.loads(FOLDER.joinpath(f"{language}.toml").read_text("utf-8"))
    return {
        f"{section}.{name}": text for section, named in read.items() for name, text in named.items()
    }


def names_in(text: str) -> set[str]:
    """Give the names of the facts that a sentence states."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def speaks(*wishes: str) -> Tongue:
    """Give the first of the wished languages (BCP 47) that there are sentences in, or English."""
    return nearest(*wishes)  # whoever can be written to finds pages too: a test holds them together

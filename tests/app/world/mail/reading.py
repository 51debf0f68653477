"""How easily a text is read: Flesch's formula with the constants of each language.

From 60 on it is plain: what most people of 13 to 15 read without effort.
"""

import re
from functools import cache
from typing import Final, NamedTuple

from pyphen import Pyphen  # type: ignore[import-untyped]  # has no stubs

PLAIN: Final = 60
LONGEST: Final = 32
"""Words in a sentence, at most."""


class Ease(NamedTuple):
    """``base - sentence * words a sentence - word * syllables a word``."""

    base: float
    sentence: float
    word: float


EASE: Final = {
    "en": Ease(206.835, 1.015, 84.6),  # Flesch 1948
    "de": Ease(180, 1, 58.5),  # Amstad 1978
    "es": Ease(206.84, 1.02, 60),  # Fernández Huerta 1959
    "fr": Ease(207, 1.015, 73.6),  # Kandel and Moles 1958
    "it": Ease(217, 1.3, 60),  # Franchina and Vacca 1986
}
_WORD: Final = re.compile(r"[^\W\d_]+")
_END: Final = re.compile(r"[.!?:;](?=\s|$)")


def sentences_in(text: str) -> list[list[str]]:
    """Give the sentences of a text as words; what ends in a colon is one, too."""
    found = (_WORD.findall(each) for line in text.split("\n") for each in _END.split(line))
    return [words for words in found if words]


def ease(language: str, text: str) -> float:
    """Say how easily a text is read."""
    sentences = sentences_in(text)
    words = [word for sentence in sentences for word in sentence]
    base, sentence, word = EASE[language]
    syllables = sum(_syllables(language, each.lower()) for each in words)
    return base - sentence * len(words) / len(sentences) - word * syllables / len(words)


@cache
def _syllables(language: str, word: str) -> int:
    return len(_dictionary(language).positions(word)) + 1


@cache
def _dictionary(language: str) -> Pyphen:
    # A vowel that stands alone may not be hyphenated, and is a syllable all the same.
    return Pyphen(lang="en_US" if language == "en" else language, left=1, right=1)

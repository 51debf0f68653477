"""The sentences of the console, one file a language beside this one, and how they are filled in.

Written and escaped as those of the other pages are (app/web/words.py); here a sentence is given
its facts where it is said.
"""

import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent
from flask import request
from markupsafe import Markup, escape

from app.world.mail.draft import Tongue, tongue
from app.world.mail.say import money

CODES = frozenset({"story", "why"})
"""Sections whose codes are ours, so that they read as words even without a sentence."""
FOLDER = files("app.web.console").joinpath("languages")


@cache
def languages() -> tuple[str, ...]:
    """Give the languages there are sentences in."""
    names = (each.name for each in FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


@cache
def sentences(language: str) -> Mapping[str, str]:
    """Give every sentence of a language by its name, `section.name`."""
    read = tomllib.loads(FOLDER.joinpath(f"{language}.toml").read_text("utf-8"))
    return {
        f"{section}.{name}": text for section, named in read.items() for name, text in named.items()
    }


def spoken(chosen: str = "") -> Tongue:
    """Give the language of a page: the one chosen, or the first the browser wants that there is."""
    wishes = [chosen, *(tag for tag, quality in request.accept_languages if quality)]
    for wish in wishes:
        folder = wish.partition("-")[0].lower()
        if folder in languages():
            return tongue(wish)
    return tongue("en")


@dataclass(frozen=True, slots=True)
class Said:
    """Says sentences, numbers, days and amounts in one language."""

    tongue: Tongue

    def __call__(self, name: str, /, **facts: object) -> Markup:
        """Give a sentence; KeyError where it, or a fact that it states, is missing."""
        return _filled(sentences(self.tongue.folder)[name], facts)

    def code(self, section: str, code: object) -> Markup:
        """Give the words of a code; the code itself where there are none."""
        found = sentences(self.tongue.folder).get(f"{section}.{code}")
        if found is not None:
            return _filled(found, {})
        return escape(str(code).replace("_", " ") if section in CODES else str(code))

    def knob(self, section: str, name: str, declared: str) -> Markup:
        """Give the words of a knob in this language; those it is declared with in English."""
        found = sentences(self.tongue.folder).get(f"{section}.{name}")
        return escape(declared) if found is None else _filled(found, {})

    def number(self, value: int) -> str:
        """Give a whole number as it is written: `12,345`."""
        return str(format_decimal(value, locale=self._locale))

    def share(self, part: int, of: int) -> str:
        """Give a share in percent, to a tenth: `4.2%`."""
        return self.rate(round(part / of, 3) if of else 0)

    def rate(self, value: float) -> str:
        """Give a share, told as a fraction of one, in percent: `0.05%`."""
        return self.percent(Decimal(str(round(100 * value, 6))))

    def percent(self, value: Decimal) -> str:
        """Give a number of percent as it is written, to its last digit: `0.05%`, `0,05 %`."""
        part = (value / 100).normalize()
        return str(format_percent(part, locale=self._locale, decimal_quantization=False))

    def money(self, minor: int, currency: str) -> str:
        """Give an amount of minor units with its currency."""
        return money(minor, currency, self._locale)

    def day(self, value: date) -> str:
        """Give a day, short: `3 Oct 2026`."""
        return str(format_date(value, "d MMM y", locale=self._locale))

    def month(self, value: date) -> str:
        """Give the month of a day, short: `Oct 2026`."""
        return str(format_date(value, "MMM y", locale=self._locale))

    def moment(self, at: datetime) -> str:
        """Give a moment of UTC to the minute."""
        return str(format_datetime(at, "d MMM y HH:mm", locale=self._locale))

    @property
    def _locale(self) -> str:
        return self.tongue.locale


def _filled(text: str, facts: Mapping[str, object]) -> Markup:
    pieces = []
    for said, fact, _, _ in string.Formatter().parse(text):
        pieces.append(said if fact is None else f"{said}{escape(facts[fact])}")
    return Markup("".join(pieces))  # noqa: S704 - ours, and every fact escaped

"""Where a language writes otherwise than CLDR or Babel has it: one entry a language, or none."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from babel.dates import get_timezone_location, get_timezone_name

_OF_VOWEL: Final = re.compile(r"^de (?=[AEIOUÉÎ])")
_OF_LE: Final = re.compile(r"^de Le ")


def short_zone(at: datetime, locale: str) -> str:
    """Return CLDR's short name of a zone: ``CEST``."""
    return str(get_timezone_name(at, width="short", locale=locale))


class Manner(NamedTuple):
    """How a language writes days and moments, and what it puts between a name and a value.

    ``first`` is the number of the first of a month, where it is no plain 1; ``weekday`` and
    ``time`` are Babel's names of a format, or patterns.
    """

    first: str = "1"
    weekday: str = "full"
    time: str = "short"
    moment: str = "{day}, {time} ({zone})"
    zone: Callable[[datetime, str], str] = short_zone
    colon: str = ": "


def _french_zone(at: datetime, locale: str) -> str:
    """Return ``heure de Paris``; in Canada ``HAE``, as people there write it.

    In the hour that comes twice when summer time ends, a city does not say which: the full name.
    """
    short = short_zone(at, locale)
    if locale == "fr_CA" and short.isalpha():
        return short
    twice = at.utcoffset() != at.replace(fold=1 - at.fold).utcoffset()
    place = at.tzinfo.key if isinstance(at.tzinfo, ZoneInfo) else ""
    if twice or "/" not in place.removeprefix("Etc/"):
        return str(get_timezone_name(at, width="long", locale=locale))
    city = get_timezone_location(at.tzinfo, locale=locale, return_city=True).rpartition("/")[2]
    return "heure " + _OF_LE.sub("du ", _OF_VOWEL.sub("d\u2019", f"de {city}"))


_MANNERS: Final[Mapping[str, Manner]] = {
    "fr": Manner(
        first="1er",
        weekday="EEEE d MMMM y",
        time="H\xa0'h'\xa0mm",
        moment="{day} à {time} ({zone})",
        zone=_french_zone,
        colon="\xa0: ",
    ),
}
_PLAIN: Final = Manner()


def manner(locale: str) -> Manner:
    """Return how the language of a locale, such as ``fr_CA``, wants things written."""
    return _MANNERS.get(locale.partition("_")[0], _PLAIN)

"""Where a language writes otherwise than CLDR or Babel has it: one entry a language, or none."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from babel.dates import get_timezone_location, get_timezone_name
from babel.units import format_unit

_SOFT_HYPHEN: Final = "\u00ad"


def short_zone(at: datetime, locale: str) -> str:
    """Return CLDR's short name of a zone: ``CEST``."""
    return str(get_timezone_name(at, width="short", locale=locale))


def counted(many: int, unit: str, locale: str) -> str:
    """Return a number of a unit of time: ``2 years``.

    Where CLDR's long form is its short one (Italian ``2 anni``), Babel knows only the latter.
    """
    kind = f"duration-{unit}"
    long = format_unit(many, kind, length="long", locale=locale)
    return format_unit(many, kind, length="short", locale=locale) if kind in long else long


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


# --- the time of which place -----------------------------------------------------------------

_FRENCH_PLACES: Final = (
    (re.compile(r"^(?:Le |(?=Cap-Vert|Costa Rica|Qatar|Salvador)|El (?=Salvador))"), "du "),
    (re.compile(r"^(?=Açores|Bermudes|Caïmans|Comores|Fidji|Maldives|Marquises|Palaos)"), "des "),
    (re.compile(r"^Îles "), "des îles "),
    (re.compile(r"^Île "), "de l\u2019île "),
    (re.compile(r"^(?=Guadeloupe|Martinique|Jamaïque|Dominique|Grenade)"), "de la "),
    (re.compile(r"^(?=[AEIOUÉÎ])"), "d\u2019"),
    (re.compile(r"^"), "de "),
)
_ITALIAN_PLACES: Final = (
    (re.compile(r"^Il "), "del "),
    (re.compile(r"^La (?=Riunione)"), "della "),
    (re.compile(r"^(?=Azzorre|Bermuda|Canarie|Cayman|Comore|Figi|Maldive|Marchesi)"), "delle "),
    (re.compile(r"^L\u2019"), "dell\u2019"),
    (re.compile(r"^(?=Isola )"), "dell\u2019"),
    (re.compile(r"^"), "di "),
)
_SPANISH_PLACES: Final = (
    (re.compile(r"^(?=Islas )"), "de las "),
    (re.compile(r"^Isla "), "de la isla "),
    (re.compile(r"^"), "de "),
)
_Places = tuple[tuple[re.Pattern[str], str], ...]


def _of_place(word: str, places: _Places, at: datetime, locale: str) -> str:
    """Return ``heure de Paris``; the zone's full name where no place tells the time apart."""
    city = _city(at, locale)
    if not city:
        name = str(get_timezone_name(at, width="long", locale=locale))
        return name[0].lower() + name[1:] if name[1:2].islower() else name
    start, of = next((start, of) for start, of in places if start.match(city))
    return f"{word} {start.sub(of, city, count=1)}"


def _city(at: datetime, locale: str) -> str:
    """Return the city of a zone, or nothing.

    Nothing, too, in the hour that comes twice when summer time ends: a city does not say which.
    """
    twice = at.utcoffset() != at.replace(fold=1 - at.fold).utcoffset()
    place = at.tzinfo.key if isinstance(at.tzinfo, ZoneInfo) else ""
    if twice or "/" not in place.removeprefix("Etc/"):
        return ""
    city = get_timezone_location(at.tzinfo, locale=locale, return_city=True).rpartition("/")[2]
    return str(city).replace(_SOFT_HYPHEN, "")


def _french_zone(at: datetime, locale: str) -> str:
    """Return ``heure de Paris``; in Canada ``HAE``, as people there write it."""
    short = short_zone(at, locale)
    if locale == "fr_CA" and short.isalpha():
        return short
    return _of_place("heure", _FRENCH_PLACES, at, locale)


def _short_or_place(written: str, at: datetime, locale: str) -> str:
    """Return ``BST`` where the locale has a short name; elsewhere ``London time``, as written."""
    short = short_zone(at, locale)
    city = _city(at, locale)
    if short.isalpha():
        return short
    full = str(get_timezone_name(at, width="long", locale=locale))
    return written.format(city) if city else full


_MANNERS: Final[Mapping[str, Manner]] = {
    "de": Manner(
        moment="{day} um {time} Uhr ({zone})",
        time="HH:mm",
        zone=partial(_short_or_place, "Ortszeit {}"),
    ),
    "en": Manner(zone=partial(_short_or_place, "{} time")),
    # The hour has two digits: "a las 01:05 h" needs no "la" of the one o'clock.
    "es": Manner(
        weekday="EEEE d 'de' MMMM 'de' y",
        time="HH:mm",
        moment="{day} a las {time}\xa0h ({zone})",
        zone=partial(_of_place, "hora", _SPANISH_PLACES),
    ),
    "fr": Manner(
        first="1er",
        weekday="EEEE d MMMM y",
        time="H\xa0'h'\xa0mm",
        moment="{day} à {time} ({zone})",
        zone=_french_zone,
        colon="\xa0: ",
    ),
    # "Ore" for the same reason: "alle ore 01:05" needs no "all'una".
    "it": Manner(
        first="1\u00ba",
        weekday="EEEE d MMMM y",
        time="HH:mm",
        moment="{day} alle ore {time} ({zone})",
        zone=partial(_of_place, "ora", _ITALIAN_PLACES),
    ),
}
_PLAIN: Final = Manner()


def manner(locale: str) -> Manner:
    """Return how the language of a locale, such as ``fr_CA``, wants things written."""
    return _MANNERS.get(locale.partition("_")[0], _PLAIN)

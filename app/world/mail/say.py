"""Dates, times and prices as a person of that language would write them.

Few distinct values meet many people, so each answer is kept.
"""

import re
from collections.abc import Mapping
from copy import copy
from datetime import date, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_time
from babel.lists import format_list

from app.errors import Refused
from app.world.mail.manners import manner

# ISO 4217 says what an amount of minor units is worth.  Babel cannot be asked: CLDR
# lists how many decimals people usually write, which is 0 for the Serbian dinar, and
# a price stated a hundredfold would be the result.
_WHOLE: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THOUSANDTHS: Final = "BHD IQD JOD KWD LYD OMR TND"
_DECIMALS: Final[Mapping[str, int]] = {
    **dict.fromkeys(_WHOLE.split(), 0),
    **dict.fromkeys(_THOUSANDTHS.split(), 3),
    "CLF": 4,
    "UYW": 4,
}
# CLDR puts a blank between a currency written in letters and its digits; Babel forgets it.
_TOUCHING: Final = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
# The day in a date that begins a month; a year is never a 1 alone.
_FIRST: Final = re.compile(r"\b1\b")


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return the time zone of that IANA name; ``Refused`` when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        what = "A notice cannot be written: its time zone is unknown"
        raise Refused(what, "Use an IANA name such as Europe/Paris") from error


@lru_cache(maxsize=8192)
def day(value: date, locale: str) -> str:
    """Return the day in words: ``3 October 2026``."""
    return _day(value, "long", locale)


@lru_cache(maxsize=8192)
def weekday(value: date, locale: str) -> str:
    """Return the day with its weekday, as a deadline needs it: ``Saturday, 3 October 2026``."""
    return _day(value, manner(locale).weekday, locale)


@lru_cache(maxsize=8192)
def days(values: tuple[date, ...], locale: str) -> str:
    """Return days in words: ``3 October 2026 and 3 November 2026``."""
    return str(format_list([day(each, locale) for each in values], "standard", locale))


def _day(value: date, pattern: str, locale: str) -> str:
    written = format_date(value, pattern, locale=locale)
    return _FIRST.sub(manner(locale).first, written) if value.day == 1 else written


def moment(at: datetime, locale: str) -> str:
    """Return an aware time to the minute, with its zone: ``3 October 2026, 14:05 (CEST)``."""
    # One instant in two zones is equal and hashes alike: what is kept is kept by local time.
    return _moment(at.replace(tzinfo=None), at.fold, at.tzinfo, locale)


@lru_cache(maxsize=8192)
def _moment(local: datetime, fold: int, zone: tzinfo | None, locale: str) -> str:
    at, how = local.replace(tzinfo=zone, fold=fold), manner(locale)
    time = format_time(at, how.time, locale=locale)
    return how.moment.format(day=day(at.date(), locale), time=time, zone=how.zone(at, locale))


@lru_cache(maxsize=8192)
def money(amount: int, currency: str, locale: str) -> str:
    """Return ``amount`` minor units of an ISO 4217 currency: ``£5.99``."""
    code = currency.upper()
    decimals = _DECIMALS.get(code, 2)
    pattern = copy(Locale.parse(locale).currency_formats["standard"])
    pattern.frac_prec = (decimals, decimals)
    value = Decimal(amount).scaleb(-decimals)
    written = str(pattern.apply(value, locale, currency=code, currency_digits=False))
    return _TOUCHING.sub("\xa0", written)

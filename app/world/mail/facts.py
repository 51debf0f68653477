"""The facts of a brief, in words and encoded, in one fixed order."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from app.world.mail import say
from app.world.mail.brief import Brand, Brief
from app.world.mail.encode import NOTHING, Said, clean, said, said_link, said_name, web

# The order of ``facts``; templates know these names, and those of ``brand_facts``.
FACTS: Final = (
    "plan",
    "price",
    "started_on",
    "next_charge",
    "last_used_on",
    "answer_by",
    "erase_on",
    "paid_until",
    "decided_at",
    "answer_url",
    "charged_on",
    "charged_last",
    "charged_behind",
    "owed",
    "erased_on",
    "fresh_url",
)
FORMS: Final = 3
BRAND_FACTS: Final = ("brand", "support_url", "app_url")
# What picks the wording, and is never itself written.
CHOICES: Final = (
    "interval",
    "without_answer",
    "decided_by",
    "reason",
    "stands",
    "final",
    "keeps",
)
# What picks the wording by how many charges there are; ``often`` says which values it has.
COUNTED: Final = ("charged", "behind")
# More days than this are told by the first and the last.
EACH_NAMED: Final = 5


class Told(NamedTuple):
    """The facts of one brief, three forms each, in the order of ``FACTS``.

    Flat, as joining them needs it: fact ``n`` is at ``3n`` as it is, at ``3n + 1`` for the
    text part and at ``3n + 2`` for the HTML part; one that is not given is empty.
    ``counts`` says how often money is charged, in the order of ``COUNTED``.
    """

    forms: tuple[str | bytes, ...]
    counts: tuple[str, str]

    @property
    def raws(self) -> tuple[str, ...]:
        """The facts as they are."""
        return tuple(map(str, self.forms[::FORMS]))


def facts(brief: Brief, locale: str) -> Told:
    """Return the facts of ``brief`` in the words of ``locale``."""
    zone = say.zone(brief.timezone)
    charge_day = brief.next_charge and brief.next_charge.astimezone(zone).date()
    paid_day = brief.paid_until and brief.paid_until.astimezone(zone).date()
    forms = (
        *said_name(brief.plan),
        *_money(brief.amount, brief.currency, locale),
        *_day(brief.started_on, locale),
        *_day(charge_day, locale),
        *_day(brief.last_used_on, locale),
        *_deadline(brief.answer_by, locale),
        *_day(brief.erase_on, locale),
        *_day(paid_day, locale),
        *(NOTHING if brief.decided_at is None else _moment(brief.decided_at, zone, locale)),
        *said_link(brief.answer_url),
        *_days(brief.charged_on, locale),
        *_day(brief.charged_on[-1] if brief.charged_on else None, locale),
        *_days(brief.charged_behind, locale),
        *(_money(brief.owed, brief.currency, locale) if brief.owed else NOTHING),
        *_day(brief.erased_on, locale),
        *(said_link(brief.fresh_url) if brief.fresh_url else NOTHING),
    )
    return Told(forms, (often(brief.charged_on), often(brief.charged_behind)))


def often(days: Sequence[date]) -> str:
    """Return how many days: "" for none, ``once``, ``some`` that are all named, or ``many``."""
    if len(days) > EACH_NAMED:
        return "many"
    return ("", "once")[len(days)] if len(days) <= 1 else "some"


def named(days: tuple[date, ...]) -> tuple[date, ...]:
    """Return the days that are named: each of a few, of ``many`` the first."""
    return days if len(days) <= EACH_NAMED else days[:1]


def brand_facts(brand: Brand) -> tuple[str, ...]:
    """Return what a brand adds, in the order of ``BRAND_FACTS``; "" for what it has not."""
    links = (web(url) if url else "" for url in (brand.support_url, brand.app_url))
    return (clean(brand.name), *links)


def _moment(at: datetime, zone: ZoneInfo, locale: str) -> Said:
    """Return an instant to the minute, where the person lives."""
    return _minute(at.replace(second=0, microsecond=0), zone, locale)


@lru_cache(maxsize=8192)
def _minute(at: datetime, zone: ZoneInfo, locale: str) -> Said:
    """Return a full minute in words, encoded."""
    return said(say.moment(at.astimezone(zone), locale))


@lru_cache(maxsize=8192)
def _day(value: date | None, locale: str) -> Said:
    """Return a day in words, encoded."""
    return NOTHING if value is None else said(say.day(value, locale))


@lru_cache(maxsize=8192)
def _days(values: tuple[date, ...], locale: str) -> Said:
    """Return days in words, encoded: each of a few, of many the first."""
    return said(say.days(named(values), locale)) if values else NOTHING


@lru_cache(maxsize=8192)
def _deadline(value: date | None, locale: str) -> Said:
    """Return a day with its weekday, encoded."""
    return NOTHING if value is None else said(say.weekday(value, locale))


@lru_cache(maxsize=8192)
def _money(amount: int, currency: str, locale: str) -> Said:
    """Return an amount in words, encoded."""
    return said(say.money(amount, currency, locale))

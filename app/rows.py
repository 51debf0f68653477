"""Reads one subscription as a source writes it: text in, checked facts out, or the reason why not.

The fields are those of the import file; a webhook's object is read by the same rules.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, UnknownLocaleError
from babel.numbers import list_currencies
from email_validator import EmailNotValidError, validate_email

from app import personal

REQUIRED = (
    "id",
    "email",
    "locale",
    "country",
    "timezone",
    "plan",
    "amount",
    "currency",
    "interval",
    "started_at",
    "renews_at",
    "status",
)
OPTIONAL = ("customer",)
STATUSES = ("trialing", "active", "past_due", "paused", "canceled")
INTERVALS = ("day", "week", "month", "year")
LONGEST = 200
ERASED = "erased:"
"""How the id of a subscription begins whose person was erased; no id that is told may."""
MOST = 10**15
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Facts:
    """One subscription as billing tells it; `told` is a digest of exactly what it said.

    `told_at` is the moment at which that was so; None where the teller cannot say.
    """

    external_id: str
    customer: str | None
    status: str
    plan: str
    country: str
    interval: str
    amount: int
    currency: str
    started_on: date
    renews_at: datetime | None
    email: str | None
    locale: str
    timezone: str
    told: bytes
    told_at: datetime | None = None


class RowRefused(ValueError):
    """One row that cannot be taken in; the text names the field, what is wrong, and the mend.

    `plain` says the same without the value, for those who must not be told or keep what was sent.
    """

    def __init__(self, name: str, wrong: str, value: str | None = None) -> None:
        """Take the field, what is wrong with it, and what it held where that helps to find it."""
        self.plain = f"{name} {wrong}"
        super().__init__(self.plain if value is None else f"{name} {value[:40]!r} {wrong}")


def read(row: Mapping[str, str], told_at: datetime | None = None) -> Facts:
    """Give the facts of one row, told as of a moment.

    RowRefused says which field is wrong and what would be right.
    """
    for name in (*REQUIRED, *OPTIONAL):
        _check_text(name, row.get(name) or "")
    return Facts(
        external_id=_id(row),
        customer=(row.get("customer") or "").strip() or None,
        status=_one_of(row, "status", STATUSES),
        plan=_needed(row, "plan"),
        country=_country(_needed(row, "country")),
        interval=_one_of(row, "interval", INTERVALS),
        amount=_amount(_needed(row, "amount")),
        currency=_currency(_needed(row, "currency")),
        started_on=moment("started_at", _needed(row, "started_at")).date(),
        renews_at=moment("renews_at", row["renews_at"]) if row.get("renews_at") else None,
        email=_email(row.get("email") or ""),
        locale=_locale(_needed(row, "locale")),
        timezone=_timezone(_needed(row, "timezone")),
        told=digest(row),
        told_at=told_at,
    )


def digest(row: Mapping[str, str]) -> bytes:
    """Give 16 bytes that change whenever the source says anything else."""
    said = json.dumps([row.get(name) or "" for name in (*REQUIRED, *OPTIONAL)], ensure_ascii=True)
    return hashlib.blake2b(said.encode(), digest_size=16).digest()


def _check_text(name: str, text: str) -> None:
    if len(text) > LONGEST:
        raise RowRefused(name, f"is longer than {LONGEST} characters")
    if _CONTROL.search(text):
        raise RowRefused(name, "contains a control character")
    held = None if text.isalpha() else personal.found_in(text)
    if held is not None:
        raise RowRefused(name, f"contains what looks like {held}, which is never kept: remove it")


def _id(row: Mapping[str, str]) -> str:
    text = _needed(row, "id")
    if text.startswith(ERASED):
        raise RowRefused("id", f"begins with {ERASED}, as only those do whose data was erased")
    return text


def _needed(row: Mapping[str, str], name: str) -> str:
    text = (row.get(name) or "").strip()
    if not text:
        raise RowRefused(name, "is empty")
    return text


def _one_of(row: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    text = _needed(row, name)
    if text not in words:
        raise RowRefused(name, f"is not one of {', '.join(words)}", text)
    return text


def _amount(text: str) -> int:
    if not re.fullmatch(r"\d{1,16}", text, re.ASCII) or int(text) > MOST:
        raise RowRefused("amount", "is no whole number of the minor unit, such as 1349", text)
    return int(text)


def moment(name: str, text: str) -> datetime:
    """Give a time, as RFC 3339 writes it, in UTC; RowRefused names the field."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise RowRefused(name, "is no time: write 2026-09-08T00:00:00Z", text) from None
    if found.tzinfo is None:
        raise RowRefused(name, "has no offset: write 2026-09-08T00:00:00Z", text)
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise RowRefused(name, "is out of range", text) from None


def address(text: str) -> str:
    """Give an address in its one way of writing; RowRefused where it is none, or holds more."""
    _check_text("email", text)
    found = _email(text)
    if found is None:
        raise RowRefused("email", "is empty")
    return found


def _email(text: str) -> str | None:
    if not text.strip():
        return None
    try:
        checked = validate_email(text.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise RowRefused("email", f"is not an address: {type(error).__name__}") from None
    return checked.normalized


@lru_cache(maxsize=4096)
def _country(text: str) -> str:
    if text.upper() not in Locale("en").territories or not re.fullmatch(r"[A-Za-z]{2}", text):
        raise RowRefused("country", "is no ISO 3166-1 code, such as DE", text)
    return text.upper()


@lru_cache(maxsize=4096)
def _currency(text: str) -> str:
    if text.upper() not in list_currencies():
        raise RowRefused("currency", "is no ISO 4217 code, such as EUR", text)
    return text.upper()


@lru_cache(maxsize=4096)
def _locale(text: str) -> str:
    try:
        Locale.parse(text.replace("_", "-"), sep="-")
    except (ValueError, UnknownLocaleError):
        raise RowRefused("locale", "is no BCP 47 tag, such as en-GB", text) from None
    return text.replace("_", "-")


@lru_cache(maxsize=4096)
def _timezone(text: str) -> str:
    if text not in available_timezones():
        raise RowRefused("timezone", "is no IANA name, such as Europe/Berlin", text)
    ZoneInfo(text)
    return text

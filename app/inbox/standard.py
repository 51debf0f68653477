"""Reads the events of the generic billing system: Standard Webhooks of `subscription.*`.

The subscription in `data` has the fields of the import file. What may also stand in an object
`customer` (its id, and email, locale, country, timezone) counts where the field itself is missing,
null or empty. The type decides the status: `canceled` is canceled whatever `status` says.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NoReturn

from app import rows
from app.rows import RowRefused
from app.store.population import Facts

AHEAD = timedelta(minutes=5)
"""How far the sender's clock may be ahead of ours."""
ALIVE = ("active", "trialing", "past_due")
STATUSES: Mapping[str, tuple[str, ...]] = {
    "subscription.created": (),
    "subscription.updated": (),
    "subscription.canceled": ("canceled",),
    "subscription.paused": ("paused",),
    "subscription.resumed": ALIVE,
}
"""The events, and the statuses each allows: any other in `data` becomes the first of them."""
NESTED = ("email", "locale", "country", "timezone")
LONGEST_TYPE = 100


@dataclass(frozen=True, slots=True)
class Event:
    """A body as it was read.

    `facts` where it is an event that we know; `wrong` where it cannot be read, naming the field
    and the mend and repeating nothing; neither where its type is none of ours.
    """

    type: str | None = None
    at: datetime | None = None
    facts: Facts | None = None
    wrong: str | None = None


class _Unreadable(ValueError):
    """The body is signed and no event; the text names the field and the mend."""


def read(body: bytes, now: datetime) -> Event:
    """Read a body whose signature fits; nothing that it may hold raises anything."""
    event = Event()
    try:
        document = _parsed(body)
        event = Event(_type(document))
        if event.type not in STATUSES:
            return event
        event = replace(event, at=_moment(document.get("timestamp"), now))
        return replace(event, facts=_facts(event, document.get("data")))
    except _Unreadable as unreadable:
        return replace(event, wrong=str(unreadable))
    except RowRefused as refused:
        return replace(event, wrong=f"data.{refused.plain}")


# --- the envelope --------------------------------------------------------------------------


def _type(document: Mapping[str, Any]) -> str:
    found = document.get("type")
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_TYPE or not _is_name(found):
        raise _Unreadable("type is no name of an event: write subscription.updated")
    return found


def _is_name(text: str) -> bool:
    return text.isascii() and text.replace(".", "").replace("_", "").replace("-", "").isalnum()


def _moment(given: Any, now: datetime) -> datetime:
    if not isinstance(given, str):
        raise _Unreadable("timestamp is missing: say when it was so, as 2026-09-08T00:00:00Z")
    try:
        found = rows.moment("timestamp", given)
    except RowRefused as refused:
        raise _Unreadable(refused.plain) from None
    if found > now + AHEAD:
        raise _Unreadable("timestamp lies in the future: set the clock of the sender, send again")
    return found


# --- the subscription ------------------------------------------------------------------------


def _facts(event: Event, data: Any) -> Facts:
    if not isinstance(data, dict):
        raise _Unreadable("data is missing: put the subscription there, as an object")
    fields = {name: _text(name, data.get(name)) for name in rows.REQUIRED}
    fields["customer"] = _customer(fields, data.get("customer"))
    allowed = STATUSES[str(event.type)]
    if allowed and fields["status"] not in allowed:
        fields["status"] = allowed[0]
    return rows.read(fields, event.at)


def _customer(fields: dict[str, str], given: Any) -> str:
    """Give the customer's id; an object of theirs fills what the subscription does not say."""
    if not isinstance(given, dict):
        return _text("customer", given)
    for name in NESTED:
        fields[name] = fields[name] or _text(name, given.get(name), f"customer.{name}")
    return _text("id", given.get("id"), "customer.id")


def _text(name: str, given: Any, path: str = "") -> str:
    """Give a field as the import file has it: text, or the digits of an amount."""
    if given is None:
        return ""
    if isinstance(given, str):
        return given
    if name == "amount" and isinstance(given, int) and not isinstance(given, bool):
        return _digits(given)
    mend = "write a whole number or its digits" if name == "amount" else "write it as text"
    raise _Unreadable(f"data.{path or name} is of another kind: {mend}")


def _digits(number: int) -> str:
    """Give an amount's digits; one too large for a file is written as one that is refused."""
    return str(number) if abs(number) <= rows.MOST else str(rows.MOST + 1)


# --- JSON, strictly ----------------------------------------------------------------------------


def _parsed(body: bytes) -> dict[str, Any]:
    """Give the object that a body is, as one reader reads it like any other."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise _Unreadable("the body is not UTF-8: send JSON in UTF-8") from None
    try:
        found = json.loads(
            text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite
        )
        if "\\u" in text:
            _check_characters(found)
    except RecursionError:
        raise _Unreadable("the body is nested too deeply: send the subscription flat") from None
    except _Unreadable:
        raise
    except ValueError:
        raise _Unreadable("the body is not JSON: send one object") from None
    if not isinstance(found, dict):
        raise _Unreadable("the body is no JSON object: send type, timestamp and data")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unreadable("the body names a field twice in one object: name each once")
    return found


def _no_number(_: str) -> NoReturn:
    raise _Unreadable("the body holds NaN or Infinity, which JSON has not: leave it out")


def _finite(text: str) -> float:
    number = float(text)
    if abs(number) == float("inf"):
        raise _Unreadable("the body holds a number out of range: write it as text")
    return number


def _check_characters(found: Any) -> None:
    """Refuse what JSON can write with an escape and no text can hold."""
    if any("\0" in text or not _encodes(text) for text in _strings(found)):
        raise _Unreadable("the body holds NUL or half a surrogate pair: leave it out")


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _strings(found: Any) -> Iterable[str]:
    left = [found]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            left += each.keys()
            left += each.values()
        elif isinstance(each, list):
            left += each

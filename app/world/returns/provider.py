"""What a mail provider's file has to say of itself."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from app.world.returns.report import Report, Unreadable


class Heard(Struct, frozen=True):
    """What one call of a provider says.

    `for_operator` is the id of a message that only a person may act on; its body is to be kept.
    """

    reports: tuple[Report, ...] = ()
    for_operator: str | None = None


class Provider(NamedTuple):
    """A provider: its name for people, how its calls are read, and one of them as an example.

    `read` raises Unreadable, and nothing else, where a body is none of the provider's.
    """

    title: str
    read: Callable[[bytes], Heard]
    example: Mapping[str, Any]


def document_of(body: bytes | str) -> dict[str, Any]:
    """Give the JSON object that a body is; Unreadable where it is none."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable("no_json") from None
    if not isinstance(found, dict):
        raise Unreadable("no_object")
    return found


def text_in(document: Any, *names: str) -> str:
    """Give the text that stands below names of nested objects; empty where there is none."""
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, str) else ""


def texts_in(document: Any, *names: str) -> tuple[str, ...]:
    """Give the texts of the list that stands below names of nested objects."""
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    found = document if isinstance(document, list) else ()
    return tuple(each for each in found if isinstance(each, str))

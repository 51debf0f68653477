"""A message taken apart, whatever it is made of.

Messages inside the message (the returned notice, the fields of a report) are left as text: so
nothing is parsed but the parts of the outermost message, and no nesting of messages, nor a report
of a million empty fields, takes longer than its size.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from email.message import Message
from email.parser import HeaderParser
from email.utils import getaddresses

from app.world.returns.report import Unreadable

LARGEST = 512 * 1024
"""Bytes that are read; a report about one of our notices has a tenth of it."""
MOST_LEVELS = 8
"""How many boundaries a message may name; each level of parts needs one of its own."""
MOST_BLOCKS = 64
MOST_IDS = 8
MESSAGE = "text/x-message-"
_INNER = re.compile(rb"message/(?=[a-z])", re.IGNORECASE)
_BOUNDARY = re.compile(rb"boundary\s{0,99}(?:\*[\d*]{0,9})?\s{0,99}=", re.IGNORECASE)
_BETWEEN = re.compile(r"(?:[ \t]*\r?\n){2,}")
_ID = re.compile(r"<[^<>\s]{1,400}>")
_HEADERS = frozenset({"rfc822", "global", "rfc822-headers", "global-headers"})


def taken_apart(raw: bytes) -> Message:
    """Give a message with the messages inside it as text; Unreadable where it cannot be read."""
    if len(raw) > LARGEST:
        raise Unreadable("too_large")
    if sum(1 for _ in _BOUNDARY.finditer(raw)) > MOST_LEVELS:
        raise Unreadable("nested_too_deep")
    if not raw.strip(b"\0\r\n\t "):
        raise Unreadable("empty")
    try:
        return message_from_bytes(_INNER.sub(MESSAGE.encode(), raw))
    except Exception:  # noqa: BLE001 - whatever a stranger's bytes make of the parser
        raise Unreadable("malformed") from None


def kind_of(part: Message) -> str:
    """Give what a part is: `delivery-status` of message/delivery-status, else the whole type."""
    kind = part.get_content_type()
    return kind.removeprefix(MESSAGE)


def header(part: Message, name: str) -> str:
    """Give a header as text; empty where there is none."""
    return str(part.get(name, ""))


def text_of(part: Message) -> str:
    """Give what a part holds as text, whatever it says of its encoding."""
    if part.is_multipart():
        return ""
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def blocks(text: str) -> list[Message]:
    """Give the blocks of fields that empty lines divide, as a report has them."""
    found = _BETWEEN.split(text.strip(), MOST_BLOCKS)[:MOST_BLOCKS]
    return [fields(block) for block in found if block]


def fields(text: str) -> Message:
    """Give the fields or headers that a text begins with."""
    return HeaderParser().parsestr(text.lstrip("\r\n"))


def returned(message: Message) -> Iterator[Message]:
    """Yield the headers of the messages that a message gives back."""
    for part in message.walk():
        if kind_of(part).removeprefix("text/") in _HEADERS:
            yield fields(text_of(part))


def ids_in(*texts: str) -> tuple[str, ...]:
    """Give the Message-IDs that texts hold, each once, in their order."""
    found = (match[0] for text in texts for match in _ID.finditer(text))
    return tuple(dict.fromkeys(found))[:MOST_IDS]


def addresses_in(*texts: str) -> tuple[str, ...]:
    """Give the addresses that header values hold."""
    with suppress(Exception):  # an address is a hint, and what is none is passed over
        return tuple(address for _, address in getaddresses(list(texts)) if "@" in address)
    return ()
